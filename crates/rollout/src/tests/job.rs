//! The job's answers and their effects.

use super::fixture::{INTERVAL, Rollout, TIMEOUT, bad, failed_job, unreadable, unreadable_job};
use crate::answer::{HealthAnswer, JobAnswer, Retry};
use crate::{Cause, Decision, Obstacle};
use api::condition::ConditionType;
use api::reason::Reason;
use api::status::{Outcome, RollbackReason, Step};
use std::time::Duration;

#[test]
fn the_job_is_polled_one_interval_after_the_submit_and_then_every_interval() {
    let mut rollout = Rollout::at(Step::RollingOut);
    rollout.job_says(&[JobAnswer::Running]).run_for(INTERVAL - 1);
    assert_eq!(rollout.count(&Decision::PollJob), 0);
    rollout.run_for(1);
    assert_eq!(rollout.count(&Decision::PollJob), 1);
    rollout.run_for(3 * INTERVAL);
    assert_eq!(rollout.count(&Decision::PollJob), 4);
}

#[test]
fn health_is_polled_at_once_when_the_job_has_completed() {
    let mut rollout = Rollout::at(Step::RollingOut);
    rollout.run_for(INTERVAL);
    assert_eq!(rollout.decisions[rollout.decisions.len() - 2..], [Decision::PollJob, Decision::PollHealth]);
}

#[test]
fn a_failed_job_is_rolled_back() {
    let mut rollout = Rollout::at(Step::RollingOut);
    rollout.job_says(&[failed_job()]).run_for(60);
    assert_eq!(rollout.outcome(), Some((Outcome::RolledBack, Reason::JobFailed)));
    assert_eq!(rollout.attempt().rollback.as_ref().unwrap().reason, RollbackReason::DeploymentFailed);
    assert_eq!(rollout.condition_text(ConditionType::RolledOut), "False/JobFailed");
}

#[test]
fn a_job_that_is_not_found_twice_an_interval_apart_is_gone() {
    let mut rollout = Rollout::at(Step::RollingOut);
    rollout.job_says(&[JobAnswer::NotFound]).run_for(2 * INTERVAL);
    assert_eq!(rollout.outcome(), Some((Outcome::RolledBack, Reason::JobGone)));
    assert_eq!(rollout.attempt().rollback.as_ref().unwrap().reason, RollbackReason::DeploymentFailed);
    assert_eq!(rollout.count(&Decision::PollJob), 2);
}

#[test]
fn a_job_that_is_not_found_once_is_not_gone() {
    for between in [JobAnswer::Running, unreadable_job(), JobAnswer::Completed] {
        let mut rollout = Rollout::at(Step::RollingOut);
        rollout.job_says(&[JobAnswer::NotFound, between, JobAnswer::NotFound, JobAnswer::Completed]).run_for(120);
        assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded);
    }
}

#[test]
fn an_unreadable_job_is_shown_until_it_can_be_read_again() {
    let mut rollout = Rollout::at(Step::RollingOut);
    rollout.job_says(&[unreadable_job(), JobAnswer::Running, JobAnswer::Completed]).run_for(INTERVAL);
    assert_eq!(rollout.condition_text(ConditionType::RolledOut), "Unknown/JobUnreadable");
    rollout.run_for(INTERVAL);
    assert_eq!(rollout.condition_text(ConditionType::RolledOut), "Unknown/SubmitAccepted");
    rollout.run_for(INTERVAL);
    assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded);
}

#[test]
fn a_job_that_is_not_found_twice_within_less_than_an_interval_is_not_gone() {
    let mut rollout = Rollout::at(Step::RollingOut);
    rollout.job_says(&[JobAnswer::NotFound, JobAnswer::NotFound, JobAnswer::Completed]).run_for(INTERVAL);
    // A restarted process polls at once.
    rollout.restart_after(1).run();
    assert_eq!((rollout.count(&Decision::PollJob), rollout.step_now()), (2, Step::RollingOut));
    rollout.run_for(60);
    assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded);
}

#[test]
fn an_edit_of_the_interval_does_not_make_a_job_gone_sooner() {
    let mut rollout = Rollout::at(Step::RollingOut);
    rollout.job_says(&[JobAnswer::NotFound, JobAnswer::NotFound, JobAnswer::Completed]).run_for(INTERVAL);
    rollout.edit(|spec| spec.monitoring.interval_seconds = 60).pass(30).run();
    assert_eq!((rollout.count(&Decision::PollJob), rollout.step_now()), (1, Step::RollingOut));
}

#[test]
fn a_job_that_the_platform_rolled_back_needs_no_rollback_request() {
    let mut rollout = Rollout::at(Step::RollingOut);
    rollout.job_says(&[JobAnswer::RolledBack]).run_for(3600);
    assert_eq!(rollout.outcome(), Some((Outcome::RolledBack, Reason::RolledBackByPlatform)));
    assert_eq!(rollout.count(&Decision::Rollback), 0);
    assert_eq!(rollout.condition_text(ConditionType::RolledBack), "True/RolledBackByPlatform");
    assert_eq!(rollout.condition_text(ConditionType::Ready), "False/RolledBack");
}

#[test]
fn after_a_disturbance_good_health_may_belong_to_the_old_configuration() {
    for disturbance in [bad(), unreadable()] {
        let mut rollout = Rollout::at(Step::RollingOut);
        rollout.job_says(&[JobAnswer::Completed, JobAnswer::RolledBack]);
        rollout.health_says(&[disturbance, HealthAnswer::Good]).run_for(60);
        assert_eq!(rollout.outcome(), Some((Outcome::RolledBack, Reason::RolledBackByPlatform)));
        assert_eq!((rollout.count(&Decision::CheckJob), rollout.count(&Decision::Rollback)), (1, 0));
    }
}

#[test]
fn after_a_restart_good_health_may_belong_to_the_old_configuration() {
    let mut rollout = Rollout::at(Step::Monitoring);
    rollout.job_says(&[JobAnswer::RolledBack]).restart_after(60).run();
    assert_eq!(rollout.outcome(), Some((Outcome::RolledBack, Reason::RolledBackByPlatform)));
}

#[test]
fn a_final_job_check_that_finds_the_job_completed_is_success() {
    let mut rollout = Rollout::at(Step::RollingOut);
    rollout.health_says(&[bad(), HealthAnswer::Good]).run_for(60);
    assert_eq!(rollout.count(&Decision::CheckJob), 1);
    assert_eq!(rollout.outcome(), Some((Outcome::Succeeded, Reason::Succeeded)));
}

#[test]
fn a_final_job_check_without_a_result_is_repeated_an_interval_later() {
    for nothing in [unreadable_job(), JobAnswer::Running, JobAnswer::NotFound] {
        let mut rollout = Rollout::at(Step::RollingOut);
        rollout.job_says(&[JobAnswer::Completed, nothing.clone(), nothing, JobAnswer::Completed]);
        rollout.health_says(&[bad(), HealthAnswer::Good]).run_for(INTERVAL + 2 * INTERVAL);
        assert_eq!((rollout.count(&Decision::CheckJob), rollout.outcome()), (2, None));
        rollout.run_for(INTERVAL);
        assert_eq!((rollout.count(&Decision::CheckJob), rollout.outcome().unwrap().0), (3, Outcome::Succeeded));
    }
}

#[test]
fn a_final_job_check_that_finds_the_job_failed_is_a_bad_verdict() {
    let mut rollout = Rollout::at(Step::RollingOut);
    rollout.job_says(&[JobAnswer::Completed, failed_job()]);
    rollout.health_says(&[bad(), HealthAnswer::Good]).run_for(TIMEOUT);
    assert_eq!(rollout.outcome(), Some((Outcome::RolledBack, Reason::JobFailed)));
}

#[test]
fn another_endpoint_gives_no_verdict_however_long_it_lasts() {
    for step in [Step::RollingOut, Step::Monitoring] {
        let mut rollout = Rollout::at(step);
        let changed = "the credentials point to another Cognigy.AI";
        rollout.world.barrier = Some(Obstacle::lasting(Cause::EndpointChanged, changed, Retry::CredentialsChange));
        rollout.run_for(10 * TIMEOUT);
        assert_eq!((rollout.step_now(), rollout.outcome()), (step, None));
        assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/EndpointChanged");
        assert_eq!(rollout.warned(Reason::EndpointChanged), 1);
        rollout.world.barrier = None;
        rollout.run_for(2 * 60);
        assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded, "a good answer past the deadline");
    }
}

#[test]
fn without_a_disturbance_the_job_is_not_polled_again() {
    let mut rollout = Rollout::of(|spec| spec.monitoring.success_threshold = 3);
    rollout.run_for(120);
    assert_eq!((rollout.count(&Decision::PollJob), rollout.count(&Decision::CheckJob)), (1, 0));
    assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded);
}

#[test]
fn a_job_whose_end_was_not_recorded_is_polled_again_despite_later_answers() {
    let mut rollout = Rollout::at(Step::RollingOut);
    rollout.run().pass(INTERVAL);
    // Late answers, after which the job must be polled once more.
    rollout.world.latency = Duration::from_secs(30);
    rollout.before_decision(&Decision::CheckJob);
    rollout.world.latency = Duration::ZERO;
    rollout.record_fails().run_for(INTERVAL);
    assert_eq!(rollout.count(&Decision::CheckJob), 0);
    assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded);
    assert_eq!(rollout.condition_text(ConditionType::RolledOut), "True/JobCompleted");
}
