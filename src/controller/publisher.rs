//! Publishes the events of one reconcile: at its end, or while a call of Cognigy.AI keeps it waiting.

use super::announce::Announcer;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::ObjectReference;
use rollout::Happened;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tracing::{Instrument, Span};

/// How long a call may take, with its wait for the request budget, before recorded events are published. Shorter calls
/// keep the events back, so that steps that follow each other quickly share one event: about 4 writes a rollout instead
/// of 5 when the budget is used up. A call that hangs shows after this time (a call is given up after 30 seconds).
const PATIENCE: Duration = Duration::from_secs(10);

/// The events of one reconcile. Only what is recorded is published.
pub(super) struct Publisher<'c> {
    announcer: &'c Announcer,
    regarding: ObjectReference,
    /// Not published yet.
    waiting: Vec<Happened>,
    /// Being published.
    under_way: Option<UnderWay<'c>>,
}

/// The mutex only makes the future `Sync`. It is reached by `get_mut`, and so never locked.
type UnderWay<'c> = Mutex<BoxFuture<'c, ()>>;

impl<'c> Publisher<'c> {
    /// Publishes events about this resource.
    pub(super) fn new(announcer: &'c Announcer, regarding: ObjectReference) -> Self {
        Self { announcer, regarding, waiting: Vec::new(), under_way: None }
    }

    /// The same, to be put back, for a call that borrows the reconcile as a whole.
    pub(super) fn lend(&mut self) -> Self {
        let nothing = Self::new(self.announcer, self.regarding.clone());
        std::mem::replace(self, nothing)
    }

    /// Takes up what happened and was recorded.
    pub(super) fn take_up(&mut self, happened: impl IntoIterator<Item = Happened>) {
        self.waiting.extend(happened);
    }

    /// Begins to publish the waiting events, in the present span. They go on only while `during` or `finish` is awaited.
    pub(super) fn begin(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let (announcer, regarding) = (self.announcer, self.regarding.clone());
        let (happened, earlier) = (std::mem::take(&mut self.waiting), self.under_way.take());
        let publish = async move {
            if let Some(earlier) = earlier {
                earlier.into_inner().unwrap_or_else(PoisonError::into_inner).await;
            }
            announcer.announce(regarding, happened).await;
        };
        self.under_way = Some(Mutex::new(Box::pin(publish.instrument(Span::current()))));
    }

    /// Waits for a call. If that takes long, events are published meanwhile; the call never waits for them.
    pub(super) async fn during<T>(&mut self, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        let mut patience = pin!(tokio::time::sleep(PATIENCE));
        loop {
            tokio::select! {
                biased;
                answer = &mut call => return answer,
                () = published(&mut self.under_way), if self.under_way.is_some() => self.under_way = None,
                () = &mut patience, if !self.waiting.is_empty() => self.begin(),
            }
        }
    }

    /// Publishes all that is left.
    pub(super) async fn finish(&mut self) {
        self.begin();
        published(&mut self.under_way).await;
        self.under_way = None;
    }
}

async fn published(under_way: &mut Option<UnderWay<'_>>) {
    if let Some(under_way) = under_way {
        under_way.get_mut().unwrap_or_else(PoisonError::into_inner).await;
    }
}
