//! Delivery to the audit log and to webhooks.

use crate::support::*;
use simulator::{RequestFilter, Scenario, Server};

#[tokio::test]
async fn a_webhook_url_from_a_secret_is_used_and_shown_nowhere() {
    let namespace = new_namespace().await;
    let url = format!("{}/webhooks/s3cr3t-path", namespace.platform.url());
    namespace.put_secret("ci", json!({"url": format!("{url}\n")})).await;
    let webhook = json!({"webhook": {"urlFrom": {"secretKeyRef": {"name": "ci", "key": "url"}}}});
    let object = namespace.apply(sample().with(webhook)).await.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(namespace.webhooks()[0].name, "s3cr3t-path");
    assert_eq!(namespace.requests(Call::Submit)[0].body.as_ref().unwrap()["webhookCallbackUrl"], json!(url));
    assert!(!serde_json::to_string(&object).unwrap().contains("s3cr3t-path"));
    assert!(!namespace.operator().log().text().contains("s3cr3t-path"));
}

#[tokio::test]
async fn a_missing_webhook_secret_stalls_the_resource_before_the_submit() {
    let namespace = new_namespace().await;
    let webhook = json!({"webhook": {"urlFrom": {"secretKeyRef": {"name": "ci", "key": "url"}}}});
    let bot = namespace.apply(sample().with(webhook)).await;
    let object = bot.until_stalled(Reason::WebhookUrlNotFound).await;
    assert!(object.condition(ConditionType::Stalled).message.contains("ci"));
    assert_eq!(namespace.request_count(Call::Submit), 0);

    namespace.put_secret("ci", json!({"url": namespace.webhook_url()})).await;
    bot.request_retry("it is there").await;
    bot.until_settled(1, Outcome::Succeeded).await;
}

#[tokio::test]
async fn a_webhook_that_fails_does_not_change_the_outcome_and_gets_the_same_event_later() {
    let namespace =
        plan().await.scenario("faults: [{call: webhook, times: 3, fault: {status: {code: 500}}}]").start().await;
    let bot = namespace.apply(sample().webhook(&namespace.webhook_url())).await;
    let object = bot.until_ready().await;
    assert_eq!(object.attempt().outcome(), Some(Outcome::Succeeded), "the outcome does not wait for the delivery");
    let object = bot.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(object.says(ConditionType::Delivered), (True, Reason::Delivered));
    let told = namespace.requests(Call::Webhook);
    assert!(told.len() > 3);
    assert!(told.iter().all(|record| record.idempotency_key == told[0].idempotency_key));
    assert!(told.iter().all(|record| record.body_sha256 == told[0].body_sha256));
    assert_eq!(namespace.webhooks().len(), 1);
}

#[tokio::test]
async fn the_audit_record_survives_an_outage_and_a_crash_unchanged() {
    let mut namespace =
        plan().await.scenario("faults: [{call: audit, times: forever, fault: {status: {code: 503}}}]").start().await;
    namespace.apply(sample()).await.until_ready().await;
    namespace.until_requests(Call::Audit, 1).await;
    let waiting = namespace.resource("bot").get().await;
    assert_eq!(waiting.says(ConditionType::Delivered), (Unknown, Reason::DeliveryPending));
    assert_eq!(waiting.recorded().outbox.len(), 1);

    namespace.kill_operator().await;
    namespace.clear_faults();
    namespace.start_operator().await;
    namespace.resource("bot").until_settled(1, Outcome::Succeeded).await;
    let tries = namespace.requests(Call::Audit);
    assert!(tries.len() > 1);
    assert!(tries.iter().all(|record| record.body_sha256 == tries[0].body_sha256));
    assert!(tries.iter().all(|record| record.idempotency_key == tries[0].idempotency_key));
    assert_eq!(namespace.audit().len(), 1);
}

#[tokio::test]
async fn an_audit_log_that_is_down_does_not_delay_the_next_rollout() {
    let namespace =
        plan().await.scenario("faults: [{call: audit, times: forever, fault: {status: {code: 503}}}]").start().await;
    let bot = namespace.apply(sample()).await;
    bot.until_ready().await;
    bot.edit(&sample().version("2.0.0")).await;
    bot.until("attempt 2 has succeeded", |object| {
        object.attempt().number == 2 && object.attempt().outcome() == Some(Outcome::Succeeded)
    })
    .await;
    namespace.clear_faults();
    let object = bot.until_settled(2, Outcome::Succeeded).await;
    assert!(object.recorded().outbox.is_empty());
    let jobs: Vec<_> = namespace.audit().iter().map(|taken| taken.record["jobId"].clone()).collect();
    assert_eq!(jobs, namespace.jobs().iter().map(|job| json!(job.id)).collect::<Vec<_>>(), "in order, each once");
}

#[tokio::test]
async fn each_audit_record_is_a_line_of_the_operators_log() {
    let namespace = new_namespace().await;
    let object = namespace.apply(sample()).await.until_settled(1, Outcome::Succeeded).await;
    let log = namespace.operator().log().text();
    let job = object.attempt().job_id().unwrap().as_str();
    let lines: Vec<_> = log.lines().filter(|line| line.contains(r#""target":"audit""#)).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains(job), "{}", lines[0]);
}

#[tokio::test]
async fn without_a_webhook_no_event_is_sent_and_the_submit_has_no_callback_url() {
    let namespace = new_namespace().await;
    namespace.apply(sample()).await.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(namespace.request_count(Call::Webhook), 0);
    assert_eq!(namespace.requests(Call::Submit)[0].body.as_ref().unwrap()["webhookCallbackUrl"], Value::Null);
}

#[tokio::test]
async fn the_default_webhook_gets_no_event_about_a_rollout_at_a_tenants_own_api() {
    let namespace = plan()
        .await
        .flags(&["--webhook-url", "{url}/webhooks/operators", "--base-url", "{url}"])
        .flags(&["--default-webhook-namespace", "{namespace}"])
        .start()
        .await;
    // A tenant's API. The tenant controls its answers.
    let fake = Server::bind("127.0.0.1:0".parse().unwrap(), Scenario::parse("{}").unwrap(), None).await.unwrap();
    let mut credentials = namespace.credentials();
    credentials["baseUrl"] = json!(fake.url());
    credentials["tokenUrl"] = json!(fake.token_url());
    namespace.put_secret("fake", credentials).await;
    let reference = json!({"credentialsRef": {"name": "fake"}});
    let tenant = namespace.apply(sample().with(reference)).await;
    let object = tenant.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(object.says(ConditionType::Delivered), (True, Reason::Delivered), "there is no event to deliver");
    let submits = RequestFilter { call: Some(Call::Submit), ..RequestFilter::default() };
    let callback = fake.handle().with(|fake| {
        let submit = fake.requests(&submits).next().unwrap();
        submit.body.as_ref().unwrap()["webhookCallbackUrl"].clone()
    });
    assert_eq!(callback, Value::Null);
    assert_eq!((namespace.webhooks().len(), namespace.request_count(Call::Submit)), (0, 0));
    // With the operator's own API the same resource causes an event, so nothing else prevents it.
    namespace.apply(sample().named("own").environment("env_own")).await.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(namespace.webhooks()[0].name, "operators");
}

#[tokio::test]
async fn the_default_webhook_gets_no_event_about_a_namespace_that_the_flag_does_not_list() {
    let namespace = plan()
        .await
        .flags(&["--webhook-url", "{url}/webhooks/operators", "--base-url", "{url}"])
        .flags(&["--default-webhook-namespace", "another"])
        .start()
        .await;
    namespace.apply(sample()).await.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(namespace.request_count(Call::Webhook), 0);
    assert_eq!(namespace.requests(Call::Submit)[0].body.as_ref().unwrap()["webhookCallbackUrl"], Value::Null);
}

#[tokio::test]
async fn the_default_webhook_gets_the_event_if_a_resource_names_no_webhook() {
    let namespace = plan()
        .await
        .flags(&["--webhook-url", "{url}/webhooks/operators", "--base-url", "{url}"])
        .flags(&["--default-webhook-namespace", "{namespace}"])
        .start()
        .await;
    namespace.apply(sample()).await.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(namespace.webhooks()[0].name, "operators");
    let other =
        namespace.apply(sample().named("other").environment("env_other").webhook(&namespace.webhook_url())).await;
    other.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(namespace.webhooks()[1].name, "ci");
}
