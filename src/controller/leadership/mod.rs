//! One operator acts at a time.
//!
//! Leadership is a Lease. Its holder renews it every few seconds. If it cannot, it stops acting before another process
//! may take the lease over (fail-stop). It measures this time by its monotonic clock, which no adjustment of the wall
//! clock moves. A candidate takes a lease over only after it has seen it unchanged for the lease's whole duration on
//! its own clock, so no two clocks are ever compared. Every write to the Lease is guarded by its resource version.
//!
//! Leadership saves work and avoids duplicate events. It does not prevent a second submit: the guarded intent and the
//! idempotency key do, even between two leaders.

mod elector;
mod fence;
mod terms;

#[cfg(test)]
mod tests;

pub use elector::Elector;
pub use fence::Fenced;
pub use terms::{Terms, TermsError};

use parking_lot::Mutex;
use std::sync::Arc;
use tokio::time::Instant;

/// The time until which this process may act.
#[derive(Clone, Debug)]
pub struct Leadership {
    until: Arc<Mutex<Option<Instant>>>,
    is_elected: bool,
}

impl Leadership {
    /// The leadership of a process that runs alone: it may always act.
    #[must_use]
    pub fn unshared() -> Self {
        Self { until: Arc::default(), is_elected: false }
    }

    fn elected() -> Self {
        Self { until: Arc::default(), is_elected: true }
    }

    /// Whether this process may act now.
    #[must_use]
    pub fn may_act(&self) -> bool {
        !self.is_elected || self.until().is_some_and(|until| Instant::now() < until)
    }

    fn extend(&self, until: Instant) {
        *self.until.lock() = Some(until);
    }

    fn give_up(&self) {
        *self.until.lock() = None;
    }

    /// The current end of the leadership.
    fn until(&self) -> Option<Instant> {
        *self.until.lock()
    }
}
