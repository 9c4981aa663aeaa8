//! The steps before the submit: the snapshot, the validation, the trace.

use super::fixture::{Rollout, trace_answer, unauthorized, unavailable};
use crate::answer::{Retry, ValidationAnswer};
use crate::{Cause, Decision, Obstacle};
use api::condition::ConditionType;
use api::identifier::ApiOrigin;
use api::reason::Reason;
use api::status::{Outcome, Step};

fn refused(errors: &[&str]) -> ValidationAnswer {
    ValidationAnswer::Refused { errors: errors.iter().map(|error| (*error).to_owned()).collect() }
}

#[test]
fn a_rollout_goes_from_checks_to_success() {
    let mut rollout = Rollout::new();
    rollout.run_for(60);
    let expected = [
        Decision::NoteRequests,
        Decision::Start,
        Decision::RequestSlot,
        Decision::Validate,
        Decision::Trace,
        Decision::Intend,
        Decision::Submit,
        Decision::PollJob,
        Decision::PollHealth,
    ];
    assert_eq!(rollout.decisions, expected);
    assert_eq!(rollout.outcome(), Some((Outcome::Succeeded, Reason::Succeeded)));
    assert_eq!(rollout.condition_text(ConditionType::Ready), "True/Succeeded");
    for condition in
        [ConditionType::Validated, ConditionType::TracePassed, ConditionType::RolledOut, ConditionType::Healthy]
    {
        assert!(rollout.condition_text(condition).starts_with("True/"), "{condition}");
    }
    let last = rollout.status.last_successful.as_ref().unwrap();
    assert_eq!((last.number, last.job_id.as_str()), (1, "job_1"));
    assert_eq!(rollout.attempt().checks.validation.as_ref().unwrap().capacity_utilization, Some(0.42));
}

#[test]
fn a_refused_validation_ends_the_attempt_before_the_submit() {
    let mut rollout = Rollout::new();
    rollout.world.validation = vec![Ok(refused(&["memory limit exceeded", "tenant isolation violated"]))];
    rollout.run_for(3600);
    assert_eq!(rollout.outcome(), Some((Outcome::Failed, Reason::ValidationRefused)));
    assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/ValidationRefused");
    assert!(
        rollout.condition(ConditionType::Ready).message.contains("memory limit exceeded; tenant isolation violated")
    );
    assert_eq!((rollout.count(&Decision::Validate), rollout.count(&Decision::Submit)), (1, 0));
}

#[test]
fn a_conflict_or_a_status_other_than_passed_ends_the_attempt_before_the_submit() {
    for (answer, says) in [
        (trace_answer("passed", &["nlp-core 3.1 vs 3.2"]), "nlp-core 3.1 vs 3.2"),
        (trace_answer("failed", &[]), "its status is failed"),
        (trace_answer("", &[]), "its status is "),
        (trace_answer("Passed", &[]), "its status is Passed"),
    ] {
        let mut rollout = Rollout::new();
        rollout.world.trace = vec![Ok(answer)];
        rollout.run_for(3600);
        assert_eq!(rollout.outcome(), Some((Outcome::Failed, Reason::TraceNotPassed)));
        assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/TraceNotPassed");
        assert!(rollout.condition(ConditionType::Ready).message.contains(says));
        assert_eq!(rollout.count(&Decision::Submit), 0);
    }
}

#[test]
fn after_a_refusal_a_new_configuration_changed_checks_or_a_retry_start_another_attempt() {
    let stories: [fn(&mut Rollout) -> &mut Rollout; 3] =
        [|it| it.edit_digest("2.5.0"), |it| it.edit_checks("other"), |it| it.request_retry("1")];
    for change in stories {
        let mut rollout = Rollout::new();
        rollout.world.validation.insert(0, Ok(refused(&["memory"])));
        rollout.run();
        assert_eq!(rollout.outcome(), Some((Outcome::Failed, Reason::ValidationRefused)));
        change(&mut rollout).run_for(60);
        assert_eq!(rollout.outcome(), Some((Outcome::Succeeded, Reason::Succeeded)));
        assert_eq!((rollout.attempt().number, rollout.status.history[0].verdict.outcome), (2, Outcome::Failed));
    }
}

#[test]
fn after_a_refusal_other_edits_start_nothing() {
    let mut rollout = Rollout::new();
    rollout.world.validation = vec![Ok(refused(&["memory"]))];
    rollout.run().edit(|spec| spec.monitoring.interval_seconds = 5).run_for(3600);
    assert_eq!((rollout.attempt().number, rollout.count(&Decision::Validate)), (1, 1));
}

#[test]
fn an_unavailable_api_causes_growing_pauses_and_does_not_end_the_attempt() {
    let mut rollout = Rollout::new();
    rollout.world.validation = vec![Err(unavailable())];
    rollout.run();
    assert_eq!(rollout.condition_text(ConditionType::Reconciling), "True/ApiUnavailable");
    assert_eq!(rollout.step_now(), Step::Validating);
    rollout.run_for(3600);
    let tries = rollout.count(&Decision::Validate);
    assert!((12..40).contains(&tries), "{tries} tries in an hour");
    assert_eq!(rollout.events_of(Reason::ApiUnavailable), 1, "a person is informed once");
    rollout.world.validation = vec![Ok(ValidationAnswer::Passed { warnings: Vec::new(), capacity_utilization: None })];
    rollout.run_for(600);
    assert_eq!((rollout.attempt().number, rollout.outcome().unwrap().0), (1, Outcome::Succeeded));
}

#[test]
fn the_delay_that_the_api_asks_for_is_kept() {
    let mut rollout = Rollout::new();
    let at_least = Some(std::time::Duration::from_secs(120));
    rollout.world.trace = vec![
        Err(Obstacle::transient(Cause::ApiUnavailable, "429 Too Many Requests", at_least)),
        Ok(trace_answer("passed", &[])),
    ];
    rollout.run().run_for(119);
    assert_eq!(rollout.count(&Decision::Trace), 1);
    rollout.run_for(1);
    assert_eq!(rollout.count(&Decision::Trace), 2);
}

#[test]
fn refused_credentials_stall_until_something_has_changed() {
    let mut rollout = Rollout::new();
    rollout.world.validation.insert(0, Err(unauthorized()));
    rollout.run_for(3600);
    assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/Unauthorized");
    assert_eq!(rollout.condition_text(ConditionType::Ready), "False/Unauthorized");
    assert_eq!((rollout.count(&Decision::Validate), rollout.warned(Reason::Unauthorized)), (1, 1));
    // The controller has read a changed Secret.
    rollout.memory.clear_failures();
    rollout.run_for(60);
    assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded);
}

#[test]
fn a_wrong_request_stalls_until_an_edit_or_a_retry() {
    let stories: [fn(&mut Rollout) -> &mut Rollout; 2] =
        [|it| it.edit(|spec| spec.credentials_ref = None), |it| it.request_retry("1")];
    for change in stories {
        let mut rollout = Rollout::new();
        let wrong = Obstacle::lasting(Cause::RequestRejected, "400: no such segment", Retry::InputChange);
        rollout.world.validation.insert(0, Err(wrong));
        rollout.run_for(3600);
        assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/RequestRejected");
        assert!(rollout.condition(ConditionType::Stalled).message.contains("no such segment"));
        change(&mut rollout).run_for(120);
        assert_eq!((rollout.attempt().number, rollout.outcome().unwrap().0), (1, Outcome::Succeeded));
    }
}

#[test]
fn a_missing_configmap_stalls_and_an_awaited_one_does_not() {
    for (cause, condition) in
        [(Cause::SnapshotNotFound, ConditionType::Stalled), (Cause::AwaitingSnapshot, ConditionType::Reconciling)]
    {
        let mut rollout = Rollout::new();
        rollout.given.snapshot_obstacle = Some(Obstacle::lasting(cause, "ConfigMap bot", Retry::SnapshotChange));
        rollout.run_for(3600);
        assert_eq!(rollout.condition_text(condition), format!("True/{}", cause.reason()));
        assert!(rollout.status.attempt.is_none());
        rollout.given.snapshot_obstacle = None;
        rollout.run_for(60);
        assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded);
    }
}

#[test]
fn an_environment_in_use_stalls_until_its_owner_gives_it_up() {
    let mut rollout = Rollout::new();
    let in_use = Obstacle::lasting(Cause::EnvironmentInUse, "bots/other owns it", Retry::OwnerGone);
    rollout.world.validation.insert(0, Err(in_use));
    rollout.run_for(600);
    assert_eq!(rollout.condition_text(ConditionType::Stalled), "True/EnvironmentInUse");
    rollout.memory.clear_failures();
    rollout.run_for(60);
    assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded);
}

#[test]
fn a_crash_between_the_checks_and_the_intent_repeats_only_what_was_not_recorded() {
    let mut recorded = Rollout::new();
    recorded.before_decision(&Decision::Intend).restart_after(5).run_for(60);
    assert_eq!((recorded.count(&Decision::Validate), recorded.count(&Decision::Trace)), (1, 1));
    assert_eq!(recorded.outcome().unwrap().0, Outcome::Succeeded);

    let mut lost = Rollout::new();
    lost.before_decision(&Decision::Intend).crash().run_for(60);
    assert_eq!((lost.count(&Decision::Validate), lost.count(&Decision::Trace)), (2, 2));
    assert_eq!(lost.outcome().unwrap().0, Outcome::Succeeded);
}

#[test]
fn a_suspension_before_the_intent_records_the_checks_so_a_restart_repeats_none() {
    let mut rollout = Rollout::new();
    rollout.before_decision(&Decision::Intend).suspend(true).run_for(60);
    let checks = rollout.attempt().checks.clone();
    assert!(checks.passed_at().is_some());
    rollout.crash();
    assert_eq!(rollout.attempt().checks, checks, "the checks were recorded before the wait");
    rollout.suspend(false).run_for(60);
    assert_eq!((rollout.count(&Decision::Validate), rollout.count(&Decision::Trace)), (1, 1));
    assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded);
}

#[test]
fn checks_that_expire_during_a_suspension_are_made_again() {
    let most = crate::checks_validity::MAX_AGE_BEFORE_INTENT.as_secs();
    for (waited, checked) in [(most, 1), (most + 1, 2)] {
        let mut rollout = Rollout::new();
        rollout.before_decision(&Decision::Intend).suspend(true).run_for(waited).suspend(false).run_for(60);
        assert_eq!((rollout.count(&Decision::Validate), rollout.count(&Decision::Trace)), (checked, checked));
        assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded);
    }
}

#[test]
fn an_expired_validation_is_repeated_before_the_trace_but_a_late_trace_is_used() {
    let most = crate::checks_validity::MAX_AGE_BEFORE_TRACE.as_secs();
    let mut rollout = Rollout::new();
    rollout.before_decision(&Decision::Trace).suspend(true).run_for(most + 1).suspend(false).run_for(60);
    assert_eq!((rollout.count(&Decision::Validate), rollout.count(&Decision::Trace)), (2, 1));

    let mut slow = Rollout::new();
    slow.before_decision(&Decision::Trace).world.latency = std::time::Duration::from_secs(most + 1);
    slow.step();
    assert_eq!(slow.decision(), Decision::Intend, "otherwise the checks at a slow API would never end");
}

#[test]
fn checks_of_another_api_are_repeated_before_the_trace_and_before_the_intent() {
    for point in [Decision::Trace, Decision::Intend] {
        for is_known in [true, false] {
            let mut rollout = Rollout::new();
            rollout.before_decision(&point);
            rollout.world.api_origin = ApiOrigin::new("https://another.example");
            rollout.given.credentials_origin = is_known.then(|| rollout.world.api_origin.clone());
            rollout.run_for(60);
            assert_eq!(rollout.count(&Decision::Validate), 2, "{point:?}, known: {is_known}");
            let attempt = rollout.attempt();
            assert_eq!(attempt.checks.api_origin.as_ref(), attempt.api_origin());
            assert_eq!((attempt.number, rollout.outcome().unwrap().0), (1, Outcome::Succeeded));
        }
    }
}

#[test]
fn warnings_are_kept_to_ten_of_256_bytes() {
    let mut rollout = Rollout::new();
    let warnings = vec!["w".repeat(1000); 30];
    rollout.world.validation = vec![Ok(ValidationAnswer::Passed { warnings, capacity_utilization: None })];
    rollout.run();
    let warnings = &rollout.attempt().checks.validation.as_ref().unwrap().warnings;
    assert_eq!((warnings.len(), warnings.iter().map(String::len).max()), (10, Some(256)));
}

#[test]
fn a_long_trace_id_is_kept_to_256_bytes() {
    let mut rollout = Rollout::new();
    let mut answer = trace_answer("passed", &[]);
    answer.synthetic_trace_id = Some("t".repeat(100_000));
    rollout.world.trace = vec![Ok(answer)];
    rollout.run();
    assert!(rollout.attempt().checks.synthetic_trace.as_ref().unwrap().id.as_ref().unwrap().len() <= 256);
}
