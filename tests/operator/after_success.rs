//! A success that is watched. The simulation plays what happens in the minutes after it.

use crate::support::*;
use api::spec::{AfterSuccess, OnUnhealthy};

#[tokio::test]
async fn the_api_server_fills_in_the_defaults_of_an_empty_object_and_no_poll_follows_the_success_at_once() {
    let namespace = new_namespace().await;
    let bot = namespace.apply(sample().with(json!({"monitoring": {"afterSuccess": {}}}))).await;
    let object = bot.until_settled(1, Outcome::Succeeded).await;
    let defaults = AfterSuccess { interval_seconds: 300, health_threshold: 3, on_unhealthy: OnUnhealthy::Report };
    assert_eq!(object.spec.monitoring.after_success, Some(defaults));
    assert_eq!(object.says(ConditionType::Healthy), (True, Reason::HealthGood));

    // Meanwhile another resource goes through a rollout of several intervals.
    let other = sample().named("other").environment("env_other").with(json!({"monitoring": {"successThreshold": 4}}));
    namespace.apply(other).await.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(bot.request_count(Call::Health), 1);
}

#[tokio::test]
async fn a_reaction_that_does_not_exist_is_refused_by_the_api_server() {
    let namespace = new_namespace().await;
    let bot = namespace.apply(sample()).await;
    let wrong = json!({"spec": {"monitoring": {"afterSuccess": {"onUnhealthy": "Delete"}}}});
    let refusal = bot.try_patch(wrong).await.unwrap_err().to_string();
    assert!(refusal.contains("onUnhealthy") && refusal.contains("Rollback"), "{refusal}");
}
