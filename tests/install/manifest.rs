//! Objects that the chart or kustomize renders.

use crate::support::{CHART, NAMESPACE, helm, root};
use serde_json::Value;
use tokio::process::Command;

/// The objects of one rendering.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) text: String,
    pub(crate) objects: Vec<Value>,
}

impl Manifest {
    fn parse(text: String) -> Self {
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let objects = documents.into_iter().filter(|document| !document.is_null()).collect();
        Self { text, objects }
    }

    /// The chart with these arguments, such as `["--set", "replicas=2"]`.
    pub(crate) async fn of_chart(arguments: &[&str]) -> Self {
        Self::parse(template(arguments).await.ok())
    }

    /// The chart with one of its sets of values.
    pub(crate) async fn of_values(file: &str) -> Self {
        Self::of_chart(&["--values", file]).await
    }

    /// A folder of kustomize.
    pub(crate) async fn of_folder(folder: &str) -> Self {
        let mut kubectl = Command::new("kubectl");
        kubectl.args(["kustomize", folder]);
        Self::parse(crate::support::ask(kubectl, "").await.ok())
    }

    pub(crate) fn of_kind<'m>(&'m self, kind: &str) -> impl Iterator<Item = &'m Value> + use<'m> {
        let kind = kind.to_owned();
        self.objects.iter().filter(move |object| object["kind"] == kind.as_str())
    }

    /// The only object of this kind with this name.
    pub(crate) fn one(&self, kind: &str, name: &str) -> &Value {
        let mut found = self.of_kind(kind).filter(|object| object["metadata"]["name"] == name);
        let first = found.next().unwrap_or_else(|| panic!("there is no {kind} {name} in:\n{}", self.text));
        assert!(found.next().is_none(), "there are two {kind}s {name}");
        first
    }

    /// The operator's container.
    pub(crate) fn operator(&self) -> &Value {
        self.containers().find(|container| container["name"] == "operator").unwrap()
    }

    /// The arguments of the operator's container, from `run` on.
    pub(crate) fn arguments(&self) -> Vec<String> {
        words(&self.operator()["args"])
    }

    pub(crate) fn containers(&self) -> impl Iterator<Item = &Value> {
        let of_deployments = self.of_kind("Deployment").map(|object| &object["spec"]["template"]["spec"]["containers"]);
        let of_pods = self.of_kind("Pod").map(|object| &object["spec"]["containers"]);
        of_deployments.chain(of_pods).flat_map(|containers| containers.as_array().unwrap())
    }
}

/// Runs `helm template` with these arguments.
pub(crate) async fn template(arguments: &[&str]) -> crate::support::Answer {
    let all: Vec<&str> = ["template", "cognigy-operator", CHART, "--namespace", NAMESPACE]
        .into_iter()
        .chain(arguments.iter().copied())
        .collect();
    helm(&all).await
}

/// The sets of values that the chart is tested with, as paths in the project.
pub(crate) fn sets_of_values() -> Vec<String> {
    let folder = format!("{CHART}/ci");
    let entries = std::fs::read_dir(root().join(&folder)).unwrap();
    let mut files: Vec<String> =
        entries.map(|entry| format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap())).collect();
    files.sort();
    assert!(files.len() > 3, "{files:?}");
    files
}

/// The kustomize folders that users install.
pub(crate) const OVERLAYS: [&str; 4] =
    ["deploy", "deploy/overlays/cluster", "deploy/overlays/namespaced", "deploy/overlays/ha"];

/// A list of texts.
pub(crate) fn words(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}
