//! The operator's log, as a log collector reads it.

use crate::support::*;
use kube::ResourceExt;
use rollout::TraceId;
use std::collections::BTreeSet;
use std::process::Command;

#[test]
fn a_log_that_is_not_written_to_a_terminal_has_no_colours() {
    let operator = Command::new(env!("CARGO_BIN_EXE_cognigy-operator"))
        .args(["run", "--kubeconfig", "/there/is/no/such/file"])
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let log = String::from_utf8(operator.stderr).unwrap();
    assert!(log.contains("the kubeconfig cannot be used"), "{log:?}");
    assert!(!log.contains('\x1b'), "{log:?}");
}

/// The keys that collectors may rely on, by the kind of line.
const EVERY_LINE: [&str; 4] = ["timestamp", "level", "message", "target"];
const ABOUT_A_RESOURCE: [&str; 3] = ["namespace", "resource", "generation"];
const ABOUT_A_ROLLOUT: [&str; 2] = ["attempt", "trace_id"];
const AUDIT_RECORDS: [&str; 2] = ["id", "record"];
/// The keys of events, of failures, and of a webhook event that is given up.
const OTHERS: [&str; 3] = ["reason", "error", "event"];

#[test]
fn the_documented_log_keys_are_the_tested_ones() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
    let (_, part) = page.split_once("\n## Logs\n").unwrap();
    let (part, _) = part.split_once("\n## ").unwrap();
    let rows = part.lines().filter(|line| line.starts_with("| `")).map(|row| row.split('|').nth(1).unwrap());
    let listed: BTreeSet<&str> = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    let tested = [&EVERY_LINE[..], &ABOUT_A_RESOURCE, &ABOUT_A_ROLLOUT, &AUDIT_RECORDS, &OTHERS].concat();
    assert_eq!(listed, tested.into_iter().collect());
}

#[tokio::test]
async fn every_json_log_line_has_the_documented_keys_and_names_its_resource() {
    let namespace = new_namespace().await;
    let bot = namespace.apply(sample().webhook(&namespace.webhook_url())).await;
    let object = bot.until_settled(1, Outcome::Succeeded).await;
    namespace.operator().until_logged("the job has completed").await;

    let log = namespace.operator().log().text();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        for key in EVERY_LINE {
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
    assert!(AUDIT_RECORDS.iter().all(|key| audit[key].is_string()), "{audit}");
    assert!(audit["record"].as_str().unwrap().contains("auditCategory"), "{audit}");
}

#[tokio::test]
async fn every_log_line_about_a_rollout_names_its_resource_attempt_and_trace() {
    let namespace = new_namespace().await;
    let bot = namespace.apply(sample()).await;
    bot.until_settled(1, Outcome::Succeeded).await;
    bot.edit(&sample().version("2.0.0")).await;
    let object = bot.until_settled(2, Outcome::Succeeded).await;
    let operator = namespace.operator();
    let status = object.recorded();
    for (attempt, began) in [(1, status.history[0].started_at), (2, object.attempt().started_at)] {
        let said = format!("attempt {attempt} succeeded");
        let line = operator.until_logged(&said).await;
        let expected = json!({
            "level": "INFO",
            "target": "cognigy_operator::controller::event_recorder",
            "namespace": namespace.name,
            "resource": "bot",
            "attempt": attempt,
            "trace_id": TraceId::of(&object.uid().unwrap(), attempt, began).to_string(),
            "reason": "Succeeded",
        });
        assert!(ABOUT_A_ROLLOUT.iter().all(|key| !expected[*key].is_null()), "each key is tested");
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(&line[key], value, "{key} in {line}");
        }
    }
}
