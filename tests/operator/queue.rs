//! Many rollouts behind a small request budget: who begins, who waits, and what those who wait are told.

use crate::support::*;
use kube::ResourceExt;

/// A namespace whose budget has room to watch one restless rollout, and in which jobs run until they are let end.
async fn narrow() -> TestNamespace {
    let running = "faults: [{call: job, times: forever, fault: {body: {status: running}}}]";
    let mut namespace = plan().await.scenario(running).without_operator().start().await;
    let mut credentials = namespace.credentials();
    // 95 looks a minute, of which each rollout takes 60.
    credentials["requestsPerMinute"] = "100".into();
    namespace.put_secret("cognigy-api", credentials).await;
    namespace.start_operator().await;
    namespace
}

/// It is looked at every second, however short requests are.
fn restless(name: &str) -> Sample {
    let monitoring = serde_json::json!({"monitoring": {"intervalSeconds": 1, "maxIntervalSeconds": 1}});
    sample().named(name).environment(&format!("env_{name}")).timeout(3600).with(monitoring)
}

async fn until_queued(namespace: &TestNamespace, name: &str) -> CognigyDeployment {
    namespace.apply(restless(name)).await.until_ready_reason(Reason::Queued).await
}

async fn until_running(namespace: &TestNamespace, name: &str) {
    namespace.apply(restless(name)).await.until_ready_reason(Reason::RollingOut).await;
}

/// The environments that were validated, in order, each once.
fn began(namespace: &TestNamespace) -> Vec<String> {
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
async fn what_cannot_be_watched_waits_and_says_where_and_for_how_long() {
    let namespace = narrow().await;
    until_running(&namespace, "first").await;
    let second = until_queued(&namespace, "second").await;
    assert_eq!(second.says(ConditionType::Ready), (Unknown, Reason::Queued));
    assert_eq!(second.says(ConditionType::Reconciling), (True, Reason::Queued));
    let message = &second.condition(ConditionType::Ready).message;
    assert!(message.contains("position 1 of 1 at ") && message.contains(", expected to start at about "), "{message}");
    let third = until_queued(&namespace, "third").await;
    let message = &third.condition(ConditionType::Ready).message;
    assert!(message.contains("position 2 of 2"), "{message}");
    assert_eq!(began(&namespace), ["env_first"], "nothing was asked of those who wait");
    namespace.let_jobs_end();
    for name in ["first", "second", "third"] {
        namespace.resource(name).until_settled(1, Outcome::Succeeded).await;
    }
    assert_eq!(began(&namespace), ["env_first", "env_second", "env_third"]);
}

#[tokio::test]
async fn one_that_waits_leaves_as_it_is_deleted_or_suspended() {
    let namespace = narrow().await;
    for name in ["first", "deleted", "suspended", "last"] {
        match name {
            "first" => until_running(&namespace, name).await,
            name => drop(until_queued(&namespace, name).await),
        }
    }
    namespace.resource("deleted").delete_and_wait().await;
    let suspended = namespace.resource("suspended");
    suspended.edit(&restless("suspended").suspend(true)).await;
    suspended.until_ready_reason(Reason::Suspended).await;
    namespace.let_jobs_end();
    namespace.resource("first").until_ready().await;
    namespace.resource("last").until_ready().await;
    assert_eq!(began(&namespace), ["env_first", "env_last"]);
}

#[tokio::test]
async fn a_retry_that_a_person_asks_for_goes_ahead() {
    let namespace = narrow().await;
    until_running(&namespace, "first").await;
    until_queued(&namespace, "second").await;
    until_queued(&namespace, "third").await;
    let (second, third) = (namespace.resource("second"), namespace.resource("third"));
    third.request_retry("please").await;
    third.until("it has moved up", |object| object.recorded().handled_requests.unwrap().retry.is_some()).await;
    namespace.let_jobs_end();
    second.until_ready().await;
    third.until_ready().await;
    assert_eq!(began(&namespace), ["env_first", "env_third", "env_second"]);
}

#[tokio::test]
async fn a_restart_keeps_the_order_and_what_is_in_flight_is_counted() {
    let mut namespace = narrow().await;
    until_running(&namespace, "first").await;
    // By name they would come the other way round.
    for name in ["c", "b", "a"] {
        until_queued(&namespace, name).await;
    }
    namespace.restart_operator().await;
    let asked = namespace.request_count(Call::Job);
    namespace.until_requests(Call::Job, asked + 2).await;
    assert_eq!(began(&namespace), ["env_first"]);
    namespace.let_jobs_end();
    for name in ["first", "a", "b", "c"] {
        namespace.resource(name).until_ready().await;
    }
    assert_eq!(began(&namespace), ["env_first", "env_c", "env_b", "env_a"]);
}

#[tokio::test]
async fn waiting_costs_no_write_of_its_own() {
    let namespace = narrow().await;
    until_running(&namespace, "first").await;
    until_queued(&namespace, "second").await;
    let mut versions = namespace.record_versions("second").await;
    namespace.let_jobs_end();
    let settled = namespace.resource("second").until_settled(1, Outcome::Succeeded).await;
    let versions = versions.until(|object| object.resource_version() == settled.resource_version()).await;
    // The intent, the job, the outcome with its messages, and the messages taken.
    assert_eq!(versions.len(), 4, "{versions:#?}");
}
