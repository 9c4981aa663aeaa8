//! Time, as data. The core never looks at a clock.

use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// One moment on two clocks. Other processes share the wall clock, but it may jump. The uptime belongs to this process, and
/// only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The wall clock.
    pub wall: Timestamp,
    /// How long this process has been running.
    pub uptime: Duration,
}

/// When something started, and when this process first observed it. The time that passed since then is measured by the
/// uptime, so that a jump of the wall clock does not change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObservedTime {
    started_at: Timestamp,
    /// How old it was when this process first observed it, by the wall clock.
    age_at_first: Duration,
    /// The uptime at which this process first observed it.
    first_observed_at: Duration,
}

impl ObservedTime {
    /// Something that started at `started_at`, and that this process observes now for the first time.
    #[must_use]
    pub fn new(started_at: Timestamp, now: Now) -> Self {
        Self { started_at, age_at_first: between(started_at, now.wall), first_observed_at: now.uptime }
    }

    /// Whether it started at this moment.
    #[must_use]
    pub fn is_from(self, started_at: Timestamp) -> bool {
        self.started_at == started_at
    }

    /// How old it was when this process first observed it, by the wall clock.
    #[must_use]
    pub fn age_when_first_observed(self) -> Duration {
        self.age_at_first
    }

    /// For how long this process has known it.
    #[must_use]
    pub fn known_for(self, now: Now) -> Duration {
        now.uptime.saturating_sub(self.first_observed_at)
    }

    /// How old it is.
    #[must_use]
    pub fn age(self, now: Now) -> Duration {
        self.age_at_first + self.known_for(now)
    }
}

/// When a request was sent, and when its answer arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// When it was sent.
    pub sent_at: Now,
    /// When the answer arrived.
    pub answered_at: Now,
}

impl Answered {
    /// How long the answer took.
    #[must_use]
    pub fn took(self) -> Duration {
        self.answered_at.uptime.saturating_sub(self.sent_at.uptime)
    }
}

/// The time from one moment to a later one. Zero if the second moment is the earlier one.
#[must_use]
pub fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}

/// The moment that is so much later.
#[must_use]
pub fn after(moment: Timestamp, passed: Duration) -> Timestamp {
    SignedDuration::try_from(passed).ok().and_then(|passed| moment.checked_add(passed).ok()).unwrap_or(Timestamp::MAX)
}
