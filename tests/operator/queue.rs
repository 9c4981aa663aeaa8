//! Many rollouts behind a small request budget: who begins, who waits, and what those who wait are told.

use crate::stage::*;
use kube::ResourceExt;

/// A world whose budget has room to watch one restless rollout, and in which jobs run until they are let end.
async fn narrow() -> World {
    let running = "faults: [{call: job, times: forever, fault: {body: {status: running}}}]";
    let mut world = World::plan().scenario(running).without_operator().start().await;
    let mut credentials = world.credentials();
    // 95 looks a minute, of which each rollout takes 60.
    credentials["requestsPerMinute"] = "100".into();
    world.secret("cognigy-api", credentials).await;
    world.start_operator().await;
    world
}

/// It is looked at every second, however short requests are.
fn restless(name: &str) -> Sample {
    let monitoring = serde_json::json!({"monitoring": {"intervalSeconds": 1, "maxIntervalSeconds": 1}});
    sample().named(name).environment(&format!("env_{name}")).timeout(3600).with(monitoring)
}

async fn until_queued(world: &World, name: &str) -> CognigyDeployment {
    world.apply(restless(name)).await.until_ready_says(Reason::Queued).await
}

async fn until_running(world: &World, name: &str) {
    world.apply(restless(name)).await.until_ready_says(Reason::RollingOut).await;
}

/// The environments that were validated, in order, each once.
fn began(world: &World) -> Vec<String> {
    let mut began: Vec<String> = Vec::new();
    for record in world.requests(Call::Validate) {
        let environment = record.path.split('/').nth_back(1).unwrap_or_default().to_owned();
        if !began.contains(&environment) {
            began.push(environment);
        }
    }
    began
}

#[tokio::test]
async fn what_cannot_be_watched_waits_and_says_where_and_for_how_long() {
    let world = narrow().await;
    until_running(&world, "first").await;
    let second = until_queued(&world, "second").await;
    assert_eq!(second.says(ConditionType::Ready), (Unknown, Reason::Queued));
    assert_eq!(second.says(ConditionType::Reconciling), (True, Reason::Queued));
    let message = &second.condition(ConditionType::Ready).message;
    assert!(message.contains("position 1 of 1 at ") && message.contains(", expected to start at about "), "{message}");
    let third = until_queued(&world, "third").await;
    let message = &third.condition(ConditionType::Ready).message;
    assert!(message.contains("position 2 of 2"), "{message}");
    assert_eq!(began(&world), ["env_first"], "nothing was asked of those who wait");
    world.let_jobs_end();
    for name in ["first", "second", "third"] {
        world.resource(name).until_settled(1, Outcome::Succeeded).await;
    }
    assert_eq!(began(&world), ["env_first", "env_second", "env_third"]);
}

#[tokio::test]
async fn one_that_waits_leaves_as_it_is_deleted_or_suspended() {
    let world = narrow().await;
    for name in ["first", "deleted", "suspended", "last"] {
        match name {
            "first" => until_running(&world, name).await,
            name => drop(until_queued(&world, name).await),
        }
    }
    world.resource("deleted").delete_and_wait().await;
    let suspended = world.resource("suspended");
    suspended.edit(&restless("suspended").suspend(true)).await;
    suspended.until_ready_says(Reason::Suspended).await;
    world.let_jobs_end();
    world.resource("first").until_ready().await;
    world.resource("last").until_ready().await;
    assert_eq!(began(&world), ["env_first", "env_last"]);
}

#[tokio::test]
async fn a_retry_that_a_person_asks_for_goes_ahead() {
    let world = narrow().await;
    until_running(&world, "first").await;
    until_queued(&world, "second").await;
    until_queued(&world, "third").await;
    let (second, third) = (world.resource("second"), world.resource("third"));
    third.ask_for_retry("please").await;
    third.until("it has moved up", |object| object.recorded().handled_requests.unwrap().retry.is_some()).await;
    world.let_jobs_end();
    second.until_ready().await;
    third.until_ready().await;
    assert_eq!(began(&world), ["env_first", "env_third", "env_second"]);
}

#[tokio::test]
async fn a_restart_keeps_the_order_and_what_is_in_flight_is_counted() {
    let mut world = narrow().await;
    until_running(&world, "first").await;
    // By name they would come the other way round.
    for name in ["c", "b", "a"] {
        until_queued(&world, name).await;
    }
    world.kill_operator().await;
    world.start_operator().await;
    let asked = world.count(Call::Job);
    world.until_asked(Call::Job, asked + 2).await;
    assert_eq!(began(&world), ["env_first"]);
    world.let_jobs_end();
    for name in ["first", "a", "b", "c"] {
        world.resource(name).until_ready().await;
    }
    assert_eq!(began(&world), ["env_first", "env_c", "env_b", "env_a"]);
}

#[tokio::test]
async fn waiting_costs_no_write_of_its_own() {
    let world = narrow().await;
    until_running(&world, "first").await;
    until_queued(&world, "second").await;
    let mut versions = world.chronicle("second").await;
    world.let_jobs_end();
    let settled = world.resource("second").until_settled(1, Outcome::Succeeded).await;
    let versions = versions.until(|object| object.resource_version() == settled.resource_version()).await;
    // The intent, the job, the outcome with its messages, and the messages taken.
    assert_eq!(versions.len(), 4, "{versions:#?}");
}
