//! Resources at rest: there is nothing to do for them until somebody changes them.

use super::decide::{Decision, decide};
use super::facts::Facts;
use super::memory::Memory;
use super::summary;
use api::status::CognigyDeploymentStatus;

/// Whether there is nothing to do, now or later, until the resource itself changes: nothing to ask, to start, to deliver or to
/// write.
///
/// Evaluated with empty memory, so that dropping the memory of a resource at rest cannot change anything.
#[must_use]
pub fn is_at_rest(facts: &Facts<'_>, status: &CognigyDeploymentStatus) -> bool {
    let memory = Memory::default();
    status.outbox.is_empty()
        && decide(facts, status, &memory) == Decision::Wait(None)
        && is_up_to_date(facts, status, &memory)
}

fn is_up_to_date(facts: &Facts<'_>, status: &CognigyDeploymentStatus, memory: &Memory) -> bool {
    let mut refreshed = status.clone();
    summary::refresh(&mut refreshed, facts, memory);
    refreshed == *status
}
