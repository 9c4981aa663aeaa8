//! Change windows hold back the submit, and nothing else.

use crate::support::*;
use api::ChangeWindow;
use jiff::{SignedDuration, Timestamp};
use kube::api::{Api, DeleteParams, PostParams};
use kube::runtime::wait::{Condition, await_condition};
use std::time::Duration;
use tokio::time::timeout;

fn deny(name: &str, from: Timestamp, to: Timestamp) -> ChangeWindow {
    let spec = json!({
        "type": "Deny", "timeZone": "Europe/Berlin", "reason": "Christmas freeze", "once": {"from": from, "to": to},
    });
    window(name, &spec)
}

fn window(name: &str, spec: &Value) -> ChangeWindow {
    serde_json::from_value(json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "ChangeWindow", "metadata": {"name": name}, "spec": spec,
    }))
    .unwrap()
}

/// A window that is active for that many more seconds. Times are in whole seconds, so that messages are short.
fn denied_for(name: &str, seconds: i64) -> (ChangeWindow, Timestamp) {
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    let to = now + SignedDuration::from_secs(seconds);
    (deny(name, now - SignedDuration::from_hours(1), to), to)
}

async fn create(windows: &Api<ChangeWindow>, window: &ChangeWindow) {
    windows.create(&PostParams::default(), window).await.unwrap();
}

async fn until_window(
    windows: &Api<ChangeWindow>,
    name: &str,
    is_reached: impl Condition<ChangeWindow>,
) -> ChangeWindow {
    let reached = timeout(DEADLINE, await_condition(windows.clone(), name, is_reached)).await;
    reached.unwrap_or_else(|_| panic!("the state of the window {name} was not reached")).unwrap().unwrap()
}

fn is_active(active: bool) -> impl Condition<ChangeWindow> {
    move |window: Option<&ChangeWindow>| {
        window.and_then(|window| window.status.as_ref()).is_some_and(|status| status.active == active)
    }
}

#[tokio::test]
async fn a_rollout_waits_for_the_end_of_a_freeze_and_then_starts_by_itself() {
    let namespace = new_namespace().await;
    let windows: Api<ChangeWindow> = namespace.api();
    let (freeze, ends_at) = denied_for("christmas", 25);
    create(&windows, &freeze).await;
    until_window(&windows, "christmas", is_active(true)).await;
    let bot = namespace.apply(sample()).await;
    let waiting = bot.until_ready_reason(Reason::WindowClosed).await;
    let message = &waiting.condition(ConditionType::Ready).message;
    let name = format!("the change window {}/christmas allows no rollout now", namespace.name);
    assert!(message.contains(&name) && message.contains("the rollout can start at"), "{message}");
    assert!(message.ends_with("the window's reason: Christmas freeze"), "{message}");
    assert_eq!(waiting.condition(ConditionType::GatesOpen).status, False);
    assert!(waiting.is_true(ConditionType::Reconciling) && waiting.is_true(ConditionType::TracePassed));
    let status = waiting.recorded();
    assert_eq!(status.phase, Some(Phase::Gated));
    let closed = &status.attempt.as_ref().unwrap().gates.as_ref().unwrap().closed;
    assert_eq!((closed.len(), closed[0].opens_at), (1, Some(ends_at)));
    assert_eq!(namespace.request_count(Call::Submit), 0);

    let ended = bot.until_settled(1, Outcome::Succeeded).await;
    let intended_at = ended.recorded().attempt.as_ref().unwrap().intended_at().unwrap();
    assert!(intended_at >= ends_at, "{intended_at} is in the freeze");
    assert_eq!(namespace.request_count(Call::Validate), 1, "the checks were not repeated");
    until_window(&windows, "christmas", is_active(false)).await;
}

#[tokio::test]
async fn a_freeze_that_ends_while_no_operator_runs_delays_nothing_after_the_restart() {
    let mut namespace = new_namespace().await;
    let windows: Api<ChangeWindow> = namespace.api();
    let (freeze, ends_at) = denied_for("christmas", 25);
    create(&windows, &freeze).await;
    let bot = namespace.apply(sample()).await;
    bot.until_ready_reason(Reason::WindowClosed).await;
    namespace.kill_operator().await;
    let left = ends_at.duration_since(Timestamp::now());
    tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
    namespace.start_operator().await;
    namespace.resource("bot").until_settled(1, Outcome::Succeeded).await;
}

#[tokio::test]
async fn a_rollout_starts_as_soon_as_the_window_that_held_it_back_is_deleted() {
    let namespace = new_namespace().await;
    let windows: Api<ChangeWindow> = namespace.api();
    let (freeze, _) = denied_for("christmas", 3600);
    create(&windows, &freeze).await;
    let bot = namespace.apply(sample()).await;
    bot.until_ready_reason(Reason::WindowClosed).await;
    windows.delete("christmas", &DeleteParams::default()).await.unwrap();
    bot.until_settled(1, Outcome::Succeeded).await;
}

#[tokio::test]
async fn a_rollout_in_flight_is_rolled_back_in_a_freeze() {
    let namespace = with_running_jobs("deploymentsAreUnhealthy: true").await;
    let bot = namespace.apply(sample()).await;
    bot.until_step(Step::RollingOut).await;
    let windows: Api<ChangeWindow> = namespace.api();
    let (freeze, _) = denied_for("christmas", 3600);
    create(&windows, &freeze).await;
    until_window(&windows, "christmas", is_active(true)).await;
    namespace.let_jobs_end();
    bot.until_settled(1, Outcome::RolledBack).await;
    bot.edit(&sample().version("2.5.0")).await;
    bot.until_ready_reason(Reason::WindowClosed).await;
}

#[tokio::test]
async fn a_window_in_the_operators_namespace_applies_to_others_and_selects_by_environment_and_label() {
    let namespace = new_namespace().await;
    let windows: Api<ChangeWindow> = Api::namespaced(namespace.client.clone(), "cognigy-system");
    let (mut freeze, _) = denied_for(&format!("freeze-{}", namespace.name), 3600);
    freeze.spec.environment_ids = vec![ENVIRONMENT.to_owned()];
    freeze.spec.match_labels = [("frozen".to_owned(), namespace.name.clone())].into();
    create(&windows, &freeze).await;
    let bot = namespace.apply(sample()).await;
    bot.until_settled(1, Outcome::Succeeded).await;
    bot.patch(json!({"metadata": {"labels": {"frozen": namespace.name}}})).await;
    bot.patch(json!({"spec": {"configurationSnapshot": {"botVersion": "2.5.0"}}})).await;
    let waiting = bot.until_ready_reason(Reason::WindowClosed).await;
    assert!(waiting.condition(ConditionType::Ready).message.contains("cognigy-system/freeze-"), "{waiting:?}");
    windows.delete(&format!("freeze-{}", namespace.name), &DeleteParams::default()).await.unwrap();
    bot.until_settled(2, Outcome::Succeeded).await;
}

#[tokio::test]
async fn a_resource_at_rest_and_its_status_are_not_touched_by_a_window() {
    let namespace = new_namespace().await;
    let bot = namespace.apply(sample()).await;
    let before = bot.until_delivered(Outcome::Succeeded).await;
    let windows: Api<ChangeWindow> = namespace.api();
    let (freeze, _) = denied_for("christmas", 3600);
    create(&windows, &freeze).await;
    until_window(&windows, "christmas", is_active(true)).await;
    let after = bot.get().await;
    assert_eq!(after.metadata.resource_version, before.metadata.resource_version);
}

#[tokio::test]
async fn a_window_that_is_over_shows_no_next_change_and_is_not_written_again() {
    let namespace = new_namespace().await;
    let windows: Api<ChangeWindow> = namespace.api();
    let (freeze, _) = denied_for("christmas", 25);
    create(&windows, &freeze).await;
    let active = until_window(&windows, "christmas", is_active(true)).await.status.unwrap();
    assert!(active.next_change_at.is_some() && active.next_change.is_some(), "{active:?}");
    let over = until_window(&windows, "christmas", is_active(false)).await;
    let status = over.status.unwrap();
    assert_eq!((status.next_change_at, status.next_change), (None, None));
    // Each of these windows causes a pass over all. One more pass has ended when the second one is written.
    for name in ["easter", "pentecost"] {
        create(&windows, &denied_for(name, 3600).0).await;
        until_window(&windows, name, is_active(true)).await;
    }
    let later = windows.get("christmas").await.unwrap();
    assert_eq!(later.metadata.resource_version, over.metadata.resource_version);
}
