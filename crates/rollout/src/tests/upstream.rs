//! Whether a deployment in `spec.requires` is ready. The upstreams are real records: [`Rollout`] plays each of them.

use super::fixture::{DAY, Rollout, bad};
use crate::answer::{HealthAnswer, SubmitAnswer};
use crate::gates::upstream::{Downstream, Upstream, UpstreamObservation, UpstreamState, closed_gate, evaluate};
use api::Digest;
use api::condition::{ConditionStatus, ConditionType};
use api::reason::Reason;
use api::spec::Requirement;
use api::status::{CognigyDeploymentStatus, Outcome, PastAttempt, Step};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

const HOUR: u64 = 3600;

/// A requirement with a time in seconds.
fn healthy_for(seconds: u64) -> Requirement {
    Requirement {
        name: "bot".to_owned(),
        namespace: Some("bots".to_owned()),
        healthy_for_seconds: i32::try_from(seconds).unwrap(),
        same_release: true,
    }
}

fn any_release(seconds: u64) -> Requirement {
    Requirement { same_release: false, ..healthy_for(seconds) }
}

/// The release of a version.
fn release(version: &str) -> Digest {
    Rollout::of(|_| ()).edit_digest(version).given.target.release.clone()
}

fn evaluated(
    requirement: &Requirement,
    release: &Digest,
    status: &CognigyDeploymentStatus,
    generation: i64,
    now: Timestamp,
) -> UpstreamState {
    let downstream = Downstream { namespace: "bots", release, version: Some("2.4.1") };
    let found = Upstream { allowed_downstream_namespaces: &[], generation, status: Some(status) };
    evaluate(requirement, downstream, UpstreamObservation::Found(found), now)
}

/// The state of an upstream for a rollout of this version.
fn state_for(upstream: &Rollout, version: &str, requirement: &Requirement) -> UpstreamState {
    let (given, status) = (&upstream.given, &upstream.status);
    evaluated(requirement, &release(version), status, given.generation, given.now.wall)
}

fn is_ready(upstream: &Rollout, version: &str, requirement: &Requirement) -> bool {
    state_for(upstream, version, requirement).is_satisfied()
}

#[track_caller]
fn assert_waits(upstream: &Rollout, version: &str, requirement: &Requirement, because: &str) {
    match state_for(upstream, version, requirement) {
        UpstreamState::Waiting { message, .. } => assert!(message.contains(because), "{message}"),
        state => panic!("{state:?}"),
    }
}

/// An upstream that was asked to deploy this version.
fn of_version(version: &str) -> Rollout {
    let mut upstream = Rollout::new();
    upstream.edit_digest(version);
    upstream
}

/// The upstream deploys this version, and this long passes after its success.
fn deploy(upstream: &mut Rollout, version: &str, healthy_for: u64) {
    upstream.edit_digest(version).before(|_, status| {
        let attempt = status.attempt.as_ref();
        attempt.is_some_and(|attempt| attempt.version.as_deref() == Some(version) && attempt.step == Step::Settled)
    });
    assert_eq!(upstream.outcome().unwrap().0, Outcome::Succeeded);
    upstream.pass(healthy_for);
}

fn deployed(version: &str, healthy_for: u64) -> Rollout {
    let mut upstream = Rollout::new();
    deploy(&mut upstream, version, healthy_for);
    upstream
}

#[test]
fn a_success_with_the_release_is_enough_without_a_required_time() {
    assert!(is_ready(&deployed("2.4.1", 0), "2.4.1", &healthy_for(0)));
}

#[test]
fn no_step_before_the_success_is_enough() {
    for (step, because) in [
        (Step::Pending, "bots/bot has not deployed release v1:"),
        (Step::Validating, "has not deployed release v1:"),
        (Step::Tracing, "has not deployed release v1:"),
        (Step::Submitting, "has not ended yet"),
        (Step::RollingOut, "has not ended yet"),
        (Step::Monitoring, "has not ended yet"),
        (Step::RollingBack, "has not ended yet"),
    ] {
        let upstream = of_version("2.4.1").brought_to(step);
        assert_waits(&upstream, "2.4.1", &healthy_for(0), because);
    }
}

#[test]
fn an_upstream_that_was_never_reconciled_has_not_deployed_the_release() {
    assert_waits(&Rollout::new(), "2.4.1", &healthy_for(0), "deploy it there first");
    assert_waits(&Rollout::new(), "2.4.1", &any_release(0), "has not deployed anything yet");
}

#[test]
fn the_required_time_counts_from_the_success_and_the_text_stays_the_same() {
    let mut upstream = deployed("2.4.1", 0);
    let opens_at = upstream.attempt().verdict.as_ref().unwrap().at + SignedDuration::from_secs(3600);
    let mut states = Vec::new();
    for _ in 0..3599 {
        states.push(state_for(&upstream, "2.4.1", &healthy_for(HOUR)));
        upstream.pass(1);
    }
    states.dedup();
    let [UpstreamState::Waiting { message, opens_at: Some(at) }] = &states[..] else { panic!("{states:?}") };
    assert_eq!(*at, opens_at);
    let time = opens_at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    assert!(message.contains(&time) && message.contains("less than 3600 s"), "{message}");
    upstream.pass(1);
    assert!(is_ready(&upstream, "2.4.1", &healthy_for(HOUR)));
}

#[test]
fn a_release_that_the_upstream_never_had_waits_and_so_does_an_older_one_that_it_never_had() {
    let upstream = deployed("2.4.1", DAY);
    for version in ["2.5.0", "2.3.0"] {
        assert_waits(&upstream, version, &healthy_for(0), "has not deployed release");
    }
}

#[test]
fn the_proof_of_an_earlier_attempt_lasts_while_the_upstream_goes_on() {
    let mut upstream = deployed("2.4.1", HOUR);
    for step in [Step::Pending, Step::RollingOut, Step::Monitoring] {
        upstream = { upstream }.edited_to("2.5.0").brought_to(step);
        assert!(is_ready(&upstream, "2.4.1", &healthy_for(HOUR)), "{step:?}");
    }
    deploy(&mut upstream, "2.6.0", DAY);
    assert!(is_ready(&upstream, "2.4.1", &healthy_for(HOUR)));
    assert!(is_ready(&upstream, "2.6.0", &healthy_for(HOUR)));
}

#[test]
fn a_release_that_was_replaced_too_early_must_be_deployed_again() {
    let mut upstream = deployed("2.4.1", HOUR - 1);
    deploy(&mut upstream, "2.5.0", DAY);
    assert_waits(&upstream, "2.4.1", &healthy_for(HOUR), "was healthy for 3599 s");
    deploy(&mut upstream, "2.4.1", HOUR);
    assert!(is_ready(&upstream, "2.4.1", &healthy_for(HOUR)));
}

#[test]
fn a_release_that_is_deployed_again_must_be_proved_again() {
    let mut upstream = deployed("2.4.1", DAY);
    deploy(&mut upstream, "2.5.0", DAY);
    let mut again = upstream.edited_to("2.4.1").brought_to(Step::Monitoring);
    assert_waits(&again, "2.4.1", &healthy_for(HOUR), "attempt 3 of bots/bot");
    again.run();
    assert_waits(&again, "2.4.1", &healthy_for(HOUR), "less than 3600 s");
    again.pass(HOUR);
    assert!(is_ready(&again, "2.4.1", &healthy_for(HOUR)));
}

#[test]
fn older_successes_do_not_count_after_the_same_release_has_failed() {
    let mut upstream = deployed("2.4.1", DAY);
    upstream.health_says(&[bad()]).request_retry("1").run_for(HOUR);
    assert_eq!(upstream.outcome().unwrap().0, Outcome::RolledBack);
    assert_waits(&upstream, "2.4.1", &healthy_for(0), "attempt 2 of bots/bot");
    upstream.health_says(&[HealthAnswer::Good]);
    deploy(&mut upstream, "2.5.0", DAY);
    assert_waits(&upstream, "2.4.1", &healthy_for(0), "attempt 2 of bots/bot");
    deploy(&mut upstream, "2.4.1", 0);
    assert!(is_ready(&upstream, "2.4.1", &healthy_for(0)));
}

#[test]
fn an_attempt_that_submitted_nothing_says_nothing_about_the_release() {
    let mut upstream = deployed("2.4.1", DAY);
    upstream.submit_says(&[SubmitAnswer::Rejected { message: "422 Unprocessable Entity".to_owned() }]);
    upstream.request_retry("1").run_for(HOUR);
    assert_eq!(upstream.outcome().unwrap(), (Outcome::Failed, Reason::SubmitRejected));
    assert!(is_ready(&upstream, "2.4.1", &healthy_for(HOUR)));
    upstream.submit_says(&[SubmitAnswer::Accepted(api::JobId::new("job_2"))]);
    deploy(&mut upstream, "2.5.0", 0);
    assert!(is_ready(&upstream, "2.4.1", &healthy_for(HOUR)));
}

#[test]
fn an_attempt_whose_submit_is_unknown_counts_as_submitted() {
    let mut upstream = deployed("2.4.1", DAY);
    deploy(&mut upstream, "2.5.0", DAY);
    let unknown = |past: &mut PastAttempt| {
        past.verdict.outcome = Outcome::Unknown;
        past.job_id = None;
    };
    unknown(&mut upstream.status.history[0]);
    assert_waits(&upstream, "2.4.1", &healthy_for(0), "ended as Unknown");
}

#[test]
fn a_rollback_after_the_success_takes_the_proof_away_from_its_request_on() {
    let mut upstream = deployed("2.4.1", DAY);
    upstream
        .request_rollback("1")
        .before(|_, status| status.attempt.as_ref().is_some_and(|attempt| attempt.step == Step::RollingBack));
    assert_waits(&upstream, "2.4.1", &healthy_for(0), "a rollback of it was requested");
    upstream.run_for(HOUR);
    assert_waits(&upstream, "2.4.1", &healthy_for(0), "a rollback of it was requested");
    deploy(&mut upstream, "2.5.0", DAY);
    assert_waits(&upstream, "2.4.1", &healthy_for(0), "attempt 1 of bots/bot");
}

#[test]
fn an_environment_that_another_resource_has_taken_over_proves_nothing() {
    let mut upstream = deployed("2.4.1", DAY);
    upstream.given.other_owner = Some("the environment env is deployed by bots/other".to_owned());
    upstream.refresh();
    assert_waits(&upstream, "2.4.1", &healthy_for(0), "another CognigyDeployment has deployed");
    upstream.step();
    assert_eq!(upstream.status.history[0].healthy_for_seconds, None);
    assert_waits(&upstream, "2.4.1", &healthy_for(0), "attempt 1 of bots/bot");
}

#[test]
fn an_edit_that_the_operator_has_not_handled_closes_the_gate() {
    let mut upstream = deployed("2.4.1", DAY);
    upstream.suspend(true);
    assert_waits(&upstream, "2.4.1", &healthy_for(0), "the operator has not handled the edit yet");
    upstream.run();
    assert!(is_ready(&upstream, "2.4.1", &healthy_for(0)));
}

#[test]
fn the_required_time_begins_again_after_the_environment_was_unhealthy() {
    let mut upstream = deployed("2.4.1", DAY);
    let set_healthy = |upstream: &mut Rollout, status| {
        let at = upstream.given.now.wall;
        let conditions = &mut upstream.status.conditions;
        let healthy = conditions.iter_mut().find(|it| it.condition_type == ConditionType::Healthy).unwrap();
        (healthy.status, healthy.last_transition_time) = (status, at);
    };
    for status in [ConditionStatus::False, ConditionStatus::Unknown] {
        set_healthy(&mut upstream, status);
        assert_waits(&upstream, "2.4.1", &healthy_for(0), "its condition Healthy is not True now");
    }
    upstream.pass(HOUR);
    set_healthy(&mut upstream, ConditionStatus::True);
    assert_waits(&upstream, "2.4.1", &healthy_for(HOUR), "less than 3600 s");
    upstream.pass(HOUR);
    assert!(is_ready(&upstream, "2.4.1", &healthy_for(HOUR)));
}

#[test]
fn without_same_release_only_the_current_attempt_counts_whatever_its_release_is() {
    let mut upstream = deployed("2.4.1", HOUR);
    assert!(is_ready(&upstream, "9.9.9", &any_release(HOUR)));
    assert_waits(
        &upstream,
        "9.9.9",
        &any_release(2 * HOUR),
        "attempt 1 of bots/bot has been healthy for less than 7200 s",
    );
    deploy(&mut upstream, "2.5.0", 0);
    assert_waits(&upstream, "9.9.9", &any_release(HOUR), "attempt 2 of bots/bot");
    let upstream = upstream.edited_to("2.6.0").brought_to(Step::Pending);
    assert_waits(&upstream, "9.9.9", &any_release(0), "attempt 3 of bots/bot has not ended yet");
}

#[test]
fn an_upstream_that_is_being_deleted_counts_as_it_is() {
    let mut upstream = deployed("2.4.1", HOUR);
    upstream.delete();
    assert!(is_ready(&upstream, "2.4.1", &healthy_for(HOUR)));
}

/// The state of an upstream for a rollout in the namespace `prod`.
fn across(observation: UpstreamObservation<'_>) -> UpstreamState {
    let release = release("2.4.1");
    let downstream = Downstream { namespace: "prod", release: &release, version: None };
    evaluate(&healthy_for(0), downstream, observation, Timestamp::MAX)
}

#[test]
fn another_namespace_must_consent_and_nobody_learns_whether_the_upstream_exists_there() {
    let upstream = deployed("2.4.1", 0);
    let found = |allowed: &[&str]| {
        let allowed: Vec<String> = allowed.iter().map(|namespace| (*namespace).to_owned()).collect();
        let (generation, status) = (upstream.given.generation, Some(&upstream.status));
        across(UpstreamObservation::Found(Upstream { allowed_downstream_namespaces: &allowed, generation, status }))
    };
    assert_eq!(found(&["prod"]), UpstreamState::Satisfied);
    assert_eq!(found(&["test", "prod"]), UpstreamState::Satisfied);
    for allowed in [&[][..], &["test"], &["bots"], &["*"], &["pro"]] {
        assert_eq!(found(allowed), across(UpstreamObservation::NotFound { is_watched: true }), "{allowed:?}");
    }
    let UpstreamState::Forbidden(message) = found(&[]) else { panic!() };
    assert!(message.contains("bots/bot") && message.contains("add prod to its spec.allowedDownstreamNamespaces"));
    let unreadable = |allowed: &[String]| {
        across(UpstreamObservation::Found(Upstream {
            allowed_downstream_namespaces: allowed,
            generation: 1,
            status: None,
        }))
    };
    assert_eq!(unreadable(&[]), found(&[]));
    assert!(matches!(unreadable(&["prod".to_owned()]), UpstreamState::Waiting { .. }));
}

#[test]
fn a_namespace_that_the_operator_does_not_watch_is_named() {
    let UpstreamState::NotFound(message) = across(UpstreamObservation::NotFound { is_watched: false }) else {
        panic!()
    };
    assert!(message.contains("does not watch the namespace bots"), "{message}");
}

#[test]
fn a_missing_upstream_in_the_own_namespace_is_named() {
    let release = release("2.4.1");
    let downstream = Downstream { namespace: "bots", release: &release, version: None };
    let missing = UpstreamObservation::NotFound { is_watched: true };
    for namespace in [None, Some("bots".to_owned())] {
        let requirement = Requirement { namespace, ..healthy_for(0) };
        let state = evaluate(&requirement, downstream, missing, Timestamp::MAX);
        let UpstreamState::NotFound(message) = state else { panic!("{state:?}") };
        assert!(message.starts_with("bots/bot in spec.requires does not exist"), "{message}");
    }
}

#[test]
fn the_gate_names_the_worst_upstream_first_and_counts_the_others() {
    use UpstreamState::{Cycle, Forbidden, NotFound, Satisfied, Waiting};
    let at = |second| Some(Timestamp::from_second(second).unwrap());
    let wait = |opens_at| Waiting { message: "waits".to_owned(), opens_at };
    let gate = |states: &[UpstreamState]| closed_gate(states).map(|gate| (gate.reason, gate.message, gate.opens_at));
    assert_eq!(gate(&[]), None);
    assert_eq!(gate(&[Satisfied, Satisfied]), None);
    let one = "waits; 1 more CognigyDeployment in spec.requires is not ready".to_owned();
    assert_eq!(gate(&[Satisfied, wait(at(5))]), Some((Reason::AwaitingUpstream, "waits".to_owned(), at(5))));
    assert_eq!(gate(&[wait(at(9)), wait(at(5))]), Some((Reason::AwaitingUpstream, one.clone(), at(9))));
    assert_eq!(gate(&[wait(at(9)), wait(None)]), Some((Reason::AwaitingUpstream, one, None)));
    let (forbidden, missing) = (Forbidden("forbidden".to_owned()), NotFound("missing".to_owned()));
    let cycle = Cycle("cycle".to_owned());
    let all = [wait(at(9)), forbidden, missing, Satisfied, cycle];
    for (count, reason) in [(5, Reason::UpstreamCycle), (4, Reason::UpstreamNotFound), (2, Reason::UpstreamForbidden)] {
        let (first, message, opens_at) = gate(&all[..count]).unwrap();
        assert_eq!((first, opens_at), (reason, None), "{message}");
    }
    let message = gate(&all).unwrap().1;
    assert_eq!(message, "cycle; 3 more CognigyDeployments in spec.requires are not ready");
}

/// An attempt in the history that says nothing about the release 2.4.1.
fn irrelevant() -> impl Strategy<Value = PastAttempt> {
    let outcomes = prop::sample::select(&Outcome::ALL[..]);
    (any::<bool>(), outcomes, prop::option::of(0..100_000_i64)).prop_map(|(has_other_release, outcome, healthy)| {
        let mut past = deployed("2.4.1", 0).edited_to("2.5.0").brought_to(Step::Pending).status.history[0].clone();
        past.verdict.outcome = outcome;
        past.healthy_for_seconds = healthy;
        if has_other_release {
            past.release = Some(release("2.5.0"));
        } else {
            past.job_id = None;
            past.verdict.outcome = if outcome == Outcome::Unknown { Outcome::Failed } else { outcome };
        }
        past
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn attempts_with_other_releases_or_without_a_job_never_change_the_result(
        (past, position) in (irrelevant(), 0..4_usize), soak in 0..200_000_u64,
    ) {
        let mut upstream = deployed("2.4.1", DAY);
        deploy(&mut upstream, "2.5.0", HOUR);
        deploy(&mut upstream, "2.4.1", HOUR);
        deploy(&mut upstream, "2.6.0", 0);
        let before = state_for(&upstream, "2.4.1", &healthy_for(soak));
        upstream.status.history.insert(position.min(upstream.status.history.len()), past);
        prop_assert_eq!(state_for(&upstream, "2.4.1", &healthy_for(soak)), before);
    }

    #[test]
    fn a_gate_that_only_waits_for_time_opens_exactly_at_the_time_that_it_names(soak in 0..2_592_000_u64, later in 0..3_000_000_u64) {
        let mut upstream = deployed("2.4.1", 0);
        let first = state_for(&upstream, "2.4.1", &healthy_for(soak));
        upstream.pass(later);
        let now = upstream.given.now.wall;
        let state = state_for(&upstream, "2.4.1", &healthy_for(soak));
        match first {
            UpstreamState::Waiting { opens_at: Some(at), .. } => prop_assert_eq!(state.is_satisfied(), now >= at),
            _ => prop_assert!(state.is_satisfied() && soak == 0),
        }
    }
}
