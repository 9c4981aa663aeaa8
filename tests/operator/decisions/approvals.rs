//! Approvals: how many people, which plan, until when.

use super::*;

/// Starts a namespace with an operator and people, and a resource that so many people must approve.
macro_rules! start {
    ($namespace:ident, $people:ident, $bot:ident, $sample:expr) => {
        let $namespace = new_namespace().await;
        let $people = People::of(&shared().await.cluster, &$namespace).await;
        let $bot = $namespace.apply($sample).await;
    };
}

#[tokio::test]
async fn two_different_people_must_approve_and_one_person_counts_once() {
    start!(namespace, people, bot, approved_by(2));
    let waiting = bot.until_ready_reason(Reason::AwaitingApproval).await;
    let plan = plan_of(&waiting);
    let message = &waiting.condition(ConditionType::Ready).message;
    assert!(message.contains(&format!("{plan} (nothing yet → 2.4.1) has 0 of 2 approvals")), "{message}");
    let first = people.decide("ada", "approve", &plan).await;
    let again = people.decide("ada", "approve", &plan).await;
    people.until_state(&first, DecisionState::Waiting).await;
    let waiting = bot.until("one approval counts", |object| approvers(object) == ["ada"]).await;
    assert!(waiting.attempt().submission.is_none());
    people.until_state(&again, DecisionState::Waiting).await;
    let last = people.decide("grace", "approve", &plan).await;
    let done = bot.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(approvers(&done), ["ada", "grace"]);
    assert_eq!(done.recorded().acted_decisions.len(), 3, "the second one by ada is used up as well");
    assert_eq!(bot.request_count(Call::Submit), 1);
    // Which of two decisions in the same second is the older one is not known.
    let used: Vec<String> =
        done.attempt().gates.iter().flat_map(|gates| &gates.approvals).map(|used| used.name.clone()).collect();
    assert!(used.contains(&last), "{used:?}");
    for name in &used {
        let status = people.until_state(name, DecisionState::Acted).await;
        assert_eq!(status.verified, Some(true));
    }
    let unused = if used.contains(&first) { again } else { first };
    people.until_state(&unused, DecisionState::Acted).await;
}

#[tokio::test]
async fn the_approval_of_somebody_whom_the_spec_excludes_does_not_count() {
    start!(namespace, people, bot, sample().with(json!({"approval": {"required": 1, "notBy": ["both"]}})));
    let plan = plan_of(&bot.until_ready_reason(Reason::AwaitingApproval).await);
    let own = people.decide("both", "approve", &plan).await;
    let status = people.until_state(&own, DecisionState::Ignored).await;
    assert!(status.message.contains("spec.approval.notBy names this user"), "{}", status.message);
    people.decide("ada", "approve", &plan).await;
    assert_eq!(approvers(&bot.until_settled(1, Outcome::Succeeded).await), ["ada"]);
}

#[tokio::test]
async fn a_rejection_ends_the_attempt_and_a_retry_needs_an_approval_again() {
    start!(namespace, people, bot, approved_by(1));
    let plan = plan_of(&bot.until_ready_reason(Reason::AwaitingApproval).await);
    let rejection = people.decide("grace", "reject", &plan).await;
    let ended = bot.until_settled(1, Outcome::Abandoned).await;
    assert_eq!(ended.attempt().verdict.as_ref().unwrap().reason, Reason::Rejected);
    assert_eq!(bot.request_count(Call::Submit), 0);
    let event = bot.until_event("Normal", Reason::Rejected).await;
    let note = event.note.unwrap();
    assert!(note.contains(&format!("rejected by grace with the decision {rejection}: tested in staging")), "{note}");
    people.until_state(&rejection, DecisionState::Acted).await;

    bot.request_retry("1").await;
    let waiting = until_waiting(&bot, 2).await;
    assert_eq!(plan_of(&waiting), plan, "the same configuration, checks and environment");
    people.decide("ada", "approve", &plan).await;
    bot.until_settled(2, Outcome::Succeeded).await;
}

#[tokio::test]
async fn a_decision_about_another_plan_or_environment_is_ignored_with_a_warning_that_names_the_right_one() {
    start!(namespace, people, bot, approved_by(1));
    let plan = plan_of(&bot.until_ready_reason(Reason::AwaitingApproval).await);
    let wrong = people.decide("ada", "approve", NO_PLAN).await;
    let status = people.until_state(&wrong, DecisionState::Ignored).await;
    assert!(status.message.contains(&format!("attempt 1 is about {plan}")), "{}", status.message);
    let event = bot.until_event("Warning", Reason::DecisionIgnored).await;
    let note = event.note.unwrap();
    assert!(note.contains(&wrong) && note.contains("by ada") && note.contains(&plan), "{note}");

    // An administrator may decide for every environment. The one in the decision must still be the deployment's.
    let administrator = user_of(&namespace.client).await;
    let elsewhere = changed(decision("approve", &plan, &administrator), "environmentId", json!("env_other"));
    let elsewhere: CognigyDecision = serde_json::from_value(elsewhere).unwrap();
    let elsewhere = namespace.api::<CognigyDecision>().create(&PostParams::default(), &elsewhere).await.unwrap();
    let status = people.until_state(&elsewhere.name_any(), DecisionState::Ignored).await;
    assert!(status.message.contains("names another environment"), "{}", status.message);
    assert!(bot.get().await.attempt().submission.is_none());
}

#[tokio::test]
async fn many_decisions_about_another_environment_do_not_push_out_an_approval() {
    start!(namespace, people, bot, approved_by(2));
    let plan = plan_of(&bot.until_ready_reason(Reason::AwaitingApproval).await);
    people.decide("ada", "approve", &plan).await;
    let administrator = user_of(&namespace.client).await;
    let elsewhere = changed(decision("approve", &plan, &administrator), "environmentId", json!("env_other"));
    let elsewhere: CognigyDecision = serde_json::from_value(elsewhere).unwrap();
    // One more than count.
    for _ in 0..33 {
        namespace.api::<CognigyDecision>().create(&PostParams::default(), &elsewhere).await.unwrap();
    }
    people.decide("grace", "approve", &plan).await;
    let done = bot.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(approvers(&done), ["ada", "grace"]);
}

#[tokio::test]
async fn a_decision_that_is_too_large_to_read_says_so() {
    let mut namespace = new_namespace().await;
    let bot = namespace.apply(approved_by(1)).await;
    let plan = plan_of(&bot.until_ready_reason(Reason::AwaitingApproval).await);
    let mut large = decision("approve", &plan, &user_of(&namespace.client).await);
    large["metadata"]["annotations"] = json!({"notes": "x".repeat(130 * 1024)});
    let large: CognigyDecision = serde_json::from_value(large).unwrap();
    let large = namespace.api::<CognigyDecision>().create(&PostParams::default(), &large).await.unwrap();
    // It is reported with the next pruning, and the first one is at the start.
    namespace.restart_operator().await;
    let people = People::of(&shared().await.cluster, &namespace).await;
    let status = people.until_state(&large.name_any(), DecisionState::Ignored).await;
    assert!(status.message.contains("cannot be read and does not count"), "{}", status.message);
    assert!(namespace.resource("bot").get().await.attempt().submission.is_none());
}

#[tokio::test]
async fn an_approval_that_expires_before_the_submit_does_not_count() {
    start!(namespace, people, bot, approved_by(2));
    let plan = plan_of(&bot.until_ready_reason(Reason::AwaitingApproval).await);
    let soon = (jiff::Timestamp::now() + Duration::from_secs(4)).to_string();
    let short = changed(decision("approve", &plan, "ada"), "expiresAt", json!(soon));
    let short = people.try_decide("ada", short).await.unwrap().name_any();
    bot.until("the approval counts", |object| approvers(object) == ["ada"]).await;
    let expired = bot.until_ready_reason(Reason::ApprovalExpired).await;
    assert_eq!(approvers(&expired), [""; 0]);
    let message = &expired.condition(ConditionType::Ready).message;
    assert!(message.contains("expired: ada"), "{message}");
    people.until_state(&short, DecisionState::Expired).await;
    people.decide("grace", "approve", &plan).await;
    bot.until("only the other approval counts", |object| approvers(object) == ["grace"]).await;
    people.decide("ada", "approve", &plan).await;
    bot.until_settled(1, Outcome::Succeeded).await;
}

#[tokio::test]
async fn a_newer_configuration_replaces_the_one_that_waits_and_needs_approvals_of_its_own() {
    start!(namespace, people, bot, approved_by(2));
    let first = plan_of(&bot.until_ready_reason(Reason::AwaitingApproval).await);
    let old = people.decide("ada", "approve", &first).await;
    bot.until("the approval counts", |object| approvers(object) == ["ada"]).await;
    bot.edit(&approved_by(2).version("2.5.0")).await;
    let waiting = until_waiting(&bot, 2).await;
    let second = plan_of(&waiting);
    assert_ne!(first, second);
    assert_eq!(waiting.recorded().history[0].verdict.outcome, Outcome::Superseded);
    assert_eq!(approvers(&waiting), [""; 0], "the approval of the other plan does not count");
    let status = people.until_state(&old, DecisionState::Ignored).await;
    assert!(status.message.contains(&format!("attempt 2 is about {second}")), "{}", status.message);
    for who in ["ada", "grace"] {
        people.decide(who, "approve", &second).await;
    }
    bot.until_settled(2, Outcome::Succeeded).await;
    assert_eq!(bot.request_count(Call::Submit), 1);
}
