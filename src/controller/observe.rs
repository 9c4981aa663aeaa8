//! The inputs of decisions: the object to reconcile, its desired configuration, and whether an obstacle still exists.

use super::config_map_cache::READ_AGAIN;
use super::context::Context;
use super::error::Error;
use super::reconcile::ReconcileRun;
use super::record;
use super::resources::name_of;
use super::resources::state::ResourceState;
use super::sessions::Source;
use super::snapshot::Desired;
use super::unreadable::Unreadable;
use super::watched::Watched;
use api::identifier::ApiOrigin;
use api::status::{ClosedGate, CognigyDeploymentStatus, Step};
use api::{CognigyDeployment, IdempotencyKey, Reason};
use kube::{Resource, ResourceExt};
use rollout::answer::Retry;
use rollout::facts::Requests;
use rollout::memory::OBSTACLE_CHECK_INTERVAL;
use rollout::{Cause, EventText, Facts, Now, Obstacle, TimedEvent};
use std::sync::Arc;
use std::time::Duration;

/// The observations of a reconcile about its resource.
pub(super) struct Observed {
    /// The resource, as it was read or written last.
    pub(super) object: Arc<CognigyDeployment>,
    pub(super) uid: String,
    /// The source of its credentials.
    pub(super) source: Source,
    /// The configuration that the environment should run.
    pub(super) desired: Result<Desired, Obstacle>,
    /// A message that names the other resource, if another one owns the environment to which this one has deployed.
    pub(super) other_owner: Option<String>,
    /// The gate of the deployments in `spec.requires`, if it is closed.
    pub(super) upstream: Option<ClosedGate>,
}

impl Observed {
    /// Reads the desired configuration.
    pub(super) async fn of(
        object: Arc<CognigyDeployment>,
        uid: String,
        state: &mut ResourceState,
        context: &Context,
    ) -> Self {
        state.memory.jitter = context.draw();
        let desired = match state.known_desired(&object) {
            Some(desired) => Ok(desired),
            None => context.snapshots.desired(&object, context.now().uptime).await,
        };
        if let Ok(desired) = &desired {
            state.know_desired(&object, desired);
        }
        Self { source: Source::of(&object), object, uid, desired, other_owner: None, upstream: None }
    }

    /// Whether somebody has deleted the resource. It exists until its finalizers are removed.
    pub(super) fn is_deleted(&self) -> bool {
        self.object.metadata.deletion_timestamp.is_some()
    }

    pub(super) fn generation(&self) -> i64 {
        self.object.metadata.generation.unwrap_or_default()
    }

    /// The time until the snapshot's ConfigMap is read again, if the snapshot is in one: without the watch label, no
    /// watch shows its changes. During a rollout its content does not matter.
    pub(super) fn config_map_read_again(&self, status: &CognigyDeploymentStatus) -> Option<Duration> {
        let is_free = status.attempt.as_ref().is_none_or(|attempt| attempt.step == Step::Settled);
        self.object.spec.configuration_snapshot_from.as_ref().filter(|_| is_free).map(|_| READ_AGAIN)
    }
}

/// The object to reconcile. `None` if there is nothing to do: the resource is at rest, or cannot be read. In these
/// cases, the state of the resource is already put back or dropped.
///
/// # Errors
/// The API server failed, or this process does not lead.
pub(super) async fn resource_to_reconcile(
    watched: &Watched,
    uid: &str,
    state: &mut ResourceState,
    context: &Context,
) -> Result<Option<Arc<CognigyDeployment>>, Error> {
    if let Some(object) = state.newest(watched) {
        return Ok(Some(object));
    }
    if let Watched::Unreadable(unreadable) = watched {
        context.cluster.must_lead()?;
        report_unreadable(watched, unreadable, state, context).await;
        context.resources.finish(uid, std::mem::take(state));
        return Ok(None);
    }
    if context.is_replaced(watched, uid) || context.gates.has_open_decision(&name_of(watched)) {
        return record::read(context, watched).await.map(Some);
    }
    context.resources.rest(uid, context.now().uptime);
    Ok(None)
}

/// An object that cannot be read is left alone. One event names the problem.
async fn report_unreadable(watched: &Watched, unreadable: &Unreadable, state: &mut ResourceState, context: &Context) {
    let problem = &unreadable.problem;
    if state.reported_problem.as_ref() != Some(problem) {
        let event = EventText { warning: true, reason: Reason::StatusUnreadable, note: problem.clone() };
        let event = TimedEvent { at: context.now().wall, event };
        context.cluster.events.record(watched.object_ref(&()), vec![event]).await;
    }
    *state = ResourceState { reported_problem: Some(problem.clone()), ..ResourceState::default() };
}

impl<'c> ReconcileRun<'c> {
    /// The inputs of a decision, or of the function that handles an answer. `sent_at` is the time at which its request
    /// was sent.
    pub(super) fn facts<'o>(&self, object: &'o CognigyDeployment, sent_at: Now) -> Facts<'o>
    where
        'c: 'o,
    {
        Facts {
            namespace: object.metadata.namespace.as_deref().unwrap_or_default(),
            name: object.metadata.name.as_deref().unwrap_or_default(),
            created_at: object.metadata.creation_timestamp.as_ref().map(|time| time.0),
            uid: object.metadata.uid.as_deref().unwrap_or_default(),
            generation: object.metadata.generation.unwrap_or_default(),
            deleted_at: object.metadata.deletion_timestamp.as_ref().map(|time| time.0),
            spec: &object.spec,
            target: self.observed.desired.as_ref().map(|desired| desired.target.clone()).map_err(Clone::clone),
            requests: Requests::from_annotations(object.annotations()),
            other_owner: self.observed.other_owner.clone(),
            gates: self.gate_facts(),
            settings: &self.context.process.settings,
            has_default_webhook: self.has_default_webhook(),
            credentials_origin: self.credentials_origin(),
            polling: self.polling(),
            sent_at,
            now: self.context.now(),
        }
    }

    /// The API that the credentials name, as they were last read.
    fn credentials_origin(&self) -> Option<ApiOrigin> {
        let known = self.context.platforms.sessions.known_origin(&self.observed.source);
        known.or_else(|| self.state.credentials_origin.clone())
    }

    /// Whether the operator's own webhook serves the resource: its rollout went to the operator's own API, or would go
    /// there.
    fn has_default_webhook(&self) -> bool {
        let Some(webhook) = &self.context.platforms.default_webhook else { return false };
        let recorded = self.status.attempt.as_ref().and_then(|attempt| attempt.api_origin().cloned());
        let origin = recorded.or_else(|| self.credentials_origin());
        let namespace = self.observed.object.metadata.namespace.as_deref().unwrap_or_default();
        origin.is_some_and(|origin| webhook.serving(namespace, &origin).is_some())
    }

    /// Checks every minute whether a person has fixed what blocks the resource, without asking the platform. If so, the
    /// obstacle is cleared.
    pub(super) async fn check_obstacle(&mut self) -> Result<(), Error> {
        let now = self.context.now();
        let Some(obstacle) = self.state.memory.obstacle(self.observed.generation()).cloned() else { return Ok(()) };
        let is_due =
            self.state.obstacle_checked_at.is_none_or(|at| now.uptime.saturating_sub(at) >= OBSTACLE_CHECK_INTERVAL);
        let is_fixed = match obstacle.retry {
            Retry::Later { .. } | Retry::SnapshotChange => false,
            Retry::OwnerGone => self.retry_environment().await?,
            Retry::InputChange if obstacle.cause == Cause::StatusUnreadable => status_is_whole(&self.status),
            _ if !is_due => false,
            Retry::CredentialsChange | Retry::InputChange => {
                self.state.obstacle_checked_at = Some(now.uptime);
                match obstacle.cause {
                    Cause::WebhookUrlNotFound => self.own_webhook_url().await?.is_ok(),
                    _ => self.reread_credentials().await?,
                }
            }
        };
        if is_fixed {
            self.state.memory.clear_failures();
            // If it is not fixed, the next step meets the obstacle again at once. The next check must wait then.
            self.state.obstacle_checked_at = Some(now.uptime);
        }
        Ok(())
    }

    /// Requests the environment again. Returns whether no other resource owns it.
    async fn retry_environment(&self) -> Result<bool, Error> {
        match self.context.platforms.sessions.known_or_fresh(&self.observed.source).await? {
            Ok(session) => Ok(self.request_environment(&session).await?.is_ok()),
            Err(_) => Ok(false),
        }
    }

    /// Reads the credentials again. Returns whether they differ from those that were refused.
    async fn reread_credentials(&self) -> Result<bool, Error> {
        let session = self.context.platforms.sessions.fresh(&self.observed.source).await?;
        Ok(session.is_ok_and(|session| Some(session.fingerprint) != self.state.refused))
    }
}

/// Whether the status contains every value that the attempt's step needs. If one was missing, somebody has restored it.
fn status_is_whole(status: &CognigyDeploymentStatus) -> bool {
    let Some(attempt) = &status.attempt else { return true };
    let has_job = || attempt.job_id().is_some_and(|id| id.as_str().parse::<platform::JobId>().is_ok());
    let is_key = |key: &IdempotencyKey| key.as_str().parse::<platform::IdempotencyKey>().is_ok();
    match attempt.step {
        Step::Submitting => attempt.idempotency_key().is_some_and(is_key),
        Step::RollingOut | Step::Monitoring => has_job(),
        Step::RollingBack => has_job() && attempt.rollback.as_ref().is_some_and(|rollback| is_key(&rollback.key)),
        Step::Pending | Step::Validating | Step::Tracing | Step::VerifyingRollback | Step::Settled => true,
    }
}
