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
use crate::api::reason::Reason;
use crate::api::status::{CognigyDeploymentStatus, Step};

/// Something keeps the call of the present step from going through. A person is told once, not with every try.
pub fn obstacle(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    obstacle: Obstacle,
) -> Effects {
    let attempt = status.attempt.as_mut();
    let step = attempt.as_ref().map(|attempt| attempt.step);
    if let (Some(attempt), Some(Step::Pending)) = (attempt, step)
        && is_from_the_validation(obstacle.reason)
    {
        attempt.step = Step::Validating;
    }
    let known = memory.obstacle(facts.generation).is_some_and(|known| known.reason == obstacle.reason);
    let effects = match (known, obstacle.stalls()) {
        (false, true) => Effects::warning(obstacle.reason, obstacle.message.clone()),
        (false, false) => Effects::normal(obstacle.reason, obstacle.message.clone()),
        (true, _) => Effects::none(),
    };
    match step {
        Some(Step::RollingBack) => memory.meet_rollback(obstacle, facts.generation, facts.now),
        Some(Step::RollingOut | Step::Monitoring | Step::VerifyingRollback) => {
            memory.meet_question(obstacle, facts.generation, facts.now, facts.interval());
        }
        _ => memory.meet(obstacle, facts.generation, facts.now),
    }
    effects
}

fn is_from_the_validation(reason: Reason) -> bool {
    matches!(reason, Reason::ApiUnavailable | Reason::UnexpectedAnswer | Reason::RequestRejected | Reason::Unauthorized)
}
