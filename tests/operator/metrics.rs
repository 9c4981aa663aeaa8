//! The metrics of rollouts.

use crate::support::*;

#[tokio::test]
async fn the_metrics_show_each_step_of_a_rollout() {
    let namespace = new_namespace().await;
    namespace.apply(sample()).await.until_settled(1, Outcome::Succeeded).await;
    let operator = namespace.operator();
    operator.until_shown(r#"cognigy_operator_resources{state="ready"}"#, 1.0).await;
    for step in ["Pending", "Validating", "Tracing", "Submitting", "RollingOut", "Monitoring"] {
        let count = format!(r#"cognigy_operator_step_duration_seconds_count{{step="{step}"}}"#);
        assert_eq!(operator.shown(&count).await, 1.0, "{step}");
    }
    let rolling_out = operator.shown(r#"cognigy_operator_step_duration_seconds_sum{step="RollingOut"}"#).await;
    assert!(rolling_out > 0.5, "the first poll is one interval after the submit: {rolling_out}");
    assert_eq!(operator.shown(r#"cognigy_operator_step_duration_seconds_count{step="RollingBack"}"#).await, 0.0);
    assert_eq!(operator.shown(r#"cognigy_operator_requests_total{call="submit",class="success"}"#).await, 1.0);
    assert_eq!(operator.shown("cognigy_operator_leader").await, 1.0);
}

#[tokio::test]
async fn the_metrics_show_the_delay_of_a_rollback_and_a_stalled_resource_until_it_is_deleted() {
    let namespace = with_environment("deploymentsAreUnhealthy: true").await;
    let bot = namespace.apply(sample()).await;
    let object = bot.until_settled(1, Outcome::RolledBack).await;
    let operator = namespace.operator();
    let stalled = r#"cognigy_operator_resources_stalled{reason="RolledBack"}"#;
    operator.until_shown(stalled, 1.0).await;
    assert_eq!(operator.shown(r#"cognigy_operator_rollouts_total{outcome="RolledBack"}"#).await, 1.0);
    let waited =
        |part: &str| format!(r#"cognigy_operator_verdict_to_rollback_seconds_{part}{{reason="health_check_failure"}}"#);
    assert_eq!(operator.shown(&waited("count")).await, 1.0);
    let rollback = object.attempt().rollback.clone().unwrap();
    let recorded = rollback.accepted_at.unwrap().duration_since(rollback.requested_at).as_secs_f64();
    let shown = operator.shown(&waited("sum")).await;
    assert!((shown - recorded).abs() < 1e-6, "{shown} shown, {recorded} recorded");
    for step in ["RollingBack", "VerifyingRollback"] {
        let count = format!(r#"cognigy_operator_step_duration_seconds_count{{step="{step}"}}"#);
        assert_eq!(operator.shown(&count).await, 1.0, "{step}");
    }

    bot.delete_and_wait().await;
    operator.until_shown(r#"cognigy_operator_resources{state="stalled"}"#, 0.0).await;
}

#[tokio::test]
async fn the_metrics_show_undelivered_messages_until_they_are_delivered() {
    let namespace =
        plan().await.scenario("faults: [{call: webhook, times: forever, fault: {status: {code: 500}}}]").start().await;
    let bot = namespace.apply(sample().webhook(&namespace.webhook_url())).await;
    bot.until_ready().await;
    let operator = namespace.operator();
    let messages = r#"cognigy_operator_outbox_messages{receiver="webhook"}"#;
    operator.until_shown(messages, 1.0).await;
    assert!(operator.shown(r#"cognigy_operator_outbox_oldest_message_age_seconds{receiver="webhook"}"#).await > 0.0);
    namespace.clear_faults();
    operator.until_shown(messages, 0.0).await;
    bot.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(operator.shown(r#"cognigy_operator_outbox_oldest_message_age_seconds{receiver="webhook"}"#).await, 0.0);
}

#[tokio::test]
async fn a_restart_during_a_job_does_not_shorten_its_measured_duration() {
    let mut namespace = with_running_jobs("").await;
    let bot = namespace.apply(sample()).await;
    bot.until_step(Step::RollingOut).await;
    namespace.restart_operator().await;
    namespace.let_jobs_end();
    let bot = namespace.resource("bot");
    let ended = bot.until_settled(1, Outcome::Succeeded).await;
    // The time counts from the acceptance of the submit, because a busy machine may send it late.
    let began = ended.attempt().deadline_counts_from().unwrap();
    let recorded = ended.attempt().job_completed_at().unwrap().duration_since(began).as_secs_f64();
    let operator = namespace.operator();
    let shown = operator.shown(r#"cognigy_operator_step_duration_seconds_sum{step="RollingOut"}"#).await;
    assert!((shown - recorded).abs() < 1e-6, "{shown} shown, {recorded} recorded");
    assert_eq!(operator.shown(r#"cognigy_operator_step_duration_seconds_count{step="Submitting"}"#).await, 0.0);
}

/// The series of the sample in this state.
fn info_of(namespace: &TestNamespace, state: &str, reason: &str, phase: &str) -> String {
    let namespace = &namespace.name;
    format!(
        "cognigy_operator_resource_info{{exported_namespace=\"{namespace}\",name=\"bot\",environment=\"env_prod_us_01\",\
         state=\"{state}\",reason=\"{reason}\",phase=\"{phase}\"}}"
    )
}

#[tokio::test]
async fn with_resource_metrics_a_resource_has_one_series_with_its_state_until_it_is_deleted() {
    let namespace = plan().await.flags(&["--resource-metrics"]).start().await;
    let bot = namespace.apply(sample()).await;
    bot.until_settled(1, Outcome::Succeeded).await;
    let operator = namespace.operator();
    let ready = info_of(&namespace, "ready", "Succeeded", "Succeeded");
    operator.until_shown(&ready, 1.0).await;
    let metrics = operator.get("/metrics").await;
    let series = metrics.lines().filter(|line| line.starts_with("cognigy_operator_resource_info{"));
    assert_eq!(series.count(), 1, "a new state replaces the old one:\n{metrics}");
    assert_eq!(operator.shown("cognigy_operator_resource_infos_left_out").await, 0.0);
    bot.delete_and_wait().await;
    operator.until_shown(&ready, 0.0).await;
    assert!(!operator.get("/metrics").await.contains("name=\"bot\""));
}

#[tokio::test]
async fn resource_metrics_can_be_set_by_the_environment_and_show_why_a_resource_needs_a_person() {
    let namespace = plan()
        .await
        .scenario("environments: {env_prod_us_01: {deploymentsAreUnhealthy: true}}")
        .variable("COGNIGY_RESOURCE_METRICS", "true")
        .start()
        .await;
    namespace.apply(sample()).await.until_settled(1, Outcome::RolledBack).await;
    namespace.operator().until_shown(&info_of(&namespace, "stalled", "RolledBack", "RolledBack"), 1.0).await;
}

#[tokio::test]
async fn without_resource_metrics_no_metric_names_a_resource_or_its_namespace() {
    let namespace = new_namespace().await;
    namespace.apply(sample()).await.until_settled(1, Outcome::Succeeded).await;
    let operator = namespace.operator();
    operator.until_shown(r#"cognigy_operator_resources{state="ready"}"#, 1.0).await;
    let metrics = operator.get("/metrics").await;
    for name in [&*namespace.name, "\"bot\"", "env_prod_us_01", "resource_info"] {
        assert!(!metrics.contains(name), "{name}:\n{metrics}");
    }
}
