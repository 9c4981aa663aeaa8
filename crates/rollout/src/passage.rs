//! What a record says that the one before it did not, for metrics: found by comparing the two, so that each thing is counted
//! once, by the process whose write was taken, and durations reach back before a restart.

use super::facts::between;
use super::memory::AttemptMemory;
use api::status::{Attempt, CognigyDeploymentStatus, Outcome, PastAttempt, RollbackReason, Step, Verdict};
use jiff::Timestamp;
use std::time::Duration;

/// Something of an attempt is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// A step.
    Step {
        /// Which one.
        step: Step,
        /// How long it took.
        took: Duration,
    },
    /// The attempt itself.
    Ended(Outcome),
    /// The wait for Cognigy.AI to accept a rollback.
    RollbackAccepted {
        /// Why it was asked for.
        reason: RollbackReason,
        /// The time since it was decided on: by a bad verdict, or by a person.
        took: Duration,
    },
}

/// What is over by the record `after` that was not by the record `before`. `memory` is that of the attempt in `after`, and
/// `now` the moment of the record.
#[must_use]
pub fn passages(
    before: Option<&CognigyDeploymentStatus>,
    after: &CognigyDeploymentStatus,
    memory: &AttemptMemory,
    now: Timestamp,
) -> Vec<Passage> {
    let Some(attempt) = &after.attempt else { return Vec::new() };
    let recorded = before.and_then(|status| status.attempt.as_ref());
    let same = recorded.filter(|recorded| is_same(recorded, attempt));
    let was_over = |step: Step| same.is_some_and(|same| is_over(same, step));
    let steps = Step::ALL.into_iter().filter(|step| is_over(attempt, *step) && !was_over(*step));
    let steps = steps.filter_map(|step| took(attempt, step, memory, now).map(|took| Passage::Step { step, took }));
    let known = before.map_or(&[][..], |status| &status.history);
    let ended = ended(recorded, known, after, attempt).into_iter().map(Passage::Ended);
    steps.chain(rollback_accepted(same, attempt)).chain(ended).collect()
}

/// The number alone is not enough: it starts again after somebody has reset the status, and an attempt whose first record
/// failed may begin anew, with its number, at another configuration.
fn is_same(recorded: &Attempt, attempt: &Attempt) -> bool {
    recorded.number == attempt.number && recorded.started_at == attempt.started_at && recorded.digest == attempt.digest
}

/// The outcomes that were not recorded yet, the oldest first: of the recorded attempt where it has made way for a newer one,
/// of any between the two, and of the present one. What the recorded history, `known`, tells was counted before.
fn ended(
    recorded: Option<&Attempt>,
    known: &[PastAttempt],
    after: &CognigyDeploymentStatus,
    attempt: &Attempt,
) -> Vec<Outcome> {
    let first_open = recorded.map_or(0, |recorded| recorded.number + i64::from(recorded.verdict.is_some()));
    let past = after.history.iter().rev().filter(|past| past.number >= first_open && !known.contains(past));
    // Where no history is kept, an attempt that has left without a record of its end has made way for a newer one.
    let is_forgotten = |number: i64| after.history.iter().all(|past| past.number != number);
    let forgotten = (first_open..attempt.number).next().filter(|number| recorded.is_some() && is_forgotten(*number));
    let present = attempt.outcome().filter(|_| first_open <= attempt.number);
    let forgotten = forgotten.map(|_| Outcome::Superseded);
    forgotten.into_iter().chain(past.map(|past| past.verdict.outcome)).chain(present).collect()
}

fn rollback_accepted(same: Option<&Attempt>, attempt: &Attempt) -> Option<Passage> {
    let accepted = |attempt: &Attempt| {
        attempt
            .rollback
            .as_ref()
            .and_then(|rollback| Some((rollback.reason, rollback.requested_at, rollback.accepted_at?)))
    };
    let (reason, requested_at, accepted_at) = accepted(attempt)?;
    let is_new = same.and_then(accepted) != Some((reason, requested_at, accepted_at));
    is_new.then(|| Passage::RollbackAccepted { reason, took: between(requested_at, accepted_at) })
}

fn is_over(attempt: &Attempt, step: Step) -> bool {
    let has_verdict = attempt.verdict.is_some();
    let rollback = attempt.rollback.as_ref();
    match step {
        Step::Pending | Step::Validating | Step::Tracing => attempt.has_intent() || has_verdict,
        Step::Submitting => attempt.has_intent() && (attempt.job_id.is_some() || has_verdict),
        Step::RollingOut => {
            attempt.job_id.is_some() && (attempt.job_completed_at.is_some() || has_verdict || rollback.is_some())
        }
        Step::Monitoring => attempt.job_completed_at.is_some() && (has_verdict || rollback.is_some()),
        Step::RollingBack => answered_at(attempt).is_some(),
        Step::VerifyingRollback => answered_at(attempt).is_some() && attempt.step == Step::Settled,
        Step::Settled => false,
    }
}

/// How long a step took that is over. Nothing where nobody can tell: the checks are forgotten with their process, which
/// then runs them again.
fn took(attempt: &Attempt, step: Step, memory: &AttemptMemory, now: Timestamp) -> Option<Duration> {
    let from = |began: Option<Timestamp>, ended: Timestamp| began.map(|began| between(began, ended));
    let verdict_at = attempt.verdict.as_ref().map(|verdict: &Verdict| verdict.at);
    let condemned_at = attempt.rollback.as_ref().map(|rollback| rollback.requested_at);
    let judged_at = verdict_at.into_iter().chain(condemned_at).min().unwrap_or(now);
    match step {
        Step::Pending => Some(between(attempt.started_at, memory.validation?.asked.wall)),
        Step::Validating => Some(memory.validation?.took()),
        Step::Tracing => Some(memory.trace?.took()),
        Step::Submitting => from(attempt.submitted_at, now),
        Step::RollingOut => {
            from(attempt.accepted_at.or(attempt.submitted_at), attempt.job_completed_at.unwrap_or(judged_at))
        }
        Step::Monitoring => from(attempt.job_completed_at, judged_at),
        Step::RollingBack => from(condemned_at, answered_at(attempt)?),
        Step::VerifyingRollback => from(answered_at(attempt), now),
        Step::Settled => None,
    }
}

fn answered_at(attempt: &Attempt) -> Option<Timestamp> {
    attempt.rollback.as_ref().and_then(|rollback| rollback.accepted_at.or(rollback.refused_at))
}
