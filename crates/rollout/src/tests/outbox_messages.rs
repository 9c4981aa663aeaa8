//! Messages to the audit log and the webhook: one for each outcome.

use super::fixture::{Rollout, TIMEOUT, bad, failed_job, trace_answer, unsupported};
use crate::OutboxMessage;
use crate::answer::{RollbackAnswer, SubmitAnswer, ValidationAnswer};
use api::status::Outcome;

#[test]
fn a_success_message_has_the_time_from_submit_to_verdict() {
    let mut rollout = Rollout::new();
    rollout.run_for(60);
    assert_eq!(rollout.audits(), [(true, 15.0)]);
    assert_eq!(rollout.webhooks(), [(true, 15.0, 1.0)]);
}

#[test]
fn a_rollback_message_is_sent_when_the_rollback_was_accepted_or_refused() {
    for answer in [RollbackAnswer::Accepted, RollbackAnswer::Refused("no".to_owned())] {
        let mut rollout = Rollout::new();
        rollout.health_says(&[bad()]).rollback_says(&[answer]).run_for(45 + 2 * TIMEOUT);
        assert_eq!(rollout.audits(), [(false, 45.0)]);
        assert_eq!(rollout.webhooks(), [(false, 45.0, 1.0)]);
    }
}

#[test]
fn a_refused_validation_has_a_success_rate_of_0() {
    let mut rollout = Rollout::new();
    rollout.world.validation = vec![Ok(ValidationAnswer::Refused { errors: Vec::new() })];
    rollout.run();
    assert_eq!((rollout.audits(), rollout.webhooks()), (vec![], vec![(false, 0.0, 0.0)]));
}

#[test]
fn a_trace_that_did_not_pass_has_a_success_rate_of_one_half() {
    let mut rollout = Rollout::new();
    rollout.world.trace = vec![Ok(trace_answer("failed", &[]))];
    rollout.run();
    assert_eq!((rollout.audits(), rollout.webhooks()), (vec![], vec![(false, 0.0, 0.5)]));
}

#[test]
fn an_attempt_that_was_stopped_before_any_check_has_a_success_rate_of_0() {
    let mut rollout = Rollout::at(api::status::Step::Pending);
    rollout.request_rollback("1").run();
    assert_eq!((rollout.audits(), rollout.webhooks()), (vec![], vec![(false, 0.0, 0.0)]));
}

#[test]
fn the_message_about_an_unknown_outcome_has_no_job() {
    let mut rollout = Rollout::new();
    rollout.given.settings = unsupported();
    rollout.submit_says(&[SubmitAnswer::Unknown { message: "409".to_owned() }]).run();
    assert_eq!(rollout.outcome().unwrap().0, Outcome::Unknown);
    assert_eq!(rollout.messages.len(), 2);
    for message in &rollout.messages {
        let (OutboxMessage::Audit { job_id, success, .. } | OutboxMessage::Webhook { job_id, success, .. }) = message;
        assert!(job_id.is_none() && !success);
    }
}

#[test]
fn without_a_webhook_only_the_audit_log_gets_a_message() {
    let mut silent = Rollout::of(|spec| spec.webhook = None);
    silent.run_for(60);
    assert_eq!((silent.audits().len(), silent.webhooks().len()), (1, 0));
    let mut default = Rollout::of(|spec| spec.webhook = None);
    default.given.has_default_webhook = true;
    default.run_for(60);
    assert_eq!((default.audits().len(), default.webhooks().len()), (1, 1));
}

#[test]
fn an_audit_record_has_the_compliance_statements_and_the_time_of_the_verdict() {
    for approved in [true, false] {
        let mut rollout = Rollout::of(|spec| spec.compliance.governance_approved = approved);
        rollout.run_for(3600);
        let Some(OutboxMessage::Audit { compliance, at, .. }) = rollout.messages.first() else {
            panic!("no audit record")
        };
        assert_eq!((compliance.governance_approved, compliance.data_residency_check), (approved, false));
        assert_eq!(*at, rollout.attempt().verdict.as_ref().unwrap().at);
    }
}

#[test]
fn a_crash_before_the_record_creates_the_same_message_with_the_same_id() {
    let mut rollout = Rollout::new();
    rollout.job_says(&[failed_job()]).before_decision(&crate::Decision::Rollback);
    rollout.step();
    let messages = rollout.messages.clone();
    assert_eq!(messages.len(), 2);
    rollout.crash();
    assert_eq!(rollout.messages.len(), 0, "nothing of it was recorded");
    rollout.run();
    assert_eq!(rollout.messages, messages);
}
