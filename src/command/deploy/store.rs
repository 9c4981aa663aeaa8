//! What the controller takes for its API server: one resource, whose status is in the journal, and the Secrets and ConfigMaps of
//! the manifest.
//!
//! It keeps the rules that the controller relies on. A write names the version that it is based on, and is refused with 409 if
//! there is a newer one. And a write is answered only after it is on the disk, so nothing is submitted whose intent a crash
//! could lose.

use super::inputs::Inputs;
use super::journal::Journal;
use super::record::Record;
use api::{CognigyDeployment, CognigyDeploymentStatus, FINALIZER, RETRY_ANNOTATION};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::client::Body;
use kube::{Resource, ResourceExt};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc::UnboundedSender;
use tower::Service;

/// What the controller has told the store.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    /// A new status. It is in the journal.
    Status { before: Option<Box<CognigyDeploymentStatus>>, after: Box<CognigyDeploymentStatus> },
    /// An event.
    Event { reason: String, note: String },
    /// The journal could not be written. The controller tries again.
    NotWritten(String),
}

/// The store. Clones share it.
#[derive(Clone)]
pub(super) struct Store(Arc<Shared>);

struct Shared {
    deployment: CognigyDeployment,
    secrets: BTreeMap<String, Secret>,
    config_maps: BTreeMap<String, ConfigMap>,
    journal: Mutex<Journal>,
    told: UnboundedSender<Told>,
}

/// A write of the status.
#[derive(Deserialize)]
struct StatusWrite {
    metadata: ObjectMeta,
    status: CognigyDeploymentStatus,
}

/// The parts of an event that are shown.
#[derive(Deserialize)]
struct EventWrite {
    reason: String,
    note: String,
}

impl Store {
    /// Serves the inputs and the journal. There is no resource before [`begin`](Self::begin).
    pub(super) fn new(inputs: &Inputs, journal: Journal, told: UnboundedSender<Told>) -> Self {
        Self(Arc::new(Shared {
            deployment: inputs.deployment.clone(),
            secrets: inputs.secrets.clone(),
            config_maps: inputs.config_maps.clone(),
            journal: Mutex::new(journal),
            told,
        }))
    }

    /// Takes in the manifest and a request to retry, and returns the resource. It is in the journal from here on.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(super) fn begin(&self, inputs: &Inputs, wants_retry: bool, now: Timestamp) -> io::Result<CognigyDeployment> {
        let mut journal = self.0.journal.lock();
        let known = journal.record().cloned();
        let mut record = known.clone().unwrap_or_else(|| Record::new(&inputs.manifest, now));
        // Before the first attempt there is nothing to repeat.
        let has_attempt = record.status.as_ref().is_some_and(|status| status.attempt.is_some());
        record.take_in(&inputs.manifest, wants_retry && has_attempt);
        if known.as_ref() != Some(&record) {
            record.resource_version += 1;
            journal.write(record.clone())?;
        }
        Ok(self.0.object(&record))
    }

    /// The resource as an API server would show it.
    pub(super) fn object(&self) -> Option<CognigyDeployment> {
        self.0.journal.lock().record().map(|record| self.0.object(record))
    }

    fn answer(&self, request: &Request<Bytes>) -> (StatusCode, String) {
        let path = request.uri().path();
        let [group, rest @ ..] = &*path.trim_start_matches('/').split("/namespaces/").collect::<Vec<_>>() else {
            return not_served(path);
        };
        let target: Vec<&str> = rest.iter().flat_map(|rest| rest.split('/')).collect();
        let [namespace, target @ ..] = &*target else { return not_served(path) };
        if Some(*namespace) != self.0.deployment.metadata.namespace.as_deref() {
            return not_served(path);
        }
        let deployments = CognigyDeployment::plural(&());
        let own_name = self.0.deployment.name_any();
        match (request.method(), *group, target) {
            (&Method::GET, "api/v1", ["secrets", name]) => found(self.0.secrets.get(*name), name),
            (&Method::GET, "api/v1", ["configmaps", name]) => found(self.0.config_maps.get(*name), name),
            (&Method::POST, "apis/events.k8s.io/v1", ["events"]) => self.take_event(request.body()),
            (&Method::GET, "apis/deploy.cognigy.ai/v1alpha1", [plural, name])
                if *plural == deployments && *name == own_name =>
            {
                found(self.object().as_ref(), name)
            }
            (&Method::PUT, "apis/deploy.cognigy.ai/v1alpha1", [plural, name, "status"])
                if *plural == deployments && *name == own_name =>
            {
                self.write_status(request.body())
            }
            _ => not_served(path),
        }
    }

    fn take_event(&self, body: &Bytes) -> (StatusCode, String) {
        if let Ok(EventWrite { reason, note }) = serde_json::from_slice(body) {
            self.0.tell(Told::Event { reason, note });
        }
        (StatusCode::CREATED, json!({"metadata": {}}).to_string())
    }

    fn write_status(&self, body: &Bytes) -> (StatusCode, String) {
        let written: StatusWrite = match serde_json::from_slice(body) {
            Ok(written) => written,
            Err(error) => return failure(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", &error.to_string()),
        };
        let mut journal = self.0.journal.lock();
        let Some(record) = journal.record().cloned() else { return not_served("status") };
        if written.metadata.resource_version != Some(record.resource_version.to_string()) {
            return failure(StatusCode::CONFLICT, "Conflict", "the resource has been modified");
        }
        let before = record.status.clone();
        if before.as_ref() == Some(&written.status) {
            return (StatusCode::OK, metadata_of(&self.0.object(&record)));
        }
        let resource_version = record.resource_version + 1;
        let next = Record { resource_version, status: Some(written.status.clone()), ..record };
        match journal.write(next.clone()) {
            Ok(()) => {
                let before = before.map(Box::new);
                self.0.tell(Told::Status { before, after: Box::new(written.status) });
                (StatusCode::OK, metadata_of(&self.0.object(&next)))
            }
            Err(error) => {
                self.0.tell(Told::NotWritten(error.to_string()));
                failure(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", &error.to_string())
            }
        }
    }
}

impl Shared {
    fn object(&self, record: &Record) -> CognigyDeployment {
        let mut object = self.deployment.clone();
        object.metadata.uid = Some(record.uid.clone());
        object.metadata.resource_version = Some(record.resource_version.to_string());
        object.metadata.generation = Some(record.generation);
        object.metadata.creation_timestamp = Some(Time(record.created_at));
        // Nobody deletes this resource, so the controller need not put its finalizer on.
        object.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
        if let Some(retry) = &record.retry.value {
            object.annotations_mut().insert(RETRY_ANNOTATION.to_owned(), retry.clone());
        }
        object.status.clone_from(&record.status);
        object
    }

    /// A failed send is harmless: nobody shows the progress any more.
    fn tell(&self, told: Told) {
        let _ = self.told.send(told);
    }
}

fn metadata_of(object: &CognigyDeployment) -> String {
    json!({"metadata": object.metadata}).to_string()
}

fn found(object: Option<&impl serde::Serialize>, name: &str) -> (StatusCode, String) {
    // A snapshot stays the text that it is: a tree would change its numbers.
    let body = object.and_then(|object| serde_json::to_string(object).ok());
    body.map_or_else(
        || failure(StatusCode::NOT_FOUND, "NotFound", &format!("{name} is not in the manifest")),
        |body| (StatusCode::OK, body),
    )
}

fn not_served(path: &str) -> (StatusCode, String) {
    failure(StatusCode::NOT_FOUND, "NotFound", &format!("{path} is not served here"))
}

fn failure(code: StatusCode, reason: &str, message: &str) -> (StatusCode, String) {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason,
        "code": code.as_u16(),
    });
    (code, body.to_string())
}

impl Service<Request<Body>> for Store {
    type Response = Response<Full<Bytes>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let store = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
            let (status, body) = store.answer(&Request::from_parts(parts, body));
            let mut response = Response::new(Full::new(Bytes::from(body)));
            *response.status_mut() = status;
            Ok(response)
        })
    }
}

#[cfg(test)]
mod tests;
