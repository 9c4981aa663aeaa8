//! One reconcile: observe, decide, act, record, until there is nothing to do for now.

use super::act::Flow;
use super::context::Context;
use super::error::Error;
use super::fleet::name_of;
use super::publisher::Publisher;
use super::record;
use super::remembered::Remembered;
use super::sessions::Source;
use super::snapshot::Desired;
use super::texts::READ_AGAIN;
use super::trail::Trail;
use super::unreadable::Unreadable;
use super::watched::Watched;
use super::withdrawal::Registration;
use crate::delivery::outbox;
use api::identifier::ApiOrigin;
use api::status::{CognigyDeploymentStatus, Step};
use api::{CognigyDeployment, IdempotencyKey, Reason};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};
use platform::{Connection, FailedTry, Requester};
use rollout::answer::Retry;
use rollout::facts::Requests;
use rollout::memory::LOOK_AGAIN;
use rollout::put_back::{self, PutBack};
use rollout::requests::Request;
use rollout::transition::transitions;
use rollout::{Announcement, Cause, Decision, Effects, Facts, Happened, Now, Obstacle, decide, summary};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::{Instrument, Span};

/// More steps than any reconcile takes; a decision that does not move the status would spin.
const MOST_STEPS: usize = 32;

/// Brings one resource as far as it goes for now, and says when to come back: after so long at the latest, or only once
/// something changes.
///
/// # Errors
/// [`Error`], where the API server failed or somebody else has written the resource: decided anew, nothing is lost.
pub async fn reconcile(watched: Arc<Watched>, context: Arc<Context>) -> Result<Option<Duration>, Error> {
    context.ready().await?;
    let uid = watched.uid().ok_or(Error::Malformed("uid"))?;
    let mut remembered = context.memories.take(&uid);
    let object = match (remembered.newest(&watched), &*watched) {
        (Some(object), _) => object,
        (None, Watched::Unreadable(unreadable)) => {
            context.must_lead()?;
            tell_unreadable(&watched, unreadable, remembered, &context).await;
            return Ok(None);
        }
        (None, _) if context.is_deployed_over(&watched, &uid) => record::read(&context, watched.as_ref()).await?,
        (None, _) => {
            context.let_rest(&watched, &uid);
            return Ok(None);
        }
    };
    let mut round = Round::begin(object, uid, remembered, &context).await;
    let result = round.run().await;
    let span = round.span();
    round.publisher.finish().instrument(span).await;
    if matches!(result, Err(Error::Conflict)) {
        round.remembered.distrust_what_was_written();
    }
    round.end();
    result
}

/// An object that cannot be read is left alone, and what is wrong with it is told once.
async fn tell_unreadable(watched: &Watched, unreadable: &Unreadable, remembered: Remembered, context: &Context) {
    let problem = &unreadable.problem;
    if remembered.told_unreadable.as_ref() != Some(problem) {
        let note = problem.clone();
        let announcement = Announcement { warning: true, reason: Reason::StatusUnreadable, note };
        let happened = Happened { at: context.now().wall, announcement };
        context.announcer.announce(watched.object_ref(&()), vec![happened]).await;
    }
    let uid = watched.uid().unwrap_or_default();
    context.memories.put(&uid, Remembered { told_unreadable: Some(problem.clone()), ..Remembered::default() });
}

/// One reconcile of one resource.
pub(super) struct Round<'c> {
    pub(super) context: &'c Context,
    pub(super) object: Arc<CognigyDeployment>,
    pub(super) uid: String,
    pub(super) requester: Requester,
    _registration: Registration<'c>,
    pub(super) source: Source,
    pub(super) status: CognigyDeploymentStatus,
    pub(super) remembered: Remembered,
    /// Somebody removed the status, and it is to be put back; what is then told.
    put_back: Option<Effects>,
    pub(super) desired: Result<Desired, Obstacle>,
    /// The client whose requests it spends, once that is known.
    pub(super) session_in_use: Option<Connection>,
    /// Tells of another resource that owns the environment that this one has deployed to.
    pub(super) other_owner: Option<String>,
    /// It waits for its turn, or has it and could not use it yet.
    pub(super) keeps_turn: bool,
    /// The resource is gone, and what was remembered of it as well.
    is_forgotten: bool,
    /// Events of changes that are not recorded yet: what is not recorded has not happened.
    pending: Vec<Happened>,
    /// Events of changes that are.
    pub(super) publisher: Publisher<'c>,
    /// Tries that have failed of the call that is waited for.
    pub(super) failed_tries: mpsc::UnboundedReceiver<FailedTry>,
    /// The spans of the attempts that it works on.
    trail: Trail,
}

impl<'c> Round<'c> {
    async fn begin(
        object: Arc<CognigyDeployment>,
        uid: String,
        mut remembered: Remembered,
        context: &'c Context,
    ) -> Self {
        remembered.memory.jitter = context.draw();
        let registration = context.withdrawals.begin(&object.metadata);
        let requester = Requester::new(&object.namespace().unwrap_or_default(), &object.name_any());
        let desired = match remembered.known_desired(&object) {
            Some(desired) => Ok(desired),
            None => context.snapshots.desired(&object, context.now().uptime).await,
        };
        if let Ok(desired) = &desired {
            remembered.know_desired(&object, desired);
        }
        let (status, put_back) = match put_back::after_removal(object.status.as_ref(), remembered.status.as_ref()) {
            Some(PutBack { status, effects }) => (status, Some(effects)),
            None => {
                remembered.know_status(object.status.as_ref());
                (object.status.clone().unwrap_or_default(), None)
            }
        };
        let (teller, failed_tries) = mpsc::unbounded_channel();
        let regarding = object.object_ref(&());
        Self {
            requester: requester.withdrawn_by(registration.withdrawal()).telling(teller),
            _registration: registration,
            source: Source::of(&object),
            status,
            put_back,
            context,
            object,
            uid,
            remembered,
            desired,
            session_in_use: None,
            other_owner: None,
            keeps_turn: false,
            is_forgotten: false,
            pending: Vec::new(),
            publisher: Publisher::new(&context.announcer, regarding),
            failed_tries,
            trail: Trail::default(),
        }
    }

    /// The steps of a reconcile.
    async fn run(&mut self) -> Result<Option<Duration>, Error> {
        if self.is_leaving() && !record::has_finalizer(&self.object) {
            self.forget();
            return Ok(None);
        }
        let span = self.span();
        self.prepare().instrument(span).await?;
        match self.work().await {
            Err(Error::Withdrawn) => {
                // What was answered before need not be asked again.
                self.record().await?;
                Err(Error::Withdrawn)
            }
            worked => worked,
        }
    }

    /// Decides, acts and delivers. What was delivered may have been all that a resource waited for that is to go.
    async fn work(&mut self) -> Result<Option<Duration>, Error> {
        loop {
            let rest = match self.advance().await? {
                Flow::Rest(rest) => rest,
                Flow::Again => Some(Duration::ZERO),
                Flow::Gone => return Ok(None),
            };
            let waiting = self.status.outbox.len();
            let span = self.span();
            let come_back = self.settle(rest).instrument(span).await?;
            if self.status.outbox.len() == waiting {
                return Ok(come_back);
            }
        }
    }

    /// The span of the attempt that is being worked on.
    fn span(&mut self) -> Span {
        self.trail.span(&self.uid, self.status.attempt.as_ref())
    }

    async fn prepare(&mut self) -> Result<(), Error> {
        self.put_finalizer().await?;
        self.put_status_back().await?;
        self.log_recorded();
        self.find_other_owner().await?;
        self.look_again().await
    }

    /// Records what nobody waited for yet, and delivers while there is nothing else to do.
    async fn settle(&mut self, rest: Option<Duration>) -> Result<Option<Duration>, Error> {
        self.record().await?;
        self.renew_claim();
        self.take_place();
        let retry_delivery = self.deliver(rest).await?;
        self.record().await?;
        self.context.memories.succeeded(&self.uid);
        Ok(self.come_back(rest, retry_delivery))
    }

    /// Keeps what is remembered for the next reconcile.
    fn end(mut self) {
        if !self.pending.is_empty() {
            self.remembered.memory.note_lost_event();
        }
        match self.is_forgotten {
            true => self.context.memories.forget(&self.uid),
            false => self.context.memories.put(&self.uid, self.remembered),
        }
    }

    fn is_leaving(&self) -> bool {
        self.object.metadata.deletion_timestamp.is_some()
    }

    pub(super) fn forget(&mut self) {
        self.context.rouse(self.context.claims.release(&self.uid));
        self.context.rouse(self.context.fleet.leave(&name_of(self.object.as_ref()), self.context.now().uptime));
        self.is_forgotten = true;
    }

    async fn put_finalizer(&mut self) -> Result<(), Error> {
        if record::has_finalizer(&self.object) || self.is_leaving() {
            return Ok(());
        }
        self.context.must_lead()?;
        let metadata = record::put_finalizer(self.context, &self.object).await?;
        self.keep_changed(|object| object.metadata = metadata);
        Ok(())
    }

    /// Writes the status again that somebody removed. Nothing in it is new, so nothing of it is counted or told again.
    async fn put_status_back(&mut self) -> Result<(), Error> {
        let Some(effects) = self.put_back.take() else { return Ok(()) };
        self.context.must_lead()?;
        self.refresh_status();
        let metadata = record::status(self.context, &self.object, &self.status).await?;
        self.keep_status(metadata);
        self.take_up(effects);
        self.has_been_recorded();
        Ok(())
    }

    /// What somebody must mend is looked at again every minute, without asking Cognigy.AI.
    async fn look_again(&mut self) -> Result<(), Error> {
        let now = self.context.now();
        let Some(obstacle) = self.remembered.memory.obstacle(self.generation()).cloned() else { return Ok(()) };
        let due = self.remembered.looked_again_at.is_none_or(|at| now.uptime.saturating_sub(at) >= LOOK_AGAIN);
        let mended = match obstacle.retry {
            Retry::Later { .. } | Retry::SnapshotChange => false,
            Retry::OwnerGone => self.environment_is_free().await?,
            Retry::InputChange if obstacle.cause == Cause::StatusUnreadable => self.status_is_whole(),
            _ if !due => false,
            Retry::CredentialsChange | Retry::InputChange => {
                self.remembered.looked_again_at = Some(now.uptime);
                match obstacle.cause {
                    Cause::WebhookUrlNotFound => self.own_webhook_url().await?.is_ok(),
                    _ => self.credentials_have_changed().await?,
                }
            }
        };
        if mended {
            self.remembered.memory.clear_failures();
            // Where that was a mistake, the obstacle is met again at once, and must not be looked at again at once.
            self.remembered.looked_again_at = Some(now.uptime);
        }
        Ok(())
    }

    /// Whether the status holds what the attempt's step needs: then somebody has put it back.
    fn status_is_whole(&self) -> bool {
        let Some(attempt) = &self.status.attempt else { return true };
        let has_job = || attempt.job_id().is_some_and(|id| id.as_str().parse::<platform::JobId>().is_ok());
        let is_key = |key: &IdempotencyKey| key.as_str().parse::<platform::IdempotencyKey>().is_ok();
        match attempt.step {
            Step::Submitting => attempt.idempotency_key().is_some_and(is_key),
            Step::RollingOut | Step::Monitoring => has_job(),
            Step::RollingBack => has_job() && attempt.rollback.as_ref().is_some_and(|rollback| is_key(&rollback.key)),
            Step::Pending | Step::Validating | Step::Tracing | Step::VerifyingRollback | Step::Settled => true,
        }
    }

    async fn environment_is_free(&self) -> Result<bool, Error> {
        let session = self.context.sessions.known_or_fresh(&self.source).await?;
        match session {
            Ok(session) => Ok(self.may_ask(&session).await?.is_ok()),
            Err(_) => Ok(false),
        }
    }

    async fn credentials_have_changed(&mut self) -> Result<bool, Error> {
        let session = self.context.sessions.fresh(&self.source).await?;
        Ok(session.is_ok_and(|session| Some(session.fingerprint) != self.remembered.refused))
    }

    /// Decides and acts until there is nothing to do for now. What an effect rests on is recorded before it is asked for.
    async fn advance(&mut self) -> Result<Flow, Error> {
        let mut polled = Vec::new();
        for _ in 0..MOST_STEPS {
            let decision = self.decide();
            if decision.is_poll() {
                // A poll that took longer than the interval is due again: not before what it said was recorded, and what
                // people did meanwhile was seen.
                if polled.contains(&decision) {
                    return Ok(Flow::Rest(Some(Duration::ZERO)));
                }
                polled.push(decision.clone());
            }
            let span = self.span();
            match self.take(decision).instrument(span).await? {
                Flow::Again => {}
                flow => return Ok(flow),
            }
        }
        tracing::error!("the reconcile took more than {MOST_STEPS} steps and is continued later");
        Ok(Flow::Rest(Some(LOOK_AGAIN)))
    }

    fn decide(&mut self) -> Decision {
        let object = Arc::clone(&self.object);
        let facts = self.facts(&object, self.context.now());
        self.remembered.memory.turn_to(self.status.attempt.as_ref(), facts.deleted_at, facts.now);
        decide(&facts, &self.status, &self.remembered.memory)
    }

    /// Records what a decision rests on, and carries it out.
    async fn take(&mut self, decision: Decision) -> Result<Flow, Error> {
        if decision.needs_record(&self.status) && !self.would_soon_be_overwritten(&decision) {
            self.record().await?;
        }
        tracing::debug!(?decision, "decided");
        // A process that was paused for longer than its lease finds out here, before it acts.
        self.context.must_lead()?;
        self.carry_out(decision).await
    }

    /// An edit or a deletion moves the generation, and with it what the status says of itself. Where all else is recorded,
    /// that is not worth a write right before an attempt begins or the resource goes.
    fn would_soon_be_overwritten(&self, decision: &Decision) -> bool {
        let is_next = matches!(decision, Decision::Release | Decision::Start | Decision::HandleRequest(Request::Retry));
        is_next && self.object.status.as_ref() == Some(&self.status)
    }

    /// Writes the status where it has changed.
    pub(super) async fn record(&mut self) -> Result<(), Error> {
        self.refresh_status();
        if self.object.status.as_ref() != Some(&self.status) {
            let written = self.write_status().await;
            if written.is_err() {
                // An intent whose record is in doubt may be another process's, which has sent it.
                self.remembered.memory.attempt.submission.may_be_sent();
            }
            written?;
        }
        self.has_been_recorded();
        Ok(())
    }

    /// Brings what follows from the rest of the status up to this moment.
    pub(super) fn refresh_status(&mut self) {
        let object = Arc::clone(&self.object);
        let facts = self.facts(&object, self.context.now());
        summary::refresh(&mut self.status, &facts, &self.remembered.memory);
    }

    /// Goes on with the resource as it was just written, however far the watch lags behind.
    pub(super) fn keep(&mut self, written: Arc<CognigyDeployment>) {
        self.context.memories.wrote(&written.metadata);
        self.object = written;
        self.remembered.written = Some(Arc::clone(&self.object));
    }

    /// Goes on with the resource with the status that was just written.
    pub(super) fn keep_status(&mut self, metadata: ObjectMeta) {
        let status = self.status.clone();
        self.remembered.know_status(Some(&status));
        self.keep_changed(|object| {
            object.metadata = metadata;
            object.status = Some(status);
        });
    }

    /// Goes on with the resource as a write has changed it. It is changed in place, unless the watch has it too.
    fn keep_changed(&mut self, change: impl FnOnce(&mut CognigyDeployment)) {
        self.remembered.written = None;
        change(Arc::make_mut(&mut self.object));
        self.keep(Arc::clone(&self.object));
    }

    /// What is over by the record that was just taken: counted then, and not when it happened, since what is not recorded
    /// happens again.
    pub(super) fn count_passages(&self) {
        let (before, memory) = (self.object.status.as_ref(), &self.remembered.memory.attempt);
        for passage in transitions(before, &self.status, memory, self.context.now().wall) {
            self.context.metrics.passed(passage);
            self.trail.passed(passage, &self.uid, self.status.attempt.as_ref());
        }
    }

    /// All that has happened is recorded, or the resource is gone and nothing of it can be recorded any more.
    pub(super) fn has_been_recorded(&mut self) {
        self.publisher.take_up(self.pending.drain(..));
    }

    /// Takes up what a change brings with it.
    pub(super) fn take_up(&mut self, effects: Effects) {
        let at = self.context.now().wall;
        self.pending.extend(effects.announcements.into_iter().map(|announcement| Happened { at, announcement }));
        for notice in &effects.notices {
            if let Some(dropped) = outbox::put(&mut self.status, notice, self.context.sessions.provider()) {
                self.give_up(&dropped, "the outbox is full");
            }
        }
    }

    pub(super) fn generation(&self) -> i64 {
        self.object.metadata.generation.unwrap_or_default()
    }

    /// What a decision looks at, for a question that was asked at that moment.
    pub(super) fn facts<'o>(&self, object: &'o CognigyDeployment, asked: Now) -> Facts<'o>
    where
        'c: 'o,
    {
        Facts {
            uid: object.metadata.uid.as_deref().unwrap_or_default(),
            generation: object.metadata.generation.unwrap_or_default(),
            deleted_at: object.metadata.deletion_timestamp.as_ref().map(|time| time.0),
            spec: &object.spec,
            target: self.desired.as_ref().map(|desired| desired.target.clone()).map_err(Clone::clone),
            requests: Requests::from_annotations(object.annotations()),
            other_owner: self.other_owner.clone(),
            settings: &self.context.settings,
            has_default_webhook: self.has_default_webhook(),
            credentials_origin: self.credentials_origin(),
            polling: self.polling(),
            asked,
            now: self.context.now(),
        }
    }

    /// The API that the credentials point to, as they were last read.
    fn credentials_origin(&self) -> Option<ApiOrigin> {
        self.context.sessions.known_origin(&self.source).or_else(|| self.remembered.credentials_origin.clone())
    }

    /// Whether the operator's own webhook serves the resource: its rollout went to the operator's own API, or would go there.
    fn has_default_webhook(&self) -> bool {
        let Some(webhook) = &self.context.default_webhook else { return false };
        let recorded = self.status.attempt.as_ref().and_then(|attempt| attempt.api_origin().cloned());
        let origin = recorded.or_else(|| self.credentials_origin());
        let namespace = self.object.metadata.namespace.as_deref().unwrap_or_default();
        origin.is_some_and(|origin| webhook.serving(namespace, &origin).is_some())
    }

    /// When to come back: for the next step, for the next try of a delivery, for a ConfigMap that nobody watches.
    fn come_back(&self, rest: Option<Duration>, retry_delivery: Option<Duration>) -> Option<Duration> {
        let config_map = self.object.spec.configuration_snapshot_from.as_ref().map(|_| READ_AGAIN);
        let is_free = self.status.attempt.as_ref().is_none_or(|attempt| attempt.step == Step::Settled);
        let config_map = config_map.filter(|_| is_free);
        [rest, retry_delivery, config_map].into_iter().flatten().min()
    }
}
