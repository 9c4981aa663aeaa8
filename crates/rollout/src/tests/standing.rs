//! Where the resource stands, for people and for tools that read conditions.

use super::fixture::{Rollout, unauthorized};
use crate::Decision;
use crate::answer::{JobAnswer, SubmitAnswer, ValidationAnswer};
use api::condition::{Condition, ConditionSet, ConditionStatus, ConditionType};
use api::identifier::ApiOrigin;
use api::reason::Reason;
use api::spec::SecretReference;
use api::status::{DeliveryKind, OutboxEntry, Phase, Step};
use api::{IdempotencyKey, JobId};

fn message(rollout: &Rollout) -> OutboxEntry {
    OutboxEntry {
        id: IdempotencyKey::new("message"),
        kind: DeliveryKind::Audit,
        body: "{}".to_owned(),
        created_at: rollout.given.now.wall,
        api_origin: None,
    }
}

#[test]
fn each_step_has_its_phase_and_its_standing() {
    let table = [
        (Step::Pending, Phase::Pending, "Unknown/Validating"),
        (Step::Validating, Phase::Validating, "Unknown/ApiUnavailable"),
        (Step::Tracing, Phase::Tracing, "Unknown/Tracing"),
        (Step::Submitting, Phase::Submitting, "Unknown/Submitting"),
        (Step::RollingOut, Phase::RollingOut, "Unknown/RollingOut"),
        (Step::Monitoring, Phase::Monitoring, "Unknown/Monitoring"),
        (Step::RollingBack, Phase::RollingBack, "Unknown/RollingBack"),
        (Step::VerifyingRollback, Phase::VerifyingRollback, "False/RolledBack"),
        (Step::Settled, Phase::Succeeded, "True/Succeeded"),
    ];
    for (step, phase, ready) in table {
        let mut rollout = Rollout::at(step);
        rollout.refresh();
        assert_eq!((rollout.status.phase, rollout.told(ConditionType::Ready).as_str()), (Some(phase), ready));
    }
}

#[test]
fn an_audit_record_for_another_api_says_where_it_belongs_and_what_to_do() {
    let origin = |url: &str| Some(ApiOrigin::new(url));
    let delivered = |rollout: &Rollout| {
        let told = rollout.status.conditions.find(ConditionType::Delivered).unwrap();
        (told.status, told.reason, told.message.clone())
    };
    let mut rollout = Rollout::at(Step::Settled);
    rollout.given.spec.credentials_ref = Some(SecretReference { name: "cognigy-api".to_owned() });
    let taken_by = message(&rollout);
    rollout.status.outbox = vec![OutboxEntry { api_origin: origin("https://first.example"), ..taken_by }];
    rollout.given.credentials_origin = origin("https://first.example");
    rollout.refresh();
    assert_eq!(delivered(&rollout).1, Reason::DeliveryPending);
    rollout.given.credentials_origin = origin("https://second.example");
    rollout.refresh();
    let (status, reason, said) = delivered(&rollout);
    assert_eq!((status, reason), (ConditionStatus::Unknown, Reason::EndpointChanged));
    let words = "1 audit record(s) wait: the rollout went to https://first.example, but Secret cognigy-api now names \
                 https://second.example; point it back to https://first.example";
    assert!(said.starts_with(words), "{said}");
    // A process that has not read the Secret yet leaves that as it is.
    rollout.given.credentials_origin = None;
    rollout.refresh();
    assert_eq!(delivered(&rollout), (status, reason, said));
    rollout.given.credentials_origin = origin("https://first.example");
    rollout.refresh();
    assert_eq!(delivered(&rollout).1, Reason::DeliveryPending);
}

#[test]
fn looking_again_changes_nothing() {
    for step in [Step::Pending, Step::RollingOut, Step::Monitoring, Step::VerifyingRollback, Step::Settled] {
        let mut rollout = Rollout::at(step);
        rollout.refresh();
        let before = rollout.status.clone();
        rollout.pass(1).turn_to();
        rollout.refresh();
        assert_eq!(rollout.status, before, "{step:?}");
    }
}

#[test]
fn a_poll_that_learns_nothing_changes_nothing() {
    let mut rollout = Rollout::at(Step::RollingOut);
    rollout.job_says(&[JobAnswer::Running]).run_for(20);
    let before = rollout.status.clone();
    rollout.run_for(60);
    assert_eq!((rollout.status.clone(), rollout.count(&Decision::AskJob)), (before, 5));
}

#[test]
fn obstacles_in_flight_are_told_and_forgotten() {
    let mut rollout = Rollout::at(Step::Submitting);
    rollout.job_says(&[JobAnswer::Running]).submit_says(&[SubmitAnswer::NotYet(unauthorized())]).run();
    assert_eq!(rollout.told(ConditionType::Stalled), "True/Unauthorized");
    rollout.submit_says(&[SubmitAnswer::Accepted(JobId::new("job_1"))]).run_for(60);
    assert_eq!(rollout.told(ConditionType::Reconciling), "True/RollingOut");
}

#[test]
fn messages_that_wait_are_told_until_they_are_taken() {
    let mut rollout = Rollout::at(Step::Settled);
    rollout.status.outbox = vec![message(&rollout)];
    rollout.refresh();
    assert_eq!(rollout.told(ConditionType::Delivered), "Unknown/DeliveryPending");
    assert_eq!(rollout.told(ConditionType::Ready), "True/Succeeded", "a slow receiver is no failure");
    rollout.status.outbox.clear();
    rollout.refresh();
    assert_eq!(rollout.told(ConditionType::Delivered), "True/Delivered");
}

#[test]
fn messages_of_the_attempt_before_are_not_told_as_waiting_once_they_are_taken() {
    let mut rollout = Rollout::at(Step::Settled);
    rollout.status.outbox = vec![message(&rollout)];
    rollout.edit_digest("2.5.0").before_decision(&Decision::AskJob);
    assert_eq!(rollout.told(ConditionType::Delivered), "Unknown/DeliveryPending");
    rollout.status.outbox.clear();
    rollout.refresh();
    assert_eq!(rollout.told(ConditionType::Delivered), "Unknown/AttemptStarted");
}

#[test]
fn a_message_that_was_given_up_is_not_told_as_taken_after_another_one_was() {
    let mut rollout = Rollout::at(Step::Settled);
    rollout.refresh();
    let given_up = Condition {
        status: ConditionStatus::False,
        reason: Reason::DeliveryGivenUp,
        ..rollout.condition(ConditionType::Delivered).clone()
    };
    rollout.status.conditions.put(given_up);
    rollout.status.outbox = vec![message(&rollout)];
    rollout.refresh();
    rollout.status.outbox.clear();
    rollout.refresh();
    assert_eq!(rollout.told(ConditionType::Delivered), "False/DeliveryGivenUp");
}

#[test]
fn a_status_that_was_edited_by_hand_is_told() {
    let mut rollout = Rollout::at(Step::Settled);
    rollout.status.attempt.as_mut().unwrap().verdict = None;
    rollout.refresh();
    assert_eq!(rollout.told(ConditionType::Stalled), "True/StatusUnreadable");
}

#[test]
fn the_outcome_of_an_older_configuration_is_not_told_of_a_newer_one() {
    let waits = "Unknown/NewerConfigurationWaiting";
    let mut rollout = Rollout::at(Step::Settled);
    rollout.edit_digest("2.5.0").refresh();
    assert_eq!(
        rollout.told(ConditionType::Ready),
        waits,
        "who waits for the newer one must not find the older one's success"
    );

    let mut rollout = Rollout::at(Step::RollingOut);
    rollout.edit_digest("2.5.0").before_decision(&Decision::Start);
    rollout.refresh();
    assert_eq!(rollout.told(ConditionType::Ready), waits, "nor where that success has only just come");

    let mut rollout = Rollout::at(Step::VerifyingRollback);
    rollout.edit_digest("2.5.0").refresh();
    assert_eq!(rollout.told(ConditionType::Ready), waits, "nor the older one's failure");
    assert!(!rollout.has(ConditionType::Stalled));
}

#[test]
fn a_refusal_is_not_told_of_checks_that_were_changed_since() {
    let mut rollout = Rollout::new();
    rollout.world.validation = vec![Ok(ValidationAnswer::Refused { errors: vec!["segment".to_owned()] })];
    rollout.run();
    assert_eq!(rollout.told(ConditionType::Stalled), "True/ValidationRefused");
    rollout.edit_checks("another-segment").refresh();
    assert_eq!(rollout.told(ConditionType::Ready), "Unknown/NewerConfigurationWaiting");
}

#[test]
fn nothing_newer_is_awaited_where_the_resource_goes_or_is_suspended() {
    let mut rollout = Rollout::at(Step::Settled);
    rollout.edit_digest("2.5.0").delete().refresh();
    assert_eq!(rollout.told(ConditionType::Ready), "True/Succeeded");
    let mut rollout = Rollout::at(Step::Settled);
    rollout.edit_digest("2.5.0").suspend(true).refresh();
    assert_eq!(rollout.told(ConditionType::Ready), "False/Suspended");
}
