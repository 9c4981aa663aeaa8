//! The kinds of requests that a platform knows, and their rules.

use super::budget::Priority;
use std::time::Duration;

/// One kind of request: its name and its rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Operation {
    /// The name, as the value of a metric's label: `validate` for example.
    pub name: &'static str,
    /// How people call it, as in "did not answer the ...".
    pub title: &'static str,
    /// How long one request may take.
    pub deadline: Duration,
    /// How many times it is tried before it has failed, at least 1.
    pub tries: u32,
    /// How urgent it is if requests are scarce.
    pub priority: Priority,
}

/// Hears of every request that waited for the budget, and of every one that was sent: for metrics.
pub trait RequestObserver: Send + Sync + 'static {
    /// One request ended after `elapsed`. `class` is `success`, or an [`ErrorClass`](super::ErrorClass) as a label.
    fn observed(&self, operation: &Operation, class: &'static str, elapsed: Duration);

    /// The budget admitted one request after `waited`, or refused it. `outcome` is `admitted`, or a
    /// [`BudgetError`](super::BudgetError) as a label.
    fn waited(&self, _priority: Priority, _outcome: &'static str, _waited: Duration) {}
}
