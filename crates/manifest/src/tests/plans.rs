//! What a plan says, for each state that a live object can be in.

use super::{sample, sample_with};
use crate::plan::{Action, Event, Kind, Part, Plan, Texts, plan};
use api::{CognigyDeployment, Digest, PlanId};
use serde_json::{Value, json};

pub(crate) fn object(value: &Value) -> CognigyDeployment {
    serde_json::from_value(value.clone()).unwrap()
}

fn digest(object: &CognigyDeployment) -> Digest {
    Digest::of_deployment(&object.spec, object.spec.configuration_snapshot.as_ref().unwrap()).unwrap()
}

/// An attempt at what the object wants.
fn attempt(object: &CognigyDeployment, step: &str, outcome: Option<&str>) -> Value {
    let mut attempt = json!({
        "number": 7, "digest": digest(object), "version": "2.4.1", "generation": 3, "step": step,
        "startedAt": "2026-01-01T12:00:00Z", "checks": {"digest": Digest::of_checks(&object.spec)},
    });
    if !["Pending", "Validating", "Tracing"].contains(&step) {
        attempt["submission"] = json!({"intendedAt": "2026-01-01T12:00:10Z", "deadlineAt": "2026-01-01T12:05:10Z",
            "apiOrigin": "https://api.cognigy.ai", "idempotencyKey": "k", "requestHash": "r", "clientHash": "c"});
        attempt["job"] = json!({"id": "job-1"});
    }
    if let Some(outcome) = outcome {
        attempt["verdict"] = json!({"outcome": outcome, "reason": "Succeeded", "at": "2026-01-01T12:01:00Z"});
    }
    attempt
}

/// The sample as the cluster has it, with an attempt at it.
pub(crate) fn live(step: &str, outcome: Option<&str>) -> CognigyDeployment {
    let mut value = sample();
    let attempt = attempt(&object(&sample()), step, outcome);
    value["metadata"]["uid"] = json!("6f2c");
    value["status"] = json!({"observedGeneration": 3, "attempt": attempt, "handledRequests": {}});
    if outcome == Some("Succeeded") {
        value["status"]["running"] = json!({"configuration": "2.4.1", "since": "2026-01-01T12:01:00Z", "attempt": 7});
        value["status"]["lastSuccessful"] = json!({"number": 7, "digest": attempt["digest"], "version": "2.4.1", "jobId": "job-1", "at": "2026-01-01T12:01:00Z"});
    }
    object(&value)
}

fn planned(live: &CognigyDeployment, patch: &Value) -> Plan {
    plan(Some(live), &object(&sample_with(patch)), &Texts::default(), &[]).unwrap()
}

fn paths(plan: &Plan) -> Vec<&str> {
    plan.changes.iter().map(|change| change.path.as_str()).collect()
}

#[test]
fn a_plan_of_what_runs_is_empty() {
    let plan = planned(&live("Settled", Some("Succeeded")), &json!({}));
    assert_eq!((plan.kind, plan.next.event, plan.changes.len()), (Kind::Nothing, Event::Nothing, 0));
    assert!(!plan.has_changes() && !plan.is_refused());
    assert_eq!((plan.running.as_ref().unwrap().configuration.as_str(), plan.is_running), ("2.4.1", true));
}

#[test]
fn the_parts_of_the_digest_that_change_are_named() {
    for (patch, part, path, action) in [
        (
            json!({"configurationSnapshot": {"botVersion": "2.4.2"}}),
            Part::Snapshot,
            "configurationSnapshot.botVersion",
            Action::Changed,
        ),
        (json!({"configurationSnapshot": {"new": {}}}), Part::Snapshot, "configurationSnapshot.new", Action::Added),
        (
            json!({"configurationSnapshot": {"botVersion": null}}),
            Part::Snapshot,
            "configurationSnapshot.botVersion",
            Action::Removed,
        ),
        (
            json!({"dependencyLocks": [{"packageName": "cognigy-nlp-core", "version": "3.2.1"}, {"packageName": "dialog-runtime", "version": "2.1.4"}]}),
            Part::Locks,
            "dependencyLocks[cognigy-nlp-core].version",
            Action::Changed,
        ),
        (
            json!({"dependencyLocks": [{"packageName": "dialog-runtime", "version": "2.1.4"}]}),
            Part::Locks,
            "dependencyLocks[cognigy-nlp-core]",
            Action::Removed,
        ),
        (
            json!({"capacityConstraints": {"memoryLimitMb": 8192}}),
            Part::Capacity,
            "capacityConstraints.memoryLimitMb",
            Action::Changed,
        ),
    ] {
        let plan = planned(&live("Settled", Some("Succeeded")), &patch);
        assert_eq!(
            (plan.kind, plan.parts.as_slice(), plan.next.event),
            (Kind::Attempt, [part].as_slice(), Event::Starts),
            "{patch}"
        );
        assert_eq!((paths(&plan), plan.changes[0].action), (vec![path], action), "{patch}");
        assert_eq!(plan.next.message, "attempt 8 starts at once");
    }
    let both = planned(
        &live("Settled", Some("Succeeded")),
        &json!({"configurationSnapshot": {"a": 1}, "capacityConstraints": {"memoryLimitMb": 1}}),
    );
    assert_eq!(both.parts, [Part::Snapshot, Part::Capacity]);
}

#[test]
fn the_order_of_locks_means_nothing_and_the_order_of_other_lists_does() {
    let locks = json!({"dependencyLocks": [{"packageName": "dialog-runtime", "version": "2.1.4"}, {"packageName": "cognigy-nlp-core", "version": "3.2.0"}]});
    assert_eq!(planned(&live("Settled", Some("Succeeded")), &locks).kind, Kind::Nothing);

    let flows =
        |order: [&str; 2]| json!({"configurationSnapshot": {"flows": order.map(|id| json!({"id": id, "size": 1}))}});
    let mut live = object(&sample_with(&flows(["a", "b"])));
    live.status =
        Some(serde_json::from_value(json!({"attempt": attempt(&live, "Settled", Some("Succeeded"))})).unwrap());
    let plan = planned(&live, &flows(["b", "a"]));
    assert_eq!(
        (plan.kind, plan.changes[0].action, paths(&plan)),
        (Kind::Attempt, Action::Reordered, vec!["configurationSnapshot.flows"])
    );
}

#[test]
fn settings_checks_and_metadata_start_no_attempt() {
    let live_object = live("Settled", Some("Succeeded"));
    for (patch, kind) in [
        (json!({"monitoring": {"intervalSeconds": 20}}), Kind::Settings),
        (json!({"rollbackPolicy": {"autoTrigger": false}}), Kind::Settings),
        (json!({"historyLimit": 3, "deletionPolicy": "Rollback"}), Kind::Settings),
        (json!({"suspend": true}), Kind::Settings),
        (json!({"displayVersion": "spring-7"}), Kind::Shown),
        (json!({"displayVersion": "spring-7", "suspend": true}), Kind::Settings),
        (json!({"traceOptions": {"simulationDepth": 9}}), Kind::Checks),
    ] {
        let plan = planned(&live_object, &patch);
        assert_eq!((plan.kind, plan.next.event, plan.parts.len()), (kind, Event::Nothing, 0), "{patch}");
        assert!(plan.has_changes());
    }
    let mut labelled = sample();
    labelled["metadata"]["labels"] = json!({"team": "voice"});
    let plan = plan(Some(&live_object), &object(&labelled), &Texts::default(), &[]).unwrap();
    assert_eq!((plan.kind, paths(&plan)), (Kind::Metadata, vec!["metadata.labels.team"]));
}

#[test]
fn what_happens_next_depends_on_the_attempt() {
    let (other, checks) =
        (json!({"configurationSnapshot": {"botVersion": "3"}}), json!({"traceOptions": {"simulationDepth": 9}}));
    for (step, outcome, patch, event) in [
        ("Pending", None, &other, Event::Replaces),
        ("Tracing", None, &other, Event::Replaces),
        ("Validating", None, &checks, Event::ChecksAgain),
        ("Submitting", None, &other, Event::WaitsForAttempt),
        ("RollingOut", None, &other, Event::WaitsForAttempt),
        ("Monitoring", None, &other, Event::WaitsForAttempt),
        ("RollingBack", None, &other, Event::WaitsForAttempt),
        ("Monitoring", None, &checks, Event::Nothing),
        ("VerifyingRollback", Some("RolledBack"), &other, Event::Starts),
        ("Settled", Some("Failed"), &other, Event::Starts),
        ("Settled", Some("Unknown"), &other, Event::WaitsForAttempt),
        ("Settled", Some("RolledBack"), &json!({}), Event::Nothing),
    ] {
        let plan = planned(&live(step, outcome), patch);
        assert_eq!(plan.next.event, event, "{step} {outcome:?} {patch}: {}", plan.next.message);
        assert_eq!(plan.next.until.is_some(), event == Event::WaitsForAttempt);
    }
    let message = planned(&live("RollingOut", None), &other).next.message;
    assert_eq!(
        message,
        "attempt 7 (version 2.4.1, RollingOut) is in flight: the next attempt starts once it has ended, at the latest at 2026-01-01T12:05:10Z, or after its rollback"
    );
}

#[test]
fn suspension_annotations_and_deletion_decide_what_happens_next() {
    let other = json!({"configurationSnapshot": {"botVersion": "3"}, "suspend": true});
    assert_eq!(planned(&live("Settled", Some("Succeeded")), &other).next.event, Event::WaitsWhileSuspended);
    assert_eq!(planned(&live("RollingOut", None), &other).next.event, Event::WaitsWhileSuspended);

    for (annotation, step, outcome, event) in [
        ("deploy.cognigy.ai/retry", "Settled", Some("Failed"), Event::Retries),
        ("deploy.cognigy.ai/retry", "RollingOut", None, Event::Nothing),
        ("deploy.cognigy.ai/rollback", "Settled", Some("Succeeded"), Event::RollsBack),
        ("deploy.cognigy.ai/rollback", "Pending", None, Event::RollsBack),
    ] {
        let mut desired = sample();
        desired["metadata"]["annotations"] = json!({annotation: "1"});
        let plan = plan(Some(&live(step, outcome)), &object(&desired), &Texts::default(), &[]).unwrap();
        assert_eq!((plan.kind, plan.next.event), (Kind::Metadata, event), "{annotation} {step}");
    }
    let mut deleted = serde_json::to_value(live("Settled", Some("Succeeded"))).unwrap();
    deleted["metadata"]["deletionTimestamp"] = json!("2026-01-01T12:00:00Z");
    assert_eq!(planned(&object(&deleted), &json!({"historyLimit": 1})).next.event, Event::Deleted);
}

#[test]
fn a_new_object_is_compared_with_the_defaults() {
    let plan = plan(None, &object(&sample()), &Texts::default(), &[]).unwrap();
    assert_eq!((plan.kind, plan.is_new, plan.next.event), (Kind::Attempt, true, Event::Starts));
    assert_eq!(
        paths(&plan),
        [
            "credentialsRef",
            "dependencyLocks[cognigy-nlp-core]",
            "dependencyLocks[dialog-runtime]",
            "environmentId",
            "webhook",
            "configurationSnapshot.botVersion",
            "configurationSnapshot.integrations"
        ]
    );
    assert_eq!(plan.plan_id, Some(PlanId::of(plan.digest.as_ref().unwrap(), &plan.checks_digest, None)));
}

#[test]
fn another_owner_of_the_environment_is_named() {
    let mut owner = serde_json::to_value(live("Settled", Some("Succeeded"))).unwrap();
    owner["metadata"]["name"] = json!("older");
    owner["status"]["claim"] = json!({"apiOrigin": "https://api.cognigy.ai", "deployedAt": "2026-01-01T12:00:10Z"});
    let owner = object(&owner);
    let new = plan(None, &object(&sample()), &Texts::default(), std::slice::from_ref(&owner)).unwrap();
    assert_eq!(new.next.event, Event::EnvironmentInUse);
    assert!(
        new.is_refused()
            && new
                .next
                .message
                .contains("CognigyDeployment bots/older (at https://api.cognigy.ai) owns environment env_prod_us_01"),
        "{}",
        new.next.message
    );

    // Another Secret may lead to another Cognigy.AI.
    let elsewhere = object(&sample_with(&json!({"credentialsRef": {"name": "other"}})));
    let plan = plan(None, &elsewhere, &Texts::default(), &[owner]).unwrap();
    assert_eq!(plan.next.event, Event::Starts);
    assert!(plan.notes[0].contains("If this resource uses the same Cognigy.AI"), "{:?}", plan.notes);
}

#[test]
fn a_snapshot_in_a_config_map_is_known_from_its_text_or_not_at_all() {
    let text = r#"{"botVersion": "2.4.1", "integrations": ["salesforce_crm", "sap_erp"]}"#;
    let reference = json!({"configurationSnapshot": null, "configurationSnapshotFrom": {"configMapKeyRef": {"name": "bot", "key": "snapshot"}}});
    let desired = object(&sample_with(&reference));
    let live_object = live("Settled", Some("Succeeded"));
    let texts = |text: Option<&str>| Texts { live: None, desired: text.map(str::to_owned) };

    let same = plan(Some(&live_object), &desired, &texts(Some(text)), &[]).unwrap();
    assert_eq!((same.kind, same.next.event, same.parts.len()), (Kind::Settings, Event::Nothing, 0));
    let other = plan(Some(&live_object), &desired, &texts(Some("botVersion: '3'")), &[]).unwrap();
    assert_eq!((other.kind, other.parts.as_slice()), (Kind::Attempt, [Part::Snapshot].as_slice()));
    let unknown = plan(Some(&live_object), &desired, &texts(None), &[]).unwrap();
    assert_eq!((unknown.kind, unknown.next.event, unknown.plan_id), (Kind::Unknown, Event::Unknown, None));
    assert!(plan(Some(&live_object), &desired, &texts(Some("a: 1\na: 2")), &[]).is_err());

    let mut awaited = sample_with(&reference);
    awaited["spec"]["configurationSnapshotFrom"]["configMapKeyRef"]["sha256"] = json!("0".repeat(64));
    let awaited = plan(Some(&live_object), &object(&awaited), &texts(Some(text)), &[]).unwrap();
    assert_eq!(awaited.next.event, Event::WaitsForConfigMap);

    // The live text is not readable: the digest of the attempt is known all the same.
    let mut live_map = serde_json::to_value(&live_object).unwrap();
    live_map["spec"] = serde_json::to_value(&desired.spec).unwrap();
    let live_map = object(&live_map);
    assert_eq!(plan(Some(&live_map), &desired, &texts(Some(text)), &[]).unwrap().kind, Kind::Nothing);
    let changed = plan(Some(&live_map), &desired, &texts(Some("a: 1")), &[]).unwrap();
    assert_eq!((changed.kind, changed.next.event), (Kind::Attempt, Event::Starts));
    assert!(changed.notes[0].contains("its differences are not listed"), "{:?}", changed.notes);
}

#[test]
fn secrets_are_never_shown() {
    let patch = json!({"webhook": {"url": "https://ci.example.com/hooks/s3cr3t"},
        "configurationSnapshot": {"apiToken": "s3cr3t", "crm": {"client_secret": "s3cr3t"}, "list": [{"password": "s3cr3t"}]}});
    let plan = planned(&live("Settled", Some("Succeeded")), &patch);
    let shown = serde_json::to_string(&plan).unwrap();
    assert!(!shown.contains("s3cr3t") && shown.contains("(hidden)"), "{shown}");
    assert_eq!(plan.changes.len(), 4);
}
