//! The submit (contract, section 3): a recorded intent, a call with a key, and the recorded answer.

use super::gates as apply_gates;
use super::{block::block, job};
use crate::answer::{Cause, Obstacle, SubmitAnswer};
use crate::attempt;
use crate::claim;
use crate::conditions::{ConditionUpdate, set_condition};
use crate::effects::Effects;
use crate::facts::Facts;
use crate::gates::{self, DecisionRecord};
use crate::key;
use crate::memory::Memory;
use crate::requests::pending_decision;
use crate::time::after;
use api::condition::ConditionType;
use api::decision::Verb;
use api::identifier::{ApiOrigin, ClientHash, RequestHash};
use api::reason::Reason;
use api::status::{CognigyDeploymentStatus, Job, Outcome, Step, Submission};
use std::sync::Arc;

/// What a repeated submit must have in common with the first one, so that the API recognizes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubmitIdentity {
    /// The API that receives it.
    pub api_origin: ApiOrigin,
    /// The API client that sends it.
    pub client_hash: ClientHash,
    /// The hash of its body.
    pub request_hash: RequestHash,
}

/// Writes the intent to submit. Once it is recorded, the rollout may be running, and the submit may only be sent under this
/// key. If the checks were made by another API than the one that would receive the submit, they are made again instead.
pub fn intend(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    identity: SubmitIdentity,
) -> Effects {
    let Some(attempt) = &mut status.attempt else { return Effects::none() };
    if attempt.checks.api_origin.as_ref() != Some(&identity.api_origin) {
        return attempt::check_again(status, facts);
    }
    // A gate may have closed since the decision to submit was made.
    let opened = apply_gates::record(status, facts);
    let Some(used) = used_decisions(status, facts) else { return opened };
    let plan_id = status.attempt.as_ref().and_then(|attempt| attempt.plan_id.clone());
    for decision in &used {
        gates::act_on(status, decision);
    }
    // An approval that was not needed must not start another attempt at the same plan after this one has failed.
    if let Some(plan_id) = plan_id {
        gates::use_up(status, facts, &plan_id);
    }
    let Some(attempt) = &mut status.attempt else { return opened };
    // A recorded key is kept, even if another version of the operator derived it. If somebody set the step in the
    // status back, a job may already be running under this key.
    let recorded = attempt.idempotency_key().cloned();
    let is_new = recorded.is_none();
    let derive = || key::submit(facts.uid, attempt.number, attempt.started_at, &attempt.digest);
    let key = recorded.unwrap_or_else(derive);
    attempt.step = Step::Submitting;
    attempt.submission = Some(Submission {
        intended_at: facts.now.wall,
        deadline_at: after(facts.now.wall, facts.timeout()),
        accepted_at: None,
        api_origin: identity.api_origin,
        revert_snapshot_id: facts.spec.rollback_policy.revert_snapshot_id.clone(),
        idempotency_key: key.clone(),
        request_hash: identity.request_hash,
        client_hash: identity.client_hash,
    });
    memory.attempt.submission.intend(is_new.then_some(key), facts.now);
    attempt::replace_standing(status, facts.now.wall);
    opened
}

/// The decisions that this submit uses up. `None` if a gate is closed, or if somebody has stopped the attempt.
#[must_use]
pub fn used_decisions(status: &CognigyDeploymentStatus, facts: &Facts<'_>) -> Option<Vec<Arc<DecisionRecord>>> {
    // Somebody may have stopped the attempt since the decision to submit was made.
    let is_stopped = |verb| pending_decision(facts, status, verb).is_some();
    if is_stopped(Verb::Reject) || is_stopped(Verb::Rollback) {
        return None;
    }
    let evaluation = gates::evaluate(facts, status, status.attempt.as_ref()?);
    let is_used = |record: &Arc<DecisionRecord>| evaluation.used().any(|decision| decision.uid == record.uid);
    let records = facts.gates.decisions.records.iter().filter(|record| is_used(record));
    evaluation.is_open().then(|| records.cloned().collect())
}

/// Applies the remembered answer to the submit again, because the status with this answer could not be recorded.
pub fn remembered_answer(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory) -> Effects {
    match memory.attempt.submission.answer().cloned() {
        Some(answer) => submit(status, facts, memory, answer),
        None => Effects::none(),
    }
}

/// A submit call was answered.
pub fn submit(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    answer: SubmitAnswer,
) -> Effects {
    // The body was sent, so it is not lost.
    memory.attempt.submission.set_body_changed(false);
    if matches!(answer, SubmitAnswer::Accepted(_) | SubmitAnswer::Rejected { .. }) {
        memory.attempt.submission.remember_answer(answer.clone());
    }
    match answer {
        SubmitAnswer::Accepted(job_id) => {
            memory.clear_failures();
            memory.attempt.submission.clear_unknown();
            // The first poll comes one interval from now (contract, section 4), or when the job is likely to have ended.
            memory.attempt.polls.note(facts.now, memory.attempt.polls.last_answer_was_not_good());
            memory.attempt.job.accept(facts.now);
            count_from_now(status, facts, memory);
            let event = format!("{} has accepted the rollout; its job is {job_id}", facts.platform());
            if let Some(attempt) = &mut status.attempt {
                attempt.job = Some(Job { id: job_id, completed_at: None, failure: None });
                // A rollback that was requested before the job was known begins now.
                attempt.step = if attempt.rollback.is_some() { Step::RollingBack } else { Step::RollingOut };
            }
            let running = job::running(status, facts);
            set_condition(status, facts, running);
            claim::deploy(status);
            Effects::normal(Reason::SubmitAccepted, event)
        }
        SubmitAnswer::Rejected { message } => {
            memory.clear_failures();
            let message = format!("{} refused the submit, so that nothing was deployed: {message}", facts.platform());
            set_condition(
                status,
                facts,
                ConditionUpdate::set_false(ConditionType::RolledOut, Reason::SubmitRejected, message.clone()),
            );
            attempt::conclude(status, facts, Outcome::Failed, Reason::SubmitRejected, message)
        }
        SubmitAnswer::NotSent(obstacle) => block(status, facts, memory, obstacle),
        SubmitAnswer::NotYet(obstacle) => {
            memory.attempt.submission.may_be_sent();
            block(status, facts, memory, obstacle)
        }
        SubmitAnswer::Unknown { message } => {
            memory.attempt.submission.may_be_sent();
            unknown(status, facts, memory, message)
        }
    }
}

/// If the rollout was accepted long after its intent (the operator was down, or the platform could not be reached), its
/// time-out counts from now. The rollout may have begun only now. With the old deadline, the first poll could roll it
/// back.
fn count_from_now(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &Memory) {
    if memory.submit_age(facts.now) <= facts.interval() {
        return;
    }
    if let Some(submission) = status.attempt.as_mut().and_then(|attempt| attempt.submission.as_mut()) {
        submission.accepted_at = Some(facts.now.wall);
        submission.deadline_at = after(facts.now.wall, facts.timeout());
    }
}

/// The submit is not sent, because the API would not recognize it: the body that can be built now does not have the
/// recorded hash, or the credentials belong to another client.
pub fn body_changed(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory) -> Effects {
    memory.attempt.submission.set_body_changed(true);
    unknown(
        status,
        facts,
        memory,
        "the spec, its webhook or the client in its Secret has changed since the intent was written, so the same submit \
         cannot be sent again"
            .to_owned(),
    )
}

/// Nobody can tell whether the submit was accepted. A Warning is published at once. The submit is sent again under its key,
/// with growing pauses, for as long as the API remembers the key.
fn unknown(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory, message: String) -> Effects {
    let message = format!("nobody can tell whether the rollout was submitted: {message}");
    let is_new = memory.attempt.submission.set_unknown(message.clone());
    let obstacle = Obstacle::transient(Cause::SubmitOutcomeUnknown, message.clone(), None);
    memory.block(obstacle, facts.generation, facts.now);
    set_condition(
        status,
        facts,
        ConditionUpdate::set_unknown(ConditionType::RolledOut, Reason::SubmitOutcomeUnknown, message.clone()),
    );
    if is_new { Effects::warning(Reason::SubmitOutcomeUnknown, message) } else { Effects::none() }
}
