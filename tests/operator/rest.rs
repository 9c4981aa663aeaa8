//! What a resource costs when nothing is to be done for it.

use crate::stage::*;
use kube::ResourceExt;

#[tokio::test]
async fn at_rest_nothing_is_written_and_nothing_is_asked() {
    let world = World::with_environment("").await;
    let bot = world.apply(sample()).await;
    let rested = bot.until_settled(1, Outcome::Succeeded).await;
    let asked = world.journal().len();

    // Another resource goes through a rollout of several intervals meanwhile.
    let other = world.apply(sample().named("other").environment("env_other").with(slowly())).await;
    other.until_settled(1, Outcome::Succeeded).await;

    assert_eq!(bot.now().await.resource_version(), rested.resource_version());
    let others = |record: &&cognigy_operator::simulator::RequestRecord| {
        record.environment_id.as_ref().is_some_and(|id| id.as_str() == "env_other")
    };
    let journal = world.journal();
    let later = &journal[asked..];
    assert_eq!(later.iter().filter(others).count(), later.len(), "{later:?}");
}

fn slowly() -> Value {
    json!({"monitoring": {"successThreshold": 4}})
}

#[tokio::test]
async fn an_operator_that_starts_over_settled_resources_asks_and_writes_nothing() {
    let mut world = World::start().await;
    let before = world.apply(sample()).await.until_settled(1, Outcome::Succeeded).await;
    let asked = world.journal().len();
    world.kill_operator().await;
    world.start_operator().await;

    // The new process has looked at all there is once it has brought another resource through.
    let other = world.apply(sample().named("other").environment("env_other")).await;
    other.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(world.resource("bot").now().await.resource_version(), before.resource_version());
    let journal = world.journal();
    let of_the_first = journal[asked..]
        .iter()
        .filter(|record| record.environment_id.as_ref().is_some_and(|id| id.as_str() == ENVIRONMENT));
    assert_eq!(of_the_first.count(), 0);
}

#[tokio::test]
#[ignore = "measures memory, for the record; run it alone"]
async fn memory_with_one_and_with_200_resources_at_rest() {
    let world = World::start().await;
    world.apply(sample()).await.until_settled(1, Outcome::Succeeded).await;
    eprintln!("resident with 1 resource at rest: {:?} KiB", world.operator().resident_kib());
    for number in 2..=200 {
        world.apply(sample().named(&format!("bot-{number}")).environment(&format!("env-{number}"))).await;
    }
    for number in 2..=200 {
        world.resource(&format!("bot-{number}")).until_settled(1, Outcome::Succeeded).await;
    }
    eprintln!("resident with 200 resources at rest: {:?} KiB", world.operator().resident_kib());
}
