//! Spreads requests over time: if a window were used up in one burst, the next request would have to wait for a minute.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

use super::allowance::percent;
use super::window::{Lane, WINDOW};

/// Percentage of the limit that may be sent at once after a time with fewer requests.
const BURST_PERCENT: u32 = 10;

/// The time at which the next request would be sent if requests were spread evenly.
///
/// A new process does not know which requests were sent before it started (for example by a process that crashed).
/// After a pause, the API's count may differ from ours. In both cases the pace is *careful* for a minute: every
/// request, including a rollback, is spread at four fifths of the rate, and no request goes early. The requests of the
/// previous process were spread in the same way, and they leave the API's window faster than that. A process that
/// crashes and restarts again and again sends one extra request with each start. After that minute, rollbacks are not
/// delayed.
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

    /// When a request may go. A time in the past means now.
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

    /// Records that a request is sent now.
    pub(crate) fn went(&mut self, now: Instant, lane: Lane, rate: NonZeroU32) {
        if self.is_careful(now) {
            self.due = self.due.max(now) + careful_interval(rate);
        } else if lane != Lane::Rollbacks {
            // However long ago the request was due, at most one burst may be caught up.
            let owed_since = now.checked_sub(burst(rate)).unwrap_or(now);
            self.due = self.due.max(owed_since) + interval(rate);
        }
    }

    /// A request waits for a place until then. Requests that could not go in that time do not go in a burst afterwards.
    pub(crate) fn stalled(&mut self, until: Instant) {
        self.due = self.due.max(until);
    }

    /// The API's count may differ from ours until a minute after `until`. Until then, requests are spread carefully.
    pub(crate) fn pause(&mut self, now: Instant, until: Instant) {
        self.due = self.due.max(now);
        self.careful_until = self.careful_until.max(until + WINDOW);
    }

    /// Changes the rate. A request that the old rate delayed is not delayed longer than the new rate requires.
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

/// How far requests may be behind an even spread and still catch up at once.
fn burst(rate: NonZeroU32) -> Duration {
    interval(rate) * (percent(rate.get(), BURST_PERCENT).max(1) - 1)
}
