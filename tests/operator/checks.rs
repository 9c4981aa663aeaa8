//! The checks before a submit.

use crate::support::*;

#[tokio::test]
async fn a_refused_validation_ends_the_attempt_with_the_platforms_reasons_and_nothing_is_submitted() {
    let namespace =
        with_environment("validationErrors: [memory limit exceeded, {code: tenant, message: wrong tenant}]").await;
    let bot = namespace.apply(sample().webhook(&namespace.webhook_url())).await;
    let object = bot.until_settled(1, Outcome::Failed).await;

    let stalled = object.condition(ConditionType::Stalled);
    assert_eq!((stalled.status, stalled.reason), (True, Reason::ValidationRefused));
    assert!(stalled.message.contains("memory limit exceeded"), "{}", stalled.message);
    assert!(stalled.message.contains("wrong tenant"), "{}", stalled.message);
    assert_eq!(object.says(ConditionType::Ready), (False, Reason::ValidationRefused));
    assert_eq!(object.says(ConditionType::Validated), (False, Reason::ValidationRefused));
    assert_eq!(namespace.calls(), [Call::Token, Call::Validate, Call::Webhook]);
    let webhook = &namespace.webhooks()[0].body;
    assert_eq!((&webhook["jobId"], &webhook["success"]), (&Value::Null, &json!(false)));
    assert_eq!(webhook["metrics"], json!({"durationSeconds": 0.0, "validationSuccessRate": 0.0}));
    bot.until_event("Warning", Reason::ValidationRefused).await;
}

#[tokio::test]
async fn a_conflict_in_the_trace_ends_the_attempt_and_nothing_is_submitted() {
    let namespace = with_environment("runtime: {cognigy-nlp-core: 4.0.0}").await;
    let bot = namespace.apply(sample().webhook(&namespace.webhook_url())).await;
    let object = bot.until_settled(1, Outcome::Failed).await;

    assert_eq!(object.says(ConditionType::Stalled), (True, Reason::TraceNotPassed));
    assert_eq!(object.says(ConditionType::Validated), (True, Reason::ValidationPassed));
    assert_eq!(object.says(ConditionType::TracePassed), (False, Reason::TraceNotPassed));
    assert_eq!(namespace.calls(), [Call::Token, Call::Validate, Call::Trace, Call::Webhook]);
    assert_eq!(namespace.webhooks()[0].body["metrics"]["validationSuccessRate"], json!(0.5));
}

#[tokio::test]
async fn a_trace_that_has_not_passed_ends_the_attempt_even_without_conflicts() {
    let namespace = with_environment("traceStatus: inconclusive").await;
    let object = namespace.apply(sample()).await.until_settled(1, Outcome::Failed).await;
    assert!(object.condition(ConditionType::Stalled).message.contains("inconclusive"));
    assert_eq!(namespace.request_count(Call::Submit), 0);
}

#[tokio::test]
async fn a_corrected_configuration_starts_a_new_attempt_after_a_refusal() {
    let namespace = with_environment("runtime: {cognigy-nlp-core: 3.3.0}").await;
    let bot = namespace.apply(sample()).await;
    bot.until_settled(1, Outcome::Failed).await;

    let corrected = json!({"configurationSnapshot": {"nlpEngine": "v3.3"},
        "dependencyLocks": [{"packageName": "cognigy-nlp-core", "version": "3.3.0"}]});
    bot.edit(&sample().with(corrected)).await;
    let object = bot.until_settled(2, Outcome::Succeeded).await;
    assert_eq!(object.recorded().history[0].verdict.outcome, Outcome::Failed);
}

#[tokio::test]
async fn changed_checks_start_a_new_attempt_after_a_refusal() {
    let namespace = with_environment("isolation: {networkSegment: eu}").await;
    let bot = namespace.apply(sample()).await;
    let refused = bot.until_settled(1, Outcome::Failed).await;

    bot.edit(&sample().with(json!({"isolationRules": {"networkSegment": "eu"}}))).await;
    let object = bot.until_settled(2, Outcome::Succeeded).await;
    assert_eq!(object.attempt().digest, refused.attempt().digest, "the configuration is the same");
}

#[tokio::test]
async fn a_retry_starts_a_new_attempt_after_a_refusal() {
    let namespace = with_environment("validationErrors: [no]").await;
    let bot = namespace.apply(sample()).await;
    bot.until_settled(1, Outcome::Failed).await;

    namespace.replace_script("{}");
    bot.request_retry("1").await;
    let object = bot.until_settled(2, Outcome::Succeeded).await;
    assert_eq!(object.recorded().handled_requests.unwrap().retry.as_deref(), Some("1"));
}

#[tokio::test]
async fn an_outage_before_the_submit_keeps_the_attempt_and_shows_reconciling() {
    let namespace = with_environment("faults: [{call: validate, times: forever, fault: {status: {code: 503}}}]").await;
    let bot = namespace.apply(sample()).await;
    let waiting = bot.until_ready_reason(Reason::ApiUnavailable).await;
    assert_eq!(waiting.says(ConditionType::Reconciling), (True, Reason::ApiUnavailable));
    assert!(waiting.find(ConditionType::Stalled).is_none());

    namespace.clear_faults();
    let object = bot.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(object.attempt().number, 1);
    assert!(namespace.request_count(Call::Validate) > 3, "a client tries three times before a call fails");
}

#[tokio::test]
async fn a_check_with_an_unreadable_answer_is_repeated() {
    let namespace =
        with_environment("faults: [{call: validate, fault: garbage}, {call: trace, fault: wrongTypes}]").await;
    let object = namespace.apply(sample()).await.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(object.attempt().number, 1);
    assert_eq!(namespace.request_count(Call::Submit), 1);
}

#[tokio::test]
async fn a_400_stalls_the_resource_with_the_platforms_message() {
    let namespace = with_environment(
        "faults: [{call: validate, fault: {status: {code: 422, body: {message: the tenant is archived}}}}]",
    )
    .await;
    let bot = namespace.apply(sample()).await;
    let object = bot.until_stalled(Reason::RequestRejected).await;
    assert!(object.condition(ConditionType::Stalled).message.contains("the tenant is archived"));
    bot.until_event("Warning", Reason::RequestRejected).await;
    assert_eq!(namespace.request_count(Call::Validate), 1, "the request is not repeated without a retry");

    bot.request_retry("now").await;
    bot.until_settled(1, Outcome::Succeeded).await;
}

#[tokio::test]
async fn an_environment_of_another_tenant_stalls_the_resource() {
    let namespace = with_environment("allowedClients: [somebody-else]").await;
    let bot = namespace.apply(sample()).await;
    let object = bot.until_stalled(Reason::Unauthorized).await;
    assert_eq!(object.says(ConditionType::Ready), (False, Reason::Unauthorized));
    assert_eq!(namespace.request_count(Call::Submit), 0);
}

#[tokio::test]
async fn validation_warnings_are_recorded_in_the_attempt() {
    let namespace = with_environment("validationWarnings: [the flow is large]").await;
    let object = namespace.apply(sample()).await.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(object.attempt().checks.validation.as_ref().unwrap().warnings, ["the flow is large"]);
    assert_eq!(object.attempt().checks.validation.as_ref().unwrap().capacity_utilization, Some(0.42));
    assert!(object.attempt().checks.synthetic_trace.as_ref().unwrap().id.is_some());
}
