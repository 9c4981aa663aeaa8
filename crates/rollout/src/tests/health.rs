//! Health decides: which answers count, which do not, and how many of them make a verdict.

use super::fixture::{INTERVAL, Rollout, bad, unreadable};
use crate::Decision;
use crate::answer::HealthAnswer::Good;
use api::condition::ConditionType;
use api::reason::Reason;
use api::status::{Outcome, RollbackReason, Step};

#[test]
fn a_threshold_of_bad_answers_in_a_row_causes_a_rollback() {
    for threshold in [1, 3, 5] {
        let mut rollout = Rollout::of(|spec| spec.rollback_policy.health_threshold = threshold);
        rollout.health_says(&[bad()]).before_decision(&Decision::Rollback);
        assert_eq!(rollout.count(&Decision::PollHealth), usize::try_from(threshold).unwrap());
        assert_eq!(rollout.attempt().rollback.as_ref().unwrap().reason, RollbackReason::HealthCheckFailure);
        rollout.run();
        assert_eq!(rollout.outcome(), Some((Outcome::RolledBack, Reason::HealthCheckFailed)));
        assert_eq!(rollout.warned(Reason::HealthBad), usize::try_from(threshold).unwrap() - 1);
        assert_eq!(rollout.warned(Reason::HealthCheckFailed), 1, "the verdict");
        assert_eq!(rollout.warned(Reason::RolledBack), 1, "its outcome, which must not be merged with the verdict");
    }
}

#[test]
fn fewer_bad_answers_in_a_row_cause_no_rollback() {
    let mut rollout = Rollout::new();
    rollout.health_says(&[bad(), bad(), Good]).run_for(60);
    assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded);
    assert_eq!(rollout.attempt().health.bad_streak, 0);
}

#[test]
fn a_good_answer_between_bad_ones_breaks_the_row() {
    let mut rollout = Rollout::of(|spec| spec.monitoring.success_threshold = 2);
    rollout.health_says(&[bad(), bad(), Good, bad(), bad(), Good, Good]).run_for(180);
    assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded);
    assert_eq!(rollout.count(&Decision::PollHealth), 7);
}

#[test]
fn a_threshold_of_good_answers_in_a_row_is_a_success() {
    let mut rollout = Rollout::of(|spec| spec.monitoring.success_threshold = 3);
    rollout.health_says(&[Good, Good, bad(), Good, Good, Good]).run_for(3 * INTERVAL);
    assert_eq!((rollout.outcome(), rollout.attempt().health.bad_streak), (None, 1));
    rollout.run_for(2 * INTERVAL);
    assert_eq!((rollout.outcome(), rollout.attempt().health.good_streak), (None, 2));
    assert_eq!(rollout.condition_text(ConditionType::Healthy), "Unknown/HealthGood");
    rollout.run_for(INTERVAL);
    assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded);
}

#[test]
fn health_that_cannot_be_read_is_neither_good_nor_bad() {
    let mut rollout = Rollout::new();
    rollout.health_says(&[bad(), unreadable(), bad(), unreadable(), unreadable(), Good]).run_for(4 * INTERVAL);
    assert_eq!((rollout.outcome(), rollout.attempt().health.bad_streak), (None, 2));
    assert_eq!(rollout.condition_text(ConditionType::Healthy), "Unknown/HealthUnreadable");
    rollout.run_for(2 * INTERVAL);
    assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded);
}

#[test]
fn unreadable_health_does_not_break_a_row_of_bad_answers() {
    let mut rollout = Rollout::new();
    rollout.health_says(&[bad(), unreadable(), bad(), unreadable(), bad()]).run_for(120);
    assert_eq!(rollout.outcome(), Some((Outcome::RolledBack, Reason::HealthCheckFailed)));
}

#[test]
fn a_restart_does_not_cause_an_earlier_verdict() {
    let mut rollout = Rollout::at(Step::Monitoring);
    rollout.health_says(&[bad()]).run();
    for _ in 0..10 {
        rollout.restart_after(1).run();
    }
    assert_eq!((rollout.attempt().health.bad_streak, rollout.outcome()), (1, None));
    rollout.run_for(INTERVAL);
    assert_eq!(rollout.attempt().health.bad_streak, 2);
}

#[test]
fn a_restart_with_a_clock_jump_does_not_cause_an_earlier_verdict() {
    for jump in [-86_400, 0, 86_400] {
        let mut rollout = Rollout::at(Step::Monitoring);
        rollout.health_says(&[bad()]).run();
        rollout.wall_clock_jumps(jump).restart_after(1).run();
        assert_eq!((rollout.attempt().health.bad_streak, rollout.outcome()), (1, None), "{jump} s");
        rollout.run_for(INTERVAL);
        assert_eq!((rollout.attempt().health.bad_streak, rollout.outcome()), (2, None), "{jump} s");
    }
}

#[test]
fn a_longer_interval_delays_the_next_poll() {
    let mut rollout = Rollout::at(Step::Monitoring);
    rollout.health_says(&[bad()]).run_for(2);
    rollout.edit(|spec| spec.monitoring.interval_seconds = 60).pass(20).run();
    assert_eq!(rollout.count(&Decision::PollHealth), 1);
}

#[test]
fn a_good_answer_too_soon_to_count_still_breaks_a_row_of_bad_ones() {
    let mut rollout = Rollout::at(Step::Monitoring);
    rollout.health_says(&[bad(), bad(), Good, bad()]).run_for(INTERVAL);
    assert_eq!(rollout.attempt().health.bad_streak, 2);
    // A restarted process polls at once.
    rollout.restart_after(1).run();
    assert_eq!(rollout.count(&Decision::PollHealth), 3);
    rollout.run_for(INTERVAL);
    assert_eq!((rollout.attempt().health.bad_streak, rollout.outcome()), (1, None));
}

#[test]
fn the_current_threshold_counts() {
    let mut rollout = Rollout::at(Step::Monitoring);
    rollout.health_says(&[bad()]).run_for(INTERVAL);
    assert_eq!(rollout.attempt().health.bad_streak, 2);
    rollout.edit(|spec| spec.rollback_policy.health_threshold = 5).run_for(2 * INTERVAL);
    assert_eq!((rollout.attempt().health.bad_streak, rollout.outcome()), (4, None));
}

#[test]
fn without_auto_trigger_a_bad_verdict_waits_for_a_person() {
    let mut rollout = Rollout::of(|spec| spec.rollback_policy.auto_trigger = false);
    rollout.health_says(&[bad()]).run_for(3600);
    assert_eq!(rollout.outcome(), Some((Outcome::Failed, Reason::HealthCheckFailed)));
    assert_eq!(rollout.count(&Decision::Rollback), 0);
    assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/HealthCheckFailed");
    assert!(rollout.condition(ConditionType::Ready).message.contains("deploy.cognigy.ai/rollback"));
}

#[test]
fn a_rollback_that_a_person_requests_after_a_bad_verdict_is_shown_as_rolled_back() {
    let mut rollout = Rollout::of(|spec| spec.rollback_policy.auto_trigger = false);
    rollout.health_says(&[bad(), bad(), bad(), Good]).run_for(120);
    assert_eq!(rollout.outcome().unwrap().0, Outcome::Failed);
    rollout.request_rollback("1").run_for(60);
    assert_eq!(rollout.outcome(), Some((Outcome::Failed, Reason::HealthCheckFailed)));
    assert_eq!(rollout.condition_text(ConditionType::Ready), "False/RolledBack");
    assert!(!rollout.condition(ConditionType::Ready).message.contains("autoTrigger is off"));
}
