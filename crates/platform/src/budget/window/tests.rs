#![allow(clippy::unwrap_used)]

use std::ops::Range;

use proptest::prelude::*;

use super::*;

fn limit(limit: u32) -> NonZeroU32 {
    NonZeroU32::new(limit).unwrap()
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A window whose careful first minute is over.
fn calm(max: u32) -> (Window, Instant) {
    let start = Instant::now();
    (Window::new(limit(max), start), start + 2 * WINDOW)
}

/// Admits as many requests as possible at `at`. Each finishes at once. Returns their number.
fn take_all(window: &mut Window, at: Instant, lane: Lane) -> usize {
    std::iter::from_fn(|| {
        (window.next(at, lane) == Next::Admit).then(|| {
            window.admit(at, lane);
            window.finish(at, lane);
        })
    })
    .count()
}

/// A simulated API: each request takes some time, and the API counts it at a random time in between.
struct Api {
    random: fastrand::Rng,
    takes: Range<f64>,
    under_way: Vec<(Instant, Lane)>,
    counted: Vec<Instant>,
}

impl Api {
    fn new(seed: u64, takes: Range<f64>) -> Self {
        Self { random: fastrand::Rng::with_seed(seed), takes, under_way: Vec::new(), counted: Vec::new() }
    }

    fn send(&mut self, window: &mut Window, now: Instant, lane: Lane) {
        window.admit(now, lane);
        let takes = self.takes.start + self.random.f64() * (self.takes.end - self.takes.start);
        self.under_way.push((now + seconds(takes), lane));
        self.counted.push(now + seconds(takes * self.random.f64()));
    }

    fn answer_until(&mut self, window: &mut Window, now: Instant) {
        self.under_way.sort_by_key(|(end, _)| *end);
        let done = self.under_way.partition_point(|(end, _)| *end <= now);
        for (end, lane) in self.under_way.drain(..done) {
            window.finish(end, lane);
        }
    }

    /// Requests wait all the time from `now` to `end`. Returns the time at which each request was sent.
    fn saturate(&mut self, window: &mut Window, mut now: Instant, end: Instant) -> Vec<Instant> {
        let mut went = Vec::new();
        while now < end {
            self.answer_until(window, now);
            match window.next(now, Lane::Others) {
                Next::Admit => {
                    self.send(window, now, Lane::Others);
                    went.push(now);
                }
                wait => {
                    let answer = self.under_way.iter().map(|(end, _)| *end).min();
                    let admitted_at = match wait {
                        Next::WaitUntil(at) => Some(at),
                        _ => None,
                    };
                    now = answer.into_iter().chain(admitted_at).min().unwrap();
                }
            }
        }
        went
    }

    fn most_in_any_minute(&mut self) -> usize {
        self.counted.sort();
        let inside = |first: Instant| self.counted.partition_point(|&at| at < first + WINDOW);
        self.counted.iter().enumerate().map(|(index, &first)| inside(first) - index).max().unwrap_or(0)
    }
}

#[test]
fn a_new_process_spreads_rollbacks_too_and_sends_no_burst() {
    let start = Instant::now();
    let mut window = Window::new(limit(100), start);
    assert_eq!(take_all(&mut window, start, Lane::Rollbacks), 1);
    assert_eq!(window.next(start, Lane::Rollbacks), Next::WaitUntil(start + seconds(0.75)));
    assert_eq!(window.next(start, Lane::Others), Next::WaitUntil(start + seconds(0.75)));
    assert_eq!(take_all(&mut window, start + seconds(30.0), Lane::Others), 1, "unused places do not accumulate");
}

#[test]
fn after_a_quiet_time_a_tenth_is_sent_at_once_and_the_rest_is_spread() {
    let (mut window, now) = calm(100);
    assert_eq!(take_all(&mut window, now, Lane::Others), 10);
    assert_eq!(window.next(now, Lane::Others), Next::WaitUntil(now + seconds(0.6)));
    assert_eq!(take_all(&mut window, now + seconds(0.6), Lane::Others), 1);
}

#[test]
fn rollbacks_are_sent_at_once_and_within_the_reserve_take_no_place_from_others() {
    let (mut window, now) = calm(100);
    let mut others = 0;
    let mut at = now;
    while at < now + seconds(55.0) {
        others += take_all(&mut window, at, Lane::Others);
        at += seconds(0.5);
    }
    assert_eq!(others, 95);
    assert_eq!(take_all(&mut window, at, Lane::Rollbacks), 5);
    assert_eq!(
        window.next(at, Lane::Rollbacks),
        Next::WaitUntil(now + WINDOW),
        "the sixth gets the next place that is free"
    );
    let later = now + WINDOW;
    assert_eq!(take_all(&mut window.clone(), later, Lane::Others), 1, "the five take no place from others");
    assert_eq!(take_all(&mut window, later, Lane::Rollbacks), 10, "rollbacks may use all free places");
    assert!(
        matches!(window.next(later, Lane::Others), Next::WaitUntil(at) if at > later),
        "and other requests wait for it"
    );
}

#[test]
fn a_small_limit_stays_usable() {
    for (max, for_others) in [(1, 1), (2, 1), (3, 2), (5, 4)] {
        let (mut window, now) = calm(max);
        let went = Api::new(1, 0.0..0.1).saturate(&mut window, now, now + WINDOW);
        assert_eq!(went.len(), for_others, "of {max}");
    }
}

#[test]
fn a_request_uses_its_place_until_a_window_after_it_finished() {
    let (mut window, start) = calm(1);
    window.admit(start, Lane::Others);
    assert_eq!(window.next(start + seconds(500.0), Lane::Rollbacks), Next::WaitForFinish);
    window.finish(start + seconds(500.0), Lane::Others);
    let free = start + seconds(560.0);
    assert_eq!(window.next(start + seconds(559.9), Lane::Rollbacks), Next::WaitUntil(free));
    assert_eq!(window.next(free, Lane::Rollbacks), Next::Admit);
}

#[test]
fn a_pause_delays_all_lanes_and_is_followed_by_a_careful_minute() {
    let (mut window, now) = calm(100);
    let end = now + seconds(30.0);
    window.pause(now, end);
    assert_eq!(window.next(now, Lane::Rollbacks), Next::WaitUntil(now + seconds(10.0)));
    assert_eq!(window.next(now, Lane::InFlight), Next::WaitUntil(end));
    assert_eq!(window.next(now, Lane::Others), Next::WaitUntil(end));
    assert_eq!(take_all(&mut window, end, Lane::InFlight), 1);
    assert_eq!(window.next(end, Lane::Rollbacks), Next::WaitUntil(end + seconds(0.75)));
    assert_eq!(window.usage(now, BTreeMap::new()).paused_for, seconds(30.0));
}

#[test]
fn a_refusal_halves_the_limit_for_other_lanes_and_the_limit_recovers() {
    let (mut window, now) = calm(100);
    window.refused(now, now, now);
    let reading = window.usage(now, BTreeMap::new());
    assert_eq!((reading.limit, reading.effective_limit), (limit(100), limit(50)));
    let mut api = Api::new(1, 0.0..0.1);
    let went = api.saturate(&mut window, now, now + seconds(59.9)).len();
    assert!((40..=45).contains(&went), "{went}: first at four fifths of half the rate, never in the reserve");
    let later = now + 11 * WINDOW;
    assert_eq!(window.usage(later, BTreeMap::new()).effective_limit, limit(100));
    assert!(api.saturate(&mut window, later, later + seconds(59.9)).len() > 90);
}

#[test]
fn after_the_limit_is_raised_the_old_rate_delays_no_request() {
    let start = Instant::now();
    let mut window = Window::new(limit(1), start);
    assert_eq!(take_all(&mut window, start, Lane::Others), 1);
    window.set_limit(start, limit(6000));
    assert_eq!(window.next(start, Lane::Others), Next::WaitUntil(start + seconds(0.0125)));
}

#[derive(Debug, Clone)]
struct Step {
    pass: f64,
    is_rollback: bool,
    /// The API refuses a request that is sent now, because somebody else uses the client.
    is_refused: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0.0f64..3.0, any::<bool>(), proptest::bool::weighted(0.02))
        .prop_map(|(pass, is_rollback, is_refused)| Step { pass, is_rollback, is_refused });
    proptest::collection::vec(step, 1..300)
}

proptest! {
    #[test]
    fn no_sliding_minute_at_the_api_holds_more_than_the_limit(max in 1u32..30, seed: u64, steps in steps()) {
        let mut now = Instant::now();
        let mut window = Window::new(limit(max), now);
        let mut api = Api::new(seed, 0.0..40.0);
        for step in steps {
            now += seconds(step.pass);
            api.answer_until(&mut window, now);
            let lane = if step.is_rollback { Lane::Rollbacks } else { Lane::Others };
            if window.next(now, lane) == Next::Admit {
                api.send(&mut window, now, lane);
                if step.is_refused {
                    window.refused(now, now, now + seconds(step.pass));
                }
            }
        }
        let most = api.most_in_any_minute();
        prop_assert!(most <= max as usize, "{most} in one window");
    }

    #[test]
    fn a_request_is_admitted_at_the_announced_time(
        max in 1u32..200,
        takes in 0.0f64..5.0,
        is_rollback in any::<bool>(),
        refusal in proptest::option::of(0u32..200),
    ) {
        let lane = if is_rollback { Lane::Rollbacks } else { Lane::Others };
        let mut now = Instant::now();
        let mut window = Window::new(limit(max), now);
        for number in 0..3 * max {
            if let Next::WaitUntil(at) = window.next(now, lane) {
                prop_assert!(at > now);
                now = at;
            }
            prop_assert_eq!(window.next(now, lane), Next::Admit);
            window.admit(now, lane);
            if refusal == Some(number) {
                window.refused(now, now, now + seconds(takes));
            }
            now += seconds(takes);
            window.finish(now, lane);
        }
    }
}

proptest! {
    // Each of these cases covers hours of requests.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_saturated_window_uses_its_limit_keeps_its_reserve_and_has_no_long_gap(
        max in proptest::sample::select(vec![60u32, 100, 300]),
        seed: u64,
        slowest in 0.01f64..1.0,
    ) {
        let (mut window, start) = calm(max);
        let mut api = Api::new(seed, 0.0..slowest);
        let minutes = 20;
        let went = api.saturate(&mut window, start, start + minutes * WINDOW);
        let use_of_limit = went.len() as f64 / f64::from(minutes * max);
        prop_assert!(use_of_limit >= 0.93, "{use_of_limit} of the limit");
        let most = api.most_in_any_minute();
        let others = max - window.allowance.reserve();
        prop_assert!(most <= others as usize, "{most} in one window");
        let settled = went.partition_point(|at| *at < start + 2 * WINDOW);
        let longest = went[settled..].windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        // The reserve leaves a gap of three seconds.
        prop_assert!(longest < seconds(6.0), "nothing went for {longest:?}");
    }

    #[test]
    fn rollbacks_are_sent_at_once_in_a_full_window_even_beyond_the_reserve(
        seed: u64,
        spacings in proptest::collection::vec(8.0f64..30.0, 1..40),
    ) {
        let (mut window, start) = calm(100);
        let mut api = Api::new(seed, 0.0..0.5);
        let mut now = start + WINDOW;
        api.saturate(&mut window, start, now);
        for spacing in spacings {
            let until = now + seconds(spacing + 0.5);
            api.saturate(&mut window, now, until);
            now = until;
            api.answer_until(&mut window, now);
            prop_assert_eq!(window.next(now, Lane::Rollbacks), Next::Admit);
            api.send(&mut window, now, Lane::Rollbacks);
        }
        prop_assert!(api.most_in_any_minute() <= 100);
    }

    #[test]
    fn a_busy_process_that_is_killed_and_restarted_stays_within_the_limit(
        max in proptest::sample::select(vec![20u32, 30, 40, 100, 300]),
        seed: u64,
        lives in proptest::collection::vec(10.0f64..100.0, 1..6),
    ) {
        let (mut window, start) = calm(max);
        let mut api = Api::new(seed, 0.0..0.5);
        let mut now = start + 5 * WINDOW;
        api.saturate(&mut window, start, now);
        for life in lives {
            let mut window = Window::new(limit(max), now);
            api.under_way.clear();
            let end = now + seconds(life);
            api.saturate(&mut window, now, end);
            now = end;
        }
        let most = api.most_in_any_minute();
        prop_assert!(most <= max as usize, "{most} in one window");
    }
}
