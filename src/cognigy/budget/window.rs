//! How many requests fit now: a sliding window over exact times, paced at its start, paused when the API says so.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

use super::{Priority, Reading};

/// The time over which the API counts requests.
pub const WINDOW: Duration = Duration::from_secs(60);

/// Of a hundred requests, how many are kept free for rollbacks.
const RESERVED_PERCENT: u32 = 5;

/// Of a hundred requests, how many may go at once while requests are paced.
const BURST_PERCENT: u32 = 5;

/// When the next request may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// At once.
    Admit,
    /// Not before this time.
    WaitUntil(Instant),
    /// Not before a request that is under way has finished, and a window's length has passed since.
    WaitForFinish,
}

/// The requests that the API may count against us, as plain data driven by the times it is given.
///
/// We see when a request is admitted and when it finished; the API counts it some time in between. So a request takes
/// its place from its admission until a window's length after it *finished*: then no window of the API's holds more
/// than the limit, whatever the network did.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    limit: NonZeroU32,
    under_way: u32,
    finished: VecDeque<Instant>,
    paced_until: Instant,
    /// When the next request is due, were they spread evenly.
    due: Instant,
    paused_until: Instant,
}

impl Window {
    /// A window that knows nothing of the requests made before it (by a process that crashed, say), and so spreads its
    /// first ones.
    #[must_use]
    pub(crate) fn new(limit: NonZeroU32, now: Instant) -> Self {
        Self { limit, under_way: 0, finished: VecDeque::new(), paced_until: now + WINDOW, due: now, paused_until: now }
    }

    /// When a request may go; an `urgent` one may use the places that are kept free.
    #[must_use]
    pub(crate) fn next(&mut self, now: Instant, urgent: bool) -> Next {
        self.forget_counted_out(now);
        let reserved = if urgent { 0 } else { self.reserved() };
        let room = (self.limit.get() - reserved) as usize;
        let taken = self.under_way as usize + self.finished.len();
        let free_at = match (taken + 1).saturating_sub(room) {
            0 => now,
            surplus => match self.finished.get(surplus - 1) {
                Some(&finished) => finished + WINDOW,
                None => return Next::WaitForFinish,
            },
        };
        let at = free_at.max(self.paused_until).max(self.paced_at(now));
        if at <= now { Next::Admit } else { Next::WaitUntil(at) }
    }

    /// Counts a request that goes now. Only after [`next`](Self::next) said [`Next::Admit`].
    pub(crate) fn admit(&mut self, now: Instant) {
        self.under_way += 1;
        self.due = self.due.max(now) + self.interval();
    }

    /// Counts a request as finished: answered, failed or given up.
    pub(crate) fn finish(&mut self, now: Instant) {
        self.under_way = self.under_way.saturating_sub(1);
        self.finished.push_back(now);
    }

    /// Lets nothing go before `until`, and spreads what follows: the API's count is not ours.
    pub(crate) fn pause(&mut self, now: Instant, until: Instant) {
        self.paused_until = self.paused_until.max(until);
        self.paced_until = self.paced_until.max(self.paused_until + WINDOW);
        self.due = self.due.max(now);
    }

    /// When the pause ends; past, where there is none.
    #[must_use]
    pub(crate) fn paused_until(&self) -> Instant {
        self.paused_until
    }

    /// Changes how many requests a minute are allowed.
    pub(crate) fn set_limit(&mut self, limit: NonZeroU32) {
        self.limit = limit;
    }

    /// How it stands, with those who wait.
    #[must_use]
    pub(crate) fn reading(&mut self, now: Instant, waiting: BTreeMap<Priority, usize>) -> Reading {
        self.forget_counted_out(now);
        let used = self.under_way.saturating_add(u32::try_from(self.finished.len()).unwrap_or(u32::MAX));
        let reserve = self.reserved();
        Reading {
            limit: self.limit,
            effective_limit: self.limit,
            used,
            reserve,
            reserve_free: self.limit.get().saturating_sub(used).min(reserve),
            waiting,
            paused_for: self.paused_until.saturating_duration_since(now),
        }
    }

    /// Whether forgetting this window would lose anything.
    #[must_use]
    pub(crate) fn is_idle(&mut self, now: Instant) -> bool {
        self.forget_counted_out(now);
        self.under_way == 0 && self.finished.is_empty() && self.paused_until <= now
    }

    fn forget_counted_out(&mut self, now: Instant) {
        while self.finished.front().is_some_and(|&finished| finished + WINDOW <= now) {
            self.finished.pop_front();
        }
    }

    fn reserved(&self) -> u32 {
        self.limit.get().saturating_mul(RESERVED_PERCENT).div_ceil(100).min(self.limit.get() - 1)
    }

    fn interval(&self) -> Duration {
        WINDOW / self.limit.get()
    }

    fn paced_at(&self, now: Instant) -> Instant {
        let ahead = self.interval() * (self.limit.get().saturating_mul(BURST_PERCENT).div_ceil(100).max(1) - 1);
        self.due.checked_sub(ahead).unwrap_or(now).min(self.paced_until)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(limit: u32) -> NonZeroU32 {
        NonZeroU32::new(limit).unwrap()
    }

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// Admits at `at` as many as go at once, each finishing at once.
    fn take_all(window: &mut Window, at: Instant, urgent: bool) -> usize {
        std::iter::from_fn(|| {
            (window.next(at, urgent) == Next::Admit).then(|| {
                window.admit(at);
                window.finish(at)
            })
        })
        .count()
    }

    #[test]
    fn a_new_process_starts_spread_out_after_a_small_burst() {
        let start = Instant::now();
        let mut window = Window::new(limit(100), start);
        assert_eq!(take_all(&mut window, start, true), 5);
        assert_eq!(window.next(start, true), Next::WaitUntil(start + seconds(0.6)));
        assert_eq!(take_all(&mut window, start + seconds(6.0), true), 5, "what was not used does not pile up");
    }

    #[test]
    fn after_a_window_all_that_is_free_may_go_but_for_the_places_of_rollbacks() {
        let start = Instant::now();
        let mut window = Window::new(limit(100), start);
        let later = start + WINDOW;
        assert_eq!(take_all(&mut window, later, false), 95);
        assert_eq!(take_all(&mut window, later, true), 5);
        assert_eq!(window.next(later, true), Next::WaitUntil(later + WINDOW));
    }

    #[test]
    fn a_limit_of_one_keeps_no_place_free() {
        let start = Instant::now();
        let mut window = Window::new(limit(1), start);
        assert_eq!(take_all(&mut window, start, false), 1);
    }

    #[test]
    fn a_request_takes_its_place_until_a_window_after_it_finished() {
        let start = Instant::now();
        let mut window = Window::new(limit(1), start);
        window.admit(start);
        assert_eq!(window.next(start + seconds(500.0), true), Next::WaitForFinish);
        window.finish(start + seconds(500.0));
        assert_eq!(window.next(start + seconds(559.9), true), Next::WaitUntil(start + seconds(560.0)));
        assert_eq!(window.next(start + seconds(560.0), true), Next::Admit);
    }

    #[test]
    fn after_a_pause_requests_are_spread_again() {
        let start = Instant::now();
        let mut window = Window::new(limit(100), start);
        let calm = start + seconds(1000.0);
        window.pause(calm, calm + seconds(30.0));
        assert_eq!(window.next(calm, true), Next::WaitUntil(calm + seconds(30.0)));
        assert_eq!(take_all(&mut window, calm + seconds(30.0), true), 5);
    }

    #[derive(Debug, Clone)]
    struct Step {
        pass: f64,
        takes: f64,
        counted: f64,
        urgent: bool,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = (0.0f64..3.0, 0.0f64..40.0, 0.0f64..1.0, any::<bool>())
            .prop_map(|(pass, takes, counted, urgent)| Step { pass, takes, counted, urgent });
        proptest::collection::vec(step, 1..300)
    }

    proptest! {
        #[test]
        fn no_sliding_minute_at_the_api_holds_more_than_the_limit(max in 1u32..30, steps in steps()) {
            let start = Instant::now();
            let mut window = Window::new(limit(max), start);
            let mut now = start;
            let mut under_way: Vec<Instant> = Vec::new();
            let mut counted: Vec<Instant> = Vec::new();
            for step in steps {
                now += seconds(step.pass);
                under_way.sort();
                let done = under_way.partition_point(|&end| end <= now);
                for end in under_way.drain(..done) {
                    window.finish(end);
                }
                if window.next(now, step.urgent) == Next::Admit {
                    window.admit(now);
                    under_way.push(now + seconds(step.takes));
                    counted.push(now + seconds(step.takes * step.counted));
                }
            }
            counted.sort();
            for (index, &first) in counted.iter().enumerate() {
                let inside = counted[index..].iter().take_while(|&&at| at < first + WINDOW).count();
                prop_assert!(inside <= max as usize, "{inside} in one window");
            }
        }

        #[test]
        fn waiting_as_told_is_enough(max in 1u32..200, takes in 0.0f64..5.0, urgent in any::<bool>()) {
            let mut now = Instant::now();
            let mut window = Window::new(limit(max), now);
            for _ in 0..3 * max {
                if let Next::WaitUntil(at) = window.next(now, urgent) {
                    prop_assert!(at > now);
                    now = at;
                }
                prop_assert_eq!(window.next(now, urgent), Next::Admit);
                window.admit(now);
                now += seconds(takes);
                window.finish(now);
            }
        }
    }
}
