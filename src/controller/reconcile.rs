//! One reconcile, from top to bottom: observe, decide, record, execute, until there is nothing to do for now. Then
//! deliver.
//!
//! `observe` reads the inputs of a decision, [`rollout::decide()`] decides, `act` makes one call and passes the answer to the
//! function that handles it, and `write_status` records.

use super::act::Flow;
use super::attempt_spans::AttemptSpans;
use super::context::Context;
use super::error::Error;
use super::observe::{Observed, resource_to_reconcile};
use super::publisher::Publisher;
use super::record;
use super::resources::state::ResourceState;
use super::watched::Watched;
use api::CognigyDeployment;
use api::status::CognigyDeploymentStatus;
use kube::{Resource, ResourceExt};
use platform::Connection;
use platform::{FailedTry, Requester};
use rollout::memory::OBSTACLE_CHECK_INTERVAL;
use rollout::put_back::{self, PutBack};
use rollout::{Decision, Effects, TimedEvent, decide};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

/// The maximum number of decisions in one reconcile. No correct reconcile needs so many. The limit stops an endless
/// loop, which a bug could cause: a decision that does not change the status.
const MAX_DECISIONS: usize = 32;

/// Does everything that can be done for one resource now. Returns the longest time until the next reconcile; `None` if
/// only a change makes another one necessary.
///
/// # Errors
/// [`Error`] if the API server failed or somebody else has written the resource. The next reconcile decides again, and
/// nothing is lost.
pub async fn reconcile(watched: Arc<Watched>, context: Arc<Context>) -> Result<Option<Duration>, Error> {
    context.cluster.ready().await?;
    let uid = watched.uid().ok_or(Error::Malformed("uid"))?;
    let mut state = context.resources.take(&uid);
    let Some(object) = resource_to_reconcile(&watched, &uid, &mut state, &context).await? else { return Ok(None) };
    let cancellation = context.resources.begin(&uid, &object.metadata);
    let observed = Observed::of(object, uid, &mut state, &context).await;
    let mut run = ReconcileRun::new(observed, state, cancellation, &context);
    let result = run.run_to_rest().await;
    run.finish(&result).await;
    result
}

/// One reconcile of one resource.
pub(super) struct ReconcileRun<'c> {
    pub(super) context: &'c Context,
    /// The inputs of decisions, as they were read.
    pub(super) observed: Observed,
    /// The status with the changes of this reconcile. It is recorded before any step that depends on it.
    pub(super) status: CognigyDeploymentStatus,
    /// The state that this process keeps about the resource.
    pub(super) state: ResourceState,
    /// The parts that execute decisions.
    pub(super) execution: Execution<'c>,
    /// Set if somebody has removed the status: the effects of writing it again.
    pub(super) put_back: Option<Effects>,
    /// The resource as it was read after a conflict that ended the reconcile.
    pub(super) newest: Option<Arc<CognigyDeployment>>,
    /// Whether the resource is gone, and its state was dropped.
    is_forgotten: bool,
}

/// The parts of a reconcile that execute its decisions.
pub(super) struct Execution<'c> {
    /// The resource, as the request budget knows it.
    pub(super) requester: Requester,
    /// The client whose request budget the reconcile uses, once it is known.
    pub(super) session: Option<Connection>,
    /// The failed tries of the current call.
    pub(super) failed_tries: mpsc::UnboundedReceiver<FailedTry>,
    /// The rollout waits for its admission slot, or has one that it could not use yet.
    pub(super) keeps_slot: bool,
    /// Events of changes that are not recorded yet.
    pub(super) unrecorded: Vec<TimedEvent>,
    /// Events of changes that are recorded.
    pub(super) publisher: Publisher<'c>,
    /// The spans of the attempts that the reconcile works on.
    pub(super) spans: AttemptSpans,
}

impl<'c> ReconcileRun<'c> {
    fn new(
        observed: Observed,
        mut state: ResourceState,
        cancellation: CancellationToken,
        context: &'c Context,
    ) -> Self {
        let object = &observed.object;
        let (status, put_back) = match put_back::after_removal(object.status.as_ref(), state.status.as_ref()) {
            Some(PutBack { status, effects }) => (status, Some(effects)),
            None => {
                state.know_status(object.status.as_ref());
                (object.status.clone().unwrap_or_default(), None)
            }
        };
        let (sender, failed_tries) = mpsc::unbounded_channel();
        let requester = Requester::new(&object.namespace().unwrap_or_default(), &object.name_any());
        let execution = Execution {
            requester: requester.cancelled_by(cancellation).reporting_to(sender),
            session: None,
            failed_tries,
            keeps_slot: false,
            unrecorded: Vec::new(),
            publisher: Publisher::new(&context.cluster.events, object.object_ref(&())),
            spans: AttemptSpans::default(),
        };
        Self { context, observed, status, state, execution, put_back, newest: None, is_forgotten: false }
    }

    /// The steps of a reconcile.
    async fn run_to_rest(&mut self) -> Result<Option<Duration>, Error> {
        if self.observed.is_deleted() && !record::has_finalizer(&self.observed.object) {
            self.forget();
            return Ok(None);
        }
        let span = self.span();
        self.prepare().instrument(span).await?;
        let mut decisions = Decisions::default();
        loop {
            let decision = self.decide();
            let span = self.span();
            let step = async {
                if let Some(flow) = decisions.limit(&decision) {
                    return Ok(flow);
                }
                if self.must_record_before(&decision) {
                    self.record().await?;
                }
                tracing::debug!(?decision, "decided");
                // A process that was paused for longer than its lease finds out here, before it acts.
                self.context.cluster.must_lead()?;
                self.execute(decision).await
            };
            let rest = match step.instrument(span).await {
                Ok(Flow::Again) => continue,
                Ok(Flow::Rest(rest)) => rest,
                Ok(Flow::Gone) => return Ok(None),
                Err(error) => return self.give_up(error).await,
            };
            let waiting = self.status.outbox.len();
            let span = self.span();
            match self.settle(rest).instrument(span).await {
                Ok(requeue_after) if self.status.outbox.len() == waiting => return Ok(requeue_after),
                // A deleted resource may have waited only for the messages that were delivered now.
                Ok(_) => decisions = Decisions::default(),
                Err(error) => return self.give_up(error).await,
            }
        }
    }

    /// The steps before the first decision.
    async fn prepare(&mut self) -> Result<(), Error> {
        self.put_finalizer().await?;
        self.put_status_back().await?;
        self.log_recorded();
        self.find_other_owner().await?;
        self.observe_gates().await?;
        self.check_obstacle().await
    }

    fn decide(&mut self) -> Decision {
        let object = Arc::clone(&self.observed.object);
        let facts = self.facts(&object, self.context.now());
        self.state.memory.prepare_for(self.status.attempt.as_ref(), facts.deleted_at, facts.now);
        decide(&facts, &self.status, &self.state.memory)
    }

    /// The steps after the last decision: records the status, and delivers messages while there is nothing else to do.
    async fn settle(&mut self, rest: Option<Duration>) -> Result<Option<Duration>, Error> {
        self.record().await?;
        self.record_claim();
        self.update_queue();
        self.leave_gates();
        let retry_delivery = self.deliver(rest).await?;
        self.record().await?;
        self.report_decisions().await;
        self.context.resources.succeeded(&self.observed.uid);
        Ok(self.requeue_after(rest, retry_delivery))
    }

    /// Ends with an error. If the reconcile was cancelled, the answers so far are recorded first, so that their
    /// requests are not repeated.
    async fn give_up(&mut self, error: Error) -> Result<Option<Duration>, Error> {
        if matches!(error, Error::Cancelled) {
            self.record().await?;
        }
        Err(error)
    }

    /// Publishes the remaining events, and keeps the state for the next reconcile.
    async fn finish(mut self, result: &Result<Option<Duration>, Error>) {
        let span = self.span();
        self.execution.publisher.finish().instrument(span).await;
        if matches!(result, Err(Error::Conflict)) {
            let read = self.newest.take();
            self.state.conflicted(read.filter(|read| read.metadata.uid.as_deref() == Some(&*self.observed.uid)));
        }
        if !self.execution.unrecorded.is_empty() {
            self.state.memory.note_lost_event();
        }
        if !self.is_forgotten {
            self.context.resources.finish(&self.observed.uid, self.state);
        }
    }

    /// Forgets the resource, which is gone.
    pub(super) fn forget(&mut self) {
        self.context.resources.forget(&self.observed.uid, self.context.now().uptime);
        self.is_forgotten = true;
    }

    /// The span of the attempt that the reconcile works on.
    fn span(&mut self) -> Span {
        self.execution.spans.span(&self.observed.uid, self.status.attempt.as_ref())
    }

    /// When to reconcile again: for the next step, the next try of a delivery, a ConfigMap that nobody watches, or decisions that
    /// could not be checked.
    fn requeue_after(&self, rest: Option<Duration>, retry_delivery: Option<Duration>) -> Option<Duration> {
        let config_map = self.observed.config_map_read_again(&self.status);
        [rest, retry_delivery, config_map, self.policy_checked_again()].into_iter().flatten().min()
    }
}

/// The decisions since the reconcile began or last delivered.
#[derive(Default)]
struct Decisions {
    count: usize,
    polls: Vec<Decision>,
}

impl Decisions {
    /// Counts a decision. Returns how the reconcile continues if the decision must not be executed now.
    fn limit(&mut self, decision: &Decision) -> Option<Flow> {
        if self.count == MAX_DECISIONS {
            tracing::error!(
                "the reconcile made {MAX_DECISIONS} decisions and continues later; this is a bug, please report it"
            );
            return Some(Flow::Rest(Some(OBSTACLE_CHECK_INTERVAL)));
        }
        self.count += 1;
        if !decision.is_poll() {
            return None;
        }
        // A poll that took longer than its interval is due again at once. End this reconcile first, so that the answer
        // is recorded and changes by people are seen.
        if self.polls.contains(decision) {
            return Some(Flow::Rest(Some(Duration::ZERO)));
        }
        self.polls.push(decision.clone());
        None
    }
}
