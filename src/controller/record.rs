//! Writes to the resource: guarded by the version that the decision was made on, and only where something has changed.

use super::context::Context;
use super::error::{Error, call};
use super::watched::without_bookkeeping;
use crate::api::status::CognigyDeploymentStatus;
use crate::api::{CognigyDeployment, FINALIZER};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use std::sync::Arc;

fn resources(context: &Context, object: &CognigyDeployment) -> Api<CognigyDeployment> {
    Api::namespaced(context.kubernetes.clone(), &object.namespace().unwrap_or_default())
}

/// The most bytes of a status; more would burden every watch, and in the end etcd.
pub const STATUS_BOUND: usize = 64 * 1024;

/// Keeps a status within its bound whatever the API's words and ids: the oldest history goes first.
pub fn bound(status: &mut CognigyDeploymentStatus) {
    let is_too_large =
        |status: &CognigyDeploymentStatus| serde_json::to_vec(status).is_ok_and(|bytes| bytes.len() > STATUS_BOUND);
    while is_too_large(status) && status.history.pop().is_some() {}
}

/// Reads the resource as it is now.
///
/// # Errors
/// [`Error::Gone`], or that the API server failed.
pub async fn read(context: &Context, object: &CognigyDeployment) -> Result<Arc<CognigyDeployment>, Error> {
    let api = resources(context, object);
    let read = call("read the resource", api.get(&object.name_any())).await;
    read.map(|object| Arc::new(without_bookkeeping(object)))
}

/// Writes the status; a conflict means that somebody knows more than we do. Of the object only the status is taken (API
/// conventions, "Spec and Status"): what is not kept of it is not lost.
///
/// # Errors
/// [`Error::Conflict`], or that the API server failed.
pub async fn status(
    context: &Context,
    object: &CognigyDeployment,
    status: &CognigyDeploymentStatus,
) -> Result<Arc<CognigyDeployment>, Error> {
    let body = CognigyDeployment { status: Some(status.clone()), ..object.clone() };
    let api = resources(context, object);
    let written = call("write the status", api.replace_status(&object.name_any(), &PostParams::default(), &body)).await;
    context.metrics.wrote("status", written.as_ref().err());
    written.map(|object| Arc::new(without_bookkeeping(object)))
}

/// Whether the finalizer is there.
#[must_use]
pub fn has_finalizer(object: &CognigyDeployment) -> bool {
    object.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
}

/// Puts the finalizer on, before anything is asked of Cognigy.AI.
///
/// # Errors
/// [`Error::Conflict`], or that the API server failed.
pub async fn put_finalizer(context: &Context, object: &CognigyDeployment) -> Result<Arc<CognigyDeployment>, Error> {
    let mut finalizers = object.finalizers().to_vec();
    finalizers.push(FINALIZER.to_owned());
    write_finalizers(context, object, finalizers).await
}

/// Takes the finalizer off, so that the resource goes.
///
/// # Errors
/// [`Error::Conflict`], or that the API server failed.
pub async fn take_finalizer(context: &Context, object: &CognigyDeployment) -> Result<(), Error> {
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
) -> Result<Arc<CognigyDeployment>, Error> {
    let patch = json!({"metadata": {"resourceVersion": object.resource_version(), "finalizers": finalizers}});
    let api = resources(context, object);
    let written = call("write the finalizer", async {
        api.patch(&object.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await
    })
    .await;
    context.metrics.wrote("finalizer", written.as_ref().err());
    written.map(|object| Arc::new(without_bookkeeping(object)))
}
