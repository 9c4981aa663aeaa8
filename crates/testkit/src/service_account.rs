//! Service accounts. A pod acts as one of them, and not as an administrator.

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

/// The lifetime of a token in seconds. It is longer than any run of the tests.
const TOKEN_LIFETIME: i64 = 4 * 3600;

/// A verb on a resource, as a role grants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Right {
    /// The API group.
    pub group: String,
    /// The resource in the plural, with its subresource if it has one: `cognigydeployments/status`.
    pub resource: String,
    /// The names that the right is limited to. Empty means all names.
    pub names: Vec<String>,
    /// The verb.
    pub verb: String,
}

/// What a client needs to act as a service account.
#[derive(Clone, Debug)]
pub struct ServiceAccountAccess {
    /// A bearer token of the account.
    pub token: String,
    /// A kubeconfig with this token. Its current namespace is the account's.
    pub kubeconfig: PathBuf,
}

/// Requests a token for an existing service account, and writes a kubeconfig with it.
pub(crate) async fn access(
    control_plane: &ControlPlane,
    client: &Client,
    namespace: &str,
    name: &str,
) -> ServiceAccountAccess {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let request = TokenRequest {
        spec: TokenRequestSpec { expiration_seconds: Some(TOKEN_LIFETIME), ..TokenRequestSpec::default() },
        ..TokenRequest::default()
    };
    let issued = accounts.create_token_request(name, &PostParams::default(), &request).await.unwrap();
    let token = issued.status.unwrap().token;
    // Each account has its own files, because another operator may be reading its files at this moment.
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
        "users": [{"name": "account", "user": {"token": token}}],
    });
    std::fs::write(&path, kubeconfig.to_string()).unwrap();
    ServiceAccountAccess { token, kubeconfig: path }
}

/// Waits until the API server grants a right to the user of this client. The API server learns of new roles by a watch,
/// so it grants them a moment later.
pub(crate) async fn until_granted(client: &Client, namespace: &str, right: &Right) {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let (resource, subresource) = match right.resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (right.resource.as_str(), None),
    };
    let question = SelfSubjectAccessReview {
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
        async { while !reviews.create(&PostParams::default(), &question).await.unwrap().status.unwrap().allowed {} };
    assert!(timeout(DEADLINE, granted).await.is_ok(), "{right:?} was not granted in {namespace}");
}
