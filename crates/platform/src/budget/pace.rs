//! Spreads requests over time. If one burst used up a window, the next request would have to wait for a minute.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

use super::allowance::percent;
use super::window::{Lane, WINDOW};

/// Percentage of the limit that may be sent in one burst after a time with fewer requests.
const BURST_PERCENT: u32 = 10;

/// The time at which the next request would be sent if requests were spread evenly.
///
/// A new process does not know which requests were sent before it started (for example by a process that crashed).
/// After a pause, the API's count may differ from ours. In both cases the pace is *careful* for a minute: all requests,
/// including rollbacks, are spread at four fifths of the rate, and bursts are not allowed. The requests of the previous
/// process leave the API's window faster than the new process sends requests, so the limit is not exceeded. A process
/// that crashes again and again sends one extra request after each start. After the careful minute, rollbacks are not
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

    /// When a request may be sent. A time in the past means now.
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
    pub(crate) fn record_sent(&mut self, now: Instant, lane: Lane, rate: NonZeroU32) {
        if self.is_careful(now) {
            self.due = self.due.max(now) + careful_interval(rate);
        } else if lane != Lane::Rollbacks {
            // However long ago the next request was due, at most one burst may be sent at once.
            let owed_since = now.checked_sub(burst(rate)).unwrap_or(now);
            self.due = self.due.max(owed_since) + interval(rate);
        }
    }

    /// Records that a request waits for a place until `until`. Requests that could not be sent in that time are not sent in
    /// a burst afterwards.
    pub(crate) fn stalled(&mut self, until: Instant) {
        self.due = self.due.max(until);
    }

    /// Spreads requests carefully until a minute after `until`, because the API's count may differ from ours until then.
    pub(crate) fn pause(&mut self, now: Instant, until: Instant) {
        self.due = self.due.max(now);
        self.careful_until = self.careful_until.max(until + WINDOW);
    }

    /// Applies a new rate: the next request is not delayed longer than the new rate requires.
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

/// How far requests may be behind an even spread and still be sent in one burst.
fn burst(rate: NonZeroU32) -> Duration {
    interval(rate) * (percent(rate.get(), BURST_PERCENT).max(1) - 1)
}
