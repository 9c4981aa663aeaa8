//! The learned durations of jobs, tested by their cost: the number of polls, and the delay until an end is noticed.

use crate::durations::{Durations, JobRun};
use crate::polling::{NextPoll, PollInterval, PollTuning};
use proptest::prelude::*;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(15);

/// The cost of watching one job.
struct Cost {
    polls: u32,
    late: Duration,
}

/// Watches a job with this duration, as a rollout does, and learns from it.
fn watch(durations: &mut Durations<u32>, environment: u32, takes: Duration) -> Cost {
    let interval = PollInterval { shortest: INTERVAL, longest: INTERVAL };
    let mut cost = Cost { polls: 0, late: Duration::ZERO };
    let (mut age, mut running) = (Duration::ZERO, None);
    loop {
        if running.is_none() {
            durations.offer_as_probe(&environment);
        }
        let usual = durations.expect(&environment);
        age += NextPoll { interval, age, room: Duration::from_secs(3600) }
            .of_job(PollTuning { stretch: 1.0, expected: usual });
        cost.polls += 1;
        if age >= takes {
            durations.learn(&environment, JobRun { running, ended: age }, INTERVAL);
            cost.late = age - takes;
            return cost;
        }
        running = Some(age);
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[test]
fn without_observed_jobs_there_is_no_expectation() {
    assert_eq!(Durations::default().expect(&1), None);
}

#[test]
fn jobs_of_constant_duration_are_soon_polled_once_about_a_second_after_their_end() {
    for takes in [16.0, 60.0, 61.0, 90.5, 200.0] {
        let mut durations = Durations::default();
        for environment in 0..20 {
            watch(&mut durations, environment, seconds(takes));
        }
        let costs: Vec<_> = (20..320).map(|environment| watch(&mut durations, environment, seconds(takes))).collect();
        let polls: u32 = costs.iter().map(|cost| cost.polls).sum();
        let most = costs.iter().map(|cost| cost.late).max().unwrap();
        assert!(polls <= 300 + 10, "{takes} s: {polls} polls at 300 jobs");
        assert!(most <= seconds(1.0_f64.max(takes * 0.02) + 4.0), "{takes} s: {most:?} late");
    }
}

#[test]
fn jobs_shorter_than_the_interval_are_polled_after_one_interval() {
    let mut durations = Durations::default();
    for environment in 0..100 {
        let cost = watch(&mut durations, environment, seconds(3.0));
        assert_eq!((cost.polls, cost.late), (1, seconds(12.0)));
    }
}

#[test]
fn the_expectation_follows_at_once_if_jobs_take_longer() {
    let mut durations = Durations::default();
    for environment in 0..50 {
        watch(&mut durations, environment, seconds(60.0));
    }
    for environment in 50..65 {
        watch(&mut durations, environment, seconds(100.0));
    }
    // The earlier, shorter durations still count.
    let costs: Vec<_> = (65..300).map(|environment| watch(&mut durations, environment, seconds(100.0))).collect();
    assert!(costs.iter().all(|cost| cost.late <= INTERVAL));
    assert!(costs[100..].iter().map(|cost| cost.polls).sum::<u32>() <= 140, "one poll each, except for probes");
}

#[test]
fn a_probe_notices_that_jobs_have_become_shorter() {
    let mut durations = Durations::default();
    for environment in 0..50 {
        watch(&mut durations, environment, seconds(120.0));
    }
    for environment in 50..150 {
        watch(&mut durations, environment, seconds(30.0));
    }
    for environment in 150..200 {
        let cost = watch(&mut durations, environment, seconds(30.0));
        assert!(cost.late <= INTERVAL, "{:?} late", cost.late);
    }
}

#[test]
fn an_environment_whose_jobs_take_longer_than_others_has_its_own_expectation() {
    let mut durations = Durations::default();
    for round in 0..30 {
        for environment in 0..5 {
            watch(&mut durations, environment, seconds(60.0));
        }
        let cost = watch(&mut durations, 99, seconds(150.0));
        if round > 12 {
            assert!(
                cost.polls <= 3 && cost.late <= INTERVAL,
                "round {round}: {} polls, {:?} late",
                cost.polls,
                cost.late
            );
        }
    }
}

#[test]
fn one_early_end_among_many_causes_no_extra_polls_of_other_jobs() {
    let mut durations = Durations::default();
    for environment in 0..60 {
        watch(&mut durations, environment, seconds(60.0));
    }
    durations.learn(&60, JobRun { running: None, ended: seconds(15.0) }, INTERVAL);
    let polls: u32 = (61..90).map(|environment| watch(&mut durations, environment, seconds(60.0)).polls).sum();
    assert!(polls <= 31, "{polls} polls at 29 jobs");
}

proptest! {
    /// Compares with fixed intervals, which notice an end half an interval late on average.
    #[test]
    fn for_any_durations_there_are_no_more_polls_and_ends_are_noticed_in_time(
        seed: u64, shortest in 1.0f64..60.0, spread in 1.0f64..120.0,
    ) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut durations = Durations::default();
        let (mut polls, mut plain, mut late) = (0, 0, Duration::ZERO);
        for environment in 0..200 {
            let takes = shortest + spread * random.f64();
            let cost = watch(&mut durations, environment, seconds(takes));
            polls += cost.polls;
            plain += (takes / INTERVAL.as_secs_f64()).ceil() as u32;
            late += cost.late;
        }
        prop_assert!(polls <= plain + 10, "{polls} polls, and {plain} at plain intervals");
        prop_assert!(late / 200 <= 2 * INTERVAL, "{:?} late on the average", late / 200);
    }
}
