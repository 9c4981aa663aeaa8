//! What a status says about one configuration.

use crate::condition::{Condition, ConditionSet, ConditionStatus, ConditionType};
use crate::digest::Digest;
use crate::reason::Reason;
use crate::status::{CognigyDeploymentStatus, Outcome, Step};
use crate::verdict::{Finding, Wait, before_the_start, finding, past_finding};
use serde_json::{Value, json};

const EVERY_WAIT: [Wait; 4] = [Wait::Verdict, Wait::Ready, Wait::Submitted, Wait::Approval];

/// What a finding is, without its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pending,
    Well,
    Bad(Reason),
    NeedsPerson(Reason),
}

fn kind(status: &CognigyDeploymentStatus, digest: &Digest, wait: Wait) -> Kind {
    match finding(Some(status), digest, wait) {
        Finding::Pending { message } => {
            assert!(!message.is_empty());
            Kind::Pending
        }
        Finding::Succeeded { message, .. } => {
            assert!(!message.is_empty());
            Kind::Well
        }
        Finding::Failed { reason, message } => {
            assert!(!message.is_empty());
            Kind::Bad(reason)
        }
        Finding::NeedsPerson { reason, message } => {
            assert!(!message.is_empty());
            Kind::NeedsPerson(reason)
        }
    }
}

fn digest_of(letter: char) -> Digest {
    serde_json::from_value(json!(format!("v1:{}", letter.to_string().repeat(64)))).unwrap()
}

fn wanted() -> Digest {
    digest_of('a')
}

/// A status whose current attempt is at this step, with these fields over it.
fn status(digest: &Digest, step: Step, more: &Value) -> CognigyDeploymentStatus {
    let mut attempt = json!({
        "number": 2, "digest": digest, "generation": 2, "step": step, "startedAt": "2026-01-01T12:00:00Z",
        "checks": {"digest": digest_of('c')},
    });
    super::merge(&mut attempt, more);
    serde_json::from_value(json!({"observedGeneration": 2, "attempt": attempt})).unwrap()
}

fn submitted() -> Value {
    json!({
        "submission": {
            "intendedAt": "2026-01-01T12:00:05Z", "deadlineAt": "2026-01-01T12:05:05Z",
            "apiOrigin": "https://api.cognigy.ai", "idempotencyKey": "k", "requestHash": "h", "clientHash": "c",
        },
        "job": {"id": "job_1"},
    })
}

fn with(mut base: Value, more: &Value) -> Value {
    super::merge(&mut base, more);
    base
}

fn ended(outcome: Outcome, reason: Reason) -> Value {
    json!({"verdict": {"outcome": outcome, "reason": reason, "at": "2026-01-01T12:01:00Z"}})
}

fn rollback(answer: &str) -> Value {
    let mut rollback = json!({"key": "r", "reason": "manual", "requestedAt": "2026-01-01T12:02:00Z"});
    if !answer.is_empty() {
        rollback[answer] = json!("2026-01-01T12:02:01Z");
    }
    json!({"rollback": rollback})
}

fn set(
    mut status: CognigyDeploymentStatus,
    kind: ConditionType,
    is: ConditionStatus,
    reason: Reason,
) -> CognigyDeploymentStatus {
    status.conditions.set_condition(Condition {
        condition_type: kind,
        status: is,
        observed_generation: 2,
        last_transition_time: "2026-01-01T12:00:00Z".parse().unwrap(),
        reason,
        message: format!("about {reason}"),
    });
    status
}

fn stalled(status: CognigyDeploymentStatus, reason: Reason) -> CognigyDeploymentStatus {
    let status = set(status, ConditionType::Ready, ConditionStatus::False, reason);
    set(status, ConditionType::Stalled, ConditionStatus::True, reason)
}

fn reconciling(status: CognigyDeploymentStatus, reason: Reason) -> CognigyDeploymentStatus {
    let status = set(status, ConditionType::Ready, ConditionStatus::Unknown, reason);
    set(status, ConditionType::Reconciling, ConditionStatus::True, reason)
}

fn ready(status: CognigyDeploymentStatus) -> CognigyDeploymentStatus {
    set(status, ConditionType::Ready, ConditionStatus::True, Reason::Succeeded)
}

#[test]
fn each_outcome_has_its_finding_before_and_after_a_job() {
    let cases = [
        // Outcome, reason, with a job, finding of the verdict.
        (Outcome::Succeeded, Reason::Succeeded, true, Kind::Well),
        (Outcome::RolledBack, Reason::HealthCheckFailed, true, Kind::Bad(Reason::HealthCheckFailed)),
        (Outcome::RolledBack, Reason::RolledBackByPlatform, true, Kind::Bad(Reason::RolledBackByPlatform)),
        (Outcome::RollbackFailed, Reason::RollbackRefused, true, Kind::NeedsPerson(Reason::RollbackRefused)),
        (Outcome::Failed, Reason::ValidationRefused, false, Kind::Bad(Reason::ValidationRefused)),
        (Outcome::Failed, Reason::TraceNotPassed, false, Kind::Bad(Reason::TraceNotPassed)),
        (Outcome::Failed, Reason::SubmitRejected, false, Kind::Bad(Reason::SubmitRejected)),
        // autoTrigger is off.
        (Outcome::Failed, Reason::HealthCheckFailed, true, Kind::NeedsPerson(Reason::HealthCheckFailed)),
        (Outcome::Failed, Reason::DeadlineExceeded, true, Kind::NeedsPerson(Reason::DeadlineExceeded)),
        (Outcome::Superseded, Reason::Superseded, false, Kind::Bad(Reason::Superseded)),
        (Outcome::Abandoned, Reason::Cancelled, false, Kind::Bad(Reason::Cancelled)),
        (Outcome::Abandoned, Reason::DeletionGraceExpired, true, Kind::NeedsPerson(Reason::DeletionGraceExpired)),
        (Outcome::Unknown, Reason::SubmitOutcomeUnknown, false, Kind::NeedsPerson(Reason::SubmitOutcomeUnknown)),
    ];
    for outcome in Outcome::ALL {
        assert!(cases.iter().any(|case| case.0 == outcome), "{outcome} has no case");
    }
    for (outcome, reason, has_job, expected) in cases {
        let fields = if has_job { with(submitted(), &ended(outcome, reason)) } else { ended(outcome, reason) };
        let bare = status(&wanted(), Step::Settled, &fields);
        // Also while only the stages are recorded, and while a newer configuration waits.
        let newer = reconciling(bare.clone(), Reason::NewerConfigurationWaiting);
        for status in [bare.clone(), newer] {
            assert_eq!(kind(&status, &wanted(), Wait::Verdict), expected, "{outcome}/{reason}");
        }
        let whole = match outcome {
            Outcome::Succeeded => ready(bare),
            _ => stalled(bare, reason),
        };
        assert_eq!(kind(&whole, &wanted(), Wait::Verdict), expected, "{outcome}/{reason}");
        assert_eq!(kind(&whole, &wanted(), Wait::Ready), expected, "{outcome}/{reason}");
        let submitted = if has_job { Kind::Well } else { expected };
        assert_eq!(kind(&whole, &wanted(), Wait::Submitted), submitted, "{outcome}/{reason}");
    }
}

#[test]
fn an_older_attempt_says_nothing_about_a_newer_configuration() {
    let older = digest_of('b');
    for outcome in Outcome::ALL {
        let fields = with(submitted(), &ended(outcome, Reason::Succeeded));
        let recorded = status(&older, Step::Settled, &fields);
        let waiting = reconciling(recorded.clone(), Reason::NewerConfigurationWaiting);
        for wait in EVERY_WAIT {
            assert_eq!(kind(&waiting, &wanted(), wait), Kind::Pending, "{outcome}");
            assert_eq!(kind(&recorded, &wanted(), wait), Kind::Pending, "{outcome}");
        }
    }
    // While the older one is in flight, the newer one waits, whatever the older one says of itself.
    for step in [Step::Submitting, Step::RollingOut, Step::Monitoring, Step::RollingBack] {
        let in_flight = reconciling(status(&older, step, &submitted()), Reason::Monitoring);
        for wait in EVERY_WAIT {
            assert_eq!(kind(&in_flight, &wanted(), wait), Kind::Pending, "{step:?}");
            let stuck = stalled(in_flight.clone(), Reason::Unauthorized);
            let stuck = CognigyDeploymentStatus {
                conditions: stuck
                    .conditions
                    .into_iter()
                    .filter(|it| it.condition_type != ConditionType::Reconciling)
                    .collect(),
                ..stuck
            };
            assert_eq!(kind(&stuck, &wanted(), wait), Kind::NeedsPerson(Reason::Unauthorized), "{step:?}");
        }
    }
}

#[test]
fn a_configuration_that_another_one_has_replaced_is_not_waited_for() {
    let other = digest_of('b');
    let checking = reconciling(status(&other, Step::Validating, &json!({})), Reason::Validating);
    let done = ready(status(&other, Step::Settled, &with(submitted(), &ended(Outcome::Succeeded, Reason::Succeeded))));
    for (outcome, expected) in
        [(Outcome::Superseded, Kind::Bad(Reason::Superseded)), (Outcome::Succeeded, Kind::Pending)]
    {
        let past = json!({
            "number": 1, "digest": wanted(), "startedAt": "2026-01-01T11:00:00Z",
            "verdict": {"outcome": outcome, "reason": "Superseded", "at": "2026-01-01T11:00:01Z"},
        });
        for mut status in [checking.clone(), done.clone()] {
            // A ConfigMap may have changed, which the operator does not know yet.
            assert_eq!(kind(&status, &wanted(), Wait::Verdict), Kind::Pending);
            status.history = vec![serde_json::from_value(past.clone()).unwrap()];
            for wait in EVERY_WAIT {
                assert_eq!(kind(&status, &wanted(), wait), expected, "{outcome}");
            }
            let again = reconciling(status, Reason::NewerConfigurationWaiting);
            assert_eq!(kind(&again, &wanted(), Wait::Verdict), Kind::Pending, "it was applied once more");
        }
    }
}

/// An attempt whose checks have passed, with these closed gates and these approvals.
fn at_gates(closed: &[Reason], approved_by: &[&str]) -> CognigyDeploymentStatus {
    let closed: Vec<Value> =
        closed.iter().map(|reason| json!({"reason": reason, "message": format!("waits for {reason}")})).collect();
    let approvals: Vec<Value> = approved_by
        .iter()
        .map(|by| json!({"uid": by, "name": format!("approve-{by}"), "by": by, "at": "2026-01-01T12:00:04Z"}))
        .collect();
    let more = json!({
        "checks": {"validation": {"passedAt": "2026-01-01T12:00:02Z"}, "syntheticTrace": {"passedAt": "2026-01-01T12:00:03Z"}},
        "gates": {"since": "2026-01-01T12:00:03Z", "closed": closed, "approvals": approvals},
    });
    status(&wanted(), Step::Tracing, &more)
}

#[test]
fn a_wait_for_the_approval_ends_once_the_gate_of_the_approvals_is_open() {
    for reason in [Reason::AwaitingApproval, Reason::ApprovalExpired, Reason::ApproverUnverified] {
        let waiting = reconciling(at_gates(&[reason, Reason::WindowClosed], &["anna"]), reason);
        assert_eq!(kind(&waiting, &wanted(), Wait::Approval), Kind::Pending, "{reason}");
        assert_eq!(kind(&waiting, &wanted(), Wait::Verdict), Kind::Pending, "{reason}");
    }
    let approved = at_gates(&[Reason::WindowClosed], &["anna", "bert"]);
    let Finding::Succeeded { message, since, .. } = finding(Some(&approved), &wanted(), Wait::Approval) else {
        panic!("the other gate is not waited for");
    };
    assert_eq!(message, "attempt 2 may start, approved by anna, bert; it still waits: waits for WindowClosed");
    assert_eq!(since.to_string(), "2026-01-01T12:00:04Z");
    // Without approvals in the record, nobody has approved: the gate may be evaluated only later.
    assert_eq!(kind(&at_gates(&[], &[]), &wanted(), Wait::Approval), Kind::Pending);
    assert_eq!(
        kind(&at_gates(&[], &["anna"]), &digest_of('b'), Wait::Approval),
        Kind::Pending,
        "another configuration"
    );
}

#[test]
fn approvals_of_an_attempt_that_repeats_its_checks_do_not_end_the_wait() {
    let mut again = at_gates(&[], &["anna"]);
    again.attempt.as_mut().unwrap().checks.synthetic_trace = None;
    assert_eq!(kind(&again, &wanted(), Wait::Approval), Kind::Pending);
}

#[test]
fn a_wait_for_the_approval_fails_if_the_attempt_ends_before_its_submit() {
    for (outcome, reason) in [
        (Outcome::Abandoned, Reason::Rejected),
        (Outcome::Abandoned, Reason::Cancelled),
        (Outcome::Failed, Reason::ValidationRefused),
        (Outcome::Superseded, Reason::Superseded),
    ] {
        let mut rejected = at_gates(&[], &["anna"]);
        let verdict = ended(outcome, reason);
        rejected.attempt.as_mut().unwrap().verdict = serde_json::from_value(verdict["verdict"].clone()).unwrap();
        assert_eq!(kind(&rejected, &wanted(), Wait::Approval), Kind::Bad(reason), "{reason}");
    }
}

#[test]
fn what_was_submitted_was_approved_however_it_has_ended() {
    let running = status(&wanted(), Step::RollingOut, &submitted());
    assert_eq!(kind(&running, &wanted(), Wait::Approval), Kind::Well);
    let bad =
        status(&wanted(), Step::Settled, &with(submitted(), &ended(Outcome::RolledBack, Reason::HealthCheckFailed)));
    assert_eq!(kind(&bad, &wanted(), Wait::Approval), Kind::Well);
    let past = |job: Value, outcome: Outcome| {
        serde_json::from_value(json!({
            "number": 2, "digest": wanted(), "jobId": job, "startedAt": "2026-01-01T12:00:00Z",
            "verdict": {"outcome": outcome, "reason": "Rejected", "at": "2026-01-01T12:01:00Z"},
        }))
        .unwrap()
    };
    let reached = |past| matches!(past_finding(&past, Wait::Approval), Finding::Succeeded { .. });
    assert!(reached(past(json!("job_1"), Outcome::RolledBack)) && reached(past(Value::Null, Outcome::Unknown)));
    assert!(!reached(past(Value::Null, Outcome::Abandoned)));
}

#[test]
fn before_its_end_every_stalled_reason_needs_a_person() {
    for reason in Reason::ALL {
        for step in
            [Step::Pending, Step::Validating, Step::Tracing, Step::Submitting, Step::Monitoring, Step::RollingBack]
        {
            let stalled = stalled(status(&wanted(), step, &json!({})), *reason);
            for wait in EVERY_WAIT {
                assert_eq!(kind(&stalled, &wanted(), wait), Kind::NeedsPerson(*reason), "{step:?}");
            }
            // The same reason, while the operator continues by itself.
            let working = reconciling(status(&wanted(), step, &json!({})), *reason);
            assert_eq!(kind(&working, &wanted(), Wait::Verdict), Kind::Pending, "{step:?}/{reason}");
        }
    }
}

#[test]
fn an_obstacle_before_the_first_attempt_needs_a_person_once_it_is_recorded() {
    let empty = CognigyDeploymentStatus::default();
    assert_eq!(kind(&empty, &wanted(), Wait::Verdict), Kind::Pending);
    assert!(matches!(finding(None, &wanted(), Wait::Ready), Finding::Pending { .. }));
    let awaiting = reconciling(empty.clone(), Reason::AwaitingSnapshot);
    assert_eq!(kind(&awaiting, &wanted(), Wait::Verdict), Kind::Pending);
    let missing = stalled(empty.clone(), Reason::SnapshotNotFound);
    assert_eq!(kind(&missing, &wanted(), Wait::Verdict), Kind::NeedsPerson(Reason::SnapshotNotFound));
    let suspended = set(empty, ConditionType::Ready, ConditionStatus::False, Reason::Suspended);
    assert_eq!(kind(&suspended, &wanted(), Wait::Verdict), Kind::NeedsPerson(Reason::Suspended));
}

#[test]
fn a_configuration_that_waits_behind_a_suspension_or_a_broken_snapshot_needs_a_person() {
    let fields = with(submitted(), &ended(Outcome::Succeeded, Reason::Succeeded));
    let older = status(&digest_of('b'), Step::Settled, &fields);
    let suspended = set(older.clone(), ConditionType::Ready, ConditionStatus::False, Reason::Suspended);
    assert_eq!(kind(&suspended, &wanted(), Wait::Verdict), Kind::NeedsPerson(Reason::Suspended));
    let broken = stalled(older, Reason::SnapshotInvalid);
    assert_eq!(kind(&broken, &wanted(), Wait::Verdict), Kind::NeedsPerson(Reason::SnapshotInvalid));
}

#[test]
fn a_rollback_by_request_after_the_verdict_says_more_than_the_verdict() {
    for (outcome, reason) in [
        (Outcome::Succeeded, Reason::Succeeded),
        (Outcome::Failed, Reason::HealthCheckFailed),
        (Outcome::RollbackFailed, Reason::RollbackRefused),
    ] {
        let ended = with(submitted(), &ended(outcome, reason));
        let at = |step, answer| status(&wanted(), step, &with(ended.clone(), &rollback(answer)));
        let requested = reconciling(at(Step::RollingBack, ""), Reason::RollingBack);
        assert_eq!(kind(&requested, &wanted(), Wait::Verdict), Kind::Pending, "{outcome}");
        let unreachable = stalled(at(Step::RollingBack, ""), Reason::RollbackUnreachable);
        assert_eq!(kind(&unreachable, &wanted(), Wait::Verdict), Kind::NeedsPerson(Reason::RollbackUnreachable));
        let accepted = at(Step::Settled, "acceptedAt");
        assert_eq!(kind(&accepted, &wanted(), Wait::Verdict), Kind::Bad(Reason::RolledBack), "{outcome}");
        let refused = at(Step::Settled, "refusedAt");
        assert_eq!(kind(&refused, &wanted(), Wait::Verdict), Kind::NeedsPerson(Reason::RollbackRefused), "{outcome}");
    }
}

#[test]
fn a_success_in_an_environment_that_another_resource_owns_needs_a_person() {
    let success = with(submitted(), &ended(Outcome::Succeeded, Reason::Succeeded));
    let taken = stalled(status(&wanted(), Step::Settled, &success), Reason::EnvironmentInUse);
    assert_eq!(kind(&taken, &wanted(), Wait::Verdict), Kind::NeedsPerson(Reason::EnvironmentInUse));
}

#[test]
fn health_that_is_bad_after_a_success_needs_a_person_but_the_verdict_stays() {
    let success = with(submitted(), &ended(Outcome::Succeeded, Reason::Succeeded));
    let unhealthy = stalled(status(&wanted(), Step::Settled, &success), Reason::UnhealthyAfterSuccess);
    assert_eq!(kind(&unhealthy, &wanted(), Wait::Ready), Kind::NeedsPerson(Reason::UnhealthyAfterSuccess));
    assert_eq!(kind(&unhealthy, &wanted(), Wait::Verdict), Kind::Well);
}

#[test]
fn ready_is_waited_for_until_the_condition_says_so() {
    let success = status(&wanted(), Step::Settled, &with(submitted(), &ended(Outcome::Succeeded, Reason::Succeeded)));
    assert_eq!(kind(&success, &wanted(), Wait::Ready), Kind::Pending);
    assert_eq!(kind(&success, &wanted(), Wait::Verdict), Kind::Well);
    let Finding::Succeeded { job_id, since, message } = finding(Some(&ready(success)), &wanted(), Wait::Ready) else {
        panic!("not well")
    };
    assert_eq!(job_id.unwrap().as_str(), "job_1");
    assert_eq!(since.to_string(), "2026-01-01T12:01:00Z");
    assert!(message.starts_with("attempt 2 succeeded: the environment runs configuration v1:aaaa"), "{message}");
}

#[test]
fn an_environment_that_is_unhealthy_after_the_rollback_says_so() {
    let fields = with(submitted(), &ended(Outcome::RolledBack, Reason::HealthCheckFailed));
    let unhealthy = stalled(status(&wanted(), Step::Settled, &fields), Reason::RolledBackUnhealthy);
    assert_eq!(kind(&unhealthy, &wanted(), Wait::Verdict), Kind::Bad(Reason::RolledBackUnhealthy));
    let Finding::Failed { message, .. } = finding(Some(&unhealthy), &wanted(), Wait::Verdict) else {
        panic!("not bad")
    };
    assert_eq!(message, "about RolledBackUnhealthy");
}

#[test]
fn an_attempt_that_is_history_still_has_its_verdict() {
    let past = |outcome: Outcome, reason: Reason| {
        let past = json!({
            "number": 2, "digest": wanted(), "jobId": "job_1", "startedAt": "2026-01-01T12:00:00Z",
            "verdict": {"outcome": outcome, "reason": reason, "at": "2026-01-01T12:01:00Z"},
        });
        serde_json::from_value(past).unwrap()
    };
    let succeeded = past(Outcome::Succeeded, Reason::Succeeded);
    assert!(matches!(past_finding(&succeeded, Wait::Verdict), Finding::Succeeded { .. }));
    let Finding::Failed { reason, .. } = past_finding(&succeeded, Wait::Ready) else {
        panic!("it is not Ready any more")
    };
    assert_eq!(reason, Reason::Superseded);
    let failed = past(Outcome::RolledBack, Reason::HealthCheckFailed);
    assert!(matches!(past_finding(&failed, Wait::Submitted), Finding::Succeeded { .. }));
    let Finding::Failed { reason, .. } = past_finding(&failed, Wait::Verdict) else { panic!("it was rolled back") };
    assert_eq!(reason, Reason::HealthCheckFailed);
}

#[test]
fn before_the_start_only_an_obstacle_to_the_start_needs_a_person() {
    let bad = with(submitted(), &ended(Outcome::RolledBack, Reason::HealthCheckFailed));
    let rolled_back = stalled(status(&wanted(), Step::Settled, &bad), Reason::RolledBack);
    let before = |status| before_the_start(Some(status), "the retry has not started".to_owned());
    assert!(matches!(before(&rolled_back), Finding::Pending { .. }), "the retry will start by itself");
    let suspended = set(rolled_back.clone(), ConditionType::Ready, ConditionStatus::False, Reason::Suspended);
    assert!(matches!(before(&suspended), Finding::NeedsPerson { .. }));
    assert!(matches!(before_the_start(None, "not seen".to_owned()), Finding::Pending { .. }));
}
