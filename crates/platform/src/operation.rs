//! The kinds of requests of a platform, and their rules.

use super::budget::Priority;
use std::time::Duration;

/// One kind of request: its name and its rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Operation {
    /// The name, used as the value of a metric's label, for example `validate`.
    pub name: &'static str,
    /// The name for users, as in "did not answer the ...".
    pub title: &'static str,
    /// How long one request may take.
    pub deadline: Duration,
    /// The maximum number of tries, at least 1.
    pub tries: u32,
    /// The priority in the queue of the request budget.
    pub priority: Priority,
}

/// Receives a report of every request that waited for the budget, and of every request that was sent, for metrics.
pub trait RequestObserver: Send + Sync + 'static {
    /// A request ended after `elapsed`. `class` is `success`, or an [`ErrorClass`](super::ErrorClass) as a label.
    fn observed(&self, operation: &Operation, class: &'static str, elapsed: Duration);

    /// The budget admitted a request after `waited`, or refused it. `outcome` is `admitted`, or a
    /// [`BudgetError`](super::BudgetError) as a label.
    fn waited(&self, _priority: Priority, _outcome: &'static str, _waited: Duration) {}
}
