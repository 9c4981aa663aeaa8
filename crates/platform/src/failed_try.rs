//! A failed try of a call that will be tried again. It is reported at once, because the whole call may take minutes.

use std::time::Duration;

use super::error::CallError;
use super::operation::Operation;

/// A failed try of a call that will be tried again.
#[derive(Debug, Clone)]
pub struct FailedTry {
    /// The kind of request.
    pub operation: Operation,
    /// The number of the failed try, counted from 1.
    pub number: u32,
    /// The maximum number of tries of the call.
    pub of: u32,
    /// How long the try took, including the wait for the request budget.
    pub took: Duration,
    /// How long we waited for the API, if it did not answer at all.
    pub unanswered_for: Option<Duration>,
    /// Why it failed.
    pub error: CallError,
}
