//! One environment, one owner.

use crate::stage::*;

#[tokio::test]
async fn the_younger_of_two_resources_waits_and_takes_over_when_the_older_is_gone() {
    let world = World::start().await;
    let older = world.apply(sample().named("older")).await;
    older.until_settled(1, Outcome::Succeeded).await;
    let younger = world.apply(sample().named("younger").version("2.0.0")).await;
    let object = younger.until_stalled(Reason::EnvironmentInUse).await;
    let message = &object.condition(ConditionType::Stalled).message;
    assert!(message.contains(&format!("{}/older", world.namespace)), "{message}");
    younger.until_told("Warning", Reason::EnvironmentInUse).await;
    assert_eq!(world.count(Call::Submit), 1);

    older.delete_and_wait().await;
    younger.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(world.count(Call::Submit), 2);
}

#[tokio::test]
async fn the_next_process_knows_the_owner() {
    let mut world = World::start().await;
    world.apply(sample().named("older")).await.until_settled(1, Outcome::Succeeded).await;
    world.apply(sample().named("younger").version("2.0.0")).await.until_stalled(Reason::EnvironmentInUse).await;
    world.kill_operator().await;
    world.start_operator().await;

    // An edit has the younger looked at by the new process.
    let younger = world.resource("younger");
    younger.edit(&sample().named("younger").version("3.0.0")).await;
    younger.until_stalled(Reason::EnvironmentInUse).await;
    assert_eq!(world.count(Call::Submit), 1);
    world.resource("older").delete_and_wait().await;
    younger.until_ready().await;
}

#[tokio::test]
async fn an_older_resource_whose_secret_comes_later_waits_for_the_one_that_has_deployed() {
    let mut world = World::start().await;
    let older = world.apply(sample().named("older").with(json!({"credentialsRef": {"name": "late"}}))).await;
    older.until_stalled(Reason::CredentialsNotFound).await;
    let younger = world.apply(sample().named("younger").version("2.0.0")).await;
    younger.until_settled(1, Outcome::Succeeded).await;
    world.kill_operator().await;
    world.secret("late", world.credentials()).await;
    world.start_operator().await;
    let (older, younger) = (world.resource("older"), world.resource("younger"));

    older.until_stalled(Reason::EnvironmentInUse).await;
    assert!(younger.now().await.is_true(ConditionType::Ready));
    assert_eq!(world.count(Call::Submit), 1);
    younger.delete_and_wait().await;
    older.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(world.count(Call::Submit), 2);
}

/// The status of the first resource, as a restored backup of it would have it.
async fn restore_status(world: &World, from: &str, to: &str, change: impl FnOnce(&mut Value)) {
    let mut status = serde_json::to_value(world.resource(from).now().await.recorded()).unwrap();
    change(&mut status);
    world.patch_status(to, json!({"status": status})).await;
}

#[tokio::test]
async fn of_two_resources_that_say_they_run_the_one_that_deployed_first_is_no_longer_ready() {
    let mut world = World::start().await;
    let first = world.apply(sample().named("first")).await;
    first.until_settled(1, Outcome::Succeeded).await;
    world.kill_operator().await;
    world.apply(sample().named("second")).await;
    let later = "2099-01-01T00:00:00Z";
    restore_status(&world, "first", "second", |status| {
        status["attempt"]["submission"]["intendedAt"] = json!(later);
        status["claim"]["deployedAt"] = json!(later);
    })
    .await;
    world.start_operator().await;
    let (first, second) = (world.resource("first"), world.resource("second"));

    let stalled = first.until_stalled(Reason::EnvironmentInUse).await;
    assert_eq!(stalled.says(ConditionType::Ready), (False, Reason::EnvironmentInUse));
    let warning = first.until_told("Warning", Reason::EnvironmentInUse).await;
    let note = warning.note.unwrap();
    assert!(note.contains("second; it deployed there after attempt 1") || note.contains("/second: delete"), "{note}");
    assert!(second.now().await.is_true(ConditionType::Ready));
    assert_eq!(world.count(Call::Submit), 1, "nothing is deployed because of it");

    second.delete_and_wait().await;
    first.until_settled(2, Outcome::Succeeded).await;
    assert_eq!(world.count(Call::Submit), 2);
}

#[tokio::test]
async fn a_rollout_at_a_step_of_a_newer_version_keeps_its_environment_its_status_and_its_finalizer() {
    let mut world = World::start().await;
    let older = world.apply(sample().named("older").with(json!({"credentialsRef": {"name": "late"}}))).await;
    older.until_stalled(Reason::CredentialsNotFound).await;
    let younger = world.apply(sample().named("younger").version("2.0.0")).await;
    younger.until_settled(1, Outcome::Succeeded).await;
    let invented = json!({"step": "Simulating", "verdict": null});
    world.patch_status("younger", json!({"status": {"attempt": invented}})).await;
    world.kill_operator().await;
    world.secret("late", world.credentials()).await;
    world.start_operator().await;
    let (older, younger) = (world.resource("older"), world.resource("younger"));

    older.until_stalled(Reason::EnvironmentInUse).await;
    let warning = younger.until_told("Warning", Reason::StatusUnreadable).await;
    let note = warning.note.unwrap();
    assert!(note.contains("status.attempt.step is \"Simulating\"") && note.contains("upgrade the operator"), "{note}");
    world.operator().until_shown("cognigy_operator_resources{state=\"unreadable\"}", 1.0).await;

    younger.delete().await;
    // Whatever the operator does about the deletion, it does before it has brought another resource through.
    world.apply(sample().named("other").environment("env_other")).await.until_settled(1, Outcome::Succeeded).await;
    let raw = world.raw("younger").await;
    assert_eq!(raw["status"]["attempt"]["step"], "Simulating", "nothing is written over it");
    assert_eq!(raw["metadata"]["finalizers"], json!(["deploy.cognigy.ai/rollout"]));
    older.until_stalled(Reason::EnvironmentInUse).await;
    assert_eq!(world.count(Call::Submit), 2, "of the younger one, and of the other environment");
}

#[tokio::test]
async fn a_reason_of_a_newer_version_is_written_back_as_it_was() {
    let mut world = World::start().await;
    let bot = world.apply(sample()).await;
    let settled = bot.until_settled(1, Outcome::Succeeded).await;
    let mut verdict = serde_json::to_value(settled.attempt().verdict.clone()).unwrap();
    verdict["reason"] = json!("InventedTomorrow");
    world.kill_operator().await;
    world.patch_status("bot", json!({"status": {"attempt": {"verdict": verdict}}})).await;
    world.start_operator().await;
    let bot = world.resource("bot");
    bot.edit(&sample().version("3.0.0")).await;
    bot.until_settled(2, Outcome::Succeeded).await;
    assert_eq!(world.raw("bot").await["status"]["history"][0]["verdict"]["reason"], "InventedTomorrow");
}

#[tokio::test]
async fn a_resource_with_refused_credentials_blocks_nobody() {
    let world = World::start().await;
    let mut wrong = world.credentials();
    wrong["clientSecret"] = json!("not-the-secret");
    world.secret("wrong", wrong).await;
    let intruder = world.apply(sample().named("intruder").with(json!({"credentialsRef": {"name": "wrong"}}))).await;
    intruder.until_stalled(Reason::Unauthorized).await;
    world.apply(sample()).await.until_settled(1, Outcome::Succeeded).await;
}

#[tokio::test]
async fn other_environments_and_other_platforms_are_nobodys_business() {
    let world = World::start().await;
    let elsewhere = World::plan().without_operator().start().await;
    world.secret("elsewhere", elsewhere.credentials()).await;
    let here = world.apply(sample()).await;
    let other = world.apply(sample().named("other").environment("env_other")).await;
    let there = world.apply(sample().named("there").with(json!({"credentialsRef": {"name": "elsewhere"}}))).await;
    for resource in [here, other, there] {
        resource.until_settled(1, Outcome::Succeeded).await;
    }
}
