//! What a scrape shows after what has happened.

#![allow(clippy::unwrap_used)]

use super::*;
use api::status::{Outcome, RollbackReason, Step};
use jiff::{SignedDuration, Timestamp};
use kube::runtime::watcher::Event;
use platform::{ClientFingerprint, Requester};
use serde_json::json;
use std::num::NonZeroU32;

/// The value of that series, as it stands in the text; `None` where it is not there.
fn value(metrics: &Metrics, series: &str) -> Option<f64> {
    let text = metrics.encode().unwrap();
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn a_request_is_counted_by_call_and_class_and_its_time_by_call() {
    let metrics = Metrics::of(Arc::default(), &cognigy_deployments::operations::ALL);
    let requests = r#"cognigy_operator_requests_total{call="health",class="transient"}"#;
    assert_eq!(
        value(&metrics, requests),
        Some(0.0),
        "there before anything has happened, so that a first one is a rise"
    );
    metrics.observed(&cognigy_deployments::operations::HEALTH, "transient", Duration::from_millis(70));
    assert_eq!(value(&metrics, requests), Some(1.0));
    let bucket = |bound| format!(r#"cognigy_operator_request_duration_seconds_bucket{{le="{bound}",call="health"}}"#);
    assert_eq!((value(&metrics, &bucket("0.05")), value(&metrics, &bucket("0.1"))), (Some(0.0), Some(1.0)));
}

#[test]
fn reconciles_and_writes_are_counted_by_result() {
    let metrics = Metrics::of(Arc::default(), &cognigy_deployments::operations::ALL);
    metrics.reconciled(None, Duration::from_millis(10));
    metrics.reconciled(Some(&Error::Panicked("a bug".to_owned())), Duration::from_millis(10));
    metrics.wrote("status", Some(&Error::Conflict));
    for (series, expected) in [
        (r#"reconciles_total{result="success"}"#, 1.0),
        (r#"reconciles_total{result="panicked"}"#, 1.0),
        ("reconcile_duration_seconds_count", 2.0),
        (r#"kubernetes_writes_total{kind="status",result="conflict"}"#, 1.0),
        (r#"kubernetes_writes_total{kind="status",result="success"}"#, 0.0),
    ] {
        assert_eq!(value(&metrics, &format!("cognigy_operator_{series}")), Some(expected), "{series}");
    }
}

#[test]
fn what_is_over_of_a_rollout_is_counted_and_timed() {
    let metrics = Metrics::of(Arc::default(), &cognigy_deployments::operations::ALL);
    metrics.passed(Transition::Step { step: Step::RollingOut, took: Duration::from_secs(60) });
    metrics.passed(Transition::RollbackAccepted {
        reason: RollbackReason::HealthCheckFailure,
        took: Duration::from_millis(400),
    });
    metrics.passed(Transition::Ended(Outcome::RolledBack));
    for (series, expected) in [
        (r#"step_duration_seconds_sum{step="RollingOut"}"#, 60.0),
        (r#"step_duration_seconds_count{step="Monitoring"}"#, 0.0),
        (r#"verdict_to_rollback_seconds_bucket{le="0.25",reason="health_check_failure"}"#, 0.0),
        (r#"verdict_to_rollback_seconds_bucket{le="0.5",reason="health_check_failure"}"#, 1.0),
        (r#"rollouts_total{outcome="RolledBack"}"#, 1.0),
        (r#"rollouts_total{outcome="Succeeded"}"#, 0.0),
    ] {
        assert_eq!(value(&metrics, &format!("cognigy_operator_{series}")), Some(expected), "{series}");
    }
}

fn client(id: &str) -> ClientFingerprint {
    ClientFingerprint::of(&[id])
}

#[tokio::test(start_paused = true)]
async fn the_budgets_of_all_clients_are_summed_up_and_the_fullest_stands_out() {
    let budgets = Arc::new(Budgets::default());
    let metrics = Metrics::of(Arc::clone(&budgets), &cognigy_deployments::operations::ALL);
    assert_eq!(value(&metrics, "cognigy_operator_budget_clients"), Some(0.0));
    let (busy, resting) = (budgets.shared(client("busy")), budgets.shared(client("resting")));
    let _claims =
        [(&busy, 10), (&resting, 200)].map(|(budget, limit)| budget.claim_limit(NonZeroU32::new(limit).unwrap()));
    let _permit = busy.admit(Priority::Job, &Requester::new("bots", "bot")).await.unwrap();
    resting.pause(Duration::from_secs(45));
    let waiting = tokio::spawn(async move { resting.admit(Priority::Health, &Requester::new("bots", "bot")).await });
    tokio::task::yield_now().await;
    for (series, expected) in [
        ("clients", 2.0),
        ("limit_requests", 210.0),
        ("effective_limit_requests", 210.0),
        ("used_requests", 1.0),
        ("fullest_used_ratio", 0.1),
        ("longest_pause_seconds", 45.0),
        (r#"waiting_requests{priority="health"}"#, 1.0),
        (r#"waiting_requests{priority="job"}"#, 0.0),
    ] {
        assert_eq!(value(&metrics, &format!("cognigy_operator_budget_{series}")), Some(expected), "{series}");
    }
    let reserve = |series: &str| value(&metrics, &format!("cognigy_operator_budget_reserve{series}_requests")).unwrap();
    assert!(reserve("") >= reserve("_free") && reserve("_free") > 0.0);
    waiting.abort();
}

#[test]
fn the_wait_for_a_turn_is_timed_and_who_got_none_is_counted_by_why() {
    let metrics = Metrics::of(Arc::default(), &cognigy_deployments::operations::ALL);
    metrics.waited(Priority::Rollback, "admitted", Duration::from_millis(40));
    metrics.waited(Priority::Audit, "busy", Duration::from_secs(75));
    for (series, expected) in [
        (r#"wait_seconds_bucket{le="0.05",priority="rollback"}"#, 1.0),
        (r#"wait_seconds_count{priority="audit"}"#, 0.0),
        (r#"refusals_total{priority="audit",reason="busy"}"#, 1.0),
        (r#"refusals_total{priority="audit",reason="full"}"#, 0.0),
    ] {
        assert_eq!(value(&metrics, &format!("cognigy_operator_budget_{series}")), Some(expected), "{series}");
    }
}

#[test]
fn the_leader_is_the_one_that_acts() {
    let metrics = Metrics::of(Arc::default(), &cognigy_deployments::operations::ALL);
    assert_eq!(value(&metrics, "cognigy_operator_leader"), Some(0.0));
    metrics.leads(true);
    assert_eq!(value(&metrics, "cognigy_operator_leader"), Some(1.0));
    metrics.leads(false);
    assert_eq!(value(&metrics, "cognigy_operator_leader"), Some(0.0));
}

#[test]
fn resources_and_their_outboxes_are_read_at_the_scrape() {
    let metrics = Metrics::of(Arc::default(), &cognigy_deployments::operations::ALL);
    let written = Timestamp::now() - SignedDuration::from_hours(2);
    let object = serde_json::from_value(json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1",
        "kind": "CognigyDeployment",
        "metadata": {"name": "bot", "namespace": "bots", "uid": "6f2c0f0e"},
        "spec": {"environmentId": "env_1", "configurationSnapshot": {"botVersion": "1"}, "dependencyLocks": []},
        "status": {
            "conditions": [
                {"type": "Ready", "status": "False", "reason": "RollbackUnreachable", "lastTransitionTime": written},
                {"type": "Stalled", "status": "True", "reason": "RollbackUnreachable", "lastTransitionTime": written},
            ],
            "attempt": {
                "number": 1, "digest": "v1:a", "checks": {"digest": "v1:b"}, "generation": 1, "step": "RollingBack",
                "startedAt": written,
            },
            "outbox": [{"id": "1", "kind": "Audit", "body": "{}", "createdAt": written}],
        },
    }));
    let watch = metrics.census().watch();
    watch.show(&Event::Apply(object.unwrap()));
    for (series, expected) in [
        (r#"resources{state="stalled"}"#, Some(1.0)),
        (r#"resources{state="ready"}"#, Some(0.0)),
        (r#"resources_stalled{reason="RollbackUnreachable"}"#, Some(1.0)),
        (r#"resources_stalled{reason="RolledBack"}"#, None),
        (r#"rollouts_in_progress{step="RollingBack"}"#, Some(1.0)),
        (r#"rollouts_in_progress{step="Monitoring"}"#, Some(0.0)),
        (r#"outbox_messages{receiver="audit"}"#, Some(1.0)),
        (r#"outbox_messages{receiver="webhook"}"#, Some(0.0)),
        (r#"outbox_oldest_message_age_seconds{receiver="webhook"}"#, Some(0.0)),
    ] {
        assert_eq!(value(&metrics, &format!("cognigy_operator_{series}")), expected, "{series}");
    }
    let age = value(&metrics, r#"cognigy_operator_outbox_oldest_message_age_seconds{receiver="audit"}"#).unwrap();
    assert!((7200.0..7300.0).contains(&age), "{age}");
}

#[test]
fn the_process_is_told_of_under_the_names_that_prometheus_clients_use() {
    let metrics = Metrics::of(Arc::default(), &cognigy_deployments::operations::ALL);
    let started_at = value(&metrics, "process_start_time_seconds").unwrap();
    assert!(started_at > 1.7e9 && started_at <= Timestamp::now().as_duration().as_secs_f64());
    if cfg!(target_os = "linux") {
        assert!(value(&metrics, "process_cpu_seconds_total").is_some());
        assert!(value(&metrics, "process_resident_memory_bytes").unwrap() > 1024.0 * 1024.0);
    }
}
