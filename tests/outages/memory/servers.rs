//! A small API server that sends the same bytes for each resource, and a Cognigy.AI that accepts everything.

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Method, StatusCode, Uri};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The contents of every resource.
#[derive(Clone, Default)]
pub(super) struct Stored {
    /// The snapshot in its spec, as JSON.
    pub(super) snapshot: String,
    /// The text of the ConfigMap that has the snapshot, if the snapshot is not in the spec.
    pub(super) config_map: Option<String>,
    /// More of its metadata, after a comma.
    pub(super) metadata: String,
}

#[derive(Default)]
struct World {
    stored: Stored,
    many: usize,
    version: u64,
    /// The resources that have an outcome or are stalled.
    finished: BTreeSet<String>,
    has_streaming_lists: bool,
    url: String,
}

type Shared = Arc<Mutex<World>>;

/// Both servers, at one address.
pub(super) struct Servers {
    world: Shared,
    folder: tempfile::TempDir,
}

impl Servers {
    pub(super) async fn start(has_streaming_lists: bool) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let world = Arc::new(Mutex::new(World { has_streaming_lists, url: url.clone(), ..World::default() }));
        let app = Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(Arc::clone(&world));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "bare", "users": [],
            "clusters": [{"name": "bare", "cluster": {"server": url}}],
            "contexts": [{"name": "bare", "context": {"cluster": "bare", "user": ""}}],
        });
        std::fs::write(folder.path().join("kubeconfig"), kubeconfig.to_string()).unwrap();
        Self { world, folder }
    }

    pub(super) fn kubeconfig(&self) -> &'static Path {
        Box::leak(self.folder.path().join("kubeconfig").into_boxed_path())
    }

    /// Replaces all resources by this many of this kind.
    pub(super) fn store(&self, stored: &Stored, many: usize) {
        let mut world = self.world.lock().unwrap();
        world.stored = stored.clone();
        world.many = many;
        world.finished.clear();
    }

    /// Waits until each resource has an outcome or is stalled.
    pub(super) async fn until_all_have_an_outcome(&self, many: usize) {
        while self.world.lock().unwrap().finished.len() < many {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn answer(State(world): State<Shared>, method: Method, uri: Uri, body: Bytes) -> Response {
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    let name = path.rsplit('/').find(|part| *part != "status").unwrap_or_default().to_owned();
    let mut world = world.lock().unwrap();
    let is_resource = path.contains("/cognigydeployments");
    match (method, path) {
        (Method::PATCH | Method::PUT, _) if is_resource => world.written(&name, &body),
        (Method::GET, _) if path.ends_with("/cognigydeployments") => world.resources(query),
        (Method::GET, _) if path.ends_with("/configmaps") && query.contains("watch=") => watch(vec![bookmark()]),
        (Method::GET, _) if path.ends_with("/configmaps") => {
            Json(json!({"metadata": {"resourceVersion": "1"}, "items": []})).into_response()
        }
        (Method::GET, _) if path.contains("/configmaps/") => {
            Json(json!({"metadata": {"name": name}, "data": {"snapshot": world.stored.config_map}})).into_response()
        }
        (Method::GET, _) if path.contains("/secrets/") => {
            let data = [("clientId", "demo".to_owned()), ("clientSecret", "secret".to_owned())];
            let urls = [("baseUrl", world.url.clone()), ("tokenUrl", format!("{}/oauth/token", world.url))];
            let limit = [("requestsPerMinute", "6000".to_owned())];
            let data = data
                .into_iter()
                .chain(urls)
                .chain(limit)
                .map(|(key, value)| (key.to_owned(), k8s_openapi::ByteString(value.into_bytes())));
            let data: std::collections::BTreeMap<_, _> = data.collect();
            Json(json!({"metadata": {"name": name}, "data": data})).into_response()
        }
        (_, _) if path.contains("/events") => (StatusCode::CREATED, body).into_response(),
        _ => platform(path),
    }
}

/// A Cognigy.AI that accepts everything and stores nothing.
fn platform(path: &str) -> Response {
    Json(match path {
        _ if path.ends_with("/token") => json!({"access_token": "token", "expires_in": 3600}),
        _ if path.ends_with("/validate") => json!({"valid": true}),
        _ if path.ends_with("/synthetic-trace") => json!({"status": "passed", "dependencyConflicts": []}),
        _ if path.ends_with("/deployments") => json!({"jobId": format!("job_{:x}", fastrand::u64(..))}),
        _ if path.contains("/jobs/") => json!({"status": "completed"}),
        _ if path.ends_with("/health") => json!({"status": "healthy", "errorRate": 0.0}),
        _ => json!({}),
    })
    .into_response()
}

impl World {
    fn object(&self, number: usize) -> String {
        let Stored { snapshot, config_map, metadata } = &self.stored;
        let source = match config_map {
            Some(_) => {
                r#""configurationSnapshotFrom":{"configMapKeyRef":{"name":"flows","key":"snapshot"}}"#.to_owned()
            }
            None => format!(r#""configurationSnapshot":{snapshot}"#),
        };
        format!(
            r#"{{"apiVersion":"deploy.cognigy.ai/v1alpha1","kind":"CognigyDeployment","metadata":{{"name":"env-{number}","namespace":"bots","uid":"uid-{number}","resourceVersion":"1","generation":1,"creationTimestamp":"2026-01-01T12:00:00Z"{metadata}}},"spec":{{"environmentId":"env-{number}",{source},"credentialsRef":{{"name":"cognigy-api"}},"monitoring":{{"intervalSeconds":1}}}}}}"#
        )
    }

    fn resources(&self, query: &str) -> Response {
        let number = |key: &str| {
            let value = query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
            value.and_then(|value| value.parse::<usize>().ok())
        };
        if query.contains("sendInitialEvents=true") && !self.has_streaming_lists {
            let refused = json!({"kind": "Status", "status": "Failure", "reason": "Invalid", "code": 422,
                "message": "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"});
            return (StatusCode::UNPROCESSABLE_ENTITY, Json(refused)).into_response();
        }
        if query.contains("watch=") {
            let listed = 0..if query.contains("sendInitialEvents=true") { self.many } else { 0 };
            let events = listed.map(|number| format!("{{\"type\":\"ADDED\",\"object\":{}}}\n", self.object(number)));
            return watch(events.chain([bookmark()]).collect());
        }
        let (begin, limit) = (number("continue").unwrap_or(0), number("limit").unwrap_or(self.many));
        let end = self.many.min(begin + limit);
        let items: Vec<_> = (begin..end).map(|number| self.object(number)).collect();
        let next = if end < self.many { format!(r#","continue":"{end}""#) } else { String::new() };
        let list = format!(
            r#"{{"apiVersion":"v1","kind":"List","metadata":{{"resourceVersion":"1"{next}}},"items":[{}]}}"#,
            items.join(",")
        );
        ([("content-type", "application/json")], list).into_response()
    }

    /// Answers a write with the metadata.
    fn written(&mut self, name: &str, body: &[u8]) -> Response {
        let body: Value = serde_json::from_slice(body).unwrap();
        let status = &body["status"];
        let conditions = status["conditions"].as_array().into_iter().flatten();
        let is_stalled = conditions.map(|condition| &condition["type"]).any(|kind| kind == "Stalled");
        if is_stalled || !status["attempt"]["verdict"].is_null() {
            self.finished.insert(name.to_owned());
        }
        self.version += 1;
        let number = name.trim_start_matches("env-");
        let metadata = json!({
            "name": name, "namespace": "bots", "uid": format!("uid-{number}"), "generation": 1,
            "resourceVersion": (self.version + 1).to_string(), "creationTimestamp": "2026-01-01T12:00:00Z",
            "finalizers": ["deploy.cognigy.ai/rollout"],
        });
        Json(json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}))
            .into_response()
    }
}

fn bookmark() -> String {
    let metadata = json!({"resourceVersion": "1", "annotations": {"k8s.io/initial-events-end": "true"}});
    let object = json!({"apiVersion": "v1", "kind": "Bookmark", "metadata": metadata});
    format!("{{\"type\":\"BOOKMARK\",\"object\":{object}}}\n")
}

/// A watch that sends these events and then stays open.
fn watch(events: Vec<String>) -> Response {
    let events = stream::iter(events.into_iter().map(Ok::<_, Infallible>)).chain(stream::pending());
    ([("content-type", "application/json")], Body::from_stream(events)).into_response()
}
