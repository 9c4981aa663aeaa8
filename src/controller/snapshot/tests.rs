#![allow(clippy::unwrap_used)]

use super::*;
use http::{Request, Response};
use http_body_util::Full;
use kube::client::Body;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Weak;
use tower::service_fn;

#[tokio::test]
async fn an_answer_that_was_outdated_on_arrival_is_not_cached() {
    // The ConfigMap changes while each answer is on its way, and the watch shows the change before the answer arrives.
    let texts = Mutex::new(vec!["version: 3", "version: 2", "version: 1"]);
    let object: CognigyDeployment = serde_json::from_value(json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "CognigyDeployment",
        "metadata": {"name": "bot", "namespace": "bots"},
        "spec": {"environmentId": "env", "configurationSnapshotFrom": {"configMapKeyRef": {"name": "flows", "key": "snapshot"}}},
    }))
    .unwrap();
    let snapshots = Arc::new_cyclic(|snapshots: &Weak<Snapshots>| {
        let weak = snapshots.clone();
        let api_server = service_fn(move |_: Request<Body>| {
            let text = texts.lock().pop().unwrap();
            weak.upgrade().unwrap().forget("bots", "flows");
            let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "flows"}, "data": {"snapshot": text}});
            let answer = Response::new(Full::new(bytes::Bytes::from(map.to_string())));
            std::future::ready(Ok::<_, Infallible>(answer))
        });
        Snapshots::new(kube::Client::new(api_server, "default"))
    });
    for version in 1..=3 {
        let desired = snapshots.desired(&object, Duration::ZERO).await.unwrap();
        assert_eq!(serde_json::to_value(&desired.snapshot).unwrap(), json!({"version": version}));
    }
}

#[tokio::test]
async fn an_invalid_name_or_key_of_a_config_map_causes_no_request() {
    let api_server = service_fn(|request: Request<Body>| async move {
        panic!("unexpected request for {}", request.uri());
        #[allow(unreachable_code)]
        Ok::<Response<Full<bytes::Bytes>>, Infallible>(Response::default())
    });
    let snapshots = Snapshots::new(kube::Client::new(api_server, "default"));
    for (name, key, field) in [
        ("?limit=0", "snapshot", "configMapKeyRef.name is \"?limit=0\", which is not a valid name"),
        ("../secrets/x", "snapshot", "configMapKeyRef.name is \"../secrets/x\""),
        ("flows", "../snapshot", "configMapKeyRef.key is \"../snapshot\""),
    ] {
        let object: CognigyDeployment = serde_json::from_value(json!({
            "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "CognigyDeployment",
            "metadata": {"name": "bot", "namespace": "bots"},
            "spec": {"environmentId": "env", "configurationSnapshotFrom": {"configMapKeyRef": {"name": name, "key": key}}},
        }))
        .unwrap();
        let obstacle = snapshots.desired(&object, Duration::ZERO).await.unwrap_err();
        assert_eq!((obstacle.cause, obstacle.needs_person()), (Cause::SnapshotNotFound, true));
        assert!(obstacle.message.contains(field), "{}", obstacle.message);
    }
}
