//! The manifests of `docs/gitops.md`: `kubectl` renders them, and the API server validates them.

use crate::manifests::{accept, kubectl, root};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const ENVIRONMENTS: &str = "deploy/gitops/environments";

/// The output of `kubectl kustomize` for a folder.
async fn built(folder: &Path) -> String {
    let output = kubectl(&["kustomize", folder.to_str().unwrap()], "").await;
    assert!(output.status.success(), "{}: {}", folder.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The only `CognigyDeployment` in rendered manifests.
fn deployment(built: &str) -> Value {
    let documents: Vec<Value> = serde_saphyr::from_multiple(built).unwrap();
    let mut found = documents.into_iter().filter(|document| document["kind"] == "CognigyDeployment");
    let deployment = found.next().expect("a CognigyDeployment");
    assert_eq!(found.next(), None, "one only");
    deployment
}

async fn create_namespace(name: &str) {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let output = kubectl(&["apply", "--server-side", "-f", "-"], &namespace.to_string()).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn the_manifests_of_every_stage_are_accepted() {
    for stage in ["staging", "production"] {
        create_namespace(&format!("bots-{stage}")).await;
        accept(stage, &built(&root().join(ENVIRONMENTS).join(stage)).await).await;
    }
}

#[tokio::test]
async fn a_promotion_changes_one_line_and_gives_production_the_release_of_staging() {
    let copy = tempfile::tempdir().unwrap();
    let copied = tokio::process::Command::new("cp").arg("-r").arg(root().join(ENVIRONMENTS)).arg(copy.path()).status();
    assert!(copied.await.unwrap().success());
    let environments = copy.path().join("environments");
    let line_of = |stage: &str| -> String {
        let text = fs::read_to_string(environments.join(stage).join("kustomization.yaml")).unwrap();
        text.lines().find(|line| line.contains("../releases/")).expect("a line that names a release").to_owned()
    };
    let (tried, old) = (line_of("staging"), line_of("production"));
    assert_ne!(tried, old, "the example shows a release that is not promoted yet");

    let file = environments.join("production/kustomization.yaml");
    let before = deployment(&built(&environments.join("production")).await);
    fs::write(&file, fs::read_to_string(&file).unwrap().replace(&old, &tried)).unwrap();
    let after = deployment(&built(&environments.join("production")).await);
    let staging = deployment(&built(&environments.join("staging")).await);

    for part in ["configurationSnapshot", "dependencyLocks"] {
        assert_eq!(after["spec"][part], staging["spec"][part], "{part}");
        assert_ne!(after["spec"][part], before["spec"][part], "{part}");
    }
    let others = |object: &Value| {
        let mut spec = object["spec"].as_object().unwrap().clone();
        spec.retain(|part, _| part != "configurationSnapshot" && part != "dependencyLocks");
        spec
    };
    assert_eq!(others(&after), others(&before), "nothing else changes");
}

#[tokio::test]
async fn the_health_script_is_added_to_argo_cds_settings_and_changes_no_other() {
    create_namespace("argocd").await;
    let settings = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm", "namespace": "argocd"},
        "data": {"url": "https://argocd.example.com"},
    });
    let output = kubectl(&["apply", "-f", "-"], &settings.to_string()).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let script = built(&root().join("deploy/gitops/argo-cd")).await;
    let patch = ["-n", "argocd", "patch", "configmap", "argocd-cm", "--type=merge", "--patch-file=/dev/stdin"];
    let output = kubectl(&patch, &script).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let output = kubectl(&["-n", "argocd", "get", "configmap", "argocd-cm", "-o", "json"], "").await;
    let data = serde_json::from_slice::<Value>(&output.stdout).unwrap()["data"].clone();
    assert_eq!(data["url"], "https://argocd.example.com");
    let folder = "deploy/gitops/argo-cd/resource_customizations/deploy.cognigy.ai/CognigyDeployment";
    let file = fs::read_to_string(root().join(folder).join("health.lua")).unwrap();
    assert_eq!(data["resource.customizations.health.deploy.cognigy.ai_CognigyDeployment"], file);
}
