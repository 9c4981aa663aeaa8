//! How a budget stands: for metrics, and for whoever decides how much more may be begun.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use super::Priority;

/// How a budget stands at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Requests a minute that the API is said to allow.
    pub limit: NonZeroU32,
    /// Requests a minute that are made for now: the limit, or less after a 429 that others caused.
    pub effective_limit: NonZeroU32,
    /// Requests that take a place: under way, or finished within the last minute.
    pub used: u32,
    /// Of the effective limit, the places that are kept for rollbacks.
    pub reserve: u32,
    /// Of the reserve, the places that are free.
    pub reserve_free: u32,
    /// Requests that wait for their turn, for every priority.
    pub waiting: BTreeMap<Priority, usize>,
    /// How much longer nothing may go, because the API said so; nothing, where it did not.
    pub paused_for: Duration,
}

impl Reading {
    /// Requests that wait for their turn, of any priority.
    #[must_use]
    pub fn waiting_in_all(&self) -> usize {
        self.waiting.values().sum()
    }
}
