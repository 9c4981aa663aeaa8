//! Resources after somebody has edited the status by hand or set an annotation to any value.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::ObjectList;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::time::Duration;

use super::config;
use super::damage::{bytes_like, text_like};
use crate::controller::watched::Watched;
use api::{CognigyDeployment, RETRY_ANNOTATION, ROLLBACK_ANNOTATION, Snapshot};
use rollout::facts::Requests;
use rollout::{Now, Settings};

/// A resource in the middle of a rollout, with every field of the status.
const RESOURCE: &str = r#"{"apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "CognigyDeployment",
"metadata": {"name": "bot", "namespace": "bots", "uid": "0a1b", "generation": 3, "resourceVersion": "42",
 "creationTimestamp": "2026-01-01T12:00:00Z", "finalizers": ["deploy.cognigy.ai/rollout"]},
"spec": {"environmentId": "env", "configurationSnapshot": {"botVersion": "2.4.1"}, "credentialsRef": {"name": "cognigy-api"}},
"status": {"observedGeneration": 3, "phase": "RollingOut", "conditions": [{"type": "Ready", "status": "Unknown",
  "reason": "RollingOut", "message": "the job runs", "lastTransitionTime": "2026-01-01T12:00:01Z", "observedGeneration": 3}],
 "attempt": {"number": 2, "digest": "v1:00", "generation": 3, "step": "RollingOut", "startedAt": "2026-01-01T12:00:00Z",
  "checks": {"digest": "v1:00", "validation": {"passedAt": "2026-01-01T12:00:00Z"}, "syntheticTrace": {"id": "tr_1"}},
  "submission": {"apiOrigin": "https://api.cognigy.ai", "requestHash": "00", "clientHash": "00", "idempotencyKey": "key",
   "intendedAt": "2026-01-01T12:00:01Z", "deadlineAt": "2026-01-01T12:05:01Z"},
  "job": {"id": "job_1"},
  "health": {"badStreak": 1, "goodStreak": 0, "lastCountedAt": "2026-01-01T12:00:31Z"}},
 "handledRequests": {"retry": "now"}, "history": [], "outbox": []}}"#;

fn resource() -> Value {
    serde_json::from_str(RESOURCE).unwrap()
}

/// JSON values of any type, to replace a value of another type.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        ".{0,40}".prop_map(Value::from),
        Just(json!("9999-12-31T23:59:59.999999999Z")),
        Just(json!("-009999-01-02T01:59:59Z")),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,8}", inner, 0..4).prop_map(|fields| json!(fields)),
        ]
    })
}

/// The pointers to all fields below the status and the metadata, the outer ones first.
fn pointers() -> Vec<String> {
    fn below(place: &str, value: &Value, found: &mut Vec<String>) {
        found.push(place.to_owned());
        match value {
            Value::Object(fields) => {
                fields.iter().for_each(|(key, value)| below(&format!("{place}/{key}"), value, found))
            }
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(place_in, value)| below(&format!("{place}/{place_in}"), value, found));
            }
            _ => {}
        }
    }
    let (resource, mut found) = (resource(), Vec::new());
    below("/status", &resource["status"], &mut found);
    below("/spec", &resource["spec"], &mut found);
    found
}

/// Treats a resource as the watch does.
fn look_at(watched: Watched) {
    let (settings, wall) = (Settings::default(), "2026-01-01T12:01:00Z".parse::<Timestamp>().unwrap());
    for (wall, uptime) in
        [(wall, Duration::from_secs(60)), (Timestamp::MIN, Duration::ZERO), (Timestamp::MAX, Duration::MAX)]
    {
        let seen = watched.clone().pruned(&settings, None, Now { wall, uptime });
        let _ = (
            seen.rests_and_says_what_runs(),
            seen.source(),
            seen.recorded_claim(),
            seen.takes_snapshot_from("bots", "flows"),
        );
        if let Watched::Unreadable(unreadable) = &seen {
            assert!(!unreadable.problem.is_empty());
        }
    }
}

/// Whether an API server may send these bytes for a resource.
fn is_sent(bytes: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Sent {
        metadata: ObjectMeta,
    }
    // The API server sends no duplicate key and no lone surrogate.
    let is_whole = |text: &str| Snapshot::from_text(text).is_ok();
    serde_json::from_slice::<&RawValue>(bytes).is_ok_and(|text| is_whole(text.get()))
        && serde_json::from_slice::<Sent>(bytes).is_ok_and(|sent| sent.metadata.name.is_some())
}

#[test]
fn the_resource_of_these_tests_is_valid() {
    assert!(matches!(serde_json::from_str(RESOURCE).unwrap(), Watched::Whole(_)));
    assert!(pointers().len() > 25, "{:?}", pointers());
}

proptest! {
    #![proptest_config(config())]

    /// The API server sends JSON with valid metadata. No other field of a resource may make a page with other resources
    /// fail.
    #[test]
    fn a_resource_of_any_bytes_is_read_or_left_alone(bytes in bytes_like(&[RESOURCE])) {
        match serde_json::from_slice::<Watched>(&bytes) {
            Ok(watched) => look_at(watched),
            Err(error) => prop_assert!(!is_sent(&bytes), "{error}"),
        }
    }

    #[test]
    fn a_field_of_any_depth_is_read_or_reported(
        pointer in prop::sample::select(pointers()),
        levels in 1usize..20_000,
        (open, close) in prop::sample::select(vec![("[", "]"), ("{\"a\":", "}"), ("[{\"\":", "}]")]),
    ) {
        let mut resource = resource();
        if let Some(field) = resource.pointer_mut(&pointer) {
            *field = json!("DEEP");
        }
        let deep = format!("{}0{}", open.repeat(levels), close.repeat(levels));
        let text = resource.to_string().replacen("\"DEEP\"", &deep, 1);
        let page = format!(r#"{{"apiVersion":"v1","kind":"List","metadata":{{}},"items":[{RESOURCE},{text}]}}"#);
        let page: ObjectList<Watched> = serde_json::from_str(&page).unwrap();
        prop_assert!(matches!(page.items[0], Watched::Whole(_)));
        page.items.into_iter().for_each(look_at);
    }

    #[test]
    fn a_field_with_any_value_is_read_or_reported(
        edits in prop::collection::vec((prop::sample::select(pointers()), json_value()), 1..4),
    ) {
        let mut resource = resource();
        for (pointer, value) in edits {
            if let Some(field) = resource.pointer_mut(&pointer) {
                *field = value;
            }
        }
        look_at(serde_json::from_value::<Watched>(resource).unwrap());
    }

    #[test]
    fn an_annotation_of_any_length_is_stored_in_at_most_128_bytes(value in text_like(&["now", "2026-01-01"]), times in 1usize..4096) {
        let value = value.repeat(times);
        let mut object: CognigyDeployment = serde_json::from_value(resource()).unwrap();
        let annotations = [RETRY_ANNOTATION, ROLLBACK_ANNOTATION].map(|key| (key.to_owned(), value.clone()));
        object.metadata.annotations = Some(annotations.into_iter().collect());
        let requests = Requests::from_annotations(object.metadata.annotations.as_ref().unwrap());
        for request in [requests.retry, requests.rollback] {
            prop_assert!(request.as_ref().is_some_and(|request| request.len() <= 128));
            prop_assert!(value.len() > 128 || request == Some(value.clone()));
        }
    }
}
