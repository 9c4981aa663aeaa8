//! Requests of people, made by annotation or by decision. Each new value, and each decision, is acted on once.
//!
//! The operator never edits the annotations, because a GitOps tool would put them back. It records the values that it has
//! handled.

use super::deadline::time_until_free;
use super::effects::Effects;
use super::facts::Facts;
use super::gates::{self, DecisionRecord, Proof};
use super::memory::Memory;
use api::decision::Verb;
use api::status::{Attempt, CognigyDeploymentStatus, HandledRequests};
use std::sync::Arc;

/// A request that a person can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Roll back, or stop an attempt that was not submitted.
    Rollback,
    /// Try again.
    Retry,
    /// End an attempt that was not submitted. Only a decision can request this.
    Reject,
}

impl Request {
    /// The verb of a decision that makes this request.
    #[must_use]
    pub fn verb(self) -> Verb {
        match self {
            Self::Rollback => Verb::Rollback,
            Self::Retry => Verb::Retry,
            Self::Reject => Verb::Reject,
        }
    }
}

/// The request to handle next. A rollback wins over a retry; a retry waits while nothing new may start.
#[must_use]
pub fn next_request(
    facts: &Facts<'_>,
    status: &CognigyDeploymentStatus,
    handled: &HandledRequests,
    memory: &Memory,
) -> Option<Request> {
    let attempt = status.attempt.as_ref();
    let is_decided = |request: Request| pending_decision(facts, status, request.verb()).is_some();
    if is_new(facts.requests.rollback.as_ref(), handled.rollback.as_ref()) || is_decided(Request::Rollback) {
        return Some(Request::Rollback);
    }
    if is_decided(Request::Reject) {
        return Some(Request::Reject);
    }
    let is_retry_requested =
        is_new(facts.requests.retry.as_ref(), handled.retry.as_ref()) || is_decided(Request::Retry);
    if !is_retry_requested || facts.deleted_at.is_some() {
        return None;
    }
    let may_start = !facts.spec.suspend
        && facts.target.is_ok()
        && attempt.is_none_or(|attempt| time_until_free(facts, attempt, memory).is_zero());
    let is_busy = attempt.is_some_and(Attempt::is_in_flight);
    (may_start || is_busy).then_some(Request::Retry)
}

/// The oldest decision with this verb that may act on the current attempt now.
#[must_use]
pub fn pending_decision<'f>(
    facts: &'f Facts<'_>,
    status: &CognigyDeploymentStatus,
    verb: Verb,
) -> Option<&'f Arc<DecisionRecord>> {
    let decisions = &facts.gates.decisions;
    if decisions.proof != Proof::Given {
        return None;
    }
    decisions.records.iter().find(|record| {
        record.verb == verb
            && is_about_attempt(status, record)
            && gates::is_usable(facts, status, record).is_ok()
            && facts.now.wall < record.expiry(None)
    })
}

/// Whether a decision is about the current attempt, in a step in which it can act.
#[must_use]
pub fn is_about_attempt(status: &CognigyDeploymentStatus, record: &DecisionRecord) -> bool {
    if is_about_standing(status, record) {
        return true;
    }
    let Some(attempt) = &status.attempt else { return false };
    let is_open = attempt.submission.is_none() && attempt.verdict.is_none();
    attempt.plan_id.as_ref() == Some(&record.plan_id)
        && match record.verb {
            Verb::Approve | Verb::Override | Verb::Reject => is_open,
            Verb::Rollback | Verb::Retry => true,
        }
}

/// Whether a decision is to roll back the attempt whose configuration the environment runs while a newer one is not submitted.
#[must_use]
pub fn is_about_standing(status: &CognigyDeploymentStatus, record: &DecisionRecord) -> bool {
    let standing = status.standing_attempt.as_ref();
    record.verb == Verb::Rollback && standing.is_some_and(|standing| standing.plan_id.as_ref() == Some(&record.plan_id))
}

/// Whether a request annotation has a value that was not handled yet.
#[must_use]
pub fn is_new(value: Option<&String>, handled: Option<&String>) -> bool {
    value.is_some() && value != handled
}

/// Records the values that existed before the operator first saw the resource, without acting on them. An object that
/// was restored or created again has old requests.
pub fn record_without_acting(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) -> Effects {
    status.handled_requests =
        Some(HandledRequests { retry: facts.requests.retry.clone(), rollback: facts.requests.rollback.clone() });
    gates::ignore_existing(status, facts);
    Effects::none()
}
