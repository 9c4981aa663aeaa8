//! Service accounts: what a pod has in place of an administrator's kubeconfig.

use super::DEADLINE;
use control_plane::ControlPlane;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Client;
use kube::api::{Api, PostParams};
use serde_json::json;
use std::path::PathBuf;
use tokio::time::timeout;

/// How long a token lives, in seconds: longer than any run of the tests.
const TOKEN_LIFE: i64 = 4 * 3600;

/// A verb on a resource, as a role grants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Right {
    pub(crate) group: String,
    /// With its subresource, if any: `cognigydeployments/status`.
    pub(crate) resource: String,
    /// The names it is limited to; empty: all.
    pub(crate) names: Vec<String>,
    pub(crate) verb: String,
}

/// Writes a kubeconfig with a service account's own token, and its namespace as the current one.
pub(crate) async fn kubeconfig(control_plane: &ControlPlane, client: &Client, namespace: &str, name: &str) -> PathBuf {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let asked = TokenRequest {
        spec: TokenRequestSpec { expiration_seconds: Some(TOKEN_LIFE), ..TokenRequestSpec::default() },
        ..TokenRequest::default()
    };
    let given = accounts.create_token_request(name, &PostParams::default(), &asked).await.unwrap();
    // Each has files of its own: another operator may be reading at this moment.
    let authority = control_plane.folder().join(format!("{namespace}-{name}.crt"));
    std::fs::write(&authority, control_plane.ca_pem()).unwrap();
    let path = control_plane.folder().join(format!("{namespace}-{name}.kubeconfig"));
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "account",
        "contexts": [{"name": "account", "context": {"cluster": "tests", "user": "account", "namespace": namespace}}],
        "clusters": [{
            "name": "tests",
            "cluster": {"server": control_plane.server(), "certificate-authority": authority},
        }],
        "users": [{"name": "account", "user": {"token": given.status.unwrap().token}}],
    });
    std::fs::write(&path, kubeconfig.to_string()).unwrap();
    path
}

/// Waits until the API server knows that this client's user has a right in a namespace: it learns of roles by a watch.
pub(crate) async fn until_granted(client: &Client, namespace: &str, right: &Right) {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let (resource, subresource) = match right.resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (right.resource.as_str(), None),
    };
    let asked = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                namespace: Some(namespace.to_owned()),
                group: Some(right.group.clone()),
                resource: Some(resource.to_owned()),
                subresource,
                name: right.names.first().cloned(),
                verb: Some(right.verb.clone()),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let granted =
        async { while !reviews.create(&PostParams::default(), &asked).await.unwrap().status.unwrap().allowed {} };
    assert!(timeout(DEADLINE, granted).await.is_ok(), "{right:?} was not granted in {namespace}");
}
