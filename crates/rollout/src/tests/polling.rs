//! How often a rollout is polled, for any load and any learned durations.

use super::fixture::{INTERVAL, Rollout, TIMEOUT, bad, unreadable, unreadable_job};
use crate::Decision;
use crate::answer::JobAnswer;
use crate::polling::{ExpectedDuration, NextPoll, PollInterval, PollTuning, stretch};
use api::status::{Outcome, Step};
use proptest::prelude::*;
use std::time::Duration;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn busy(stretch: f64) -> PollTuning {
    PollTuning { stretch, expected: None }
}

fn usually(end: u64, earliest: u64) -> Option<ExpectedDuration> {
    Some(ExpectedDuration { end: seconds(end), earliest: seconds(earliest), is_probe: false })
}

/// The number of seconds until the next request, rounded up.
fn waits(rollout: &mut Rollout) -> u64 {
    rollout.run();
    match rollout.decision() {
        Decision::Wait(Some(wait)) => wait.as_secs() + u64::from(wait.subsec_nanos() > 0),
        other => panic!("expected a wait, got {other:?}"),
    }
}

/// The ages of a job that does not end at its first polls.
fn polls(rollout: &mut Rollout, count: usize) -> Vec<u64> {
    rollout.job_says(&[JobAnswer::Running]);
    let mut ages = Vec::new();
    while ages.len() < count {
        let wait = waits(rollout);
        ages.push(ages.last().unwrap_or(&0) + wait);
        rollout.pass(wait);
    }
    ages
}

#[test]
fn polls_of_a_running_job_are_stretched_up_to_the_longest_interval_and_the_last_useful_poll() {
    for (stretch, named, expected) in [
        (1.0, None, [15, 30, 45, 60, 75, 90]),
        (1.6, None, [24, 48, 72, 96, 120, 144]),
        (50.0, None, [30, 60, 90, 135, 203, 240]),
        (50.0, Some(40), [30, 60, 90, 130, 170, 210]),
        (50.0, Some(15), [15, 30, 45, 60, 75, 90]),
    ] {
        let mut rollout = Rollout::of(|spec| spec.monitoring.max_interval_seconds = named);
        rollout.given.polling = busy(stretch);
        assert_eq!(polls(&mut rollout, 6), expected, "stretched by {stretch}, longest {named:?}");
    }
}

#[test]
fn an_overdue_job_is_polled_often_at_first_and_then_less_and_less_often() {
    let mut rollout = Rollout::new();
    rollout.given.polling = PollTuning { stretch: 50.0, expected: usually(60, 58) };
    assert_eq!(polls(&mut rollout, 6), [60, 75, 90, 105, 128, 162]);
}

#[test]
fn the_first_poll_waits_until_the_job_has_usually_ended() {
    for (usual, stretch, expected) in [
        (usually(61, 58), 1.0, 61),
        (usually(61, 20), 1.0, 36),
        (usually(61, 20), 2.0, 36),
        (usually(5, 5), 1.0, 15),
        (usually(2000, 2000), 1.0, TIMEOUT - 4 * INTERVAL),
    ] {
        let mut rollout = Rollout::new();
        rollout.given.polling = PollTuning { stretch, expected: usual };
        rollout.job_says(&[JobAnswer::Running]);
        assert_eq!(waits(&mut rollout), expected, "{usual:?}, stretched by {stretch}");
    }
}

#[test]
fn a_probe_is_polled_one_interval_earlier_so_the_next_poll_comes_in_time() {
    let mut rollout = Rollout::new();
    let probe = ExpectedDuration { end: seconds(61), earliest: seconds(58), is_probe: true };
    rollout.given.polling = PollTuning { stretch: 1.0, expected: Some(probe) };
    rollout.job_says(&[JobAnswer::Running]);
    assert_eq!(waits(&mut rollout), 46);
    rollout.pass(46);
    assert_eq!(waits(&mut rollout), 15);
}

#[test]
fn no_load_delays_a_bad_verdict() {
    let mut calm = Rollout::of(|_| ());
    let mut loaded = Rollout::of(|_| ());
    loaded.given.polling = busy(100.0);
    for rollout in [&mut calm, &mut loaded] {
        *rollout = std::mem::replace(rollout, Rollout::new()).brought_to(Step::Monitoring);
        rollout.health_says(&[bad(), unreadable(), bad(), bad()]).run_for(3 * INTERVAL);
        assert_eq!(rollout.outcome().map(|(outcome, _)| outcome), Some(Outcome::RolledBack));
    }
}

#[test]
fn a_job_that_cannot_be_read_or_found_is_polled_again_at_the_plain_interval() {
    for answer in [unreadable_job(), JobAnswer::NotFound] {
        let mut rollout = Rollout::new();
        rollout.given.polling = busy(4.0);
        rollout.job_says(&[answer]);
        assert_eq!(waits(&mut rollout), 2 * INTERVAL);
        rollout.pass(2 * INTERVAL);
        assert_eq!(waits(&mut rollout), INTERVAL);
    }
}

#[test]
fn polls_between_good_answers_and_after_a_rollback_are_stretched() {
    let mut streak = Rollout::of(|spec| spec.monitoring.success_threshold = 4);
    streak.given.polling = busy(2.0);
    streak = streak.brought_to(Step::Monitoring);
    assert_eq!(waits(&mut streak), 30);
    let mut aftermath = Rollout::at(Step::VerifyingRollback);
    aftermath.given.polling = busy(2.0);
    aftermath.health_says(&[bad()]);
    assert_eq!(waits(&mut aftermath), 30);
}

#[test]
fn the_observed_duration_of_a_job_is_kept_for_learning() {
    let mut rollout = Rollout::new();
    rollout.job_says(&[JobAnswer::Running, JobAnswer::Running, JobAnswer::Completed]).run_for(3 * INTERVAL);
    let run = rollout.memory.attempt.job.take_finished_run().unwrap();
    assert_eq!((run.running, run.ended), (Some(seconds(2 * INTERVAL)), seconds(3 * INTERVAL)));
    let mut of_another_process = Rollout::at(Step::RollingOut);
    of_another_process.restart_after(3600).run();
    assert_eq!(
        of_another_process.memory.attempt.job.take_finished_run(),
        None,
        "perhaps nobody has polled for an hour"
    );
}

#[test]
fn an_attempt_requests_its_slot_before_anything_else_and_no_later_step_does() {
    let mut rollout = Rollout::new();
    rollout.before_decision(&Decision::RequestSlot);
    assert_eq!(rollout.step_now(), Step::Pending);
    rollout.run_for(TIMEOUT);
    assert_eq!(rollout.count(&Decision::RequestSlot), 1);
    for step in [Step::Submitting, Step::RollingOut, Step::Monitoring, Step::RollingBack, Step::VerifyingRollback] {
        let mut taken_over = Rollout::at(step);
        let before = taken_over.count(&Decision::RequestSlot);
        taken_over.restart_after(1).run_for(TIMEOUT);
        assert_eq!(taken_over.count(&Decision::RequestSlot), before, "{step:?}");
    }
}

#[test]
fn a_suspended_deleted_or_stalled_attempt_requests_no_slot() {
    let mut rollout = Rollout::new();
    rollout.before_decision(&Decision::RequestSlot).suspend(true);
    assert!(matches!(rollout.decision(), Decision::Wait(None)));
    rollout.suspend(false).delete();
    assert!(matches!(rollout.decision(), Decision::Abandon(_)));
}

fn rhythms() -> impl Strategy<Value = PollInterval> {
    (1u64..300, 0u64..600)
        .prop_map(|(interval, more)| PollInterval { shortest: seconds(interval), longest: seconds(interval + more) })
}

fn paces() -> impl Strategy<Value = PollTuning> {
    let usual = proptest::option::of((0u64..1000, 0u64..1000, any::<bool>()).prop_map(|(end, earliest, is_probe)| {
        ExpectedDuration { end: seconds(end), earliest: seconds(earliest), is_probe }
    }));
    (1.0f64..100.0, usual).prop_map(|(stretch, usual)| PollTuning { stretch, expected: usual })
}

proptest! {
    #[test]
    fn a_poll_is_never_too_early_and_always_leaves_time_for_a_verdict(
        interval in rhythms(), pace in paces(), age in 0u64..500, room in 0u64..2000,
    ) {
        let look = NextPoll { interval, age: seconds(age), room: seconds(room) };
        for gap in [look.of_job(pace), look.of_health(pace)] {
            prop_assert!(gap >= interval.shortest);
            prop_assert!(gap <= seconds(room).max(interval.shortest));
        }
        prop_assert!(look.of_health(pace) <= interval.longest);
    }

    #[test]
    fn more_load_never_causes_an_earlier_poll(
        interval in rhythms(), pace in paces(), age in 0u64..500, room in 0u64..2000, more in 1.0f64..10.0,
    ) {
        let look = NextPoll { interval, age: seconds(age), room: seconds(room) };
        let busier = PollTuning { stretch: pace.stretch * more, ..pace };
        prop_assert!(look.of_job(busier) >= look.of_job(pace));
        prop_assert!(look.of_health(busier) >= look.of_health(pace));
    }

    #[test]
    fn intervals_are_stretched_as_far_as_the_share_needs_and_the_longest_allow(
        groups in proptest::collection::vec((rhythms(), 1usize..50), 1..6), share in 1.0f64..500.0,
    ) {
        let demand = |factor: f64| -> f64 {
            let polls = |(interval, count): &(PollInterval, usize)| {
                let (interval, longest) = (interval.shortest.as_secs_f64(), interval.longest.as_secs_f64());
                *count as f64 * 60.0 / (interval * factor).min(longest)
            };
            groups.iter().map(polls).sum()
        };
        let factor = stretch(groups.iter().copied(), share);
        prop_assert!(factor >= 1.0);
        let is_least = factor == 1.0 || demand(factor * 0.999) > share;
        prop_assert!(is_least, "{factor} is more than needed");
        let is_enough = demand(factor) <= share * 1.001 || demand(factor) <= demand(1e9) * 1.001;
        prop_assert!(is_enough, "{factor} is not enough");
    }

    /// Plays whole rollouts: the job ends at any age that still allows a verdict, and health stays bad.
    #[test]
    fn load_never_makes_a_bad_rollout_end_by_its_deadline(
        pace in paces(), interval in 5u64..40, threshold in 1u64..5, slack in 0u64..300, ends_at in 0u64..400,
    ) {
        let timeout = interval * (threshold + 3) + slack;
        prop_assume!(ends_at + (threshold + 2) * interval <= timeout);
        let mut rollout = Rollout::of(|spec| {
            spec.monitoring.interval_seconds = i32::try_from(interval).unwrap();
            spec.rollback_policy.health_threshold = i32::try_from(threshold).unwrap();
            spec.rollback_policy.timeout_seconds = i32::try_from(timeout).unwrap();
        });
        rollout.given.polling = pace;
        rollout.job_says(&[JobAnswer::Running]).health_says(&[bad()]);
        rollout.run();
        let taken_at = rollout.given.now.uptime;
        let mut polls = 0;
        while rollout.outcome().is_none() {
            if rollout.given.now.uptime >= taken_at + seconds(ends_at) {
                rollout.job_says(&[JobAnswer::Completed]);
            }
            rollout.run();
            polls += 1;
            prop_assert!(polls < 1000);
            if let Decision::Wait(Some(wait)) = rollout.decision() {
                rollout.pass_for(wait);
            }
        }
        let reason = rollout.outcome().unwrap().1;
        prop_assert_eq!(reason, api::reason::Reason::HealthCheckFailed);
    }
}
