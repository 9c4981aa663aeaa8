//! Journals that cannot be used, and journals of others.

use crate::stage::{GOOD, Stage, exists};
use cognigy_operator::command::deploy::RunResult;
use serde_json::json;
use simulator::Call;

#[tokio::test]
async fn a_journal_that_cannot_be_used_is_refused_and_nothing_is_sent() {
    let stage = Stage::new("").await;
    stage.run(&[]).await.ended_as(0, RunResult::Deployed);
    let (text, requests) = (stage.journal_text(), stage.calls(Call::Token));
    for (content, says) in [
        (text[..text.len() / 2].to_owned(), "is damaged"),
        (text.replace("Succeeded", "Failed"), "is damaged: its checksum does not fit its content"),
        (String::new(), "is damaged: it is empty"),
        (text.replace("\"version\":1,\"sha", "\"version\":9,\"sha"), "was written by a newer version"),
        ("name: bot\n".to_owned(), "is no journal"),
    ] {
        std::fs::write(stage.journal(), &content).unwrap();
        stage.run(&[]).await.refused(says);
        assert_eq!(stage.journal_text(), content, "it must be left as it is");
    }
    assert_eq!(stage.calls(Call::Token), requests);
    std::fs::write(stage.journal(), text).unwrap();
    assert!(stage.run(&[]).await.ended_as(0, RunResult::Deployed).was_done_before);
}

#[tokio::test]
async fn a_journal_of_another_resource_or_environment_is_refused() {
    let stage = Stage::new("").await;
    stage.run(&[]).await.ended_as(0, RunResult::Deployed);
    stage.write(&stage.manifest(GOOD, &json!({"environmentId": "env_other"})));
    stage.run(&[]).await.refused("is about bots/bot in the environment env_prod_us_01, but the manifest is about");
    let mut documents = stage.manifest(GOOD, &json!({}));
    documents[0]["metadata"]["name"] = json!("other");
    stage.write(&documents);
    stage.run(&[]).await.refused("name another file with --journal");
    assert_eq!(stage.jobs(), 1);
}

#[tokio::test]
async fn a_journal_that_another_run_uses_is_refused() {
    let stage = Stage::new("faults: [{call: job, times: forever, fault: {body: {status: running}}}]").await;
    let first = stage.spawn(&[]);
    stage.until_called(Call::Job, 1).await;
    stage.run(&[]).await.refused("another run of `cognigy-operator deploy` uses the journal");
    first.killed_after(std::time::Duration::ZERO).await;
    assert_eq!(stage.calls(Call::Submit), 1);
}

#[tokio::test]
async fn a_journal_that_cannot_be_written_is_refused_before_anything_is_sent() {
    let stage = Stage::new("").await;
    std::fs::create_dir(stage.path("journal.json.tmp")).unwrap();
    stage.run(&[]).await.refused("cannot be written");
    assert!(!exists(&stage.journal()));
    assert_eq!(stage.calls(Call::Token), 0);
}

/// As if the disk were full.
#[tokio::test]
async fn a_journal_that_cannot_be_written_any_more_stops_the_run_before_its_submit() {
    let stage = Stage::new("faults: [{call: validate, fault: {delay: {seconds: 2}}}]").await;
    let first = stage.spawn(&["--timeout", "6s"]);
    stage.until_called(Call::Validate, 1).await;
    std::fs::create_dir(stage.path("journal.json.tmp")).unwrap();
    let ran = first.ended().await;
    ran.ended_as(3, RunResult::TimedOut);
    assert!(ran.stderr.contains("the journal cannot be written, so nothing more is sent"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("API server"), "{}", ran.stderr);
    assert_eq!((stage.calls(Call::Submit), stage.jobs()), (0, 0));
    std::fs::remove_dir(stage.path("journal.json.tmp")).unwrap();
    stage.run(&[]).await.ended_as(0, RunResult::Deployed);
    assert_eq!(stage.jobs(), 1);
}

/// A job may be out at the first API, so nothing of it may be asked of another one.
#[tokio::test]
async fn a_rollout_in_flight_is_not_watched_at_another_api() {
    let running = "faults: [{call: job, times: forever, fault: {body: {status: running}}}]";
    let (stage, elsewhere) = (Stage::new(running).await, Stage::new("").await);
    let first = stage.spawn(&[]);
    stage.until_called(Call::Job, 1).await;
    first.killed_after(std::time::Duration::ZERO).await;
    let mut documents = stage.manifest(GOOD, &json!({}));
    documents[1] = elsewhere.secret("demo-secret");
    stage.write(&documents);
    let report = stage.run(&["--timeout", "3s"]).await.ended_as(4, RunResult::NeedsPerson);
    assert_eq!(report.reason.as_deref(), Some("EndpointChanged"));
    assert_eq!((elsewhere.calls(Call::Job), elsewhere.calls(Call::Submit)), (0, 0));
}
