//! Submitting once: the intent, the request with its key, and the next steps if its outcome is unknown.

use super::fixture::{DAY, Rollout, TIMEOUT, unauthorized, unavailable, unsupported};
use crate::answer::SubmitAnswer;
use crate::apply::submit::SubmitIdentity;
use crate::{Decision, Memory, apply};
use api::JobId;
use api::condition::ConditionType;
use api::identifier::{ApiOrigin, ClientHash, RequestHash};
use api::reason::Reason;
use api::status::{Outcome, Step};

fn is_unsent(rollout: &Rollout) -> bool {
    rollout.attempt().idempotency_key().is_some_and(|key| rollout.memory.attempt.submission.is_unsent(key))
}

fn not_yet() -> SubmitAnswer {
    SubmitAnswer::NotYet(unavailable())
}

fn unknown() -> SubmitAnswer {
    SubmitAnswer::Unknown { message: "422 Unprocessable Content".to_owned() }
}

fn accepted() -> SubmitAnswer {
    SubmitAnswer::Accepted(JobId::new("job_1"))
}

#[test]
fn a_crash_after_the_intent_submits_again_under_the_same_key() {
    let mut rollout = Rollout::at(Step::Submitting);
    let key = rollout.attempt().idempotency_key().cloned();
    assert!(is_unsent(&rollout), "this process accepts a rejection as proof");
    rollout.restart_after(20);
    assert_eq!(rollout.decision(), Decision::Submit);
    assert!(!is_unsent(&rollout), "another process does not");
    rollout.run_for(60);
    assert_eq!(rollout.attempt().idempotency_key(), key.as_ref());
    assert_eq!((rollout.count(&Decision::Intend), rollout.attempt().number), (1, 1));
    assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded);
}

#[test]
fn a_lost_answer_submits_again_under_the_same_key() {
    let mut rollout = Rollout::at(Step::Submitting);
    let key = rollout.attempt().idempotency_key().cloned();
    rollout.step();
    assert_eq!(rollout.step_now(), Step::RollingOut);
    rollout.crash();
    assert_eq!((rollout.step_now(), rollout.decision()), (Step::Submitting, Decision::Submit));
    rollout.run_for(60);
    assert_eq!((rollout.attempt().idempotency_key().cloned(), rollout.outcome().unwrap().0), (key, Outcome::Succeeded));
}

#[test]
fn an_answer_whose_record_failed_is_recorded_without_another_post() {
    for answer in [accepted(), SubmitAnswer::Rejected { message: "400".to_owned() }] {
        let mut rollout = Rollout::at(Step::Submitting);
        rollout.submit_says(&[answer, unknown()]).step();
        let heard = rollout.attempt().clone();
        rollout.record_fails();
        assert_eq!((rollout.step_now(), rollout.decision()), (Step::Submitting, Decision::ApplySubmitAnswer));
        rollout.step();
        assert_eq!((rollout.attempt().step, &rollout.attempt().job), (heard.step, &heard.job));
        assert_eq!(rollout.world.submit.len(), 1, "the API got one request");
    }
}

#[test]
fn an_outcome_is_recorded_before_the_next_attempt_replaces_it_in_memory() {
    for is_edit in [true, false] {
        let mut rollout = Rollout::at(Step::Submitting);
        rollout.submit_says(&[SubmitAnswer::Rejected { message: "400".to_owned() }, accepted()]).step();
        if is_edit {
            rollout.edit_digest("2.5.0")
        } else {
            rollout.request_retry("1")
        };
        rollout.step();
        assert_eq!(rollout.attempt().number, 2);
        rollout.record_fails();
        assert_eq!((rollout.attempt().number, rollout.outcome().map(|outcome| outcome.0)), (1, Some(Outcome::Failed)));
        rollout.run_for(60);
        assert_eq!((rollout.count(&Decision::Submit), rollout.attempt().number), (2, 2), "one POST for each attempt");
    }
}

#[test]
fn a_submit_that_was_not_sent_can_still_be_rejected() {
    let mut rollout = Rollout::new();
    rollout.submit_says(&[SubmitAnswer::NotSent(unavailable()), accepted()]).run();
    assert!(is_unsent(&rollout));
    rollout.run_for(60);
    assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded);
}

#[test]
fn an_unanswered_submit_is_sent_again_and_can_no_longer_be_rejected() {
    let mut rollout = Rollout::new();
    rollout.submit_says(&[not_yet(), not_yet(), accepted()]).run();
    assert!(!is_unsent(&rollout));
    assert_eq!(rollout.condition_text(ConditionType::Reconciling), "True/ApiUnavailable");
    rollout.run_for(60);
    assert_eq!((rollout.count(&Decision::Submit), rollout.outcome().unwrap().0), (3, Outcome::Succeeded));
}

#[test]
fn a_rejected_submit_fails_and_nothing_is_deployed() {
    let mut rollout = Rollout::new();
    rollout.submit_says(&[SubmitAnswer::Rejected { message: "400: no such package".to_owned() }]).run_for(3600);
    assert_eq!(rollout.outcome(), Some((Outcome::Failed, Reason::SubmitRejected)));
    assert!(rollout.condition(ConditionType::Stalled).message.contains("no such package"));
    assert_eq!(rollout.audits(), []);
    assert_eq!(rollout.webhooks(), [(false, 0.0, 1.0)]);
    assert_eq!(rollout.count(&Decision::Submit), 1);
}

#[test]
fn refused_credentials_at_the_submit_stall_and_are_tried_again() {
    let mut rollout = Rollout::new();
    rollout.submit_says(&[SubmitAnswer::NotYet(unauthorized()), accepted()]).run();
    assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/Unauthorized");
    rollout.run_for(120);
    assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded);
}

#[test]
fn an_unknown_outcome_is_shown_at_once_while_the_submit_is_still_repeated() {
    let mut rollout = Rollout::new();
    rollout.submit_says(&[unknown(), unknown(), accepted()]).run();
    assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/SubmitOutcomeUnknown");
    assert_eq!((rollout.step_now(), rollout.outcome()), (Step::Submitting, None));
    rollout.run_for(60);
    assert_eq!(rollout.warned(Reason::SubmitOutcomeUnknown), 1);
    assert_eq!((rollout.count(&Decision::Submit), rollout.outcome().unwrap().0), (3, Outcome::Succeeded));
}

#[test]
fn a_submit_without_a_job_by_its_deadline_is_shown_as_unknown_and_still_sent() {
    let mut rollout = Rollout::new();
    rollout.submit_says(&[not_yet()]).run_for(TIMEOUT - 1);
    assert_eq!(rollout.condition_text(ConditionType::Reconciling), "True/ApiUnavailable");
    let sent = rollout.count(&Decision::Submit);
    rollout.run_for(600);
    assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/SubmitOutcomeUnknown");
    assert!(rollout.count(&Decision::Submit) > sent);
    rollout.submit_says(&[accepted()]).run_for(900);
    assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded);
}

#[test]
fn the_key_is_not_sent_in_the_last_ten_minutes_of_its_life() {
    let mut rollout = Rollout::new();
    rollout.submit_says(&[not_yet()]).run_for(DAY - 600 - 301);
    assert_eq!(rollout.step_now(), Step::Submitting);
    let sent = rollout.count(&Decision::Submit);
    rollout.pass(301).submit_says(&[accepted()]).run_for(DAY);
    assert_eq!(rollout.count(&Decision::Submit), sent, "the key may be forgotten");
    assert_eq!(rollout.outcome(), Some((Outcome::Unknown, Reason::SubmitOutcomeUnknown)));
    assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/SubmitOutcomeUnknown");
    assert_eq!(rollout.audits().len(), 1, "one record for any outcome");
}

#[test]
fn an_operator_that_was_down_for_a_day_does_not_send_the_key() {
    let mut rollout = Rollout::at(Step::Submitting);
    rollout.restart_after(DAY);
    assert_eq!(rollout.decision(), Decision::GiveUpSubmit);
}

#[test]
fn if_keys_are_ignored_an_ambiguous_submit_is_not_repeated() {
    let mut crashed = Rollout::new();
    crashed.given.settings = unsupported();
    crashed.before_decision(&Decision::Submit).restart_after(1).run_for(60);
    assert_eq!((crashed.count(&Decision::Submit), crashed.outcome().unwrap().0), (0, Outcome::Unknown));

    let mut ambiguous = Rollout::new();
    ambiguous.given.settings = unsupported();
    ambiguous.submit_says(&[unknown(), accepted()]).run_for(60);
    assert_eq!((ambiguous.count(&Decision::Submit), ambiguous.outcome().unwrap().0), (1, Outcome::Unknown));

    let mut unsent = Rollout::new();
    unsent.given.settings = unsupported();
    unsent.submit_says(&[SubmitAnswer::NotSent(unavailable()), accepted()]).run_for(60);
    assert_eq!((unsent.count(&Decision::Submit), unsent.outcome().unwrap().0), (2, Outcome::Succeeded));
}

#[test]
fn a_submit_with_a_lost_body_is_not_sent_and_waits_for_the_deadline() {
    let mut rollout = Rollout::at(Step::Submitting);
    rollout.restart_after(1).world.body_has_changed = true;
    rollout.run();
    assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/SubmitOutcomeUnknown");
    rollout.run_for(TIMEOUT - 60);
    assert_eq!(rollout.outcome(), None);
    rollout.run_for(400);
    assert_eq!(rollout.outcome(), Some((Outcome::Unknown, Reason::SubmitOutcomeUnknown)));
}

#[test]
fn a_body_that_can_be_built_again_is_sent_until_the_key_expires() {
    let mut rollout = Rollout::at(Step::Submitting);
    rollout.restart_after(1).submit_says(&[not_yet()]).world.body_has_changed = true;
    rollout.run();
    rollout.world.body_has_changed = false;
    rollout.run_for(2 * TIMEOUT);
    assert_eq!(rollout.outcome(), None, "an unanswered submit is not given up at the deadline");
    rollout.submit_says(&[accepted()]).run_for(TIMEOUT * 2);
    assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded);
}

#[test]
fn a_retry_after_an_unknown_outcome_waits_for_the_deadline_and_then_starts() {
    let mut rollout = Rollout::new();
    rollout.given.settings = unsupported();
    rollout.submit_says(&[unknown(), accepted()]).run();
    rollout.request_retry("1").run_for(TIMEOUT - 1);
    assert_eq!((rollout.attempt().number, rollout.outcome().unwrap().0), (1, Outcome::Unknown));
    rollout.run_for(3600);
    assert_eq!((rollout.attempt().number, rollout.outcome().unwrap().0), (2, Outcome::Succeeded));
    let waited = rollout.attempt().started_at.duration_since(rollout.status.history[0].started_at);
    assert_eq!(waited.as_secs().unsigned_abs(), TIMEOUT, "the operator acts at the deadline");
}

#[test]
fn a_new_configuration_after_an_unknown_outcome_waits_for_the_deadline() {
    let mut rollout = Rollout::new();
    rollout.given.settings = unsupported();
    rollout.submit_says(&[unknown(), accepted()]).run();
    assert_eq!(rollout.outcome().unwrap().0, Outcome::Unknown);
    rollout.edit_digest("2.5.0").request_retry("1").run_for(TIMEOUT - 5);
    assert_eq!(rollout.attempt().number, 1);
    assert_eq!(rollout.condition_text(ConditionType::Reconciling), "True/NewerConfigurationWaiting");
    rollout.run_for(60);
    assert_eq!((rollout.attempt().number, rollout.outcome().unwrap().0), (2, Outcome::Succeeded));
}

/// An upgrade while an intent is in flight. The older version derived its keys differently.
#[test]
fn a_recorded_key_is_kept_even_if_somebody_sets_the_step_back() {
    let mut rollout = Rollout::at(Step::Submitting);
    let recorded: api::IdempotencyKey = serde_json::from_value("of-another-version".into()).unwrap();
    let submission = rollout.status.attempt.as_mut().unwrap().submission.as_mut().unwrap();
    submission.idempotency_key = recorded.clone();
    rollout.record_by_hand().restart_after(1).step();
    assert_eq!(rollout.attempt().idempotency_key(), Some(&recorded), "the submit uses the recorded key");

    let mut memory = Memory::default();
    let identity = SubmitIdentity {
        api_origin: ApiOrigin::new("https://api.cognigy.ai"),
        client_hash: ClientHash::new("a-client"),
        request_hash: RequestHash::new("a-hash"),
    };
    rollout.status.attempt.as_mut().unwrap().step = Step::Tracing;
    apply::submit::intend(&mut rollout.status, &rollout.given.facts(rollout.given.now), &mut memory, identity);
    assert_eq!(rollout.attempt().idempotency_key(), Some(&recorded));
    let is_unsent = memory.attempt.submission.is_unsent(&recorded);
    assert!(!is_unsent, "another process may have sent it, so a refusal would prove nothing");
}
