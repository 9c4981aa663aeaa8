//! Rollouts whose resource is deleted.

use crate::support::*;

#[tokio::test]
async fn a_settled_resource_is_removed_at_once_and_its_deployment_stays() {
    let namespace = new_namespace().await;
    let bot = namespace.apply(sample()).await;
    bot.until_settled(1, Outcome::Succeeded).await;
    let asked = namespace.all_requests().len();
    bot.delete_and_wait().await;
    assert_eq!(namespace.all_requests().len(), asked, "a deletion sends no request");
}

#[tokio::test]
async fn a_resource_that_was_never_submitted_is_removed_at_once() {
    let namespace = with_environment("faults: [{call: validate, times: forever, fault: {status: {code: 503}}}]").await;
    let bot = namespace.apply(sample()).await;
    bot.until_ready_reason(Reason::ApiUnavailable).await;
    bot.delete_and_wait().await;
    assert_eq!(namespace.request_count(Call::Submit), 0);
}

#[tokio::test]
async fn a_resource_in_flight_is_removed_after_its_verdict_is_delivered() {
    let namespace = with_running_jobs("").await;
    let bot = namespace.apply(sample().webhook(&namespace.webhook_url())).await;
    bot.until_step(Step::RollingOut).await;
    bot.delete().await;
    bot.until("the deletion is seen", |object| object.metadata.deletion_timestamp.is_some() && object.is_observed())
        .await;
    namespace.let_jobs_end();
    bot.until_gone().await;
    assert!(namespace.request_count(Call::Health) > 0, "the operator waited for the verdict");
    assert_eq!(namespace.audit()[0].record["deploymentSuccess"], json!(true));
    assert_eq!(namespace.webhooks().len(), 1);
    assert_eq!(namespace.request_count(Call::Rollback), 0);
}

#[tokio::test]
async fn a_bad_rollout_is_rolled_back_before_its_resource_is_removed() {
    let namespace = with_running_jobs("deploymentsAreUnhealthy: true").await;
    let bot = namespace.apply(sample()).await;
    bot.until_step(Step::RollingOut).await;
    bot.delete().await;
    bot.until("the deletion is seen", |object| object.metadata.deletion_timestamp.is_some() && object.is_observed())
        .await;
    namespace.let_jobs_end();
    bot.until_gone().await;
    assert_eq!(namespace.requests(Call::Rollback)[0].body, Some(json!({"reason": "health_check_failure"})));
    assert_eq!(namespace.audit()[0].record["deploymentSuccess"], json!(false));
}

#[tokio::test]
async fn with_the_policy_rollback_a_successful_rollout_is_rolled_back() {
    let namespace = new_namespace().await;
    let bot =
        namespace.apply(sample().with(json!({"deletionPolicy": "Rollback"})).webhook(&namespace.webhook_url())).await;
    bot.until_settled(1, Outcome::Succeeded).await;
    bot.delete_and_wait().await;
    let rollbacks = namespace.requests(Call::Rollback);
    assert_eq!(rollbacks.len(), 1);
    assert_eq!(rollbacks[0].body, Some(json!({"reason": "resource_deleted"})));
    assert_eq!(namespace.webhooks().len(), 2, "one event for the success, one for the rollback");
}

#[tokio::test]
async fn with_the_policy_rollback_a_rollout_is_not_rolled_back_twice() {
    let namespace = with_environment("deploymentsAreUnhealthy: true").await;
    let bot = namespace.apply(sample().with(json!({"deletionPolicy": "Rollback"}))).await;
    bot.until_settled(1, Outcome::RolledBack).await;
    bot.delete_and_wait().await;
    assert_eq!(namespace.request_count(Call::Rollback), 1);
}

#[tokio::test]
async fn after_the_grace_period_the_resource_is_removed_and_a_warning_names_its_job() {
    let namespace = plan()
        .await
        .scenario("environments: {env_prod_us_01: {jobOutcome: neverEnds}}")
        .flags(&["--deletion-grace", "2s"])
        .start()
        .await;
    let bot = namespace.apply(sample()).await;
    let object = bot.until_step(Step::RollingOut).await;
    bot.delete_and_wait().await;
    let warning = bot.until_event("Warning", Reason::DeletionGraceExpired).await;
    let job = object.attempt().job_id().unwrap().as_str();
    assert!(warning.note.unwrap().contains(job));
    assert!(namespace.operator().log().text().contains(job));
}

#[tokio::test]
async fn a_rollback_that_always_fails_does_not_keep_the_resource_beyond_its_grace_period() {
    let namespace = plan()
        .await
        .scenario("faults: [{call: rollback, times: forever, fault: {status: {code: 503}}}]")
        .flags(&["--deletion-grace", "3s"])
        .start()
        .await;
    let bot = namespace.apply(sample().with(json!({"deletionPolicy": "Rollback"}))).await;
    bot.until_settled(1, Outcome::Succeeded).await;
    bot.delete_and_wait().await;
    assert!(namespace.request_count(Call::Rollback) > 0);
}

#[tokio::test]
async fn a_resource_without_its_secret_is_removed() {
    let mut namespace = with_environment("jobOutcome: neverEnds").await;
    namespace.apply(sample()).await.until_step(Step::RollingOut).await;
    // After a restart the operator has no credentials in memory.
    namespace.kill_operator().await;
    namespace.delete_secret("cognigy-api").await;
    namespace.start_operator().await;
    namespace.resource("bot").delete_and_wait().await;
}

#[tokio::test]
async fn a_resource_that_was_deleted_while_no_operator_ran_is_finished_by_the_next_operator() {
    let mut namespace = with_running_jobs("deploymentsAreUnhealthy: true").await;
    namespace.apply(sample()).await.until_step(Step::RollingOut).await;
    namespace.kill_operator().await;
    namespace.resource("bot").delete().await;
    namespace.let_jobs_end();
    namespace.start_operator().await;
    namespace.resource("bot").until_gone().await;
    assert_eq!((namespace.request_count(Call::Rollback), namespace.audit().len()), (1, 1));
}

#[tokio::test]
async fn a_resource_that_is_created_again_with_the_same_name_starts_a_new_rollout() {
    let namespace = new_namespace().await;
    let bot = namespace.apply(sample()).await;
    let first = bot.until_settled(1, Outcome::Succeeded).await;
    bot.delete_and_wait().await;
    bot.edit(&sample()).await;
    let second = bot.until_settled(1, Outcome::Succeeded).await;
    assert_ne!(first.attempt().idempotency_key(), second.attempt().idempotency_key());
    assert_eq!(namespace.jobs().len(), 2);
}
