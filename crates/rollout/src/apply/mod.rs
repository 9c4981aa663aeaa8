//! What an answer means: each function writes it into the status and returns what is worth telling.

pub mod checks;
pub mod health;
pub mod job;
pub mod rollback;
pub mod submit;

use super::answer::Obstacle;
use super::facts::Facts;
use super::memory::Memory;
use super::notice::Effects;
use api::reason::Reason;
use api::status::{CognigyDeploymentStatus, Step};

/// Something keeps the call of the present step from going through. A person is told once, not with every try.
pub fn obstacle(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    obstacle: Obstacle,
) -> Effects {
    if is_rolling_back(status) {
        let retry = obstacle.retry;
        let effects = rollback::not_accepted(status, facts, memory, obstacle);
        memory.pause_rollback(retry, facts.now);
        return effects;
    }
    note_the_validation(status, obstacle.reason);
    let effects = told(facts, memory, &obstacle);
    match status.attempt.as_ref().map(|attempt| attempt.step) {
        Some(Step::RollingOut | Step::Monitoring | Step::VerifyingRollback) => {
            memory.meet_question(obstacle, facts.generation, facts.now, facts.interval());
        }
        _ => memory.meet(obstacle, facts.generation, facts.now),
    }
    effects
}

/// A try of the present step's call failed, and the next one follows in the same call. What stands in the way already says
/// more.
pub fn failed_try(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    obstacle: Obstacle,
) -> Effects {
    if is_rolling_back(status) {
        return rollback::not_accepted(status, facts, memory, obstacle);
    }
    if memory.obstacle(facts.generation).is_some() {
        return Effects::none();
    }
    note_the_validation(status, obstacle.reason);
    let effects = told(facts, memory, &obstacle);
    memory.show(obstacle, facts.generation);
    effects
}

fn is_rolling_back(status: &CognigyDeploymentStatus) -> bool {
    status.attempt.as_ref().is_some_and(|attempt| attempt.step == Step::RollingBack)
}

/// Once the platform is asked for the validation, the attempt is no longer pending.
fn note_the_validation(status: &mut CognigyDeploymentStatus, reason: Reason) {
    if let Some(attempt) = &mut status.attempt
        && attempt.step == Step::Pending
        && is_from_the_validation(reason)
    {
        attempt.step = Step::Validating;
    }
}

/// The event about an obstacle that was not told yet.
fn told(facts: &Facts<'_>, memory: &mut Memory, obstacle: &Obstacle) -> Effects {
    let is_known = memory.obstacle(facts.generation).is_some_and(|known| known.reason == obstacle.reason);
    let in_vain = memory.take_told_in_vain();
    match (is_known && !in_vain, obstacle.stalls()) {
        (false, true) => Effects::warning(obstacle.reason, obstacle.message.clone()),
        (false, false) => Effects::normal(obstacle.reason, obstacle.message.clone()),
        (true, _) => Effects::none(),
    }
}

fn is_from_the_validation(reason: Reason) -> bool {
    matches!(reason, Reason::ApiUnavailable | Reason::UnexpectedAnswer | Reason::RequestRejected | Reason::Unauthorized)
}
