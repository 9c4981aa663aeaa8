//! How long the API may hold a client: the time in `Retry-After`, up to a maximum that depends on the kind of the
//! waiting requests.

use std::time::Duration;

use tokio::time::Instant;

use super::window::{Lane, WINDOW};

/// The longest hold of rollbacks; there is at most one such hold per minute. A bad release is live, and the same API
/// that now asks for an hour may accept the rollback in the next second.
const ROLLBACKS: Duration = Duration::from_secs(10);

/// The longest hold of in-flight requests. With the usual deadline of five minutes, the longest hold still leaves time
/// for two requests before the deadline.
const IN_FLIGHT: Duration = Duration::from_secs(120);

/// The longest hold of new rollouts and of audit records: nothing that is live depends on them.
const OTHERS: Duration = Duration::from_secs(600);

/// The hold of one lane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hold {
    began: Option<Instant>,
    until: Instant,
}

/// The holds of all lanes.
#[derive(Debug, Clone)]
pub(crate) struct Holds {
    rollbacks: Hold,
    in_flight: Hold,
    others: Hold,
}

impl Holds {
    /// No lane is held.
    #[must_use]
    pub(crate) fn none(now: Instant) -> Self {
        let none = Hold { began: None, until: now };
        Self { rollbacks: none, in_flight: none, others: none }
    }

    /// Holds every lane until then, but no lane longer than its maximum.
    pub(crate) fn extend(&mut self, now: Instant, until: Instant) {
        self.rollbacks.extend(now, until, ROLLBACKS, WINDOW);
        self.in_flight.extend(now, until, IN_FLIGHT, Duration::ZERO);
        self.others.extend(now, until, OTHERS, Duration::ZERO);
    }

    /// When the hold of a lane ends. The time is in the past if the lane is not held.
    #[must_use]
    pub(crate) fn until(&self, lane: Lane) -> Instant {
        match lane {
            Lane::Rollbacks => self.rollbacks.until,
            Lane::InFlight => self.in_flight.until,
            Lane::Others => self.others.until,
        }
    }
}

impl Hold {
    /// Extends a hold to its maximum at most, counted from its beginning, however often the API asks again in the
    /// meantime. The next hold begins only after this one is over and `apart` has passed since it began.
    fn extend(&mut self, now: Instant, until: Instant, longest: Duration, apart: Duration) {
        let may_begin = now >= self.until && self.began.is_none_or(|began| now >= began + apart);
        let began = self.began.filter(|_| !may_begin).unwrap_or(now);
        self.began = Some(began);
        self.until = self.until.max(until.min(began + longest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_hour_is_obeyed_as_long_as_what_waits_can_bear() {
        let now = Instant::now();
        let mut holds = Holds::none(now);
        holds.extend(now, now + seconds(3600));
        for (lane, held) in [(Lane::Rollbacks, 10), (Lane::InFlight, 120), (Lane::Others, 600)] {
            assert_eq!(holds.until(lane), now + seconds(held), "{lane:?}");
        }
        let mut holds = Holds::none(now);
        holds.extend(now, now + seconds(7));
        for lane in [Lane::Rollbacks, Lane::InFlight, Lane::Others] {
            assert_eq!(holds.until(lane), now + seconds(7), "{lane:?}");
        }
    }

    #[test]
    fn an_api_that_asks_again_and_again_makes_no_hold_longer_than_its_bound() {
        let start = Instant::now();
        let mut holds = Holds::none(start);
        let mut free = [0; 3];
        for second in 0..3600 {
            let now = start + seconds(second);
            for (free, lane) in free.iter_mut().zip([Lane::Rollbacks, Lane::InFlight, Lane::Others]) {
                *free += u32::from(holds.until(lane) <= now);
            }
            holds.extend(now, now + seconds(3600));
        }
        // Here the API refuses every lane as soon as it is free, so the next hold begins. Rollbacks are free for 51
        // seconds of each minute: the second in which the hold begins, and the 50 seconds after it.
        assert_eq!(free, [60 * 51, 30, 6]);
    }
}
