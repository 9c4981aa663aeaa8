//! For how long the recorded results of the checks are valid.

use super::facts::Facts;
use super::time::between;
use api::status::Checks;
use std::time::Duration;

/// A validation that is older than this is made again before the trace: the environment may have changed meanwhile.
pub const MAX_AGE_BEFORE_TRACE: Duration = Duration::from_secs(15 * 60);

/// Checks that are older than this are made again before the intent. The age of the trace counts, so a trace that takes a
/// long time cannot make an attempt repeat its checks forever. While a gate is closed, no check is repeated: it would be
/// repeated once more when the gate opens.
pub const MAX_AGE_BEFORE_INTENT: Duration = Duration::from_secs(3600);

/// Whether the next step may use the results: they are not too old, and they are from the API that the credentials
/// point to. If this process has not read the credentials yet, it compares the API later, before it writes the intent.
#[must_use]
pub fn are_valid(checks: &Checks, facts: &Facts<'_>) -> bool {
    let validated = checks.validation.as_ref().map(|validation| (validation.passed_at, MAX_AGE_BEFORE_TRACE));
    let latest = checks.passed_at().map(|at| (at, MAX_AGE_BEFORE_INTENT)).or(validated);
    let is_recent = latest.is_some_and(|(at, max_age)| between(at, facts.now.wall) <= max_age);
    let is_same_api = facts.credentials_origin.is_none() || facts.credentials_origin == checks.api_origin;
    is_recent && is_same_api
}
