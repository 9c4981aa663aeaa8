//! Resources at rest cause no work.

use crate::support::*;
use kube::ResourceExt;

#[tokio::test]
async fn a_resource_at_rest_causes_no_writes_and_no_requests() {
    let namespace = with_environment("").await;
    let bot = namespace.apply(sample()).await;
    let rested = bot.until_settled(1, Outcome::Succeeded).await;
    let asked = namespace.all_requests().len();

    // Meanwhile another resource goes through a rollout of several intervals.
    let other = namespace.apply(sample().named("other").environment("env_other").with(slowly())).await;
    other.until_settled(1, Outcome::Succeeded).await;

    assert_eq!(bot.get().await.resource_version(), rested.resource_version());
    let others = |record: &&simulator::RequestRecord| {
        record.environment_id.as_ref().is_some_and(|id| id.as_str() == "env_other")
    };
    let journal = namespace.all_requests();
    let later = &journal[asked..];
    assert_eq!(later.iter().filter(others).count(), later.len(), "{later:?}");
}

fn slowly() -> Value {
    json!({"monitoring": {"successThreshold": 4}})
}

#[tokio::test]
async fn a_restarted_operator_sends_no_request_and_writes_nothing_for_settled_resources() {
    let mut namespace = new_namespace().await;
    let before = namespace.apply(sample()).await.until_settled(1, Outcome::Succeeded).await;
    let asked = namespace.all_requests().len();
    namespace.restart_operator().await;

    // When another rollout has succeeded, the new process has also seen the settled resource.
    let other = namespace.apply(sample().named("other").environment("env_other")).await;
    other.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(namespace.resource("bot").get().await.resource_version(), before.resource_version());
    let journal = namespace.all_requests();
    let of_the_first = journal[asked..]
        .iter()
        .filter(|record| record.environment_id.as_ref().is_some_and(|id| id.as_str() == ENVIRONMENT));
    assert_eq!(of_the_first.count(), 0);
    // The new process has not reconciled the settled resource.
    let log = namespace.operator().log().text();
    assert!(log.contains(r#""resource":"other""#) && !log.contains(r#""resource":"bot""#), "{log}");
}

#[tokio::test]
async fn a_restarted_operator_reconciles_each_settled_resource_that_changes() {
    let mut namespace = new_namespace().await;
    let config_map = |version: &str| json!({"botVersion": version}).to_string();
    namespace.put_config_map("flow", &config_map("1")).await;
    let mapped = sample().named("mapped").environment("env-mapped").snapshot_from("flow");
    namespace.apply(mapped).await.until_settled(1, Outcome::Succeeded).await;
    for name in ["edited", "retried", "rolled-back", "deleted"] {
        namespace.apply(sample().named(name).environment(&format!("env-{name}"))).await;
    }
    for name in ["edited", "retried", "rolled-back", "deleted"] {
        namespace.resource(name).until_settled(1, Outcome::Succeeded).await;
    }
    namespace.restart_operator().await;

    let again = |name: &str| sample().named(name).environment(&format!("env-{name}"));
    namespace.apply(again("edited").version("2.5.0")).await.until_settled(2, Outcome::Succeeded).await;
    let retried = again("retried").annotated("deploy.cognigy.ai/retry", "1");
    namespace.apply(retried).await.until_settled(2, Outcome::Succeeded).await;
    let rolled_back = again("rolled-back").annotated("deploy.cognigy.ai/rollback", "1");
    let is_rolled_back = |object: &CognigyDeployment| object.recorded().phase == Some(Phase::RolledBack);
    namespace.apply(rolled_back).await.until("it is rolled back", is_rolled_back).await;
    namespace.resource("deleted").delete_and_wait().await;
    namespace.put_config_map("flow", &config_map("2")).await;
    namespace.resource("mapped").until_settled(2, Outcome::Succeeded).await;
}

#[tokio::test]
async fn metadata_that_the_operator_does_not_cache_survives_its_writes() {
    const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
    let namespace = new_namespace().await;
    let applied = sample().annotated(LAST_APPLIED, "the manifest").annotated("team", "bots");
    let settled = namespace.apply(applied).await.until_settled(1, Outcome::Succeeded).await;
    let annotations = [LAST_APPLIED, "team"].map(|name| settled.annotations().get(name).map(String::as_str));
    assert_eq!(annotations, [Some("the manifest"), Some("bots")]);
    let managers: Vec<_> = settled.managed_fields().iter().filter_map(|entry| entry.manager.as_deref()).collect();
    assert!(managers.contains(&"tests"), "the field manager of the test is preserved: {managers:?}");
}

#[tokio::test]
#[ignore = "measures memory, for the record; run it alone"]
async fn memory_with_one_and_with_200_resources_at_rest() {
    let namespace = new_namespace().await;
    namespace.apply(sample()).await.until_settled(1, Outcome::Succeeded).await;
    eprintln!("resident with 1 resource at rest: {:?} KiB", namespace.operator().memory_kib("VmRSS"));
    for number in 2..=200 {
        namespace.apply(sample().named(&format!("bot-{number}")).environment(&format!("env-{number}"))).await;
    }
    for number in 2..=200 {
        namespace.resource(&format!("bot-{number}")).until_settled(1, Outcome::Succeeded).await;
    }
    eprintln!("resident with 200 resources at rest: {:?} KiB", namespace.operator().memory_kib("VmRSS"));
}
