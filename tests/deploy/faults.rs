//! Calls that fail. What the operator makes of each fault is in the table of the simulation (docs/faults.md), which runs the same
//! reconcile; here it is how a run ends because of it.

use crate::stage::{BAD, Stage};
use cognigy_operator::command::deploy::RunResult;
use futures::future::join_all;
use serde_json::json;
use simulator::Call;

#[tokio::test]
async fn faults_that_pass_delay_a_rollout_and_nothing_happens_twice() {
    let faults = ["dropBeforeEffect", "dropAfterEffect", "{truncated: {}}", "{status: {code: 503}}"];
    join_all(faults.map(|fault| async move {
        let calls = ["token", "validate", "trace", "submit", "job", "health", "audit", "webhook"];
        let rules: Vec<String> = calls.iter().map(|call| format!("{{call: {call}, fault: {fault}}}")).collect();
        let stage = Stage::new(&format!("faults: [{}]", rules.join(", "))).await;
        let report = stage.run(&[]).await.ended_as(0, RunResult::Deployed);
        assert!(report.owed.is_empty(), "{fault}");
        assert_eq!((stage.jobs(), stage.audit(), stage.webhooks()), (1, vec![true], vec![true]), "{fault}");
    }))
    .await;
}

#[tokio::test]
async fn faults_that_need_a_person_or_end_the_attempt_end_the_run() {
    for (call, fault, code, result, reason) in [
        ("token", "{status: {code: 401}}", 4, RunResult::NeedsPerson, "Unauthorized"),
        ("validate", "{status: {code: 403}}", 4, RunResult::NeedsPerson, "Unauthorized"),
        ("validate", "{status: {code: 404}}", 4, RunResult::NeedsPerson, "RequestRejected"),
        ("validate", "{body: {}}", 1, RunResult::Failed, "ValidationRefused"),
        ("trace", "{status: {code: 422}}", 4, RunResult::NeedsPerson, "RequestRejected"),
        ("trace", "{body: {status: failed}}", 1, RunResult::Failed, "TraceNotPassed"),
        ("submit", "{status: {code: 422}}", 1, RunResult::Failed, "SubmitRejected"),
        ("job", "{status: {code: 404}}", 1, RunResult::Failed, "JobGone"),
    ] {
        let stage = Stage::new(&format!("faults: [{{call: {call}, times: forever, fault: {fault}}}]")).await;
        let report = stage.run(&[]).await.ended_as(code, result);
        assert_eq!(report.reason.as_deref(), Some(reason), "{call} {fault}");
        assert!(stage.jobs() <= 1 && stage.calls(Call::Submit) <= 1, "{call} {fault}");
    }
}

#[tokio::test]
async fn a_platform_that_is_never_reached_is_told_from_a_rollout_that_takes_too_long() {
    let stage = Stage::new("faults: [{call: validate, times: forever, fault: {status: {code: 503}}}]").await;
    let report = stage.run(&["--timeout", "40s"]).await.ended_as(5, RunResult::NotReached);
    assert!(
        report.message.starts_with("nothing was submitted (") && report.message.contains("503"),
        "{}",
        report.message
    );
    let stage = Stage::new("faults: [{call: job, times: forever, fault: {body: {status: running}}}]").await;
    let report = stage.run(&["--timeout", "20s"]).await.ended_as(3, RunResult::TimedOut);
    assert!(report.message.contains("attempt 1 is in progress"), "{}", report.message);
}

/// Nobody else would roll it back.
#[tokio::test]
async fn a_run_does_not_leave_a_rollback_that_is_not_accepted_yet() {
    let stage = Stage::new("faults: [{call: rollback, times: forever, fault: {status: {code: 503}}}]").await;
    stage.write(&stage.manifest(BAD, &json!({})));
    let stuck = stage.run(&["--timeout", "45s"]).await.ended_as(4, RunResult::NeedsPerson);
    assert_eq!(stuck.reason.as_deref(), Some("RollbackUnreachable"));
    stage.clear_faults();
    let report = stage.run(&[]).await.ended_as(1, RunResult::Failed);
    assert_eq!(report.attempt.unwrap().outcome.as_deref(), Some("RolledBack"));
    assert_eq!((stage.jobs(), stage.audit(), stage.webhooks()), (1, vec![false], vec![false]));
}

#[tokio::test]
async fn what_cannot_be_delivered_in_time_is_owed_and_delivered_by_the_next_run() {
    let stage = Stage::new("faults: [{call: webhook, times: forever, fault: {status: {code: 500}}}]").await;
    let ran = stage.run(&["--delivery-timeout", "1s"]).await;
    let report = ran.ended_as(0, RunResult::Deployed);
    let kinds: Vec<_> = report.owed.iter().map(|message| message.kind.as_str()).collect();
    assert_eq!(kinds, ["Webhook"]);
    assert_eq!(stage.audit(), [true]);
    stage.clear_faults();
    let report = stage.run(&[]).await.ended_as(0, RunResult::Deployed);
    assert!(report.owed.is_empty() && !report.was_done_before);
    assert_eq!((stage.jobs(), stage.audit(), stage.webhooks()), (1, vec![true], vec![true]));
    assert!(stage.run(&[]).await.ended_as(0, RunResult::Deployed).was_done_before);
}
