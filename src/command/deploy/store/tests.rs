#![allow(clippy::unwrap_used)]

use super::*;
use crate::command::deploy::documents::documents_of;
use crate::command::deploy::record::Identity;
use serde_json::Value;
use std::path::Path;
use tokio::sync::mpsc::{self, UnboundedReceiver};

const RESOURCE: &str = "/apis/deploy.cognigy.ai/v1alpha1/namespaces/bots/cognigydeployments/bot";

const MANIFEST: &str = "\
apiVersion: deploy.cognigy.ai/v1alpha1
kind: CognigyDeployment
metadata: {name: bot, namespace: bots}
spec:
  environmentId: env
  configurationSnapshot: {weight: 1.50}
  credentialsRef: {name: api}
---
apiVersion: v1
kind: Secret
metadata: {name: api}
stringData: {clientId: demo, clientSecret: s3cr3t}
";

struct Stage {
    _folder: tempfile::TempDir,
    journal: std::path::PathBuf,
    store: Store,
    told: UnboundedReceiver<Told>,
}

fn inputs() -> Inputs {
    Inputs::of(documents_of(MANIFEST).unwrap(), None, None).unwrap()
}

fn store_at(journal: &Path) -> (Store, UnboundedReceiver<Told>) {
    let inputs = inputs();
    let (sender, told) = mpsc::unbounded_channel();
    let journal = Journal::open(journal, &Identity::of(&inputs.manifest)).unwrap();
    let store = Store::new(&inputs, journal, sender);
    store.begin(&inputs, false, Timestamp::UNIX_EPOCH).unwrap();
    (store, told)
}

fn stage() -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("bot.json");
    let (store, told) = store_at(&journal);
    Stage { _folder: folder, journal, store, told }
}

impl Stage {
    fn ask(&self, method: &Method, path: &str, body: &Value) -> (u16, Value) {
        let body = Bytes::from(body.to_string());
        let request = Request::builder().method(method).uri(path).body(body).unwrap();
        let (status, body) = self.store.answer(&request);
        (status.as_u16(), serde_json::from_str(&body).unwrap())
    }

    fn write(&self, version: &str, generation: i64) -> (u16, Value) {
        let body = json!({
            "metadata": {"name": "bot", "namespace": "bots", "resourceVersion": version},
            "status": {"observedGeneration": generation},
        });
        self.ask(&Method::PUT, &format!("{RESOURCE}/status"), &body)
    }

    fn journal(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(&self.journal).unwrap()).unwrap()
    }
}

#[test]
fn a_write_is_on_the_disk_before_it_is_answered_and_only_over_the_version_that_it_names() {
    let mut stage = stage();
    let (_, object) = stage.ask(&Method::GET, RESOURCE, &Value::Null);
    let version = object["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let (status, written) = stage.write(&version, 1);
    assert_eq!(status, 200);
    assert_eq!(stage.journal()["record"]["status"]["observedGeneration"], 1);
    assert_ne!(written["metadata"]["resourceVersion"], version.as_str());
    assert_eq!(stage.write(&version, 2).0, 409);
    assert_eq!(stage.journal()["record"]["status"]["observedGeneration"], 1);
    assert!(matches!(stage.told.try_recv(), Ok(Told::Status { before: None, .. })));
    assert!(stage.told.try_recv().is_err());
}

#[test]
fn a_write_that_the_disk_refuses_is_refused_and_changes_nothing() {
    let mut stage = stage();
    let (_, object) = stage.ask(&Method::GET, RESOURCE, &Value::Null);
    let version = object["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    // A folder stands where the new content is to be written.
    let obstacle = stage.journal.with_extension("json.tmp");
    std::fs::remove_file(&obstacle).ok();
    std::fs::create_dir(&obstacle).unwrap();
    assert_eq!(stage.write(&version, 1).0, 500);
    assert!(matches!(stage.told.try_recv(), Ok(Told::NotWritten(_))));
    std::fs::remove_dir(&obstacle).unwrap();
    assert_eq!(stage.write(&version, 1).0, 200);
}

#[test]
fn a_second_run_finds_the_same_resource() {
    let stage = stage();
    stage.write("1", 1);
    let (_, before) = stage.ask(&Method::GET, RESOURCE, &Value::Null);
    let Stage { _folder, journal, store, .. } = stage;
    drop(store);
    let (store, _told) = store_at(&journal);
    let after: Value = serde_json::from_str(&serde_json::to_string(&store.object().unwrap()).unwrap()).unwrap();
    assert_eq!(before["metadata"], after["metadata"]);
    assert_eq!(before["status"], after["status"]);
}

#[test]
fn the_manifest_is_served_as_it_is_and_nothing_else() {
    let stage = stage();
    let request = Request::builder().uri(RESOURCE).body(Bytes::new()).unwrap();
    let (_, text) = stage.store.answer(&request);
    assert!(text.contains(r#"{"weight":1.5}"#), "{text}");
    let (status, secret) = stage.ask(&Method::GET, "/api/v1/namespaces/bots/secrets/api", &Value::Null);
    assert_eq!((status, &secret["data"]["clientId"]), (200, &json!("ZGVtbw==")));
    for path in [
        "/api/v1/namespaces/bots/secrets/other",
        "/api/v1/namespaces/others/secrets/api",
        "/api/v1/namespaces/bots/configmaps/api",
        "/api/v1/secrets",
        "/apis/deploy.cognigy.ai/v1alpha1/namespaces/bots/cognigydeployments/other",
        "/",
    ] {
        assert_eq!(stage.ask(&Method::GET, path, &Value::Null).0, 404, "{path}");
    }
    assert_eq!(stage.ask(&Method::DELETE, RESOURCE, &Value::Null).0, 404);
}

#[test]
fn the_journal_holds_no_secret_and_no_snapshot() {
    let stage = stage();
    stage.write("1", 1);
    let text = std::fs::read_to_string(&stage.journal).unwrap();
    assert!(!text.contains("s3cr3t") && !text.contains("weight"), "{text}");
}
