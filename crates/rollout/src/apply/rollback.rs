//! Bad verdicts and rollbacks (contract, section 6). A rollback has the same three parts as a submit: a recorded intent, a call
//! with a key, and the recorded answer.

use super::block::block;
use crate::answer::RollbackAnswer;
use crate::attempt;
use crate::conditions::{self, ConditionUpdate, set_condition};
use crate::effects::{Effects, OutboxMessage};
use crate::facts::Facts;
use crate::key;
use crate::memory::Memory;
use crate::time::{after, between};
use api::condition::{ConditionSet, ConditionStatus, ConditionType};
use api::reason::Reason;
use api::status::{CognigyDeploymentStatus, JobFailure, Outcome, Rollback, RollbackReason, Step};
use std::time::Duration;

/// A bad verdict. Rolls back if the policy says so, and waits for a person otherwise.
pub fn react_to_failure(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    reason: Reason,
    rollback_reason: RollbackReason,
    message: impl Into<String>,
) -> Effects {
    let message = message.into();
    if !facts.spec.rollback_policy.auto_trigger {
        let note = format!(
            "{message}; autoTrigger is off: set the annotation deploy.cognigy.ai/rollback to roll back, or deploy a new \
             configuration"
        );
        return attempt::conclude(status, facts, Outcome::Failed, reason, note);
    }
    Effects::warning(reason, message).and(begin(status, facts, memory, rollback_reason))
}

/// There was no verdict before the deadline.
pub fn declare_timeout(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory) -> Effects {
    let what = match status.attempt.as_ref().and_then(|attempt| attempt.job_completed_at()) {
        None => ConditionType::RolledOut,
        Some(_) => ConditionType::Healthy,
    };
    let last = conditions::message_of(status, what);
    let message =
        format!("the rollout was not healthy within {} seconds; last known state: {last}", facts.timeout().as_secs());
    react_to_failure(status, facts, memory, Reason::DeadlineExceeded, RollbackReason::Timeout, message)
}

/// Writes the intent to roll back. The rollback is requested once the intent is recorded. If the current attempt was not submitted,
/// the attempt before it is rolled back, whose configuration the environment runs.
pub fn begin(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    reason: RollbackReason,
) -> Effects {
    memory.clear_failures();
    attempt::resume_standing(status, facts);
    record_intent(status, facts, reason);
    if let Some(attempt) = &mut status.attempt {
        attempt.step = Step::RollingBack;
    }
    let message = format!("rolling back because {}", reason.description());
    set_condition(
        status,
        facts,
        ConditionUpdate::set_unknown(ConditionType::RolledBack, Reason::RollingBack, message.clone()),
    );
    Effects::normal(Reason::RollingBack, message)
}

/// A person requests a rollback before the job is known. It begins as soon as the job is known.
pub fn record_request_before_job(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) {
    record_intent(status, facts, RollbackReason::Manual);
}

fn record_intent(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, reason: RollbackReason) {
    let Some(attempt) = &mut status.attempt else { return };
    // Each rollback must have its own key, even if the clock stands still or goes back.
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

/// A rollback call was answered.
pub fn rollback(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    answer: RollbackAnswer,
) -> Effects {
    match answer {
        RollbackAnswer::Accepted => accepted(status, facts, memory),
        RollbackAnswer::Refused(why) => refused(status, facts, memory, &why),
        RollbackAnswer::NotYet(obstacle) => block(status, facts, memory, obstacle),
    }
}

fn accepted(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory) -> Effects {
    let mut message = format!("{} has accepted the rollback to {}", facts.platform(), restored(status));
    if let Some(rollback) = status.attempt.as_mut().and_then(|attempt| attempt.rollback.as_mut()) {
        rollback.accepted_at = Some(facts.now.wall);
        message = format!("{message}, requested because {}", rollback.reason.description());
    }
    note_undone_success(status, facts);
    set_condition(
        status,
        facts,
        ConditionUpdate::set_true(ConditionType::RolledBack, Reason::RolledBack, message.clone()),
    );
    let why = why(status);
    finish(status, facts, memory, Outcome::RolledBack, why, message)
}

/// What the rollback restores, for people: the snapshot that the submit named, or else what ran before.
pub(super) fn restored(status: &CognigyDeploymentStatus) -> String {
    let Some(attempt) = &status.attempt else { return "the snapshot before".to_owned() };
    let submission = attempt.submission.as_ref();
    if let Some(id) = submission.and_then(|submission| submission.revert_snapshot_id.as_ref()) {
        return format!("snapshot {id} (spec.rollbackPolicy.revertSnapshotId)");
    }
    let before = status.last_successful.as_ref();
    match before.filter(|before| before.number != attempt.number && before.rolled_back_at.is_none()) {
        Some(before) => format!("the snapshot before ({}, attempt {})", before.configuration(), before.number),
        None => "the snapshot before".to_owned(),
    }
}

/// Records that the environment no longer runs the last successful attempt, if this attempt is the one that was rolled
/// back.
pub(super) fn note_undone_success(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) {
    let number = status.attempt.as_ref().map(|attempt| attempt.number);
    if let Some(last) = status.last_successful.as_mut().filter(|last| Some(last.number) == number) {
        last.rolled_back_at = Some(facts.now.wall);
    }
}

fn refused(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory, why: &str) -> Effects {
    let platform = facts.platform();
    let message = format!(
        "{platform} refused the rollback: {why}; roll back at {platform}, or set the annotation \
         deploy.cognigy.ai/rollback to another value to request it again"
    );
    set_condition(
        status,
        facts,
        ConditionUpdate::set_false(ConditionType::RolledBack, Reason::RollbackRefused, message.clone()),
    );
    if let Some(rollback) = status.attempt.as_mut().and_then(|attempt| attempt.rollback.as_mut()) {
        rollback.refused_at = Some(facts.now.wall);
    }
    finish(status, facts, memory, Outcome::RollbackFailed, Reason::RollbackRefused, message)
}

/// Records the outcome, unless there is one already, and begins to watch the environment's health.
fn finish(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    outcome: Outcome,
    reason: Reason,
    message: String,
) -> Effects {
    let unread = "health was not read yet after the rollback";
    set_condition(
        status,
        facts,
        ConditionUpdate::set_unknown(ConditionType::Healthy, Reason::VerifyingRollback, unread),
    );
    memory.clear_failures();
    memory.attempt.polls.make_due();
    memory.attempt.polls.set_last_answer_was_not_good(false);
    let earlier = status.attempt.as_ref().and_then(|attempt| attempt.outcome());
    let effects = match earlier {
        None => attempt::conclude(status, facts, outcome, reason, message),
        Some(earlier) => {
            let messages = later_message(status, facts, earlier);
            let event = if outcome == Outcome::RolledBack {
                Effects::normal(Reason::RolledBack, message)
            } else {
                Effects::warning(reason, message)
            };
            event.and(Effects { events: Vec::new(), messages })
        }
    };
    if let Some(attempt) = &mut status.attempt {
        attempt.step = Step::VerifyingRollback;
        if let Some(rollback) = &mut attempt.rollback {
            rollback.verify_until = Some(after(facts.now.wall, facts.timeout()));
        }
    }
    effects
}

/// The webhook is notified once more if a success that it knows of is rolled back.
fn later_message(status: &CognigyDeploymentStatus, facts: &Facts<'_>, earlier: Outcome) -> Vec<OutboxMessage> {
    let rollback =
        status.attempt.as_ref().and_then(|attempt| attempt.rollback.as_ref().map(|rollback| (attempt, rollback)));
    let Some((attempt, rollback)) = rollback.filter(|_| earlier == Outcome::Succeeded && facts.has_webhook()) else {
        return Vec::new();
    };
    let times = attempt.intended_at().zip(attempt.verdict.as_ref());
    let duration = times.map_or(Duration::ZERO, |(intended_at, verdict)| between(intended_at, verdict.at));
    vec![OutboxMessage::Webhook {
        id: key::later_rollback_message(&rollback.key),
        job_id: attempt.job_id().cloned(),
        success: false,
        duration_seconds: duration.as_secs_f64(),
        validation_success_rate: attempt::validation_success_rate(status),
        at: facts.now.wall,
        api_origin: attempt.api_origin().cloned(),
    }]
}

/// Why the attempt was rolled back.
fn why(status: &CognigyDeploymentStatus) -> Reason {
    let attempt = status.attempt.as_ref();
    let rollback = attempt.and_then(|attempt| attempt.rollback.as_ref());
    match rollback.map(|rollback| rollback.reason) {
        Some(RollbackReason::HealthCheckFailure) => Reason::HealthCheckFailed,
        Some(RollbackReason::DeploymentFailed) => {
            match attempt.and_then(|attempt| attempt.job.as_ref()).and_then(|job| job.failure) {
                Some(JobFailure::Gone) => Reason::JobGone,
                Some(JobFailure::EndedBadly) | None => Reason::JobFailed,
            }
        }
        Some(RollbackReason::Timeout) => Reason::DeadlineExceeded,
        Some(RollbackReason::ResourceDeleted) => Reason::ResourceDeleted,
        Some(RollbackReason::Manual) | None => Reason::RollbackRequested,
    }
}

/// Health was watched for long enough after the rollback, or the resource is deleted.
pub fn settle(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) -> Effects {
    if let Some(attempt) = &mut status.attempt {
        attempt.step = Step::Settled;
    }
    if status.conditions.is_true(ConditionType::Healthy) || facts.deleted_at.is_some() {
        return Effects::none();
    }
    let message = format!(
        "the environment did not become healthy within {} seconds after the rollback; the last answer: {}",
        facts.timeout().as_secs(),
        conditions::message_of(status, ConditionType::Healthy),
    );
    let last = status.conditions.find(ConditionType::Healthy).map(|condition| condition.status);
    let update = match last {
        Some(ConditionStatus::False) => ConditionUpdate::set_false,
        Some(ConditionStatus::True | ConditionStatus::Unknown) | None => ConditionUpdate::set_unknown,
    };
    set_condition(status, facts, update(ConditionType::Healthy, Reason::RolledBackUnhealthy, message.clone()));
    Effects::warning(Reason::RolledBackUnhealthy, message)
}
