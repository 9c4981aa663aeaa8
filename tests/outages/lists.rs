//! How a watch begins, as the API server has it, and what one object does to the others in it.

use crate::stage::{CognigyDeployment, Outcome, World};
use api::{ConditionType, Reason};
use std::time::{Duration, Instant};

const IN_PAGES: &str = "streaming lists do not work with this API server";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_streaming_lists_are_refused_a_watch_begins_with_a_list_in_pages() {
    let mut world = World::start().await;
    world.apply("env-before").await;
    world.cluster().restart_api_server_with(&["--feature-gates=WatchList=false"]).await;
    let operator = world.operator("alone").await;
    world.resource("env-before").until_told(Outcome::Succeeded).await;
    world.apply("env-after").await.until_told(Outcome::Succeeded).await;
    operator.until_logged_times(1, IN_PAGES).await;
    assert_eq!(operator.log().count(IN_PAGES), 1, "it is found out once, and told once");
    assert_eq!(operator.log().count("sendInitialEvents"), 1, "a refusal is no failure, and is not warned about");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_there_are_streaming_lists_a_watch_begins_with_one() {
    let world = World::start().await;
    let operator = world.operator("alone").await;
    world.apply("env-streamed").await.until_told(Outcome::Succeeded).await;
    assert!(operator.log().count(IN_PAGES) == 0);
}

/// How many resources have a snapshot that is too deep.
const DEEP: usize = 20;

/// A snapshot that is nested so many levels deep. The API server takes up to 10,000, with what is around it.
fn nested(levels: usize) -> String {
    format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels))
}

fn is_stalled_for_its_depth(object: &CognigyDeployment) -> bool {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    let mut stalled = conditions.filter(|condition| condition.condition_type == ConditionType::Stalled);
    stalled.any(|stalled| stalled.reason == Reason::SnapshotInvalid && stalled.message.contains("9000 levels deep"))
}

/// How long the neighbours take that are applied while an operator runs, and those that one finds when it starts.
async fn neighbours(world: &World, names: [&'static str; 4]) -> [Duration; 4] {
    let ready = async |name: &'static str| {
        let began = Instant::now();
        world.apply(name).await.until_told(Outcome::Succeeded).await;
        began.elapsed()
    };
    let operator = world.operator("first").await;
    let alone = ready(names[0]).await;
    for number in 0..DEEP {
        world.create(&format!("{}-deep-{number}", names[0]), &nested(9_000)).await;
    }
    let beside = ready(names[1]).await;
    let deep: &'static str = format!("{}-deep-0", names[0]).leak();
    world.resource(deep).until("stalled, with words", is_stalled_for_its_depth).await;
    drop(operator);
    world.apply(names[2]).await;
    let began = Instant::now();
    let operator = world.operator("second").await;
    world.resource(names[2]).until_told(Outcome::Succeeded).await;
    let found = began.elapsed();
    let after = ready(names[3]).await;
    assert!(
        operator.log().count("\"target\":\"cognigy_operator::controller::watch::problem\"") == 0,
        "no watch has a problem with one object"
    );
    world.resource(deep).delete().await;
    world.resource(deep).until_gone().await;
    [alone, beside, found, after]
}

fn assert_undisturbed(how: &str, [alone, beside, found, after]: [Duration; 4]) {
    eprintln!(
        "{how}: Ready after {alone:?} alone, {beside:?} beside {DEEP} deep ones, {found:?} from an operator's start, {after:?} after it"
    );
    for took in [beside, found, after] {
        assert!(took < alone + Duration::from_secs(10), "{took:?}, {alone:?} alone");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resources_of_any_depth_delay_no_other_with_streaming_lists() {
    let world = World::start().await;
    let took = neighbours(&world, ["env-s0", "env-s1", "env-s2", "env-s3"]).await;
    assert_undisturbed("streaming", took);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resources_of_any_depth_delay_no_other_with_lists_in_pages() {
    let mut world = World::start().await;
    world.cluster().restart_api_server_with(&["--feature-gates=WatchList=false"]).await;
    let took = neighbours(&world, ["env-p0", "env-p1", "env-p2", "env-p3"]).await;
    assert_undisturbed("in pages", took);
}
