//! What to do next.
//!
//! One decision at a time, from what is recorded, what this process remembers and the facts of the moment. The design's
//! table of the rollout reads as the functions below, from the top down.

use super::answer::Retry;
use super::claim;
use super::facts::{Facts, Sighting, SubmitIdempotency, Target};
use super::memory::{LOOK_AGAIN, Memory};
use super::pace;
use super::requests::{self, Request};
use api::reason::Reason;
use api::spec::DeletionPolicy;
use api::status::{Attempt, CognigyDeploymentStatus, Outcome, RollbackReason, Step};
use std::time::Duration;

/// A deleted resource whose grace was over before this process saw it is tried for this long all the same: nobody was there
/// to use the grace, or the wall clock has jumped.
const LAST_CHANCE: Duration = Duration::from_secs(60);

/// The keyed retries of a submit stop this long before the API forgets the key.
const KEY_MARGIN: Duration = Duration::from_secs(600);

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Note the request annotations that were there before the operator was: they are not acted on.
    NoteRequests,
    /// Do what a person asks for by annotation.
    Obey(Request),
    /// Begin an attempt at the target; one that has not been submitted makes way.
    Start,
    /// What the attempt is checked against has changed before its submit: check again.
    CheckAgain,
    /// Ask for its turn: no more begin than the request budget can watch.
    AskTurn,
    /// Ask for the validation.
    Validate,
    /// Ask for the synthetic trace.
    Trace,
    /// Both have passed: write down the intent to submit.
    Intend,
    /// Send the submit under its key, unless this process has heard its answer already.
    Submit,
    /// The outcome of the submit will never be known: stop asking.
    GiveUpSubmit,
    /// Ask how the job is.
    AskJob,
    /// Ask for the environment's health.
    AskHealth,
    /// Health is good, but was not all the time: ask the job whether the platform has rolled back by itself.
    LookAtJob,
    /// There was no verdict in time.
    JudgeLate,
    /// Decide on a rollback of what is deployed.
    BeginRollback(RollbackReason),
    /// Ask for the rollback that was decided on.
    Rollback,
    /// The rollback's aftermath was watched long enough, or need not be.
    Settle,
    /// Let the attempt go, because the resource goes.
    Abandon(Reason),
    /// Take the finalizer off.
    Release,
    /// Nothing to do for so long, or until something changes.
    Wait(Option<Duration>),
}

impl Decision {
    /// Whether this asks how things are, as is done again and again.
    #[must_use]
    pub fn is_poll(&self) -> bool {
        matches!(self, Self::AskJob | Self::LookAtJob | Self::AskHealth)
    }

    /// Whether the status must be recorded before this is done: an effect is asked for only from what every successor
    /// of this process can read. And with the next attempt this process forgets the answers to this one: were its
    /// outcome not recorded by then, a failed record would send its submit again.
    #[must_use]
    pub fn needs_record(&self, status: &CognigyDeploymentStatus) -> bool {
        match self {
            Self::Validate | Self::Submit | Self::Rollback | Self::Release => true,
            Self::Start | Self::Obey(Request::Retry) => status.attempt.as_ref().is_some_and(Attempt::has_intent),
            _ => false,
        }
    }
}

/// What to do next.
#[must_use]
pub fn decide(facts: &Facts<'_>, status: &CognigyDeploymentStatus, memory: &Memory) -> Decision {
    let Some(handled) = &status.handled_requests else { return Decision::NoteRequests };
    if let Some(request) = requests::open(facts, status.attempt.as_ref(), handled, memory) {
        return Decision::Obey(request);
    }
    match (&status.attempt, facts.deleted_at) {
        (attempt, Some(_)) => within_grace(leave(facts, status, attempt.as_ref(), memory), facts, memory),
        (None, None) => begin(facts),
        (Some(attempt), None) => proceed(facts, attempt, memory),
    }
}

fn begin(facts: &Facts<'_>) -> Decision {
    match &facts.target {
        Ok(_) if facts.spec.suspend => Decision::Wait(None),
        Ok(_) => Decision::Start,
        Err(_) => Decision::Wait(Some(LOOK_AGAIN)),
    }
}

fn proceed(facts: &Facts<'_>, attempt: &Attempt, memory: &Memory) -> Decision {
    match attempt.step {
        Step::Pending | Step::Validating | Step::Tracing => before_the_intent(facts, attempt, memory),
        Step::VerifyingRollback => verifying(facts, attempt, memory),
        Step::Settled => settled(facts, attempt, memory),
        Step::Submitting | Step::RollingOut | Step::Monitoring | Step::RollingBack => in_flight(facts, attempt, memory),
    }
}

fn before_the_intent(facts: &Facts<'_>, attempt: &Attempt, memory: &Memory) -> Decision {
    let Ok(target) = &facts.target else { return Decision::Wait(Some(LOOK_AGAIN)) };
    if target.digest != attempt.digest {
        return Decision::Start;
    }
    if target.checks_digest != attempt.checks_digest {
        return Decision::CheckAgain;
    }
    if facts.spec.suspend {
        return Decision::Wait(None);
    }
    if let Some(wait) = paused(facts, memory).or_else(|| blocked(facts, memory)) {
        return wait;
    }
    match attempt.step {
        _ if !memory.attempt.turn.is_here() => Decision::AskTurn,
        Step::Tracing if memory.attempt.trace_passed => Decision::Intend,
        Step::Tracing => Decision::Trace,
        _ => Decision::Validate,
    }
}

fn in_flight(facts: &Facts<'_>, attempt: &Attempt, memory: &Memory) -> Decision {
    match attempt.step {
        Step::RollingBack => paused(facts, memory).unwrap_or(Decision::Rollback),
        Step::Submitting => submitting(facts, attempt, memory),
        _ => watching(facts, attempt, memory),
    }
}

fn submitting(facts: &Facts<'_>, attempt: &Attempt, memory: &Memory) -> Decision {
    if memory.attempt.submit_answer.is_some() {
        return Decision::Submit;
    }
    if submit_is_over(facts, attempt, memory) {
        return Decision::GiveUpSubmit;
    }
    paused(facts, memory).unwrap_or(Decision::Submit)
}

/// Whether no further POST of this submit may be sent.
fn submit_is_over(facts: &Facts<'_>, attempt: &Attempt, memory: &Memory) -> bool {
    let age = memory.submit_age(facts.now);
    let is_ambiguous = memory.attempt.submit_unknown.is_some() || memory.attempt.unsent != attempt.idempotency_key;
    match facts.settings.submit_idempotency {
        SubmitIdempotency::Unsupported if is_ambiguous => true,
        _ if memory.attempt.body_lost => age >= facts.timeout(),
        _ => age + KEY_MARGIN >= facts.settings.submit_key_ttl,
    }
}

fn watching(facts: &Facts<'_>, attempt: &Attempt, memory: &Memory) -> Decision {
    // Silence is no verdict: an operator that was down, or a clock that jumped, must first ask.
    if memory.attempt.no_good_answer_at_age.is_some_and(|age| age >= end_of_patience(facts, memory.attempt.submit)) {
        return Decision::JudgeLate;
    }
    if let Some(wait) = paused(facts, memory) {
        return wait;
    }
    // Not where the record that the job has completed was lost: then all is asked anew.
    if memory.attempt.must_look_at_job && attempt.step == Step::Monitoring {
        return Decision::LookAtJob;
    }
    let due_in = pace::due_in(facts, attempt, memory);
    match (due_in.is_zero(), attempt.step) {
        (false, _) => Decision::Wait(Some(due_in)),
        (true, Step::Monitoring) => Decision::AskHealth,
        (true, _) => Decision::AskJob,
    }
}

/// From which age on a question that gets no good answer is a verdict: once the time-out has passed. Of time that passed
/// before this process looked, it knows by the wall clock alone, and its first question may fail for reasons of its own:
/// what it finds has at least as long as bad health needs for a verdict, however late it seems.
fn end_of_patience(facts: &Facts<'_>, since: Option<Sighting>) -> Duration {
    let looks = u32::try_from(facts.spec.rollback_policy.health_threshold).unwrap_or(1);
    let unseen = since.map_or(Duration::ZERO, Sighting::age_when_first_seen);
    facts.timeout().max(unseen + facts.interval().saturating_mul(looks))
}

/// Whether there should have been a verdict by now.
#[must_use]
pub fn is_past_deadline(facts: &Facts<'_>, memory: &Memory) -> bool {
    memory.submit_age(facts.now) >= facts.timeout()
}

fn verifying(facts: &Facts<'_>, attempt: &Attempt, memory: &Memory) -> Decision {
    if facts.wants_other_than(&attempt.digest) && !facts.spec.suspend {
        return Decision::Start;
    }
    // Here as well silence is no verdict.
    if memory.attempt.unwell_at_age.is_some_and(|age| age >= end_of_patience(facts, memory.attempt.verification)) {
        return Decision::Settle;
    }
    if let Some(wait) = paused(facts, memory) {
        return wait;
    }
    let due_in = pace::due_in(facts, attempt, memory);
    if due_in.is_zero() { Decision::AskHealth } else { Decision::Wait(Some(due_in)) }
}

fn settled(facts: &Facts<'_>, attempt: &Attempt, memory: &Memory) -> Decision {
    let Ok(target) = &facts.target else { return Decision::Wait(Some(LOOK_AGAIN)) };
    match time_until_free(facts, attempt, memory) {
        // What was deployed over must not stay ready: the next attempt waits for the environment, also while suspended.
        Duration::ZERO if is_deployed_over(facts, attempt) => Decision::Start,
        Duration::ZERO if !is_outdated(attempt, target) || facts.spec.suspend => Decision::Wait(None),
        Duration::ZERO => Decision::Start,
        // A retry that was asked for waits for this moment as well.
        left => Decision::Wait(Some(left)),
    }
}

/// Whether an attempt that has ended says nothing of what is wanted now: another configuration, or other checks of one
/// that was refused.
#[must_use]
pub fn is_outdated(attempt: &Attempt, target: &Target) -> bool {
    let was_refused = !attempt.has_intent() && attempt.outcome() == Some(Outcome::Failed);
    target.digest != attempt.digest || (was_refused && target.checks_digest != attempt.checks_digest)
}

/// Whether the environment no longer runs what this attempt brought there, because another resource owns it now.
#[must_use]
pub fn is_deployed_over(facts: &Facts<'_>, attempt: &Attempt) -> bool {
    facts.other_owner.is_some() && claim::says_that_it_runs(attempt)
}

/// A rollout that may be out without anybody knowing its job keeps the environment until its deadline has passed.
#[must_use]
pub fn time_until_free(facts: &Facts<'_>, attempt: &Attempt, memory: &Memory) -> Duration {
    match attempt.outcome() {
        Some(Outcome::Unknown) => facts.timeout().saturating_sub(memory.submit_age(facts.now)),
        _ => Duration::ZERO,
    }
}

/// However long the next step could wait, the end of the grace must not be slept through.
fn within_grace(decision: Decision, facts: &Facts<'_>, memory: &Memory) -> Decision {
    let left = grace_left(facts, memory);
    match decision {
        Decision::Wait(wait) => Decision::Wait(Some(wait.map_or(left, |wait| wait.min(left)))),
        decision => decision,
    }
}

fn grace_left(facts: &Facts<'_>, memory: &Memory) -> Duration {
    let grace = facts.settings.deletion_grace;
    let known_for = memory.deletion.map_or(Duration::ZERO, |deletion| deletion.known_for(facts.now));
    let chance = LAST_CHANCE.min(grace).saturating_sub(known_for);
    grace.saturating_sub(memory.deletion_age(facts.now)).max(chance)
}

/// A deleted resource: what is in flight is brought to its end, as far as the grace allows.
fn leave(facts: &Facts<'_>, status: &CognigyDeploymentStatus, attempt: Option<&Attempt>, memory: &Memory) -> Decision {
    let must_go = memory.credentials_gone || grace_left(facts, memory).is_zero();
    let Some(attempt) = attempt else { return Decision::Release };
    match attempt.step {
        Step::Pending | Step::Validating | Step::Tracing => Decision::Abandon(Reason::ResourceDeleted),
        _ if attempt.is_in_flight() && must_go => Decision::Abandon(Reason::DeletionGraceExpired),
        _ if attempt.is_in_flight() => in_flight(facts, attempt, memory),
        // Where it must go as well, the next decision lets go of the rollback, with a Warning.
        _ if must_be_undone(facts, attempt) => Decision::BeginRollback(RollbackReason::ResourceDeleted),
        _ if must_go => Decision::Release,
        Step::VerifyingRollback => Decision::Settle,
        _ if !status.outbox.is_empty() => Decision::Wait(None),
        // With its finalizer would go its claim, while its rollout may still run.
        _ => match time_until_free(facts, attempt, memory) {
            Duration::ZERO => Decision::Release,
            left => Decision::Wait(Some(left)),
        },
    }
}

fn must_be_undone(facts: &Facts<'_>, attempt: &Attempt) -> bool {
    // Whatever another resource has deployed since is not this one's to undo.
    facts.spec.deletion_policy == DeletionPolicy::Rollback
        && claim::says_that_it_runs(attempt)
        && facts.other_owner.is_none()
}

/// The rest of the pause after a failure.
fn paused(facts: &Facts<'_>, memory: &Memory) -> Option<Decision> {
    let left = memory.pause_until?.saturating_sub(facts.now.uptime);
    (!left.is_zero()).then_some(Decision::Wait(Some(left)))
}

/// The wait for somebody to mend what keeps an attempt from its submit. What is in flight does not wait like that: it
/// tries again with each pause.
fn blocked(facts: &Facts<'_>, memory: &Memory) -> Option<Decision> {
    let obstacle = memory.obstacle(facts.generation)?;
    (!matches!(obstacle.retry, Retry::Later { .. })).then_some(Decision::Wait(Some(LOOK_AGAIN)))
}
