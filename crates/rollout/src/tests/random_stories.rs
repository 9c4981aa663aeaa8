//! Random actions of people, the API, clocks and crashes: the promises hold at every step, and every attempt ends once
//! the API answers again and all gates are open.

use super::fixture::unsupported;
use super::fixture::{
    DAY, Rollout, TIMEOUT, bad, failed_job, trace_answer, unauthorized, unavailable, unreadable, unreadable_job,
};
use super::transitions::outcomes;
use crate::answer::{HealthAnswer, JobAnswer, Retry, RollbackAnswer, SubmitAnswer, ValidationAnswer};
use crate::{Cause, Obstacle};
use api::decision::Verb;
use api::reason::Reason;
use api::spec::{AfterSuccess, Approval, DeletionPolicy, OnUnhealthy};
use api::status::Step;
use api::{JobId, PlanId};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Turn {
    Validation(Result<ValidationAnswer, Obstacle>),
    TracePasses(bool),
    Submit(SubmitAnswer),
    Job(JobAnswer),
    Health(HealthAnswer),
    Rollback(RollbackAnswer),
    BodyIsLost(bool),
    SnapshotIsMissing(bool),
    EditDigest(u8),
    EditChecks(u8),
    EditThresholds(u8),
    AutoTrigger(bool),
    AfterSuccess(Option<OnUnhealthy>),
    OtherOwner(bool),
    Suspend(bool),
    AskForRetry(u8),
    AskForRollback(u8),
    SecretChanges,
    Restart(u16),
    Crash,
    WallClockJumps(i32),
    Live(u16),
    StepsThenCrash(u8),
    StepsThenRecordFails(u8),
    RequireApprovals(u8),
    Decide(Verb, u8, bool),
    Withdraw(u8),
    ProveDecisions(bool),
    CloseWindow(Option<u16>),
    OpenWindow,
    UpstreamIsReady(bool),
}

fn validation() -> impl Strategy<Value = Result<ValidationAnswer, Obstacle>> {
    prop_oneof![
        3 => Just(Ok(ValidationAnswer::Passed { warnings: Vec::new(), capacity_utilization: None })),
        1 => Just(Ok(ValidationAnswer::Refused { errors: vec!["memory".to_owned()] })),
        1 => Just(Err(unavailable())),
        1 => Just(Err(unauthorized())),
    ]
}

fn submit() -> impl Strategy<Value = SubmitAnswer> {
    prop_oneof![
        3 => Just(SubmitAnswer::Accepted(JobId::new("job_1"))),
        1 => Just(SubmitAnswer::NotYet(unavailable())),
        1 => Just(SubmitAnswer::Unknown { message: "422".to_owned() }),
        1 => Just(SubmitAnswer::Rejected { message: "400".to_owned() }),
    ]
}

fn job() -> impl Strategy<Value = JobAnswer> {
    prop_oneof![
        4 => Just(JobAnswer::Completed),
        2 => Just(JobAnswer::Running),
        1 => Just(failed_job()),
        1 => Just(JobAnswer::RolledBack),
        1 => Just(JobAnswer::NotFound),
        1 => Just(unreadable_job()),
    ]
}

fn health() -> impl Strategy<Value = HealthAnswer> {
    prop_oneof![2 => Just(HealthAnswer::Good), 2 => Just(bad()), 1 => Just(unreadable())]
}

fn rollback() -> impl Strategy<Value = RollbackAnswer> {
    prop_oneof![
        3 => Just(RollbackAnswer::Accepted),
        1 => Just(RollbackAnswer::Refused("409".to_owned())),
        1 => Just(RollbackAnswer::NotYet(unavailable())),
        1 => Just(RollbackAnswer::NotYet(unauthorized())),
    ]
}

fn after_success() -> impl Strategy<Value = Option<OnUnhealthy>> {
    prop_oneof![1 => Just(None), 1 => Just(Some(OnUnhealthy::Report)), 2 => Just(Some(OnUnhealthy::Rollback))]
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        2 => validation().prop_map(Turn::Validation),
        1 => any::<bool>().prop_map(Turn::TracePasses),
        2 => submit().prop_map(Turn::Submit),
        4 => job().prop_map(Turn::Job),
        6 => health().prop_map(Turn::Health),
        2 => rollback().prop_map(Turn::Rollback),
        1 => any::<bool>().prop_map(Turn::BodyIsLost),
        1 => any::<bool>().prop_map(Turn::SnapshotIsMissing),
        2 => (0..3_u8).prop_map(Turn::EditDigest),
        1 => (0..3_u8).prop_map(Turn::EditChecks),
        1 => (1..4_u8).prop_map(Turn::EditThresholds),
        1 => any::<bool>().prop_map(Turn::AutoTrigger),
        2 => after_success().prop_map(Turn::AfterSuccess),
        1 => prop::bool::weighted(0.2).prop_map(Turn::OtherOwner),
        1 => any::<bool>().prop_map(Turn::Suspend),
        1 => (0..4_u8).prop_map(Turn::AskForRetry),
        1 => (0..4_u8).prop_map(Turn::AskForRollback),
        1 => Just(Turn::SecretChanges),
        2 => (0..900_u16).prop_map(Turn::Restart),
        2 => Just(Turn::Crash),
        1 => (-100_000..100_000_i32).prop_map(Turn::WallClockJumps),
        10 => (0..300_u16).prop_map(Turn::Live),
        4 => (1..12_u8).prop_map(Turn::StepsThenCrash),
        4 => (1..12_u8).prop_map(Turn::StepsThenRecordFails),
        6 => gate(),
    ]
}

fn gate() -> impl Strategy<Value = Turn> {
    prop_oneof![
        2 => (0..4_u8).prop_map(Turn::RequireApprovals),
        4 => (decision(), 0..4_u8, prop::bool::weighted(0.8))
            .prop_map(|(verb, by, is_right_plan)| Turn::Decide(verb, by, is_right_plan)),
        1 => (0..4_u8).prop_map(Turn::Withdraw),
        1 => prop::bool::weighted(0.7).prop_map(Turn::ProveDecisions),
        1 => prop::option::of(0..2000_u16).prop_map(Turn::CloseWindow),
        1 => Just(Turn::OpenWindow),
        1 => any::<bool>().prop_map(Turn::UpstreamIsReady),
    ]
}

fn decision() -> impl Strategy<Value = Verb> {
    prop_oneof![
        6 => Just(Verb::Approve),
        1 => Just(Verb::Reject),
        2 => Just(Verb::Override),
        1 => Just(Verb::Rollback),
        1 => Just(Verb::Retry),
    ]
}

fn play(rollout: &mut Rollout, turn: Turn) {
    let text = |number: u8| number.to_string();
    match turn {
        Turn::Validation(answer) => rollout.world.validation = vec![answer],
        Turn::TracePasses(passes) => {
            rollout.world.trace = vec![Ok(trace_answer(if passes { "passed" } else { "failed" }, &[]))];
        }
        Turn::Submit(answer) => rollout.world.submit = vec![answer],
        Turn::Job(answer) => rollout.world.job = vec![answer],
        Turn::Health(answer) => rollout.world.health = vec![answer],
        Turn::Rollback(answer) => rollout.world.rollback = vec![answer],
        Turn::BodyIsLost(lost) => rollout.world.body_has_changed = lost,
        Turn::SnapshotIsMissing(missing) => {
            let obstacle = || Obstacle::lasting(Cause::SnapshotNotFound, "no ConfigMap", Retry::SnapshotChange);
            rollout.given.snapshot_obstacle = missing.then(obstacle);
        }
        Turn::EditDigest(number) => drop(rollout.edit_digest(&text(number))),
        Turn::EditChecks(number) => drop(rollout.edit_checks(&text(number))),
        Turn::EditThresholds(number) => drop(rollout.edit(|spec| {
            spec.rollback_policy.health_threshold = i32::from(number);
            spec.monitoring.success_threshold = i32::from(4 - number);
            spec.monitoring.interval_seconds = 10 * i32::from(number);
        })),
        Turn::AutoTrigger(auto) => drop(rollout.edit(|spec| spec.rollback_policy.auto_trigger = auto)),
        Turn::AfterSuccess(on_unhealthy) => drop(rollout.edit(|spec| {
            spec.monitoring.after_success = on_unhealthy.map(|on_unhealthy| AfterSuccess {
                interval_seconds: 60,
                health_threshold: 2,
                on_unhealthy,
            });
        })),
        Turn::OtherOwner(is_there) => rollout.given.other_owner = is_there.then(|| "another one owns it".to_owned()),
        Turn::Suspend(suspended) => drop(rollout.suspend(suspended)),
        Turn::AskForRetry(number) => drop(rollout.request_retry(&text(number))),
        Turn::AskForRollback(number) => drop(rollout.request_rollback(&text(number))),
        Turn::SecretChanges => rollout.memory.clear_failures(),
        Turn::Restart(seconds) => drop(rollout.restart_after(u64::from(seconds))),
        Turn::Crash => drop(rollout.crash()),
        Turn::WallClockJumps(seconds) => drop(rollout.wall_clock_jumps(i64::from(seconds))),
        Turn::Live(seconds) => drop(rollout.run_for(u64::from(seconds))),
        Turn::StepsThenCrash(steps) => {
            for _ in 0..steps {
                rollout.step();
            }
            rollout.crash();
        }
        Turn::StepsThenRecordFails(steps) => {
            for _ in 0..steps {
                rollout.step();
            }
            rollout.record_fails();
        }
        Turn::RequireApprovals(required) => {
            let approval = (required > 0).then(|| Approval {
                required: i32::from(required),
                expires_after_seconds: 3600,
                not_by: Vec::new(),
            });
            rollout.edit(|spec| spec.approval = approval);
        }
        Turn::Decide(verb, by, is_right_plan) => {
            rollout.decide_with(verb, &person(by), |record| {
                if !is_right_plan {
                    record.plan_id = another_plan();
                }
            });
        }
        Turn::Withdraw(by) => drop(rollout.withdraw(&person(by))),
        Turn::ProveDecisions(are_proven) => drop(rollout.prove(are_proven)),
        Turn::CloseWindow(opens_in) => drop(rollout.close_window(opens_in.map(u64::from))),
        Turn::OpenWindow => drop(rollout.open_window()),
        Turn::UpstreamIsReady(true) => drop(rollout.open_upstream()),
        Turn::UpstreamIsReady(false) => drop(rollout.close_upstream(Reason::AwaitingUpstream)),
    }
}

fn person(number: u8) -> String {
    format!("person-{number}")
}

fn another_plan() -> PlanId {
    serde_json::from_value("plan-0123456789abcdef".into()).unwrap()
}

/// Approves whatever waits for approvals, until nothing does. The rollout must go on by itself, also after a restart. (G5)
fn approve_what_waits(rollout: &mut Rollout) {
    for round in 0..5_u64 {
        rollout.run_for(DAY);
        if rollout.step_now() == Step::Settled {
            return;
        }
        let Some(approval) = rollout.given.spec.approval.clone() else { return };
        for number in 0..approval.required {
            rollout.decide_by(Verb::Approve, &format!("approver-{number}"));
        }
        if round % 2 == 0 {
            rollout.restart_after(round);
        }
    }
}

/// Repairs everything: the API answers, the Secret is right, nothing is suspended.
fn mend(rollout: &mut Rollout) {
    let well = Rollout::new().world;
    rollout.world = well;
    (rollout.given.snapshot_obstacle, rollout.given.other_owner) = (None, None);
    rollout.memory.clear_failures();
    rollout.given.now.wall = rollout.given.api_clock;
    rollout.open_window().open_upstream().prove(true).suspend(false);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_story_keeps_the_promises_and_ends(
        turns in prop::collection::vec(turn(), 1..60),
        ignores_keys in prop::bool::weighted(0.2),
    ) {
        let mut rollout = Rollout::new();
        if ignores_keys {
            rollout.given.settings = unsupported();
        }
        for turn in turns {
            play(&mut rollout, turn);
        }
        mend(&mut rollout);
        approve_what_waits(&mut rollout);
        rollout.run_for(2 * DAY);
        prop_assert_eq!(rollout.step_now(), Step::Settled, "L1");
        prop_assert!(rollout.outcome().is_some(), "L1");
        let wanted = rollout.given.target().map(|target| target.digest);
        // A person may have refused the last configuration, and had what ran before it rolled back.
        let attempt = rollout.attempt();
        let is_tried = wanted.is_ok_and(|digest| digest == attempt.digest || Some(&digest) == attempt.declined.as_ref());
        prop_assert!(is_tried, "the last configuration was tried or declined");
        let counted = i64::try_from(outcomes(&rollout).len());
        // After a rollback of what ran before, the last attempt is in the history.
        let last = rollout.status.history.first().map_or(0, |past| past.number).max(rollout.attempt().number);
        prop_assert_eq!(counted, Ok(last), "each attempt is counted once, when it has ended");
    }

    #[test]
    fn a_deleted_resource_goes_away_within_its_grace(
        turns in prop::collection::vec(turn(), 1..30),
        more in prop::collection::vec(turn(), 0..10),
        undoes in any::<bool>(),
    ) {
        let mut rollout = Rollout::new();
        if undoes {
            rollout.edit(|spec| spec.deletion_policy = DeletionPolicy::Rollback);
        }
        for turn in turns {
            play(&mut rollout, turn);
        }
        rollout.delete();
        for turn in more.into_iter().filter(|turn| !matches!(turn, Turn::WallClockJumps(_) | Turn::StepsThenCrash(_) | Turn::StepsThenRecordFails(_))) {
            if !rollout.is_released {
                play(&mut rollout, turn);
            }
        }
        if !rollout.is_released {
            rollout.run_for(rollout.given.settings.deletion_grace.as_secs());
        }
        prop_assert!(rollout.is_released, "L4");
    }

    #[test]
    fn a_bad_verdict_is_rolled_back_through_every_crash(crashes in prop::collection::vec(1..9_u8, 0..20)) {
        let mut rollout = Rollout::new();
        rollout.health_says(&[bad()]);
        for steps in crashes {
            for _ in 0..steps {
                rollout.step();
            }
            rollout.crash().pass(7);
        }
        rollout.run_for(3 * TIMEOUT);
        prop_assert_eq!(rollout.outcome().map(|(outcome, _)| outcome), Some(api::status::Outcome::RolledBack));
        prop_assert_eq!(rollout.attempt().number, 1);
    }
}
