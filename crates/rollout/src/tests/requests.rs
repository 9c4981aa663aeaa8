//! Requests by annotation: each value takes effect once, at any step.

use super::fixture::{Rollout, TIMEOUT, bad, failed_job};
use crate::Decision;
use crate::answer::{RollbackAnswer, SubmitAnswer};
use crate::facts::Requests;
use crate::requests::Request;
use api::condition::ConditionType;
use api::reason::Reason;
use api::status::{Outcome, RollbackReason, Step};
use api::{RETRY_ANNOTATION, ROLLBACK_ANNOTATION};

const ROLL_BACK: Decision = Decision::HandleRequest(Request::Rollback);
const RETRY: Decision = Decision::HandleRequest(Request::Retry);

#[test]
fn values_that_were_there_before_are_recorded_and_not_acted_on() {
    let mut rollout = Rollout::new();
    rollout.request_retry("old").request_rollback("old").run_for(120);
    assert_eq!((rollout.count(&ROLL_BACK), rollout.count(&RETRY)), (0, 0));
    assert_eq!((rollout.attempt().number, rollout.outcome().unwrap().0), (1, Outcome::Succeeded));
    let handled = rollout.status.handled_requests.as_ref().unwrap();
    assert_eq!((handled.retry.as_deref(), handled.rollback.as_deref()), (Some("old"), Some("old")));
}

#[test]
fn a_rollback_before_the_intent_stops_the_attempt() {
    for step in [Step::Pending, Step::Validating, Step::Tracing] {
        let mut rollout = Rollout::at(step);
        rollout.request_rollback("1").run_for(3600);
        assert_eq!(rollout.outcome(), Some((Outcome::Abandoned, Reason::Cancelled)), "{step:?}");
        assert_eq!((rollout.count(&Decision::Submit), rollout.count(&Decision::Rollback)), (0, 0));
        assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/Cancelled");
        rollout.request_retry("1").run_for(60);
        assert_eq!((rollout.attempt().number, rollout.outcome().unwrap().0), (2, Outcome::Succeeded));
    }
}

#[test]
fn a_rollback_while_submitting_begins_once_the_job_is_known() {
    let mut rollout = Rollout::at(Step::Submitting);
    rollout.request_rollback("1").run_for(60);
    assert_eq!(rollout.outcome(), Some((Outcome::RolledBack, Reason::RollbackRequested)));
    assert_eq!((rollout.count(&Decision::PollJob), rollout.count(&Decision::Rollback)), (0, 1));
}

#[test]
fn a_requested_rollback_ends_if_the_submit_is_rejected() {
    let mut rollout = Rollout::at(Step::Submitting);
    rollout.submit_says(&[SubmitAnswer::Rejected { message: "400".to_owned() }]).request_rollback("1").run_for(3600);
    assert_eq!(rollout.outcome(), Some((Outcome::Failed, Reason::SubmitRejected)));
    assert_eq!(rollout.count(&Decision::Rollback), 0);
}

#[test]
fn a_rollback_in_flight_begins_at_once() {
    for step in [Step::RollingOut, Step::Monitoring] {
        let mut rollout = Rollout::at(step);
        rollout.request_rollback("1").run();
        assert_eq!(rollout.outcome(), Some((Outcome::RolledBack, Reason::RollbackRequested)), "{step:?}");
        assert_eq!(rollout.attempt().rollback.as_ref().unwrap().reason, RollbackReason::Manual);
    }
}

#[test]
fn a_rollback_request_during_a_rollback_adds_no_second_rollback() {
    let mut rollout = Rollout::at(Step::RollingBack);
    let key = rollout.attempt().rollback.as_ref().unwrap().key.clone();
    rollout.request_rollback("1").run_for(60);
    assert_eq!(rollout.attempt().rollback.as_ref().unwrap().key, key);
    assert_eq!((rollout.count(&Decision::Rollback), rollout.outcome().unwrap().1), (1, Reason::JobFailed));
}

#[test]
fn a_second_rollback_of_the_same_attempt_is_not_possible() {
    let mut rollout = Rollout::at(Step::VerifyingRollback);
    rollout.request_rollback("1").run_for(3600);
    assert_eq!((rollout.count(&Decision::Rollback), rollout.events_of(Reason::RollbackNotPossible)), (1, 1));
    let mut nothing = Rollout::of(|spec| spec.suspend = true);
    nothing.run().request_rollback("1").run();
    assert_eq!(nothing.events_of(Reason::RollbackNotPossible), 1);
}

#[test]
fn a_rollback_of_a_success_keeps_the_outcome_and_notifies_the_webhook_once_more() {
    let mut rollout = Rollout::at(Step::Settled);
    rollout.request_rollback("1").run_for(60);
    assert_eq!(rollout.outcome(), Some((Outcome::Succeeded, Reason::Succeeded)));
    assert!(rollout.attempt().rollback.as_ref().unwrap().accepted_at.is_some());
    assert_eq!(rollout.condition_text(ConditionType::Ready), "False/RolledBack");
    assert_eq!(rollout.condition_text(ConditionType::RolledBack), "True/RolledBack");
    assert_eq!(rollout.audits().len(), 1);
    let successes: Vec<bool> = rollout.webhooks().iter().map(|(success, ..)| *success).collect();
    assert_eq!(successes, [true, false]);
    rollout.run_for(3600);
    assert_eq!((rollout.count(&ROLL_BACK), rollout.count(&Decision::Rollback)), (1, 1));
}

#[test]
fn a_refused_rollback_of_a_success_can_be_requested_again() {
    let mut rollout = Rollout::at(Step::Settled);
    rollout.rollback_says(&[RollbackAnswer::Refused("409".to_owned()), RollbackAnswer::Accepted]);
    rollout.request_rollback("1").run_for(60);
    assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/RollbackRefused");
    rollout.request_rollback("2").run_for(60);
    assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/RolledBack");
    assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded);
}

#[test]
fn a_retry_starts_another_attempt_from_every_final_step() {
    for step in [Step::VerifyingRollback, Step::Settled] {
        let mut rollout = Rollout::at(step);
        rollout.request_retry("1").run_for(60);
        assert_eq!((rollout.attempt().number, rollout.outcome().unwrap().0), (2, Outcome::Succeeded), "{step:?}");
        assert_ne!(rollout.messages[0], rollout.messages[2], "each attempt has its own messages");
    }
}

#[test]
fn a_retry_in_flight_is_ignored_with_an_event() {
    for step in [Step::Submitting, Step::RollingOut, Step::Monitoring, Step::RollingBack] {
        let mut rollout = Rollout::at(step);
        rollout.request_retry("1").run_for(3600);
        assert_eq!((rollout.attempt().number, rollout.events_of(Reason::RequestIgnored)), (1, 1), "{step:?}");
    }
}

#[test]
fn a_retry_before_the_intent_tries_again_at_once() {
    let mut rollout = Rollout::new();
    rollout.world.validation.insert(0, Err(super::fixture::unauthorized()));
    rollout.run().request_retry("1").run_for(60);
    assert_eq!((rollout.attempt().number, rollout.outcome().unwrap().0), (1, Outcome::Succeeded));
}

#[test]
fn each_value_is_acted_on_once() {
    let mut rollout = Rollout::at(Step::Settled);
    rollout.request_retry("1").run_for(60).restart_after(1).run_for(600);
    assert_eq!(rollout.attempt().number, 2);
    rollout.request_retry("2").run_for(60);
    assert_eq!(rollout.attempt().number, 3);
}

#[test]
fn a_value_that_is_removed_and_added_again_is_not_acted_on_again() {
    let mut rollout = Rollout::at(Step::Settled);
    rollout.request_retry("1").run_for(60);
    rollout.given.requests.retry = None;
    rollout.run().request_rollback("1").run_for(60);
    rollout.given.requests.rollback = None;
    rollout.run().request_retry("1").run_for(60);
    assert_eq!((rollout.attempt().number, rollout.count(&RETRY)), (2, 1));
}

#[test]
fn a_rollback_wins_over_a_retry() {
    for step in [Step::Tracing, Step::Monitoring, Step::Settled] {
        let mut rollout = Rollout::at(step);
        rollout.request_rollback("1").request_retry("1").run_for(600);
        assert_eq!((rollout.count(&ROLL_BACK), rollout.count(&RETRY), rollout.attempt().number), (1, 0, 1), "{step:?}");
    }
}

#[test]
fn a_retry_waits_while_suspended() {
    let mut rollout = Rollout::at(Step::Settled);
    rollout.suspend(true).request_retry("1").run_for(3600);
    assert_eq!((rollout.attempt().number, rollout.count(&RETRY)), (1, 0));
    rollout.suspend(false).run_for(60);
    assert_eq!((rollout.attempt().number, rollout.outcome().unwrap().0), (2, Outcome::Succeeded));
}

#[test]
fn a_requested_rollback_is_carried_out_while_suspended() {
    let mut rollout = Rollout::at(Step::Settled);
    rollout.suspend(true).request_rollback("1").run_for(60);
    assert_eq!(rollout.condition_text(ConditionType::RolledBack), "True/RolledBack");
}

#[test]
fn a_retry_after_a_failure_that_was_left_in_place_starts_another_attempt() {
    let mut rollout = Rollout::of(|spec| spec.rollback_policy.auto_trigger = false);
    rollout.health_says(&[bad(), bad(), bad(), crate::answer::HealthAnswer::Good]).run_for(TIMEOUT);
    rollout.request_retry("1").run_for(60);
    assert_eq!((rollout.attempt().number, rollout.outcome().unwrap().0), (2, Outcome::Succeeded));
}

#[test]
fn a_rollback_request_wins_over_the_verdict_that_comes_after_it() {
    let mut rollout = Rollout::at(Step::RollingOut);
    rollout.job_says(&[failed_job()]).request_rollback("1").run_for(120);
    assert_eq!((rollout.outcome().unwrap().1, rollout.count(&Decision::PollJob)), (Reason::RollbackRequested, 0));
}

#[test]
fn a_long_value_is_remembered_by_its_hash() {
    let read = |value: &str| {
        let annotations = [RETRY_ANNOTATION, ROLLBACK_ANNOTATION].map(|name| (name.to_owned(), value.to_owned()));
        Requests::from_annotations(&annotations.into())
    };
    assert_eq!(read("2026-01-01T12:00:00Z").retry.as_deref(), Some("2026-01-01T12:00:00Z"));
    let (long, other) = (read(&"x".repeat(100_000)), read(&format!("{}y", "x".repeat(99_999))));
    assert_ne!(long, other);
    for requests in [&long, &other] {
        assert!(requests.retry.as_ref().is_some_and(|value| value.len() <= 128));
        assert!(requests.rollback.as_ref().is_some_and(|value| value.len() <= 128));
    }
}
