//! The main path: one resource, one successful rollout, and its deliveries.

use crate::support::*;
use api::FINALIZER;
use kube::ResourceExt;

#[tokio::test]
async fn a_success_sends_each_request_once_and_in_order() {
    let namespace = new_namespace().await;
    let bot = namespace.apply(sample().webhook(&namespace.webhook_url())).await;
    bot.until_settled(1, Outcome::Succeeded).await;

    let calls = namespace.calls();
    let (rollout, deliveries) = calls.split_at(6);
    assert_eq!(rollout, [Call::Token, Call::Validate, Call::Trace, Call::Submit, Call::Job, Call::Health]);
    let mut deliveries = deliveries.to_vec();
    deliveries.sort();
    assert_eq!(deliveries, [Call::Audit, Call::Webhook], "both deliveries are sent, in any order");
}

#[tokio::test]
async fn a_success_sends_the_bodies_that_the_contract_specifies() {
    let namespace = new_namespace().await;
    let bot = namespace.apply(sample().webhook(&namespace.webhook_url())).await;
    let object = bot.until_settled(1, Outcome::Succeeded).await;

    let snapshot = json!({"botVersion": "2.4.1", "nlpEngine": "v3.2", "integrations": ["sap_erp"]});
    let capacity = json!({"max_concurrent_sessions": 500, "memory_limit_mb": 4096});
    let body = |call| namespace.requests(call)[0].body.clone().unwrap();
    assert_eq!(
        body(Call::Token),
        json!({
            "grant_type": "client_credentials",
            "client_id": "demo",
            "scope": "deployments:write environments:read jobs:read validations:execute webhooks:write",
        })
    );
    assert_eq!(
        body(Call::Validate),
        json!({
            "environmentId": ENVIRONMENT,
            "configurationSnapshot": snapshot,
            "capacityConstraints": capacity,
            "isolationRules": {"tenantBoundary": "strict", "resourceQuotaCheck": true},
        })
    );
    assert_eq!(
        body(Call::Trace),
        json!({
            "environmentId": ENVIRONMENT,
            "configurationSnapshot": snapshot,
            "traceOptions": {"simulationDepth": 5, "includeDependencyGraph": true, "detectVersionConflicts": true},
        })
    );
    assert_eq!(
        body(Call::Submit),
        json!({
            "environment_id": ENVIRONMENT,
            "configuration_snapshot": snapshot,
            "dependency_locks": [{"package_name": "cognigy-nlp-core", "version": "3.2.0", "pinned": true}],
            "rollback_policy": {
                "auto_trigger": true, "health_threshold": 2, "timeout_seconds": 60, "revert_snapshot_id": null
            },
            "capacity_constraints": capacity,
            "webhookCallbackUrl": namespace.webhook_url(),
        })
    );
    let attempt = object.attempt();
    let job = attempt.job_id().unwrap().as_str();
    let verdict = attempt.verdict.as_ref().unwrap();
    let seconds = verdict.at.duration_since(attempt.intended_at().unwrap()).as_secs_f64();
    assert!((1.0..60.0).contains(&seconds), "the first poll is one interval after the submit: {seconds}");
    let audit = body(Call::Audit);
    assert_eq!(
        audit,
        json!({
            "timestamp": audit["timestamp"],
            "jobId": job,
            "deploymentSuccess": true,
            "durationSeconds": seconds,
            "auditCategory": "environment_deployment",
            "complianceFlags": {"governanceApproved": true, "dataResidencyCheck": false},
        })
    );
    assert_eq!(audit["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap(), verdict.at);
    assert_eq!(
        body(Call::Webhook),
        json!({
            "event": "deployment_complete",
            "jobId": job,
            "success": true,
            "metrics": {"durationSeconds": seconds, "validationSuccessRate": 1.0},
        })
    );
}

#[tokio::test]
async fn each_changing_request_has_its_own_key_and_the_webhook_gets_no_token() {
    let namespace = new_namespace().await;
    let bot = namespace.apply(sample().webhook(&namespace.webhook_url())).await;
    let object = bot.until_settled(1, Outcome::Succeeded).await;

    let submit_key = object.attempt().idempotency_key().unwrap().as_str();
    let record = |call| namespace.requests(call).remove(0);
    assert_eq!(record(Call::Submit).idempotency_key.as_deref(), Some(submit_key));
    let keys = [Call::Submit, Call::Audit, Call::Webhook].map(|call| record(call).idempotency_key.expect("a key"));
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2], "{keys:?}");
    assert_eq!(record(Call::Webhook).authorization, None);
    assert!(!namespace.operator().log().text().contains("demo-secret"), "the log shows the secret");
}

#[tokio::test]
async fn a_success_takes_five_status_writes_and_one_for_the_finalizer() {
    let namespace = new_namespace().await;
    let mut versions = namespace.record_versions("bot").await;
    // If the submit took longer than the interval, the job and the first poll would be recorded in one write.
    let patient = sample().with(json!({"monitoring": {"intervalSeconds": 4}}));
    let bot = namespace.apply(patient.webhook(&namespace.webhook_url())).await;
    bot.until_settled(1, Outcome::Succeeded).await;
    let versions = versions.until(|object| object.is_true(ConditionType::Delivered)).await;

    let story: Vec<_> = versions
        .iter()
        .map(|object| {
            let has_finalizer = object.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
            (has_finalizer, object.attempt_if_any().map(|attempt| attempt.step), object.recorded().outbox.len())
        })
        .collect();
    assert_eq!(
        story,
        [
            (false, None, 0),
            (true, None, 0),
            (true, Some(Step::Pending), 0),
            (true, Some(Step::Submitting), 0),
            (true, Some(Step::RollingOut), 0),
            (true, Some(Step::Settled), 2),
            (true, Some(Step::Settled), 0),
        ]
    );
    let writes = "cognigy_operator_kubernetes_writes_total";
    let operator = namespace.operator();
    assert_eq!(operator.count(&format!(r#"{writes}{{kind="status",result="success"}}"#)).await, 5);
    assert_eq!(operator.count(&format!(r#"{writes}{{kind="finalizer",result="success"}}"#)).await, 1);
    assert_eq!(operator.count(r#"cognigy_operator_rollouts_total{outcome="Succeeded"}"#).await, 1);

    bot.delete_and_wait().await;
    assert_eq!(operator.count(&format!(r#"{writes}{{kind="finalizer",result="success"}}"#)).await, 2);
    assert_eq!(operator.count(&format!(r#"{writes}{{kind="status",result="success"}}"#)).await, 5);
    let metrics = operator.get("/metrics").await;
    // Other tests create change windows in the operator's namespace, and this operator writes their status as well.
    let has_happened =
        |line: &&str| line.starts_with(writes) && !line.ends_with(" 0") && !line.contains("change_window");
    let writes: Vec<_> = metrics.lines().filter(has_happened).collect();
    assert_eq!(writes.len(), 2, "no write has failed: {writes:?}");
}

#[tokio::test]
async fn the_intent_is_recorded_with_its_key_and_deadline_before_the_submit_is_sent() {
    let namespace = new_namespace().await;
    let mut versions = namespace.record_versions("bot").await;
    let bot = namespace.apply(sample()).await;
    bot.until_settled(1, Outcome::Succeeded).await;

    let versions = versions.until(|object| object.attempt_if_any().is_some_and(|a| a.has_intent())).await;
    let intent = versions.last().unwrap().attempt();
    assert_eq!((intent.step, intent.job_id()), (Step::Submitting, None));
    let submission = intent.submission.as_ref().unwrap();
    assert_eq!(submission.api_origin.as_str(), namespace.platform.url());
    let submitted_at = submission.intended_at;
    assert_eq!(submission.deadline_at.duration_since(submitted_at).as_secs(), 60);
    assert!(namespace.requests(Call::Submit)[0].received_at > submitted_at, "the intent is recorded before the submit");
}

#[tokio::test]
async fn the_conditions_show_progress_and_success_to_tools() {
    let namespace = with_environment("jobDurationSeconds: 2").await;
    let mut versions = namespace.record_versions("bot").await;
    let bot = namespace.apply(sample()).await;
    let done = bot.until_settled(1, Outcome::Succeeded).await;

    let versions = versions.until(|object| object.is_true(ConditionType::Ready)).await;
    let (ready, on_the_way) = versions.split_last().unwrap();
    for object in on_the_way {
        let observed = object.recorded().observed_generation;
        if observed == -1 {
            continue;
        }
        assert_eq!(object.condition(ConditionType::Ready).status, Unknown, "{object:?}");
        assert!(object.is_true(ConditionType::Reconciling), "{object:?}");
        assert!(object.find(ConditionType::Stalled).is_none(), "{object:?}");
    }
    for object in [ready, &done] {
        assert_eq!(object.recorded().observed_generation, 1);
        assert_eq!(object.says(ConditionType::Ready), (True, Reason::Succeeded));
        assert!(object.find(ConditionType::Reconciling).is_none() && object.find(ConditionType::Stalled).is_none());
    }
    let told = |condition_type| done.says(condition_type);
    assert_eq!(told(ConditionType::Validated), (True, Reason::ValidationPassed));
    assert_eq!(told(ConditionType::TracePassed), (True, Reason::TracePassed));
    assert_eq!(told(ConditionType::RolledOut), (True, Reason::JobCompleted));
    assert_eq!(told(ConditionType::Healthy), (True, Reason::HealthGood));
    assert!(done.find(ConditionType::RolledBack).is_none(), "nothing was rolled back");
    assert_eq!(told(ConditionType::Delivered), (True, Reason::Delivered));
    let status = done.recorded();
    assert_eq!(status.phase, Some(Phase::Succeeded));
    let last = status.last_successful.as_ref().unwrap();
    assert_eq!((last.number, Some(&last.job_id)), (1, done.attempt().job_id()));
}

#[tokio::test]
async fn a_resource_that_no_operator_has_seen_does_not_look_ready() {
    let namespace = plan().await.without_operator().start().await;
    let bot = namespace.apply(sample()).await;
    assert_eq!(bot.get().await.recorded().observed_generation, -1);
}

#[tokio::test]
async fn each_step_of_a_success_publishes_a_normal_event() {
    let namespace = new_namespace().await;
    let bot = namespace.apply(sample()).await;
    bot.until_settled(1, Outcome::Succeeded).await;
    bot.until_event("Normal", Reason::Succeeded).await;

    assert_eq!(
        bot.event_reasons("Normal").await,
        [Reason::AttemptStarted, Reason::SubmitAccepted, Reason::Succeeded].map(Reason::as_str)
    );
    let notes = bot.events().await.into_iter().filter_map(|event| event.note).collect::<Vec<_>>().join("\n");
    for step in ["has started", "can run this configuration", "no conflict", "its job is job_", "health"] {
        assert!(notes.contains(step), "{step}: {notes}");
    }
    assert_eq!(bot.event_reasons("Warning").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_running_job_is_polled_every_interval_and_health_after_its_completion() {
    let namespace = with_environment("faults: [{call: job, times: 2, fault: {body: {status: queued}}}]").await;
    let bot = namespace.apply(sample()).await;
    bot.until_settled(1, Outcome::Succeeded).await;

    let asked: Vec<_> = namespace.requests(Call::Job).iter().map(|record| record.received_at).collect();
    assert_eq!(asked.len(), 3, "queued, queued, completed");
    for pair in asked.windows(2) {
        let seconds = pair[1].duration_since(pair[0]).as_secs_f64();
        assert!(seconds > 0.5, "about one interval apart, with tolerance for a busy machine: {seconds}");
    }
    assert_eq!(namespace.request_count(Call::Health), 1);
}

#[tokio::test]
async fn consecutive_good_answers_up_to_the_threshold_end_the_monitoring() {
    let namespace = with_environment("health: {answers: [healthy, unhealthy, healthy, healthy]}").await;
    let bot = namespace.apply(sample().with(json!({"monitoring": {"successThreshold": 2}}))).await;
    bot.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(namespace.request_count(Call::Health), 4, "a bad answer resets the streak of good answers");
}
