//! How a watch begins, as the API server has it.

use crate::stage::{Outcome, World};

const IN_PAGES: &str = "the API server has no streaming lists";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_streaming_lists_are_refused_a_watch_begins_with_a_list_in_pages() {
    let mut world = World::start().await;
    world.apply("env-before").await;
    world.cluster().restart_api_server_with(&["--feature-gates=WatchList=false"]).await;
    let operator = world.operator("alone").await;
    world.resource("env-before").until_told(Outcome::Succeeded).await;
    world.apply("env-after").await.until_told(Outcome::Succeeded).await;
    operator.until_logged_times(1, IN_PAGES).await;
    assert_eq!(operator.times_logged(IN_PAGES), 1, "it is found out once, and told once");
    assert_eq!(operator.times_logged("sendInitialEvents"), 1, "a refusal is no failure, and is not warned about");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_there_are_streaming_lists_a_watch_begins_with_one() {
    let world = World::start().await;
    let operator = world.operator("alone").await;
    world.apply("env-streamed").await.until_told(Outcome::Succeeded).await;
    assert!(!operator.has_logged(IN_PAGES));
}
