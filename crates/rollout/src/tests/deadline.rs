//! The deadline, and clocks that jump.

use super::fixture::{INTERVAL, Rollout, TIMEOUT, bad, unreadable, unreadable_job};
use crate::answer::{HealthAnswer, JobAnswer};
use crate::{Cause, Decision, Obstacle};
use api::condition::ConditionType;
use api::reason::Reason;
use api::status::{Outcome, RollbackReason, Step};
use std::time::Duration;

/// How long a process that found the deadline passed polls before it decides: as long as bad health needs for a
/// verdict.
const PATIENCE: u64 = 3 * INTERVAL;

#[test]
fn a_job_that_runs_past_the_deadline_is_rolled_back() {
    for answer in [JobAnswer::Running, unreadable_job()] {
        let mut rollout = Rollout::new();
        rollout.job_says(&[answer]).run_for(TIMEOUT - 1);
        assert_eq!((rollout.step_now(), rollout.outcome()), (Step::RollingOut, None));
        rollout.run_for(INTERVAL + 1);
        assert_eq!(rollout.outcome(), Some((Outcome::RolledBack, Reason::DeadlineExceeded)));
        assert_eq!(rollout.attempt().rollback.as_ref().unwrap().reason, RollbackReason::Timeout);
    }
}

#[test]
fn health_that_stays_unreadable_past_the_deadline_is_rolled_back() {
    let mut rollout = Rollout::new();
    rollout.health_says(&[unreadable()]).run_for(TIMEOUT + INTERVAL);
    assert_eq!(rollout.outcome(), Some((Outcome::RolledBack, Reason::DeadlineExceeded)));
    assert_eq!(rollout.attempt().health.bad_streak, 0);
}

#[test]
fn a_poll_that_cannot_be_sent_is_no_verdict_even_long_after_the_deadline() {
    for step in [Step::RollingOut, Step::Monitoring] {
        let mut rollout = Rollout::at(step);
        rollout.world.barrier = Some(Obstacle::transient(Cause::ApiUnavailable, "it asks for a pause", None));
        rollout.run_for(TIMEOUT - 4 * INTERVAL);
        assert_eq!(rollout.condition_text(ConditionType::Ready), "Unknown/ApiUnavailable");
        rollout.run_for(10 * TIMEOUT);
        assert_eq!((rollout.step_now(), rollout.outcome()), (step, None));
        assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/ApiUnavailable", "a person is needed");
        rollout.world.barrier = None;
        rollout.run_for(2 * INTERVAL);
        assert_eq!(rollout.outcome(), Some((Outcome::Succeeded, Reason::Succeeded)));
    }
}

#[test]
fn a_poll_that_could_not_be_sent_is_repeated_within_an_interval() {
    let mut rollout = Rollout::at(Step::Monitoring);
    rollout.world.barrier = Some(Obstacle::transient(Cause::ApiUnavailable, "no connection", None));
    rollout.run_for(10 * INTERVAL);
    assert_eq!(rollout.count(&Decision::PollHealth), 11);
    rollout.world.barrier = None;
    rollout.health_says(&[bad()]).run_for(3 * INTERVAL);
    assert_eq!(rollout.outcome(), Some((Outcome::RolledBack, Reason::HealthCheckFailed)));
}

#[test]
fn without_auto_trigger_the_deadline_waits_for_a_person() {
    let mut rollout = Rollout::of(|spec| spec.rollback_policy.auto_trigger = false);
    rollout.job_says(&[JobAnswer::Running]).run_for(3600);
    assert_eq!(rollout.outcome(), Some((Outcome::Failed, Reason::DeadlineExceeded)));
    assert_eq!(rollout.count(&Decision::Rollback), 0);
    assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/DeadlineExceeded");
}

#[test]
fn an_operator_that_was_down_past_the_deadline_polls_first() {
    for step in [Step::RollingOut, Step::Monitoring] {
        let mut rollout = Rollout::at(step);
        rollout.restart_after(10 * TIMEOUT);
        let first = if step == Step::RollingOut { Decision::PollJob } else { Decision::PollHealth };
        assert_eq!(rollout.decision(), first);
        rollout.run();
        assert_eq!(rollout.outcome(), Some((Outcome::Succeeded, Reason::Succeeded)), "a good answer is success");
    }
}

#[test]
fn an_operator_that_was_down_past_the_deadline_decides_by_the_answers() {
    let mut running = Rollout::at(Step::RollingOut);
    running.job_says(&[JobAnswer::Running]).restart_after(10 * TIMEOUT).run_for(PATIENCE);
    assert_eq!(running.outcome(), Some((Outcome::RolledBack, Reason::DeadlineExceeded)));
    let mut silent = Rollout::at(Step::Monitoring);
    silent.health_says(&[unreadable()]).restart_after(10 * TIMEOUT).run_for(PATIENCE);
    assert_eq!(silent.outcome(), Some((Outcome::RolledBack, Reason::DeadlineExceeded)));
    let mut ill = Rollout::at(Step::Monitoring);
    ill.health_says(&[bad()]).restart_after(10 * TIMEOUT).run_for(PATIENCE);
    assert_eq!(ill.outcome(), Some((Outcome::RolledBack, Reason::HealthCheckFailed)));
}

#[test]
fn after_a_restart_a_first_poll_that_fails_is_no_verdict() {
    let mut running = Rollout::at(Step::RollingOut);
    running.job_says(&[unreadable_job(), JobAnswer::Running, JobAnswer::Completed]);
    let mut monitored = Rollout::at(Step::Monitoring);
    monitored.health_says(&[unreadable(), bad(), HealthAnswer::Good]);
    for mut rollout in [running, monitored] {
        rollout.restart_after(10 * TIMEOUT).run_for(PATIENCE - 1);
        assert_eq!(rollout.outcome(), Some((Outcome::Succeeded, Reason::Succeeded)));
    }
}

#[test]
fn a_forward_clock_jump_during_a_restart_does_not_roll_back_a_rollout_that_becomes_healthy() {
    let mut rollout = Rollout::at(Step::RollingOut);
    rollout.job_says(&[JobAnswer::Running, JobAnswer::Completed]);
    rollout.wall_clock_jumps(86_400).restart_after(1).run_for(INTERVAL);
    assert_eq!(rollout.outcome(), Some((Outcome::Succeeded, Reason::Succeeded)));
}

#[test]
fn past_the_deadline_one_good_answer_is_enough() {
    let mut rollout = Rollout::of(|spec| spec.monitoring.success_threshold = 5).brought_to(Step::Monitoring);
    rollout.restart_after(TIMEOUT).run();
    assert_eq!((rollout.count(&Decision::PollHealth), rollout.outcome().unwrap().0), (1, Outcome::Succeeded));
}

#[test]
fn past_the_deadline_a_good_answer_is_success_even_directly_after_a_bad_one() {
    let mut rollout = Rollout::of(|spec| {
        spec.rollback_policy.timeout_seconds = 290;
        spec.rollback_policy.health_threshold = 20;
    });
    rollout.health_says(&[bad()]).run_for(285);
    assert_eq!((rollout.attempt().health.bad_streak, rollout.outcome()), (19, None));
    // Five seconds later another process starts and polls at once.
    rollout.health_says(&[HealthAnswer::Good, bad()]).restart_after(5).run();
    assert_eq!(rollout.outcome(), Some((Outcome::Succeeded, Reason::Succeeded)));
}

#[test]
fn a_poll_that_is_sent_before_the_deadline_and_answered_after_it_is_no_verdict() {
    let mut rollout = Rollout::at(Step::RollingOut);
    rollout.job_says(&[JobAnswer::Running]).run_for(TIMEOUT - INTERVAL - 1);
    rollout.world.latency = Duration::from_secs(30);
    rollout.pass(INTERVAL).job_says(&[JobAnswer::Running, JobAnswer::Completed]).run();
    assert_eq!(rollout.outcome().map(|(outcome, _)| outcome), Some(Outcome::Succeeded));
    assert_eq!(rollout.count(&Decision::DeclareTimeout), 0);
}

#[test]
fn a_wall_clock_that_jumps_changes_nothing() {
    for jump in [30 * 86_400, 3600, -3600, -30 * 86_400] {
        for answers in [
            vec![HealthAnswer::Good],
            vec![bad()],
            vec![unreadable()],
            vec![bad(), unreadable(), bad(), HealthAnswer::Good],
        ] {
            let play = |jump: i64| {
                let mut rollout = Rollout::new();
                rollout.health_says(&answers).before_decision(&Decision::Submit);
                for _ in 0..6 {
                    rollout.wall_clock_jumps(jump).run_for(20).wall_clock_jumps(-jump / 2).run_for(47);
                }
                (rollout.decisions.clone(), rollout.outcome())
            };
            assert_eq!(play(jump), play(0), "a jump of {jump} s");
        }
    }
}

#[test]
fn a_backward_clock_jump_during_a_restart_causes_no_rollback() {
    let mut rollout = Rollout::at(Step::Monitoring);
    rollout.health_says(&[bad(), HealthAnswer::Good]).run();
    rollout.wall_clock_jumps(-86_400).restart_after(1).run_for(60);
    assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded);
}

#[test]
fn an_edit_of_the_time_out_affects_the_running_attempt() {
    let mut rollout = Rollout::new();
    rollout.job_says(&[JobAnswer::Running]).run_for(200);
    rollout.edit(|spec| spec.rollback_policy.timeout_seconds = 3600).run_for(3000);
    assert_eq!(rollout.outcome(), None);
    rollout.run_for(500);
    assert_eq!(rollout.outcome(), Some((Outcome::RolledBack, Reason::DeadlineExceeded)));
}
