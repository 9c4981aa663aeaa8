//! What happens to a rollout whose resource is deleted.

use crate::support::*;

#[tokio::test]
async fn a_settled_resource_goes_at_once_and_what_it_deployed_stays() {
    let namespace = new_namespace().await;
    let bot = namespace.apply(sample()).await;
    bot.until_settled(1, Outcome::Succeeded).await;
    let asked = namespace.all_requests().len();
    bot.delete_and_wait().await;
    assert_eq!(namespace.all_requests().len(), asked, "nothing is asked for it");
}

#[tokio::test]
async fn a_resource_that_was_never_submitted_goes_at_once() {
    let namespace = with_environment("faults: [{call: validate, times: forever, fault: {status: {code: 503}}}]").await;
    let bot = namespace.apply(sample()).await;
    bot.until_ready_reason(Reason::ApiUnavailable).await;
    bot.delete_and_wait().await;
    assert_eq!(namespace.request_count(Call::Submit), 0);
}

#[tokio::test]
async fn a_resource_in_flight_stays_until_its_verdict_and_is_told_about() {
    let namespace = with_running_jobs("").await;
    let bot = namespace.apply(sample().webhook(&namespace.webhook_url())).await;
    bot.until_step(Step::RollingOut).await;
    bot.delete().await;
    bot.until("the deletion is seen", |object| object.metadata.deletion_timestamp.is_some() && object.is_observed())
        .await;
    namespace.let_jobs_end();
    bot.until_gone().await;
    assert!(namespace.request_count(Call::Health) > 0, "the verdict was waited for");
    assert_eq!(namespace.audit()[0].record["deploymentSuccess"], json!(true));
    assert_eq!(namespace.webhooks().len(), 1);
    assert_eq!(namespace.request_count(Call::Rollback), 0);
}

#[tokio::test]
async fn a_bad_rollout_is_rolled_back_before_its_resource_goes() {
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
async fn with_the_policy_rollback_a_success_is_undone() {
    let namespace = new_namespace().await;
    let bot =
        namespace.apply(sample().with(json!({"deletionPolicy": "Rollback"})).webhook(&namespace.webhook_url())).await;
    bot.until_settled(1, Outcome::Succeeded).await;
    bot.delete_and_wait().await;
    let rollbacks = namespace.requests(Call::Rollback);
    assert_eq!(rollbacks.len(), 1);
    assert_eq!(rollbacks[0].body, Some(json!({"reason": "resource_deleted"})));
    assert_eq!(namespace.webhooks().len(), 2, "the rollback is told as well");
}

#[tokio::test]
async fn with_the_policy_rollback_nothing_is_undone_that_was_rolled_back_already() {
    let namespace = with_environment("deploymentsAreUnhealthy: true").await;
    let bot = namespace.apply(sample().with(json!({"deletionPolicy": "Rollback"}))).await;
    bot.until_settled(1, Outcome::RolledBack).await;
    bot.delete_and_wait().await;
    assert_eq!(namespace.request_count(Call::Rollback), 1);
}

#[tokio::test]
async fn after_the_grace_the_resource_is_let_go_and_its_job_named() {
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
async fn a_rollback_that_cannot_be_reached_does_not_keep_the_resource_beyond_its_grace() {
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
async fn a_resource_whose_secret_is_gone_is_let_go() {
    let mut namespace = with_environment("jobOutcome: neverEnds").await;
    namespace.apply(sample()).await.until_step(Step::RollingOut).await;
    // The next process holds no credentials in memory.
    namespace.kill_operator().await;
    namespace.delete_secret("cognigy-api").await;
    namespace.start_operator().await;
    namespace.resource("bot").delete_and_wait().await;
}

#[tokio::test]
async fn a_resource_deleted_while_no_operator_runs_is_brought_to_its_end_by_the_next() {
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
async fn a_resource_created_anew_under_its_name_starts_from_nothing() {
    let namespace = new_namespace().await;
    let bot = namespace.apply(sample()).await;
    let first = bot.until_settled(1, Outcome::Succeeded).await;
    bot.delete_and_wait().await;
    bot.edit(&sample()).await;
    let second = bot.until_settled(1, Outcome::Succeeded).await;
    assert_ne!(first.attempt().idempotency_key(), second.attempt().idempotency_key());
    assert_eq!(namespace.jobs().len(), 2);
}
