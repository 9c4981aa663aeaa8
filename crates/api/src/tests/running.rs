//! What the environment runs, by the status of its resource.

use crate::status::{CognigyDeploymentStatus, Running, running};
use serde_json::{Value, json};

/// Attempt 2, to version 2.5.0, with an intent. The patch is merged over it.
fn attempt(patch: &Value) -> Value {
    let mut attempt = json!({
        "number": 2, "digest": "v1:0123456789abcdef", "version": "2.5.0", "generation": 2, "step": "Settled",
        "startedAt": "2026-01-01T12:00:00Z", "checks": {"digest": "v1:c"},
        "submission": {"intendedAt": "2026-01-01T12:01:00Z", "deadlineAt": "2026-01-01T12:06:00Z",
            "apiOrigin": "https://api.cognigy.ai", "idempotencyKey": "k", "requestHash": "r", "clientHash": "c"},
        "job": {"id": "job_2", "completedAt": "2026-01-01T12:01:30Z"},
    });
    super::merge(&mut attempt, patch);
    attempt
}

fn ended(outcome: &str, patch: &Value) -> Value {
    let mut attempt = attempt(patch);
    attempt["verdict"] = json!({"outcome": outcome, "reason": "HealthCheckFailed", "at": "2026-01-01T12:02:00Z"});
    attempt
}

fn status(attempt: &Value, recorded: Option<Value>) -> CognigyDeploymentStatus {
    serde_json::from_value(json!({"attempt": attempt, "running": recorded})).unwrap()
}

fn before() -> Value {
    json!({"configuration": "2.4.1", "since": "2026-01-01T11:00:00Z", "attempt": 1})
}

fn shown(running: Option<&Running>) -> Option<(String, String)> {
    running.map(|running| (running.configuration.clone(), running.since.strftime("%H:%M").to_string()))
}

#[test]
fn each_state_of_an_attempt_says_what_runs() {
    let rollback = json!({"key": "k", "reason": "manual", "requestedAt": "2026-01-01T12:03:00Z"});
    let mut accepted = rollback.clone();
    accepted["acceptedAt"] = json!("2026-01-01T12:04:00Z");
    let named = json!({"revertSnapshotId": "snap_x"});
    let table = [
        (
            "before the submit",
            attempt(&json!({"step": "Tracing", "submission": null, "job": null})),
            ("2.4.1", "11:00"),
        ),
        ("never submitted", ended("Failed", &json!({"submission": null, "job": null})), ("2.4.1", "11:00")),
        ("the submit is not answered", attempt(&json!({"job": null})), ("2.4.1 or 2.5.0", "12:01")),
        ("the job runs", attempt(&json!({"step": "RollingOut"})), ("2.4.1 or 2.5.0", "12:01")),
        ("without a version", attempt(&json!({"version": null})), ("2.4.1 or v1:0123456789ab", "12:01")),
        ("the same version again", attempt(&json!({"version": "2.4.1"})), ("2.4.1", "12:01")),
        ("succeeded", ended("Succeeded", &json!({})), ("2.5.0", "12:02")),
        ("the submit was refused", ended("Failed", &json!({"job": null})), ("2.4.1", "11:00")),
        ("left in place", ended("Failed", &json!({})), ("2.5.0 (bad)", "12:02")),
        ("the rollback was refused", ended("RollbackFailed", &json!({"rollback": rollback})), ("2.5.0 (bad)", "12:02")),
        ("the job failed", ended("Failed", &json!({"job": {"completedAt": null}})), ("2.4.1 or 2.5.0", "12:01")),
        ("given up", ended("Abandoned", &json!({})), ("2.4.1 or 2.5.0", "12:01")),
        ("never answered", ended("Unknown", &json!({"job": null})), ("2.4.1 or 2.5.0", "12:01")),
        ("rolled back", ended("RolledBack", &json!({"rollback": accepted})), ("before 2.5.0", "12:04")),
        ("rolled back by the platform", ended("RolledBack", &json!({})), ("before 2.5.0", "12:02")),
        (
            "rolled back to a snapshot",
            ended("RolledBack", &json!({"rollback": accepted, "submission": named})),
            ("snapshot snap_x", "12:04"),
        ),
        ("undone after its success", ended("Succeeded", &json!({"rollback": accepted})), ("before 2.5.0", "12:04")),
        ("about to be undone", ended("Succeeded", &json!({"rollback": rollback})), ("2.5.0", "12:02")),
    ];
    for (case, attempt, (configuration, since)) in table {
        let mut status = status(&attempt, Some(before()));
        let now = running(&status);
        assert_eq!(shown(now.as_ref()), Some((configuration.to_owned(), since.to_owned())), "{case}");
        status.running.clone_from(&now);
        assert_eq!(running(&status), now, "{case}: the record does not change until the attempt does");
        assert!(!status.running_in_words().is_empty());
    }
}

#[test]
fn without_a_deployment_nothing_runs() {
    assert_eq!(running(&CognigyDeploymentStatus::default()), None);
    let refused = status(&ended("Failed", &json!({"submission": null, "job": null})), None);
    assert_eq!(running(&refused), None);
    let first = status(&attempt(&json!({})), None);
    assert_eq!(shown(running(&first).as_ref()).unwrap().0, "perhaps 2.5.0");
}

#[test]
fn a_refused_submit_restores_the_record_of_what_ran_before() {
    for what in ["2.4.0 (bad)", "snapshot snap_x", "2.3.0 or 2.4.0"] {
        let recorded = json!({"configuration": what, "since": "2026-01-01T11:00:00Z", "attempt": 1});
        let mut status = status(&attempt(&json!({"job": null})), Some(recorded));
        let before = status.running.clone();
        status.running = running(&status);
        assert_eq!(status.running.as_ref().unwrap().configuration, format!("{what} or 2.5.0"));
        let refused = ended("Failed", &json!({"job": null}));
        status.attempt = serde_json::from_value(refused).unwrap();
        assert_eq!(running(&status), before);
    }
}

#[test]
fn the_text_does_not_grow_with_each_submit_whose_outcome_is_not_known() {
    let mut status = status(&attempt(&json!({})), None);
    for number in 2..200 {
        let unknown = ended("Unknown", &json!({"number": number, "version": format!("{number:064}"), "job": null}));
        status.attempt = serde_json::from_value(unknown).unwrap();
        status.running = running(&status);
        let text = &status.running.as_ref().unwrap().configuration;
        assert!(text.len() <= 338 && text.contains(&format!("{number:064}")), "{text}");
    }
}

#[test]
fn the_sentence_says_what_happened() {
    let words = |attempt: &Value| {
        let mut status = status(attempt, Some(before()));
        status.running = running(&status);
        status.running_in_words()
    };
    assert_eq!(words(&ended("Succeeded", &json!({}))), "the environment runs version 2.5.0");
    assert_eq!(words(&ended("Failed", &json!({}))), "the environment still runs version 2.5.0, which is bad");
    assert_eq!(words(&attempt(&json!({}))), "the environment is changing from 2.4.1 to version 2.5.0");
    assert_eq!(
        words(&ended("RolledBack", &json!({"submission": {"revertSnapshotId": "snap_x"}}))),
        "the environment runs the snapshot snap_x again; version 2.5.0 was rolled back"
    );
    assert_eq!(
        words(&ended("Unknown", &json!({"job": null}))),
        "it is not known whether the environment runs version 2.5.0; it runs: 2.4.1 or 2.5.0"
    );
    assert_eq!(CognigyDeploymentStatus::default().running_in_words(), "this resource has deployed nothing yet");
}
