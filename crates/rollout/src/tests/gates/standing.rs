//! What runs can be rolled back while a newer attempt waits at a gate, perhaps for weeks (G4).

use crate::tests::fixture::{DAY, Rollout};
use api::decision::Verb::{Approve, Rollback};
use api::reason::Reason;
use api::spec::DeletionPolicy;
use api::status::{Outcome, Step};

/// Attempt 1 runs, and attempt 2 waits for its approval.
fn waiting_over_a_success() -> Rollout {
    let mut rollout = Rollout::needing(1);
    rollout.decide_by(Approve, "anna").run_for(120).assert_succeeded();
    rollout.edit_digest("2.5.0").run_for(DAY);
    assert_eq!(rollout.closed_reasons(), [Reason::AwaitingApproval]);
    assert_eq!(rollout.status.standing_attempt.as_ref().map(|standing| standing.number), Some(1));
    rollout
}

#[track_caller]
fn assert_first_is_rolled_back(rollout: &Rollout) {
    assert_eq!(rollout.attempt().number, 1);
    assert!(rollout.attempt().rollback.as_ref().is_some_and(|rollback| rollback.accepted_at.is_some()));
    assert_eq!(rollout.status.history[0].number, 2);
    assert_eq!(rollout.status.history[0].verdict.outcome, Outcome::Abandoned);
}

#[test]
fn the_first_rollback_annotation_ends_what_waits_and_the_second_undoes_what_runs() {
    let mut rollout = waiting_over_a_success();
    rollout.request_rollback("1").run_for(60);
    assert_eq!((rollout.attempt().number, rollout.outcome()), (2, Some((Outcome::Abandoned, Reason::Cancelled))));
    rollout.request_rollback("2").run_for(600);
    assert_first_is_rolled_back(&rollout);
    rollout.restart_after(60).run_for(DAY);
    assert_eq!(rollout.attempt().number, 1, "what was stopped is not tried again by itself");
    rollout.request_retry("1").run_for(60);
    assert_eq!(rollout.attempt().number, 3);
}

#[test]
fn a_decision_about_the_plan_that_runs_undoes_it_at_once() {
    let mut rollout = waiting_over_a_success();
    let runs = rollout.status.standing_attempt.as_ref().and_then(|standing| standing.plan_id.clone()).unwrap();
    rollout.decide_with(Rollback, "ben", |record| record.plan_id = runs).run_for(600);
    assert_first_is_rolled_back(&rollout);
}

#[test]
fn a_deleted_resource_undoes_what_runs_if_its_policy_says_so() {
    for (policy, is_undone) in [(DeletionPolicy::Rollback, true), (DeletionPolicy::Retain, false)] {
        let mut rollout = waiting_over_a_success();
        rollout.edit(|spec| spec.deletion_policy = policy).run_for(60).delete().run_for(900);
        assert!(rollout.is_released);
        let rolled_back = rollout.status.last_successful.as_ref().unwrap().rolled_back_at;
        assert_eq!(rolled_back.is_some(), is_undone, "{policy:?}");
    }
}

#[test]
fn what_another_resource_has_deployed_since_is_not_undone() {
    let mut rollout = waiting_over_a_success();
    rollout.given.other_owner = Some("bots/other owns it".to_owned());
    rollout.request_rollback("1").run_for(60).request_rollback("2").run_for(600);
    assert_eq!((rollout.attempt().number, rollout.attempt().step), (2, Step::Settled));
    assert!(rollout.status.last_successful.as_ref().unwrap().rolled_back_at.is_none());
}

#[test]
fn the_time_in_health_counts_until_the_next_attempt_is_submitted() {
    let mut rollout = waiting_over_a_success();
    rollout.decide_by(Approve, "anna").run_for(120).assert_succeeded();
    assert_eq!(rollout.status.standing_attempt, None);
    let healthy = rollout.status.history[0].healthy_for_seconds.unwrap();
    assert!(healthy >= i64::try_from(DAY).unwrap(), "{healthy} s");
}
