//! The resource that a request is made for, and how the request is cancelled.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::failed_try::FailedTry;

/// The resource that a request is made for. Requests of one priority are sent round-robin: first between namespaces,
/// then between the resources of one namespace.
#[derive(Debug, Clone)]
pub struct Requester {
    namespace: Arc<str>,
    name: Arc<str>,
    cancellation: Option<CancellationToken>,
    last_sent: Arc<Mutex<Option<Instant>>>,
    failed_tries: Option<mpsc::UnboundedSender<FailedTry>>,
}

impl Requester {
    /// A resource by its namespace and name, whose requests are never cancelled.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            cancellation: None,
            last_sent: Arc::default(),
            failed_tries: None,
        }
    }

    /// The same resource with a cancellation token. Cancelling the token removes its waiting requests from the queue
    /// and prevents new requests. A request that was already sent is not affected.
    #[must_use]
    pub fn cancelled_by(&self, cancellation: CancellationToken) -> Self {
        Self { cancellation: Some(cancellation), ..self.clone() }
    }

    /// The same resource with a channel that receives each failed try if another try follows.
    #[must_use]
    pub fn reporting_to(&self, failed_tries: mpsc::UnboundedSender<FailedTry>) -> Self {
        Self { failed_tries: Some(failed_tries), ..self.clone() }
    }

    /// The same resource, whose requests are never cancelled.
    #[must_use]
    pub fn without_cancellation(&self) -> Self {
        Self { cancellation: None, ..self.clone() }
    }

    /// When its last request was sent, after the wait in the queue. Clones share this.
    #[must_use]
    pub fn last_sent(&self) -> Option<Instant> {
        *self.last_sent.lock()
    }

    /// Records that a request is sent now.
    pub fn record_sent(&self) {
        *self.last_sent.lock() = Some(Instant::now());
    }

    /// Sends a failed try to the channel of [`reporting_to`](Self::reporting_to), if there is one.
    pub fn report_failed_try(&self, failed: FailedTry) {
        if let Some(failed_tries) = &self.failed_tries {
            // If nobody receives the report, it is dropped.
            let _ = failed_tries.send(failed);
        }
    }

    /// The resource's namespace.
    #[must_use]
    pub fn namespace(&self) -> &Arc<str> {
        &self.namespace
    }

    /// The resource's name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether the requests are cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancellation.as_ref().is_some_and(CancellationToken::is_cancelled)
    }

    /// Waits until the requests are cancelled. Never returns if there is no token.
    pub async fn cancelled(&self) {
        match &self.cancellation {
            Some(cancellation) => cancellation.cancelled().await,
            None => std::future::pending().await,
        }
    }
}
