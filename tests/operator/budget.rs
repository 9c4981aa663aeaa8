//! A resource that is changed while it waits for a request budget that is used up.

use crate::support::*;
use std::time::Duration;
use tokio::time::timeout;

/// In these tests the budget allows the next request after a minute. Everything that needs no request must happen
/// earlier.
const BEFORE_THE_NEXT_REQUEST: Duration = Duration::from_secs(30);

/// A namespace whose budget is one request a minute. The token request has used it, so the first validation waits.
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
async fn a_deleted_resource_is_removed_without_waiting_for_the_request_budget() {
    let namespace = namespace_without_budget(&sample()).await;
    let gone = timeout(BEFORE_THE_NEXT_REQUEST, namespace.resource(sample().name()).delete_and_wait()).await;
    assert!(gone.is_ok(), "it waits for an answer that is no longer needed");
    assert_eq!(namespace.request_count(Call::Validate), 0);
}

#[tokio::test]
async fn an_edited_resource_takes_the_newer_configuration_without_waiting_for_the_request_budget() {
    let namespace = namespace_without_budget(&sample().version("1.0.0")).await;
    let bot = namespace.resource(sample().name());
    bot.until("attempt 1 begins", |object| object.attempt_if_any().is_some()).await;
    bot.edit(&sample().version("2.0.0")).await;
    let begins = bot.until("attempt 2 begins", |object| object.attempt_if_any().is_some_and(|a| a.number == 2));
    assert!(timeout(BEFORE_THE_NEXT_REQUEST, begins).await.is_ok(), "it waits for an answer that is no longer needed");
    assert_eq!(namespace.request_count(Call::Validate), 0);
}
