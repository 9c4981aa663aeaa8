//! For how long the recorded results of the checks are valid.

use super::facts::Facts;
use super::time::between;
use api::status::Checks;
use std::time::Duration;

/// A check that is older than this is made again before the next step uses it: the environment may have changed meanwhile.
///
/// The age is checked before the trace and before the intent. Before the trace, the age of the validation counts.
/// Before the intent, the age of the trace counts. So a trace that takes a long time cannot make an attempt repeat its
/// checks forever.
pub const MAX_AGE: Duration = Duration::from_secs(15 * 60);

/// Whether the next step may use the results: they are not too old, and they are from the API that the credentials
/// point to. If this process has not read the credentials yet, it compares the API later, before it writes the intent.
#[must_use]
pub fn are_valid(checks: &Checks, facts: &Facts<'_>) -> bool {
    let latest = checks.passed_at().or_else(|| checks.validation.as_ref().map(|validation| validation.passed_at));
    let is_recent = latest.is_some_and(|at| between(at, facts.now.wall) <= MAX_AGE);
    let is_same_api = facts.credentials_origin.is_none() || facts.credentials_origin == checks.api_origin;
    is_recent && is_same_api
}
