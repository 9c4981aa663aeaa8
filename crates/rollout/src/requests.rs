//! What people ask for through annotations: any new value, acted on once.
//!
//! The operator never edits the annotations (a GitOps tool would put them back); it remembers the values it has handled.

use super::apply::rollback;
use super::attempt;
use super::decide::time_until_free;
use super::facts::Facts;
use super::memory::Memory;
use super::notice::Effects;
use api::reason::Reason;
use api::status::{Attempt, CognigyDeploymentStatus, HandledRequests, Outcome, RollbackReason, Step};

/// A request that was not handled yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Roll back, or stop what has not been submitted.
    Rollback,
    /// Try again.
    Retry,
}

/// The request to handle next. A rollback wins over a retry; a retry waits while nothing new may start.
#[must_use]
pub fn open(
    facts: &Facts<'_>,
    attempt: Option<&Attempt>,
    handled: &HandledRequests,
    memory: &Memory,
) -> Option<Request> {
    if is_new(facts.requests.rollback.as_ref(), handled.rollback.as_ref()) {
        return Some(Request::Rollback);
    }
    if !is_new(facts.requests.retry.as_ref(), handled.retry.as_ref()) || facts.deleted_at.is_some() {
        return None;
    }
    let may_start = !facts.spec.suspend
        && facts.target.is_ok()
        && attempt.is_none_or(|attempt| time_until_free(facts, attempt, memory).is_zero());
    let is_busy = attempt.is_some_and(Attempt::is_in_flight);
    (may_start || is_busy).then_some(Request::Retry)
}

/// Whether a request annotation has a value that was not acted on yet.
#[must_use]
pub fn is_new(value: Option<&String>, handled: Option<&String>) -> bool {
    value.is_some() && value != handled
}

/// Notes the values that were there before the operator was: a restored or re-created object carries old requests.
pub fn note(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) -> Effects {
    status.handled_requests =
        Some(HandledRequests { retry: facts.requests.retry.clone(), rollback: facts.requests.rollback.clone() });
    Effects::none()
}

/// Does what was asked for.
pub fn obey(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory, request: Request) -> Effects {
    let handled = status.handled_requests.get_or_insert_default();
    // An annotation that was taken away leaves its value handled: put back, it is not a new one.
    if facts.requests.retry.is_some() {
        handled.retry.clone_from(&facts.requests.retry);
    }
    if request == Request::Rollback {
        handled.rollback.clone_from(&facts.requests.rollback);
    }
    match request {
        Request::Rollback => roll_back(status, facts, memory),
        Request::Retry => retry(status, facts, memory),
    }
}

fn roll_back(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory) -> Effects {
    const NOTHING: &str =
        "a rollback was asked for, but nothing is deployed by this resource that could be rolled back";
    let Some(current) = &status.attempt else { return Effects::normal(Reason::RollbackNotPossible, NOTHING) };
    match current.step {
        Step::Pending | Step::Validating | Step::Tracing => attempt::conclude(
            status,
            facts,
            Outcome::Abandoned,
            Reason::Cancelled,
            "stopped by request before anything was submitted",
        ),
        Step::Submitting => {
            rollback::remember_for_later(status, facts);
            Effects::normal(Reason::RollbackRequested, "the rollback is asked for as soon as the job is known")
        }
        Step::RollingOut | Step::Monitoring => rollback::begin(status, facts, memory, RollbackReason::Manual),
        Step::Settled | Step::VerifyingRollback if facts.other_owner.is_some() => {
            let owner = facts.other_owner.as_deref().unwrap_or_default();
            Effects::normal(Reason::RollbackNotPossible, format!("a rollback was asked for, but {owner}"))
        }
        Step::Settled | Step::VerifyingRollback if can_be_rolled_back(current) => {
            rollback::begin(status, facts, memory, RollbackReason::Manual)
        }
        Step::RollingBack => Effects::normal(Reason::RollbackRequested, "the rollback is under way already"),
        Step::Settled | Step::VerifyingRollback => Effects::normal(Reason::RollbackNotPossible, NOTHING),
    }
}

/// Whether what this attempt deployed may still be in the environment.
fn can_be_rolled_back(attempt: &Attempt) -> bool {
    let accepted = attempt.rollback.as_ref().is_some_and(|rollback| rollback.accepted_at.is_some());
    let deployed = !matches!(attempt.outcome(), Some(Outcome::RolledBack | Outcome::Superseded));
    attempt.job_id.is_some() && deployed && !accepted
}

fn retry(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory) -> Effects {
    match status.attempt.as_ref().map(|attempt| attempt.step) {
        Some(Step::Submitting | Step::RollingOut | Step::Monitoring | Step::RollingBack) => Effects::normal(
            Reason::RequestIgnored,
            "a retry was asked for while an attempt is in flight; ask again with another value once it has ended",
        ),
        Some(Step::Pending | Step::Validating | Step::Tracing) => {
            memory.clear_failures();
            memory.asked_for = status.attempt.as_ref().map(|attempt| attempt.number);
            Effects::normal(Reason::RetryRequested, "trying again at once")
        }
        Some(Step::Settled | Step::VerifyingRollback) | None => {
            memory.clear_failures();
            let started = attempt::start(status, facts);
            memory.asked_for = status.attempt.as_ref().map(|attempt| attempt.number);
            Effects::normal(Reason::RetryRequested, "starting another attempt").and(started)
        }
    }
}
