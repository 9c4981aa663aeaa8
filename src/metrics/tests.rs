//! Tests of a scrape's output after events.

#![allow(clippy::unwrap_used)]

use super::*;
use api::Reason;
use api::status::DeliveryKind;
use api::status::{Outcome, RollbackReason, Step};
use cognigy_deployments::operations;
use jiff::Timestamp;
use platform::{ClientFingerprint, Requester};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// A fixed count of resources.
#[derive(Default)]
struct Counted(ResourceCounts);

impl ResourceGauges for Counted {
    fn counts(&self, _: Timestamp) -> ResourceCounts {
        self.0.clone()
    }

    fn infos(&self) -> Option<Vec<ResourceInfo>> {
        None
    }
}

/// Metrics without budgets and resources.
fn metrics() -> Metrics {
    Metrics::new(Arc::default(), &operations::ALL, Arc::new(Counted::default()))
}

/// The value of a series in the text; `None` if it is missing.
fn value(metrics: &Metrics, series: &str) -> Option<f64> {
    let text = metrics.encode().unwrap();
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn a_request_is_counted_by_call_and_class_and_its_time_by_call() {
    let metrics = metrics();
    let requests = r#"cognigy_operator_requests_total{call="health",class="transient"}"#;
    assert_eq!(
        value(&metrics, requests),
        Some(0.0),
        "the series exists from the start, so the first request is visible as an increase"
    );
    metrics.observed(&operations::HEALTH, "transient", Duration::from_millis(70));
    assert_eq!(value(&metrics, requests), Some(1.0));
    let bucket = |bound| format!(r#"cognigy_operator_request_duration_seconds_bucket{{le="{bound}",call="health"}}"#);
    assert_eq!((value(&metrics, &bucket("0.05")), value(&metrics, &bucket("0.1"))), (Some(0.0), Some(1.0)));
}

#[test]
fn reconciles_and_writes_are_counted_by_result() {
    let metrics = metrics();
    metrics.reconciled(None, Duration::from_millis(10));
    metrics.reconciled(Some(ErrorKind::Panicked), Duration::from_millis(10));
    metrics.wrote("status", Some(ErrorKind::Conflict));
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
fn completed_steps_and_rollouts_are_counted_and_timed() {
    let metrics = metrics();
    metrics.record_transition(Transition::Step { step: Step::RollingOut, took: Duration::from_secs(60) });
    metrics.record_transition(Transition::RollbackAccepted {
        reason: RollbackReason::HealthCheckFailure,
        took: Duration::from_millis(400),
    });
    metrics.record_transition(Transition::Ended(Outcome::RolledBack));
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
async fn the_budgets_of_all_clients_are_summed_and_the_fullest_one_has_its_own_gauge() {
    let budgets = Arc::new(Budgets::default());
    let metrics = Metrics::new(Arc::clone(&budgets), &operations::ALL, Arc::new(Counted::default()));
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
fn waits_for_the_budget_are_timed_and_refusals_are_counted_by_reason() {
    let metrics = metrics();
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
    let metrics = metrics();
    assert_eq!(value(&metrics, "cognigy_operator_leader"), Some(0.0));
    metrics.leads(true);
    assert_eq!(value(&metrics, "cognigy_operator_leader"), Some(1.0));
    metrics.leads(false);
    assert_eq!(value(&metrics, "cognigy_operator_leader"), Some(0.0));
}

#[test]
fn resources_and_their_outboxes_are_read_at_the_scrape() {
    let counts = ResourceCounts {
        resources: BTreeMap::from([(ConditionSummary::Stalled(Reason::RollbackUnreachable), 1)]),
        in_progress: BTreeMap::from([(Step::RollingBack, 1)]),
        gated: BTreeMap::from([(Reason::WindowClosed, GatedCount { attempts: 3, longest: Duration::from_secs(90) })]),
        outbox: BTreeMap::from([(DeliveryKind::Audit, OutboxCount { messages: 1, oldest: Duration::from_secs(7200) })]),
    };
    let metrics = Metrics::new(Arc::default(), &operations::ALL, Arc::new(Counted(counts)));
    for (series, expected) in [
        (r#"resources{state="stalled"}"#, Some(1.0)),
        (r#"resources{state="ready"}"#, Some(0.0)),
        (r#"resources_stalled{reason="RollbackUnreachable"}"#, Some(1.0)),
        (r#"resources_stalled{reason="RolledBack"}"#, None),
        (r#"rollouts_in_progress{step="RollingBack"}"#, Some(1.0)),
        (r#"rollouts_in_progress{step="Monitoring"}"#, Some(0.0)),
        (r#"outbox_messages{receiver="audit"}"#, Some(1.0)),
        (r#"outbox_messages{receiver="webhook"}"#, Some(0.0)),
        (r#"outbox_oldest_message_age_seconds{receiver="audit"}"#, Some(7200.0)),
        (r#"outbox_oldest_message_age_seconds{receiver="webhook"}"#, Some(0.0)),
    ] {
        assert_eq!(value(&metrics, &format!("cognigy_operator_{series}")), expected, "{series}");
    }
}

#[test]
fn the_metrics_of_the_process_have_the_names_that_prometheus_clients_use() {
    let metrics = metrics();
    let started_at = value(&metrics, "process_start_time_seconds").unwrap();
    assert!(started_at > 1.7e9 && started_at <= Timestamp::now().as_duration().as_secs_f64());
    if cfg!(target_os = "linux") {
        assert!(value(&metrics, "process_cpu_seconds_total").is_some());
        assert!(value(&metrics, "process_resident_memory_bytes").unwrap() > 1024.0 * 1024.0);
    }
}
