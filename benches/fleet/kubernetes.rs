//! A client of the API server. It keeps virtual time from jumping during a request, and counts its requests.

use crate::time::Time;
use http::{Method, Request};
use kube::client::{Body, ClientBuilder};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde::Serialize;
use std::ops::Sub;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tower::{Layer, Service};

/// The number of requests of a client to the API server.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct RequestCounts {
    /// Writes of a resource's status.
    pub status_writes: u64,
    /// Writes of a resource, such as its finalizer.
    pub resource_writes: u64,
    /// Events published.
    pub events: u64,
    /// All other writes.
    pub other_writes: u64,
    /// Reads and lists, without watches.
    pub reads: u64,
}

impl RequestCounts {
    /// Writes of resources and of their status, without events.
    pub fn writes(self) -> u64 {
        self.status_writes + self.resource_writes + self.other_writes
    }
}

impl Sub for RequestCounts {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            status_writes: self.status_writes - earlier.status_writes,
            resource_writes: self.resource_writes - earlier.resource_writes,
            events: self.events - earlier.events,
            other_writes: self.other_writes - earlier.other_writes,
            reads: self.reads - earlier.reads,
        }
    }
}

/// Counts the requests of a running client.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<[AtomicU64; 5]>);

impl Counter {
    /// The requests so far.
    pub fn counts(&self) -> RequestCounts {
        let [status_writes, resource_writes, events, other_writes, reads] =
            self.0.each_ref().map(|count| count.load(Ordering::Relaxed));
        RequestCounts { status_writes, resource_writes, events, other_writes, reads }
    }

    fn count(&self, request: &Request<Body>) {
        let path = request.uri().path();
        let kind = match *request.method() {
            Method::GET => 4,
            _ if path.ends_with("/status") => 0,
            _ if path.contains("/cognigydeployments") => 1,
            _ if path.contains("/events") => 2,
            _ => 3,
        };
        self.0[kind].fetch_add(1, Ordering::Relaxed);
    }
}

/// A client for this API server, on the caller's runtime.
///
/// # Errors
/// If the kubeconfig cannot be used.
pub async fn connect(kubeconfig: &Path, time: &Time, counter: &Counter) -> Result<kube::Client, crate::Failure> {
    let config = configuration(kubeconfig).await?;
    let layer = Watched { time: time.clone(), counter: counter.clone() };
    Ok(ClientBuilder::try_from(config)?.with_layer(&layer).build())
}

/// The address of the API server, and the credentials.
///
/// # Errors
/// If the kubeconfig cannot be used.
pub async fn configuration(kubeconfig: &Path) -> Result<kube::Config, crate::Failure> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    Ok(kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)
}

#[derive(Clone)]
struct Watched {
    time: Time,
    counter: Counter,
}

impl<S> Layer<S> for Watched {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, watched: self.clone() }
    }
}

#[derive(Clone)]
struct Counted<S> {
    inner: S,
    watched: Watched,
}

impl<S> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = futures::future::BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        if !is_watch {
            self.watched.counter.count(&request);
        }
        // A watch holds time too, until it is answered: the operator waits for its first events.
        let hold = self.watched.time.hold_with_echo();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            drop(hold);
            answer
        })
    }
}
