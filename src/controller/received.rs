//! An object as the API server sends it, read without what others note on it for themselves: who manages which field, and
//! what `kubectl apply` applied last. That may be larger than the object, and nothing here looks at it; no write takes it
//! away, since a write of the status leaves all else as it is in the API server.

use crate::api::{CognigyDeployment, CognigyDeploymentSpec, CognigyDeploymentStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Annotation of `kubectl apply`: the whole object once more, as text.
pub(super) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object as it is sent. Where it may not be one that this operator understands, its parts can be received as any JSON.
#[derive(Deserialize)]
pub(super) struct Received<Spec = CognigyDeploymentSpec, Status = Option<CognigyDeploymentStatus>> {
    pub(super) metadata: Metadata,
    pub(super) spec: Spec,
    pub(super) status: Status,
}

/// An object of which only the metadata is wanted, whatever else was sent.
#[derive(Deserialize)]
pub(super) struct MetadataOnly {
    pub(super) metadata: Metadata,
}

/// What is kept of an object's metadata.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    finalizers: Option<Vec<String>>,
    annotations: Option<BTreeMap<String, String>>,
}

impl From<Received> for CognigyDeployment {
    fn from(received: Received) -> Self {
        Self { metadata: received.metadata.into(), spec: received.spec, status: received.status }
    }
}

impl From<Metadata> for ObjectMeta {
    fn from(metadata: Metadata) -> Self {
        let mut annotations = metadata.annotations;
        if let Some(annotations) = &mut annotations {
            annotations.remove(LAST_APPLIED);
        }
        Self {
            name: metadata.name,
            namespace: metadata.namespace,
            uid: metadata.uid,
            resource_version: metadata.resource_version,
            generation: metadata.generation,
            creation_timestamp: metadata.creation_timestamp,
            deletion_timestamp: metadata.deletion_timestamp,
            finalizers: metadata.finalizers,
            annotations,
            ..Self::default()
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use kube::ResourceExt;
    use serde_json::json;

    #[test]
    fn what_others_have_noted_for_themselves_is_not_received() {
        let sent = json!({
            "apiVersion": "deploy.cognigy.ai/v1alpha1",
            "kind": "CognigyDeployment",
            "metadata": {
                "name": "bot", "namespace": "bots", "uid": "a-uid", "resourceVersion": "7", "generation": 2,
                "creationTimestamp": "2026-01-01T12:00:00Z", "deletionTimestamp": "2026-01-02T12:00:00Z",
                "finalizers": ["deploy.cognigy.ai/rollout"], "labels": {"team": "bots"},
                "annotations": {LAST_APPLIED: "{}", "team": "bots"},
                "managedFields": [{"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:spec": {}}}],
            },
            "spec": {"environmentId": "env", "configurationSnapshot": {"botVersion": "2.4.1"}},
        });
        let whole: CognigyDeployment = serde_json::from_value(sent.clone()).unwrap();
        let received: CognigyDeployment = serde_json::from_value::<Received>(sent.clone()).unwrap().into();
        let metadata: MetadataOnly = serde_json::from_value(json!({"metadata": sent["metadata"]})).unwrap();
        assert_eq!(received.metadata, ObjectMeta::from(metadata.metadata), "the metadata comes alone as well");
        assert_eq!((&received.spec, &received.status), (&whole.spec, &whole.status));
        assert_eq!(received.annotations().keys().collect::<Vec<_>>(), ["team"]);
        let noted = whole.metadata;
        let kept = ObjectMeta {
            annotations: received.metadata.annotations.clone(),
            managed_fields: None,
            labels: None,
            ..noted
        };
        assert_eq!(received.metadata, kept, "all else is received");
    }
}
