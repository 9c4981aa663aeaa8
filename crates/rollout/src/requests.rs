//! Requests of people, made by annotation. Each new value is acted on once.
//!
//! The operator never edits the annotations, because a GitOps tool would put them back. It records the values that it has
//! handled.

use super::deadline::time_until_free;
use super::effects::Effects;
use super::facts::Facts;
use super::memory::Memory;
use api::status::{Attempt, CognigyDeploymentStatus, HandledRequests};

/// A request that a person can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Roll back, or stop an attempt that was not submitted.
    Rollback,
    /// Try again.
    Retry,
}

/// The request to handle next. A rollback wins over a retry; a retry waits while nothing new may start.
#[must_use]
pub fn next_request(
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
    Effects::none()
}
