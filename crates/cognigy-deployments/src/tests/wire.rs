//! The exact bytes of every request.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::scripted::*;
use crate::*;
use platform::*;
use rollout::facts::SubmitIdempotency;

const BEARER: (&str, &str) = ("authorization", "Bearer tok");
const ACCEPT: (&str, &str) = ("accept", "application/json");
const JSON: (&str, &str) = ("content-type", "application/json");
const KEY: (&str, &str) = ("idempotency-key", "key-1");

fn assert_sent(sent: &Sent, head: &str, headers: &[(&str, &str)], body: &str) {
    let mut expected: Vec<(String, String)> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut actual = sent.headers.clone();
    expected.sort();
    actual.sort();
    assert_eq!((sent.head.as_str(), actual, sent.body.as_str()), (head, expected, body));
}

fn snapshot() -> Box<RawValue> {
    RawValue::from_string(r#"{"botVersion":"2.4.1","nlpEngine":"v3.2"}"#.to_owned()).unwrap()
}

const CAPACITY: CapacityConstraints = CapacityConstraints { max_concurrent_sessions: 500, memory_limit_mb: 4096 };

#[tokio::test(start_paused = true)]
async fn the_token_request_follows_the_contract() {
    let api = api([ok(r#"{"status": "completed"}"#)]);
    api.job().await.unwrap();
    assert_sent(
        &api.all_sent()[0],
        "POST https://auth.cognigy.ai/oauth/token",
        &[("content-type", "application/x-www-form-urlencoded")],
        "grant_type=client_credentials&client_id=operator&client_secret=hunter2%26hunter2\
         &scope=deployments%3Awrite+environments%3Aread+jobs%3Aread+validations%3Aexecute+webhooks%3Awrite",
    );
}

#[tokio::test(start_paused = true)]
async fn the_validation_follows_the_contract() {
    let api = api([ok(r#"{"valid": true}"#)]);
    let (environment_id, snapshot) = ("env_prod_us_01".parse().unwrap(), snapshot());
    let request = ValidateRequest {
        environment_id: &environment_id,
        configuration_snapshot: &snapshot,
        capacity_constraints: CAPACITY,
        isolation_rules: IsolationRules {
            tenant_boundary: "strict",
            network_segment: Some("production-us-east-1"),
            resource_quota_check: true,
        },
    };
    assert!(api.client.validate(&request, &me()).await.unwrap().valid);
    assert_sent(
        &api.sent()[0],
        "POST https://api.cognigy.ai/api/v2/environments/env_prod_us_01/validate",
        &[BEARER, ACCEPT, JSON],
        r#"{"environmentId":"env_prod_us_01","configurationSnapshot":{"botVersion":"2.4.1","nlpEngine":"v3.2"},"capacityConstraints":{"max_concurrent_sessions":500,"memory_limit_mb":4096},"isolationRules":{"tenantBoundary":"strict","networkSegment":"production-us-east-1","resourceQuotaCheck":true}}"#,
    );
}

#[tokio::test(start_paused = true)]
async fn the_trace_follows_the_contract() {
    let api = api([ok(r#"{"traceId": "tr_99x2", "status": "passed", "dependencyConflicts": []}"#)]);
    let (environment_id, snapshot) = ("env_prod_us_01".parse().unwrap(), snapshot());
    let request = TraceRequest {
        environment_id: &environment_id,
        configuration_snapshot: &snapshot,
        trace_options: TraceOptions {
            simulation_depth: 5,
            include_dependency_graph: true,
            detect_version_conflicts: true,
        },
    };
    let trace = api.client.trace(&request, &me()).await.unwrap();
    assert!(trace.passed());
    assert_eq!(trace.trace_id.as_deref(), Some("tr_99x2"));
    assert_sent(
        &api.sent()[0],
        "POST https://api.cognigy.ai/api/v2/validations/synthetic-trace",
        &[BEARER, ACCEPT, JSON],
        r#"{"environmentId":"env_prod_us_01","configurationSnapshot":{"botVersion":"2.4.1","nlpEngine":"v3.2"},"traceOptions":{"simulationDepth":5,"includeDependencyGraph":true,"detectVersionConflicts":true}}"#,
    );
}

#[tokio::test(start_paused = true)]
async fn the_submit_follows_the_contract() {
    let api = api([ok(r#"{"jobId": "job_8f3a2c"}"#)]);
    let (environment_id, snapshot) = ("env_prod_us_01".parse().unwrap(), snapshot());
    let request = SubmitRequest {
        environment_id: &environment_id,
        configuration_snapshot: &snapshot,
        dependency_locks: vec![
            DependencyLock { package_name: "cognigy-nlp-core", version: "3.2.0", pinned: true },
            DependencyLock { package_name: "dialog-runtime", version: "2.1.4", pinned: true },
        ],
        rollback_policy: RollbackPolicy {
            auto_trigger: true,
            health_threshold: 3,
            timeout_seconds: 300,
            revert_snapshot_id: Some("snap_prev_stable"),
        },
        capacity_constraints: CAPACITY,
        webhook_callback_url: Some("https://ci.example.com/hooks/cognigy"),
    };
    let answer =
        api.client.submit(request.to_bytes(), &key(), FirstPost::Yes, SubmitIdempotency::Supported, &me()).await;
    assert_eq!(answer, ApiSubmitAnswer::Accepted("job_8f3a2c".parse().unwrap()));
    assert_sent(
        &api.sent()[0],
        "POST https://api.cognigy.ai/api/v2/deployments",
        &[BEARER, ACCEPT, JSON, KEY],
        r#"{"environment_id":"env_prod_us_01","configuration_snapshot":{"botVersion":"2.4.1","nlpEngine":"v3.2"},"dependency_locks":[{"package_name":"cognigy-nlp-core","version":"3.2.0","pinned":true},{"package_name":"dialog-runtime","version":"2.1.4","pinned":true}],"rollback_policy":{"auto_trigger":true,"health_threshold":3,"timeout_seconds":300,"revert_snapshot_id":"snap_prev_stable"},"capacity_constraints":{"max_concurrent_sessions":500,"memory_limit_mb":4096},"webhookCallbackUrl":"https://ci.example.com/hooks/cognigy"}"#,
    );
}

#[tokio::test(start_paused = true)]
async fn the_polls_follow_the_contract() {
    let api = api([ok(r#"{"status": "completed"}"#), ok(r#"{"status": "healthy", "errorRate": 0.01}"#)]);
    assert_eq!(api.job().await, Ok(JobStatus::Completed));
    let reading = api.client.health(&"env_prod_us_01".parse().unwrap(), 0.05, &me()).await;
    assert_eq!(reading, Ok(HealthStatus::Good { error_rate: 0.01 }));
    assert_sent(&api.sent()[0], "GET https://api.cognigy.ai/api/v2/jobs/job_8f3a2c", &[BEARER, ACCEPT], "");
    let health = "GET https://api.cognigy.ai/api/v2/environments/env_prod_us_01/health";
    assert_sent(&api.sent()[1], health, &[BEARER, ACCEPT], "");
}

#[tokio::test(start_paused = true)]
async fn the_rollback_follows_the_contract() {
    let api = api([status(202, "")]);
    assert_eq!(api.rollback().await, ApiRollbackAnswer::Accepted);
    assert_sent(
        &api.sent()[0],
        "POST https://api.cognigy.ai/api/v2/deployments/job_8f3a2c/rollback",
        &[BEARER, ACCEPT, JSON, KEY],
        r#"{"reason":"health_check_failure"}"#,
    );
}

#[tokio::test(start_paused = true)]
async fn the_audit_record_is_sent_unchanged() {
    let api = api([status(201, "created")]);
    api.client.audit(Bytes::from_static(br#"{"kept": 1}"#), &key(), &me()).await.unwrap();
    let head = "POST https://api.cognigy.ai/api/v2/audit/logs";
    assert_sent(&api.sent()[0], head, &[BEARER, ACCEPT, JSON, KEY], r#"{"kept": 1}"#);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_request_contains_the_event_and_no_token() {
    let api = api([status(204, "")]);
    let sender =
        WebhookSender::new(api.transport.clone() as Arc<dyn Transport>, ExchangeOptions::new(EgressPolicy::default()));
    let url = "https://ci.example.com/hooks/cognigy?key=1".parse().unwrap();
    sender.deliver(&url, Bytes::from_static(b"{}"), &key()).await.unwrap();
    assert_sent(&api.all_sent()[0], "POST https://ci.example.com/hooks/cognigy?key=1", &[ACCEPT, JSON, KEY], "{}");
}
