//! What the state of the job means (contract, section 4).

use super::rollback;
use crate::answer::JobAnswer;
use crate::attempt;
use crate::conditions::{self, ConditionUpdate, set_condition};
use crate::deadline::is_past_deadline;
use crate::effects::Effects;
use crate::facts::Facts;
use crate::memory::Memory;
use api::condition::ConditionType;
use api::reason::Reason;
use api::status::{CognigyDeploymentStatus, JobFailure, Outcome, RollbackReason, Step};

/// The job was polled at `facts.sent_at`, and has answered now.
pub fn job(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory, answer: JobAnswer) -> Effects {
    memory.attempt.polls.note(facts.sent_at, matches!(answer, JobAnswer::NotFound | JobAnswer::Unreadable(_)));
    memory.clear_failures();
    if answer != JobAnswer::NotFound {
        memory.attempt.job.note_not_missing();
    }
    note_age(facts, memory, &answer);
    match answer {
        JobAnswer::Completed => completed(status, facts, memory),
        JobAnswer::EndedBadly(word) => ended_badly(status, facts, memory, &word),
        JobAnswer::RolledBack => rolled_back_by_platform(status, facts),
        JobAnswer::NotFound => not_found(status, facts, memory),
        JobAnswer::Running => {
            memory.note_no_good_answer(facts.sent_at);
            // This also replaces an earlier message that the job could not be read. Otherwise it changes nothing.
            let running = running(status, facts);
            conditions::set_if_changed(status, facts, running);
            Effects::none()
        }
        JobAnswer::Unreadable(why) => {
            memory.note_no_good_answer(facts.sent_at);
            let message = format!("the state of {} could not be read: {why}", name(status));
            set_condition(
                status,
                facts,
                ConditionUpdate::set_unknown(ConditionType::RolledOut, Reason::JobUnreadable, message),
            );
            Effects::none()
        }
    }
}

/// Remembers what this poll tells about the duration of the job.
fn note_age(facts: &Facts<'_>, memory: &mut Memory, answer: &JobAnswer) {
    match answer {
        JobAnswer::Running => {
            let age = memory.job_age(facts.sent_at);
            memory.attempt.job.note_running(age);
        }
        JobAnswer::Completed | JobAnswer::EndedBadly(_) | JobAnswer::RolledBack => {
            let age = memory.job_age(facts.now);
            memory.attempt.job.note_ended(age);
        }
        JobAnswer::NotFound | JobAnswer::Unreadable(_) => {}
    }
}

/// The condition RolledOut of a job that is running.
#[must_use]
pub fn running(status: &CognigyDeploymentStatus, facts: &Facts<'_>) -> ConditionUpdate {
    let message = format!("{} has accepted the rollout; {} is running", facts.platform(), name(status));
    ConditionUpdate::set_unknown(ConditionType::RolledOut, Reason::SubmitAccepted, message)
}

fn name(status: &CognigyDeploymentStatus) -> String {
    let job_id = status.attempt.as_ref().and_then(|attempt| attempt.job_id());
    job_id.map_or_else(|| "the job".to_owned(), ToString::to_string)
}

fn completed(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory) -> Effects {
    let message = "the job has completed";
    set_condition(status, facts, ConditionUpdate::set_true(ConditionType::RolledOut, Reason::JobCompleted, message));
    if let Some(attempt) = &mut status.attempt {
        attempt.step = Step::Monitoring;
        if let Some(job) = &mut attempt.job {
            job.completed_at = Some(facts.now.wall);
        }
    }
    // Health is polled at once. The memory of an earlier answer that was not recorded must not delay this poll.
    memory.attempt.polls.make_due();
    memory.attempt.health.begin_after_job(facts.sent_at);
    Effects::normal(Reason::JobCompleted, message)
}

fn ended_badly(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory, word: &str) -> Effects {
    let message = format!("{} ended badly: {} calls it {word}", name(status), facts.platform());
    fail(status, facts, JobFailure::EndedBadly, Reason::JobFailed, &message);
    rollback::react_to_failure(status, facts, memory, Reason::JobFailed, RollbackReason::DeploymentFailed, message)
}

fn fail(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, failure: JobFailure, reason: Reason, message: &str) {
    if let Some(job) = status.attempt.as_mut().and_then(|attempt| attempt.job.as_mut()) {
        job.failure = Some(failure);
    }
    set_condition(status, facts, ConditionUpdate::set_false(ConditionType::RolledOut, reason, message));
}

/// One such answer may come from one faulty replica of the API. A second one, at least an interval later, means that
/// the job is gone.
fn not_found(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory) -> Effects {
    let Some(since) = memory.attempt.job.note_missing(facts.sent_at) else {
        memory.note_no_good_answer(facts.sent_at);
        return Effects::none();
    };
    if facts.sent_at.uptime.saturating_sub(since) < facts.interval() {
        return Effects::none();
    }
    let message =
        format!("{} no longer knows {} (it said so twice, an interval apart)", facts.platform(), name(status));
    fail(status, facts, JobFailure::Gone, Reason::JobGone, &message);
    rollback::react_to_failure(status, facts, memory, Reason::JobGone, RollbackReason::DeploymentFailed, message)
}

/// The platform has rolled back by itself, as the submit allows it to. There is nothing to request.
fn rolled_back_by_platform(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) -> Effects {
    let message = format!("{} rolled the job back by itself, to {}", facts.platform(), rollback::restored(status));
    if status.attempt.as_ref().is_none_or(|attempt| attempt.job_completed_at().is_none()) {
        set_condition(
            status,
            facts,
            ConditionUpdate::set_false(ConditionType::RolledOut, Reason::RolledBackByPlatform, message.clone()),
        );
    }
    set_condition(
        status,
        facts,
        ConditionUpdate::set_true(ConditionType::RolledBack, Reason::RolledBackByPlatform, message.clone()),
    );
    attempt::conclude(status, facts, Outcome::RolledBack, Reason::RolledBackByPlatform, message)
}

/// The job was polled once more before success, because health was bad or could not be read in between. Good health may mean
/// that the platform has restored the old snapshot.
pub fn checked_before_success(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    answer: &JobAnswer,
) -> Effects {
    memory.attempt.health.job_checked();
    memory.clear_failures();
    match answer {
        JobAnswer::RolledBack => rolled_back_by_platform(status, facts),
        JobAnswer::Completed => attempt::succeed(status, facts),
        JobAnswer::EndedBadly(word) => ended_badly(status, facts, memory, word),
        JobAnswer::Running | JobAnswer::NotFound | JobAnswer::Unreadable(_) => {
            if is_past_deadline(facts, memory) {
                // The deadline has passed, and health was good. This is a success.
                return attempt::succeed(status, facts);
            }
            // Health and job are polled again one interval later.
            memory.attempt.polls.set_last_answer_was_not_good(true);
            Effects::none()
        }
    }
}
