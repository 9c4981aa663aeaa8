//! The calls that the operator makes to a platform.

use super::budget::Requester;
use super::endpoint::{IdempotencyKey, JobId};
use super::failed_try::FailedTry;
use super::failure::CallFailure;
use super::webhook::WebhookUrl;
use api::spec::Compliance;
use api::status::RollbackReason;
use api::{CognigyDeploymentSpec, Snapshot};
use bytes::Bytes;
use futures::future::BoxFuture;
use jiff::Timestamp;
use rollout::Obstacle;
use rollout::answer::{HealthAnswer, JobAnswer, RollbackAnswer, SubmitAnswer, TraceAnswer, ValidationAnswer};
use std::num::NonZeroU32;

/// A platform that runs configurations in environments, used by one client with one set of credentials. Clones of the
/// same client share its token, its connections and its request budget.
///
/// Each method that returns a future sends requests to the platform. It waits for the request budget first. It repeats
/// a request if repeating it is safe and may help. Every answer and every failure is bounded in size and contains no secret.
pub trait Platform: Send + Sync + 'static {
    /// Whether the platform has accepted these credentials at least once. Until then, the operator trusts neither the
    /// client's identity nor its number of requests per minute.
    fn is_proven(&self) -> bool;

    /// How many requests a minute the platform allows this client.
    fn requests_per_minute(&self) -> NonZeroU32;

    /// How many requests a rollout usually needs. Until the operator has seen some rollouts start, it uses this number
    /// to estimate how long a rollout waits for its start.
    fn requests_per_rollout(&self) -> NonZeroU32;

    /// Validates whether the environment can run this configuration.
    ///
    /// # Errors
    /// [`CallFailure`]: nothing is known.
    fn validate<'a>(
        &'a self,
        configuration: Configuration<'a>,
        requester: &'a Requester,
    ) -> BoxFuture<'a, Result<ValidationAnswer, CallFailure>>;

    /// Traces whether the dependencies of this configuration are compatible.
    ///
    /// # Errors
    /// [`CallFailure`]: nothing is known.
    fn trace<'a>(
        &'a self,
        configuration: Configuration<'a>,
        requester: &'a Requester,
    ) -> BoxFuture<'a, Result<TraceAnswer, CallFailure>>;

    /// The exact bytes that a submit of this configuration sends. Equal inputs give equal bytes: a repeat after a
    /// restart is sent only if its bytes have the recorded hash. The platform may report the outcome to the URL
    /// `callback`.
    ///
    /// # Errors
    /// An [`Obstacle`], if the configuration cannot be sent to this platform.
    fn submit_body(&self, configuration: Configuration<'_>, callback: Option<&WebhookUrl>) -> Result<Bytes, Obstacle>;

    /// Starts a rollout, or repeats an earlier submit to get its result. Only [`SubmitAnswer::Rejected`] and
    /// [`SubmitAnswer::NotSent`] guarantee that no rollout was started.
    fn submit<'a>(&'a self, submit: Submit<'a>, requester: &'a Requester) -> BoxFuture<'a, SubmitAnswer>;

    /// Gets the state of a job. Sends one request.
    ///
    /// # Errors
    /// [`CallFailure`], only if the request was not sent. If it was sent but has no valid answer, the result is
    /// [`JobAnswer::Unreadable`].
    fn job<'a>(
        &'a self,
        job: &'a JobId,
        requester: &'a Requester,
    ) -> BoxFuture<'a, Result<Polled<JobAnswer>, CallFailure>>;

    /// Gets the health of the environment. Sends one request.
    ///
    /// # Errors
    /// The same errors as for [`job`](Self::job).
    fn health<'a>(
        &'a self,
        spec: &'a CognigyDeploymentSpec,
        requester: &'a Requester,
    ) -> BoxFuture<'a, Result<Polled<HealthAnswer>, CallFailure>>;

    /// Gets the health of an environment whose rollout has succeeded. Sends at most one request, and only if the request
    /// budget has room for it at once.
    ///
    /// # Errors
    /// The same errors as for [`job`](Self::job).
    fn watch_health<'a>(
        &'a self,
        spec: &'a CognigyDeploymentSpec,
        requester: &'a Requester,
    ) -> BoxFuture<'a, Result<Polled<HealthAnswer>, CallFailure>>;

    /// Rolls a rollout back. Repeats have the same key.
    fn roll_back<'a>(
        &'a self,
        job: &'a JobId,
        key: &'a IdempotencyKey,
        reason: RollbackReason,
        requester: &'a Requester,
    ) -> BoxFuture<'a, RollbackAnswer>;

    /// Sends an audit record. Repeats have the same id.
    ///
    /// # Errors
    /// [`CallFailure`]: the record was not accepted, or the result is unknown. Send it again.
    fn audit<'a>(
        &'a self,
        record: Bytes,
        id: &'a IdempotencyKey,
        requester: &'a Requester,
    ) -> BoxFuture<'a, Result<(), CallFailure>>;

    /// The message for users about a failed try while its call continues.
    fn describe(&self, failed: &FailedTry) -> Obstacle;
}

/// The configuration to deploy to an environment.
#[derive(Clone, Copy, Debug)]
pub struct Configuration<'a> {
    /// The environment, the locks, the capacity and the rules.
    pub spec: &'a CognigyDeploymentSpec,
    /// The user's own JSON.
    pub snapshot: &'a Snapshot,
}

/// A submit that is about to be sent.
#[derive(Clone, Debug)]
pub struct Submit<'a> {
    /// The bytes of [`Platform::submit_body`].
    pub body: Bytes,
    /// The key of this submit. Every repeat has the same key.
    pub key: &'a IdempotencyKey,
    /// Whether this is the first POST with this key.
    pub first: FirstPost,
}

/// Whether the next POST is the first one with its key, sent by the process that recorded the intent. Only the answer to
/// the first POST can prove that the submit was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstPost {
    /// This process recorded the intent, and has sent nothing since.
    Yes,
    /// An earlier POST with this key may have taken effect, or this is unknown.
    No,
}

/// The answer to a poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Polled<T> {
    /// The answer.
    pub answer: T,
    /// The platform refused the credentials: read the Secret before the next poll.
    pub are_credentials_refused: bool,
}

/// The audit record of a rollout that was submitted.
#[derive(Clone, Debug)]
pub struct AuditRecord<'a> {
    /// When the outcome was decided.
    pub at: Timestamp,
    /// The rollout's job.
    pub job_id: Option<&'a JobId>,
    /// Whether the environment runs the new configuration.
    pub success: bool,
    /// The time from the submit to the outcome, in seconds.
    pub duration_seconds: f64,
    /// The user's statements in `spec.compliance`.
    pub compliance: &'a Compliance,
}
