//! A run that is killed at any moment: the next one finishes, and nothing happens twice.

use crate::stage::{BAD, GOOD, Stage};
use cognigy_operator::command::deploy::RunResult;
use futures::{StreamExt, stream};
use serde_json::json;
use simulator::Call;
use std::time::{Duration, Instant};

const ROUNDS: u64 = 50;
const AT_ONCE: usize = 8;

/// Calls with an effect take a while, so that many crashes meet one between its effect and its answer.
const SLOW: &str = "\
faults:
  - {call: submit, fault: {delay: {seconds: 0.5}}}
  - {call: rollback, fault: {delay: {seconds: 0.5}}}
  - {call: audit, fault: {delay: {seconds: 0.5}}}
  - {call: webhook, fault: {delay: {seconds: 0.5}}}
";

async fn stage_of(version: &str) -> Stage {
    let stage = Stage::new(SLOW).await;
    stage.write(&stage.manifest(version, &json!({})));
    stage
}

fn end_of(version: &str) -> (i32, RunResult) {
    if version == GOOD { (0, RunResult::Deployed) } else { (1, RunResult::Failed) }
}

/// One round: a run is killed, and the next one finishes.
async fn crash(seed: u64, version: &'static str, longest: Duration) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let moment = longest.mul_f64(chance.f64());
    let stage = stage_of(version).await;
    stage.spawn(&[]).killed_after(moment).await;
    let (code, result) = end_of(version);
    let ran = stage.run(&[]).await;
    let report = ran.ended_as(code, result);
    let told = format!("seed {seed}, killed after {moment:?}, {ran:?}");
    assert_eq!(stage.jobs(), 1, "{told}");
    assert_eq!(stage.audit(), [version == GOOD], "{told}");
    assert_eq!(stage.webhooks(), [version == GOOD], "{told}");
    assert!(report.owed.is_empty(), "{told}");
    assert_eq!(report.attempt.unwrap().number, 1, "{told}");
    stage.has_no_violations();
    let again = stage.run(&[]).await.ended_as(code, result);
    assert!(again.was_done_before, "{told}");
}

#[tokio::test]
async fn a_run_that_is_killed_at_any_moment_is_finished_by_the_next_one() {
    for version in [GOOD, BAD] {
        let stage = stage_of(version).await;
        let began = Instant::now();
        let (code, result) = end_of(version);
        stage.run(&[]).await.ended_as(code, result);
        // Several at once are slower than one.
        let longest = began.elapsed().mul_f64(1.5);
        let rounds = stream::iter((0..ROUNDS / 2).map(|seed| crash(seed, version, longest)));
        rounds.buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    }
}

/// The most dangerous moment: the submit has arrived, but nobody knows its job.
#[tokio::test]
async fn a_run_that_is_killed_between_the_submit_and_its_answer_submits_under_the_same_key() {
    let stage = Stage::new("faults: [{call: submit, fault: {delay: {seconds: 30}}}]").await;
    let first = stage.spawn(&[]);
    stage.until_called(Call::Submit, 1).await;
    first.killed_after(Duration::ZERO).await;
    // The platform answers 409 for as long as it works on the first request.
    let ran = stage.run(&["--timeout", "3s"]).await;
    ran.ended_as(3, RunResult::TimedOut);
    assert_eq!(stage.jobs(), 1);
    let keys: std::collections::BTreeSet<_> = stage.platform.handle().with(|world| {
        let filter = simulator::RequestFilter { call: Some(Call::Submit), ..Default::default() };
        world.requests(&filter).map(|request| request.idempotency_key.clone()).collect()
    });
    assert!(keys.len() == 1 && stage.calls(Call::Submit) >= 2, "{keys:?}");
}
