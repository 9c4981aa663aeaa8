//! Rollback, Retry and Reject by decision.

use crate::Decision;
use crate::requests::Request;
use crate::tests::fixture::{DAY, Rollout, bad};
use api::condition::{ConditionSet, ConditionType};
use api::decision::Verb::{Approve, Reject, Retry, Rollback};
use api::reason::Reason;
use api::status::{Outcome, Step};

const ROLL_BACK: Decision = Decision::HandleRequest(Request::Rollback);
const RETRY: Decision = Decision::HandleRequest(Request::Retry);
const REJECT: Decision = Decision::HandleRequest(Request::Reject);

/// A rollback by decision does in every step what the annotation does there.
#[test]
fn a_rollback_by_decision_does_what_the_annotation_does() {
    for step in Step::ALL {
        let (mut annotated, mut decided) = (Rollout::at(step), Rollout::at(step));
        annotated.request_rollback("1").run_for(600);
        decided.decide_by(Rollback, "anna").run_for(600);
        assert_eq!(decided.count(&ROLL_BACK), 1, "{step:?}");
        assert_eq!((decided.outcome(), decided.step_now()), (annotated.outcome(), annotated.step_now()), "{step:?}");
        assert_eq!(decided.attempt().rollback.is_some(), annotated.attempt().rollback.is_some(), "{step:?}");
        assert_eq!(decided.status.acted_decisions.len(), 1, "{step:?}");
    }
}

#[test]
fn a_retry_by_decision_does_what_the_annotation_does() {
    for step in Step::ALL {
        let (mut annotated, mut decided) = (Rollout::at(step), Rollout::at(step));
        annotated.request_retry("1").run_for(600);
        decided.decide_by(Retry, "anna").run_for(600);
        assert_eq!(decided.count(&RETRY), 1, "{step:?}");
        assert_eq!((decided.outcome(), decided.attempt().number), (annotated.outcome(), annotated.attempt().number));
        assert_eq!(decided.status.acted_decisions.len(), 1, "{step:?}");
    }
}

#[test]
fn a_rejection_ends_the_attempt_before_the_intent_and_is_ignored_after_it() {
    for step in Step::ALL {
        let is_before = matches!(step, Step::Pending | Step::Validating | Step::Tracing);
        let mut rollout = Rollout::at(step);
        let without = Rollout::at(step).run_for(600).outcome();
        rollout.decide_by(Reject, "anna").run_for(600);
        assert_eq!(rollout.count(&REJECT), usize::from(is_before), "{step:?}");
        let expected = if is_before { Some((Outcome::Abandoned, Reason::Rejected)) } else { without };
        assert_eq!(rollout.outcome(), expected, "{step:?}");
    }
}

#[test]
fn a_rejected_configuration_is_not_tried_again_by_itself() {
    let mut rollout = Rollout::needing(2);
    rollout.run_for(60).decide_by(Approve, "anna").run_for(60).decide_by(Reject, "ben").run_for(60);
    assert_eq!(rollout.condition_text(ConditionType::GatesOpen), "False/Rejected");
    assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/Rejected");
    let message = &rollout.condition(ConditionType::Ready).message;
    assert!(message.contains("rejected by ben with the decision decision-2: tested in staging"), "{message}");
    rollout.decide_by(Approve, "carol").run_for(DAY).restart_after(60).run_for(DAY);
    assert_eq!((rollout.attempt().number, rollout.count(&Decision::Submit)), (1, 0));
    rollout.edit_digest("2.5.0").run_for(60).decide_by(Approve, "anna").decide_by(Approve, "ben").run_for(120);
    rollout.assert_succeeded();
}

#[test]
fn a_rejection_uses_up_the_approvals_of_its_plan() {
    let mut rollout = Rollout::needing(2);
    rollout.decide_by(Approve, "anna").run_for(60).decide_by(Reject, "ben").run_for(60);
    rollout.decide_by(Retry, "ben").run_for(60).decide_by(Approve, "carol").run_for(60);
    rollout.assert_waits(Reason::AwaitingApproval);
    rollout.decide_by(Approve, "anna").run_for(120).assert_succeeded();
}

#[test]
fn nothing_says_that_a_gate_is_closed_after_the_attempt_has_ended_for_another_reason() {
    let mut rollout = Rollout::needing(1);
    rollout.run_for(60).decide_by(Rollback, "anna").run_for(60);
    assert_eq!(rollout.outcome().unwrap(), (Outcome::Abandoned, Reason::Cancelled));
    assert_eq!(rollout.status.conditions.find(ConditionType::GatesOpen), None);
}

#[test]
fn a_retry_after_a_rejection_waits_for_its_approvals() {
    let mut rollout = Rollout::needing(1);
    rollout.run_for(60).decide_by(Reject, "ben").run_for(60).decide_by(Retry, "anna").run_for(60);
    assert_eq!((rollout.attempt().number, rollout.closed_reasons()), (2, vec![Reason::AwaitingApproval]));
    rollout.decide_by(Approve, "ben").run_for(120).assert_succeeded();
}

#[test]
fn requests_about_another_plan_or_without_proof_or_too_late_do_nothing() {
    let mut rollout = Rollout::new();
    rollout.run_for(60);
    let other = serde_json::from_value(serde_json::json!("plan-0123456789abcdef")).unwrap();
    rollout.decide_with(Rollback, "anna", |record| record.plan_id = other).run_for(60);
    rollout.prove(false).decide_by(Rollback, "anna").decide_by(Retry, "anna").run_for(60);
    assert_eq!((rollout.count(&ROLL_BACK), rollout.count(&RETRY)), (0, 0));
    rollout.pass(DAY).prove(true).run_for(60);
    assert_eq!((rollout.count(&ROLL_BACK), rollout.count(&RETRY)), (0, 0), "a day later they have expired");
}

#[test]
fn an_annotation_and_a_decision_are_two_requests() {
    let mut rollout = Rollout::at(Step::Monitoring);
    rollout.request_rollback("1").decide_by(Rollback, "anna").run_for(600);
    assert_eq!(rollout.count(&ROLL_BACK), 2);
    assert_eq!(rollout.outcome(), Some((Outcome::RolledBack, Reason::RollbackRequested)));
    assert_eq!(rollout.status.acted_decisions.len(), 1);
    assert_eq!(rollout.count(&Decision::Rollback), 1, "the platform is asked once");
}

/// Otherwise the retry would deploy again what was just rolled back.
#[test]
fn a_rollback_wins_over_a_retry_however_they_are_made() {
    for (rollback, retry) in [(true, true), (true, false), (false, true), (false, false)] {
        for step in [Step::Tracing, Step::Monitoring, Step::Settled] {
            let mut rollout = Rollout::at(step);
            match retry {
                true => rollout.decide_by(Retry, "ben"),
                false => rollout.request_retry("1"),
            };
            match rollback {
                true => rollout.decide_by(Rollback, "anna"),
                false => rollout.request_rollback("1"),
            };
            rollout.run_for(600);
            let made = (rollout.count(&ROLL_BACK), rollout.count(&RETRY), rollout.attempt().number);
            assert_eq!(made, (1, 0, 1), "rollback by decision: {rollback}, retry by decision: {retry}, {step:?}");
        }
    }
}

#[test]
fn a_retry_by_decision_waits_while_suspended() {
    let mut rollout = Rollout::at(Step::Settled);
    rollout.suspend(true).decide_by(Retry, "anna").run_for(3600);
    assert_eq!((rollout.attempt().number, rollout.count(&RETRY)), (1, 0));
    rollout.suspend(false).run_for(60);
    assert_eq!((rollout.attempt().number, rollout.count(&RETRY)), (2, 1));
}

#[test]
fn decisions_that_exist_before_the_resource_is_first_seen_are_not_requests() {
    let mut rollout = Rollout::new();
    rollout.decide_by(Rollback, "anna").decide_by(Retry, "anna").decide_by(Reject, "anna").run_for(120);
    rollout.assert_succeeded();
    assert_eq!((rollout.attempt().number, rollout.status.acted_decisions.len()), (1, 3));
}

/// The reconcile may take a little time between its decision and the change.
#[test]
fn a_request_that_is_withdrawn_before_it_is_handled_does_nothing() {
    let mut rollout = Rollout::at(Step::Monitoring);
    rollout.health_says(&[bad()]).decide_by(Rollback, "anna");
    assert_eq!(rollout.decision(), ROLL_BACK);
    rollout.handle_after(Request::Rollback, |rollout| _ = rollout.withdraw("anna"));
    assert!(rollout.attempt().rollback.is_none());
    assert!(rollout.status.acted_decisions.is_empty());
}
