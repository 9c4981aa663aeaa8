//! The manifests of the installation, the samples and the documentation, validated by `kubectl` and the API server.

use crate::support::shared;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// How long the API server may take to apply new rights.
const RIGHTS_WITHIN: std::time::Duration = std::time::Duration::from_secs(30);

const OPERATOR: &str = "--as=system:serviceaccount:cognigy-system:cognigy-operator";

pub(crate) async fn kubectl(arguments: &[&str], input: &str) -> Output {
    let mut kubectl = Command::new("kubectl")
        .current_dir(root())
        .arg("--kubeconfig")
        .arg(shared().await.cluster.kubeconfig())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("kubectl is on the PATH");
    let mut stdin = kubectl.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    kubectl.wait_with_output().await.unwrap()
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder whose names have this ending.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<PathBuf> = entries.filter(|path| path.to_str().unwrap().ends_with(ending)).collect();
    assert!(!found.is_empty(), "{folder} holds files that end with {ending}");
    found
}

/// Applies resources in a server-side dry run, after it has created their namespace.
pub(crate) async fn accept(what: &str, text: &str) {
    let namespace = r#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bots"}}"#;
    let output = kubectl(&["apply", "--server-side", "-f", "-"], namespace).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = kubectl(&["apply", "--dry-run=server", "-f", "-"], text).await;
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn the_whole_installation_is_accepted_and_violates_no_pod_security_standard() {
    let said = shared().await.installed.as_str();
    for object in [
        "namespace/cognigy-system",
        "customresourcedefinition.apiextensions.k8s.io/cognigydeployments.deploy.cognigy.ai",
        "serviceaccount/cognigy-operator",
        "clusterrole.rbac.authorization.k8s.io/cognigy-operator",
        "clusterrolebinding.rbac.authorization.k8s.io/cognigy-operator",
        "validatingadmissionpolicy.admissionregistration.k8s.io/decisions.deploy.cognigy.ai",
        "validatingadmissionpolicybinding.admissionregistration.k8s.io/decisions.deploy.cognigy.ai",
        "deployment.apps/cognigy-operator",
    ] {
        assert!(said.contains(object), "{object} was not applied:\n{said}");
    }
    assert!(!said.contains("would violate"), "{said}");
}

#[tokio::test]
async fn the_operator_has_the_rights_that_it_uses_and_no_others() {
    for right in [
        "list cognigydeployments -A",
        "watch cognigydeployments -A",
        "patch cognigydeployments -A",
        "update cognigydeployments --subresource=status -A",
        "list cognigydecisions -A",
        "watch cognigydecisions -A",
        "create cognigydecisions -A",
        "delete cognigydecisions -A",
        "patch cognigydecisions --subresource=status -A",
        "list changewindows -A",
        "watch changewindows -A",
        "patch changewindows --subresource=status -A",
        "get secrets -A",
        "get configmaps -A",
        "list configmaps -A",
        "watch configmaps -A",
        "create events.events.k8s.io -A",
        "create leases.coordination.k8s.io -n cognigy-system",
        "get leases.coordination.k8s.io/cognigy-operator -n cognigy-system",
        "update leases.coordination.k8s.io/cognigy-operator -n cognigy-system",
    ] {
        let known = async { while !may(right).await {} };
        let known = tokio::time::timeout(RIGHTS_WITHIN, known).await;
        assert!(known.is_ok(), "the operator may not {right}");
    }
    for right in [
        "list secrets -A",
        "watch secrets -A",
        "list secrets -n cognigy-system",
        "create secrets -A",
        "update secrets -A",
        "delete secrets -A",
        "create configmaps -A",
        "update configmaps -A",
        "create cognigydeployments -A",
        "delete cognigydeployments -A",
        "update cognigydeployments -A",
        "update cognigydecisions -A",
        "patch cognigydecisions -A",
        "create changewindows -A",
        "patch changewindows -A",
        "approve environments.deploy.cognigy.ai -A",
        "create pods -A",
        "get pods -A",
        "list namespaces",
        "patch events.events.k8s.io -A",
        "update leases.coordination.k8s.io -n cognigy-system",
        "get leases.coordination.k8s.io -n kube-system",
        "impersonate users",
        "escalate clusterroles.rbac.authorization.k8s.io",
    ] {
        assert!(!may(right).await, "the operator may {right}");
    }
}

/// Whether the operator's service account has a right, written as for `kubectl auth can-i`.
async fn may(right: &str) -> bool {
    let words: Vec<&str> = ["auth", "can-i", OPERATOR].into_iter().chain(right.split(' ')).collect();
    let output = kubectl(&words, "").await;
    match String::from_utf8(output.stdout).unwrap().trim() {
        "yes" => true,
        "no" => false,
        other => panic!("can-i {right}: {other}{}", String::from_utf8_lossy(&output.stderr)),
    }
}

#[tokio::test]
async fn every_sample_is_accepted() {
    for path in files("deploy/samples", ".yaml") {
        accept(&path.display().to_string(), &std::fs::read_to_string(&path).unwrap()).await;
    }
}

#[tokio::test]
async fn every_resource_in_the_documentation_is_accepted() {
    let mut resources = 0;
    for path in files("", ".md").into_iter().chain(files("docs", ".md")) {
        let page = std::fs::read_to_string(&path).unwrap();
        for block in page.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("yaml\n")) {
            if block.contains("kind: CognigyDeployment") {
                accept(&path.display().to_string(), block).await;
                resources += 1;
            }
        }
    }
    assert!(resources > 0, "no page shows a resource");
}
