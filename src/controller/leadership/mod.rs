//! One operator acts at a time.
//!
//! Leadership is a Lease. Its holder renews it every few seconds, and stops acting by its own clock, which no adjustment
//! of the wall's moves, before anybody else may take it: fail-stop. A candidate takes a lease over only when it has seen
//! it unchanged for the lease's whole duration on its own clock, so that no two clocks are ever compared. Every write to
//! the Lease is guarded by its resource version.
//!
//! Leadership saves work and keeps events tidy; what keeps a rollout from being submitted twice are the guarded intent
//! and the key, which hold between two leaders as well.

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

/// Until when this process may act.
#[derive(Clone, Debug)]
pub struct Leadership {
    until: Arc<Mutex<Option<Instant>>>,
    is_elected: bool,
}

impl Leadership {
    /// A process that is the only one.
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

    /// The end of it, as far as it is known now.
    fn until(&self) -> Option<Instant> {
        *self.until.lock()
    }
}
