//! Transitions between two recorded statuses, for metrics. Each transition is counted once, by the process whose write was
//! accepted. Durations are measured from the recorded times, so that they include the time before a restart.

use super::attempt_memory::AttemptMemory;
use super::time::between;
use api::status::{Attempt, CognigyDeploymentStatus, Outcome, PastAttempt, RollbackReason, Step, Verdict};
use jiff::Timestamp;
use std::time::Duration;

/// A change of an attempt that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// A step has ended.
    Step {
        /// Which one.
        step: Step,
        /// How long it took.
        took: Duration,
    },
    /// The attempt has ended.
    Ended(Outcome),
    /// The platform has accepted a rollback.
    RollbackAccepted {
        /// Why it was requested.
        reason: RollbackReason,
        /// The time since the decision to roll back.
        took: Duration,
    },
}

/// The transitions from the record `before` to the record `after`. `memory` belongs to the attempt in `after`, and `now` is the
/// moment of the record.
#[must_use]
pub fn transitions(
    before: Option<&CognigyDeploymentStatus>,
    after: &CognigyDeploymentStatus,
    memory: &AttemptMemory,
    now: Timestamp,
) -> Vec<Transition> {
    let Some(attempt) = &after.attempt else { return Vec::new() };
    let recorded = before.and_then(|status| status.attempt.as_ref());
    let same = recorded.filter(|recorded| is_same(recorded, attempt));
    let was_over = |step: Step| same.is_some_and(|same| is_over(same, step));
    let steps = Step::ALL.into_iter().filter(|step| is_over(attempt, *step) && !was_over(*step));
    let steps = steps.filter_map(|step| took(attempt, step, memory, now).map(|took| Transition::Step { step, took }));
    let known = before.map_or(&[][..], |status| &status.history);
    let ended = ended(recorded, known, after, attempt).into_iter().map(Transition::Ended);
    steps.chain(rollback_accepted(same, attempt)).chain(ended).collect()
}

/// The number alone is not enough: it starts again after somebody has reset the status, and an attempt whose first record
/// failed may start again with its number and another configuration.
fn is_same(recorded: &Attempt, attempt: &Attempt) -> bool {
    recorded.number == attempt.number && recorded.started_at == attempt.started_at && recorded.digest == attempt.digest
}

/// The outcomes that are new in this record, the oldest first. They belong to the recorded attempt (if a newer one has
/// replaced it), to the attempts between the two, and to the current attempt. The outcomes in the recorded history
/// `known` were counted before.
fn ended(
    recorded: Option<&Attempt>,
    known: &[PastAttempt],
    after: &CognigyDeploymentStatus,
    attempt: &Attempt,
) -> Vec<Outcome> {
    let first_open = recorded.map_or(0, |recorded| recorded.number + i64::from(recorded.verdict.is_some()));
    let past = after.history.iter().rev().filter(|past| past.number >= first_open && !known.contains(past));
    // If no history is kept, an attempt can be gone although its end was never recorded. It was superseded.
    let is_forgotten = |number: i64| after.history.iter().all(|past| past.number != number);
    // The ends of the attempts that are newer than a resumed one were recorded before it was resumed, or with it.
    let is_resumed = |attempt: &Attempt| attempt.declined.is_some();
    let forgotten = (first_open..attempt.number)
        .next()
        .filter(|number| recorded.is_some_and(|recorded| !is_resumed(recorded)) && is_forgotten(*number));
    let stopped = recorded.filter(|recorded| {
        recorded.verdict.is_none() && attempt.number < recorded.number && is_forgotten(recorded.number)
    });
    let present = attempt.outcome().filter(|_| first_open <= attempt.number);
    let forgotten = forgotten.map(|_| Outcome::Superseded);
    let stopped = stopped.map(|_| Outcome::Abandoned);
    forgotten.into_iter().chain(stopped).chain(past.map(|past| past.verdict.outcome)).chain(present).collect()
}

fn rollback_accepted(same: Option<&Attempt>, attempt: &Attempt) -> Option<Transition> {
    let accepted = |attempt: &Attempt| {
        attempt
            .rollback
            .as_ref()
            .and_then(|rollback| Some((rollback.reason, rollback.requested_at, rollback.accepted_at?)))
    };
    let (reason, requested_at, accepted_at) = accepted(attempt)?;
    let is_new = same.and_then(accepted) != Some((reason, requested_at, accepted_at));
    is_new.then(|| Transition::RollbackAccepted { reason, took: between(requested_at, accepted_at) })
}

fn is_over(attempt: &Attempt, step: Step) -> bool {
    let has_verdict = attempt.verdict.is_some();
    let rollback = attempt.rollback.as_ref();
    match step {
        Step::Pending | Step::Validating | Step::Tracing => attempt.has_intent() || has_verdict,
        Step::Submitting => attempt.has_intent() && (attempt.job.is_some() || has_verdict),
        Step::RollingOut => {
            attempt.job.is_some() && (attempt.job_completed_at().is_some() || has_verdict || rollback.is_some())
        }
        Step::Monitoring => attempt.job_completed_at().is_some() && (has_verdict || rollback.is_some()),
        Step::RollingBack => answered_at(attempt).is_some(),
        Step::VerifyingRollback => answered_at(attempt).is_some() && attempt.step == Step::Settled,
        Step::Settled => false,
    }
}

/// How long an ended step took. `None` if this is unknown, because another process made the checks.
fn took(attempt: &Attempt, step: Step, memory: &AttemptMemory, now: Timestamp) -> Option<Duration> {
    let from =
        |started_at: Option<Timestamp>, ended: Timestamp| started_at.map(|started_at| between(started_at, ended));
    let verdict_at = attempt.verdict.as_ref().map(|verdict: &Verdict| verdict.at);
    let rollback_requested_at = attempt.rollback.as_ref().map(|rollback| rollback.requested_at);
    let judged_at = verdict_at.into_iter().chain(rollback_requested_at).min().unwrap_or(now);
    match step {
        Step::Pending => Some(between(attempt.started_at, memory.checks.validation?.sent_at.wall)),
        Step::Validating => Some(memory.checks.validation?.took()),
        Step::Tracing => Some(memory.checks.synthetic_trace?.took()),
        Step::Submitting => from(attempt.intended_at(), now),
        Step::RollingOut => from(attempt.deadline_counts_from(), attempt.job_completed_at().unwrap_or(judged_at)),
        Step::Monitoring => from(attempt.job_completed_at(), judged_at),
        Step::RollingBack => from(rollback_requested_at, answered_at(attempt)?),
        Step::VerifyingRollback => from(answered_at(attempt), now),
        Step::Settled => None,
    }
}

fn answered_at(attempt: &Attempt) -> Option<Timestamp> {
    attempt.rollback.as_ref().and_then(|rollback| rollback.accepted_at.or(rollback.refused_at))
}
