//! Obstacles: how they change the status and the memory, and when an event is published.

use crate::after_success;
use crate::answer::{Cause, Obstacle};
use crate::effects::Effects;
use crate::facts::Facts;
use crate::memory::Memory;
use api::status::{CognigyDeploymentStatus, RollbackReason, Step};

/// The call of the present step failed or could not be made. An event is published once, not with every try.
pub fn block(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    obstacle: Obstacle,
) -> Effects {
    match status.attempt.as_ref().map(|attempt| attempt.step) {
        Some(Step::RollingBack) => {
            let retry = obstacle.retry;
            let effects = rollback_not_accepted(status, facts, memory, obstacle);
            memory.pause_rollback(retry, facts.now);
            effects
        }
        Some(Step::Settled) if after_success::is_watched(status, facts) => {
            super::after_success::unanswered(status, facts, memory, &obstacle.message)
        }
        Some(Step::RollingOut | Step::Monitoring | Step::VerifyingRollback) => {
            let effects = event_once(facts, memory, &obstacle);
            memory.block_poll(obstacle, facts.generation, facts.now, facts.interval());
            effects
        }
        Some(Step::Pending | Step::Validating | Step::Tracing | Step::Submitting | Step::Settled) | None => {
            note_validation_began(status, obstacle.cause);
            let effects = event_once(facts, memory, &obstacle);
            memory.block(obstacle, facts.generation, facts.now);
            effects
        }
    }
}

/// One try of the current call failed, and the call makes another try. If an obstacle is already shown, it stays,
/// because it says more.
pub fn failed_try(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    obstacle: Obstacle,
) -> Effects {
    if status.attempt.as_ref().is_some_and(|attempt| attempt.step == Step::RollingBack) {
        return rollback_not_accepted(status, facts, memory, obstacle);
    }
    if memory.obstacle(facts.generation).is_some() {
        return Effects::none();
    }
    note_validation_began(status, obstacle.cause);
    let effects = event_once(facts, memory, &obstacle);
    memory.set_obstacle(obstacle, facts.generation);
    effects
}

/// Once the validation was requested from the API, the attempt is no longer pending.
fn note_validation_began(status: &mut CognigyDeploymentStatus, cause: Cause) {
    if let Some(attempt) = &mut status.attempt
        && attempt.step == Step::Pending
        && cause.is_answer_of_api()
    {
        attempt.step = Step::Validating;
    }
}

/// The event about an obstacle, unless one about the same cause was published before.
fn event_once(facts: &Facts<'_>, memory: &mut Memory, obstacle: &Obstacle) -> Effects {
    let is_known = memory.is_blocked_by(obstacle.cause, facts.generation);
    let was_lost = memory.take_lost_event();
    match (is_known && !was_lost, obstacle.needs_person()) {
        (false, true) => Effects::warning(obstacle.reason(), obstacle.message.clone()),
        (false, false) => Effects::normal(obstacle.reason(), obstacle.message.clone()),
        (true, _) => Effects::none(),
    }
}

/// The rollback is not accepted, while a bad release is live. A Warning is published at once, and again only if the cause
/// changes.
fn rollback_not_accepted(
    status: &CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    obstacle: Obstacle,
) -> Effects {
    let is_new = memory.attempt.rollback.set_cause(stable_words(&obstacle.message));
    let was_lost = memory.take_lost_event();
    if !is_new && !was_lost && memory.keep_obstacle(facts.generation) {
        return Effects::none();
    }
    let cause = if obstacle.needs_person() { obstacle.cause } else { Cause::RollbackUnreachable };
    let message = not_accepted_message(status, facts, &obstacle.message);
    memory.set_obstacle(Obstacle { cause, message: message.clone(), retry: obstacle.retry }, facts.generation);
    Effects::warning(cause.reason(), message)
}

fn not_accepted_message(status: &CognigyDeploymentStatus, facts: &Facts<'_>, problem: &str) -> String {
    let attempt = status.attempt.as_ref();
    let job = attempt.and_then(|attempt| attempt.job_id()).map_or("the job", |job_id| job_id.as_str());
    let reason = attempt.and_then(|attempt| attempt.rollback.as_ref()).map(|rollback| rollback.reason);
    let release = match reason {
        Some(RollbackReason::Manual | RollbackReason::ResourceDeleted) => "the release",
        Some(RollbackReason::HealthCheckFailure | RollbackReason::DeploymentFailed | RollbackReason::Timeout)
        | None => "the bad release",
    };
    format!(
        "the rollback of {job} is not accepted: {problem}; {release} is still live in {}; the operator tries again at least \
         every minute",
        facts.spec.environment_id
    )
}

/// The words that stay the same while the cause stays the same. Words with digits (ids, times, counts) may differ with every
/// try, and are left out. A word of three digits is an HTTP status, and is kept.
fn stable_words(problem: &str) -> String {
    let is_status = |word: &str| word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit());
    let has_digit = |word: &str| word.bytes().any(|byte| byte.is_ascii_digit());
    let words = problem.split_whitespace().filter(|word| is_status(word) || !has_digit(word));
    words.collect::<Vec<_>>().join(" ")
}
