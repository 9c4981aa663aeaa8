//! What a person requested, by annotation or by decision.

use super::rollback;
use crate::attempt;
use crate::conditions::{ConditionUpdate, set_condition};
use crate::effects::Effects;
use crate::facts::Facts;
use crate::gates::{self, DecisionRecord};
use crate::memory::Memory;
use crate::requests::{Request, is_about_standing, is_new, pending_decision};
use api::condition::ConditionType;
use api::decision::Verb;
use api::reason::Reason;
use api::status::{Attempt, CognigyDeploymentStatus, Outcome, RollbackReason, Step};

/// Does what was requested, and records that it was handled.
pub fn handle(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    request: Request,
) -> Effects {
    let handled = status.handled_requests.clone().unwrap_or_default();
    let is_annotated = match request {
        Request::Rollback => is_new(facts.requests.rollback.as_ref(), handled.rollback.as_ref()),
        Request::Retry => is_new(facts.requests.retry.as_ref(), handled.retry.as_ref()),
        Request::Reject => false,
    };
    // An annotation and a decision are two requests. The annotation is handled first.
    let decision = pending_decision(facts, status, request.verb()).filter(|_| !is_annotated).cloned();
    let decided = match &decision {
        Some(record) => {
            gates::act_on(status, record);
            decided(request, record)
        }
        None if is_annotated => {
            note_annotations(status, facts, request);
            Effects::none()
        }
        // It was withdrawn or has expired since the decision to handle it.
        None => return Effects::none(),
    };
    if request == Request::Rollback {
        drop_retries(status, facts);
    }
    decided.and(match request {
        Request::Rollback => roll_back(status, facts, memory, decision.as_deref()),
        Request::Retry => retry(status, facts, memory),
        Request::Reject => reject(status, facts, decision.as_deref()),
    })
}

/// The event that names the person.
fn decided(request: Request, record: &DecisionRecord) -> Effects {
    let note = |what: &str| format!("{} {what} with the decision {}: {}", record.by, record.name, record.reason);
    match request {
        Request::Rollback => Effects::normal(Reason::RollbackRequested, note("requests the rollback")),
        Request::Retry => Effects::normal(Reason::RetryRequested, note("requests another attempt")),
        // The event about the end of the attempt names the person.
        Request::Reject => Effects::none(),
    }
}

fn reject(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, decision: Option<&DecisionRecord>) -> Effects {
    let Some(record) = decision else { return Effects::none() };
    let message = format!("rejected by {} with the decision {}: {}", record.by, record.name, record.reason);
    let update = ConditionUpdate::set_false(ConditionType::GatesOpen, Reason::Rejected, message.clone());
    set_condition(status, facts, update);
    gates::use_up(status, facts, &record.plan_id);
    attempt::conclude(status, facts, Outcome::Abandoned, Reason::Rejected, message)
}

fn note_annotations(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, request: Request) {
    note_retry(status, facts);
    if request == Request::Rollback {
        status.handled_requests.get_or_insert_default().rollback.clone_from(&facts.requests.rollback);
    }
}

/// If somebody removes an annotation, its value stays handled. If somebody adds the same value again, it is not a new request.
fn note_retry(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) {
    if facts.requests.retry.is_some() {
        status.handled_requests.get_or_insert_default().retry.clone_from(&facts.requests.retry);
    }
}

/// A retry that was requested before a rollback would deploy again what is rolled back. So it counts as handled.
fn drop_retries(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) {
    note_retry(status, facts);
    while let Some(retry) = pending_decision(facts, status, Verb::Retry).cloned() {
        gates::act_on(status, &retry);
    }
}

/// Rolls back. While an attempt is not submitted, an annotation ends that attempt, and the next one undoes what runs. A decision names
/// the plan that it is about.
fn roll_back(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    decision: Option<&DecisionRecord>,
) -> Effects {
    let is_about_standing = decision.is_some_and(|record| is_about_standing(status, record));
    const NOTHING: &str = "a rollback was requested, but this resource has deployed nothing that could be rolled back";
    let Some(current) = &status.attempt else { return Effects::normal(Reason::RollbackNotPossible, NOTHING) };
    match current.step {
        Step::Pending | Step::Validating | Step::Tracing => {
            if let Some(plan_id) = current.plan_id.clone() {
                gates::use_up(status, facts, &plan_id);
            }
            if is_about_standing {
                // So that the end of this attempt does not remove it, and its transition time stays.
                let update = ConditionUpdate::set_unknown(
                    ConditionType::RolledBack,
                    Reason::RollingBack,
                    "rolling back what runs",
                );
                set_condition(status, facts, update);
            }
            let note = "stopped by request before anything was submitted";
            let stopped = attempt::conclude(status, facts, Outcome::Abandoned, Reason::Cancelled, note);
            match is_about_standing {
                true => stopped.and(rollback::begin(status, facts, memory, RollbackReason::Manual)),
                false => stopped,
            }
        }
        Step::Submitting => {
            rollback::record_request_before_job(status, facts);
            Effects::normal(Reason::RollbackRequested, "the rollback is requested as soon as the job is known")
        }
        Step::RollingOut | Step::Monitoring => rollback::begin(status, facts, memory, RollbackReason::Manual),
        Step::Settled | Step::VerifyingRollback if facts.other_owner.is_some() => {
            let owner = facts.other_owner.as_deref().unwrap_or_default();
            Effects::normal(Reason::RollbackNotPossible, format!("a rollback was requested, but {owner}"))
        }
        Step::Settled | Step::VerifyingRollback if can_be_rolled_back(current) || has_standing(status) => {
            rollback::begin(status, facts, memory, RollbackReason::Manual)
        }
        Step::RollingBack => Effects::normal(Reason::RollbackRequested, "the rollback is under way already"),
        Step::Settled | Step::VerifyingRollback => Effects::normal(Reason::RollbackNotPossible, NOTHING),
    }
}

/// Whether the environment runs what an earlier attempt deployed, because the current one was not submitted.
fn has_standing(status: &CognigyDeploymentStatus) -> bool {
    status.standing_attempt.is_some() && !status.attempt.as_ref().is_some_and(Attempt::has_intent)
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
