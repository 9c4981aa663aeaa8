//! Deadlines, and whether an ended attempt still describes the environment.

use super::claim;
use super::facts::{Facts, Target};
use super::memory::Memory;
use super::time::ObservedTime;
use api::status::{Attempt, Outcome};
use std::time::Duration;

/// Whether there should have been a verdict by now.
#[must_use]
pub fn is_past_deadline(facts: &Facts<'_>, memory: &Memory) -> bool {
    memory.submit_age(facts.now) >= facts.timeout()
}

/// The age from which a request without a good answer is a verdict: the time-out, or a little more.
///
/// If the rollout began before this process observed it, its age is known only by the wall clock, and the first request
/// of this process may fail for another reason. So this process gives such a rollout at least the time that bad health
/// needs for a verdict, even if the deadline has passed.
#[must_use]
pub fn timeout_verdict_age(facts: &Facts<'_>, since: Option<ObservedTime>) -> Duration {
    let answers = u32::try_from(facts.spec.rollback_policy.health_threshold).unwrap_or(1);
    let unseen = since.map_or(Duration::ZERO, ObservedTime::age_when_first_observed);
    facts.timeout().max(unseen + facts.interval().saturating_mul(answers))
}

/// Whether the target needs another attempt: the configuration has changed, or the checks that refused it have changed.
#[must_use]
pub fn is_outdated(attempt: &Attempt, target: &Target) -> bool {
    let was_refused = !attempt.has_intent() && attempt.outcome() == Some(Outcome::Failed);
    let is_other = target.digest != attempt.digest && attempt.declined.as_ref() != Some(&target.digest);
    is_other || (was_refused && target.checks_digest != attempt.checks.digest)
}

/// Whether the environment no longer runs what this attempt deployed, because another resource owns it now.
#[must_use]
pub fn is_replaced(facts: &Facts<'_>, attempt: &Attempt) -> bool {
    facts.other_owner.is_some() && claim::claims_to_run(attempt)
}

/// How long the environment stays reserved for this attempt. A rollout that may be running although nobody knows its job
/// keeps the environment until its deadline.
#[must_use]
pub fn time_until_free(facts: &Facts<'_>, attempt: &Attempt, memory: &Memory) -> Duration {
    match attempt.outcome() {
        Some(Outcome::Unknown) => facts.timeout().saturating_sub(memory.submit_age(facts.now)),
        Some(
            Outcome::Succeeded
            | Outcome::RolledBack
            | Outcome::RollbackFailed
            | Outcome::Failed
            | Outcome::Superseded
            | Outcome::Abandoned,
        )
        | None => Duration::ZERO,
    }
}
