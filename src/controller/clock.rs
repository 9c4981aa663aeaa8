//! The two clocks of a decision, as a seam: a simulation brings its own.

use jiff::{Timestamp, Unit};
use rollout::Now;
use tokio::time::Instant;

/// Tells the time on both clocks.
pub trait Clock: Send + Sync + 'static {
    /// The moment.
    fn now(&self) -> Now;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// The process's own clock starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    /// The wall's time to the microsecond: what is written must come back from the API server as it was.
    fn now(&self) -> Now {
        let wall = Timestamp::now();
        Now { wall: wall.round(Unit::Microsecond).unwrap_or(wall), uptime: self.started.elapsed() }
    }
}
