//! The operator's log, as whoever collects it reads it.

use crate::stage::*;
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
    let about_it: Vec<&Value> = lines.iter().filter(|line| line["span"]["name"] == "reconcile").collect();
    assert!(about_it.len() > 3, "{log}");
    for line in about_it {
        let span = &line["span"];
        assert_eq!(span["namespace"], json!(object.namespace()), "{line}");
        assert_eq!(span["resource"], json!(object.name_any()), "{line}");
        assert!(span["generation"].is_number(), "{line}");
    }
    let event = lines.iter().find(|line| line["reason"] == "SubmitAccepted").expect("events are in the log");
    assert_eq!(event["level"], "INFO");
    let audit = lines.iter().find(|line| line["target"] == "audit").expect("audit records are in the log");
    assert!(audit["id"].is_string() && audit["record"].as_str().unwrap().contains("auditCategory"), "{audit}");
}
