//! A status that somebody removes: it is restored in the middle of a rollout, and accepted otherwise.

use super::fixture::{Rollout, TIMEOUT};
use crate::key;
use crate::put_back::after_removal;
use api::reason::Reason;
use api::status::{CognigyDeploymentStatus, DeliveryKind, OutboxEntry, Step};
use serde_json::json;
use std::collections::BTreeSet;

/// The status after somebody has patched it to null, or has patched only its attempt to null.
fn removals(status: &CognigyDeploymentStatus) -> [Option<CognigyDeploymentStatus>; 3] {
    let emptied = CognigyDeploymentStatus { attempt: None, ..status.clone() };
    [None, Some(CognigyDeploymentStatus::default()), Some(emptied)]
}

#[test]
fn a_status_that_is_removed_in_flight_is_restored_with_a_warning_that_names_the_job() {
    for (step, named) in [
        (Step::Submitting, "the submit of attempt 1"),
        (Step::RollingOut, "job_1"),
        (Step::Monitoring, "job_1"),
        (Step::RollingBack, "job_1"),
    ] {
        let status = Rollout::at(step).status;
        for arrived in removals(&status) {
            let put_back = after_removal(arrived.as_ref(), Some(&status)).unwrap();
            assert_eq!(put_back.status, status, "{step:?}");
            let [event] = &put_back.effects.events[..] else { panic!("{step:?}: one event") };
            assert!(event.warning && event.reason == Reason::StatusPutBack, "{event:?}");
            let note = format!("somebody removed the status while {named} was in flight; it was put back");
            assert!(event.note.starts_with(&note), "{}", event.note);
            assert!(put_back.effects.messages.is_empty(), "no message to the audit log or the webhook");
        }
    }
}

#[test]
fn a_requested_rollback_of_a_success_is_in_flight_as_well() {
    let mut rollout = Rollout::at(Step::Settled);
    rollout.request_rollback("1").before_decision(&crate::Decision::Rollback);
    let status = rollout.status;
    assert!(status.attempt.as_ref().unwrap().verdict.is_some());
    assert!(after_removal(None, Some(&status)).is_some());
}

#[test]
fn a_status_that_is_removed_while_nothing_is_in_flight_stays_removed() {
    for step in [Step::Pending, Step::Validating, Step::Tracing, Step::VerifyingRollback, Step::Settled] {
        let status = Rollout::at(step).status;
        for arrived in removals(&status) {
            assert_eq!(after_removal(arrived.as_ref(), Some(&status)), None, "{step:?}");
        }
    }
}

#[test]
fn waiting_messages_are_restored_and_the_rest_stays_removed() {
    let mut status = Rollout::at(Step::Settled).status;
    let entry = |id: &str| {
        let entry = json!({"id": id, "kind": "Audit", "body": "{}", "createdAt": "2026-01-01T12:00:00Z"});
        serde_json::from_value::<OutboxEntry>(entry).unwrap()
    };
    status.outbox = vec![entry("first"), entry("second")];
    let emptied = CognigyDeploymentStatus { outbox: status.outbox[1..].to_vec(), ..CognigyDeploymentStatus::default() };
    for (arrived, missing) in [(None, 2), (Some(CognigyDeploymentStatus::default()), 2), (Some(emptied), 1)] {
        let put_back = after_removal(arrived.as_ref(), Some(&status)).unwrap();
        let outbox = status.outbox.clone();
        assert_eq!(put_back.status, CognigyDeploymentStatus { outbox, ..CognigyDeploymentStatus::default() });
        let [event] = &put_back.effects.events[..] else { panic!("one event") };
        assert!(event.warning && event.note.contains(&format!("{missing} message(s)")), "{event:?}");
    }
    let kept = CognigyDeploymentStatus { attempt: None, ..status.clone() };
    assert_eq!(after_removal(Some(&kept), Some(&status)), None, "only the attempt was removed: nothing is missing");
}

#[test]
fn a_status_with_an_attempt_is_accepted_and_an_unremembered_status_is_not_invented() {
    let in_flight = Rollout::at(Step::RollingOut).status;
    for arrived in [Step::Submitting, Step::RollingOut, Step::Settled] {
        assert_eq!(after_removal(Some(&Rollout::at(arrived).status), Some(&in_flight)), None, "{arrived:?}");
    }
    assert_eq!(after_removal(None, None), None);
}

/// S10 and S8. Otherwise the API would answer with the job of the earlier attempt, and a receiver would treat the new
/// message as a repeat.
#[test]
fn an_attempt_after_a_reset_has_an_earlier_number_but_different_keys() {
    let mut rollout = Rollout::at(Step::Settled);
    let (mut keys, mut messages) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..3 {
        let attempt = rollout.attempt();
        assert_eq!(attempt.number, 1);
        keys.insert(attempt.idempotency_key().cloned().unwrap());
        for kind in DeliveryKind::ALL {
            messages.insert(key::outcome_message("6f2c0f0e", 1, attempt.started_at, kind));
        }
        rollout.status = CognigyDeploymentStatus::default();
        rollout.run_for(TIMEOUT);
    }
    assert_eq!((keys.len(), messages.len()), (3, 6));
}
