//! Runs the reconciles: takes what is due from the [`ReconcileQueue`], runs as many at once as there are slots, and puts each
//! resource back for the time that its reconcile asks for.

use super::context::Context;
use super::error::Error;
use super::queue::ReconcileQueue;
use super::run::{after_failure, guarded};
use super::watched::Watched;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, Stream, StreamExt};
use rollout::admission::ResourceName;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep_until};

/// What a reconcile has ended with.
struct Finished {
    who: ResourceName,
    object: Arc<Watched>,
    result: Result<Option<Duration>, Error>,
}

/// The reconciles of all watched resources.
pub struct Runner {
    context: Arc<Context>,
    queue: ReconcileQueue,
    running: FuturesUnordered<BoxFuture<'static, Finished>>,
    began: Instant,
}

impl Runner {
    /// Nothing is due yet. The context's stores hold the resources.
    #[must_use]
    pub fn new(context: Arc<Context>) -> Self {
        let (queue, running) = (ReconcileQueue::default(), FuturesUnordered::new());
        Self { context, queue, running, began: Instant::now() }
    }

    /// Runs until `stop` turns true; reconciles that run by then are finished first. Until the first lists are complete,
    /// nothing is reconciled. `triggers` are the resources that the watches show as worth a reconcile.
    pub async fn run(mut self, triggers: impl Stream<Item = ResourceName>, mut stop: watch::Receiver<bool>) {
        let mut triggers = Box::pin(triggers);
        let mut requeued = self.context.woken.subscribe();
        let ready_context = Arc::clone(&self.context);
        let mut ready = Box::pin(async move { ready_context.ready().await }.fuse());
        let (mut is_ready, mut is_stopping) = (false, false);
        loop {
            if is_ready && !is_stopping {
                self.start_what_is_due();
            }
            if is_stopping && self.running.is_empty() {
                return;
            }
            let next_at = self.queue.next_at().filter(|_| is_ready).map(|at| self.began + at);
            tokio::select! {
                Some(finished) = self.running.next() => self.finish(finished),
                Some(who) = triggers.next(), if !is_stopping => self.add(who, Duration::ZERO),
                requeued = requeued.recv(), if !is_stopping => match requeued {
                    Ok(who) => self.add(who, Duration::ZERO),
                    // Too many at once: those that must be told that they lost their environment are found again; all others
                    // are reconciled by their own timers.
                    Err(broadcast::error::RecvError::Lagged(_)) => {
                        self.context.claims.losers().into_iter().for_each(|who| self.add(who, Duration::ZERO));
                    }
                    Err(broadcast::error::RecvError::Closed) => {}
                },
                () = until(next_at), if !is_stopping => {}
                result = &mut ready, if !is_ready => match result {
                    Ok(()) => is_ready = true,
                    Err(error) => {
                        tracing::error!(%error, "the operator cannot become ready");
                        return;
                    }
                },
                _ = stop.wait_for(|stop| *stop), if !is_stopping => {
                    is_stopping = true;
                    self.context.withdrawals.withdraw_all();
                }
            }
        }
    }

    fn start_what_is_due(&mut self) {
        let context = Arc::clone(&self.context);
        while let Some(who) = self.queue.take(self.began.elapsed(), |who| context.urgency_of(who)) {
            let Some(object) = context.find(&who) else {
                self.queue.finish(&who, self.began.elapsed());
                continue;
            };
            let context = Arc::clone(&context);
            let reconcile = async move {
                let result = guarded(Arc::clone(&object), context).await;
                Finished { who, object, result }
            };
            self.running.push(reconcile.boxed());
        }
    }

    fn finish(&mut self, Finished { who, object, result }: Finished) {
        self.queue.finish(&who, self.began.elapsed());
        let again_in = result.unwrap_or_else(|error| after_failure(&object, &error, &self.context));
        if let Some(again_in) = again_in {
            self.add(who, again_in);
        }
    }

    fn add(&mut self, who: ResourceName, after: Duration) {
        self.queue.add(who, self.began.elapsed() + after);
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}
