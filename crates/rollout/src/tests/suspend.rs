//! Suspension: nothing new starts, and a rollout in flight is finished.

use super::fixture::{Rollout, bad};
use crate::Decision;
use api::condition::ConditionType;
use api::status::{Outcome, Step};

#[test]
fn a_suspended_resource_starts_nothing() {
    let mut rollout = Rollout::of(|spec| spec.suspend = true);
    rollout.run_for(3600);
    assert_eq!(rollout.decisions, [Decision::NoteRequests]);
    assert_eq!(rollout.condition_text(ConditionType::Ready), "False/Suspended");
    assert!(!rollout.has(ConditionType::Reconciling) && !rollout.has(ConditionType::Stalled));
    rollout.suspend(false).run_for(60);
    assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded);
}

#[test]
fn before_the_intent_a_suspension_stops_the_attempt_at_its_step() {
    for step in [Step::Pending, Step::Validating, Step::Tracing] {
        let mut rollout = Rollout::at(step);
        let earlier = rollout.decisions.len();
        rollout.suspend(true).run_for(3600);
        assert_eq!((rollout.step_now(), rollout.decisions.len()), (step, earlier), "{step:?}");
        assert_eq!(rollout.condition_text(ConditionType::Ready), "False/Suspended");
        rollout.suspend(false).run_for(60);
        assert_eq!((rollout.attempt().number, rollout.outcome().unwrap().0), (1, Outcome::Succeeded));
    }
}

#[test]
fn a_suspension_directly_before_the_intent_prevents_it() {
    let mut rollout = Rollout::new();
    rollout.before_decision(&Decision::Intend).suspend(true).run_for(3600);
    assert_eq!(rollout.count(&Decision::Intend), 0);
}

#[test]
fn after_the_intent_a_suspension_changes_nothing() {
    for step in [Step::Submitting, Step::RollingOut, Step::Monitoring] {
        let mut rollout = Rollout::at(step);
        rollout.suspend(true).run_for(60);
        assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded, "{step:?}");
        assert_eq!(rollout.condition_text(ConditionType::Ready), "True/Succeeded");
    }
}

#[test]
fn a_rollout_that_fails_while_suspended_is_rolled_back() {
    for step in [Step::Submitting, Step::RollingOut, Step::Monitoring, Step::RollingBack] {
        let mut rollout = Rollout::at(step);
        rollout.health_says(&[bad()]).suspend(true).run_for(120);
        assert_eq!(rollout.outcome().unwrap().0, Outcome::RolledBack, "{step:?}");
    }
}

#[test]
fn a_new_configuration_waits_while_suspended() {
    for step in [Step::Monitoring, Step::VerifyingRollback, Step::Settled] {
        let mut rollout = Rollout::at(step);
        rollout.suspend(true).edit_digest("2.5.0").run_for(3600);
        assert_eq!((rollout.attempt().number, rollout.step_now()), (1, Step::Settled));
        assert_eq!(rollout.condition_text(ConditionType::Ready), "False/Suspended");
        rollout.suspend(false).run_for(60);
        assert_eq!((rollout.attempt().number, rollout.outcome().unwrap().0), (2, Outcome::Succeeded));
    }
}
