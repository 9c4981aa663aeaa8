//! What the job's word means (contract, section 4).

use super::rollback;
use crate::answer::JobAnswer;
use crate::attempt;
use crate::conditions::{Tell, tell};
use crate::decide::is_past_deadline;
use crate::durations::JobRun;
use crate::facts::Facts;
use crate::memory::Memory;
use crate::notice::Effects;
use api::condition::{ConditionSet, ConditionType};
use api::reason::Reason;
use api::status::{CognigyDeploymentStatus, Outcome, RollbackReason, Step};
use std::time::Duration;

/// Health that answers later than this after the job was asked was not asked at once: while an answer was late, or a request
/// waited for its turn, health may have been bad and the platform may have rolled back.
const AT_ONCE: Duration = Duration::from_secs(5);

/// What the job said to the question that was asked at `facts.asked`.
pub fn job(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory, answer: JobAnswer) -> Effects {
    memory.attempt.polled_at = Some(facts.asked.uptime);
    memory.clear_failures();
    if answer != JobAnswer::NotFound {
        memory.attempt.job_missing_at = None;
    }
    memory.attempt.is_in_doubt = matches!(answer, JobAnswer::NotFound | JobAnswer::Unreadable(_));
    note_age(facts, memory, &answer);
    match answer {
        JobAnswer::Completed => completed(status, facts, memory),
        JobAnswer::EndedBadly(word) => ended_badly(status, facts, memory, &word),
        JobAnswer::RolledBack => rolled_back_by_platform(status, facts),
        JobAnswer::NotFound => not_found(status, facts, memory),
        JobAnswer::Running => {
            note_no_good_answer(facts, memory);
            running_again(status, facts);
            Effects::none()
        }
        JobAnswer::Unreadable(why) => {
            note_no_good_answer(facts, memory);
            let message = format!("how the job stands could not be read: {why}");
            tell(status, facts, Tell::unknown(ConditionType::RolledOut, Reason::JobUnreadable, message));
            Effects::none()
        }
    }
}

/// What this look tells of how long the job takes. One that another process submitted tells nothing until it was seen
/// running: nobody may have looked for hours.
fn note_age(facts: &Facts<'_>, memory: &mut Memory, answer: &JobAnswer) {
    match answer {
        JobAnswer::Running => memory.attempt.running_at_age = Some(memory.job_age(facts.asked)),
        JobAnswer::Completed | JobAnswer::EndedBadly(_) | JobAnswer::RolledBack => {
            let running = memory.attempt.running_at_age;
            let was_watched = running.is_some() || memory.attempt.taken_at.is_some();
            memory.attempt.job_run = was_watched.then(|| JobRun { running, ended: memory.job_age(facts.now) });
        }
        JobAnswer::NotFound | JobAnswer::Unreadable(_) => {}
    }
}

/// Whether the job could not be read when it was last asked.
#[must_use]
pub fn is_unreadable(status: &CognigyDeploymentStatus) -> bool {
    status.conditions.find(ConditionType::RolledOut).is_some_and(|told| told.reason == Reason::JobUnreadable)
}

/// What could not be read can be again; otherwise a poll that changes nothing says nothing.
fn running_again(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) {
    if is_unreadable(status) {
        tell(status, facts, Tell::unknown(ConditionType::RolledOut, Reason::SubmitAccepted, "the job is running"));
    }
}

/// The deadline is a verdict only once a question that was asked after it got no good answer.
pub(super) fn note_no_good_answer(facts: &Facts<'_>, memory: &mut Memory) {
    memory.attempt.no_good_answer_at_age = Some(memory.submit_age(facts.asked));
}

fn completed(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory) -> Effects {
    let message = "the job has completed";
    tell(status, facts, Tell::yes(ConditionType::RolledOut, Reason::JobCompleted, message));
    if let Some(attempt) = &mut status.attempt {
        attempt.step = Step::Monitoring;
        attempt.job_completed_at = Some(facts.now.wall);
    }
    // Health is asked at once, whatever was remembered of an earlier answer whose record was lost.
    memory.attempt.polled_at = None;
    memory.attempt.must_look_at_job = false;
    memory.attempt.undisturbed_until = Some(facts.asked.uptime + AT_ONCE);
    Effects::normal(Reason::JobCompleted, message)
}

fn ended_badly(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory, word: &str) -> Effects {
    let message = format!("the job ended badly: Cognigy.AI calls it {word}");
    rollback::condemn(status, facts, memory, Reason::JobFailed, RollbackReason::DeploymentFailed, message)
}

/// Once may be a hiccup of a replica; twice, an interval apart, the job is gone.
fn not_found(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory) -> Effects {
    let Some(since) = memory.attempt.job_missing_at else {
        memory.attempt.job_missing_at = Some(facts.asked.uptime);
        note_no_good_answer(facts, memory);
        return Effects::none();
    };
    if facts.asked.uptime.saturating_sub(since) < facts.interval() {
        return Effects::none();
    }
    let message = "Cognigy.AI no longer knows the job (404 twice, an interval apart)";
    rollback::condemn(status, facts, memory, Reason::JobGone, RollbackReason::DeploymentFailed, message)
}

/// The platform was told to roll back by itself, and did: there is nothing to ask for.
fn rolled_back_by_platform(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) -> Effects {
    let message = "Cognigy.AI rolled the job back by itself";
    if status.conditions.iter().all(|condition| condition.reason != Reason::JobCompleted) {
        tell(status, facts, Tell::no(ConditionType::RolledOut, Reason::RolledBackByPlatform, message));
    }
    tell(status, facts, Tell::yes(ConditionType::RolledBack, Reason::RolledBackByPlatform, message));
    attempt::conclude(status, facts, Outcome::RolledBack, Reason::RolledBackByPlatform, message)
}

/// The last look at the job before success, where health was bad or unreadable in between: healthy may mean that the
/// platform has brought the old snapshot back.
pub fn last_look(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    answer: &JobAnswer,
) -> Effects {
    memory.attempt.must_look_at_job = false;
    memory.clear_failures();
    match answer {
        JobAnswer::RolledBack => rolled_back_by_platform(status, facts),
        JobAnswer::Completed => super::health::succeed(status, facts),
        JobAnswer::EndedBadly(word) => ended_badly(status, facts, memory, word),
        // Health was good after the deadline, and that is what the deadline waits for.
        _ if is_past_deadline(facts, memory) => super::health::succeed(status, facts),
        // Health and job are asked again an interval later.
        _ => {
            memory.attempt.is_in_doubt = true;
            Effects::none()
        }
    }
}
