//! Many rollouts with a small request budget: which one starts, which ones wait, and what a waiting resource shows.

use crate::support::*;
use kube::ResourceExt;

/// A namespace with a budget for one rollout at a time. Its jobs run until [`TestNamespace::let_jobs_end`].
async fn small_budget() -> TestNamespace {
    let running = "faults: [{call: job, times: forever, fault: {body: {status: running}}}]";
    let mut namespace = plan().await.scenario(running).without_operator().start().await;
    let mut credentials = namespace.credentials();
    // 95 polls a minute. Each rollout needs 60.
    credentials["requestsPerMinute"] = "100".into();
    namespace.put_secret("cognigy-api", credentials).await;
    namespace.start_operator().await;
    namespace
}

/// A rollout that is polled every second also if the budget is short.
fn polled_every_second(name: &str) -> Sample {
    let monitoring = serde_json::json!({"monitoring": {"intervalSeconds": 1, "maxIntervalSeconds": 1}});
    sample().named(name).environment(&format!("env_{name}")).timeout(3600).with(monitoring)
}

async fn until_queued(namespace: &TestNamespace, name: &str) -> CognigyDeployment {
    namespace.apply(polled_every_second(name)).await.until_ready_reason(Reason::Queued).await
}

async fn until_running(namespace: &TestNamespace, name: &str) {
    namespace.apply(polled_every_second(name)).await.until_ready_reason(Reason::RollingOut).await;
}

/// The environments that were validated, each once, in the order of their first validation.
fn started(namespace: &TestNamespace) -> Vec<String> {
    let mut began: Vec<String> = Vec::new();
    for record in namespace.requests(Call::Validate) {
        let environment = record.path.split('/').nth_back(1).unwrap_or_default().to_owned();
        if !began.contains(&environment) {
            began.push(environment);
        }
    }
    began
}

#[tokio::test]
async fn a_rollout_beyond_the_budget_waits_and_shows_its_position_and_expected_start() {
    let namespace = small_budget().await;
    until_running(&namespace, "first").await;
    let second = until_queued(&namespace, "second").await;
    assert_eq!(second.says(ConditionType::Ready), (Unknown, Reason::Queued));
    assert_eq!(second.says(ConditionType::Reconciling), (True, Reason::Queued));
    let message = &second.condition(ConditionType::Ready).message;
    assert!(message.contains("position 1 of 1 at ") && message.contains(", expected to start at about "), "{message}");
    let third = until_queued(&namespace, "third").await;
    let message = &third.condition(ConditionType::Ready).message;
    assert!(message.contains("position 2 of 2"), "{message}");
    assert_eq!(started(&namespace), ["env_first"], "waiting rollouts cause no request");
    namespace.let_jobs_end();
    for name in ["first", "second", "third"] {
        namespace.resource(name).until_settled(1, Outcome::Succeeded).await;
    }
    assert_eq!(started(&namespace), ["env_first", "env_second", "env_third"]);
}

#[tokio::test]
async fn a_waiting_rollout_leaves_the_queue_when_it_is_deleted_or_suspended() {
    let namespace = small_budget().await;
    for name in ["first", "deleted", "suspended", "last"] {
        match name {
            "first" => until_running(&namespace, name).await,
            name => drop(until_queued(&namespace, name).await),
        }
    }
    namespace.resource("deleted").delete_and_wait().await;
    let suspended = namespace.resource("suspended");
    suspended.edit(&polled_every_second("suspended").suspend(true)).await;
    suspended.until_ready_reason(Reason::Suspended).await;
    namespace.let_jobs_end();
    namespace.resource("first").until_ready().await;
    namespace.resource("last").until_ready().await;
    assert_eq!(started(&namespace), ["env_first", "env_last"]);
}

#[tokio::test]
async fn a_requested_retry_moves_to_the_front_of_the_queue() {
    let namespace = small_budget().await;
    until_running(&namespace, "first").await;
    until_queued(&namespace, "second").await;
    until_queued(&namespace, "third").await;
    let (second, third) = (namespace.resource("second"), namespace.resource("third"));
    third.request_retry("please").await;
    third.until("it has moved up", |object| object.recorded().handled_requests.unwrap().retry.is_some()).await;
    namespace.let_jobs_end();
    second.until_ready().await;
    third.until_ready().await;
    assert_eq!(started(&namespace), ["env_first", "env_third", "env_second"]);
}

#[tokio::test]
async fn a_restart_keeps_the_order_of_the_queue_and_counts_the_rollouts_in_flight() {
    let mut namespace = small_budget().await;
    until_running(&namespace, "first").await;
    // The order of their names is the reverse of the order in which they were applied.
    for name in ["c", "b", "a"] {
        until_queued(&namespace, name).await;
    }
    namespace.restart_operator().await;
    let asked = namespace.request_count(Call::Job);
    namespace.until_requests(Call::Job, asked + 2).await;
    assert_eq!(started(&namespace), ["env_first"]);
    namespace.let_jobs_end();
    for name in ["first", "a", "b", "c"] {
        namespace.resource(name).until_ready().await;
    }
    assert_eq!(started(&namespace), ["env_first", "env_c", "env_b", "env_a"]);
}

#[tokio::test]
async fn waiting_in_the_queue_adds_no_status_write() {
    let namespace = small_budget().await;
    until_running(&namespace, "first").await;
    until_queued(&namespace, "second").await;
    let mut versions = namespace.record_versions("second").await;
    namespace.let_jobs_end();
    let settled = namespace.resource("second").until_settled(1, Outcome::Succeeded).await;
    let versions = versions.until(|object| object.resource_version() == settled.resource_version()).await;
    // The writes are: the intent, the job, the outcome with its messages, and the delivery of the messages.
    assert_eq!(versions.len(), 4, "{versions:#?}");
}
