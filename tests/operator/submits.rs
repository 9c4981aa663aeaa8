//! Each attempt is submitted once, even if the network fails.

use crate::support::*;

#[tokio::test]
async fn a_submit_with_a_lost_answer_is_repeated_with_the_same_key_and_starts_one_job() {
    for fault in ["dropAfterEffect", "{status: {code: 502, effect: true}}", "{status: {code: 503}}", "dropBeforeEffect"]
    {
        let namespace = with_environment(&format!("faults: [{{call: submit, fault: {fault}}}]")).await;
        namespace.apply(sample()).await.until_settled(1, Outcome::Succeeded).await;
        let submits = namespace.requests(Call::Submit);
        assert_eq!(submits.len(), 2, "{fault}");
        assert_eq!(submits[0].idempotency_key, submits[1].idempotency_key, "{fault}");
        assert_eq!(submits[0].body_sha256, submits[1].body_sha256, "{fault}");
        assert_eq!(namespace.jobs().len(), 1, "{fault}");
    }
}

#[tokio::test]
async fn a_refused_first_submit_is_a_failure_without_a_job_or_an_audit_record() {
    let namespace = with_environment(
        "faults: [{call: submit, fault: {status: {code: 422, body: {message: locked for the holidays}}}}]",
    )
    .await;
    let bot = namespace.apply(sample().webhook(&namespace.webhook_url())).await;
    let object = bot.until_settled(1, Outcome::Failed).await;
    assert_eq!(object.says(ConditionType::Stalled), (True, Reason::SubmitRejected));
    assert!(object.condition(ConditionType::Stalled).message.contains("locked for the holidays"));
    assert_eq!((namespace.request_count(Call::Submit), namespace.request_count(Call::Audit)), (1, 0));
    assert_eq!(namespace.webhooks()[0].body["jobId"], Value::Null);

    bot.request_retry("after the holidays").await;
    let object = bot.until_settled(2, Outcome::Succeeded).await;
    assert_ne!(object.attempt().idempotency_key().unwrap().as_str(), key(&namespace, 0), "a new attempt, a new key");
}

fn key(namespace: &TestNamespace, submit: usize) -> String {
    namespace.requests(Call::Submit)[submit].idempotency_key.clone().unwrap()
}

#[tokio::test]
async fn a_submit_answer_without_a_valid_job_id_is_repeated_with_the_same_key() {
    for fault in ["{body: {jobId: ../../admin}}", "garbage", "empty", "wrongTypes", "{truncated: {}}"] {
        let namespace = with_environment(&format!("faults: [{{call: submit, fault: {fault}}}]")).await;
        let bot = namespace.apply(sample()).await;
        bot.until_settled(1, Outcome::Succeeded).await;
        assert_eq!(namespace.jobs().len(), 1, "{fault}");
        assert_eq!(key(&namespace, 0), key(&namespace, 1), "{fault}");
    }
}

#[tokio::test]
async fn a_refused_repeat_of_a_submit_proves_nothing_and_stalls_the_resource() {
    let namespace = with_environment(
        "faults: [{call: submit, fault: dropAfterEffect}, {call: submit, nth: 2, times: forever, fault: {status: {code: 400}}}]",
    )
    .await;
    let bot = namespace.apply(sample()).await;
    let object = bot.until_stalled(Reason::SubmitOutcomeUnknown).await;
    assert_eq!(object.attempt().step, Step::Submitting);
    bot.until_event("Warning", Reason::SubmitOutcomeUnknown).await;
    namespace.clear_faults();
    bot.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(namespace.jobs().len(), 1, "the submit was repeated with its key");
}

#[tokio::test]
async fn without_idempotency_keys_a_submit_with_an_ambiguous_answer_is_never_repeated() {
    let namespace = plan().await
        .scenario("idempotency: unsupported\nenvironments: {env_prod_us_01: {faults: [{call: submit, fault: dropAfterEffect}]}}")
        .flags(&["--submit-idempotency", "unsupported"])
        .start()
        .await;
    let bot = namespace.apply(sample().timeout(3).webhook(&namespace.webhook_url())).await;
    let object = bot.until_settled(1, Outcome::Unknown).await;
    assert_eq!(object.says(ConditionType::Stalled), (True, Reason::SubmitOutcomeUnknown));
    assert_eq!((namespace.request_count(Call::Submit), namespace.jobs().len()), (1, 1));
    assert_eq!(namespace.audit().len(), 1, "a submit that may have had an effect is audited");
    bot.until_event("Warning", Reason::SubmitOutcomeUnknown).await;

    // The first job may run until its deadline. Only then may the next one start.
    let deadline = object.attempt().deadline_at().unwrap();
    bot.request_retry("looked at it").await;
    let object = bot.until_settled(2, Outcome::Succeeded).await;
    assert!(object.attempt().started_at >= deadline, "{} {deadline}", object.attempt().started_at);
}

#[tokio::test]
async fn without_idempotency_keys_a_clear_answer_leads_to_success() {
    let namespace =
        plan().await.scenario("idempotency: unsupported").flags(&["--submit-idempotency", "unsupported"]).start().await;
    namespace.apply(sample()).await.until_settled(1, Outcome::Succeeded).await;
}

#[tokio::test]
async fn an_edit_after_the_intent_does_not_change_the_submit() {
    let namespace = with_environment("faults: [{call: submit, times: forever, fault: {status: {code: 503}}}]").await;
    let bot = namespace.apply(sample().version("1.0.0")).await;
    bot.until_ready_reason(Reason::ApiUnavailable).await;
    bot.edit(&sample().version("2.0.0").timeout(40)).await;
    bot.until("generation 2 is observed", |object| object.recorded().observed_generation == 2).await;
    namespace.clear_faults();
    let object = bot.until_settled(2, Outcome::Succeeded).await;
    assert_eq!(object.recorded().history[0].verdict.outcome, Outcome::Succeeded);
    let submits = namespace.requests(Call::Submit);
    let (last, first) = submits.split_last().unwrap();
    assert!(first.len() > 3 && first.iter().all(|record| record.body_sha256 == first[0].body_sha256));
    assert_ne!(last.idempotency_key, first[0].idempotency_key);
    assert_eq!(namespace.jobs().len(), 2);
}
