//! On whose behalf a request is made, and how it is taken back.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::failed_try::FailedTry;

/// The resource on whose behalf a request is made. Requests of one priority go by turns: between namespaces, and inside one
/// between its resources.
#[derive(Debug, Clone)]
pub struct Requester {
    namespace: Arc<str>,
    name: Arc<str>,
    withdrawal: Option<Withdrawal>,
    last_sent: Arc<Mutex<Option<Instant>>>,
    failed_tries: Option<mpsc::UnboundedSender<FailedTry>>,
}

impl Requester {
    /// A resource by its namespace and name, whose requests nobody takes back.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            withdrawal: None,
            last_sent: Arc::default(),
            failed_tries: None,
        }
    }

    /// The same resource; its requests are taken back by this signal.
    #[must_use]
    pub fn withdrawn_by(&self, withdrawal: Withdrawal) -> Self {
        Self { withdrawal: Some(withdrawal), ..self.clone() }
    }

    /// The same resource; each try that fails and is followed by another one is told to this channel.
    #[must_use]
    pub fn telling(&self, failed_tries: mpsc::UnboundedSender<FailedTry>) -> Self {
        Self { failed_tries: Some(failed_tries), ..self.clone() }
    }

    /// The same resource; nobody takes its requests back.
    #[must_use]
    pub fn insisting(&self) -> Self {
        Self { withdrawal: None, ..self.clone() }
    }

    /// When a request of its was sent last, after the wait for its turn. Clones share it.
    #[must_use]
    pub fn last_sent(&self) -> Option<Instant> {
        *self.last_sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a request is sent now.
    pub fn sends(&self) {
        *self.last_sent.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Reports a try that failed and is followed by another one.
    pub fn tell(&self, failed: FailedTry) {
        if let Some(failed_tries) = &self.failed_tries {
            // Nobody has to listen.
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

    /// Whether its requests are taken back.
    #[must_use]
    pub fn is_withdrawn(&self) -> bool {
        self.withdrawal.as_ref().is_some_and(Withdrawal::is_raised)
    }

    /// Waits until the requests are taken back; for ever, where nobody does.
    pub async fn withdrawn(&self) {
        match &self.withdrawal {
            Some(withdrawal) => withdrawal.raised().await,
            None => std::future::pending().await,
        }
    }
}

/// A signal that takes requests back: those that wait for their turn leave the queue, those to come are not made, and those
/// that were sent are not touched. Once raised, it stays so. Clones are the same signal.
#[derive(Debug, Clone, Default)]
pub struct Withdrawal(Arc<watch::Sender<bool>>);

impl Withdrawal {
    /// Takes the requests back.
    pub fn raise(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was raised.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        *self.0.borrow()
    }

    async fn raised(&self) {
        // The sender lives as long as this future, which borrows it.
        let _ = self.0.subscribe().wait_for(|raised| *raised).await;
    }
}
