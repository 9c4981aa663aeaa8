//! What is at rest: nothing is to be done for it until somebody changes it.

use super::decide::{Decision, decide};
use super::facts::Facts;
use super::memory::Memory;
use super::standing;
use api::status::CognigyDeploymentStatus;

/// Whether nothing is to be done, now or later, until the resource itself changes: nothing to ask or to start, nothing
/// to deliver, nothing to write.
///
/// Judged as by a process that remembers nothing, not even since when things are as they are: what only time makes safe
/// is not at rest, and forgetting all there is to remember of what is at rest changes nothing.
#[must_use]
pub fn is_at_rest(facts: &Facts<'_>, status: &CognigyDeploymentStatus) -> bool {
    let memory = Memory::default();
    status.outbox.is_empty()
        && decide(facts, status, &memory) == Decision::Wait(None)
        && is_told_already(facts, status, &memory)
}

fn is_told_already(facts: &Facts<'_>, status: &CognigyDeploymentStatus, memory: &Memory) -> bool {
    let mut refreshed = status.clone();
    standing::refresh(&mut refreshed, facts, memory);
    refreshed == *status
}
