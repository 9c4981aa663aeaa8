//! When a resource is at rest, and what prevents that.

use super::fixture::{DAY, Rollout, TIMEOUT, bad};
use crate::answer::{HealthAnswer, Retry, RollbackAnswer, SubmitAnswer, ValidationAnswer};
use crate::rest::is_at_rest;
use crate::{Cause, Decision, Obstacle};
use api::IdempotencyKey;
use api::status::{DeliveryKind, OutboxEntry, Outcome, Step};

/// A name or an expectation, and the steps that lead to the state.
type Case<What> = (What, fn(&mut Rollout));

/// Whether another process finds the resource at rest, given only the recorded status.
fn rests(rollout: &Rollout) -> bool {
    is_at_rest(&rollout.given.facts(rollout.given.now), &rollout.status)
}

fn succeeded() -> Rollout {
    let mut rollout = Rollout::at(Step::Settled);
    rollout.run();
    assert_eq!(outcome(&rollout), Some(Outcome::Succeeded));
    rollout
}

fn refused() -> Rollout {
    let mut rollout = Rollout::new();
    rollout.world.validation = vec![Ok(ValidationAnswer::Refused { errors: vec!["too large".to_owned()] })];
    rollout.run();
    rollout
}

fn outcome(rollout: &Rollout) -> Option<Outcome> {
    rollout.outcome().map(|(outcome, _)| outcome)
}

#[test]
fn every_outcome_except_unknown_is_at_rest() {
    let table: [Case<Outcome>; 5] = [
        (Outcome::Succeeded, |_| ()),
        (Outcome::RolledBack, |rollout| {
            rollout.health_says(&[bad(), bad(), bad(), HealthAnswer::Good]);
        }),
        (Outcome::RollbackFailed, |rollout| {
            rollout.health_says(&[bad()]).rollback_says(&[RollbackAnswer::Refused("no".to_owned())]);
        }),
        (Outcome::Failed, |rollout| {
            rollout.submit_says(&[SubmitAnswer::Rejected { message: "422".to_owned() }]);
        }),
        (Outcome::Abandoned, |rollout| {
            rollout.before_decision(&Decision::Validate).request_rollback("stop");
        }),
    ];
    for (expected, arrange) in table {
        let mut rollout = Rollout::new();
        arrange(&mut rollout);
        rollout.run_for(DAY);
        assert_eq!((outcome(&rollout), rests(&rollout)), (Some(expected), true), "{expected}");
    }
}

/// The environment is not free until the deadline has passed on the process's own clock. The process must not forget
/// that.
#[test]
fn an_unknown_outcome_is_never_at_rest() {
    let mut rollout = Rollout::new();
    rollout.submit_says(&[SubmitAnswer::Unknown { message: "lost".to_owned() }]).run_for(2 * DAY);
    assert_eq!((outcome(&rollout), rests(&rollout)), (Some(Outcome::Unknown), false));
}

#[test]
fn no_step_before_the_outcome_is_at_rest() {
    let steps = [
        Step::Pending,
        Step::Validating,
        Step::Tracing,
        Step::Submitting,
        Step::RollingOut,
        Step::Monitoring,
        Step::RollingBack,
        Step::VerifyingRollback,
    ];
    for step in steps {
        let mut rollout = Rollout::at(step);
        rollout.refresh();
        assert!(!rests(&rollout), "{step:?}");
    }
    assert!(!rests(&Rollout::new()), "nobody has seen it yet");
}

#[test]
fn a_resource_with_pending_work_is_not_at_rest() {
    let table: [Case<&str>; 11] = [
        ("a new configuration", |rollout| {
            rollout.edit_digest("2.5.0");
        }),
        ("an edit that was not seen yet", |rollout| {
            rollout.edit(|spec| spec.history_limit = 3);
        }),
        ("a retry", |rollout| {
            rollout.request_retry("again");
        }),
        ("a rollback", |rollout| {
            rollout.request_rollback("back");
        }),
        ("its deletion", |rollout| {
            rollout.delete();
        }),
        ("a message that waits", |rollout| {
            let created_at = rollout.given.now.wall;
            rollout.status.outbox.push(OutboxEntry {
                id: IdempotencyKey::new("message"),
                kind: DeliveryKind::Webhook,
                body: "{}".to_owned(),
                created_at,
                api_origin: None,
            });
        }),
        ("a snapshot that is not known", |rollout| {
            let missing = Obstacle::lasting(Cause::SnapshotNotFound, "no ConfigMap", Retry::SnapshotChange);
            rollout.given.snapshot_obstacle = Some(missing);
        }),
        ("requests that were never noted", |rollout| rollout.status.handled_requests = None),
        ("a condition that was edited by hand", |rollout| rollout.status.conditions.clear()),
        ("a phase that was edited by hand", |rollout| rollout.status.phase = None),
        ("a verdict that was taken away", |rollout| rollout.status.attempt.as_mut().unwrap().verdict = None),
    ];
    for (what, change) in table {
        let mut rollout = succeeded();
        assert!(rests(&rollout), "before {what}");
        change(&mut rollout);
        assert!(!rests(&rollout), "{what}");
    }
}

#[test]
fn changed_checks_end_the_rest_of_an_attempt_that_failed_its_checks() {
    let mut rollout = Rollout::new();
    rollout.submit_says(&[SubmitAnswer::Rejected { message: "422".to_owned() }]).run_for(TIMEOUT);
    rollout.edit_checks("production-eu").prepare_for();
    rollout.refresh();
    assert!(rests(&rollout), "it has been submitted, so the checks no longer matter");

    let mut refused = refused();
    assert!(rests(&refused));
    refused.edit_checks("production-eu").prepare_for();
    refused.refresh();
    assert!(!rests(&refused));
}

#[test]
fn a_suspended_resource_is_at_rest_until_it_is_resumed() {
    for mut rollout in [Rollout::of(|spec| spec.suspend = true), Rollout::at(Step::Pending)] {
        rollout.suspend(true).run();
        assert!(rests(&rollout));
        rollout.suspend(false);
        assert!(!rests(&rollout));
    }
}

#[test]
fn a_process_without_memory_does_nothing_for_a_resource_at_rest() {
    let mut rollout = succeeded();
    let before = rollout.status.clone();
    for downtime in [0, TIMEOUT, 30 * DAY] {
        rollout.restart_after(downtime).wall_clock_jumps(-3600).prepare_for();
        assert_eq!(rollout.decision(), Decision::Wait(None));
        rollout.refresh();
        assert_eq!(rollout.status, before);
    }
}
