//! Submitting once, whatever the network does.

use crate::support::*;

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_under_the_same_key_and_there_is_one_job() {
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
async fn a_first_submit_that_is_refused_is_a_failure_with_nothing_out_and_no_audit() {
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
async fn an_answer_without_a_usable_job_is_an_unknown_outcome_that_the_same_key_resolves() {
    for fault in ["{body: {jobId: ../../admin}}", "garbage", "empty", "wrongTypes", "{truncated: {}}"] {
        let namespace = with_environment(&format!("faults: [{{call: submit, fault: {fault}}}]")).await;
        let bot = namespace.apply(sample()).await;
        bot.until_settled(1, Outcome::Succeeded).await;
        assert_eq!(namespace.jobs().len(), 1, "{fault}");
        assert_eq!(key(&namespace, 0), key(&namespace, 1), "{fault}");
    }
}

#[tokio::test]
async fn a_refusal_of_a_repeat_proves_nothing_and_is_told_to_a_person() {
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
    assert_eq!(namespace.jobs().len(), 1, "the keyed tries have gone on");
}

#[tokio::test]
async fn where_keys_are_ignored_an_ambiguous_answer_is_never_repeated() {
    let namespace = plan().await
        .scenario("idempotency: unsupported\nenvironments: {env_prod_us_01: {faults: [{call: submit, fault: dropAfterEffect}]}}")
        .flags(&["--submit-idempotency", "unsupported"])
        .start()
        .await;
    let bot = namespace.apply(sample().timeout(3).webhook(&namespace.webhook_url())).await;
    let object = bot.until_settled(1, Outcome::Unknown).await;
    assert_eq!(object.says(ConditionType::Stalled), (True, Reason::SubmitOutcomeUnknown));
    assert_eq!((namespace.request_count(Call::Submit), namespace.jobs().len()), (1, 1));
    assert_eq!(namespace.audit().len(), 1, "what may be out is audited");
    bot.until_event("Warning", Reason::SubmitOutcomeUnknown).await;

    // The job of the first may still be at work until its deadline; only then may another begin.
    let deadline = object.attempt().deadline_at().unwrap();
    bot.request_retry("looked at it").await;
    let object = bot.until_settled(2, Outcome::Succeeded).await;
    assert!(object.attempt().started_at >= deadline, "{} {deadline}", object.attempt().started_at);
}

#[tokio::test]
async fn where_keys_are_ignored_a_clear_answer_is_as_good_as_ever() {
    let namespace =
        plan().await.scenario("idempotency: unsupported").flags(&["--submit-idempotency", "unsupported"]).start().await;
    namespace.apply(sample()).await.until_settled(1, Outcome::Succeeded).await;
}

#[tokio::test]
async fn an_edit_after_the_intent_changes_nothing_of_what_is_sent() {
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
