//! Snapshots in ConfigMaps, deep snapshots, and exact numbers.

use crate::support::*;
use sha2::{Digest, Sha256};

const FIRST: &str = r#"{"botVersion": "1.0.0", "nlpEngine": "v3.2"}"#;
const SECOND: &str = "botVersion: 2.0.0\nnlpEngine: v3.2\n";

fn deployed_versions(namespace: &TestNamespace) -> Vec<Value> {
    let submits = namespace.requests(Call::Submit);
    submits.iter().map(|record| record.body.clone().unwrap()["configuration_snapshot"]["botVersion"].clone()).collect()
}

#[tokio::test]
async fn a_change_of_the_config_map_is_deployed_at_once() {
    let namespace = new_namespace().await;
    namespace.put_config_map("flows", FIRST).await;
    let bot = namespace.apply(sample().snapshot_from("flows")).await;
    bot.until_settled(1, Outcome::Succeeded).await;

    namespace.put_config_map("flows", SECOND).await;
    let object = bot.until_settled(2, Outcome::Succeeded).await;
    assert_eq!(object.metadata.generation, Some(1), "the spec has not changed");
    assert_eq!(deployed_versions(&namespace), [json!("1.0.0"), json!("2.0.0")]);
}

#[tokio::test]
async fn a_snapshot_that_differs_only_in_syntax_is_the_same_configuration() {
    let namespace = new_namespace().await;
    namespace.put_config_map("flows", FIRST).await;
    let bot = namespace.apply(sample().snapshot_from("flows")).await;
    bot.until_settled(1, Outcome::Succeeded).await;

    namespace.put_config_map("flows", "nlpEngine: v3.2\nbotVersion: 1.0.0\n").await;
    // When the next real change is deployed, the operator has already seen this change, and has started no attempt for
    // it.
    namespace.put_config_map("flows", SECOND).await;
    bot.until_settled(2, Outcome::Succeeded).await;
    assert_eq!(deployed_versions(&namespace).len(), 2);
}

#[tokio::test]
async fn a_missing_config_map_stalls_the_resource_until_it_exists() {
    let namespace = new_namespace().await;
    let bot = namespace.apply(sample().snapshot_from("flows")).await;
    let object = bot.until_stalled(Reason::SnapshotNotFound).await;
    assert!(object.condition(ConditionType::Stalled).message.contains("flows"));
    assert_eq!(namespace.calls(), []);

    namespace.put_config_map("flows", FIRST).await;
    bot.until_settled(1, Outcome::Succeeded).await;
}

#[tokio::test]
async fn a_config_map_without_a_json_or_yaml_object_is_refused_with_the_cause() {
    let namespace = new_namespace().await;
    for (text, says) in [("[1, 2]", "not an object"), ("{}", "empty"), ("{a: ", "neither JSON nor YAML")] {
        namespace.put_config_map("flows", text).await;
        let bot = namespace.apply(sample().snapshot_from("flows")).await;
        bot.until(&format!("{text} is refused"), |object| {
            object
                .find(ConditionType::Stalled)
                .is_some_and(|stalled| stalled.reason == Reason::SnapshotInvalid && stalled.message.contains(says))
        })
        .await;
    }
    assert_eq!(namespace.calls(), []);
}

#[tokio::test]
async fn a_resource_waits_for_the_snapshot_with_its_hash() {
    let namespace = new_namespace().await;
    namespace.put_config_map("flows", FIRST).await;
    let wanted = hex::encode(Sha256::digest(SECOND));
    let reference = json!({"configMapKeyRef": {"sha256": wanted}});
    let bot =
        namespace.apply(sample().snapshot_from("flows").with(json!({"configurationSnapshotFrom": reference}))).await;
    let waiting = bot.until_ready_reason(Reason::AwaitingSnapshot).await;
    assert!(waiting.is_true(ConditionType::Reconciling), "the resource is not stalled");
    assert!(waiting.find(ConditionType::Stalled).is_none());
    assert_eq!(namespace.calls(), []);

    namespace.put_config_map("flows", SECOND).await;
    bot.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(deployed_versions(&namespace), [json!("2.0.0")]);
}

#[tokio::test]
async fn a_config_map_that_changes_in_flight_waits_for_the_outcome() {
    let namespace = with_running_jobs("").await;
    namespace.put_config_map("flows", FIRST).await;
    let bot = namespace.apply(sample().snapshot_from("flows")).await;
    bot.until_step(Step::RollingOut).await;
    namespace.put_config_map("flows", SECOND).await;
    bot.until_ready_reason(Reason::NewerConfigurationWaiting).await;
    namespace.let_jobs_end();
    let object = bot.until_settled(2, Outcome::Succeeded).await;
    assert_eq!(object.recorded().history[0].verdict.outcome, Outcome::Succeeded);
}

#[tokio::test]
async fn a_snapshot_that_is_too_deep_does_not_stop_the_rollout_in_flight() {
    let namespace = with_running_jobs("deploymentsAreUnhealthy: true").await;
    let bot = namespace.apply(sample()).await;
    bot.until_step(Step::RollingOut).await;
    let deep = (0..200).fold(json!("x"), |inner, _| json!({"next": inner}));
    let edited = bot.try_patch(json!({"spec": {"configurationSnapshot": deep}})).await.unwrap();
    assert_eq!(edited.metadata.generation, Some(2), "the API server accepts it");
    namespace.let_jobs_end();
    bot.until_settled(1, Outcome::RolledBack).await;

    let object_now = bot.until_stalled(Reason::SnapshotInvalid).await;
    let message = &object_now.condition(ConditionType::Stalled).message;
    for words in ["configurationSnapshot", "next.next.next", "200 levels deep", "at most 126", "flatten it"] {
        assert!(message.contains(words), "{words}: {message}");
    }
    assert_eq!(object_now.says(ConditionType::Ready), (False, Reason::SnapshotInvalid));
    bot.delete().await;
    bot.until_gone().await;
    assert_eq!(namespace.request_count(Call::Submit), 1);
}

#[tokio::test]
async fn a_snapshot_of_124_levels_is_deployed_and_a_deeper_one_stalls_the_resource() {
    let namespace = new_namespace().await;
    let nested = |levels: usize| (1..levels).fold(json!({"a": 1}), |inner, _| json!({"a": inner}));
    let bot = namespace
        .apply(
            sample().with(json!({"configurationSnapshot": null})).with(json!({"configurationSnapshot": nested(124)})),
        )
        .await;
    bot.until_settled(1, Outcome::Succeeded).await;
    bot.try_patch(json!({"spec": {"configurationSnapshot": {"a": nested(126)}}})).await.unwrap();
    bot.until_stalled(Reason::SnapshotInvalid).await;
    bot.try_patch(json!({"spec": {"configurationSnapshot": {"a": nested(125)}}})).await.unwrap();
    bot.until_settled(2, Outcome::Succeeded).await;
}

#[tokio::test]
async fn numbers_in_a_snapshot_reach_the_platform_exactly_and_suspicious_ones_cause_warnings() {
    let namespace = new_namespace().await;
    let yaml = "botVersion: 3.10\nmode: 0644\nphone: 0041791234567\nid: 12345678901234567890123\n";
    namespace.put_config_map("flows", yaml).await;
    let bot = namespace.apply(sample().snapshot_from("flows")).await;
    let object = bot.until_settled(1, Outcome::Succeeded).await;
    let sent = namespace.requests(Call::Submit)[0].body.clone().unwrap();
    assert_eq!(sent["configuration_snapshot"]["mode"], json!(644));
    assert_eq!(sent["configuration_snapshot"]["phone"], json!(41_791_234_567_i64));
    let warnings = &object.attempt().checks.validation.as_ref().unwrap().warnings;
    for words in [
        "botVersion is the number 3.10",
        "0644 was read as the number 644",
        "0041791234567 was read as the number 41791234567",
    ] {
        assert!(warnings.iter().any(|warning| warning.contains(words)), "{words}: {warnings:?}");
    }
    assert!(object.condition(ConditionType::Validated).message.contains("botVersion is the number 3.10"));
}
