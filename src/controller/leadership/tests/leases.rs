//! One Lease in memory behind the API that a client uses, with the API server's resource versions and injectable
//! faults.

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::client::Body;
use serde_json::json;
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tower::Service;

/// The fault of every request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fault {
    #[default]
    None,
    /// No connection.
    Refuse,
    /// There is never an answer.
    Hang,
    /// Reads succeed. Writes are neither stored nor answered.
    LoseWrites,
    /// Reads return the state at the end of this delay, even if the fault changes in the meantime.
    SlowReads(Duration),
    /// Requests take effect at once. The answer comes after this delay.
    SlowAnswers(Duration),
    /// The next write has a conflict.
    ConflictOnce,
}

/// An API server with one Lease.
#[derive(Clone, Default)]
pub(super) struct Leases(Arc<Mutex<Stored>>);

#[derive(Default)]
struct Stored {
    lease: Option<Lease>,
    version: u64,
    written_at: Option<Instant>,
    fault: Fault,
}

impl Leases {
    pub(super) fn client(&self) -> kube::Client {
        kube::Client::new(self.clone(), "default")
    }

    pub(super) fn fault(&self, fault: Fault) {
        self.lock().fault = fault;
    }

    /// Another process writes the Lease.
    pub(super) fn hold(&self, holder: &str, duration: Duration) {
        let spec = LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(duration.as_secs().try_into().unwrap()),
            ..LeaseSpec::default()
        };
        self.lock().write(Lease { spec: Some(spec), ..Lease::default() });
    }

    pub(super) fn delete(&self) {
        self.lock().lease = None;
    }

    pub(super) fn holder(&self) -> String {
        self.spec().holder_identity.unwrap_or_default()
    }

    pub(super) fn transitions(&self) -> i32 {
        self.spec().lease_transitions.unwrap_or_default()
    }

    pub(super) fn written_at(&self) -> Instant {
        self.lock().written_at.unwrap()
    }

    fn spec(&self) -> LeaseSpec {
        self.lock().lease.clone().and_then(|lease| lease.spec).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Stored> {
        self.0.lock().unwrap()
    }

    async fn answer(self, request: Request<Body>) -> io::Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let is_read = head.method == Method::GET;
        let fault = self.lock().fault;
        match fault {
            Fault::Refuse => return Err(io::ErrorKind::ConnectionRefused.into()),
            Fault::Hang => pending().await,
            Fault::LoseWrites if !is_read => pending().await,
            Fault::SlowReads(time) if is_read => sleep(time).await,
            _ => {}
        }
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let (status, text) = match head.method {
            Method::GET => self.lock().read(),
            Method::POST => self.lock().create(serde_json::from_slice(&body).unwrap()),
            Method::PUT => self.lock().replace(serde_json::from_slice(&body).unwrap()),
            method => panic!("unexpected method {method}"),
        };
        if let Fault::SlowAnswers(time) = fault {
            sleep(time).await;
        }
        Ok(Response::builder().status(status).body(Body::from(text.into_bytes())).unwrap())
    }
}

impl Stored {
    fn read(&self) -> (StatusCode, String) {
        self.lease.as_ref().map_or_else(|| refusal(StatusCode::NOT_FOUND), |lease| (StatusCode::OK, text(lease)))
    }

    fn create(&mut self, lease: Lease) -> (StatusCode, String) {
        if self.lease.is_some() {
            return refusal(StatusCode::CONFLICT);
        }
        self.write(lease)
    }

    fn replace(&mut self, lease: Lease) -> (StatusCode, String) {
        if self.fault == Fault::ConflictOnce {
            self.fault = Fault::None;
            return refusal(StatusCode::CONFLICT);
        }
        let Some(stored) = &self.lease else { return refusal(StatusCode::NOT_FOUND) };
        assert!(lease.metadata.resource_version.is_some(), "a write without a resource version");
        if lease.metadata.resource_version != stored.metadata.resource_version {
            return refusal(StatusCode::CONFLICT);
        }
        self.write(lease)
    }

    fn write(&mut self, mut lease: Lease) -> (StatusCode, String) {
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        let text = text(&lease);
        self.lease = Some(lease);
        self.written_at = Some(Instant::now());
        (StatusCode::OK, text)
    }
}

fn text(lease: &Lease) -> String {
    serde_json::to_string(lease).unwrap()
}

fn refusal(status: StatusCode) -> (StatusCode, String) {
    let reason = status.canonical_reason().unwrap().replace(' ', "");
    let refusal = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": reason,
        "code": status.as_u16()});
    (status, refusal.to_string())
}

impl Service<Request<Body>> for Leases {
    type Response = Response<Body>;
    type Error = io::Error;
    type Future = futures::future::BoxFuture<'static, io::Result<Response<Body>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().answer(request))
    }
}
