//! Reads and writes the resource. Each write is guarded by the resource version on which the decision was based.

use super::context::Context;
use super::error::{Error, call};
use super::received::{MetadataOnly, Received, answer};
use api::status::CognigyDeploymentStatus;
use api::{CognigyDeployment, FINALIZER};
use http::HeaderValue;
use http::header::ACCEPT;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{GetParams, Patch, PatchParams, PostParams};
use kube::core::{Request, request};
use kube::{Resource, ResourceExt};
use rollout::admission::ResourceName;
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;

/// Requests only the metadata of an object ("Resources metadata", in the Kubernetes API concepts).
const METADATA_ONLY: HeaderValue =
    HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");

/// Reads the current resource.
///
/// # Errors
/// [`Error::Gone`] if it does not exist; another error if the API server failed.
pub async fn read(context: &Context, object: &impl ResourceExt) -> Result<Arc<CognigyDeployment>, Error> {
    let request = requests_in(object.namespace().as_deref()).get(&object.name_any(), &GetParams::default());
    whole(call("read the resource", answer(&context.cluster.client, request)).await?)
}

/// The uid of the resource that has this name now, if it exists. The API server reads it from etcd. A list or a watch
/// may come from a cache.
///
/// # Errors
/// An error means that the API server failed.
pub async fn uid_of(context: &Context, resource: &ResourceName) -> Result<Option<String>, Error> {
    let request =
        requests_in(Some(&resource.namespace)).get(&resource.name, &GetParams::default()).map(|mut request| {
            request.headers_mut().insert(ACCEPT, METADATA_ONLY);
            request
        });
    match call("look for another resource", answer::<MetadataOnly>(&context.cluster.client, request)).await {
        Ok(found) => Ok(ObjectMeta::from(found.metadata).uid),
        Err(Error::Gone) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The body of a write of the status.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusOnly<'a> {
    api_version: &'a str,
    kind: &'a str,
    metadata: ObjectMeta,
    status: &'a CognigyDeploymentStatus,
}

/// Writes the status, and returns the object's new metadata. A conflict means that somebody else has written the
/// object. The status endpoint ignores all other fields (API conventions, "Spec and Status"), so only the status is
/// sent, and fields that the operator does not keep are not lost. The answer contains only the metadata: the write is
/// refused if the version has changed, so everything else is known.
///
/// # Errors
/// [`Error::Conflict`] after a conflict; another error if the API server failed.
pub async fn status(
    context: &Context,
    object: &CognigyDeployment,
    status: &CognigyDeploymentStatus,
) -> Result<ObjectMeta, Error> {
    let ObjectMeta { name, namespace, uid, resource_version, .. } = object.metadata.clone();
    let body = StatusOnly {
        api_version: &CognigyDeployment::api_version(&()),
        kind: &CognigyDeployment::kind(&()),
        metadata: ObjectMeta { name, namespace, uid, resource_version, ..ObjectMeta::default() },
        status,
    };
    let request = serde_json::to_vec(&body).map_err(request::Error::SerializeBody).and_then(|body| {
        requests(object).replace_subresource("status", &object.name_any(), &PostParams::default(), body)
    });
    let written =
        call("write the status", answer::<MetadataOnly>(&context.cluster.client, for_metadata(request))).await;
    context.metrics.wrote("status", written.as_ref().err().map(Error::kind));
    Ok(written?.metadata.into())
}

/// Whether the object has the finalizer.
#[must_use]
pub fn has_finalizer(object: &CognigyDeployment) -> bool {
    object.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
}

/// Adds the finalizer before the first request to Cognigy.AI, and returns the object's new metadata. The answer
/// contains only the metadata: the write is refused if anything else has changed.
///
/// # Errors
/// [`Error::Conflict`] after a conflict, or if an admission webhook has changed the spec in this write; another error
/// if the API server failed.
pub async fn put_finalizer(context: &Context, object: &CognigyDeployment) -> Result<ObjectMeta, Error> {
    let mut finalizers = object.finalizers().to_vec();
    finalizers.push(FINALIZER.to_owned());
    let written = write_finalizers(context, object, finalizers).await?;
    if written.generation == object.metadata.generation { Ok(written) } else { Err(Error::Conflict) }
}

/// Removes the finalizer, so that the resource can be deleted.
///
/// # Errors
/// [`Error::Conflict`] after a conflict; another error if the API server failed.
pub async fn remove_finalizer(context: &Context, object: &CognigyDeployment) -> Result<(), Error> {
    let finalizers = object.finalizers().iter().filter(|finalizer| *finalizer != FINALIZER).cloned().collect();
    match write_finalizers(context, object, finalizers).await {
        Ok(_) | Err(Error::Gone) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn write_finalizers(
    context: &Context,
    object: &CognigyDeployment,
    finalizers: Vec<String>,
) -> Result<ObjectMeta, Error> {
    let patch = json!({"metadata": {"resourceVersion": object.resource_version(), "finalizers": finalizers}});
    let request = requests(object).patch(&object.name_any(), &PatchParams::default(), &Patch::Merge(patch));
    let written =
        call("write the finalizer", answer::<MetadataOnly>(&context.cluster.client, for_metadata(request))).await;
    context.metrics.wrote("finalizer", written.as_ref().err().map(Error::kind));
    Ok(written?.metadata.into())
}

/// A request whose answer contains only the object's metadata.
fn for_metadata(
    request: Result<http::Request<Vec<u8>>, request::Error>,
) -> Result<http::Request<Vec<u8>>, request::Error> {
    request.map(|mut request| {
        request.headers_mut().insert(ACCEPT, METADATA_ONLY);
        request
    })
}

fn requests(object: &CognigyDeployment) -> Request {
    requests_in(object.metadata.namespace.as_deref())
}

fn requests_in(namespace: Option<&str>) -> Request {
    Request::new(CognigyDeployment::url_path(&(), namespace))
}

fn whole(received: Received) -> Result<Arc<CognigyDeployment>, Error> {
    received.understood().map(Arc::new).map_err(|unreadable| Error::Unreadable(unreadable.problem))
}
