//! How requests are spread over time: a window that is spent in one burst would make whoever comes next wait for a minute.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

use super::allowance::percent;
use super::window::{Lane, WINDOW};

/// Of a hundred requests, how many may go at once after a time with fewer.
const BURST_PERCENT: u32 = 10;

/// When the next request is due, were requests spread evenly.
///
/// A new process knows nothing of the requests that were made before it (by one that crashed, say), and after a pause the
/// API's count is not ours. So for a minute it is *careful*: every request, a rollback too, is spread at four fifths of the
/// rate, and none goes ahead. What the last process sent, spread as it was, leaves the API's window faster than that;
/// and a process that crashes and starts again and again sends one request more with each start. After that minute
/// rollbacks are not held back.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    due: Instant,
    careful_until: Instant,
}

impl Pace {
    #[must_use]
    pub(crate) fn careful(now: Instant) -> Self {
        Self { due: now, careful_until: now + WINDOW }
    }

    /// When a request may go. A time in the past means at once.
    #[must_use]
    pub(crate) fn next_at(&self, lane: Lane) -> Instant {
        match lane {
            Lane::Rollbacks => self.due.min(self.careful_until),
            Lane::InFlight | Lane::Others => self.due,
        }
    }

    fn is_careful(&self, now: Instant) -> bool {
        now < self.careful_until
    }

    /// A request goes now.
    pub(crate) fn went(&mut self, now: Instant, lane: Lane, rate: NonZeroU32) {
        if self.is_careful(now) {
            self.due = self.due.max(now) + careful_interval(rate);
        } else if lane != Lane::Rollbacks {
            // However long ago it was due, no more than a burst is owed.
            let owed_since = now.checked_sub(burst(rate)).unwrap_or(now);
            self.due = self.due.max(owed_since) + interval(rate);
        }
    }

    /// Somebody waits for a place until then. What could not go in that time does not go in a burst after it.
    pub(crate) fn stalled(&mut self, until: Instant) {
        self.due = self.due.max(until);
    }

    /// The API's count is not ours until a minute after `until`: whatever goes, goes carefully.
    pub(crate) fn pause(&mut self, now: Instant, until: Instant) {
        self.due = self.due.max(now);
        self.careful_until = self.careful_until.max(until + WINDOW);
    }

    /// The rate is another one: what was put off by the old one is not put off for longer than by the new one.
    pub(crate) fn rate_changed(&mut self, now: Instant, rate: NonZeroU32) {
        if self.is_careful(now) {
            self.due = self.due.min(now + careful_interval(rate));
        }
    }
}

fn interval(rate: NonZeroU32) -> Duration {
    WINDOW / rate.get()
}

fn careful_interval(rate: NonZeroU32) -> Duration {
    interval(rate) * 5 / 4
}

/// How far behind an even spread requests may be, and catch up at once.
fn burst(rate: NonZeroU32) -> Duration {
    interval(rate) * (percent(rate.get(), BURST_PERCENT).max(1) - 1)
}
