//! Publishes the events of one reconcile: at its end, or during a long call to Cognigy.AI.

use super::event_recorder::EventRecorder;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::ObjectReference;
use parking_lot::Mutex;
use rollout::TimedEvent;
use std::pin::pin;
use std::time::Duration;
use tracing::{Instrument, Span};

/// How long a call may take, including its wait for the request budget, before recorded events are published. During a
/// shorter call, events wait, so that steps that follow each other quickly share one event: about 4 writes a rollout
/// instead of 5 when the budget is used up. A call that hangs becomes visible after this time. The call itself is given
/// up after 30 seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The events of one reconcile. Only events of recorded changes are published.
pub(super) struct Publisher<'c> {
    recorder: &'c EventRecorder,
    regarding: ObjectReference,
    /// Not published yet.
    waiting: Vec<TimedEvent>,
    /// Being published.
    under_way: Option<UnderWay<'c>>,
}

/// The mutex only makes the future `Sync`. It is never locked: all access is by `get_mut`.
type UnderWay<'c> = Mutex<BoxFuture<'c, ()>>;

impl<'c> Publisher<'c> {
    /// Publishes events about this resource.
    pub(super) fn new(recorder: &'c EventRecorder, regarding: ObjectReference) -> Self {
        Self { recorder, regarding, waiting: Vec::new(), under_way: None }
    }

    /// Takes the publisher out, for a call that borrows the whole reconcile. The caller puts it back.
    pub(super) fn lend(&mut self) -> Self {
        let nothing = Self::new(self.recorder, self.regarding.clone());
        std::mem::replace(self, nothing)
    }

    /// Adds recorded events.
    pub(super) fn add(&mut self, events: impl IntoIterator<Item = TimedEvent>) {
        self.waiting.extend(events);
    }

    /// Starts to publish the waiting events, in the current span. The publication makes progress only while `during` or
    /// `finish` is awaited.
    pub(super) fn start(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let (recorder, regarding) = (self.recorder, self.regarding.clone());
        let (events, earlier) = (std::mem::take(&mut self.waiting), self.under_way.take());
        let publish = async move {
            if let Some(earlier) = earlier {
                earlier.into_inner().await;
            }
            recorder.record(regarding, events).await;
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
                () = &mut patience, if !self.waiting.is_empty() => self.start(),
            }
        }
    }

    /// Publishes all remaining events.
    pub(super) async fn finish(&mut self) {
        self.start();
        published(&mut self.under_way).await;
        self.under_way = None;
    }
}

async fn published(under_way: &mut Option<UnderWay<'_>>) {
    if let Some(under_way) = under_way {
        under_way.get_mut().await;
    }
}
