//! What becomes of a resource that waits for a turn in a request budget that is used up.

use crate::support::*;
use std::time::Duration;
use tokio::time::timeout;

/// The next turn in the budgets of these tests comes after a minute; what needs none comes long before.
const BEFORE_THE_NEXT_TURN: Duration = Duration::from_secs(30);

/// A namespace whose client may make one request a minute; it has fetched its token with that, and the first validation waits.
async fn namespace_without_budget(sample: &Sample) -> TestNamespace {
    let namespace = plan().await.without_secret().start().await;
    let mut credentials = namespace.credentials();
    credentials["requestsPerMinute"] = json!("1");
    namespace.put_secret("cognigy-api", credentials).await;
    namespace.apply(sample.clone()).await;
    namespace.until_requests(Call::Token, 1).await;
    namespace
}

#[tokio::test]
async fn a_deleted_resource_does_not_wait_for_its_turn_in_order_to_go() {
    let namespace = namespace_without_budget(&sample()).await;
    let gone = timeout(BEFORE_THE_NEXT_TURN, namespace.resource(sample().name()).delete_and_wait()).await;
    assert!(gone.is_ok(), "it waits for an answer that nobody wants");
    assert_eq!(namespace.request_count(Call::Validate), 0);
}

#[tokio::test]
async fn an_edited_resource_does_not_wait_for_its_turn_in_order_to_take_the_newer_configuration() {
    let namespace = namespace_without_budget(&sample().version("1.0.0")).await;
    let bot = namespace.resource(sample().name());
    bot.until("attempt 1 begins", |object| object.attempt_if_any().is_some()).await;
    bot.edit(&sample().version("2.0.0")).await;
    let begins = bot.until("attempt 2 begins", |object| object.attempt_if_any().is_some_and(|a| a.number == 2));
    assert!(timeout(BEFORE_THE_NEXT_TURN, begins).await.is_ok(), "it waits for an answer that nobody wants");
    assert_eq!(namespace.request_count(Call::Validate), 0);
}
