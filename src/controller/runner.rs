//! Runs the reconciles: takes due resources from the [`ReconcileQueue`], runs as many at once as there are slots, and
//! adds each resource again for the time that its reconcile returned.

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
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// How long the first reconciles wait for the first lists of decisions and change windows.
const PATIENCE_FOR_GATES: Duration = Duration::from_secs(5);

/// A reconcile that has ended.
struct Finished {
    resource: ResourceName,
    object: Arc<Watched>,
    result: Result<Option<Duration>, Error>,
}

/// The reconciles of all watched resources.
pub struct Runner {
    context: Arc<Context>,
    queue: ReconcileQueue,
    running: FuturesUnordered<BoxFuture<'static, Finished>>,
    started_at: Instant,
}

impl Runner {
    /// A runner with an empty queue.
    #[must_use]
    pub fn new(context: Arc<Context>) -> Self {
        let (queue, running) = (ReconcileQueue::default(), FuturesUnordered::new());
        Self { context, queue, running, started_at: Instant::now() }
    }

    /// Runs until `stop` is cancelled, then waits for the running reconciles to finish. Nothing is reconciled until the
    /// first lists are complete. `triggers` are the resources that the watches ask to reconcile.
    pub async fn run(mut self, triggers: impl Stream<Item = ResourceName>, stop: CancellationToken) {
        let mut triggers = Box::pin(triggers);
        let context = Arc::clone(&self.context);
        let ready = async {
            context.cluster.ready().await?;
            // Usually they are complete as well. If not, rollouts in flight must not wait for them.
            let _ = timeout(PATIENCE_FOR_GATES, context.cluster.gates_ready()).await;
            Ok::<(), Error>(())
        };
        let mut ready = Box::pin(ready.fuse());
        let (mut is_ready, mut is_stopping) = (false, false);
        loop {
            if is_ready && !is_stopping {
                self.start_what_is_due();
            }
            if is_stopping && self.running.is_empty() {
                return;
            }
            let next_at = self.queue.next_at().filter(|_| is_ready).map(|at| self.started_at + at);
            tokio::select! {
                Some(finished) = self.running.next() => self.finish(finished),
                Some(resource) = triggers.next(), if !is_stopping => self.add(resource, Duration::ZERO),
                requeued = context.resources.requeued(), if !is_stopping => {
                    requeued.into_iter().for_each(|resource| self.add(resource, Duration::ZERO));
                }
                () = until(next_at), if !is_stopping => {}
                result = &mut ready, if !is_ready => match result {
                    Ok(()) => is_ready = true,
                    Err(error) => {
                        tracing::error!(%error, "the operator cannot become ready, because a watch has ended");
                        return;
                    }
                },
                () = stop.cancelled(), if !is_stopping => {
                    is_stopping = true;
                    context.resources.cancel_all();
                }
            }
        }
    }

    fn start_what_is_due(&mut self) {
        let context = Arc::clone(&self.context);
        while let Some(resource) = self.queue.take(self.started_at.elapsed(), |resource| context.urgency_of(resource)) {
            let Some(object) = context.cluster.find(&resource) else {
                self.queue.finish(&resource, self.started_at.elapsed());
                continue;
            };
            let context = Arc::clone(&context);
            let reconcile = async move {
                let result = guarded(Arc::clone(&object), context).await;
                Finished { resource, object, result }
            };
            self.running.push(reconcile.boxed());
        }
    }

    fn finish(&mut self, Finished { resource, object, result }: Finished) {
        self.queue.finish(&resource, self.started_at.elapsed());
        let again_in = result.unwrap_or_else(|error| after_failure(&object, &error, &self.context));
        if let Some(again_in) = again_in {
            self.add(resource, again_in);
        }
    }

    fn add(&mut self, resource: ResourceName, after: Duration) {
        self.queue.add(resource, self.started_at.elapsed() + after);
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}
