//! The CRDs of the Prometheus Operator. They are files of its Go module.

use crate::support::{Cluster, ask, root};
use serde_json::Value;
use std::path::PathBuf;
use tokio::process::Command;

/// The path at which the API server publishes their schemas.
pub(crate) const GROUP: &str = "apis/monitoring.coreos.com/v1";

const MODULE: &str = "github.com/prometheus-operator/prometheus-operator";
const FILES: [&str; 3] = ["podmonitors", "prometheusrules", "servicemonitors"];

/// Applies the CRDs of the Prometheus Operator.
pub(crate) async fn define(cluster: &Cluster) {
    let folder = module().await.join("example/prometheus-operator-crd");
    let files = FILES.map(|kind| folder.join(format!("monitoring.coreos.com_{kind}.yaml")));
    let mut arguments = vec!["apply", "--server-side"];
    for file in &files {
        arguments.extend(["-f", file.to_str().unwrap()]);
    }
    cluster.kubectl(&arguments, "").await.ok();
    let names = FILES.map(|kind| format!("customresourcedefinition/{kind}.monitoring.coreos.com"));
    let names = names.iter().map(String::as_str);
    let wait: Vec<&str> = ["wait", "--for=condition=Established", "--timeout=60s"].into_iter().chain(names).collect();
    cluster.kubectl(&wait, "").await.ok();
}

/// The folder of the module, in the version of `go.mod` and verified with `go.sum`.
async fn module() -> PathBuf {
    let mut go = Command::new("go");
    go.args(["-C", root().join("dev/tools/monitoring").to_str().unwrap(), "mod", "download", "-json", MODULE]);
    let answer: Value = serde_json::from_str(&ask(go, "").await.ok()).unwrap();
    PathBuf::from(answer["Dir"].as_str().unwrap())
}
