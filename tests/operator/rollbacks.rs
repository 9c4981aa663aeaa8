//! Bad verdicts and rollbacks.

use crate::support::*;

/// The reasons in the rollback requests.
fn reasons(namespace: &TestNamespace) -> Vec<String> {
    let body = |record: &simulator::RequestRecord| record.body.clone().unwrap();
    namespace
        .requests(Call::Rollback)
        .iter()
        .map(|record| body(record)["reason"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn consecutive_bad_health_answers_up_to_the_threshold_cause_a_rollback() {
    let namespace = with_environment("deploymentsAreUnhealthy: true").await;
    let bot = namespace.apply(sample().threshold(3).webhook(&namespace.webhook_url())).await;
    let object = bot.until_settled(1, Outcome::RolledBack).await;

    assert_eq!(reasons(&namespace), ["health_check_failure"]);
    let asked: Vec<_> = namespace.requests(Call::Health).iter().map(|record| record.received_at).collect();
    assert_eq!(asked.len(), 4, "three bad answers, and a good one after the rollback");
    for pair in asked[..3].windows(2) {
        let seconds = pair[1].duration_since(pair[0]).as_secs_f64();
        assert!(seconds > 0.5, "about one interval apart, with tolerance for a busy machine: {seconds}");
    }
    assert_eq!(object.says(ConditionType::Ready), (False, Reason::RolledBack));
    assert_eq!(object.says(ConditionType::Stalled), (True, Reason::RolledBack));
    assert_eq!(object.says(ConditionType::RolledBack), (True, Reason::RolledBack));
    assert_eq!(object.says(ConditionType::Healthy), (True, Reason::HealthGood));
    assert!(object.find(ConditionType::Reconciling).is_none());
    assert_eq!(object.recorded().phase, Some(Phase::RolledBack));
    let verdict = object.attempt().verdict.clone().unwrap();
    assert_eq!((verdict.outcome, verdict.reason), (Outcome::RolledBack, Reason::HealthCheckFailed));
    assert!(object.recorded().last_successful.is_none());
    bot.until_event("Warning", Reason::HealthCheckFailed).await;
    assert_eq!(namespace.audit()[0].record["deploymentSuccess"], json!(false));
    assert_eq!(namespace.webhooks()[0].body["success"], json!(false));
    assert_eq!((namespace.audit().len(), namespace.webhooks().len()), (1, 1));
}

#[tokio::test]
async fn each_counted_bad_answer_is_recorded_once() {
    let namespace = with_environment("health: {answers: [unhealthy, unhealthy], then: healthy}").await;
    let mut versions = namespace.record_versions("bot").await;
    let bot = namespace.apply(sample().threshold(3)).await;
    bot.until_settled(1, Outcome::Succeeded).await;
    let versions = versions.until(|object| object.is_true(ConditionType::Delivered)).await;
    let mut streaks: Vec<_> = versions.iter().filter_map(|o| o.attempt_if_any()).map(|a| a.health.bad_streak).collect();
    streaks.dedup();
    assert_eq!(streaks, [0, 1, 2, 0]);
    assert!(versions.len() <= 7 + 2, "the writes of a success, and one for each bad answer");
    assert_eq!(namespace.request_count(Call::Job), 2, "after bad health the job is polled once more before success");
    assert_eq!(namespace.request_count(Call::Rollback), 0);
}

#[tokio::test]
async fn an_error_rate_over_the_limit_is_bad_health() {
    let namespace = with_environment("health: {answers: [highErrorRate, highErrorRate]}").await;
    let bot = namespace.apply(sample()).await;
    bot.until_settled(1, Outcome::RolledBack).await;
    assert_eq!(reasons(&namespace), ["health_check_failure"]);
}

#[tokio::test]
async fn an_unreadable_answer_is_neither_good_nor_bad() {
    let namespace = with_environment(
        "health: {answers: [unreadable, unhealthy, unreadable]}, \
         faults: [{call: health, nth: 4, fault: {status: {code: 400}}}]",
    )
    .await;
    let bot = namespace.apply(sample()).await;
    bot.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(namespace.request_count(Call::Rollback), 0);
}

#[tokio::test]
async fn a_job_that_fails_is_rolled_back() {
    for outcome in ["failed", "error", "cancelled"] {
        let namespace = with_environment(&format!("jobOutcome: {outcome}")).await;
        let bot = namespace.apply(sample()).await;
        let object = bot.until_settled(1, Outcome::RolledBack).await;
        assert_eq!(reasons(&namespace), ["deployment_failed"], "{outcome}");
        assert_eq!(object.says(ConditionType::RolledOut), (False, Reason::JobFailed));
        assert_eq!(object.attempt().verdict.as_ref().unwrap().reason, Reason::JobFailed);
        assert!(object.condition(ConditionType::RolledOut).message.contains(outcome));
    }
}

#[tokio::test]
async fn a_job_that_the_platform_no_longer_knows_has_failed() {
    let namespace = with_environment("faults: [{call: job, times: 2, fault: {status: {code: 404}}}]").await;
    let bot = namespace.apply(sample()).await;
    let object = bot.until_settled(1, Outcome::RolledBack).await;
    assert_eq!(object.attempt().verdict.as_ref().unwrap().reason, Reason::JobGone);
    assert_eq!((namespace.request_count(Call::Job), reasons(&namespace)), (2, vec!["deployment_failed".to_owned()]));
}

#[tokio::test]
async fn a_single_404_for_the_job_is_ignored() {
    let namespace = with_environment("faults: [{call: job, fault: {status: {code: 404}}}]").await;
    namespace.apply(sample()).await.until_settled(1, Outcome::Succeeded).await;
}

#[tokio::test]
async fn a_rollout_without_a_verdict_at_the_deadline_is_rolled_back() {
    let namespace = with_environment("jobOutcome: neverEnds").await;
    let bot = namespace.apply(sample().timeout(3)).await;
    let object = bot.until_settled(1, Outcome::RolledBack).await;
    assert_eq!(reasons(&namespace), ["timeout"]);
    assert_eq!(object.attempt().verdict.as_ref().unwrap().reason, Reason::DeadlineExceeded);
}

#[tokio::test]
async fn unreadable_health_until_the_deadline_causes_a_rollback_with_the_reason_timeout() {
    let namespace = with_environment(
        "health: {answers: [unreadable, unreadable, unreadable, unreadable, unreadable, unreadable], then: honest}",
    )
    .await;
    let bot = namespace.apply(sample().timeout(3)).await;
    bot.until_settled(1, Outcome::RolledBack).await;
    assert_eq!(reasons(&namespace), ["timeout"]);
}

#[tokio::test]
async fn an_operator_that_was_down_at_the_deadline_polls_before_it_decides() {
    let mut namespace = with_running_jobs("").await;
    namespace.apply(sample().timeout(3)).await.until_step(Step::RollingOut).await;
    namespace.kill_operator().await;
    let deadline = namespace.resource("bot").get().await.attempt().deadline_at().unwrap();
    let left = deadline.duration_since(jiff::Timestamp::now());
    // There is no event for the deadline, which is a time of the wall clock.
    tokio::time::sleep(left.try_into().unwrap_or_default()).await;
    namespace.let_jobs_end();
    namespace.start_operator().await;
    namespace.resource("bot").until_settled(1, Outcome::Succeeded).await;
    assert_eq!(namespace.request_count(Call::Rollback), 0);
}

#[tokio::test]
async fn without_auto_trigger_a_bad_verdict_stalls_the_resource() {
    let namespace = with_environment("deploymentsAreUnhealthy: true").await;
    let bot = namespace.apply(sample().without_auto_trigger().webhook(&namespace.webhook_url())).await;
    let object = bot.until_settled(1, Outcome::Failed).await;
    assert_eq!(object.says(ConditionType::Stalled), (True, Reason::HealthCheckFailed));
    assert_eq!(object.says(ConditionType::Ready), (False, Reason::HealthCheckFailed));
    assert!(object.condition(ConditionType::Stalled).message.contains("deploy.cognigy.ai/rollback"));
    assert_eq!(namespace.request_count(Call::Rollback), 0);
    bot.until_event("Warning", Reason::HealthCheckFailed).await;

    bot.request_rollback("now").await;
    let object = bot
        .until("it is rolled back", |object| {
            object.is_true(ConditionType::RolledBack) && object.attempt().step == Step::Settled
        })
        .await;
    assert_eq!(object.attempt().outcome(), Some(Outcome::Failed), "an outcome is never rewritten");
    assert_eq!(reasons(&namespace), ["manual"]);
}

#[tokio::test]
async fn a_rollback_by_the_platform_itself_is_recorded_without_a_second_one() {
    let namespace = with_environment("jobOutcome: rolledBack").await;
    let bot = namespace.apply(sample()).await;
    let object = bot.until_settled(1, Outcome::RolledBack).await;
    assert_eq!(object.attempt().verdict.as_ref().unwrap().reason, Reason::RolledBackByPlatform);
    assert_eq!(object.says(ConditionType::RolledBack), (True, Reason::RolledBackByPlatform));
    assert_eq!(namespace.request_count(Call::Rollback), 0, "the operator requests no rollback");
}

#[tokio::test]
async fn good_health_after_a_rollback_by_the_platform_is_not_a_success() {
    let namespace = with_environment("platformRollbackAfterSeconds: 2, deploymentsAreUnhealthy: true").await;
    let bot = namespace.apply(sample().threshold(10)).await;
    let object = bot.until_settled(1, Outcome::RolledBack).await;
    assert_eq!(object.attempt().verdict.as_ref().unwrap().reason, Reason::RolledBackByPlatform);
}

#[tokio::test]
async fn a_rollback_request_that_fails_is_repeated_with_the_same_key() {
    let namespace = with_environment(
        "deploymentsAreUnhealthy: true, faults: [{call: rollback, times: 4, fault: {status: {code: 503}}}]",
    )
    .await;
    let bot = namespace.apply(sample()).await;
    bot.until_settled(1, Outcome::RolledBack).await;
    let asked = namespace.requests(Call::Rollback);
    assert_eq!(asked.len(), 5);
    assert!(asked.iter().all(|record| record.idempotency_key == asked[0].idempotency_key));
    assert!(asked.iter().all(|record| record.body_sha256 == asked[0].body_sha256));
}

#[tokio::test]
async fn a_refused_rollback_stalls_the_resource_and_can_be_requested_again() {
    let namespace = with_environment(
        "deploymentsAreUnhealthy: true, faults: [{call: rollback, fault: {status: {code: 422, body: {message: too old}}}}]",
    )
    .await;
    let bot = namespace.apply(sample().timeout(2)).await;
    let object = bot.until_settled(1, Outcome::RollbackFailed).await;
    assert_eq!(object.says(ConditionType::RolledBack), (False, Reason::RollbackRefused));
    assert_eq!(object.says(ConditionType::Stalled), (True, Reason::RollbackRefused));
    assert!(object.condition(ConditionType::Stalled).message.contains("too old"));
    bot.until_event("Warning", Reason::RollbackRefused).await;

    bot.request_rollback("again").await;
    let object = bot
        .until("it is rolled back", |object| {
            object.is_true(ConditionType::RolledBack) && object.attempt().step == Step::Settled
        })
        .await;
    assert_eq!(object.attempt().outcome(), Some(Outcome::RollbackFailed), "an outcome is never rewritten");
    let keys: Vec<_> = namespace.requests(Call::Rollback).into_iter().map(|record| record.idempotency_key).collect();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0], keys[1], "a new request has a new key");
}

#[tokio::test]
async fn a_conflict_because_the_rollback_has_already_happened_counts_as_accepted() {
    // The first answer is lost, and the platform has forgotten the key when the request is repeated.
    let scenario = "idempotencyKeyLifetimeSeconds: 0\nenvironments:\n  env_prod_us_01:\n    deploymentsAreUnhealthy: true\n    \
                    faults: [{call: rollback, fault: dropAfterEffect}]";
    let namespace = plan().await.scenario(scenario).start().await;
    let bot = namespace.apply(sample()).await;
    bot.until_settled(1, Outcome::RolledBack).await;
    let answers: Vec<_> = namespace.requests(Call::Rollback).iter().map(|record| record.status).collect();
    assert_eq!(answers, [None, Some(409)]);
}

#[tokio::test]
async fn an_environment_that_stays_unhealthy_after_the_rollback_causes_a_warning() {
    let namespace = with_environment("health: {then: unhealthy}").await;
    let bot = namespace.apply(sample().timeout(4)).await;
    let object = bot.until_ready_reason(Reason::RolledBackUnhealthy).await;
    assert_eq!(object.attempt().outcome(), Some(Outcome::RolledBack));
    assert_eq!(object.says(ConditionType::Healthy), (False, Reason::RolledBackUnhealthy));
    bot.until_event("Warning", Reason::RolledBackUnhealthy).await;
}

#[tokio::test]
async fn a_corrected_version_is_deployed_after_a_rollback() {
    let namespace = with_environment("badSnapshots: [{botVersion: 2.5.0}]").await;
    let bot = namespace.apply(sample().version("2.5.0")).await;
    bot.until_settled(1, Outcome::RolledBack).await;
    bot.edit(&sample().version("2.5.1")).await;
    let object = bot.until_settled(2, Outcome::Succeeded).await;
    let history = object.recorded().history;
    assert_eq!((history[0].number, history[0].verdict.outcome), (1, Outcome::RolledBack));
    assert_eq!(namespace.jobs().len(), 2);
}
