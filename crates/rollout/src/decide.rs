//! What to do next.
//!
//! Each call makes one decision, from the recorded status, the memory of this process and the facts of the moment. The
//! functions below are the design's decision table. Read them from the top down.

use super::after_success;
use super::checks_validity;
use super::claim;
use super::deadline::{is_outdated, is_replaced, time_until_free, timeout_verdict_age};
use super::facts::{Facts, SubmitIdempotency};
use super::gates;
use super::memory::{Memory, OBSTACLE_CHECK_INTERVAL};
use super::next_poll;
use super::requests::{self, Request};
use api::spec::DeletionPolicy;
use api::status::{Attempt, CognigyDeploymentStatus, RollbackReason, Step};
use std::time::Duration;

/// A deleted resource gets at least this much time after this process first saw the deletion, even if its grace is over by
/// the wall clock: no operator may have been running, or the clock may have jumped.
const MIN_GRACE_AFTER_OBSERVED: Duration = Duration::from_secs(60);

/// The retries of a submit stop this long before the API forgets the key.
const KEY_MARGIN: Duration = Duration::from_secs(600);

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Record the request annotations that existed before the operator first saw the resource. They are not acted on.
    NoteRequests,
    /// Do what a person has requested by annotation.
    HandleRequest(Request),
    /// Start an attempt at the target. An attempt that was not submitted is superseded.
    Start,
    /// The results of the checks are not valid any more. Discard them and check again.
    CheckAgain,
    /// The gates before the submit have opened or closed. Record which.
    RecordGates,
    /// Request the permission to start, because the request budget can watch only so many rollouts.
    RequestSlot,
    /// Request the validation.
    Validate,
    /// Request the synthetic trace.
    Trace,
    /// Both checks have passed. Record the intent to submit.
    Intend,
    /// Send the submit under its key.
    Submit,
    /// Apply the answer to the submit again, because its record failed. Nothing is sent.
    ApplySubmitAnswer,
    /// Nobody will ever know whether the submit was accepted. Stop sending it.
    GiveUpSubmit,
    /// Poll the job.
    PollJob,
    /// Poll the environment's health.
    PollHealth,
    /// Poll the environment's health after the success.
    WatchHealth,
    /// Health is good, but was not good all the time. Poll the job once more, because the platform may have rolled back.
    CheckJob,
    /// There was no verdict before the deadline.
    DeclareTimeout,
    /// Record the intent to roll back what is deployed.
    BeginRollback(RollbackReason),
    /// Request the recorded rollback.
    Rollback,
    /// Stop watching health after the rollback.
    Settle,
    /// End the attempt without a verdict, because the resource is deleted.
    Abandon(Abandonment),
    /// Remove the finalizer.
    Release,
    /// Nothing to do for this long. Without a time: nothing to do until something changes.
    Wait(Option<Duration>),
}

/// How an attempt ends if its resource is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandonment {
    /// Nothing was submitted.
    BeforeSubmit,
    /// The grace is over, or the credentials are gone, before the rollout was settled.
    GraceExpired,
}

impl Decision {
    /// Whether this polls the job or health. Polls repeat.
    #[must_use]
    pub fn is_poll(&self) -> bool {
        matches!(self, Self::PollJob | Self::CheckJob | Self::PollHealth | Self::WatchHealth)
    }

    /// Whether the status must be recorded before this is carried out.
    ///
    /// A call with an effect is only sent from a status that every later process can read. And the next attempt starts only
    /// once the outcome of this one is recorded: its start drops the memory of this one's answers, and without a record the
    /// submit would be sent again.
    #[must_use]
    pub fn needs_record(&self, status: &CognigyDeploymentStatus) -> bool {
        match self {
            Self::Validate | Self::Submit | Self::Rollback | Self::Release => true,
            Self::Start | Self::HandleRequest(Request::Retry) => {
                status.attempt.as_ref().is_some_and(Attempt::has_intent)
            }
            Self::NoteRequests
            | Self::HandleRequest(Request::Rollback | Request::Reject)
            | Self::CheckAgain
            | Self::RecordGates
            | Self::RequestSlot
            | Self::Trace
            | Self::Intend
            | Self::ApplySubmitAnswer
            | Self::GiveUpSubmit
            | Self::PollJob
            | Self::PollHealth
            | Self::WatchHealth
            | Self::CheckJob
            | Self::DeclareTimeout
            | Self::BeginRollback(_)
            | Self::Settle
            | Self::Abandon(_)
            | Self::Wait(_) => false,
        }
    }
}

/// What to do next.
#[must_use]
pub fn decide(facts: &Facts<'_>, status: &CognigyDeploymentStatus, memory: &Memory) -> Decision {
    let Some(handled) = &status.handled_requests else { return Decision::NoteRequests };
    if let Some(request) = requests::next_request(facts, status, handled, memory) {
        return Decision::HandleRequest(request);
    }
    match (&status.attempt, facts.deleted_at) {
        (attempt, Some(_)) => within_grace(finish_deleted(facts, status, attempt.as_ref(), memory), facts, memory),
        (None, None) => begin(facts),
        (Some(attempt), None) => proceed(facts, status, attempt, memory),
    }
}

fn begin(facts: &Facts<'_>) -> Decision {
    match &facts.target {
        Ok(_) if facts.spec.suspend => Decision::Wait(None),
        Ok(_) => Decision::Start,
        Err(_) => Decision::Wait(Some(OBSTACLE_CHECK_INTERVAL)),
    }
}

fn proceed(facts: &Facts<'_>, status: &CognigyDeploymentStatus, attempt: &Attempt, memory: &Memory) -> Decision {
    match attempt.step {
        Step::Pending | Step::Validating | Step::Tracing => before_the_intent(facts, status, attempt, memory),
        Step::VerifyingRollback => verifying(facts, attempt, memory),
        Step::Settled => settled(facts, attempt, memory),
        Step::Submitting | Step::RollingOut | Step::Monitoring | Step::RollingBack => in_flight(facts, attempt, memory),
    }
}

fn before_the_intent(
    facts: &Facts<'_>,
    status: &CognigyDeploymentStatus,
    attempt: &Attempt,
    memory: &Memory,
) -> Decision {
    let Ok(target) = &facts.target else { return Decision::Wait(Some(OBSTACLE_CHECK_INTERVAL)) };
    if target.digest != attempt.digest {
        return Decision::Start;
    }
    if target.checks_digest != attempt.checks.digest {
        return Decision::CheckAgain;
    }
    if facts.spec.suspend {
        return Decision::Wait(None);
    }
    if let Some(wait) = paused(facts, memory).or_else(|| blocked(facts, memory)) {
        return wait;
    }
    if let Some(wait) = gated(facts, status, attempt) {
        return wait;
    }
    if !memory.attempt.slot.is_granted() {
        return Decision::RequestSlot;
    }
    next_check(facts, attempt)
}

/// After both checks, the attempt waits until all gates are open. It holds no slot meanwhile.
fn gated(facts: &Facts<'_>, status: &CognigyDeploymentStatus, attempt: &Attempt) -> Option<Decision> {
    attempt.checks.passed_at()?;
    let evaluation = gates::evaluate(facts, status, attempt);
    if evaluation.record(attempt.gates.as_ref(), facts.now.wall) != attempt.gates {
        return Some(Decision::RecordGates);
    }
    (!evaluation.is_open()).then(|| Decision::Wait(Some(evaluation.evaluate_again_in(facts.now.wall))))
}

/// The recorded results of the checks decide. So a suspension, another wait or a restart between two checks repeats no
/// check. Nothing is submitted unless both have passed.
fn next_check(facts: &Facts<'_>, attempt: &Attempt) -> Decision {
    let checks = &attempt.checks;
    match (&checks.validation, checks.passed_at()) {
        (None, _) => Decision::Validate,
        (Some(_), _) if !checks_validity::are_valid(checks, facts) => Decision::CheckAgain,
        (Some(_), None) => Decision::Trace,
        (Some(_), Some(_)) => Decision::Intend,
    }
}

fn in_flight(facts: &Facts<'_>, attempt: &Attempt, memory: &Memory) -> Decision {
    match attempt.step {
        Step::RollingBack => paused(facts, memory).unwrap_or(Decision::Rollback),
        Step::Submitting => submitting(facts, attempt, memory),
        Step::Monitoring => polling(facts, attempt, memory, Decision::PollHealth),
        Step::RollingOut
        | Step::Pending
        | Step::Validating
        | Step::Tracing
        | Step::VerifyingRollback
        | Step::Settled => polling(facts, attempt, memory, Decision::PollJob),
    }
}

fn submitting(facts: &Facts<'_>, attempt: &Attempt, memory: &Memory) -> Decision {
    if memory.attempt.submission.answer().is_some() {
        return Decision::ApplySubmitAnswer;
    }
    if submit_is_over(facts, attempt, memory) {
        return Decision::GiveUpSubmit;
    }
    paused(facts, memory).unwrap_or(Decision::Submit)
}

/// Whether this submit must not be sent any more.
fn submit_is_over(facts: &Facts<'_>, attempt: &Attempt, memory: &Memory) -> bool {
    let age = memory.submit_age(facts.now);
    let submission = &memory.attempt.submission;
    let is_first = attempt.idempotency_key().is_some_and(|key| submission.is_unsent(key));
    let is_ambiguous = submission.unknown().is_some() || !is_first;
    match facts.settings.submit_idempotency {
        SubmitIdempotency::Unsupported if is_ambiguous => true,
        SubmitIdempotency::Unsupported | SubmitIdempotency::Supported if submission.has_body_changed() => {
            age >= facts.timeout()
        }
        SubmitIdempotency::Unsupported | SubmitIdempotency::Supported => {
            age + KEY_MARGIN >= facts.settings.submit_key_ttl
        }
    }
}

fn polling(facts: &Facts<'_>, attempt: &Attempt, memory: &Memory, poll: Decision) -> Decision {
    // A missing answer is no verdict: after a down time or a jump of the clock, the operator must poll first.
    let verdict_age = timeout_verdict_age(facts, memory.attempt.submission.observed());
    if memory.attempt.polls.no_good_answer_at_age().is_some_and(|age| age >= verdict_age) {
        return Decision::DeclareTimeout;
    }
    if let Some(wait) = paused(facts, memory) {
        return wait;
    }
    // If the completion of the job was not recorded, the step is still RollingOut, and the job is polled as usual.
    if memory.attempt.health.must_check_job() && attempt.step == Step::Monitoring {
        return Decision::CheckJob;
    }
    poll_when_due(facts, attempt, memory, poll)
}

fn poll_when_due(facts: &Facts<'_>, attempt: &Attempt, memory: &Memory, poll: Decision) -> Decision {
    let due_in = next_poll::due_in(facts, attempt, memory);
    if due_in.is_zero() { poll } else { Decision::Wait(Some(due_in)) }
}

fn verifying(facts: &Facts<'_>, attempt: &Attempt, memory: &Memory) -> Decision {
    let is_declined = attempt.declined.is_some()
        && attempt.declined.as_ref() == facts.target.as_ref().ok().map(|target| &target.digest);
    if facts.wants_other_than(&attempt.digest) && !is_declined && !facts.spec.suspend {
        return Decision::Start;
    }
    // Here, too, a missing answer is no verdict.
    let verdict_age = timeout_verdict_age(facts, memory.attempt.rollback.verification());
    if memory.attempt.rollback.not_healthy_at_age().is_some_and(|age| age >= verdict_age) {
        return Decision::Settle;
    }
    if let Some(wait) = paused(facts, memory) {
        return wait;
    }
    poll_when_due(facts, attempt, memory, Decision::PollHealth)
}

fn settled(facts: &Facts<'_>, attempt: &Attempt, memory: &Memory) -> Decision {
    let watch = || after_success::next(facts, attempt, memory);
    let Ok(target) = &facts.target else { return at_most(watch(), OBSTACLE_CHECK_INTERVAL) };
    match time_until_free(facts, attempt, memory) {
        // Another resource has deployed over this one, so this one must not stay ready. The next attempt waits for the
        // environment, also while suspended.
        Duration::ZERO if is_replaced(facts, attempt) => Decision::Start,
        Duration::ZERO if !is_outdated(attempt, target) || facts.spec.suspend => watch(),
        Duration::ZERO => Decision::Start,
        // A requested retry waits until then as well.
        left => Decision::Wait(Some(left)),
    }
}

/// Limits a wait to the rest of the grace, because the operator must act when the grace ends.
fn within_grace(decision: Decision, facts: &Facts<'_>, memory: &Memory) -> Decision {
    at_most(decision, grace_left(facts, memory))
}

/// Limits a wait.
fn at_most(decision: Decision, longest: Duration) -> Decision {
    match decision {
        Decision::Wait(wait) => Decision::Wait(Some(wait.map_or(longest, |wait| wait.min(longest)))),
        decision => decision,
    }
}

fn grace_left(facts: &Facts<'_>, memory: &Memory) -> Duration {
    let grace = facts.settings.deletion_grace;
    let chance = MIN_GRACE_AFTER_OBSERVED.min(grace).saturating_sub(memory.deletion_known_for(facts.now));
    grace.saturating_sub(memory.deletion_age(facts.now)).max(chance)
}

/// The decision for a deleted resource. A rollout in flight is finished first, if the grace is long enough.
fn finish_deleted(
    facts: &Facts<'_>,
    status: &CognigyDeploymentStatus,
    attempt: Option<&Attempt>,
    memory: &Memory,
) -> Decision {
    let must_go = memory.credentials_gone || grace_left(facts, memory).is_zero();
    let Some(attempt) = attempt else { return Decision::Release };
    match attempt.step {
        Step::Pending | Step::Validating | Step::Tracing => Decision::Abandon(Abandonment::BeforeSubmit),
        Step::Submitting | Step::RollingOut | Step::Monitoring | Step::RollingBack if must_go => {
            Decision::Abandon(Abandonment::GraceExpired)
        }
        Step::Submitting | Step::RollingOut | Step::Monitoring | Step::RollingBack => in_flight(facts, attempt, memory),
        // If the resource must also be released now, the next decision gives up this rollback, with a Warning.
        Step::VerifyingRollback | Step::Settled if must_be_undone(facts, status, attempt) => {
            Decision::BeginRollback(RollbackReason::ResourceDeleted)
        }
        Step::VerifyingRollback | Step::Settled if must_go => Decision::Release,
        Step::VerifyingRollback => Decision::Settle,
        Step::Settled if !status.outbox.is_empty() => Decision::Wait(None),
        // Without its finalizer the resource would lose its claim, while its rollout may still be running.
        Step::Settled => match time_until_free(facts, attempt, memory) {
            Duration::ZERO => Decision::Release,
            left => Decision::Wait(Some(left)),
        },
    }
}

fn must_be_undone(facts: &Facts<'_>, status: &CognigyDeploymentStatus, attempt: &Attempt) -> bool {
    // An attempt that was not submitted has left the one before it in place.
    let stands = !attempt.has_intent() && status.standing_attempt.is_some();
    // This resource must not undo what another resource has deployed since.
    facts.spec.deletion_policy == DeletionPolicy::Rollback
        && (claim::claims_to_run(attempt) || stands)
        && facts.other_owner.is_none()
}

/// The rest of the pause after a failure.
fn paused(facts: &Facts<'_>, memory: &Memory) -> Option<Decision> {
    let left = memory.pause_left(facts.now);
    (!left.is_zero()).then_some(Decision::Wait(Some(left)))
}

/// Before the submit, an attempt waits until somebody removes a lasting obstacle. A rollout in flight does not wait for that:
/// it tries again after each pause.
fn blocked(facts: &Facts<'_>, memory: &Memory) -> Option<Decision> {
    let obstacle = memory.obstacle(facts.generation)?;
    (!obstacle.is_transient()).then_some(Decision::Wait(Some(OBSTACLE_CHECK_INTERVAL)))
}
