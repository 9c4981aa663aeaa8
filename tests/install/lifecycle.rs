//! A Helm release on a real API server, from its installation to its removal.

use crate::support::{CHART, Cluster, NAMESPACE, root};
use serde_json::Value;
use std::path::{Path, PathBuf};

const DEFINITION: &str = "customresourcedefinition/cognigydeployments.deploy.cognigy.ai";
const SAMPLE: &str = "deploy/samples/customer-service-prod.yaml";

/// A category that only the CRD of the next version has.
const NEXT_CATEGORY: &str = "next-version";

#[tokio::test]
async fn resources_survive_upgrades_and_by_default_also_the_removal_of_the_release() {
    let cluster = Cluster::start().await;
    let release = Release { cluster: &cluster };
    let this = release.pack().await;
    release.install(&this, &[]).await;
    cluster.kubectl(&["create", "namespace", "bots"], "").await.ok();
    cluster.kubectl(&["wait", "--for=condition=Established", DEFINITION], "").await.ok();
    cluster.kubectl(&["apply", "-f", SAMPLE], "").await.ok();
    let before = release.resource().await;

    let next = release.next_version();
    release.helm(&["upgrade", "cognigy-operator", next.to_str().unwrap()]).await;
    assert!(release.categories().await.contains(&NEXT_CATEGORY.to_owned()), "the CRD is upgraded with the chart");
    assert_eq!(release.resource().await, before, "the resource has not changed");

    release.helm(&["rollback", "cognigy-operator", "1"]).await;
    assert!(!release.categories().await.contains(&NEXT_CATEGORY.to_owned()), "so it is back");
    assert_eq!(release.resource().await, before);

    release.helm(&["uninstall", "cognigy-operator"]).await;
    let deployments = cluster.kubectl(&["get", "deployments", "-n", NAMESPACE, "-o", "name"], "").await.ok();
    assert_eq!(deployments, "");
    assert_eq!(release.resource().await, before, "the CRD and the resource are kept");

    release.install(&this, &["--set", "crds.keep=false"]).await;
    assert_eq!(release.resource().await, before, "the next release takes it over");
    release.helm(&["uninstall", "cognigy-operator"]).await;
    cluster.kubectl(&["wait", "--for=delete", "--timeout=60s", DEFINITION], "").await.ok();
}

#[tokio::test]
async fn an_installation_by_kustomize_can_be_taken_over_by_the_chart() {
    let cluster = Cluster::start().await;
    let release = Release { cluster: &cluster };
    cluster.kubectl(&["apply", "--server-side", "-k", "deploy/"], "").await.ok();
    cluster.kubectl(&["create", "namespace", "bots"], "").await.ok();
    cluster.kubectl(&["wait", "--for=condition=Established", DEFINITION], "").await.ok();
    cluster.kubectl(&["apply", "-f", SAMPLE], "").await.ok();
    let before = release.resource().await;

    // The selector of a Deployment is immutable, and the chart's selector has more labels.
    cluster.kubectl(&["delete", "deployment", "-n", NAMESPACE, "cognigy-operator"], "").await.ok();
    release.install(&root().join(CHART), &["--take-ownership", "--force-conflicts"]).await;
    assert_eq!(release.resource().await, before);
}

struct Release<'c> {
    cluster: &'c Cluster,
}

impl Release<'_> {
    async fn helm(&self, arguments: &[&str]) -> String {
        let all: Vec<&str> = arguments.iter().copied().chain(["--namespace", NAMESPACE]).collect();
        self.cluster.helm(&all).await.ok()
    }

    async fn install(&self, chart: &Path, arguments: &[&str]) {
        let first = ["install", "cognigy-operator", chart.to_str().unwrap(), "--create-namespace"];
        let all: Vec<&str> = first.into_iter().chain(arguments.iter().copied()).collect();
        let said = self.helm(&all).await;
        assert!(said.contains("rollout status deployment/cognigy-operator"), "the notes are shown: {said}");
    }

    /// The chart as it is published.
    async fn pack(&self) -> PathBuf {
        let folder = self.cluster.folder().join("packed");
        std::fs::create_dir_all(&folder).unwrap();
        let packing = ["package", CHART, "--destination", folder.to_str().unwrap()];
        let said = self.cluster.helm(&packing).await.ok();
        let path = said.trim().rsplit(": ").next().unwrap();
        PathBuf::from(path)
    }

    /// A copy of the chart with another version, and a CRD with a change in it.
    fn next_version(&self) -> PathBuf {
        let copy = self.cluster.folder().join("next-version");
        copy_folder(&root().join(CHART), &copy);
        replace(&copy.join("Chart.yaml"), "version: 0.1.0\n", "version: 0.1.1\n");
        let category = "    categories:\n    - cognigy\n";
        let definition = copy.join("files/deploy.cognigy.ai_cognigydeployments.yaml");
        replace(&definition, category, &format!("{category}    - {NEXT_CATEGORY}\n"));
        copy
    }

    async fn categories(&self) -> Vec<String> {
        let definition = self.cluster.kubectl(&["get", DEFINITION, "-o", "json"], "").await.ok();
        let definition: Value = serde_json::from_str(&definition).unwrap();
        crate::manifest::words(&definition["spec"]["names"]["categories"])
    }

    /// The sample as it is in the cluster, with its uid and its version.
    async fn resource(&self) -> Value {
        let resource = self.cluster.kubectl(&["get", "-f", SAMPLE, "-o", "json"], "").await.ok();
        serde_json::from_str(&resource).unwrap()
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let copy = to.join(entry.file_name().unwrap());
        match entry.is_dir() {
            true => copy_folder(&entry, &copy),
            false => drop(std::fs::copy(&entry, copy).unwrap()),
        }
    }
}

fn replace(file: &Path, old: &str, new: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains(old), "{} does not contain {old:?}", file.display());
    std::fs::write(file, text.replace(old, new)).unwrap();
}
