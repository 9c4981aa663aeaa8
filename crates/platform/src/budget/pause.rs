//! How long the API may pause the requests of a client: the time in `Retry-After`, up to a maximum for each lane.

use std::time::Duration;

use tokio::time::Instant;

use super::window::{Lane, WINDOW};

/// The longest pause of rollbacks. There is at most one such pause per minute. A bad release is live, and an API that
/// requests a pause of an hour may nevertheless accept the rollback a second later.
const ROLLBACKS: Duration = Duration::from_secs(10);

/// The longest pause of in-flight requests. With the default deadline of five minutes, this leaves time for two requests
/// before the deadline.
const IN_FLIGHT: Duration = Duration::from_secs(120);

/// The longest pause of new rollouts and of audit records. No live rollout depends on them.
const OTHERS: Duration = Duration::from_secs(600);

/// The pause of one lane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pause {
    began: Option<Instant>,
    until: Instant,
}

/// The pauses of all lanes.
#[derive(Debug, Clone)]
pub(crate) struct Pauses {
    rollbacks: Pause,
    in_flight: Pause,
    others: Pause,
}

impl Pauses {
    /// No lane is paused.
    #[must_use]
    pub(crate) fn none(now: Instant) -> Self {
        let none = Pause { began: None, until: now };
        Self { rollbacks: none, in_flight: none, others: none }
    }

    /// Pauses every lane until `until`, but no lane longer than its maximum.
    pub(crate) fn extend(&mut self, now: Instant, until: Instant) {
        self.rollbacks.extend(now, until, ROLLBACKS, WINDOW);
        self.in_flight.extend(now, until, IN_FLIGHT, Duration::ZERO);
        self.others.extend(now, until, OTHERS, Duration::ZERO);
    }

    /// When the pause of a lane ends. The time is in the past if the lane is not paused.
    #[must_use]
    pub(crate) fn until(&self, lane: Lane) -> Instant {
        match lane {
            Lane::Rollbacks => self.rollbacks.until,
            Lane::InFlight => self.in_flight.until,
            Lane::Others => self.others.until,
        }
    }
}

impl Pause {
    /// Extends a pause to at most `longest` after its beginning, however often the API requests another pause in the
    /// meantime. The next pause begins only after this one has ended and `apart` has passed since it began.
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
    fn a_pause_of_an_hour_is_limited_for_each_lane() {
        let now = Instant::now();
        let mut pauses = Pauses::none(now);
        pauses.extend(now, now + seconds(3600));
        for (lane, paused) in [(Lane::Rollbacks, 10), (Lane::InFlight, 120), (Lane::Others, 600)] {
            assert_eq!(pauses.until(lane), now + seconds(paused), "{lane:?}");
        }
        let mut pauses = Pauses::none(now);
        pauses.extend(now, now + seconds(7));
        for lane in [Lane::Rollbacks, Lane::InFlight, Lane::Others] {
            assert_eq!(pauses.until(lane), now + seconds(7), "{lane:?}");
        }
    }

    #[test]
    fn repeated_requests_for_a_pause_do_not_extend_it_beyond_its_maximum() {
        let start = Instant::now();
        let mut pauses = Pauses::none(start);
        let mut free = [0; 3];
        for second in 0..3600 {
            let now = start + seconds(second);
            for (free, lane) in free.iter_mut().zip([Lane::Rollbacks, Lane::InFlight, Lane::Others]) {
                *free += u32::from(pauses.until(lane) <= now);
            }
            pauses.extend(now, now + seconds(3600));
        }
        // Here the API requests a new pause every second. Rollbacks are free for 51 seconds of each minute: the second in
        // which the pause begins, and the 50 seconds after it.
        assert_eq!(free, [60 * 51, 30, 6]);
    }
}
