//! `deploy/gitops`: the paths that Argo CD and Flux apply exist, in the right order, with the time that a rollout
//! needs.

use super::{read, root};
use serde_json::Value;
use std::fs;

const ARGO_CD: &str = "deploy/gitops/argo-cd/application.yaml";
const FLUX: &str = "deploy/gitops/flux/kustomization.yaml";
const STAGES: [&str; 2] = ["staging", "production"];

fn documents(file: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&read(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn named<'d>(documents: &'d [Value], name: &str) -> &'d Value {
    let found = documents.iter().find(|document| document["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("{name} does not exist"))
}

#[test]
fn every_path_that_a_tool_applies_has_a_kustomization() {
    let applications = documents(ARGO_CD);
    let kustomizations = documents(FLUX);
    let paths = applications.iter().map(|document| &document["spec"]["source"]["path"]);
    let paths: Vec<&str> = paths
        .chain(kustomizations.iter().map(|document| &document["spec"]["path"]))
        .map(|path| path.as_str().unwrap())
        .collect();
    assert_eq!(paths.len(), 2 * (1 + STAGES.len()), "the operator and each stage, for both tools");
    for path in paths {
        assert!(root().join(path).join("kustomization.yaml").is_file(), "{path} holds no kustomization");
    }
}

#[test]
fn environments_are_applied_after_the_operator() {
    let applications = documents(ARGO_CD);
    let wave = |name: &str| -> i64 {
        let wave = &named(&applications, name)["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"];
        wave.as_str().unwrap().parse().unwrap()
    };
    let kustomizations = documents(FLUX);
    for stage in STAGES.map(|stage| format!("bots-{stage}")) {
        assert!(wave(&stage) > wave("cognigy-operator"), "{stage}");
        let needs = named(&kustomizations, &stage)["spec"]["dependsOn"].as_array().unwrap();
        assert!(needs.iter().any(|need| need["name"] == "cognigy-operator"), "{stage}");
    }
}

#[test]
fn flux_waits_for_as_long_as_a_rollout_and_its_rollback_may_take() {
    let base: Value = documents("deploy/gitops/environments/base/customer-service.yaml").remove(0);
    let rollout = base["spec"]["rollbackPolicy"]["timeoutSeconds"].as_i64().unwrap();
    let kustomizations = documents(FLUX);
    for stage in STAGES {
        let folder = root().join("deploy/gitops/environments").join(stage);
        let patches = fs::read_to_string(folder.join("kustomization.yaml")).unwrap();
        assert!(!patches.contains("timeoutSeconds"), "{stage} sets its own timeoutSeconds: this test must check it");
        let spec = &named(&kustomizations, &format!("bots-{stage}"))["spec"];
        assert_eq!(spec["wait"], true, "{stage}");
        let minutes: i64 = spec["timeout"].as_str().unwrap().strip_suffix('m').unwrap().parse().unwrap();
        assert!(minutes * 60 > 2 * rollout, "{stage}: {minutes} min are too short for {rollout} s until the verdict");
    }
}
