//! What a person requested by annotation.

use super::rollback;
use crate::attempt;
use crate::effects::Effects;
use crate::facts::Facts;
use crate::memory::Memory;
use crate::requests::Request;
use api::reason::Reason;
use api::status::{Attempt, CognigyDeploymentStatus, Outcome, RollbackReason, Step};

/// Does what was requested, and records that it was handled.
pub fn handle(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    request: Request,
) -> Effects {
    let handled = status.handled_requests.get_or_insert_default();
    // If somebody removes an annotation, its value stays handled. If somebody adds the same value again, it is not a
    // new request.
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
    const NOTHING: &str = "a rollback was requested, but this resource has deployed nothing that could be rolled back";
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
            rollback::record_request_before_job(status, facts);
            Effects::normal(Reason::RollbackRequested, "the rollback is requested as soon as the job is known")
        }
        Step::RollingOut | Step::Monitoring => rollback::begin(status, facts, memory, RollbackReason::Manual),
        Step::Settled | Step::VerifyingRollback if facts.other_owner.is_some() => {
            let owner = facts.other_owner.as_deref().unwrap_or_default();
            Effects::normal(Reason::RollbackNotPossible, format!("a rollback was requested, but {owner}"))
        }
        Step::Settled | Step::VerifyingRollback if can_be_rolled_back(current) => {
            rollback::begin(status, facts, memory, RollbackReason::Manual)
        }
        Step::RollingBack => Effects::normal(Reason::RollbackRequested, "the rollback is under way already"),
        Step::Settled | Step::VerifyingRollback => Effects::normal(Reason::RollbackNotPossible, NOTHING),
    }
}

/// Whether the environment may still run what this attempt deployed.
fn can_be_rolled_back(attempt: &Attempt) -> bool {
    let accepted = attempt.rollback.as_ref().is_some_and(|rollback| rollback.accepted_at.is_some());
    let deployed = !matches!(attempt.outcome(), Some(Outcome::RolledBack | Outcome::Superseded));
    attempt.job.is_some() && deployed && !accepted
}

fn retry(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory) -> Effects {
    match status.attempt.as_ref().map(|attempt| attempt.step) {
        Some(Step::Submitting | Step::RollingOut | Step::Monitoring | Step::RollingBack) => Effects::normal(
            Reason::RequestIgnored,
            "a retry was requested while an attempt is in flight; request it again with another value once the attempt has ended",
        ),
        Some(Step::Pending | Step::Validating | Step::Tracing) => {
            memory.clear_failures();
            memory.note_requested(status.attempt.as_ref());
            Effects::normal(Reason::RetryRequested, "trying again at once")
        }
        Some(Step::Settled | Step::VerifyingRollback) | None => {
            memory.clear_failures();
            let started = attempt::start(status, facts);
            memory.note_requested(status.attempt.as_ref());
            Effects::normal(Reason::RetryRequested, "starting another attempt").and(started)
        }
    }
}
