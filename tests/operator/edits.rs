//! Edits of the spec during an attempt, and `suspend`.

use crate::support::*;

#[tokio::test]
async fn a_newer_configuration_replaces_an_attempt_that_was_not_submitted() {
    let namespace = with_environment("faults: [{call: validate, times: forever, fault: {status: {code: 503}}}]").await;
    let bot = namespace.apply(sample().version("1.0.0").webhook(&namespace.webhook_url())).await;
    bot.until_ready_reason(Reason::ApiUnavailable).await;
    bot.edit(&sample().version("2.0.0").webhook(&namespace.webhook_url())).await;
    bot.until("attempt 2 begins", |object| object.attempt_if_any().is_some_and(|a| a.number == 2)).await;
    namespace.clear_faults();
    let object = bot.until_settled(2, Outcome::Succeeded).await;

    let past = &object.recorded().history[0];
    assert_eq!((past.number, past.verdict.outcome), (1, Outcome::Superseded));
    let submits = namespace.requests(Call::Submit);
    assert_eq!(submits.len(), 1);
    assert_eq!(submits[0].body.as_ref().unwrap()["configuration_snapshot"]["botVersion"], "2.0.0");
    assert_eq!(namespace.webhooks().len(), 1, "an attempt that was not submitted causes no event");
}

#[tokio::test]
async fn a_newer_configuration_waits_for_the_outcome_of_one_that_was_submitted() {
    let namespace = with_running_jobs("").await;
    let bot = namespace.apply(sample().version("1.0.0")).await;
    bot.until_step(Step::RollingOut).await;
    bot.edit(&sample().version("2.0.0")).await;

    let waiting = bot.until_ready_reason(Reason::NewerConfigurationWaiting).await;
    assert_eq!(waiting.says(ConditionType::Reconciling), (True, Reason::NewerConfigurationWaiting));
    assert_eq!(waiting.attempt().number, 1);
    namespace.let_jobs_end();
    let object = bot.until_settled(2, Outcome::Succeeded).await;
    assert_eq!(object.recorded().history[0].verdict.outcome, Outcome::Succeeded);
    assert_eq!(namespace.jobs().len(), 2);
}

#[tokio::test]
async fn a_newer_configuration_waits_for_a_rollback_but_not_for_good_health_after_it() {
    let namespace = with_environment("health: {then: unreadable}").await;
    let bot = namespace.apply(sample().version("1.0.0").threshold(2)).await;
    bot.until_step(Step::Monitoring).await;
    bot.edit(&sample().version("2.0.0").threshold(2)).await;
    bot.until_ready_reason(Reason::NewerConfigurationWaiting).await;
    // Health is bad before and after the rollback, so only the newer configuration ends the monitoring.
    namespace.replace_script("{health: {then: unhealthy}}");
    let object = bot.until("attempt 2 begins", |object| object.attempt_if_any().is_some_and(|a| a.number == 2)).await;
    assert_eq!(object.recorded().history[0].verdict.outcome, Outcome::RolledBack);
    namespace.replace_script("{}");
    bot.until_settled(2, Outcome::Succeeded).await;
    assert_eq!(namespace.request_count(Call::Rollback), 1);
}

#[tokio::test]
async fn a_changed_threshold_acts_on_the_running_attempt_and_starts_none() {
    let namespace = with_environment("deploymentsAreUnhealthy: true").await;
    let bot = namespace.apply(sample().threshold(15)).await;
    bot.until("one bad answer counted", |object| object.attempt_if_any().is_some_and(|a| a.health.bad_streak >= 1))
        .await;
    bot.edit(&sample().threshold(2)).await;
    let object = bot.until_settled(1, Outcome::RolledBack).await;
    assert!(object.attempt().health.bad_streak < 15);
    assert_eq!(namespace.request_count(Call::Submit), 1);
}

#[tokio::test]
async fn an_edit_without_a_new_configuration_updates_the_observed_generation_and_leaves_ready_unchanged() {
    let namespace = new_namespace().await;
    let bot = namespace.apply(sample()).await;
    let before = bot.until_settled(1, Outcome::Succeeded).await;
    let asked = namespace.all_requests().len();

    bot.edit(&sample().threshold(5)).await;
    let after = bot.until("generation 2 is observed", |object| object.recorded().observed_generation == 2).await;
    let (before, after_ready) = (before.condition(ConditionType::Ready), after.condition(ConditionType::Ready));
    assert_eq!(after_ready.status, True);
    assert_eq!(after_ready.last_transition_time, before.last_transition_time);
    assert_eq!(after.attempt().number, 1);
    assert_eq!(namespace.all_requests().len(), asked, "the edit causes no request");
}

#[tokio::test]
async fn another_order_of_the_dependency_locks_is_the_same_configuration() {
    let namespace = new_namespace().await;
    let locks = |names: [&str; 2]| {
        let lock = |name| json!({"packageName": name, "version": "3.2.0"});
        sample().with(json!({"dependencyLocks": names.map(lock)}))
    };
    let bot = namespace.apply(locks(["cognigy-nlp-core", "runtime"])).await;
    bot.until_settled(1, Outcome::Succeeded).await;
    bot.edit(&locks(["runtime", "cognigy-nlp-core"])).await;
    let object = bot.until("generation 2 is observed", |object| object.recorded().observed_generation == 2).await;
    assert_eq!(object.attempt().number, 1);
}

#[tokio::test]
async fn a_suspended_resource_starts_nothing_until_it_is_resumed() {
    let namespace = new_namespace().await;
    let bot = namespace.apply(sample().suspend(true)).await;
    let held = bot.until_ready_reason(Reason::Suspended).await;
    assert_eq!(held.condition(ConditionType::Ready).status, False);
    assert!(held.find(ConditionType::Reconciling).is_none() && held.find(ConditionType::Stalled).is_none());
    assert_eq!(namespace.calls(), []);

    bot.edit(&sample().suspend(false)).await;
    bot.until_settled(1, Outcome::Succeeded).await;
}

#[tokio::test]
async fn a_rollout_in_flight_is_monitored_and_rolled_back_although_the_resource_is_suspended() {
    let namespace = with_running_jobs("deploymentsAreUnhealthy: true").await;
    let bot = namespace.apply(sample()).await;
    bot.until_step(Step::RollingOut).await;
    bot.edit(&sample().suspend(true)).await;
    bot.until("generation 2 is observed", |object| object.recorded().observed_generation == 2).await;
    namespace.let_jobs_end();
    bot.until_settled(1, Outcome::RolledBack).await;
    assert_eq!(namespace.request_count(Call::Rollback), 1);
}

#[tokio::test]
async fn a_newer_configuration_of_a_suspended_resource_waits() {
    let namespace = new_namespace().await;
    let bot = namespace.apply(sample()).await;
    bot.until_settled(1, Outcome::Succeeded).await;
    bot.edit(&sample().version("2.0.0").suspend(true)).await;
    let held = bot.until_ready_reason(Reason::Suspended).await;
    assert_eq!(held.attempt().number, 1);
    bot.edit(&sample().version("2.0.0")).await;
    bot.until_settled(2, Outcome::Succeeded).await;
}
