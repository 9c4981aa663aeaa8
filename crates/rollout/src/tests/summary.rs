//! The state of a resource, for people and for tools that read conditions.

use super::fixture::{Rollout, bad, failed_job, unauthorized};
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
fn each_step_has_its_phase_and_its_summary() {
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
        assert_eq!((rollout.status.phase, rollout.condition_text(ConditionType::Ready).as_str()), (Some(phase), ready));
    }
}

#[test]
fn an_audit_record_for_another_api_says_where_it_belongs_and_what_to_do() {
    let origin = |url: &str| Some(ApiOrigin::new(url));
    let delivered = |rollout: &Rollout| {
        let condition = rollout.status.conditions.find(ConditionType::Delivered).unwrap();
        (condition.status, condition.reason, condition.message.clone())
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
    // A process that has not read the Secret yet does not change the condition.
    rollout.given.credentials_origin = None;
    rollout.refresh();
    assert_eq!(delivered(&rollout), (status, reason, said));
    rollout.given.credentials_origin = origin("https://first.example");
    rollout.refresh();
    assert_eq!(delivered(&rollout).1, Reason::DeliveryPending);
}

#[test]
fn a_second_refresh_changes_nothing() {
    for step in [Step::Pending, Step::RollingOut, Step::Monitoring, Step::VerifyingRollback, Step::Settled] {
        let mut rollout = Rollout::at(step);
        rollout.refresh();
        let before = rollout.status.clone();
        rollout.pass(1).prepare_for();
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
    assert_eq!((rollout.status.clone(), rollout.count(&Decision::PollJob)), (before, 5));
}

#[test]
fn obstacles_in_flight_are_shown_until_they_are_gone() {
    let mut rollout = Rollout::at(Step::Submitting);
    rollout.job_says(&[JobAnswer::Running]).submit_says(&[SubmitAnswer::NotYet(unauthorized())]).run();
    assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/Unauthorized");
    rollout.submit_says(&[SubmitAnswer::Accepted(JobId::new("job_1"))]).run_for(60);
    assert_eq!(rollout.condition_text(ConditionType::Reconciling), "True/RollingOut");
}

#[test]
fn waiting_messages_are_shown_until_they_are_accepted() {
    let mut rollout = Rollout::at(Step::Settled);
    rollout.status.outbox = vec![message(&rollout)];
    rollout.refresh();
    assert_eq!(rollout.condition_text(ConditionType::Delivered), "Unknown/DeliveryPending");
    assert_eq!(rollout.condition_text(ConditionType::Ready), "True/Succeeded", "a slow receiver is not a failure");
    rollout.status.outbox.clear();
    rollout.refresh();
    assert_eq!(rollout.condition_text(ConditionType::Delivered), "True/Delivered");
}

#[test]
fn accepted_messages_of_an_earlier_attempt_are_not_shown_as_waiting() {
    let mut rollout = Rollout::at(Step::Settled);
    rollout.status.outbox = vec![message(&rollout)];
    rollout.edit_digest("2.5.0").before_decision(&Decision::PollJob);
    assert_eq!(rollout.condition_text(ConditionType::Delivered), "Unknown/DeliveryPending");
    rollout.status.outbox.clear();
    rollout.refresh();
    assert_eq!(rollout.condition_text(ConditionType::Delivered), "Unknown/AttemptStarted");
}

#[test]
fn a_message_that_was_given_up_is_not_shown_as_accepted_after_another_one() {
    let mut rollout = Rollout::at(Step::Settled);
    rollout.refresh();
    let given_up = Condition {
        status: ConditionStatus::False,
        reason: Reason::DeliveryGivenUp,
        ..rollout.condition(ConditionType::Delivered).clone()
    };
    rollout.status.conditions.set_condition(given_up);
    rollout.status.outbox = vec![message(&rollout)];
    rollout.refresh();
    rollout.status.outbox.clear();
    rollout.refresh();
    assert_eq!(rollout.condition_text(ConditionType::Delivered), "False/DeliveryGivenUp");
}

#[test]
fn a_status_that_was_edited_by_hand_is_reported() {
    let mut rollout = Rollout::at(Step::Settled);
    rollout.status.attempt.as_mut().unwrap().verdict = None;
    rollout.refresh();
    assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/StatusUnreadable");
}

#[test]
fn the_outcome_of_an_older_configuration_is_not_shown_for_a_newer_one() {
    let waits = "Unknown/NewerConfigurationWaiting";
    let mut rollout = Rollout::at(Step::Settled);
    rollout.edit_digest("2.5.0").refresh();
    assert_eq!(
        rollout.condition_text(ConditionType::Ready),
        waits,
        "a person who waits for the newer configuration must not read the success of the older one"
    );

    let mut rollout = Rollout::at(Step::RollingOut);
    rollout.edit_digest("2.5.0").before_decision(&Decision::Start);
    rollout.refresh();
    assert_eq!(rollout.condition_text(ConditionType::Ready), waits, "not even if that success is very recent");

    let mut rollout = Rollout::at(Step::VerifyingRollback);
    rollout.edit_digest("2.5.0").refresh();
    assert_eq!(rollout.condition_text(ConditionType::Ready), waits, "and the older one's failure does not count");
    assert!(!rollout.has(ConditionType::Stalled));
}

#[test]
fn a_refusal_is_not_shown_after_the_checks_have_changed() {
    let mut rollout = Rollout::new();
    rollout.world.validation = vec![Ok(ValidationAnswer::Refused { errors: vec!["segment".to_owned()] })];
    rollout.run();
    assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/ValidationRefused");
    rollout.edit_checks("another-segment").refresh();
    assert_eq!(rollout.condition_text(ConditionType::Ready), "Unknown/NewerConfigurationWaiting");
}

#[test]
fn a_deleted_or_suspended_resource_does_not_announce_a_newer_configuration() {
    let mut rollout = Rollout::at(Step::Settled);
    rollout.edit_digest("2.5.0").delete().refresh();
    assert_eq!(rollout.condition_text(ConditionType::Ready), "True/Succeeded");
    let mut rollout = Rollout::at(Step::Settled);
    rollout.edit_digest("2.5.0").suspend(true).refresh();
    assert_eq!(rollout.condition_text(ConditionType::Ready), "False/Suspended");
}

#[test]
fn while_a_rollout_is_watched_its_deadline_is_shown_at_a_fixed_time() {
    let mut rollout = Rollout::new();
    rollout.job_says(&[JobAnswer::Running]).run_for(20);
    let said = rollout.condition(ConditionType::Ready).message.clone();
    let expected = "Example Platform has accepted the rollout; job_1 is running; submitted at 12:00:00, rolled back at 12:05:00 UTC \
                    if not healthy by then";
    assert_eq!(said, expected);
    rollout.run_for(60);
    assert_eq!(
        rollout.condition(ConditionType::Ready).message,
        said,
        "the message must not change: each change is a write"
    );
    rollout.edit(|spec| spec.rollback_policy.timeout_seconds = 600).run_for(20);
    assert!(rollout.condition(ConditionType::Ready).message.contains("rolled back at 12:10:00 UTC"));
    rollout.edit(|spec| spec.rollback_policy.auto_trigger = false).run_for(20);
    assert!(rollout.condition(ConditionType::Ready).message.contains("counts as failed at 12:10:00 UTC"));
}

#[test]
fn a_suspension_is_shown_after_a_success_and_after_a_rollback() {
    for job in [JobAnswer::Completed, failed_job()] {
        let mut rollout = Rollout::new();
        rollout.job_says(&[job]).run_for(600);
        let before = rollout.condition_text(ConditionType::Ready);
        assert!(!rollout.condition(ConditionType::Ready).message.contains("suspended"));
        rollout.suspend(true).run_for(60);
        assert!(rollout.condition(ConditionType::Ready).message.contains("suspended: nothing new is deployed"));
        assert_eq!(rollout.condition_text(ConditionType::Ready), before);
    }
}

#[test]
fn an_ended_attempt_has_no_condition_of_a_stage_that_it_did_not_reach() {
    let mut success = Rollout::at(Step::Settled);
    success.run();
    assert!(!success.has(ConditionType::RolledBack));
    let mut refused = Rollout::new();
    refused.world.validation = vec![Ok(ValidationAnswer::Refused { errors: vec!["segment".to_owned()] })];
    refused.run();
    for unreached in [ConditionType::TracePassed, ConditionType::RolledOut, ConditionType::Healthy] {
        assert!(!refused.has(unreached), "{unreached}");
    }
    assert!(refused.has(ConditionType::Validated) && refused.has(ConditionType::Delivered));
}

#[test]
fn a_rollback_says_what_it_restores() {
    let restored = |rollout: &Rollout| rollout.condition(ConditionType::RolledBack).message.clone();
    let mut named = Rollout::of(|spec| spec.rollback_policy.revert_snapshot_id = Some("snap_prev_stable".to_owned()));
    named.job_says(&[failed_job()]).before_decision(&Decision::PollJob);
    // The submitted value counts, not a later edit of the spec.
    named.edit(|spec| spec.rollback_policy.revert_snapshot_id = None).run_for(60);
    assert!(restored(&named).contains("to snapshot snap_prev_stable"), "{}", restored(&named));

    let mut earlier = Rollout::at(Step::Settled);
    earlier.edit_digest("2.5.0").health_says(&[bad()]).run_for(120);
    assert!(restored(&earlier).contains("to the snapshot before (version 2.4.1, attempt 1)"), "{}", restored(&earlier));

    let mut first = Rollout::new();
    first.job_says(&[failed_job()]).run_for(60);
    assert!(restored(&first).contains("to the snapshot before, requested because"), "{}", restored(&first));
}

#[test]
fn a_success_that_is_rolled_back_no_longer_says_what_runs() {
    let mut rollout = Rollout::at(Step::Settled);
    let last = rollout.status.last_successful.clone().unwrap();
    assert_eq!((last.version.as_deref(), last.rolled_back_at), (Some("2.4.1"), None));
    rollout.request_rollback("1").run_for(60);
    assert!(rollout.status.last_successful.as_ref().unwrap().rolled_back_at.is_some());
}

#[test]
fn a_time_out_message_has_the_last_known_state() {
    let mut running = Rollout::new();
    running.job_says(&[JobAnswer::Running]).run_for(400);
    let said = |rollout: &Rollout| {
        let event = rollout.events.iter().find(|event| event.reason == Reason::DeadlineExceeded);
        event.unwrap().note.clone()
    };
    assert!(said(&running).contains("within 300 seconds; last known state:"), "{}", said(&running));
    assert!(said(&running).contains("job_1 is running"), "{}", said(&running));
}

fn runs(rollout: &Rollout) -> Option<&str> {
    rollout.status.running.as_ref().map(|running| running.configuration.as_str())
}

#[test]
fn the_status_says_what_runs_from_the_intent_to_the_rollback() {
    let mut rollout = Rollout::at(Step::Tracing);
    rollout.refresh();
    assert_eq!(runs(&rollout), None);
    let mut rollout = rollout.brought_to(Step::Submitting);
    rollout.refresh();
    assert_eq!(runs(&rollout), Some("perhaps 2.4.1"));
    let mut rollout = rollout.brought_to(Step::Settled);
    rollout.refresh();
    assert_eq!(runs(&rollout), Some("2.4.1"));

    rollout.edit_digest("2.5.0").health_says(&[bad()]);
    let mut rollout = rollout.brought_to(Step::Tracing);
    rollout.refresh();
    assert_eq!(runs(&rollout), Some("2.4.1"), "nothing is submitted yet");
    let mut rollout = rollout.brought_to(Step::RollingOut);
    rollout.refresh();
    assert_eq!(runs(&rollout), Some("2.4.1 or 2.5.0"));
    rollout.run_for(120);
    assert_eq!(runs(&rollout), Some("before 2.5.0"));
}

#[test]
fn a_display_version_that_changes_alone_starts_nothing_and_waits_for_the_next_attempt() {
    let mut rollout = Rollout::at(Step::Settled);
    rollout.edit(|spec| spec.display_version = Some("spring".to_owned())).run();
    assert_eq!((rollout.attempt().number, rollout.attempt().version.as_deref()), (1, Some("2.4.1")));
    rollout.edit(|spec| spec.dependency_locks.clear()).run_for(120);
    assert_eq!((rollout.attempt().number, rollout.attempt().version.as_deref()), (2, Some("spring")));
    assert_eq!(runs(&rollout), Some("spring"));
}
