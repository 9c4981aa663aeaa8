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
