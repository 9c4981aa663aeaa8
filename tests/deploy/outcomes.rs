//! How a run ends, and what it tells.

use crate::stage::{BAD, ENVIRONMENT, GOOD, Stage};
use cognigy_operator::command::deploy::RunResult;
use serde_json::json;
use simulator::Call;

#[tokio::test]
async fn a_good_release_is_deployed_once_however_often_it_is_run() {
    let stage = Stage::new("").await;
    let ran = stage.run(&[]).await;
    let report = ran.ended_as(0, RunResult::Deployed);
    let attempt = report.attempt.unwrap();
    assert_eq!((report.version.as_deref(), report.was_done_before), (Some(GOOD), false));
    assert_eq!(attempt.outcome.as_deref(), Some("Succeeded"));
    assert!(attempt.job_id.unwrap().starts_with("job_") && report.owed.is_empty());
    for stage in ["Validated", "TracePassed", "RolledOut", "Healthy", "Delivered"] {
        assert!(ran.stderr.contains(stage), "{}", ran.stderr);
    }
    let requests = stage.calls(Call::Token);
    let again = stage.run(&[]).await.ended_as(0, RunResult::Deployed);
    assert!(again.was_done_before);
    assert_eq!(stage.calls(Call::Token), requests, "a run with nothing to do sends nothing");
    assert_eq!((stage.jobs(), stage.audit(), stage.webhooks()), (1, vec![true], vec![true]));
    stage.has_no_violations();
}

#[tokio::test]
async fn people_get_a_sentence() {
    let stage = Stage::new("").await;
    let text = tokio::process::Command::new(env!("CARGO_BIN_EXE_cognigy-operator"))
        .args(["deploy", "--egress-allow", "127.0.0.1", "-f"])
        .arg(stage.path("release.yaml"))
        .env_clear()
        .env("HOME", stage.path(""))
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(text.stdout).unwrap();
    assert!(
        said.starts_with("bots/bot deployed: attempt 1 succeeded: the environment runs version 2.4.1, since "),
        "{said}"
    );
    assert!(said.ends_with("]\n") && said.contains("[job_"), "{said}");
    assert!(crate::stage::exists(&stage.path(".local/state/cognigy-operator/bots.bot.json")), "{said}");
}

#[tokio::test]
async fn a_refused_configuration_says_why() {
    let stage = Stage::new(&format!("environments: {{{ENVIRONMENT}: {{validationErrors: [too much memory]}}}}")).await;
    let report = stage.run(&[]).await.ended_as(1, RunResult::Failed);
    assert_eq!(report.reason.as_deref(), Some("ValidationRefused"));
    assert!(report.message.contains("too much memory"), "{}", report.message);
    assert_eq!((stage.jobs(), stage.audit(), stage.webhooks()), (0, vec![], vec![false]));
    let again = stage.run(&[]).await.ended_as(1, RunResult::Failed);
    assert!(again.was_done_before && stage.calls(Call::Validate) == 1);
}

#[tokio::test]
async fn a_bad_release_is_rolled_back_and_reported() {
    let stage = Stage::new("").await;
    stage.write(&stage.manifest(BAD, &json!({})));
    let report = stage.run(&[]).await.ended_as(1, RunResult::Failed);
    assert_eq!(report.reason.as_deref(), Some("HealthCheckFailed"));
    assert_eq!(report.attempt.unwrap().outcome.as_deref(), Some("RolledBack"));
    assert!(report.owed.is_empty());
    assert_eq!((stage.jobs(), stage.audit(), stage.webhooks()), (1, vec![false], vec![false]));
    assert_eq!(stage.calls(Call::Rollback), 1);
    stage.has_no_violations();
}

#[tokio::test]
async fn without_auto_trigger_a_bad_release_needs_a_person_who_can_roll_it_back() {
    let stage = Stage::new("").await;
    let spec = json!({"rollbackPolicy": {"autoTrigger": false}});
    stage.write(&stage.manifest(BAD, &spec));
    let report = stage.run(&[]).await.ended_as(4, RunResult::NeedsPerson);
    assert_eq!(report.reason.as_deref(), Some("HealthCheckFailed"));
    assert_eq!(stage.calls(Call::Rollback), 0);
    let mut documents = stage.manifest(BAD, &spec);
    documents[0]["metadata"]["annotations"] = json!({"deploy.cognigy.ai/rollback": "1"});
    stage.write(&documents);
    stage.run(&[]).await.ended_as(1, RunResult::Failed);
    assert_eq!((stage.calls(Call::Rollback), stage.jobs()), (1, 1));
}

#[tokio::test]
async fn a_suspended_manifest_deploys_nothing_and_needs_a_person() {
    let stage = Stage::new("").await;
    stage.write(&stage.manifest(GOOD, &json!({"suspend": true})));
    let report = stage.run(&[]).await.ended_as(4, RunResult::NeedsPerson);
    assert_eq!(report.reason.as_deref(), Some("Suspended"));
    assert_eq!(stage.calls(Call::Validate), 0);
    stage.write(&stage.manifest(GOOD, &json!({})));
    stage.run(&[]).await.ended_as(0, RunResult::Deployed);
}

#[tokio::test]
async fn the_next_release_uses_the_same_journal() {
    let stage = Stage::new("").await;
    stage.run(&[]).await.ended_as(0, RunResult::Deployed);
    stage.write(&stage.manifest("2.4.2", &json!({})));
    let report = stage.run(&[]).await.ended_as(0, RunResult::Deployed);
    assert_eq!((report.version.as_deref(), report.attempt.unwrap().number), (Some("2.4.2"), 2));
    // An edit of the monitoring alone deploys nothing.
    stage.write(&stage.manifest("2.4.2", &json!({"monitoring": {"intervalSeconds": 2}})));
    let report = stage.run(&[]).await.ended_as(0, RunResult::Deployed);
    assert_eq!(report.attempt.unwrap().number, 2);
    assert_eq!(stage.jobs(), 2);
}

#[tokio::test]
async fn a_retry_deploys_the_same_configuration_once_more() {
    let stage = Stage::new(&format!("environments: {{{ENVIRONMENT}: {{jobOutcome: failed}}}}")).await;
    stage.run(&[]).await.ended_as(1, RunResult::Failed);
    stage.run(&["--retry"]).await.ended_as(1, RunResult::Failed);
    assert_eq!(stage.jobs(), 2);
    let report = stage.run(&[]).await.ended_as(1, RunResult::Failed);
    assert!(report.was_done_before && report.attempt.unwrap().number == 2);
    // With a new journal there is nothing to repeat: the first attempt is enough.
    let fresh = Stage::new("").await;
    fresh.run(&["--retry"]).await.ended_as(0, RunResult::Deployed);
    assert_eq!(fresh.jobs(), 1);
}

#[tokio::test]
async fn a_snapshot_may_be_in_a_config_map_of_the_manifest() {
    let stage = Stage::new("").await;
    let from = json!({"configMapKeyRef": {"name": "flows", "key": "snapshot"}});
    let mut documents =
        stage.manifest(GOOD, &json!({"configurationSnapshot": null, "configurationSnapshotFrom": from}));
    stage.write(&documents);
    stage.run(&[]).await.refused("flows");
    let data = json!({"snapshot": "botVersion: 2.4.7\nnlpEngine: v3.2\n"});
    documents.push(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "flows"}, "data": data}));
    stage.write(&documents);
    let report = stage.run(&[]).await.ended_as(0, RunResult::Deployed);
    assert_eq!(report.version.as_deref(), Some("2.4.7"));
}

#[tokio::test]
async fn credentials_and_the_webhook_may_come_from_the_environment() {
    let stage = Stage::new("").await;
    let documents = stage.manifest(GOOD, &json!({"webhook": null}));
    stage.write(&documents[..1]);
    stage.run(&[]).await.refused("set COGNIGY_CLIENT_ID and COGNIGY_CLIENT_SECRET");
    let url = stage.platform.url();
    let mut command = stage.command(&["--requests-per-minute", "6000"]);
    command
        .env("COGNIGY_CLIENT_ID", "demo")
        .env("COGNIGY_CLIENT_SECRET", "demo-secret")
        .env("COGNIGY_BASE_URL", &url)
        .env("COGNIGY_TOKEN_URL", stage.platform.token_url())
        .env("CI_CD_WEBHOOK_URL", format!("{url}/webhooks/from-the-environment"));
    let output = command.output().await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(stage.webhooks(), [true]);
}

#[tokio::test]
async fn a_manifest_comes_from_the_standard_input_as_well() {
    let stage = Stage::new("").await;
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_cognigy-operator"));
    command.args(["deploy", "-o", "json", "--egress-allow", "127.0.0.1", "-f", "-", "--journal"]).arg(stage.journal());
    command.stdin(std::fs::File::open(stage.path("release.yaml")).unwrap()).env_clear();
    let output = command.output().await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_before_anything_is_sent() {
    let stage = Stage::new("").await;
    let good = stage.manifest(GOOD, &json!({}));
    let twice = [good.clone(), good.clone()].concat();
    for (documents, says) in [
        (&good[1..], "has no CognigyDeployment"),
        (&twice[..], "more than one CognigyDeployment"),
        (&good[..1], "there are no credentials"),
    ] {
        stage.write(documents);
        stage.run(&[]).await.refused(says);
    }
    std::fs::remove_file(stage.path("release.yaml")).unwrap();
    stage.run(&[]).await.refused("release.yaml: the file cannot be read");
    assert_eq!(stage.calls(Call::Token), 0);
    assert!(!crate::stage::exists(&stage.journal()));
}
