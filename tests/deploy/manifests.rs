//! Manifests that `deploy`, `validate` and `plan` read alike.

use crate::stage::{GOOD, Stage, exists};
use cognigy_operator::command::deploy::RunResult;
use manifest::plan::{Texts, plan};
use manifest::read::{Input, read};
use serde_json::{Value, json};
use simulator::Call;
use tokio::process::Command;

/// What `validate` says about the same file, without its summary.
async fn problems_of(stage: &Stage) -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_cognigy-operator"))
        .args(["validate", "-f"])
        .arg(stage.path("release.yaml"))
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.pop().unwrap();
    lines
}

#[tokio::test]
async fn what_validate_refuses_is_refused_with_the_same_lines() {
    let stage = Stage::new("").await;
    for (spec, says) in [
        (json!({"historyLimit": 99}), "spec.historyLimit: historyLimit must be from 0 to 50"),
        (json!({"monitoring": {"intervalSeconds": 200}}), "spec: rollbackPolicy.healthThreshold × monitoring"),
        (json!({"historyLimt": 3}), "spec.historyLimt: there is no such field; write historyLimit"),
        (json!({"suspend": "yes"}), "spec.suspend: the text \"yes\" is here"),
    ] {
        stage.write(&stage.manifest(GOOD, &spec));
        let lines = problems_of(&stage).await;
        assert!(lines.iter().any(|line| line.contains(says)), "{says}: {lines:?}");
        let ran = stage.run(&[]).await;
        ran.refused("error: the manifest has");
        let said: Vec<&str> = ran.stderr.lines().take(lines.len()).collect();
        assert_eq!(said, lines);
    }
    assert_eq!(stage.calls(Call::Token), 0);
    assert!(!exists(&stage.journal()));
}

#[tokio::test]
async fn a_manifest_with_gates_is_refused_before_anything_is_sent_or_written() {
    let stage = Stage::new("").await;
    for spec in [json!({"approval": {"required": 1}}), json!({"requires": [{"name": "staging"}]})] {
        stage.write(&stage.manifest(GOOD, &spec));
        stage.run(&[]).await.refused("let the operator in a cluster deploy it");
    }
    assert_eq!(stage.calls(Call::Token), 0);
    assert!(!exists(&stage.journal()));
}

/// kubectl reads some scalars in another way than they look.
#[tokio::test]
async fn a_deployment_has_the_digest_that_a_plan_computes() {
    let stage = Stage::new("").await;
    let secret = stage.secret("demo-secret");
    let text = format!(
        "\
apiVersion: deploy.cognigy.ai/v1alpha1
kind: CognigyDeployment
metadata: {{name: bot, namespace: bots}}
spec:
  environmentId: env_prod_us_01
  configurationSnapshot: {{botVersion: '2.4.1', isOn: yes, mode: 0644, weight: 1.50}}
  monitoring: {{intervalSeconds: 1}}
  credentialsRef: {{name: api}}
---
{secret}
"
    );
    std::fs::write(stage.path("release.yaml"), &text).unwrap();
    let manifests = read(&[Input { name: "release.yaml".to_owned(), text }]);
    let desired = manifests.deployments[0].deployment().unwrap();
    let planned = plan(None, &desired, &Texts { live: None, desired: None }, &[]).unwrap();
    let ran = stage.run(&[]).await;
    let report = ran.ended_as(0, RunResult::Deployed);
    assert_eq!(Some(report.digest), planned.digest.map(|digest| digest.to_string()));
    assert!(ran.stderr.contains("spec.configurationSnapshot.mode: kubectl reads 0644 as the number 420"), "{ran:?}");
    let snapshots: Vec<Value> = stage.submitted();
    assert_eq!(snapshots[0], json!({"botVersion": "2.4.1", "isOn": true, "mode": 420, "weight": 1.5}));
}

/// A manifest that was exported from a cluster has more metadata than a person writes.
#[tokio::test]
async fn a_manifest_that_was_exported_while_it_was_deleted_is_deployed() {
    let stage = Stage::new("").await;
    let mut documents = stage.manifest(GOOD, &json!({}));
    let metadata = json!({
        "deletionTimestamp": "2026-01-01T12:00:00Z", "deletionGracePeriodSeconds": 0, "generation": 7, "uid": "1",
        "finalizers": ["deploy.cognigy.ai/finalizer", "example.com/other"], "resourceVersion": "17",
    });
    crate::stage::merge(&mut documents[0]["metadata"], &metadata);
    documents[0]["status"] = json!({"conditions": "?"});
    stage.write(&documents);
    stage.run(&["--timeout", "30s"]).await.ended_as(0, RunResult::Deployed);
    assert_eq!(stage.jobs(), 1);
}

#[tokio::test]
async fn a_manifest_may_be_spread_over_a_folder_and_other_files() {
    let stage = Stage::new("").await;
    let documents = stage.manifest(GOOD, &json!({}));
    stage.write(&documents[..1]);
    std::fs::create_dir(stage.path("secrets")).unwrap();
    std::fs::write(stage.path("secrets/api.json"), documents[1].to_string()).unwrap();
    let folder = stage.path("secrets");
    stage.run(&["-f", folder.to_str().unwrap()]).await.ended_as(0, RunResult::Deployed);
}
