//! Edits of the spec while an attempt is in progress.

use super::fixture::{Rollout, bad, failed_job, unavailable};
use crate::Decision;
use crate::answer::RollbackAnswer;
use api::condition::ConditionType;
use api::reason::Reason;
use api::status::{Outcome, Step};

#[test]
fn a_new_configuration_before_the_intent_replaces_the_attempt_at_once() {
    for step in [Step::Pending, Step::Validating, Step::Tracing] {
        let mut rollout = Rollout::at(step);
        rollout.edit_digest("2.5.0");
        assert_eq!(rollout.decision(), Decision::Start, "{step:?}");
        rollout.run_for(120);
        assert_eq!((rollout.attempt().number, rollout.outcome().unwrap().0), (2, Outcome::Succeeded));
        let past = &rollout.status.history[0];
        assert_eq!((past.number, past.verdict.outcome), (1, Outcome::Superseded));
        assert_eq!((rollout.audits().len(), rollout.webhooks().len()), (1, 1), "none for the superseded one");
    }
}

#[test]
fn a_new_configuration_after_the_intent_waits_for_the_outcome() {
    for step in [Step::Submitting, Step::RollingOut, Step::Monitoring] {
        let mut rollout = Rollout::at(step);
        rollout.edit_digest("2.5.0");
        assert_ne!(rollout.decision(), Decision::Start, "{step:?}");
        rollout.run_for(120);
        assert_eq!((rollout.attempt().number, rollout.outcome().unwrap().0), (2, Outcome::Succeeded));
        let past = &rollout.status.history[0];
        assert_eq!((past.number, past.verdict.outcome, past.job_id.is_some()), (1, Outcome::Succeeded, true));
    }
}

#[test]
fn a_waiting_configuration_is_shown() {
    for step in [Step::RollingOut, Step::Monitoring] {
        let mut rollout = Rollout::at(step);
        rollout.edit_digest("2.5.0").refresh();
        assert_eq!(rollout.condition_text(ConditionType::Reconciling), "True/NewerConfigurationWaiting");
    }
}

#[test]
fn a_new_configuration_waits_for_a_rollback_to_be_answered() {
    let mut rollout = Rollout::at(Step::RollingBack);
    rollout.rollback_says(&[RollbackAnswer::NotYet(unavailable())]).edit_digest("2.5.0").run_for(600);
    assert_eq!((rollout.attempt().number, rollout.step_now()), (1, Step::RollingBack));
    rollout.rollback_says(&[RollbackAnswer::Accepted]).run_for(120);
    assert_eq!((rollout.attempt().number, rollout.outcome().unwrap().0), (2, Outcome::Succeeded));
    assert_eq!(rollout.status.history[0].verdict.outcome, Outcome::RolledBack);
}

#[test]
fn a_new_configuration_cancels_the_verification_of_a_rollback() {
    let mut rollout = Rollout::at(Step::VerifyingRollback);
    rollout.health_says(&[bad()]).run().edit_digest("2.5.0");
    assert_eq!(rollout.decision(), Decision::Start);
}

#[test]
fn an_edit_that_changes_no_configuration_starts_nothing_and_is_observed() {
    for step in [Step::Submitting, Step::RollingOut, Step::Monitoring, Step::RollingBack, Step::Settled] {
        let mut rollout = Rollout::at(step);
        rollout.edit(|spec| spec.webhook = None).run_for(120);
        assert_eq!((rollout.attempt().number, rollout.status.observed_generation), (1, 2), "{step:?}");
    }
}

#[test]
fn an_edit_that_changes_no_configuration_leaves_ready_alone() {
    let mut rollout = Rollout::at(Step::Settled);
    rollout.refresh();
    let ready = rollout.condition(ConditionType::Ready).clone();
    rollout.pass(60).edit(|spec| spec.monitoring.interval_seconds = 30).run();
    let after = rollout.condition(ConditionType::Ready);
    assert_eq!(after.observed_generation, 2);
    assert_eq!((&after.message, after.last_transition_time), (&ready.message, ready.last_transition_time));
}

#[test]
fn changed_checks_before_the_intent_check_again() {
    for step in [Step::Pending, Step::Validating, Step::Tracing] {
        let mut rollout = Rollout::at(step);
        rollout.edit_checks("production-eu");
        assert_eq!(rollout.decision(), Decision::CheckAgain, "{step:?}");
        rollout.run_for(120);
        assert_eq!((rollout.attempt().number, rollout.outcome().unwrap().0), (1, Outcome::Succeeded));
    }
}

#[test]
fn checks_that_change_after_the_trace_has_passed_are_traced_again() {
    let mut rollout = Rollout::new();
    rollout.before_decision(&Decision::Intend).edit_checks("production-eu").run_for(60);
    assert_eq!((rollout.count(&Decision::Validate), rollout.count(&Decision::Trace)), (2, 2));
    assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded);
}

#[test]
fn changed_checks_after_the_intent_change_nothing() {
    for step in [Step::Submitting, Step::RollingOut, Step::Monitoring, Step::RollingBack, Step::Settled] {
        let mut rollout = Rollout::at(step);
        rollout.edit_checks("production-eu").run_for(120);
        assert_eq!((rollout.attempt().number, rollout.count(&Decision::Validate)), (1, 1), "{step:?}");
    }
}

#[test]
fn a_new_configuration_starts_after_every_outcome() {
    let mut rollout = Rollout::new();
    rollout.job_says(&[failed_job()]).rollback_says(&[RollbackAnswer::Refused("no".to_owned())]).run_for(60);
    assert_eq!(rollout.outcome(), Some((Outcome::RollbackFailed, Reason::RollbackRefused)));
    rollout.job_says(&[crate::answer::JobAnswer::Completed]).edit_digest("2.5.0").run_for(60);
    assert_eq!((rollout.attempt().number, rollout.outcome().unwrap().0), (2, Outcome::Succeeded));
    rollout.edit_digest("2.6.0").run_for(60);
    assert_eq!((rollout.attempt().number, rollout.outcome().unwrap().0), (3, Outcome::Succeeded));
    let numbers: Vec<_> = rollout.status.history.iter().map(|past| past.number).collect();
    assert_eq!(numbers, [2, 1]);
}

#[test]
fn history_has_the_configured_length_and_attempt_numbers_continue() {
    for limit in [0, 1, 3] {
        let mut rollout = Rollout::of(|spec| spec.history_limit = limit);
        for version in ["1", "2", "3", "4", "5"] {
            rollout.edit_digest(version).run_for(60);
        }
        assert_eq!(rollout.attempt().number, 5);
        assert_eq!(rollout.status.history.len(), usize::try_from(limit).unwrap());
        assert_eq!(rollout.status.last_successful.as_ref().unwrap().number, 5);
    }
}

#[test]
fn other_checks_are_another_plan_so_the_approvals_of_the_earlier_one_are_forgotten_at_once() {
    let approval = serde_json::from_value(serde_json::json!({"required": 2})).unwrap();
    let mut rollout = Rollout::of(|spec| spec.approval = Some(approval));
    rollout.run_for(60);
    assert_eq!(rollout.condition_text(ConditionType::GatesOpen), "False/AwaitingApproval");
    let given = serde_json::json!({"uid": "1", "name": "a", "by": "anna", "at": "2026-01-01T00:00:00Z"});
    let attempt = rollout.status.attempt.as_mut().unwrap();
    attempt.gates.as_mut().unwrap().approvals = vec![serde_json::from_value(given).unwrap()];
    let before = (attempt.plan_id.clone(), attempt.gates.as_ref().unwrap().since);
    rollout.edit_checks("other");
    assert_eq!(rollout.decision(), Decision::CheckAgain);
    rollout.step();
    let attempt = rollout.attempt();
    let gates = attempt.gates.as_ref().unwrap();
    assert_ne!(attempt.plan_id, before.0);
    assert_eq!((gates.approvals.len(), gates.closed.len(), gates.since), (0, 0, before.1));
}
