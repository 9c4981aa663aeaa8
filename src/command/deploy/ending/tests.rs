#![allow(clippy::unwrap_used)]

use super::*;
use serde_json::{Value, json};

const DIGEST: &str = "v1:aaaa";

fn digest() -> Digest {
    serde_json::from_value(json!(DIGEST)).unwrap()
}

fn object(status: &Value) -> CognigyDeployment {
    serde_json::from_value(json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "CognigyDeployment",
        "metadata": {"name": "bot", "namespace": "bots", "generation": 2},
        "spec": {"environmentId": "env", "configurationSnapshot": {"a": 1}},
        "status": status,
    }))
    .unwrap()
}

fn status(step: &str, more: &Value, reason: &str, flag: &str) -> CognigyDeploymentStatus {
    let mut attempt = json!({
        "number": 1, "digest": DIGEST, "generation": 2, "step": step, "startedAt": "2026-01-01T12:00:00Z",
        "checks": {"digest": "v1:bbbb"},
    });
    attempt.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let at = "2026-01-01T12:00:00Z";
    let mut conditions =
        vec![json!({"type": "Ready", "status": "Unknown", "reason": reason, "lastTransitionTime": at})];
    if !flag.is_empty() {
        conditions
            .push(json!({"type": flag, "status": "True", "reason": reason, "lastTransitionTime": at, "message": "m"}));
    }
    serde_json::from_value(json!({"observedGeneration": 2, "attempt": attempt, "conditions": conditions})).unwrap()
}

fn verdict(outcome: &str) -> Value {
    json!({"verdict": {"outcome": outcome, "reason": "HealthCheckFailed", "at": "2026-01-01T12:01:00Z"}})
}

fn submitted() -> Value {
    json!({
        "submission": {
            "intendedAt": "2026-01-01T12:00:05Z", "deadlineAt": "2026-01-01T12:05:05Z",
            "apiOrigin": "https://api.cognigy.ai", "idempotencyKey": "k", "requestHash": "h", "clientHash": "c",
        },
    })
}

fn finding_of(status: &CognigyDeploymentStatus) -> Finding {
    found(&object(&json!(status)), &digest())
}

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn every_way_to_end_has_its_exit_code() {
    let (reason, message) = (Reason::Pending, String::new());
    let well = Finding::Succeeded { job_id: None, since: Timestamp::UNIX_EPOCH, message: message.clone() };
    for (ending, code) in [
        (Ending::Found(well), 0),
        (Ending::Found(Finding::Failed { reason, message: message.clone() }), 1),
        (Ending::TimedOut, 3),
        (Ending::Found(Finding::NeedsPerson { reason, message }), 4),
        (Ending::NotReached, 5),
        (Ending::Interrupted(Interruption::Interrupt), 130),
        (Ending::Interrupted(Interruption::Terminate), 143),
    ] {
        assert_eq!(ending.exit_code(), code, "{ending:?}");
    }
}

#[test]
fn a_run_goes_on_for_a_rollout_in_flight_also_while_a_person_is_needed() {
    let (before, after) = (moment("2026-01-01T12:05:00Z"), moment("2026-01-01T12:05:05Z"));
    for (step, more, reason, flag, now, is_over) in [
        ("Validating", json!({}), "Validating", "Reconciling", before, false),
        ("Validating", json!({}), "ApiUnavailable", "Reconciling", after, false),
        ("Validating", json!({}), "Unauthorized", "Stalled", before, true),
        ("Submitting", submitted(), "SubmitOutcomeUnknown", "Stalled", before, false),
        ("Submitting", submitted(), "SubmitOutcomeUnknown", "Stalled", after, true),
        ("Submitting", submitted(), "Unauthorized", "Stalled", after, false),
        ("RollingOut", submitted(), "Unauthorized", "Stalled", after, false),
        ("RollingBack", submitted(), "RollbackUnreachable", "Stalled", after, false),
        ("Settled", verdict("RolledBack"), "RolledBack", "Stalled", before, true),
        ("Settled", verdict("Unknown"), "SubmitOutcomeUnknown", "Stalled", before, true),
        ("Settled", verdict("Succeeded"), "Succeeded", "", before, true),
    ] {
        let status = status(step, &more, reason, flag);
        assert_eq!(is_final(&finding_of(&status), Some(&status), now), is_over, "{step} {reason}");
    }
}

#[test]
fn a_status_that_does_not_know_the_newest_edit_or_request_says_nothing() {
    let succeeded = status("Settled", &verdict("Succeeded"), "Succeeded", "");
    let known = |change: &dyn Fn(&mut CognigyDeployment)| {
        let mut object = object(&json!(succeeded));
        change(&mut object);
        !matches!(found(&object, &digest()), Finding::Pending { .. })
    };
    assert!(known(&|_| {}));
    assert!(!known(&|object| object.metadata.generation = Some(3)));
    for annotation in [RETRY_ANNOTATION, ROLLBACK_ANNOTATION] {
        let annotate = |object: &mut CognigyDeployment| {
            object.annotations_mut().insert(annotation.to_owned(), "now".to_owned());
        };
        assert!(!known(&annotate), "{annotation}");
        assert!(known(&|object| {
            annotate(object);
            let now = Some("now".to_owned());
            let handled = HandledRequests { retry: now.clone(), rollback: now };
            object.status.as_mut().unwrap().handled_requests = Some(handled);
        }));
    }
}

#[test]
fn nothing_is_left_to_do_once_all_messages_are_accepted_and_a_rollback_was_watched() {
    assert!(is_done(None));
    assert!(is_done(Some(&status("Settled", &verdict("RolledBack"), "RolledBack", "Stalled"))));
    assert!(!is_done(Some(&status("VerifyingRollback", &verdict("RolledBack"), "RolledBack", "Stalled"))));
    let mut owing = status("Settled", &verdict("RolledBack"), "RolledBack", "Stalled");
    let entry = json!({"id": "1", "kind": "Webhook", "body": "{}", "createdAt": "2026-01-01T12:00:00Z"});
    owing.outbox.push(serde_json::from_value(entry).unwrap());
    assert!(!is_done(Some(&owing)));
}

#[test]
fn a_time_out_says_whether_the_platform_was_reached() {
    let ending = |status: &CognigyDeploymentStatus| timed_out(finding_of(status), Some(status));
    for (step, reason, expected) in [
        ("Validating", "ApiUnavailable", Ending::NotReached),
        // The first call still waits for its answer.
        ("Validating", "Validating", Ending::NotReached),
        ("Validating", "Queued", Ending::TimedOut),
        ("Tracing", "ApiUnavailable", Ending::NotReached),
        ("Tracing", "Tracing", Ending::TimedOut),
    ] {
        assert_eq!(ending(&status(step, &json!({}), reason, "Reconciling")), expected, "{step} {reason}");
    }
    assert_eq!(timed_out(Finding::Pending { message: String::new() }, None), Ending::NotReached);
    // A rollout that may be running is more than an API that was not reached.
    assert_eq!(ending(&status("RollingOut", &submitted(), "ApiUnavailable", "Reconciling")), Ending::TimedOut);
    let stuck = ending(&status("RollingBack", &submitted(), "RollbackUnreachable", "Stalled"));
    assert_eq!(stuck.exit_code(), 4);
}
