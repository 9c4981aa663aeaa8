//! A try of a call that failed and is followed by another one: told while the call goes on, since it may take minutes.

use std::time::Duration;

use super::error::CallError;
use super::operation::Operation;

/// A try of a call that failed and is followed by another one.
#[derive(Debug, Clone)]
pub struct FailedTry {
    /// The kind of request.
    pub operation: Operation,
    /// Which of its tries failed, counted from 1.
    pub number: u32,
    /// The most tries that the call has.
    pub of: u32,
    /// How long the try took, with the wait for its place in the request budget.
    pub took: Duration,
    /// For how long the API was waited for, if it has not answered at all.
    pub unanswered_for: Option<Duration>,
    /// Why it failed.
    pub error: CallError,
}
