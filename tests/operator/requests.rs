//! Retries and rollbacks that are requested by annotation.

use crate::support::*;
use api::{RETRY_ANNOTATION, ROLLBACK_ANNOTATION};

#[tokio::test]
async fn a_requested_rollback_after_a_success_does_not_change_the_outcome() {
    let namespace = new_namespace().await;
    let bot = namespace.apply(sample().webhook(&namespace.webhook_url())).await;
    bot.until_settled(1, Outcome::Succeeded).await;

    bot.request_rollback("2026-01-01").await;
    let object = bot
        .until("it is rolled back, and the events are delivered", |object| {
            object.is_true(ConditionType::RolledBack)
                && object.attempt().step == Step::Settled
                && object.recorded().outbox.is_empty()
        })
        .await;
    assert_eq!(object.attempt().outcome(), Some(Outcome::Succeeded), "an outcome is never rewritten");
    assert_eq!(object.says(ConditionType::Ready), (False, Reason::RolledBack));
    assert_eq!(object.attempt().rollback.as_ref().unwrap().reason, RollbackReason::Manual);
    assert_eq!(object.recorded().handled_requests.unwrap().rollback.as_deref(), Some("2026-01-01"));
    let told: Vec<_> = namespace.webhooks().iter().map(|webhook| webhook.body["success"].clone()).collect();
    assert_eq!(told, [json!(true), json!(false)], "one event for the success, one for the rollback");
    assert_eq!(namespace.audit().len(), 1);
    let rollbacks = namespace.requests(Call::Rollback);
    assert_eq!(rollbacks.len(), 1);
    assert_eq!(rollbacks[0].body, Some(json!({"reason": "manual"})));
}

#[tokio::test]
async fn a_request_is_handled_once_also_across_a_restart() {
    let mut namespace = new_namespace().await;
    let bot = namespace.apply(sample()).await;
    bot.until_settled(1, Outcome::Succeeded).await;
    bot.request_retry("once").await;
    bot.until_settled(2, Outcome::Succeeded).await;

    namespace.restart_operator().await;
    let bot = namespace.resource("bot");
    bot.edit(&sample().annotated(RETRY_ANNOTATION, "once").threshold(3)).await;
    let object = bot.until("generation 2 is observed", |object| object.recorded().observed_generation == 2).await;
    assert_eq!(object.attempt().number, 2);
}

#[tokio::test]
async fn requests_that_are_older_than_the_first_status_are_recorded_and_not_handled() {
    let namespace = new_namespace().await;
    let restored = sample().annotated(RETRY_ANNOTATION, "old").annotated(ROLLBACK_ANNOTATION, "older");
    let object = namespace.apply(restored).await.until_settled(1, Outcome::Succeeded).await;
    let handled = object.recorded().handled_requests.unwrap();
    assert_eq!((handled.retry.as_deref(), handled.rollback.as_deref()), (Some("old"), Some("older")));
    assert_eq!(namespace.request_count(Call::Rollback), 0);
}

#[tokio::test]
async fn a_retry_requested_in_flight_is_ignored_with_an_event() {
    let namespace = with_running_jobs("").await;
    let bot = namespace.apply(sample()).await;
    bot.until_step(Step::RollingOut).await;
    bot.request_retry("impatient").await;
    bot.until_event("Normal", Reason::RequestIgnored).await;
    namespace.let_jobs_end();
    let object = bot.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(object.attempt().number, 1);
    assert_eq!(namespace.request_count(Call::Submit), 1);
}

#[tokio::test]
async fn a_rollback_requested_in_flight_starts_at_once_and_takes_precedence_over_a_retry() {
    let namespace = with_environment("jobOutcome: neverEnds").await;
    let bot = namespace.apply(sample()).await;
    bot.until_step(Step::RollingOut).await;
    bot.edit(&sample().annotated(RETRY_ANNOTATION, "a").annotated(ROLLBACK_ANNOTATION, "b")).await;
    let object = bot.until_settled(1, Outcome::RolledBack).await;
    assert_eq!(object.attempt().verdict.as_ref().unwrap().reason, Reason::RollbackRequested);
    let handled = object.recorded().handled_requests.unwrap();
    assert_eq!((handled.retry.as_deref(), handled.rollback.as_deref()), (Some("a"), Some("b")));
    assert_eq!(namespace.request_count(Call::Submit), 1);
}

#[tokio::test]
async fn a_rollback_requested_before_the_intent_cancels_the_attempt() {
    let namespace = with_environment("faults: [{call: validate, times: forever, fault: {status: {code: 503}}}]").await;
    let bot = namespace.apply(sample().webhook(&namespace.webhook_url())).await;
    bot.until_ready_reason(Reason::ApiUnavailable).await;
    bot.request_rollback("stop").await;
    let object = bot.until_settled(1, Outcome::Abandoned).await;
    assert_eq!(object.says(ConditionType::Stalled), (True, Reason::Cancelled));
    assert_eq!(namespace.request_count(Call::Submit), 0);
    assert_eq!(namespace.webhooks()[0].body["jobId"], Value::Null);
}

#[tokio::test]
async fn a_rollback_requested_before_the_submit_is_answered_starts_once_the_job_is_known() {
    let namespace = with_environment("faults: [{call: submit, times: forever, fault: {status: {code: 503}}}]").await;
    let bot = namespace.apply(sample()).await;
    bot.until_ready_reason(Reason::ApiUnavailable).await;
    bot.request_rollback("undo").await;
    bot.until("the request is noted", |object| object.attempt().rollback.is_some()).await;
    namespace.clear_faults();
    bot.until_settled(1, Outcome::RolledBack).await;
    assert_eq!((namespace.jobs().len(), namespace.request_count(Call::Rollback)), (1, 1));
}

#[tokio::test]
async fn a_rollback_request_without_a_deployment_publishes_an_event() {
    let namespace = with_environment("deploymentsAreUnhealthy: true").await;
    let bot = namespace.apply(sample()).await;
    bot.until_settled(1, Outcome::RolledBack).await;
    bot.request_rollback("again").await;
    bot.until_event("Normal", Reason::RollbackNotPossible).await;
    assert_eq!(namespace.request_count(Call::Rollback), 1);
}
