//! The two clocks that decisions use. A simulation replaces them.

use jiff::{Timestamp, Unit};
use rollout::Now;
use tokio::time::Instant;

/// Tells the time on both clocks.
pub trait Clock: Send + Sync + 'static {
    /// The current time on both clocks.
    fn now(&self) -> Now;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// Starts the clock of the process at zero.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    /// The wall clock is rounded to microseconds, so that a time that was written to the API server is equal when it is
    /// read.
    fn now(&self) -> Now {
        let wall = Timestamp::now();
        Now { wall: wall.round(Unit::Microsecond).unwrap_or(wall), uptime: self.started.elapsed() }
    }
}
