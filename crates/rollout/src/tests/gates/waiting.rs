//! What else happens while a gate is closed.

use crate::checks_validity::MAX_AGE_BEFORE_INTENT;
use crate::tests::fixture::{DAY, Rollout};
use crate::{Decision, OutboxMessage};
use api::condition::ConditionType;
use api::decision::Verb::{Approve, Reject};
use api::reason::Reason;
use api::status::{Outcome, Phase};
use api::verdict::{Finding, Wait, finding};

fn found(rollout: &Rollout) -> Finding {
    finding(Some(&rollout.status), &rollout.given.target.digest, Wait::Verdict)
}

#[test]
fn waiting_is_pending_for_those_who_wait_and_a_rejection_is_a_failure() {
    let mut rollout = Rollout::needing(1);
    rollout.run_for(60);
    assert_eq!(rollout.status.phase, Some(Phase::Gated));
    let Finding::Pending { message } = found(&rollout) else { panic!("{:?}", found(&rollout)) };
    assert!(message.contains("kubectl cognigy approve"), "{message}");
    rollout.decide_by(Reject, "anna").run_for(60);
    let Finding::Failed { reason, message } = found(&rollout) else { panic!("{:?}", found(&rollout)) };
    assert_eq!(reason, Reason::Rejected);
    assert!(message.contains("rejected by anna") && message.contains("tested in staging"), "{message}");
}

#[test]
fn a_closed_gate_is_recorded_once_however_long_it_is_closed() {
    let mut rollout = Rollout::needing(1);
    rollout.close_window(None).run_for(60);
    let status = rollout.status.clone();
    let events = rollout.events.len();
    rollout.run_for(7 * DAY).restart_after(60).run_for(DAY);
    assert_eq!((rollout.status == status, rollout.events.len()), (true, events));
    assert_eq!(rollout.count(&Decision::RecordGates), 1);
}

#[test]
fn checks_are_repeated_when_the_gate_opens_if_they_are_too_old_and_not_before() {
    let most = MAX_AGE_BEFORE_INTENT.as_secs();
    for (waited, checked) in [(most, 1), (most + 1, 2), (30 * DAY, 2)] {
        let mut rollout = Rollout::new();
        rollout.close_window(Some(waited)).run_for(waited - 1);
        assert_eq!((rollout.count(&Decision::Validate), rollout.count(&Decision::Trace)), (1, 1), "{waited} s");
        rollout.run_for(60);
        assert_eq!((rollout.count(&Decision::Validate), rollout.count(&Decision::Trace)), (checked, checked));
        rollout.assert_succeeded();
        assert!(rollout.attempt().gates.as_ref().unwrap().since.is_some(), "the wait stays recorded");
        assert_eq!(rollout.condition_text(ConditionType::GatesOpen), "True/GatesOpen");
    }
}

#[test]
fn checks_that_are_repeated_and_refused_end_an_approved_attempt() {
    let mut rollout = Rollout::needing(1);
    rollout.run_for(2 * MAX_AGE_BEFORE_INTENT.as_secs());
    let refused = crate::answer::ValidationAnswer::Refused { errors: vec!["memory".to_owned()] };
    rollout.world.validation = vec![Ok(refused)];
    rollout.decide_by(Approve, "anna").run_for(120);
    assert_eq!(rollout.outcome(), Some((Outcome::Failed, Reason::ValidationRefused)));
    assert!(rollout.status.acted_decisions.is_empty(), "the approval was not used");
}

#[test]
fn a_rollout_that_waits_holds_no_slot_and_asks_for_one_when_the_gate_opens() {
    let mut rollout = Rollout::needing(1);
    rollout.run_for(60);
    // The controller gives the slot back when the reconcile ends.
    rollout.memory.attempt.slot = crate::admission::AdmissionSlot::NotRequested;
    rollout.run_for(DAY);
    assert_eq!(rollout.count(&Decision::RequestSlot), 1);
    rollout.decide_by(Approve, "anna").run_for(120).assert_succeeded();
    assert_eq!(rollout.count(&Decision::RequestSlot), 2);
}

#[test]
fn a_suspended_rollout_waits_for_nobody_and_is_rejected_all_the_same() {
    let mut rollout = Rollout::needing(1);
    rollout.run_for(60).suspend(true).decide_by(Approve, "anna").run_for(600);
    assert_eq!(rollout.condition_text(ConditionType::Ready), "False/Suspended");
    assert!(!rollout.is_submitted());
    let mut rejected = Rollout::needing(1);
    rejected.run_for(60).suspend(true).decide_by(Reject, "ben").run_for(60);
    assert_eq!(rejected.outcome(), Some((Outcome::Abandoned, Reason::Rejected)));
    rollout.suspend(false).run_for(120).assert_succeeded();
}

#[test]
fn a_deleted_resource_goes_away_while_it_waits() {
    let mut rollout = Rollout::needing(1);
    rollout.close_window(None).run_for(60).delete().run_for(60);
    assert!(rollout.is_released);
    assert_eq!(rollout.outcome(), Some((Outcome::Abandoned, Reason::ResourceDeleted)));
    assert!(rollout.audits().is_empty(), "nothing was submitted");
}

#[test]
fn a_crash_loses_no_approval_and_repeats_no_submit() {
    let mut rollout = Rollout::needing(2);
    rollout.run_for(60).decide_by(Approve, "anna").run().crash().decide_by(Approve, "ben");
    rollout.before_decision(&Decision::Submit).crash().run_for(120);
    rollout.assert_succeeded();
    assert_eq!(rollout.count(&Decision::Submit), 1);
    assert_eq!(rollout.status.acted_decisions.len(), 2);
    assert!(matches!(&rollout.messages[..], [OutboxMessage::Audit { .. }, OutboxMessage::Webhook { .. }]));
}

#[test]
fn a_requirement_that_is_dropped_opens_the_gate() {
    let mut rollout = Rollout::needing(1);
    rollout.run_for(60).edit(|spec| spec.approval = None).run_for(120).assert_succeeded();
}
