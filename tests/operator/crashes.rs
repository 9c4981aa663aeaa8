//! The operator crashes or is stopped, and starts again.

use crate::support::*;
use std::collections::BTreeSet;
use std::time::Duration;

/// Checks that there is one job and one outcome, and that both receivers got it once (by their keys).
fn assert_delivered_once(namespace: &TestNamespace, success: bool) {
    let keys = |call| namespace.requests(call).into_iter().filter_map(|record| record.idempotency_key);
    assert_eq!(namespace.jobs().len(), 1, "one job");
    assert_eq!(keys(Call::Submit).collect::<BTreeSet<_>>().len(), 1, "one key");
    assert_eq!(keys(Call::Rollback).collect::<BTreeSet<_>>().len(), usize::from(!success), "one rollback or none");
    assert_eq!(keys(Call::Audit).collect::<BTreeSet<_>>().len(), 1);
    assert_eq!(keys(Call::Webhook).collect::<BTreeSet<_>>().len(), 1);
    assert_eq!(namespace.audit()[0].record["deploymentSuccess"], json!(success));
    assert_eq!(namespace.webhooks()[0].body["success"], json!(success));
}

#[tokio::test]
async fn a_crash_while_the_submit_is_unanswered_ends_in_one_job() {
    for fault in ["{delay: {seconds: 2}}", "{slowDrip: {everySeconds: 30}}"] {
        let mut namespace = with_environment(&format!("faults: [{{call: submit, fault: {fault}}}]")).await;
        namespace.apply(sample().webhook(&namespace.webhook_url())).await;
        namespace.until_requests(Call::Submit, 1).await;
        namespace.restart_operator().await;
        namespace.resource("bot").until_settled(1, Outcome::Succeeded).await;
        assert_delivered_once(&namespace, true);
    }
}

#[tokio::test]
async fn after_a_crash_a_submit_that_is_still_in_progress_is_repeated_with_the_same_key_and_starts_one_job() {
    let mut namespace = with_environment("faults: [{call: submit, fault: {delay: {seconds: 120}}}]").await;
    namespace.apply(sample()).await;
    namespace.until_requests(Call::Submit, 1).await;
    namespace.restart_operator().await;
    let object = namespace.resource("bot").until_ready_reason(Reason::ApiUnavailable).await;
    assert_eq!(object.attempt().step, Step::Submitting);
    let submits = namespace.requests(Call::Submit);
    assert_eq!(submits[1].status, Some(409), "still in progress");
    assert_eq!(submits[0].idempotency_key, submits[1].idempotency_key);
    assert_eq!(namespace.jobs().len(), 1);
}

#[tokio::test]
async fn a_crash_after_a_lost_submit_answer_ends_in_one_job() {
    let mut namespace = with_environment("faults: [{call: submit, fault: dropAfterEffect}]").await;
    namespace.apply(sample().webhook(&namespace.webhook_url())).await;
    namespace.until_requests(Call::Submit, 1).await;
    namespace.restart_operator().await;
    namespace.resource("bot").until_settled(1, Outcome::Succeeded).await;
    assert_delivered_once(&namespace, true);
}

#[tokio::test]
async fn a_crash_while_the_job_runs_loses_nothing() {
    let mut namespace = with_running_jobs("").await;
    namespace.apply(sample().webhook(&namespace.webhook_url())).await.until_step(Step::RollingOut).await;
    namespace.kill_operator().await;
    namespace.let_jobs_end();
    namespace.start_operator().await;
    namespace.resource("bot").until_settled(1, Outcome::Succeeded).await;
    assert_delivered_once(&namespace, true);
    assert_eq!(namespace.request_count(Call::Validate), 1, "the checks are not repeated");
}

#[tokio::test]
async fn a_crash_during_monitoring_forgets_no_bad_answer() {
    let mut namespace = with_environment("health: {answers: [unhealthy, unhealthy], then: unreadable}").await;
    let bot = namespace.apply(sample().threshold(3).webhook(&namespace.webhook_url())).await;
    bot.until("two bad answers counted", |object| object.attempt_if_any().is_some_and(|a| a.health.bad_streak == 2))
        .await;
    namespace.kill_operator().await;
    let asked = namespace.request_count(Call::Health);
    namespace.replace_script("{deploymentsAreUnhealthy: true}");
    namespace.start_operator().await;
    let object = namespace.resource("bot").until_settled(1, Outcome::RolledBack).await;
    assert_eq!(object.attempt().health.bad_streak, 3);
    // The new process polls at once. If that is too soon after the last bad answer, the new answer does not count.
    let later = namespace.request_count(Call::Health) - asked;
    assert!((2..=3).contains(&later), "one more counted bad answer, and a good one after the rollback: {later}");
    assert_delivered_once(&namespace, false);
}

#[tokio::test]
async fn a_crash_while_the_rollback_is_unanswered_ends_in_one_rollback() {
    for fault in ["{delay: {seconds: 2}}", "dropAfterEffect", "dropBeforeEffect"] {
        let script = format!("deploymentsAreUnhealthy: true, faults: [{{call: rollback, fault: {fault}}}]");
        let mut namespace = with_environment(&script).await;
        namespace.apply(sample().webhook(&namespace.webhook_url())).await;
        namespace.until_requests(Call::Rollback, 1).await;
        namespace.restart_operator().await;
        namespace.resource("bot").until_settled(1, Outcome::RolledBack).await;
        assert_delivered_once(&namespace, false);
    }
}

#[tokio::test]
async fn a_crash_while_a_delivery_is_unanswered_repeats_it_with_the_same_key() {
    let faults =
        "faults: [{call: audit, fault: {delay: {seconds: 30}}}, {call: webhook, fault: {delay: {seconds: 30}}}]";
    let mut namespace = plan().await.scenario(faults).start().await;
    namespace.apply(sample().webhook(&namespace.webhook_url())).await;
    namespace.until_requests(Call::Audit, 1).await;
    namespace.until_requests(Call::Webhook, 1).await;
    namespace.restart_operator().await;
    namespace.until_requests(Call::Webhook, 2).await;
    namespace.until_requests(Call::Audit, 2).await;
    assert_delivered_once(&namespace, true);
}

#[tokio::test]
async fn a_crash_during_the_checks_repeats_them_and_submits_once() {
    let mut namespace = with_environment("faults: [{call: trace, fault: {delay: {seconds: 30}}}]").await;
    namespace.apply(sample().webhook(&namespace.webhook_url())).await;
    namespace.until_requests(Call::Trace, 1).await;
    namespace.restart_operator().await;
    namespace.resource("bot").until_settled(1, Outcome::Succeeded).await;
    assert_delivered_once(&namespace, true);
}

#[tokio::test]
async fn sigterm_ends_the_operator_within_seconds_during_a_request_and_the_next_operator_continues() {
    let mut namespace = with_environment("faults: [{call: job, fault: {delay: {seconds: 30}}}]").await;
    namespace.apply(sample().webhook(&namespace.webhook_url())).await;
    namespace.until_requests(Call::Job, 1).await;
    let began = std::time::Instant::now();
    let status = namespace.take_operator().terminate().await;
    assert_eq!(status.code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    namespace.start_operator().await;
    namespace.resource("bot").until_settled(1, Outcome::Succeeded).await;
    assert_delivered_once(&namespace, true);
}

#[tokio::test]
async fn sigterm_ends_an_idle_operator_at_once() {
    let mut namespace = new_namespace().await;
    namespace.apply(sample()).await.until_settled(1, Outcome::Succeeded).await;
    let began = std::time::Instant::now();
    assert_eq!(namespace.take_operator().terminate().await.code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

/// How often the random test kills the operator.
fn kills() -> u64 {
    std::env::var("COGNIGY_TEST_KILLS").ok().map_or(5, |kills| kills.parse().unwrap())
}

/// Rollouts that are randomly good or bad, one after the other. In each, the operator is killed after a random number
/// of requests and a random pause, and is started again.
#[tokio::test]
async fn random_kills_lose_nothing_and_repeat_nothing() {
    let seed = std::env::var("COGNIGY_TEST_SEED").ok().map_or_else(|| fastrand::u64(..), |seed| seed.parse().unwrap());
    eprintln!("COGNIGY_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut namespace = with_environment("badSnapshots: [{bad: true}]").await;
    for round in 1..=kills() {
        let is_bad = random.bool();
        let snapshot = json!({"configurationSnapshot": {"botVersion": format!("1.0.{round}"), "bad": is_bad}});
        let before = namespace.all_requests().len();
        namespace.apply(sample().with(snapshot).webhook(&namespace.webhook_url())).await;
        namespace.until_any_requests(before + random.usize(0..8)).await;
        tokio::time::sleep(Duration::from_millis(random.u64(0..40))).await;
        namespace.restart_operator().await;
        let outcome = if is_bad { Outcome::RolledBack } else { Outcome::Succeeded };
        let number = i64::try_from(round).unwrap();
        let object = namespace.resource("bot").until_settled(number, outcome).await;

        let jobs = namespace.jobs();
        assert_eq!(jobs.len(), usize::try_from(round).unwrap(), "one job for each configuration");
        let job = jobs.last().unwrap();
        assert_eq!(job.id.as_str(), object.attempt().job_id().unwrap().as_str());
        assert_eq!(job.rollback.is_some(), is_bad);
    }
    let rounds = usize::try_from(kills()).unwrap();
    for call in [Call::Submit, Call::Audit, Call::Webhook] {
        let keys: BTreeSet<_> =
            namespace.requests(call).into_iter().filter_map(|record| record.idempotency_key).collect();
        assert_eq!(keys.len(), rounds, "{call:?}: one key for each rollout");
    }
    let audited: BTreeSet<_> = namespace.audit().iter().map(|taken| taken.record["jobId"].to_string()).collect();
    assert_eq!(audited.len(), rounds, "each rollout is audited");
}
