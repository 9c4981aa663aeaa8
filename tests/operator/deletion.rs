//! What happens to a rollout whose resource is deleted.

use crate::stage::*;
use kube::ResourceExt;

#[tokio::test]
async fn a_settled_resource_goes_at_once_and_what_it_deployed_stays() {
    let world = World::start().await;
    let bot = world.apply(sample()).await;
    bot.until_settled(1, Outcome::Succeeded).await;
    let asked = world.journal().len();
    bot.delete_and_wait().await;
    assert_eq!(world.journal().len(), asked, "nothing is asked for it");
}

#[tokio::test]
async fn a_resource_that_was_never_submitted_goes_at_once() {
    let world =
        World::with_environment("faults: [{call: validate, times: forever, fault: {status: {code: 503}}}]").await;
    let bot = world.apply(sample()).await;
    bot.until_ready_says(Reason::ApiUnavailable).await;
    bot.delete_and_wait().await;
    assert_eq!(world.count(Call::Submit), 0);
}

#[tokio::test]
async fn a_resource_in_flight_stays_until_its_verdict_and_is_told_about() {
    let world = World::with_running_jobs("").await;
    let bot = world.apply(sample().webhook(&world.webhook_url())).await;
    let uid = bot.until_step(Step::RollingOut).await.uid().unwrap();
    bot.delete().await;
    bot.until("the deletion is seen", |object| object.metadata.deletion_timestamp.is_some() && object.is_observed())
        .await;
    world.let_jobs_end();
    bot.until_gone(&uid).await;
    assert!(world.count(Call::Health) > 0, "the verdict was waited for");
    assert_eq!(world.audit()[0].record["deploymentSuccess"], json!(true));
    assert_eq!(world.webhooks().len(), 1);
    assert_eq!(world.count(Call::Rollback), 0);
}

#[tokio::test]
async fn a_bad_rollout_is_rolled_back_before_its_resource_goes() {
    let world = World::with_running_jobs("deploymentsAreUnhealthy: true").await;
    let bot = world.apply(sample()).await;
    let uid = bot.until_step(Step::RollingOut).await.uid().unwrap();
    bot.delete().await;
    bot.until("the deletion is seen", |object| object.metadata.deletion_timestamp.is_some() && object.is_observed())
        .await;
    world.let_jobs_end();
    bot.until_gone(&uid).await;
    assert_eq!(world.requests(Call::Rollback)[0].body, Some(json!({"reason": "health_check_failure"})));
    assert_eq!(world.audit()[0].record["deploymentSuccess"], json!(false));
}

#[tokio::test]
async fn with_the_policy_rollback_a_success_is_undone() {
    let world = World::start().await;
    let bot = world.apply(sample().with(json!({"deletionPolicy": "Rollback"})).webhook(&world.webhook_url())).await;
    bot.until_settled(1, Outcome::Succeeded).await;
    bot.delete_and_wait().await;
    let rollbacks = world.requests(Call::Rollback);
    assert_eq!(rollbacks.len(), 1);
    assert_eq!(rollbacks[0].body, Some(json!({"reason": "resource_deleted"})));
    assert_eq!(world.webhooks().len(), 2, "the rollback is told as well");
}

#[tokio::test]
async fn with_the_policy_rollback_nothing_is_undone_that_was_rolled_back_already() {
    let world = World::with_environment("deploymentsAreUnhealthy: true").await;
    let bot = world.apply(sample().with(json!({"deletionPolicy": "Rollback"}))).await;
    bot.until_settled(1, Outcome::RolledBack).await;
    bot.delete_and_wait().await;
    assert_eq!(world.count(Call::Rollback), 1);
}

#[tokio::test]
async fn after_the_grace_the_resource_is_let_go_and_its_job_named() {
    let world = World::plan()
        .scenario("environments: {env_prod_us_01: {jobOutcome: neverEnds}}")
        .flags(&["--deletion-grace", "2s"])
        .start()
        .await;
    let bot = world.apply(sample()).await;
    let object = bot.until_step(Step::RollingOut).await;
    bot.delete_and_wait().await;
    let warning = bot.until_told("Warning", Reason::DeletionGraceExpired).await;
    let job = object.attempt().job_id().unwrap().as_str();
    assert!(warning.note.unwrap().contains(job));
    assert!(world.operator().log().text().contains(job));
}

#[tokio::test]
async fn a_rollback_that_cannot_be_reached_does_not_keep_the_resource_beyond_its_grace() {
    let world = World::plan()
        .scenario("faults: [{call: rollback, times: forever, fault: {status: {code: 503}}}]")
        .flags(&["--deletion-grace", "3s"])
        .start()
        .await;
    let bot = world.apply(sample().with(json!({"deletionPolicy": "Rollback"}))).await;
    bot.until_settled(1, Outcome::Succeeded).await;
    bot.delete_and_wait().await;
    assert!(world.count(Call::Rollback) > 0);
}

#[tokio::test]
async fn a_resource_whose_secret_is_gone_is_let_go() {
    let mut world = World::with_environment("jobOutcome: neverEnds").await;
    world.apply(sample()).await.until_step(Step::RollingOut).await;
    // The next process holds no credentials in memory.
    world.kill_operator().await;
    world.delete_secret("cognigy-api").await;
    world.start_operator().await;
    world.resource("bot").delete_and_wait().await;
}

#[tokio::test]
async fn a_resource_deleted_while_no_operator_runs_is_brought_to_its_end_by_the_next() {
    let mut world = World::with_running_jobs("deploymentsAreUnhealthy: true").await;
    let uid = world.apply(sample()).await.until_step(Step::RollingOut).await.uid().unwrap();
    world.kill_operator().await;
    world.resource("bot").delete().await;
    world.let_jobs_end();
    world.start_operator().await;
    world.resource("bot").until_gone(&uid).await;
    assert_eq!((world.count(Call::Rollback), world.audit().len()), (1, 1));
}

#[tokio::test]
async fn a_resource_created_anew_under_its_name_starts_from_nothing() {
    let world = World::start().await;
    let bot = world.apply(sample()).await;
    let first = bot.until_settled(1, Outcome::Succeeded).await;
    bot.delete_and_wait().await;
    bot.edit(&sample()).await;
    let second = bot.until_settled(1, Outcome::Succeeded).await;
    assert_ne!(first.attempt().idempotency_key(), second.attempt().idempotency_key());
    assert_eq!(world.jobs().len(), 2);
}
