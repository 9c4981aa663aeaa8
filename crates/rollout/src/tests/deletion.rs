//! Deletion of a resource: a rollout in flight is finished first, if the grace period allows it.

use super::fixture::{INTERVAL, Rollout, bad, failed_job, unavailable};
use crate::Decision;
use crate::answer::{JobAnswer, RollbackAnswer, SubmitAnswer};
use api::IdempotencyKey;
use api::reason::Reason;
use api::spec::DeletionPolicy;
use api::status::{DeliveryKind, OutboxEntry, Outcome, RollbackReason, Step};
use std::time::Duration;

const GRACE: u64 = 15 * 60;
/// How long an operator still tries if it was down until the grace period was over.
const MIN_GRACE_AFTER_OBSERVED: u64 = 60;
const POLICIES: [DeletionPolicy; 2] = [DeletionPolicy::Retain, DeletionPolicy::Rollback];

fn at(step: Step, policy: DeletionPolicy) -> Rollout {
    Rollout::of(|spec| spec.deletion_policy = policy).brought_to(step)
}

/// How many seconds after its deletion the resource was gone.
fn seconds_until_gone(rollout: &Rollout) -> u64 {
    assert!(rollout.is_released, "the resource is still there");
    let gone = rollout.given.now.wall.duration_since(rollout.given.deleted_at.unwrap());
    gone.as_secs().unsigned_abs()
}

#[test]
fn a_resource_without_an_attempt_is_removed_at_once() {
    let mut rollout = Rollout::new();
    rollout.delete().run();
    assert!(rollout.is_released && rollout.status.attempt.is_none());
}

#[test]
fn before_the_intent_the_resource_is_removed_at_once() {
    for step in [Step::Pending, Step::Validating, Step::Tracing] {
        for policy in POLICIES {
            let mut rollout = at(step, policy);
            rollout.delete().run();
            assert_eq!(rollout.outcome(), Some((Outcome::Abandoned, Reason::ResourceDeleted)), "{step:?}");
            assert!(rollout.is_released);
            assert_eq!((rollout.count(&Decision::Submit), rollout.audits().len()), (0, 0));
            assert_eq!(rollout.webhooks().len(), 1);
        }
    }
}

#[test]
fn in_flight_the_resource_stays_until_the_verdict() {
    for step in [Step::Submitting, Step::RollingOut, Step::Monitoring] {
        let mut rollout = at(step, DeletionPolicy::Retain);
        rollout.delete().run_for(60);
        assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded, "{step:?}");
        assert!(rollout.is_released && rollout.count(&Decision::Rollback) == 0);
    }
}

#[test]
fn with_the_policy_rollback_a_success_is_rolled_back_before_the_resource_is_removed() {
    for step in [Step::Submitting, Step::RollingOut, Step::Monitoring, Step::Settled] {
        let mut rollout = at(step, DeletionPolicy::Rollback);
        rollout.delete().run_for(60);
        assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded, "{step:?}");
        let rollback = rollout.attempt().rollback.as_ref().unwrap();
        assert_eq!(rollback.reason, RollbackReason::ResourceDeleted);
        assert!(rollback.accepted_at.is_some() && rollout.is_released);
    }
}

#[test]
fn a_rollout_that_fails_after_the_deletion_is_rolled_back_under_both_policies() {
    for policy in POLICIES {
        let mut rollout = at(Step::Monitoring, policy);
        rollout.health_says(&[bad()]).delete().run_for(120);
        assert_eq!(rollout.outcome(), Some((Outcome::RolledBack, Reason::HealthCheckFailed)));
        assert!(rollout.is_released);
    }
}

#[test]
fn a_rollback_in_progress_is_finished_before_the_removal_but_not_verified() {
    for policy in POLICIES {
        let mut rollout = at(Step::RollingBack, policy);
        rollout.health_says(&[bad()]).delete().run();
        assert_eq!(rollout.outcome().unwrap().0, Outcome::RolledBack);
        assert!(rollout.is_released && rollout.count(&Decision::PollHealth) == 0);
        let mut verifying = at(Step::VerifyingRollback, policy);
        verifying.health_says(&[bad()]).delete().run();
        assert!(verifying.is_released);
    }
}

#[test]
fn a_resource_with_a_settled_attempt_is_removed() {
    let mut rollout = at(Step::Settled, DeletionPolicy::Retain);
    rollout.delete().run();
    assert!(rollout.is_released && rollout.count(&Decision::Rollback) == 0);
}

#[test]
fn after_the_grace_the_resource_is_removed_with_a_warning_that_names_the_job() {
    for policy in POLICIES {
        let mut rollout = at(Step::RollingOut, policy);
        rollout.edit(|spec| spec.rollback_policy.timeout_seconds = 86_400);
        rollout.job_says(&[JobAnswer::Running]).delete().run_for(GRACE - 1);
        assert!(!rollout.is_released);
        rollout.run_for(1);
        assert!(rollout.is_released);
        assert_eq!(rollout.outcome(), Some((Outcome::Abandoned, Reason::ResourceDeleted)));
        assert_eq!(rollout.warned(Reason::DeletionGraceExpired), 1);
        assert!(rollout.events.iter().any(|event| event.warning && event.note.contains("job_1")));
    }
}

#[test]
fn a_long_interval_does_not_outlast_the_grace() {
    let mut rollout = at(Step::RollingOut, DeletionPolicy::Retain);
    rollout.edit(|spec| {
        spec.monitoring.interval_seconds = 3600;
        spec.rollback_policy.timeout_seconds = 86_400;
    });
    rollout.job_says(&[JobAnswer::Running]).delete().run_for(4 * GRACE);
    assert_eq!(seconds_until_gone(&rollout), GRACE);
}

#[test]
fn an_unanswered_submit_or_rollback_does_not_outlast_the_grace() {
    let mut submitting = at(Step::Submitting, DeletionPolicy::Rollback);
    submitting.submit_says(&[SubmitAnswer::NotYet(unavailable())]).delete().run_for(4 * GRACE);
    assert_eq!(seconds_until_gone(&submitting), GRACE);
    assert_eq!(submitting.outcome().unwrap().0, Outcome::Abandoned);
    for step in [Step::RollingBack, Step::Settled] {
        let mut rolling_back = at(step, DeletionPolicy::Rollback);
        rolling_back.rollback_says(&[RollbackAnswer::NotYet(unavailable())]).delete().run_for(4 * GRACE);
        assert_eq!(seconds_until_gone(&rolling_back), GRACE, "{step:?}");
        assert_eq!(rolling_back.warned(Reason::DeletionGraceExpired), 1);
    }
}

#[test]
fn messages_that_are_not_accepted_do_not_outlast_the_grace() {
    let mut rollout = at(Step::Settled, DeletionPolicy::Retain);
    rollout.status.outbox = vec![OutboxEntry {
        id: IdempotencyKey::new("message"),
        kind: DeliveryKind::Webhook,
        body: "{}".to_owned(),
        created_at: rollout.given.now.wall,
        api_origin: None,
    }];
    rollout.delete().run_for(4 * GRACE);
    assert_eq!(seconds_until_gone(&rollout), GRACE, "the operator acts when the grace period is over");
}

#[test]
fn without_credentials_the_resource_is_removed_at_once() {
    for step in [Step::Submitting, Step::RollingOut, Step::Monitoring, Step::RollingBack, Step::Settled] {
        let mut rollout = at(step, DeletionPolicy::Rollback);
        rollout.memory.credentials_gone = true;
        rollout.delete().run();
        assert!(rollout.is_released, "{step:?}");
        assert_eq!(rollout.warned(Reason::DeletionGraceExpired), 1, "one warning about the unfinished rollout");
    }
}

#[test]
fn the_grace_counts_across_restarts() {
    let mut rollout = at(Step::RollingOut, DeletionPolicy::Retain);
    rollout.edit(|spec| spec.rollback_policy.timeout_seconds = 86_400);
    rollout
        .job_says(&[JobAnswer::Running])
        .delete()
        .run_for(INTERVAL)
        .restart_after(GRACE)
        .run_for(MIN_GRACE_AFTER_OBSERVED - 1);
    assert!(!rollout.is_released);
    rollout.run_for(1);
    assert!(rollout.is_released);
}

#[test]
fn an_operator_that_was_down_past_the_grace_still_tries_for_a_minute() {
    for step in [Step::Submitting, Step::RollingOut, Step::Monitoring, Step::RollingBack, Step::Settled] {
        let mut rollout = at(step, DeletionPolicy::Rollback);
        rollout.delete().restart_after(2 * GRACE).run_for(MIN_GRACE_AFTER_OBSERVED);
        let rollback = rollout.attempt().rollback.as_ref().unwrap();
        assert!(rollback.accepted_at.is_some() && rollout.is_released, "{step:?}");
        assert_eq!(rollout.warned(Reason::DeletionGraceExpired), 0, "{step:?}");
    }
}

#[test]
fn a_short_grace_is_not_made_longer_by_a_restart() {
    let mut rollout = at(Step::RollingOut, DeletionPolicy::Retain);
    rollout.edit(|spec| spec.rollback_policy.timeout_seconds = 86_400);
    rollout.given.settings.deletion_grace = Duration::from_secs(20);
    rollout.job_says(&[JobAnswer::Running]).delete().restart_after(GRACE).run_for(20);
    assert!(rollout.is_released);
}

#[test]
fn a_deleted_resource_starts_nothing_new() {
    let mut rollout = at(Step::Monitoring, DeletionPolicy::Retain);
    rollout.job_says(&[failed_job()]).edit_digest("2.5.0").request_retry("1").delete().run_for(600);
    assert!(rollout.is_released);
    assert_eq!(rollout.attempt().number, 1);
}
