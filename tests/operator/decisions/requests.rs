//! Rollbacks and retries by decision. Each decision acts once.

use super::*;
use kube::api::DeleteParams;

/// Waits until the success is rolled back. The verdict of its attempt stays.
async fn until_rolled_back(bot: &Resource<'_>) -> CognigyDeployment {
    let is_rolled_back = |object: &CognigyDeployment| {
        let recorded = object.recorded();
        recorded.last_successful.is_some_and(|success| success.rolled_back_at.is_some())
            && object.attempt().step == Step::Settled
    };
    bot.until("the success is rolled back", is_rolled_back).await
}

#[tokio::test]
async fn people_who_may_not_edit_can_roll_back_and_retry_a_resource_at_rest() {
    let namespace = new_namespace().await;
    let people = People::of(&shared().await.cluster, &namespace).await;
    let bot = namespace.apply(approved_by(1)).await;
    let plan = plan_of(&bot.until_ready_reason(Reason::AwaitingApproval).await);
    let approval = people.decide("ada", "approve", &plan).await;
    bot.until_settled(1, Outcome::Succeeded).await;
    people.until_state(&approval, DecisionState::Acted).await;

    let rollback = people.decide("grace", "rollback", &plan).await;
    let rolled_back = until_rolled_back(&bot).await;
    assert_eq!(bot.request_count(Call::Rollback), 1);
    let event = bot.until_event("Normal", Reason::RollbackRequested).await;
    let note = event.note.unwrap();
    assert!(
        note.contains(&format!("grace requests the rollback with the decision {rollback}: tested in staging")),
        "{note}"
    );
    people.until_state(&rollback, DecisionState::Acted).await;
    assert_eq!(rolled_back.recorded().acted_decisions.len(), 2);

    let retry = people.decide("grace", "retry", &plan).await;
    let waiting = until_waiting(&bot, 2).await;
    people.until_state(&retry, DecisionState::Acted).await;
    assert_eq!(approvers(&waiting), [""; 0], "the approval was used up by attempt 1");
    people.decide("ada", "approve", &plan_of(&waiting)).await;
    bot.until_settled(2, Outcome::Succeeded).await;
    assert_eq!((bot.request_count(Call::Submit), bot.request_count(Call::Rollback)), (2, 1));
}

#[tokio::test]
async fn a_decision_acts_once_also_if_it_is_deleted_or_the_operator_restarts() {
    let mut namespace = new_namespace().await;
    namespace.apply(approved_by(1)).await;
    let plan = plan_of(&namespace.resource("bot").until_ready_reason(Reason::AwaitingApproval).await);
    let rollback = {
        let people = People::of(&shared().await.cluster, &namespace).await;
        let bot = namespace.resource("bot");
        let approval = people.decide("ada", "approve", &plan).await;
        bot.until_settled(1, Outcome::Succeeded).await;
        let rollback = people.decide("grace", "rollback", &plan).await;
        until_rolled_back(&bot).await;
        people.until_state(&rollback, DecisionState::Acted).await;
        // The approval is gone, but it was used up.
        namespace.api::<CognigyDecision>().delete(&approval, &DeleteParams::default()).await.unwrap();
        rollback
    };
    namespace.restart_operator().await;
    let bot = namespace.resource("bot");
    bot.request_retry("1").await;
    let waiting = until_waiting(&bot, 2).await;
    assert_eq!(plan_of(&waiting), plan);
    assert!(
        namespace.api::<CognigyDecision>().get(&rollback).await.is_ok(),
        "the rollback is still there, about this plan"
    );
    let cluster = &shared().await.cluster;
    let people = People { cluster, namespace: &namespace };
    people.decide("ada", "approve", &plan).await;
    bot.until_settled(2, Outcome::Succeeded).await;
    assert_eq!((bot.request_count(Call::Submit), bot.request_count(Call::Rollback)), (2, 1));
}
