//! The transitions of a rollout that are counted and timed: each once, even after crashes and restarts.

use super::fixture::{INTERVAL, Rollout, bad, failed_job};
use crate::Decision;
use crate::answer::{JobAnswer, RollbackAnswer, ValidationAnswer};
use crate::transition::Transition;
use api::status::{Outcome, RollbackReason, Step};
use std::time::Duration;

/// The finished steps with their durations in seconds.
fn steps(rollout: &Rollout) -> Vec<(Step, u64)> {
    let step = |passage: &Transition| match passage {
        Transition::Step { step, took } => Some((*step, took.as_secs())),
        _ => None,
    };
    rollout.transitions.iter().filter_map(step).collect()
}

pub(super) fn outcomes(rollout: &Rollout) -> Vec<Outcome> {
    let outcome = |passage: &Transition| match passage {
        Transition::Ended(outcome) => Some(*outcome),
        _ => None,
    };
    rollout.transitions.iter().filter_map(outcome).collect()
}

#[test]
fn each_step_of_a_success_is_timed_once() {
    let mut rollout = Rollout::new();
    rollout.world.latency = Duration::from_secs(2);
    rollout.job_says(&[JobAnswer::Running, JobAnswer::Completed]).run_for(600);
    let expected = [
        (Step::Pending, 0),
        (Step::Validating, 2),
        (Step::Tracing, 2),
        (Step::Submitting, 2),
        // Two polls, an interval apart; the first is an interval after the answer to the submit.
        (Step::RollingOut, 2 + 2 * INTERVAL + 2),
        (Step::Monitoring, 2),
    ];
    assert_eq!(steps(&rollout), expected);
    assert_eq!(outcomes(&rollout), [Outcome::Succeeded]);
}

#[test]
fn the_wait_for_a_rollback_is_timed_from_the_verdict_even_across_a_restart() {
    let mut rollout = Rollout::at(Step::RollingBack);
    rollout.restart_after(40).run_for(60);
    let waited = rollout.transitions.iter().filter(|passage| matches!(passage, Transition::RollbackAccepted { .. }));
    let expected =
        Transition::RollbackAccepted { reason: RollbackReason::DeploymentFailed, took: Duration::from_secs(40) };
    assert_eq!(waited.collect::<Vec<_>>(), [&expected]);
    assert!(steps(&rollout).contains(&(Step::RollingBack, 40)), "{:?}", steps(&rollout));
    assert_eq!(outcomes(&rollout), [Outcome::RolledBack]);
}

#[test]
fn a_refused_rollback_is_not_counted_as_accepted() {
    let mut rollout = Rollout::new();
    rollout.job_says(&[failed_job()]).rollback_says(&[RollbackAnswer::Refused("422".to_owned())]).run_for(600);
    assert!(!rollout.transitions.iter().any(|passage| matches!(passage, Transition::RollbackAccepted { .. })));
    assert_eq!(outcomes(&rollout), [Outcome::RollbackFailed]);
}

#[test]
fn an_outcome_whose_record_failed_is_not_counted_until_it_is_recorded() {
    let mut rollout = Rollout::at(Step::Monitoring);
    rollout.step();
    assert!(rollout.outcome().is_some());
    rollout.record_fails();
    assert_eq!(outcomes(&rollout), []);
    rollout.run_for(60);
    assert_eq!(outcomes(&rollout), [Outcome::Succeeded]);
}

#[test]
fn a_replaced_attempt_is_counted_as_superseded_with_and_without_a_history() {
    for kept in [0, 10] {
        let mut rollout = Rollout::of(|spec| spec.history_limit = kept).brought_to(Step::Validating);
        assert!(matches!(rollout.step(), Decision::Wait(_)), "the outcome is recorded before the wait");
        rollout.edit_digest("2").run_for(120);
        assert_eq!(outcomes(&rollout), [Outcome::Superseded, Outcome::Succeeded], "{kept} kept");
    }
}

#[test]
fn an_attempt_that_fails_its_checks_has_no_submit_step() {
    let mut rollout = Rollout::new();
    rollout.world.validation = vec![Ok(ValidationAnswer::Refused { errors: Vec::new() })];
    rollout.run_for(60);
    assert_eq!(steps(&rollout), [(Step::Pending, 0), (Step::Validating, 0)]);
    assert_eq!(outcomes(&rollout), [Outcome::Failed]);
}

#[test]
fn a_rollback_of_a_success_does_not_count_another_outcome() {
    let mut rollout = Rollout::new();
    rollout.run_for(60).request_rollback("1").run_for(120);
    assert_eq!(outcomes(&rollout), [Outcome::Succeeded]);
    let monitoring: Vec<_> = steps(&rollout).into_iter().filter(|(step, _)| *step == Step::Monitoring).collect();
    assert_eq!(monitoring.len(), 1);
    let waited =
        |passage: &&Transition| matches!(passage, Transition::RollbackAccepted { reason: RollbackReason::Manual, .. });
    assert_eq!(rollout.transitions.iter().filter(waited).count(), 1);
}

#[test]
fn monitoring_lasts_until_the_verdict() {
    let mut rollout = Rollout::new();
    rollout.health_says(&[bad()]).run_for(600);
    let monitoring: Vec<_> = steps(&rollout).into_iter().filter(|(step, _)| *step == Step::Monitoring).collect();
    assert_eq!(monitoring, [(Step::Monitoring, 2 * INTERVAL)], "three bad answers, the first at once");
}

#[test]
fn an_outcome_in_the_history_is_not_counted_again_after_the_attempt_was_removed() {
    let mut rollout = Rollout::at(Step::Settled);
    rollout.edit_digest("2").run_for(600);
    assert_eq!(outcomes(&rollout), [Outcome::Succeeded; 2]);
    rollout.status.attempt = None;
    rollout.record_by_hand();
    rollout.run_for(600);
    assert_eq!(outcomes(&rollout), [Outcome::Succeeded; 3], "exactly one more attempt");
}
