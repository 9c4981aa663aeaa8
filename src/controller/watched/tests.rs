//! Tests of the copy that is kept for a resource, and of its claim.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::controller::received::LAST_APPLIED;
use api::{CognigyDeploymentStatus, FINALIZER};
use kube::core::{ObjectList, WatchEvent};
use rollout::gates::GateFacts;
use rollout::summary;
use serde_json::{Value, json};
use std::time::Duration;

/// A name for the case, and the change to the object.
type Case = (&'static str, fn(&mut Value));

/// A name for the case, the change to the status, and the API and the claim that the status then records.
type ClaimCase = (&'static str, fn(&mut Value), Option<(&'static str, Claim)>);

/// A resource after a success, as the API server sends it.
fn succeeded() -> Value {
    let spec = json!({
        "environmentId": "env",
        "configurationSnapshot": {"botVersion": "2.4.1"},
        "credentialsRef": {"name": "cognigy-api"},
    });
    let at = "2026-01-01T12:00:00Z";
    let mut object = json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1",
        "kind": "CognigyDeployment",
        "metadata": {
            "name": "bot", "namespace": "bots", "uid": "a-uid", "resourceVersion": "7", "generation": 1,
            "creationTimestamp": at, "finalizers": [FINALIZER], "labels": {"team": "bots"},
            "annotations": {LAST_APPLIED: "{}", "team": "bots"},
            "managedFields": [{"manager": "kubectl", "operation": "Apply"}],
        },
        "spec": spec,
    });
    let typed: CognigyDeployment = serde_json::from_value(object.clone()).unwrap();
    let target = snapshot::written_target(&typed).unwrap();
    let status = json!({
        "attempt": {
            "number": 1, "digest": target.digest, "checks": {"digest": target.checks_digest}, "generation": 1,
            "step": "Settled", "startedAt": at, "job": {"id": "job_1"}, "submission": {
                "apiOrigin": "https://api", "intendedAt": at, "deadlineAt": at,
                "idempotencyKey": "k", "requestHash": "r", "clientHash": "c",
            },
            "verdict": {"outcome": "Succeeded", "reason": "Succeeded", "at": at},
        },
        "handledRequests": {},
    });
    let mut status: CognigyDeploymentStatus = serde_json::from_value(status).unwrap();
    let (settings, now) = (Settings::default(), now());
    let facts = Facts {
        namespace: "bots",
        name: "bot",
        created_at: None,
        uid: "a-uid",
        generation: 1,
        deleted_at: None,
        spec: &typed.spec,
        target: Ok(target),
        requests: Requests::default(),
        other_owner: None,
        gates: GateFacts::default(),
        settings: &settings,
        credentials_origin: None,
        has_default_webhook: false,
        polling: PollTuning::default(),
        sent_at: now,
        now,
    };
    summary::refresh(&mut status, &facts, &rollout::Memory::default());
    object["status"] = serde_json::to_value(&status).unwrap();
    object
}

fn now() -> Now {
    Now { wall: "2026-01-02T12:00:00Z".parse().unwrap(), uptime: Duration::from_secs(60) }
}

fn kept(object: &Value) -> Watched {
    Watched::deserialize(object).unwrap().pruned(&Settings::default(), None, now())
}

#[test]
fn for_a_resource_at_rest_only_its_identity_and_its_claim_are_kept() {
    let rested = kept(&succeeded());
    assert!(matches!(rested, Watched::AtRest(_)));
    let identity = json!({
        "name": "bot", "namespace": "bots", "uid": "a-uid", "resourceVersion": "7", "generation": 1,
        "creationTimestamp": "2026-01-01T12:00:00Z",
    });
    assert_eq!(serde_json::to_value(rested.meta()).unwrap(), identity);
    assert_eq!(rested.source(), Some(Source::new("bots", Some(&SecretReference { name: "cognigy-api".to_owned() }))));
}

#[test]
fn a_resource_claims_what_its_status_records() {
    let submitted: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
    let claimed: Timestamp = "2026-01-03T12:00:00Z".parse().unwrap();
    let deployed = |in_flight, at| Some(("https://api", Claim { in_flight, deployed_at: Some(at) }));
    let table: [ClaimCase; 9] = [
        ("a success of a version that recorded no claim", |_| (), deployed(false, submitted)),
        (
            "a recorded claim",
            |status| status["claim"] = json!({"apiOrigin": "https://api", "deployedAt": "2026-01-03T12:00:00Z"}),
            deployed(false, claimed),
        ),
        (
            "the next attempt, not yet submitted",
            |status| {
                status["claim"] = json!({"apiOrigin": "https://api", "deployedAt": "2026-01-03T12:00:00Z"});
                let attempt = status["attempt"].as_object_mut().unwrap();
                attempt.insert("step".to_owned(), json!("Pending"));
                ["submission", "job", "verdict"].iter().for_each(|field| drop(attempt.remove(*field)));
            },
            deployed(false, claimed),
        ),
        ("a job that runs", |status| status["attempt"]["step"] = json!("RollingOut"), deployed(true, submitted)),
        (
            "an unknown outcome",
            |status| {
                status["attempt"]["verdict"]["outcome"] = json!("Unknown");
                status["attempt"].as_object_mut().unwrap().remove("job");
            },
            deployed(true, submitted),
        ),
        (
            "a submit that was rejected",
            |status| {
                status["attempt"]["verdict"] =
                    json!({"outcome": "Failed", "reason": "SubmitRejected", "at": "2026-01-01T12:00:00Z"});
                status["attempt"].as_object_mut().unwrap().remove("job");
            },
            Some(("https://api", Claim::ACCEPTED)),
        ),
        (
            "an accepted validation, and a refused trace",
            |status| {
                status["claim"] = json!({"apiOrigin": "https://api"});
                let attempt = status["attempt"].as_object_mut().unwrap();
                ["submission", "job"].iter().for_each(|field| drop(attempt.remove(*field)));
            },
            Some(("https://api", Claim::ACCEPTED)),
        ),
        (
            "nothing was ever accepted",
            |status| {
                let attempt = status["attempt"].as_object_mut().unwrap();
                ["submission", "job"].iter().for_each(|field| drop(attempt.remove(*field)));
            },
            None,
        ),
        ("no status", |status| *status = json!(null), None),
    ];
    for (what, change, expected) in table {
        let mut object = succeeded();
        change(&mut object["status"]);
        let claim = Watched::deserialize(&object).unwrap().recorded_claim();
        let claim = claim.as_ref().map(|(place, claimant)| (place.origin.as_str(), claimant.claim));
        assert_eq!(claim, expected, "{what}");
    }
    let (place, claimant) = Watched::deserialize(&succeeded()).unwrap().recorded_claim().unwrap();
    assert_eq!((place.environment.as_str(), &*claimant.uid, claimant.version), ("env", "a-uid", 7));
}

#[test]
fn a_resource_at_rest_shows_whether_it_says_what_runs() {
    assert!(kept(&succeeded()).rests_and_says_what_runs());
    let mut suspended = succeeded();
    suspended["status"]["conditions"] = json!([]);
    assert!(!kept(&suspended).rests_and_says_what_runs(), "its conditions are not written yet");
    let over = Some("another resource owns the environment".to_owned());
    let watched = Watched::deserialize(&succeeded()).unwrap().pruned(&Settings::default(), over, now());
    assert!(watched.whole().is_some(), "its status must change to not ready");
}

#[test]
fn each_of_these_keeps_a_resource_whole() {
    let table: [Case; 11] = [
        ("no finalizer", |object| object["metadata"]["finalizers"] = json!([])),
        ("its deletion", |object| object["metadata"]["deletionTimestamp"] = json!("2026-01-02T11:00:00Z")),
        ("no status", |object| drop(object.as_object_mut().unwrap().remove("status"))),
        ("a retry", |object| object["metadata"]["annotations"][api::RETRY_ANNOTATION] = json!("1")),
        ("a rollback", |object| object["metadata"]["annotations"][api::ROLLBACK_ANNOTATION] = json!("1")),
        ("another snapshot", |object| object["spec"]["configurationSnapshot"]["botVersion"] = json!("2.5.0")),
        ("a new generation", |object| object["metadata"]["generation"] = json!(2)),
        ("an attempt in flight", |object| object["status"]["attempt"]["step"] = json!("Monitoring")),
        ("a snapshot in a ConfigMap", |object| {
            let reference = json!({"configMapKeyRef": {"name": "bot", "key": "snapshot"}});
            object["spec"]["configurationSnapshotFrom"] = reference;
            object["spec"].as_object_mut().unwrap().remove("configurationSnapshot");
        }),
        ("a snapshot that is too deep", |object| {
            let deep = (0..126).fold(json!(1), |inner, _| json!([inner]));
            object["spec"]["configurationSnapshot"]["flow"] = deep;
        }),
        ("a snapshot that is too large", |object| {
            object["spec"]["configurationSnapshot"]["flow"] = json!("x".repeat(1 << 20));
        }),
    ];
    for (what, change) in table {
        let mut object = succeeded();
        change(&mut object);
        assert!(kept(&object).whole().is_some(), "{what}");
    }
}

#[test]
fn managed_fields_and_the_last_applied_configuration_are_not_kept() {
    let watched = Watched::deserialize(&succeeded()).unwrap();
    let object = watched.whole().unwrap();
    assert_eq!(object.metadata.managed_fields, None);
    assert_eq!(object.annotations().keys().collect::<Vec<_>>(), ["team"]);
}

#[test]
fn a_resource_is_found_by_the_config_map_of_its_snapshot() {
    let mut object = succeeded();
    object["spec"]["configurationSnapshotFrom"] = json!({"configMapKeyRef": {"name": "map", "key": "snapshot"}});
    object["spec"].as_object_mut().unwrap().remove("configurationSnapshot");
    let watched = kept(&object);
    assert!(watched.takes_snapshot_from("bots", "map"));
    assert!(!watched.takes_snapshot_from("bots", "other") && !watched.takes_snapshot_from("other", "map"));
    assert!(!kept(&succeeded()).takes_snapshot_from("bots", "map"));
}

#[test]
fn a_resource_that_cannot_be_read_is_reported_by_its_name_and_left_alone() {
    let mut object = succeeded();
    object["spec"]["monitoring"] = json!("often");
    let watched = kept(&object);
    let Watched::Unreadable(unreadable) = &watched else { panic!("{watched:?}") };
    assert_eq!(watched.uid().as_deref(), Some("a-uid"));
    assert!(unreadable.problem.contains("often"), "{}", unreadable.problem);
    assert!(watched.whole().is_none() && !matches!(watched, Watched::AtRest(_)));
    let claim = Watched::deserialize(&succeeded()).unwrap().recorded_claim();
    assert_eq!(watched.recorded_claim(), claim, "its claim stays valid");
}

#[test]
fn a_snapshot_of_any_depth_can_be_received_alone_in_a_page_and_in_an_event() {
    let deep = |levels: usize| {
        let snapshot = format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        serde_json::to_string(&succeeded()).unwrap().replace(r#"{"botVersion":"2.4.1"}"#, &snapshot)
    };
    for levels in [125, 200, 9_000, 100_000] {
        let alone: Watched = serde_json::from_str(&deep(levels)).unwrap();
        assert!(alone.whole().is_some(), "{levels}");
        let page = format!(
            r#"{{"apiVersion":"v1","kind":"List","metadata":{{"resourceVersion":"7"}},"items":[{},{}]}}"#,
            deep(levels),
            serde_json::to_string(&succeeded()).unwrap()
        );
        let page: ObjectList<Watched> = serde_json::from_str(&page).unwrap();
        assert_eq!(page.items.iter().filter(|watched| watched.whole().is_some()).count(), 2, "{levels}");
        let event = format!(r#"{{"type":"ADDED","object":{}}}"#, deep(levels));
        assert!(matches!(serde_json::from_str(&event).unwrap(), WatchEvent::Added(Watched::Whole(_))), "{levels}");
    }
}

#[test]
fn an_object_that_cannot_be_read_is_received_at_any_depth() {
    let deep = format!("{}{}", "[".repeat(9_000), "]".repeat(9_000));
    for field in ["\"generation\":1", "\"manager\":\"kubectl\"", "\"environmentId\":\"env\"", "\"handledRequests\":{}"]
    {
        let (key, _) = field.split_once(':').unwrap();
        let text = serde_json::to_string(&succeeded()).unwrap().replace(field, &format!("{field},\"other\":{deep}"));
        assert!(text.contains(&deep), "{key}");
        let watched: Watched = serde_json::from_str(&text).unwrap();
        assert!(watched.whole().is_some(), "unknown fields are ignored: {key}");
    }
    let text = serde_json::to_string(&succeeded())
        .unwrap()
        .replace("\"handledRequests\":{}", &format!("\"handledRequests\":{deep}"));
    assert!(matches!(serde_json::from_str(&text).unwrap(), Watched::Unreadable(_)));
}

#[test]
fn two_versions_of_a_resource_share_the_same_snapshot() {
    let text =
        |watched: &Watched| watched.whole().unwrap().spec.configuration_snapshot.as_ref().unwrap().text().as_ptr();
    let known = Watched::deserialize(&succeeded()).unwrap();
    let mut same = Watched::deserialize(&succeeded()).unwrap();
    assert_ne!(text(&same), text(&known));
    same.share_snapshot(&known);
    assert_eq!(text(&same), text(&known));
    let mut other = succeeded();
    other["spec"]["configurationSnapshot"]["botVersion"] = json!("2.5.0");
    let mut other = Watched::deserialize(&other).unwrap();
    other.share_snapshot(&known);
    assert_ne!(text(&other), text(&known));
}
