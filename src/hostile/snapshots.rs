//! ConfigMaps with a snapshot: JSON or YAML that anybody with access to the namespace may have written.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use kube::client::Body;
use proptest::prelude::*;
use serde_json::json;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;
use tower::service_fn;

use super::config;
use super::damage::text_like;
use crate::controller::snapshot::{Desired, Snapshots};
use api::reason::Reason;
use api::{CognigyDeployment, Digest};
use rollout::Obstacle;

const SNAPSHOTS: [&str; 6] = [
    r#"{"botVersion": "2.4.1", "nlpEngine": "v3.2", "integrations": ["salesforce_crm", {"name": "sap_erp", "retries": 3}]}"#,
    "botVersion: 2.4.1\nnlpEngine: v3.2\nintegrations:\n  - salesforce_crm\n  - {name: sap_erp, retries: 3}\n",
    "base: &a {retries: 3, on: yes}\nflows: [*a, *a]\nmerged: {<<: *a, retries: 4}\n",
    "text: |\n  one\n  two\nfolded: >-\n  three\n? complex\n: key\n",
    "---\nbotVersion: !!str 2.4\nnumbers: [0x1f, 1e3, .inf, -0, 1_000]\n...\n",
    "at: 2026-01-01T12:00:00Z\nnothing: ~\n\"quoted\\u0000\": 'single'\n",
];

/// The maximum size in bytes of a resource that can be stored. A snapshot that is longer in its expanded form is not
/// deployed.
const LARGEST: usize = 1024 * 1024;

/// The operator's result for a ConfigMap with this text.
fn desired(text: &str) -> Result<Desired, Obstacle> {
    let map =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "flows"}, "data": {"snapshot": text}});
    let answer = Bytes::from(map.to_string());
    let api_server = service_fn(move |_: Request<Body>| {
        std::future::ready(Ok::<_, Infallible>(Response::new(Full::new(answer.clone()))))
    });
    let reference = json!({"configMapKeyRef": {"name": "flows", "key": "snapshot"}});
    let object: CognigyDeployment = serde_json::from_value(json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "CognigyDeployment",
        "metadata": {"name": "bot", "namespace": "bots"},
        "spec": {"environmentId": "env", "configurationSnapshotFrom": reference},
    }))
    .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let snapshots = Snapshots::new(kube::Client::new(api_server, "default"));
        snapshots.desired(&object, Duration::ZERO).await
    })
}

/// Checks that the snapshot is a JSON object that can be hashed, written and read again, or that the error message is
/// short.
fn check(text: &str) -> Result<(), TestCaseError> {
    match desired(text) {
        Ok(desired) => {
            let written = serde_json::to_vec(&desired.snapshot).unwrap();
            prop_assert!(written.len() <= LARGEST, "{} bytes", written.len());
            // Values stay in their written form: a number may be larger than any double.
            let read: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(&written).unwrap();
            prop_assert!(!read.is_empty());
        }
        Err(obstacle) => {
            let allowed = [Reason::SnapshotInvalid, Reason::SnapshotTooLarge];
            prop_assert!(allowed.contains(&obstacle.reason()), "{obstacle:?}");
            prop_assert!(obstacle.message.len() <= 1024, "{} bytes", obstacle.message.len());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_snapshot_is_read_correctly_or_refused(text in text_like(&SNAPSHOTS)) {
        check(&text)?;
    }
}

/// An alias bomb ("billion laughs") with this many levels. Each level refers ten times to the level before it.
fn laughs(first: &str, levels: usize) -> String {
    let mut text = format!("a0: &a0 [{first}]\n");
    for level in 1..=levels {
        let again = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{again}]\n"));
    }
    text
}

#[test]
fn a_small_text_that_expands_to_a_large_snapshot_is_refused() {
    for text in [
        laughs("lol", 9),
        laughs(&"x".repeat(100_000), 2),
        laughs(&"x".repeat(60_000), 3),
        format!("a: &a {}\nb: [{}]\n", "x".repeat(900_000), vec!["*a"; 90].join(", ")),
        format!("a: &a [{}]\nb: [{}]\n", vec!["1"; 5000].join(", "), vec!["*a"; 110].join(", ")),
        format!("a: &a {{k: {}}}\nb: {{<<: [{}]}}\n", "x".repeat(60_000), vec!["*a"; 1000].join(", ")),
        format!("a: &a {}1{}\n", "[&b ".repeat(120), "]".repeat(120)).replace("1", &"1, ".repeat(50_000)),
        laughs("{k: v}", 9),
    ] {
        let refused = desired(&text).expect_err("the snapshot must be refused");
        let allowed = [Reason::SnapshotInvalid, Reason::SnapshotTooLarge];
        assert!(allowed.contains(&refused.reason()) && refused.message.len() <= 1024, "{refused:?}");
    }
}

#[test]
fn a_text_of_any_depth_or_length_is_read_or_refused() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(200_000), close.repeat(200_000));
    for text in [
        deep("[", "]"),
        deep("{\"a\":", "}"),
        deep("{a: ", "}"),
        "- ".repeat(500_000),
        "? ".repeat(500_000),
        "[".repeat(1_000_000),
        "a: &a ".repeat(100_000),
        "!!map ".repeat(100_000),
        format!("{{\"{}\": 1}}", "k".repeat(1_000_000)),
        format!("{{{}}}", "\"a\": 1, ".repeat(100_000)),
        (0..60_000).map(|key| format!("k{key}: v\n")).collect(),
        (0..200).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect(),
        format!("a: {}1", "-".repeat(1_000_000)),
        format!("a: 0.{}1", "0".repeat(1_000_000)),
        "---\n".repeat(250_000),
        "#".repeat(1_000_000),
        "\u{0}".repeat(1_000_000),
        format!("a: |\n{}", " x\n".repeat(300_000)),
    ] {
        check(&text).unwrap();
    }
}

#[test]
fn aliases_of_small_values_are_accepted() {
    let text = "base: &base {retries: 3}\nflows: [*base, *base]\nmerged: {<<: *base, timeout: 5}\n";
    let desired = desired(text).unwrap();
    let snapshot = serde_json::to_value(&desired.snapshot).unwrap();
    assert_eq!(snapshot["flows"], json!([{"retries": 3}, {"retries": 3}]));
    assert_eq!(snapshot["merged"], json!({"retries": 3, "timeout": 5}));
    assert!(
        desired.target.digest
            != Digest::of_deployment(
                &serde_json::from_value(json!({"environmentId": "env"})).unwrap(),
                &serde_json::from_value(json!({"a": 1})).unwrap()
            )
            .unwrap()
    );
}
