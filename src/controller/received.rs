//! An object as the API server sends it, without the parts of its metadata that the operator does not use: the managed
//! fields and the last configuration of `kubectl apply`. Both may be larger than the object. No write removes them from the object, because a write of the status leaves everything else unchanged in the API server.

use super::unreadable::Unreadable;
use api::spec::ObjectName;
use api::{CognigyDeployment, CognigyDeploymentSpec, CognigyDeploymentStatus};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use kube::api::GetParams;
use kube::core::{Request, request};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Annotation of `kubectl apply`: the whole object once more, as text.
pub(super) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A resource as it is sent. Its fields may have any depth and any type: finding the end of a [`RawValue`] takes no
/// recursion and no memory. So one object cannot make a page with other objects fail.
#[derive(Deserialize)]
pub(super) struct Received {
    metadata: Metadata,
    spec: Option<Box<RawValue>>,
    status: Option<Box<RawValue>>,
}

impl Received {
    /// The parsed object. If this operator does not understand it, the fields that can be read.
    pub(super) fn understood(self) -> Result<CognigyDeployment, Box<Unreadable>> {
        let metadata = self.metadata.into();
        match understood(self.spec.as_deref(), self.status.as_deref()) {
            Ok((spec, status)) => Ok(CognigyDeployment { metadata, spec, status }),
            Err(error) => Err(Box::new(Unreadable::of(metadata, self.spec.as_deref(), self.status.as_deref(), &error))),
        }
    }
}

fn understood(
    spec: Option<&RawValue>,
    status: Option<&RawValue>,
) -> Result<(CognigyDeploymentSpec, Option<CognigyDeploymentStatus>), serde_json::Error> {
    let spec = serde_json::from_str(spec.map_or("null", RawValue::get))?;
    let status = status.map(|status| serde_json::from_str(status.get())).transpose()?;
    Ok((spec, status))
}

/// The data of a ConfigMap.
#[derive(Deserialize)]
pub(super) struct ConfigMapData {
    pub(super) data: Option<BTreeMap<String, String>>,
}

/// A Secret's name and data.
#[derive(Deserialize)]
pub(super) struct SecretData {
    metadata: Metadata,
    data: Option<BTreeMap<String, ByteString>>,
}

/// The name and version of a ConfigMap.
#[derive(Clone, Debug)]
pub(super) struct NamedConfigMap(ObjectMeta);

/// The metadata of an object. All other fields are ignored.
#[derive(Deserialize)]
pub(super) struct MetadataOnly {
    pub(super) metadata: Metadata,
}

/// The parts of an object's metadata that are kept.
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
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
}

impl From<SecretData> for Secret {
    fn from(SecretData { metadata, data }: SecretData) -> Self {
        Self { metadata: metadata.into(), data, ..Self::default() }
    }
}

impl<'de> Deserialize<'de> for NamedConfigMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Metadata { name, namespace, uid, resource_version, .. } = MetadataOnly::deserialize(deserializer)?.metadata;
        Ok(Self(ObjectMeta { name, namespace, uid, resource_version, ..ObjectMeta::default() }))
    }
}

impl Resource for NamedConfigMap {
    type DynamicType = ();
    type Scope = <ConfigMap as Resource>::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        ConfigMap::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        ConfigMap::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        ConfigMap::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        ConfigMap::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.0
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.0
    }
}

/// Reads an object of the kind `K` by its name. `None` if it does not exist.
pub(super) async fn get<K, T>(
    client: &kube::Client,
    namespace: &str,
    name: ObjectName<'_>,
) -> Result<Option<T>, kube::Error>
where
    K: Resource<DynamicType = ()>,
    T: DeserializeOwned,
{
    let path = K::url_path(&(), Some(namespace));
    match answer(client, Request::new(path).get(name.as_str(), &GetParams::default())).await {
        Ok(object) => Ok(Some(object)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sends a request and reads its answer. Unlike the kube client, it does not log an answer that cannot be read, because
/// it may contain a Secret.
pub(super) async fn answer<T: DeserializeOwned>(
    client: &kube::Client,
    request: Result<http::Request<Vec<u8>>, request::Error>,
) -> Result<T, kube::Error> {
    let text = client.request_text(request.map_err(kube::Error::BuildRequest)?).await?;
    serde_json::from_str(&text).map_err(kube::Error::SerdeError)
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
            labels: metadata.labels,
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
    fn managed_fields_and_the_last_applied_configuration_are_dropped() {
        let sent = json!({
            "apiVersion": "deploy.cognigy.ai/v1alpha1",
            "kind": "CognigyDeployment",
            "metadata": {
                "name": "bot", "namespace": "bots", "uid": "a-uid", "resourceVersion": "7", "generation": 2,
                "creationTimestamp": "2026-01-01T12:00:00Z", "deletionTimestamp": "2026-01-02T12:00:00Z",
                "finalizers": ["deploy.cognigy.ai/rollout"], "labels": {"team": "bots", "app.kubernetes.io/version": "7"},
                "annotations": {LAST_APPLIED: "{}", "team": "bots"},
                "managedFields": [{"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:spec": {}}}],
            },
            "spec": {"environmentId": "env", "configurationSnapshot": {"botVersion": "2.4.1"}},
        });
        let whole: CognigyDeployment = serde_json::from_value(sent.clone()).unwrap();
        let received = serde_json::from_value::<Received>(sent.clone()).unwrap().understood().unwrap();
        let metadata: MetadataOnly = serde_json::from_value(json!({"metadata": sent["metadata"]})).unwrap();
        assert_eq!(
            received.metadata,
            ObjectMeta::from(metadata.metadata),
            "the metadata parses to the same value on its own"
        );
        assert_eq!((&received.spec, &received.status), (&whole.spec, &whole.status));
        assert_eq!(received.annotations().keys().collect::<Vec<_>>(), ["team"]);
        let noted = whole.metadata;
        let kept = ObjectMeta { annotations: received.metadata.annotations.clone(), managed_fields: None, ..noted };
        assert_eq!(received.metadata, kept, "all other fields are kept");
    }

    #[test]
    fn managed_fields_of_any_depth_are_skipped() {
        let deep = format!("{}1{}", "{\"f:a\":".repeat(9_000), "}".repeat(9_000));
        let metadata = format!(r#""metadata":{{"name":"flows","managedFields":[{{"fieldsV1":{deep}}}]}}"#);
        let map = format!(r#"{{{metadata},"data":{{"snapshot":"{{}}"}}}}"#);
        assert_eq!(serde_json::from_str::<NamedConfigMap>(&map).unwrap().name_any(), "flows");
        assert_eq!(serde_json::from_str::<ConfigMapData>(&map).unwrap().data.unwrap()["snapshot"], "{}");
        let secret = format!(r#"{{{metadata},"data":{{"clientId":"ZGVtbw=="}}}}"#);
        let secret = Secret::from(serde_json::from_str::<SecretData>(&secret).unwrap());
        assert_eq!(
            (secret.name_any().as_str(), secret.data.unwrap()["clientId"].0.as_slice()),
            ("flows", &b"demo"[..])
        );
    }
}
