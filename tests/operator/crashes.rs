//! The operator dies, is stopped, and comes back.

use crate::stage::*;
use std::collections::BTreeSet;
use std::time::Duration;

/// One job, one outcome, and both receivers told of it once (by their keys).
fn assert_told_once(world: &World, success: bool) {
    let keys = |call| world.requests(call).into_iter().filter_map(|record| record.idempotency_key);
    assert_eq!(world.jobs().len(), 1, "one job");
    assert_eq!(keys(Call::Submit).collect::<BTreeSet<_>>().len(), 1, "one key");
    assert_eq!(keys(Call::Rollback).collect::<BTreeSet<_>>().len(), usize::from(!success), "one rollback or none");
    assert_eq!(keys(Call::Audit).collect::<BTreeSet<_>>().len(), 1);
    assert_eq!(keys(Call::Webhook).collect::<BTreeSet<_>>().len(), 1);
    assert_eq!(world.audit()[0].record["deploymentSuccess"], json!(success));
    assert_eq!(world.webhooks()[0].body["success"], json!(success));
}

#[tokio::test]
async fn a_crash_while_the_submit_is_unanswered_ends_in_one_job() {
    for fault in ["{delay: {seconds: 2}}", "{slowDrip: {everySeconds: 30}}"] {
        let mut world = World::with_environment(&format!("faults: [{{call: submit, fault: {fault}}}]")).await;
        world.apply(sample().webhook(&world.webhook_url())).await;
        world.until_asked(Call::Submit, 1).await;
        world.kill_operator().await;
        world.start_operator().await;
        world.resource("bot").until_settled(1, Outcome::Succeeded).await;
        assert_told_once(&world, true);
    }
}

#[tokio::test]
async fn a_submit_that_the_platform_still_works_on_after_a_crash_is_asked_for_and_not_made_again() {
    let mut world = World::with_environment("faults: [{call: submit, fault: {delay: {seconds: 120}}}]").await;
    world.apply(sample()).await;
    world.until_asked(Call::Submit, 1).await;
    world.kill_operator().await;
    world.start_operator().await;
    let object = world.resource("bot").until_ready_says(Reason::ApiUnavailable).await;
    assert_eq!(object.attempt().step, Step::Submitting);
    let submits = world.requests(Call::Submit);
    assert_eq!(submits[1].status, Some(409), "still in progress");
    assert_eq!(submits[0].idempotency_key, submits[1].idempotency_key);
    assert_eq!(world.jobs().len(), 1);
}

#[tokio::test]
async fn a_crash_after_an_answer_that_nobody_heard_ends_in_one_job() {
    let mut world = World::with_environment("faults: [{call: submit, fault: dropAfterEffect}]").await;
    world.apply(sample().webhook(&world.webhook_url())).await;
    world.until_asked(Call::Submit, 1).await;
    world.kill_operator().await;
    world.start_operator().await;
    world.resource("bot").until_settled(1, Outcome::Succeeded).await;
    assert_told_once(&world, true);
}

#[tokio::test]
async fn a_crash_while_the_job_runs_loses_nothing() {
    let mut world = World::with_running_jobs("").await;
    world.apply(sample().webhook(&world.webhook_url())).await.until_step(Step::RollingOut).await;
    world.kill_operator().await;
    world.let_jobs_end();
    world.start_operator().await;
    world.resource("bot").until_settled(1, Outcome::Succeeded).await;
    assert_told_once(&world, true);
    assert_eq!(world.count(Call::Validate), 1, "nothing is checked again");
}

#[tokio::test]
async fn a_crash_while_health_is_watched_forgets_no_bad_answer() {
    let mut world = World::with_environment("health: {answers: [unhealthy, unhealthy], then: unreadable}").await;
    let bot = world.apply(sample().threshold(3).webhook(&world.webhook_url())).await;
    bot.until("two bad answers counted", |object| object.attempt_if_any().is_some_and(|a| a.health.bad_streak == 2))
        .await;
    world.kill_operator().await;
    let asked = world.count(Call::Health);
    world.script("{deploymentsAreUnhealthy: true}");
    world.start_operator().await;
    let object = world.resource("bot").until_settled(1, Outcome::RolledBack).await;
    assert_eq!(object.attempt().health.bad_streak, 3);
    // The new process asks at once, which may be too soon after the last bad answer for another one to count.
    let later = world.count(Call::Health) - asked;
    assert!((2..=3).contains(&later), "one more bad answer counts, and a good one comes after the rollback: {later}");
    assert_told_once(&world, false);
}

#[tokio::test]
async fn a_crash_while_the_rollback_is_unanswered_ends_in_one_rollback() {
    for fault in ["{delay: {seconds: 2}}", "dropAfterEffect", "dropBeforeEffect"] {
        let script = format!("deploymentsAreUnhealthy: true, faults: [{{call: rollback, fault: {fault}}}]");
        let mut world = World::with_environment(&script).await;
        world.apply(sample().webhook(&world.webhook_url())).await;
        world.until_asked(Call::Rollback, 1).await;
        world.kill_operator().await;
        world.start_operator().await;
        world.resource("bot").until_settled(1, Outcome::RolledBack).await;
        assert_told_once(&world, false);
    }
}

#[tokio::test]
async fn a_crash_while_a_delivery_is_unanswered_delivers_it_again_under_its_id() {
    let faults =
        "faults: [{call: audit, fault: {delay: {seconds: 30}}}, {call: webhook, fault: {delay: {seconds: 30}}}]";
    let mut world = World::plan().scenario(faults).start().await;
    world.apply(sample().webhook(&world.webhook_url())).await;
    world.until_asked(Call::Audit, 1).await;
    world.until_asked(Call::Webhook, 1).await;
    world.kill_operator().await;
    world.start_operator().await;
    world.until_asked(Call::Webhook, 2).await;
    world.until_asked(Call::Audit, 2).await;
    assert_told_once(&world, true);
}

#[tokio::test]
async fn a_crash_during_the_checks_starts_them_again_and_submits_once() {
    let mut world = World::with_environment("faults: [{call: trace, fault: {delay: {seconds: 30}}}]").await;
    world.apply(sample().webhook(&world.webhook_url())).await;
    world.until_asked(Call::Trace, 1).await;
    world.kill_operator().await;
    world.start_operator().await;
    world.resource("bot").until_settled(1, Outcome::Succeeded).await;
    assert_told_once(&world, true);
}

#[tokio::test]
async fn sigterm_ends_the_operator_within_seconds_in_the_middle_of_a_call_and_the_next_goes_on() {
    let mut world = World::with_environment("faults: [{call: job, fault: {delay: {seconds: 30}}}]").await;
    world.apply(sample().webhook(&world.webhook_url())).await;
    world.until_asked(Call::Job, 1).await;
    let began = std::time::Instant::now();
    let status = world.take_operator().terminate().await;
    assert_eq!(status.code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    world.start_operator().await;
    world.resource("bot").until_settled(1, Outcome::Succeeded).await;
    assert_told_once(&world, true);
}

#[tokio::test]
async fn sigterm_ends_an_idle_operator_at_once() {
    let mut world = World::start().await;
    world.apply(sample()).await.until_settled(1, Outcome::Succeeded).await;
    let began = std::time::Instant::now();
    assert_eq!(world.take_operator().terminate().await.code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

/// How often the random test kills the operator.
fn kills() -> u64 {
    std::env::var("COGNIGY_TEST_KILLS").ok().map_or(5, |kills| kills.parse().unwrap())
}

/// One rollout after the other, good and bad by turns; in each the operator is killed after a random number of requests
/// and a random moment more, and another one takes its place.
#[tokio::test]
async fn random_kills_lose_nothing_and_double_nothing() {
    let seed = std::env::var("COGNIGY_TEST_SEED").ok().map_or_else(|| fastrand::u64(..), |seed| seed.parse().unwrap());
    eprintln!("COGNIGY_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut world = World::with_environment("badSnapshots: [{bad: true}]").await;
    for round in 1..=kills() {
        let is_bad = random.bool();
        let snapshot = json!({"configurationSnapshot": {"botVersion": format!("1.0.{round}"), "bad": is_bad}});
        let before = world.journal().len();
        world.apply(sample().with(snapshot).webhook(&world.webhook_url())).await;
        world.until_asked_anything(before + random.usize(0..8)).await;
        tokio::time::sleep(Duration::from_millis(random.u64(0..40))).await;
        world.kill_operator().await;
        world.start_operator().await;
        let outcome = if is_bad { Outcome::RolledBack } else { Outcome::Succeeded };
        let number = i64::try_from(round).unwrap();
        let object = world.resource("bot").until_settled(number, outcome).await;

        let jobs = world.jobs();
        assert_eq!(jobs.len(), usize::try_from(round).unwrap(), "one job for each configuration");
        let job = jobs.last().unwrap();
        assert_eq!(job.id.as_str(), object.attempt().job_id().unwrap().as_str());
        assert_eq!(job.rollback.is_some(), is_bad);
    }
    let rounds = usize::try_from(kills()).unwrap();
    for call in [Call::Submit, Call::Audit, Call::Webhook] {
        let keys: BTreeSet<_> = world.requests(call).into_iter().filter_map(|record| record.idempotency_key).collect();
        assert_eq!(keys.len(), rounds, "{call:?}: one key for each rollout");
    }
    let audited: BTreeSet<_> = world.audit().iter().map(|taken| taken.record["jobId"].to_string()).collect();
    assert_eq!(audited.len(), rounds, "each rollout is audited");
}
