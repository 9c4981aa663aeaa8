//! Virtual time: tokio's paused clock, and the two clocks of a process that are read from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use cognigy_operator::controller::clock::Clock;
use jiff::{SignedDuration, Timestamp};
use rollout::Now;
use tokio::time::Instant;

/// When every run begins: 2026-01-01T00:00:00Z.
const BEGINNING: i64 = 1_767_225_600;

/// The wall-clock time at a time of the run.
pub fn time_of_day(passed: Duration) -> Timestamp {
    Timestamp::from_second(BEGINNING).unwrap_or_default() + passed
}

/// The time of one run. The operator's clocks may differ from it.
#[derive(Clone, Copy, Debug)]
pub struct VirtualTime {
    started_at: Instant,
}

impl VirtualTime {
    /// A run begins now.
    pub fn begin() -> Self {
        Self { started_at: Instant::now() }
    }

    /// The time since the run started.
    pub fn passed(self) -> Duration {
        self.started_at.elapsed()
    }

    /// The wall-clock time.
    pub fn wall(self) -> Timestamp {
        time_of_day(self.passed())
    }
}

/// How far the operator's wall clock is off, in seconds.
#[derive(Clone, Debug, Default)]
pub struct ClockError(Arc<AtomicI64>);

impl ClockError {
    /// The wall clock jumps.
    pub fn jump(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

/// The clocks of one process.
pub struct ProcessClock {
    time: VirtualTime,
    started: Instant,
    error: ClockError,
}

impl ProcessClock {
    /// A process starts now.
    pub fn start(time: VirtualTime, error: ClockError) -> Self {
        Self { time, started: Instant::now(), error }
    }
}

impl Clock for ProcessClock {
    fn now(&self) -> Now {
        let error = SignedDuration::from_secs(self.error.0.load(Ordering::Relaxed));
        Now { wall: self.time.wall() + error, uptime: self.started.elapsed() }
    }
}
