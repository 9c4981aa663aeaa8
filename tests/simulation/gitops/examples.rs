//! The examples of Argo CD's health test: real states of the operator's resources, and their expected health.
//!
//! `UPDATE_EXAMPLES=1 cargo test --test simulation examples` takes them from the stories again.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::argo_cd::{FOLDER, Health, assess, root};
use super::states::{self, Shape, State};
use crate::kstatus::conditions;

/// Each example with its story, and with the reason of Ready, if Ready is set.
const EXAMPLES: [(&str, &str, Option<&str>); 20] = [
    ("progressing_not_seen", "success", None),
    ("progressing_validating", "validation refused", Some("Validating")),
    ("progressing_rolling_out", "success", Some("RollingOut")),
    ("progressing_monitoring", "rollback by health", Some("Monitoring")),
    ("progressing_rolling_back", "rollback by health", Some("RollingBack")),
    ("progressing_newer_waiting", "a new version while the job runs", Some("NewerConfigurationWaiting")),
    ("progressing_new_generation", "a new version after a success", Some("Succeeded")),
    ("healthy", "success", Some("Succeeded")),
    ("degraded_validation_refused", "validation refused", Some("ValidationRefused")),
    ("degraded_trace_not_passed", "conflicts found by the trace", Some("TraceNotPassed")),
    ("degraded_rolled_back", "rollback by health", Some("RolledBack")),
    ("degraded_rollback_unreachable", "a rollback that is unreachable for ten minutes", Some("RollbackUnreachable")),
    ("degraded_waiting_for_a_person", "bad health without autoTrigger", Some("HealthCheckFailed")),
    ("degraded_unauthorized", "a wrong client secret that is corrected", Some("Unauthorized")),
    ("suspended", "suspended from the beginning", Some("Suspended")),
    ("suspended_awaiting_approval", "two approvals", Some("AwaitingApproval")),
    ("suspended_window_closed", "a freeze that ends", Some("WindowClosed")),
    (
        "progressing_awaiting_upstream",
        "a deployment that a rollout requires is created later",
        Some("AwaitingUpstream"),
    ),
    ("degraded_rejected", "rejected", Some("Rejected")),
    ("degraded_unhealthy_after_success", "health is bad for a while after the success", Some("UnhealthyAfterSuccess")),
];

/// The form of Argo CD's `health_test.yaml`.
#[derive(Deserialize)]
struct HealthTest {
    tests: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    health_status: Health,
    input_path: String,
}

#[test]
#[ignore = "needs Go, which builds Argo CD's Lua: .ci/run runs it"]
fn the_health_script_gives_every_example_its_expected_health() {
    let cases = cases();
    let objects: Vec<Value> = cases.iter().map(|case| read(&case.input_path)).collect();
    let healths = assess(&objects.iter().collect::<Vec<_>>());
    for (case, health) in cases.iter().zip(healths) {
        assert_eq!(health, case.health_status, "{}", case.input_path);
    }
}

#[test]
fn every_example_is_in_the_health_test_and_every_health_occurs() {
    let cases = cases();
    let tested: BTreeSet<String> = cases.iter().map(|case| case.input_path.clone()).collect();
    let examples: BTreeSet<String> = EXAMPLES.iter().map(|(name, ..)| path(name)).collect();
    assert_eq!(tested, examples);
    let entries = fs::read_dir(root().join(FOLDER).join("testdata")).unwrap();
    let files = entries.map(|entry| format!("testdata/{}", entry.unwrap().file_name().into_string().unwrap()));
    assert_eq!(files.collect::<BTreeSet<_>>(), examples);
    let said: BTreeSet<&str> = cases.iter().map(|case| case.health_status.status.as_str()).collect();
    assert_eq!(said, BTreeSet::from(["Degraded", "Healthy", "Progressing", "Suspended"]));
}

#[test]
fn every_example_is_a_state_of_its_story() {
    for (name, story, reason) in EXAMPLES {
        let found = states::of(story).into_iter().find(|state| is_it(name, reason, state));
        let found = found.unwrap_or_else(|| panic!("{name}: no state of {story:?} says {reason:?}"));
        if std::env::var_os("UPDATE_EXAMPLES").is_some() {
            fs::write(file(&path(name)), serde_saphyr::to_string(found.object.as_ref()).unwrap()).unwrap();
        }
        let shapes: Vec<Shape> = states::of(story).iter().map(|state| Shape::of(&state.object)).collect();
        let example = read(&path(name));
        assert!(shapes.contains(&Shape::of(&example)), "{name} is no state of {story:?}: {:?}", Shape::of(&example));
        assert!(is_it(name, reason, &State { story, object: example.into() }), "{name}");
    }
}

fn is_it(name: &str, reason: Option<&str>, state: &State) -> bool {
    let ready = conditions(&state.object).find(|condition| condition["type"] == "Ready");
    let is_seen = state.object["status"]["observedGeneration"] == state.object["metadata"]["generation"];
    let awaits_its_turn = matches!(name, "progressing_not_seen" | "progressing_new_generation");
    ready.and_then(|ready| ready["reason"].as_str()) == reason && is_seen != awaits_its_turn
}

fn cases() -> Vec<Case> {
    let text = fs::read_to_string(file("health_test.yaml")).unwrap();
    serde_saphyr::from_str::<HealthTest>(&text).unwrap().tests
}

fn read(path: &str) -> Value {
    let text = fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn file(path: &str) -> PathBuf {
    root().join(FOLDER).join(path)
}

fn path(name: &str) -> String {
    format!("testdata/{name}.yaml")
}
