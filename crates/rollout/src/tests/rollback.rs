//! The rollback: requested until it is accepted or refused, then verified.

use super::fixture::{INTERVAL, Rollout, TIMEOUT, bad, failed_job, unauthorized, unavailable, unreadable};
use crate::Cause;
use crate::answer::{HealthAnswer, Obstacle, RollbackAnswer};
use crate::{Decision, EventText, apply};
use api::condition::ConditionType;
use api::reason::Reason;
use api::status::{Outcome, Step};
use std::collections::BTreeSet;
use std::time::Duration;

fn not_yet() -> RollbackAnswer {
    RollbackAnswer::NotYet(unavailable())
}

fn refusal() -> RollbackAnswer {
    RollbackAnswer::Refused("422: no snapshot to revert to".to_owned())
}

fn failing() -> Rollout {
    let mut rollout = Rollout::new();
    rollout.job_says(&[failed_job()]);
    rollout
}

#[test]
fn an_accepted_rollback_is_the_outcome_and_health_is_watched_until_it_is_good() {
    let mut rollout = failing();
    rollout.health_says(&[bad(), unreadable(), HealthAnswer::Good]).run_for(30);
    assert_eq!((rollout.step_now(), rollout.outcome().unwrap().0), (Step::VerifyingRollback, Outcome::RolledBack));
    assert_eq!(rollout.condition_text(ConditionType::RolledBack), "True/RolledBack");
    rollout.run_for(60);
    assert_eq!((rollout.step_now(), rollout.count(&Decision::PollHealth)), (Step::Settled, 3));
    assert_eq!(rollout.condition_text(ConditionType::Healthy), "True/HealthGood");
    assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/RolledBack");
}

#[test]
fn an_unhealthy_environment_after_the_rollback_is_a_warning() {
    for (answer, healthy) in [(bad(), "False/RolledBackUnhealthy"), (unreadable(), "Unknown/RolledBackUnhealthy")] {
        let mut rollout = failing();
        rollout.health_says(&[answer]).run_for(60 + TIMEOUT);
        assert_eq!((rollout.step_now(), rollout.outcome().unwrap().0), (Step::Settled, Outcome::RolledBack));
        assert_eq!(rollout.condition_text(ConditionType::Healthy), healthy);
        assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/RolledBackUnhealthy");
        assert_eq!(rollout.warned(Reason::RolledBackUnhealthy), 1);
        assert_eq!((rollout.audits().len(), rollout.webhooks().len()), (1, 1));
    }
}

#[test]
fn a_refused_rollback_stalls_and_is_not_requested_again() {
    let mut rollout = failing();
    rollout.rollback_says(&[refusal()]).run_for(3600);
    assert_eq!(rollout.outcome(), Some((Outcome::RollbackFailed, Reason::RollbackRefused)));
    assert_eq!((rollout.count(&Decision::Rollback), rollout.warned(Reason::RollbackRefused)), (1, 1));
    assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/RollbackRefused");
    assert!(rollout.condition(ConditionType::Stalled).message.contains("no snapshot to revert to"));
    assert_eq!(rollout.webhooks().len(), 1);
}

#[test]
fn a_refused_rollback_is_requested_again_under_a_new_key_if_a_person_requests_it() {
    let mut rollout = failing();
    rollout.rollback_says(&[refusal(), RollbackAnswer::Accepted]).run_for(600);
    let first = rollout.attempt().rollback.as_ref().unwrap().key.clone();
    rollout.request_rollback("again").run_for(60);
    assert_ne!(rollout.attempt().rollback.as_ref().unwrap().key, first);
    assert_eq!(rollout.outcome().unwrap().0, Outcome::RollbackFailed, "an outcome is never rewritten");
    assert_eq!(rollout.condition_text(ConditionType::RolledBack), "True/RolledBack");
    assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/RolledBack");
}

#[test]
fn every_rollback_has_its_own_key_even_if_the_clock_stands_still_or_goes_back() {
    for jump in [0, -7200] {
        let mut rollout = failing();
        rollout.rollback_says(&[refusal()]).run_for(600);
        let mut keys = BTreeSet::new();
        for request in ["1", "2", "3"] {
            keys.insert(rollout.attempt().rollback.as_ref().unwrap().key.clone());
            rollout.wall_clock_jumps(jump).request_rollback(request).run();
        }
        assert_eq!(keys.len(), 3, "a jump of {jump} seconds");
    }
}

#[test]
fn an_unreachable_rollback_is_requested_until_it_is_accepted() {
    let mut rollout = failing();
    rollout.rollback_says(&[not_yet()]).before_decision(&Decision::Rollback).run_for(0);
    assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/RollbackUnreachable", "at once");
    assert_eq!(rollout.condition_text(ConditionType::Ready), "False/RollbackUnreachable");
    assert_eq!(rollout.warned(Reason::RollbackUnreachable), 1);
    let said = "the rollback of job_1 is not accepted: 503 Service Unavailable; the bad release is still live in \
                env_prod_us_01; the operator tries again at least every minute";
    assert_eq!(rollout.condition(ConditionType::Stalled).message, said);
    assert_eq!(rollout.events.last().unwrap().note, said);
    let earlier = rollout.count(&Decision::Rollback);
    rollout.run_for(6 * 3600);
    assert!(rollout.count(&Decision::Rollback) - earlier >= 6 * 120, "at least every 30 s");
    assert_eq!((rollout.step_now(), rollout.warned(Reason::RollbackUnreachable)), (Step::RollingBack, 1));
    rollout.rollback_says(&[RollbackAnswer::Accepted]).run_for(60);
    assert_eq!(rollout.outcome(), Some((Outcome::RolledBack, Reason::JobFailed)));
}

#[test]
fn an_unauthorized_rollback_stalls_and_is_requested_every_minute() {
    let mut rollout = failing();
    rollout.rollback_says(&[RollbackAnswer::NotYet(unauthorized())]).before_decision(&Decision::Rollback).run_for(600);
    assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/Unauthorized");
    assert_eq!(rollout.count(&Decision::Rollback), 11);
    rollout.rollback_says(&[RollbackAnswer::Accepted]).run_for(60);
    assert_eq!(rollout.outcome().unwrap().0, Outcome::RolledBack);
}

#[test]
fn after_a_crash_the_rollback_is_requested_again_under_the_same_key() {
    let mut rollout = Rollout::at(Step::RollingBack);
    let key = rollout.attempt().rollback.as_ref().unwrap().key.clone();
    rollout.step();
    rollout.crash();
    assert_eq!(rollout.decision(), Decision::Rollback);
    rollout.run();
    assert_eq!(rollout.attempt().rollback.as_ref().unwrap().key, key);
    assert_eq!((rollout.count(&Decision::Rollback), rollout.outcome().unwrap().0), (2, Outcome::RolledBack));
}

#[test]
fn a_restart_during_the_verification_continues_it() {
    let mut rollout = failing();
    rollout.health_says(&[bad()]).run_for(60).restart_after(60);
    assert_eq!(rollout.decision(), Decision::PollHealth);
    rollout.restart_after(TIMEOUT);
    assert_eq!(rollout.decision(), Decision::PollHealth, "nobody has polled since: a missing answer is no verdict");
    rollout.run_for(3 * INTERVAL - 1);
    assert_eq!(rollout.step_now(), Step::VerifyingRollback, "nobody has watched for long enough to say so");
    rollout.run_for(1);
    assert_eq!(rollout.step_now(), Step::Settled);
}

#[test]
fn a_failing_rollback_is_announced_again_only_if_the_cause_changes() {
    let fails = |words: &str| RollbackAnswer::NotYet(Obstacle::transient(Cause::ApiUnavailable, words, None));
    let mut rollout = failing();
    rollout.rollback_says(&[
        fails("503 Service Unavailable: request 4711-ab, at 12:00:01"),
        fails("503 Service Unavailable: request 4712-cd, at 12:00:09"),
        fails("503 Service Unavailable: request 4713-ef, at 12:00:20"),
        fails("500 Internal Server Error"),
        fails("500 Internal Server Error"),
    ]);
    let mut messages = Vec::new();
    rollout.before_decision(&Decision::Rollback);
    for _ in 0..5 {
        rollout.before_decision(&Decision::Rollback).run();
        messages.push(rollout.condition(ConditionType::Stalled).message.clone());
    }
    assert_eq!(rollout.warned(Reason::RollbackUnreachable), 2, "{:?}", rollout.events);
    messages.dedup();
    let [first, second] = &messages[..] else { panic!("no write for each try: {messages:#?}") };
    assert!(first.contains("request 4711-ab") && second.contains("500 Internal Server Error"), "{messages:?}");
}

#[test]
fn the_message_about_a_requested_rollback_names_no_bad_release() {
    let mut rollout = Rollout::at(Step::Settled);
    rollout.rollback_says(&[not_yet()]).request_rollback("1").run();
    let message = &rollout.condition(ConditionType::Stalled).message;
    assert!(message.contains("; the release is still live in env_prod_us_01;"), "{message}");
}

/// The API asks for a pause before each try.
#[test]
fn a_rollback_is_tried_again_at_least_every_minute() {
    let later = Some(Duration::from_secs(3600));
    let mut rollout = failing();
    rollout.rollback_says(&[RollbackAnswer::NotYet(Obstacle::transient(Cause::ApiUnavailable, "503", later))]);
    rollout.before_decision(&Decision::Rollback).run_for(600);
    assert_eq!(rollout.count(&Decision::Rollback), 11);
}

#[test]
fn an_event_that_was_not_recorded_is_published_with_the_next_try() {
    let mut rollout = failing();
    rollout.rollback_says(&[not_yet()]).before_decision(&Decision::Rollback).step();
    rollout.record_fails().memory.note_lost_event();
    rollout.events.clear();
    rollout.run_for(60);
    assert_eq!(rollout.warned(Reason::RollbackUnreachable), 1);
}

#[test]
fn a_failed_first_try_is_shown_while_the_call_continues() {
    let hangs = || Obstacle::transient(Cause::ApiUnavailable, "no answer within 30 s; try 2 of 3", None);
    for (step, shown, warnings) in [
        (Step::Pending, "Reconciling=ApiUnavailable", 0),
        (Step::Tracing, "Reconciling=ApiUnavailable", 0),
        (Step::Submitting, "Reconciling=ApiUnavailable", 0),
        (Step::RollingBack, "Stalled=RollbackUnreachable", 1),
    ] {
        let mut rollout = Rollout::at(step);
        for _ in 0..2 {
            let facts = rollout.given.facts(rollout.given.now);
            let effects = apply::failed_try(&mut rollout.status, &facts, &mut rollout.memory, hangs());
            rollout.events.extend(effects.events);
        }
        rollout.refresh();
        let flag =
            if rollout.has(ConditionType::Stalled) { ConditionType::Stalled } else { ConditionType::Reconciling };
        assert_eq!(format!("{flag:?}={}", rollout.condition(flag).reason), shown, "{step:?}");
        assert!(rollout.condition(flag).message.contains("no answer within 30 s"), "{step:?}");
        let matching = |event: &&EventText| event.note.contains("no answer within 30 s");
        let matching: Vec<_> = rollout.events.iter().filter(matching).collect();
        assert_eq!((matching.len(), matching.iter().filter(|event| event.warning).count()), (1, warnings), "{step:?}");
        assert!(rollout.memory.pause_left(rollout.given.now).is_zero(), "{step:?}: the call goes on");
    }
}
