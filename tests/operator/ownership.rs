//! Each environment has one owner.

use crate::support::*;

#[tokio::test]
async fn the_newer_of_two_resources_waits_and_takes_over_when_the_older_one_is_deleted() {
    let namespace = new_namespace().await;
    let older = namespace.apply(sample().named("older")).await;
    older.until_settled(1, Outcome::Succeeded).await;
    let younger = namespace.apply(sample().named("younger").version("2.0.0")).await;
    let object = younger.until_stalled(Reason::EnvironmentInUse).await;
    let message = &object.condition(ConditionType::Stalled).message;
    assert!(message.contains(&format!("{}/older", namespace.name)), "{message}");
    younger.until_event("Warning", Reason::EnvironmentInUse).await;
    assert_eq!(namespace.request_count(Call::Submit), 1);

    older.delete_and_wait().await;
    younger.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(namespace.request_count(Call::Submit), 2);
}

#[tokio::test]
async fn the_owner_of_an_environment_stays_the_same_after_a_restart() {
    let mut namespace = new_namespace().await;
    namespace.apply(sample().named("older")).await.until_settled(1, Outcome::Succeeded).await;
    namespace.apply(sample().named("younger").version("2.0.0")).await.until_stalled(Reason::EnvironmentInUse).await;
    namespace.restart_operator().await;

    // An edit makes the new process reconcile the newer resource.
    let younger = namespace.resource("younger");
    younger.edit(&sample().named("younger").version("3.0.0")).await;
    younger.until_stalled(Reason::EnvironmentInUse).await;
    assert_eq!(namespace.request_count(Call::Submit), 1);
    namespace.resource("older").delete_and_wait().await;
    younger.until_ready().await;
}

#[tokio::test]
async fn an_older_resource_whose_secret_is_created_late_waits_for_the_resource_that_has_deployed() {
    let mut namespace = new_namespace().await;
    let older = namespace.apply(sample().named("older").with(json!({"credentialsRef": {"name": "late"}}))).await;
    older.until_stalled(Reason::CredentialsNotFound).await;
    let younger = namespace.apply(sample().named("younger").version("2.0.0")).await;
    younger.until_settled(1, Outcome::Succeeded).await;
    namespace.kill_operator().await;
    namespace.put_secret("late", namespace.credentials()).await;
    namespace.start_operator().await;
    let (older, younger) = (namespace.resource("older"), namespace.resource("younger"));

    older.until_stalled(Reason::EnvironmentInUse).await;
    assert!(younger.get().await.is_true(ConditionType::Ready));
    assert_eq!(namespace.request_count(Call::Submit), 1);
    younger.delete_and_wait().await;
    older.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(namespace.request_count(Call::Submit), 2);
}

/// Copies the status of a resource to another one, with a change, as a restored backup would.
async fn restore_status(namespace: &TestNamespace, from: &str, to: &str, change: impl FnOnce(&mut Value)) {
    let mut status = serde_json::to_value(namespace.resource(from).get().await.recorded()).unwrap();
    change(&mut status);
    namespace.resource(to).patch_status(status).await;
}

#[tokio::test]
async fn if_two_resources_claim_to_be_deployed_the_one_that_deployed_first_is_no_longer_ready() {
    let mut namespace = new_namespace().await;
    let first = namespace.apply(sample().named("first")).await;
    first.until_settled(1, Outcome::Succeeded).await;
    namespace.kill_operator().await;
    namespace.apply(sample().named("second")).await;
    let later = "2099-01-01T00:00:00Z";
    restore_status(&namespace, "first", "second", |status| {
        status["attempt"]["submission"]["intendedAt"] = json!(later);
        status["claim"]["deployedAt"] = json!(later);
    })
    .await;
    namespace.start_operator().await;
    let (first, second) = (namespace.resource("first"), namespace.resource("second"));

    let stalled = first.until_stalled(Reason::EnvironmentInUse).await;
    assert_eq!(stalled.says(ConditionType::Ready), (False, Reason::EnvironmentInUse));
    let warning = first.until_event("Warning", Reason::EnvironmentInUse).await;
    let note = warning.note.unwrap();
    assert!(note.contains("second; it deployed there after attempt 1") || note.contains("/second: delete"), "{note}");
    assert!(second.get().await.is_true(ConditionType::Ready));
    assert_eq!(namespace.request_count(Call::Submit), 1, "the conflict causes no submit");

    second.delete_and_wait().await;
    first.until_settled(2, Outcome::Succeeded).await;
    assert_eq!(namespace.request_count(Call::Submit), 2);
}

#[tokio::test]
async fn a_rollout_at_a_step_that_only_a_newer_version_knows_keeps_its_environment_status_and_finalizer() {
    let mut namespace = new_namespace().await;
    let older = namespace.apply(sample().named("older").with(json!({"credentialsRef": {"name": "late"}}))).await;
    older.until_stalled(Reason::CredentialsNotFound).await;
    let younger = namespace.apply(sample().named("younger").version("2.0.0")).await;
    younger.until_settled(1, Outcome::Succeeded).await;
    let invented = json!({"step": "Simulating", "verdict": null});
    namespace.resource("younger").patch_status(json!({"attempt": invented})).await;
    namespace.kill_operator().await;
    namespace.put_secret("late", namespace.credentials()).await;
    namespace.start_operator().await;
    let (older, younger) = (namespace.resource("older"), namespace.resource("younger"));

    older.until_stalled(Reason::EnvironmentInUse).await;
    let warning = younger.until_event("Warning", Reason::StatusUnreadable).await;
    let note = warning.note.unwrap();
    assert!(note.contains("status.attempt.step is \"Simulating\"") && note.contains("upgrade the operator"), "{note}");
    namespace.operator().until_shown("cognigy_operator_resources{state=\"unreadable\"}", 1.0).await;

    younger.delete().await;
    // When another rollout has succeeded, the operator has also handled the deletion.
    namespace.apply(sample().named("other").environment("env_other")).await.until_settled(1, Outcome::Succeeded).await;
    let raw = namespace.resource("younger").get_untyped().await;
    assert_eq!(raw["status"]["attempt"]["step"], "Simulating", "the operator does not overwrite it");
    assert_eq!(raw["metadata"]["finalizers"], json!(["deploy.cognigy.ai/rollout"]));
    older.until_stalled(Reason::EnvironmentInUse).await;
    assert_eq!(namespace.request_count(Call::Submit), 2, "one for the newer resource, one for the other environment");
}

#[tokio::test]
async fn a_reason_that_only_a_newer_version_knows_is_preserved() {
    let mut namespace = new_namespace().await;
    let bot = namespace.apply(sample()).await;
    let settled = bot.until_settled(1, Outcome::Succeeded).await;
    let mut verdict = serde_json::to_value(settled.attempt().verdict.clone()).unwrap();
    verdict["reason"] = json!("InventedTomorrow");
    namespace.kill_operator().await;
    namespace.resource("bot").patch_status(json!({"attempt": {"verdict": verdict}})).await;
    namespace.start_operator().await;
    let bot = namespace.resource("bot");
    bot.edit(&sample().version("3.0.0")).await;
    bot.until_settled(2, Outcome::Succeeded).await;
    assert_eq!(
        namespace.resource("bot").get_untyped().await["status"]["history"][0]["verdict"]["reason"],
        "InventedTomorrow"
    );
}

#[tokio::test]
async fn a_resource_with_refused_credentials_blocks_no_other() {
    let namespace = new_namespace().await;
    let mut wrong = namespace.credentials();
    wrong["clientSecret"] = json!("not-the-secret");
    namespace.put_secret("wrong", wrong).await;
    let intruder = namespace.apply(sample().named("intruder").with(json!({"credentialsRef": {"name": "wrong"}}))).await;
    intruder.until_stalled(Reason::Unauthorized).await;
    namespace.apply(sample()).await.until_settled(1, Outcome::Succeeded).await;
}

#[tokio::test]
async fn resources_for_other_environments_or_other_platforms_do_not_wait_for_each_other() {
    let namespace = new_namespace().await;
    let elsewhere = plan().await.without_operator().start().await;
    namespace.put_secret("elsewhere", elsewhere.credentials()).await;
    let here = namespace.apply(sample()).await;
    let other = namespace.apply(sample().named("other").environment("env_other")).await;
    let there = namespace.apply(sample().named("there").with(json!({"credentialsRef": {"name": "elsewhere"}}))).await;
    for resource in [here, other, there] {
        resource.until_settled(1, Outcome::Succeeded).await;
    }
}
