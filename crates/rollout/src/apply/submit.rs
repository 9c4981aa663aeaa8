//! The submit: an intent that is written first, a keyed call, a guarded record (contract, section 3).

use super::obstacle;
use crate::answer::{Obstacle, SubmitAnswer};
use crate::attempt;
use crate::claim;
use crate::conditions::{Tell, tell};
use crate::facts::{Facts, Sighting, after};
use crate::key;
use crate::memory::Memory;
use crate::notice::Effects;
use api::condition::ConditionType;
use api::identifier::{ApiOrigin, ClientHash, RequestHash};
use api::reason::Reason;
use api::status::{CognigyDeploymentStatus, Outcome, Step};

/// What a repeat of a submit must have in common with the first, for the API to know it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// To whom it is sent.
    pub api_origin: ApiOrigin,
    /// As whom it is sent.
    pub client_hash: ClientHash,
    /// Its body.
    pub request_hash: RequestHash,
}

/// The point of no return: from this record on the rollout may be out, and only this key may be sent.
pub fn intend(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    submission: Submission,
) -> Effects {
    let Some(attempt) = &mut status.attempt else { return Effects::none() };
    // A recorded key stays what it is, whichever version of the operator derived it: a job may be out under it, if somebody
    // turned the step back.
    let recorded = attempt.idempotency_key.take();
    let is_new = recorded.is_none();
    let derive = || key::submit(facts.uid, attempt.number, attempt.started_at, &attempt.digest);
    let key = recorded.unwrap_or_else(derive);
    attempt.step = Step::Submitting;
    attempt.api_origin = Some(submission.api_origin);
    attempt.client_hash = Some(submission.client_hash);
    attempt.request_hash = Some(submission.request_hash);
    attempt.idempotency_key = Some(key.clone());
    attempt.submitted_at = Some(facts.now.wall);
    attempt.deadline_at = Some(after(facts.now.wall, facts.timeout()));
    memory.attempt.unsent = is_new.then_some(key);
    memory.attempt.submit = Some(Sighting::of(facts.now.wall, facts.now));
    Effects::none()
}

/// What came of one submit call.
pub fn submit(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    answer: SubmitAnswer,
) -> Effects {
    // The body was there to be sent, so it is no longer lost.
    memory.attempt.body_lost = false;
    if matches!(answer, SubmitAnswer::Accepted(_) | SubmitAnswer::Rejected { .. }) {
        memory.attempt.submit_answer = Some(answer.clone());
    }
    match answer {
        SubmitAnswer::Accepted(job_id) => {
            memory.clear_failures();
            memory.attempt.submit_unknown = None;
            // The job is first asked an interval from now (contract, section 4), or when it is likely to be done.
            memory.attempt.polled_at = Some(facts.now.uptime);
            memory.attempt.taken_at = Some(facts.now.uptime);
            let message = format!("Cognigy.AI has taken the rollout as {job_id}; its job is running");
            tell(status, facts, Tell::unknown(ConditionType::RolledOut, Reason::SubmitAccepted, message.clone()));
            count_from_now(status, facts, memory);
            if let Some(attempt) = &mut status.attempt {
                attempt.job_id = Some(job_id);
                // A rollback that was asked for before the job was known begins now.
                attempt.step = if attempt.rollback.is_some() { Step::RollingBack } else { Step::RollingOut };
            }
            claim::deploy(status);
            Effects::normal(Reason::SubmitAccepted, message)
        }
        SubmitAnswer::Rejected { message } => {
            memory.clear_failures();
            let message = format!("Cognigy.AI refused the submit, nothing is out: {message}");
            tell(status, facts, Tell::no(ConditionType::RolledOut, Reason::SubmitRejected, message.clone()));
            attempt::conclude(status, facts, Outcome::Failed, Reason::SubmitRejected, message)
        }
        SubmitAnswer::NotSent(met) => obstacle(status, facts, memory, met),
        SubmitAnswer::NotYet(met) => {
            memory.attempt.unsent = None;
            obstacle(status, facts, memory, met)
        }
        SubmitAnswer::Unknown { message } => {
            memory.attempt.unsent = None;
            unknown(status, facts, memory, message)
        }
    }
}

/// A rollout that was accepted long after its intent, because the operator was down or the platform out of reach, has its
/// whole time from now: it may have begun only now, and would else be rolled back at the first look.
fn count_from_now(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &Memory) {
    if memory.submit_age(facts.now) <= facts.interval() {
        return;
    }
    if let Some(attempt) = &mut status.attempt {
        attempt.accepted_at = Some(facts.now.wall);
        attempt.deadline_at = Some(after(facts.now.wall, facts.timeout()));
    }
}

/// The submit cannot be repeated so that the API knows it again, so that it is not sent: its body can no longer be built to
/// the recorded hash, or the credentials are another client's.
pub fn body_lost(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory) -> Effects {
    memory.attempt.body_lost = true;
    unknown(
        status,
        facts,
        memory,
        "the spec, its webhook or the client in its Secret has changed since the intent was written, so that the submit \
         cannot be repeated as it was"
            .to_owned(),
    )
}

/// Shown at once; the keyed tries go on, slowly, for as long as the API remembers the key.
fn unknown(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory, message: String) -> Effects {
    let first = memory.attempt.submit_unknown.is_none();
    let message = format!("whether the rollout was submitted cannot be told: {message}");
    memory.attempt.submit_unknown = Some(message.clone());
    memory.meet(Obstacle::transient(Reason::SubmitOutcomeUnknown, message.clone(), None), facts.generation, facts.now);
    tell(status, facts, Tell::unknown(ConditionType::RolledOut, Reason::SubmitOutcomeUnknown, message.clone()));
    if first { Effects::warning(Reason::SubmitOutcomeUnknown, message) } else { Effects::none() }
}
