//! The usage of a budget, for metrics.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use super::Priority;

/// The usage of a budget at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetUsage {
    /// The configured limit: requests per minute that the API allows.
    pub limit: NonZeroU32,
    /// The effective limit: requests per minute that may be sent now. After a 429 it is lower than the limit for some
    /// minutes.
    pub effective_limit: NonZeroU32,
    /// Requests that use a place: they are in progress, or they finished within the last minute.
    pub used: u32,
    /// How many places of the effective limit are reserved for rollbacks.
    pub reserve: u32,
    /// How many places of the reserve are free.
    pub reserve_free: u32,
    /// The number of waiting requests, for every priority.
    pub waiting: BTreeMap<Priority, usize>,
    /// How much longer the API's pause lasts; zero if the API asked for none.
    pub paused_for: Duration,
}

impl BudgetUsage {
    /// The number of waiting requests, of all priorities.
    #[must_use]
    pub fn total_waiting(&self) -> usize {
        self.waiting.values().sum()
    }
}
