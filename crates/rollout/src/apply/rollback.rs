//! Bad verdicts and what follows from them: the same shape as a submit, an intent, a keyed call, a record
//! (contract, section 6).

use super::obstacle;
use crate::answer::Obstacle;
use crate::answer::RollbackAnswer;
use crate::attempt;
use crate::conditions::{self, Tell, tell};
use crate::facts::{Facts, after};
use crate::key;
use crate::memory::{Blocked, Memory};
use crate::notice::{Effects, Notice};
use api::condition::{ConditionSet, ConditionStatus, ConditionType};
use api::reason::Reason;
use api::status::{CognigyDeploymentStatus, Outcome, Rollback, RollbackReason, Step};
use std::time::Duration;

/// A bad verdict: rolls back where the policy says so, else leaves it to a person.
pub fn condemn(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    reason: Reason,
    rollback_reason: RollbackReason,
    message: impl Into<String>,
) -> Effects {
    let message = message.into();
    if matches!(reason, Reason::JobFailed | Reason::JobGone) {
        tell(status, facts, Tell::no(ConditionType::RolledOut, reason, message.clone()));
    }
    if !facts.spec.rollback_policy.auto_trigger {
        let note = format!(
            "{message}; autoTrigger is off: set the annotation deploy.cognigy.ai/rollback to roll back, or deploy a new \
             configuration"
        );
        return attempt::conclude(status, facts, Outcome::Failed, reason, note);
    }
    Effects::warning(reason, message).and(begin(status, facts, memory, rollback_reason))
}

/// There was no verdict in time.
pub fn judge_late(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory) -> Effects {
    let message = format!("there was no good answer within {} seconds", facts.timeout().as_secs());
    condemn(status, facts, memory, Reason::DeadlineExceeded, RollbackReason::Timeout, message)
}

/// Writes down the intent to roll back; it is asked for once that is recorded.
pub fn begin(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    reason: RollbackReason,
) -> Effects {
    memory.clear_failures();
    remember(status, facts, reason);
    if let Some(attempt) = &mut status.attempt {
        attempt.step = Step::RollingBack;
    }
    let message = format!("rolling back, because {}", reason.in_words());
    tell(status, facts, Tell::unknown(ConditionType::RolledBack, Reason::RollingBack, message.clone()));
    Effects::normal(Reason::RollingBack, message)
}

/// The rollback was asked for before the job is known: it begins once it is.
pub fn remember_for_later(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) {
    remember(status, facts, RollbackReason::Manual);
}

fn remember(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, reason: RollbackReason) {
    let Some(attempt) = &mut status.attempt else { return };
    // A clock that stands still or goes back must not give this rollback the key of the one before.
    let earliest = attempt.rollback.as_ref().map(|before| after(before.requested_at, Duration::from_micros(1)));
    let requested_at = earliest.map_or(facts.now.wall, |earliest| facts.now.wall.max(earliest));
    attempt.rollback = Some(Rollback {
        key: key::rollback(facts.uid, attempt.number, requested_at),
        reason,
        requested_at,
        accepted_at: None,
        refused_at: None,
        verify_until: None,
    });
}

/// What came of one rollback call.
pub fn rollback(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    answer: RollbackAnswer,
) -> Effects {
    match answer {
        RollbackAnswer::Accepted => accepted(status, facts, memory),
        RollbackAnswer::Refused(words) => refused(status, facts, memory, &words),
        RollbackAnswer::NotYet(met) => obstacle(status, facts, memory, met),
    }
}

/// Something keeps the rollback from being accepted, while what is live is bad: a person is told at once, and again only if
/// the cause changes.
pub(super) fn not_accepted(
    status: &CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    met: Obstacle,
) -> Effects {
    let cause = cause(&met.message);
    let is_same = memory.attempt.rollback_cause.as_ref() == Some(&cause);
    let in_vain = memory.take_told_in_vain();
    if let Some(Blocked { obstacle, .. }) = memory.blocked.take().filter(|_| is_same && !in_vain) {
        memory.show(obstacle, facts.generation);
        return Effects::none();
    }
    memory.attempt.rollback_cause = Some(cause);
    let reason = if met.stalls() { met.reason } else { Reason::RollbackUnreachable };
    let message = not_accepted_message(status, facts, &met.message);
    memory.show(Obstacle { reason, message: message.clone(), retry: met.retry }, facts.generation);
    Effects::warning(reason, message)
}

fn not_accepted_message(status: &CognigyDeploymentStatus, facts: &Facts<'_>, problem: &str) -> String {
    let attempt = status.attempt.as_ref();
    let job = attempt.and_then(|attempt| attempt.job_id.as_ref()).map_or("the job", |job_id| job_id.as_str());
    let reason = attempt.and_then(|attempt| attempt.rollback.as_ref()).map(|rollback| rollback.reason);
    let release = match reason {
        Some(RollbackReason::Manual | RollbackReason::ResourceDeleted) => "the release",
        _ => "the bad release",
    };
    format!(
        "the rollback of {job} is not accepted: {problem}; {release} is still live in {}; the operator tries again at least \
         every minute",
        facts.spec.environment_id
    )
}

/// What tells one cause from another: the words without the ids, times and counts, which may differ with every try. A word of
/// three digits is a status.
fn cause(problem: &str) -> String {
    let is_status = |word: &str| word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit());
    let has_digit = |word: &str| word.bytes().any(|byte| byte.is_ascii_digit());
    let words = problem.split_whitespace().filter(|word| is_status(word) || !has_digit(word));
    words.collect::<Vec<_>>().join(" ")
}

fn accepted(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory) -> Effects {
    let mut message = "Cognigy.AI has accepted the rollback".to_owned();
    if let Some(rollback) = status.attempt.as_mut().and_then(|attempt| attempt.rollback.as_mut()) {
        rollback.accepted_at = Some(facts.now.wall);
        message = format!("{message}, asked for because {}", rollback.reason.in_words());
    }
    tell(status, facts, Tell::yes(ConditionType::RolledBack, Reason::RolledBack, message.clone()));
    let why = why(status);
    finish(status, facts, memory, Outcome::RolledBack, why, message)
}

fn refused(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory, words: &str) -> Effects {
    let message = format!(
        "Cognigy.AI refused the rollback: {words}; roll back at Cognigy.AI, or set the annotation \
         deploy.cognigy.ai/rollback to another value to ask again"
    );
    tell(status, facts, Tell::no(ConditionType::RolledBack, Reason::RollbackRefused, message.clone()));
    if let Some(rollback) = status.attempt.as_mut().and_then(|attempt| attempt.rollback.as_mut()) {
        rollback.refused_at = Some(facts.now.wall);
    }
    finish(status, facts, memory, Outcome::RollbackFailed, Reason::RollbackRefused, message)
}

/// Records the outcome, where there was none yet, and turns to the environment's health.
fn finish(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    outcome: Outcome,
    reason: Reason,
    message: String,
) -> Effects {
    memory.clear_failures();
    memory.attempt.polled_at = None;
    memory.attempt.is_in_doubt = false;
    let earlier = status.attempt.as_ref().and_then(|attempt| attempt.outcome());
    let effects = match earlier {
        None => attempt::conclude(status, facts, outcome, reason, message),
        Some(earlier) => {
            let notices = later_notice(status, facts, earlier);
            let event = if outcome == Outcome::RolledBack {
                Effects::normal(Reason::RolledBack, message)
            } else {
                Effects::warning(reason, message)
            };
            event.and(Effects { announcements: Vec::new(), notices })
        }
    };
    if let Some(attempt) = &mut status.attempt {
        attempt.step = Step::VerifyingRollback;
        if let Some(rollback) = &mut attempt.rollback {
            rollback.verify_until = Some(after(facts.now.wall, facts.timeout()));
        }
    }
    let asked = "health after the rollback was not read yet";
    tell(status, facts, Tell::unknown(ConditionType::Healthy, Reason::VerifyingRollback, asked));
    effects
}

/// A success that was announced and is undone is worth one more word to the webhook.
fn later_notice(status: &CognigyDeploymentStatus, facts: &Facts<'_>, earlier: Outcome) -> Vec<Notice> {
    let rollback =
        status.attempt.as_ref().and_then(|attempt| attempt.rollback.as_ref().map(|rollback| (attempt, rollback)));
    let Some((attempt, rollback)) = rollback.filter(|_| earlier == Outcome::Succeeded && facts.has_webhook()) else {
        return Vec::new();
    };
    let duration = match (attempt.submitted_at, &attempt.verdict) {
        (Some(submitted_at), Some(verdict)) => crate::facts::between(submitted_at, verdict.at),
        _ => Duration::ZERO,
    };
    vec![Notice::Webhook {
        id: key::later_rollback_message(&rollback.key),
        job_id: attempt.job_id.clone(),
        success: false,
        duration_seconds: duration.as_secs_f64(),
        validation_success_rate: attempt::validation_success_rate(status),
        at: facts.now.wall,
        api_origin: attempt.api_origin.clone(),
    }]
}

/// Why what is now rolled back had to be.
fn why(status: &CognigyDeploymentStatus) -> Reason {
    let rollback = status.attempt.as_ref().and_then(|attempt| attempt.rollback.as_ref());
    match rollback.map(|rollback| rollback.reason) {
        Some(RollbackReason::HealthCheckFailure) => Reason::HealthCheckFailed,
        Some(RollbackReason::DeploymentFailed) => status
            .conditions
            .find(ConditionType::RolledOut)
            .filter(|condition| condition.status == ConditionStatus::False)
            .map_or(Reason::JobFailed, |condition| condition.reason),
        Some(RollbackReason::Timeout) => Reason::DeadlineExceeded,
        Some(RollbackReason::ResourceDeleted) => Reason::ResourceDeleted,
        Some(RollbackReason::Manual) | None => Reason::RollbackRequested,
    }
}

/// The rollback's aftermath was watched for long enough, or the resource goes.
pub fn settle(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) -> Effects {
    if let Some(attempt) = &mut status.attempt {
        attempt.step = Step::Settled;
    }
    if status.conditions.is_true(ConditionType::Healthy) || facts.deleted_at.is_some() {
        return Effects::none();
    }
    let message = format!(
        "the environment did not become healthy within {} seconds after the rollback; its last word: {}",
        facts.timeout().as_secs(),
        conditions::message_of(status, ConditionType::Healthy),
    );
    let last = status.conditions.find(ConditionType::Healthy).map(|condition| condition.status);
    let told = match last {
        Some(ConditionStatus::False) => Tell::no,
        _ => Tell::unknown,
    };
    tell(status, facts, told(ConditionType::Healthy, Reason::RolledBackUnhealthy, message.clone()));
    Effects::warning(Reason::RolledBackUnhealthy, message)
}
