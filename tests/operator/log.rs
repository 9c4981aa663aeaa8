//! The operator's log, as whoever collects it reads it.

use crate::stage::*;
use cognigy_operator::rollout::TraceId;
use kube::ResourceExt;
use std::process::Command;

#[test]
fn a_log_that_no_terminal_shows_has_no_colours() {
    let operator = Command::new(env!("CARGO_BIN_EXE_cognigy-operator"))
        .args(["run", "--kubeconfig", "/there/is/no/such/file"])
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let log = String::from_utf8(operator.stderr).unwrap();
    assert!(log.contains("the kubeconfig cannot be used"), "{log:?}");
    assert!(!log.contains('\x1b'), "{log:?}");
}

/// Keys that collectors may rely on: `docs/operations.md` lists them.
#[tokio::test]
async fn every_line_in_json_has_its_keys_and_names_the_resource_that_it_is_about() {
    let world = World::start().await;
    let bot = world.apply(sample().webhook(&world.webhook_url())).await;
    let object = bot.until_settled(1, Outcome::Succeeded).await;
    world.operator().until_logged("the job has completed").await;

    let log = world.operator().log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        for key in ["timestamp", "level", "message", "target"] {
            assert!(line[key].is_string(), "{key}: {line}");
        }
        let timestamp: Result<jiff::Timestamp, _> = line["timestamp"].as_str().unwrap().parse();
        assert!(timestamp.is_ok(), "{line}");
    }
    let about_it: Vec<&Value> = lines.iter().filter(|line| line["generation"].is_number()).collect();
    assert!(about_it.len() > 3, "{log}");
    for line in about_it {
        assert_eq!(line["namespace"], json!(object.namespace()), "{line}");
        assert_eq!(line["resource"], json!(object.name_any()), "{line}");
    }
    let event = lines.iter().find(|line| line["reason"] == "SubmitAccepted").expect("events are in the log");
    assert_eq!(event["level"], "INFO");
    let audit = lines.iter().find(|line| line["target"] == "audit").expect("audit records are in the log");
    assert!(audit["id"].is_string() && audit["record"].as_str().unwrap().contains("auditCategory"), "{audit}");
}

#[tokio::test]
async fn every_line_about_a_rollout_names_its_resource_its_attempt_and_its_trace() {
    let world = World::start().await;
    let bot = world.apply(sample()).await;
    bot.until_settled(1, Outcome::Succeeded).await;
    bot.edit(&sample().version("2.0.0")).await;
    let object = bot.until_settled(2, Outcome::Succeeded).await;
    let operator = world.operator();
    for attempt in [1, 2] {
        let said = format!("attempt {attempt} succeeded");
        let line = operator.until_logged(&said).await;
        let expected = json!({
            "level": "INFO",
            "target": "cognigy_operator::controller::announce",
            "namespace": world.namespace,
            "resource": "bot",
            "attempt": attempt,
            "trace_id": TraceId::of(&object.uid().unwrap(), attempt).to_string(),
            "reason": "Succeeded",
        });
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(&line[key], value, "{key} in {line}");
        }
    }
}
