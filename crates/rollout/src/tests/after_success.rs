//! Watching on after a success: what is polled and when, what a bad answer changes, and what is rolled back.

use super::fixture::{DAY, INTERVAL, Rollout, TIMEOUT, bad, unauthorized, unavailable, unreadable};
use crate::answer::HealthAnswer::{self, Good};
use crate::answer::{Retry, RollbackAnswer};
use crate::rest::is_at_rest;
use crate::{Cause, Decision, Obstacle};
use api::condition::ConditionType::{Healthy, Ready, RolledBack, Stalled};
use api::reason::Reason;
use api::spec::{AfterSuccess, DeletionPolicy, OnUnhealthy};
use api::status::{Outcome, RollbackReason, Step};
use api::{Finding, Wait, finding};
use std::time::Duration;

const EVERY: u64 = 300;

/// A name, and what happens.
type Case = (&'static str, fn(&mut Rollout));

/// A success that is watched, at its first poll.
fn watched(on_unhealthy: OnUnhealthy) -> Rollout {
    let watch = AfterSuccess { on_unhealthy, ..AfterSuccess::default() };
    let mut rollout = Rollout::of(|spec| spec.monitoring.after_success = Some(watch)).brought_to(Step::Settled);
    rollout.before_decision(&Decision::WatchHealth);
    rollout
}

fn says(answers: &[HealthAnswer]) -> Rollout {
    let mut rollout = watched(OnUnhealthy::Report);
    rollout.health_says(answers);
    rollout
}

fn watches(rollout: &Rollout) -> usize {
    rollout.count(&Decision::WatchHealth)
}

fn is_finding_of(rollout: &Rollout, wait: Wait) -> Finding {
    finding(Some(&rollout.status), &rollout.given.target.digest, wait)
}

#[test]
fn a_success_is_not_watched_unless_the_spec_says_so() {
    let mut rollout = Rollout::at(Step::Settled);
    assert_eq!(rollout.decision(), Decision::Wait(None));
    rollout.health_says(&[bad()]).run_for(DAY);
    assert_eq!((watches(&rollout), rollout.condition_text(Ready).as_str()), (0, "True/Succeeded"));
}

#[test]
fn an_empty_object_switches_watching_on() {
    let empty: AfterSuccess = serde_json::from_str("{}").unwrap();
    assert_eq!(empty, AfterSuccess::default());
    assert_eq!((empty.interval_seconds, empty.health_threshold, empty.on_unhealthy), (300, 3, OnUnhealthy::Report));
}

#[test]
fn health_is_polled_once_an_interval_and_an_answer_that_changes_nothing_writes_nothing() {
    let mut rollout = says(&[Good]);
    let before = rollout.status.clone();
    rollout.run_for(10 * EVERY);
    assert_eq!((watches(&rollout), &rollout.status), (11, &before));
    assert_eq!(rollout.events_of(Reason::HealthGood), 0);
}

#[test]
fn a_threshold_of_bad_answers_in_a_row_takes_back_ready_and_names_the_next_step() {
    let mut rollout = says(&[bad()]);
    rollout.run_for(EVERY);
    assert_eq!((watches(&rollout), rollout.condition_text(Ready).as_str()), (2, "True/Succeeded"));
    rollout.run_for(EVERY);
    assert_eq!(rollout.condition_text(Healthy), "False/UnhealthyAfterSuccess");
    assert_eq!(rollout.condition_text(Ready), "False/UnhealthyAfterSuccess");
    assert_eq!(rollout.condition_text(Stalled), "True/UnhealthyAfterSuccess");
    let message = rollout.condition(Ready).message.clone();
    for part in ["3 times in a row", "its status is degraded", "deploy.cognigy.ai/rollback", "corrected configuration"]
    {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
    let told = rollout.status.clone();
    rollout.run_for(20 * EVERY);
    assert_eq!((&rollout.status, rollout.warned(Reason::UnhealthyAfterSuccess)), (&told, 1), "once");
    assert_eq!((rollout.outcome().unwrap().0, rollout.webhooks().len()), (Outcome::Succeeded, 1));
}

#[test]
fn the_first_good_answer_makes_it_ready_again() {
    let mut rollout = says(&[bad(), bad(), bad(), Good]);
    rollout.run_for(3 * EVERY);
    assert_eq!(
        (rollout.condition_text(Healthy).as_str(), rollout.condition_text(Ready).as_str()),
        ("True/HealthGood", "True/Succeeded")
    );
    assert!(!rollout.has(Stalled));
    assert_eq!((rollout.events_of(Reason::HealthGood), rollout.warned(Reason::HealthGood)), (1, 0));
}

#[test]
fn a_good_answer_breaks_the_row_and_an_unreadable_one_does_not_count() {
    for (answers, is_ready) in [
        (vec![bad(), bad(), Good, bad(), bad(), Good], true),
        (vec![bad(), unreadable(), bad(), unreadable(), unreadable()], true),
        (vec![bad(), unreadable(), bad(), unreadable(), bad()], false),
    ] {
        let mut rollout = says(&answers);
        rollout.run_for(4 * EVERY);
        assert_eq!(rollout.status.conditions.iter().any(|it| it.condition_type == Stalled), !is_ready, "{answers:?}");
    }
}

#[test]
fn a_restart_begins_to_count_again() {
    let mut rollout = says(&[bad()]);
    rollout.run_for(EVERY).restart_after(1).before_decision(&Decision::WatchHealth).run_for(EVERY);
    assert_eq!(rollout.condition_text(Ready), "True/Succeeded");
    rollout.run_for(EVERY);
    assert_eq!(rollout.condition_text(Ready), "False/UnhealthyAfterSuccess");
}

#[test]
fn an_unhealthy_environment_stays_unhealthy_through_a_restart_until_a_good_answer() {
    let mut rollout = says(&[bad()]);
    rollout.run_for(3 * EVERY);
    let told = rollout.status.clone();
    rollout.restart_after(60).run_for(10 * EVERY);
    assert_eq!((&rollout.status, rollout.warned(Reason::UnhealthyAfterSuccess)), (&told, 1));
    rollout.health_says(&[Good]).run_for(EVERY);
    assert_eq!(rollout.condition_text(Ready), "True/Succeeded");
}

#[test]
fn a_restart_does_not_make_the_polls_more_frequent() {
    let mut rollout = says(&[Good]);
    rollout.run_for(EVERY);
    let polls = watches(&rollout);
    for _ in 0..10 {
        rollout.restart_after(10).run_for(20);
    }
    assert!(watches(&rollout) <= polls + 1, "{} polls more in 300 s", watches(&rollout) - polls);
}

#[test]
fn the_polls_of_many_resources_are_spread_over_the_interval() {
    let rollout = says(&[Good]);
    let memory = |rollout: &Rollout| {
        let mut memory = crate::Memory::default();
        memory.prepare_for(rollout.status.attempt.as_ref(), None, rollout.given.now);
        memory
    };
    let waits = (0..1000).map(|number: u32| {
        let uid = format!("uid-{number}");
        let facts = crate::Facts { uid: &uid, ..rollout.given.facts(rollout.given.now) };
        match crate::decide(&facts, &rollout.status, &memory(&rollout)) {
            Decision::Wait(Some(wait)) => wait.as_secs(),
            _ => 0,
        }
    });
    let mut by_minute = [0; 5];
    for wait in waits {
        by_minute[usize::try_from(wait / 60).unwrap()] += 1;
    }
    assert!(by_minute.iter().all(|count| (150..=250).contains(count)), "{by_minute:?}");
}

#[test]
fn without_an_answer_health_is_unknown_and_ready_stays() {
    let barriers: [Case; 4] = [
        ("unreadable", |rollout| {
            rollout.health_says(&[unreadable()]);
        }),
        ("unreachable", |rollout| rollout.world.barrier = Some(unavailable())),
        ("refused credentials", |rollout| rollout.world.barrier = Some(unauthorized())),
        ("no Secret", |rollout| {
            let obstacle = Obstacle::lasting(Cause::CredentialsNotFound, "no Secret", Retry::CredentialsChange);
            rollout.world.barrier = Some(obstacle);
        }),
    ];
    for (what, arrange) in barriers {
        let mut rollout = says(&[Good]);
        arrange(&mut rollout);
        rollout.run_for(EVERY);
        assert_eq!(rollout.condition_text(Healthy), "True/HealthGood", "{what}");
        rollout.run_for(20 * EVERY);
        assert_eq!(rollout.condition_text(Healthy), "Unknown/HealthUnknown", "{what}");
        assert_eq!(rollout.condition_text(Ready), "True/Succeeded", "{what}");
        assert!(rollout.condition(Ready).message.contains("its health is not known now"), "{what}");
        assert_eq!((watches(&rollout), rollout.warned(Reason::HealthUnknown)), (22, 1), "{what}");
        assert!(rollout.memory.obstacle(rollout.given.generation).is_none(), "{what}");
        rollout.world.barrier = None;
        rollout.health_says(&[Good]).run_for(EVERY);
        assert_eq!(rollout.condition_text(Healthy), "True/HealthGood", "{what}");
    }
}

#[test]
fn a_poll_that_found_no_room_comes_at_another_moment_of_the_next_interval() {
    for (jitter, seconds) in [(0.0, EVERY), (0.5, EVERY + EVERY / 10), (1.0, EVERY + EVERY / 5)] {
        let mut rollout = says(&[Good]);
        rollout.world.barrier = Some(unavailable());
        rollout.memory.jitter = jitter;
        rollout.step();
        assert_eq!(rollout.decision(), Decision::Wait(Some(Duration::from_secs(seconds))));
    }
}

#[test]
fn an_unhealthy_environment_does_not_become_ready_because_nobody_answers() {
    let mut rollout = says(&[bad(), bad(), bad(), unreadable()]);
    rollout.run_for(20 * EVERY);
    assert_eq!(rollout.condition_text(Ready), "False/UnhealthyAfterSuccess");
    assert_eq!(rollout.warned(Reason::HealthUnknown), 1);
}

#[test]
fn a_watched_resource_is_not_at_rest() {
    let mut rollout = says(&[Good]);
    rollout.run();
    let rests = |rollout: &Rollout| is_at_rest(&rollout.given.facts(rollout.given.now), &rollout.status);
    assert!(!rests(&rollout));
    rollout.edit(|spec| spec.monitoring.after_success = None).run();
    assert!(rests(&rollout));
}

#[test]
fn health_that_was_bad_is_unknown_once_it_is_not_watched_any_more() {
    let mut rollout = says(&[bad()]);
    rollout.run_for(3 * EVERY).edit(|spec| spec.monitoring.after_success = None).run();
    assert_eq!(rollout.condition_text(Healthy), "Unknown/HealthUnknown");
    assert_eq!(rollout.condition_text(Ready), "True/Succeeded");
    assert!(is_at_rest(&rollout.given.facts(rollout.given.now), &rollout.status));
}

#[test]
fn a_suspended_success_is_still_watched_and_still_rolled_back() {
    let mut rollout = watched(OnUnhealthy::Rollback);
    rollout.suspend(true).edit_digest("3").health_says(&[bad(), bad(), bad(), Good]).run_for(3 * EVERY);
    assert_eq!(rollout.condition_text(RolledBack), "True/RolledBack");
    assert_eq!(rollout.attempt().number, 1);
}

#[test]
fn a_success_is_watched_while_its_snapshot_cannot_be_read() {
    let mut rollout = says(&[bad()]);
    let obstacle = Obstacle::lasting(Cause::SnapshotNotFound, "no ConfigMap", Retry::SnapshotChange);
    rollout.given.snapshot_obstacle = Some(obstacle);
    rollout.run_for(3 * EVERY);
    assert_eq!(rollout.condition_text(Healthy), "False/UnhealthyAfterSuccess");
    assert_eq!(rollout.condition_text(Ready), "False/SnapshotNotFound");
}

#[test]
fn rollback_undoes_the_success_once_and_tells_the_webhook() {
    let mut rollout = watched(OnUnhealthy::Rollback);
    rollout.health_says(&[bad(), bad(), bad(), Good]).run_for(2 * EVERY + INTERVAL);
    let attempt = rollout.attempt().clone();
    assert_eq!(attempt.rollback.as_ref().map(|rollback| rollback.reason), Some(RollbackReason::HealthCheckFailure));
    assert_eq!(rollout.outcome(), Some((Outcome::Succeeded, Reason::Succeeded)), "S7");
    assert_eq!(rollout.condition_text(RolledBack), "True/RolledBack");
    assert_eq!(rollout.condition_text(Ready), "False/RolledBack");
    assert_eq!(rollout.warned(Reason::UnhealthyAfterSuccess), 1);
    let told: Vec<bool> = rollout.webhooks().into_iter().map(|(success, ..)| success).collect();
    assert_eq!((told, rollout.audits().len()), (vec![true, false], 1));
    assert!(rollout.status.last_successful.as_ref().unwrap().rolled_back_at.is_some());
    let polls = watches(&rollout);
    rollout.health_says(&[bad()]).run_for(TIMEOUT + DAY);
    assert_eq!((watches(&rollout), rollout.count(&Decision::Rollback)), (polls, 1), "it is not watched any more");
}

#[test]
fn a_refused_rollback_after_the_success_is_not_requested_again() {
    let mut rollout = watched(OnUnhealthy::Rollback);
    rollout.health_says(&[bad()]).rollback_says(&[RollbackAnswer::Refused("no snapshot".to_owned())]).run_for(DAY);
    assert_eq!(
        (rollout.count(&Decision::Rollback), rollout.condition_text(Ready).as_str()),
        (1, "False/RollbackRefused")
    );
}

#[test]
fn a_rollback_after_the_success_is_requested_after_a_crash_as_well() {
    let mut rollout = watched(OnUnhealthy::Rollback);
    rollout.health_says(&[bad()]).before_decision(&Decision::Rollback);
    rollout.crash().run_for(DAY);
    assert_eq!(
        (rollout.count(&Decision::Rollback), rollout.condition_text(RolledBack).as_str()),
        (1, "True/RolledBack")
    );
}

#[test]
fn nothing_is_watched_or_rolled_back_if_another_resource_owns_the_environment_or_it_is_deleted() {
    let cases: [Case; 3] = [
        ("another owner", |rollout| rollout.given.other_owner = Some("bots/other owns it".to_owned())),
        ("deleted", |rollout| {
            rollout.delete();
        }),
        ("rolled back by request", |rollout| {
            rollout.request_rollback("1");
        }),
    ];
    for (what, arrange) in cases {
        let mut rollout = watched(OnUnhealthy::Rollback);
        rollout.health_says(&[bad(), bad()]).run_for(EVERY);
        arrange(&mut rollout);
        let polls = watches(&rollout);
        rollout.health_says(&[Good]).run_for(2 * EVERY);
        let begun = rollout.count(&Decision::BeginRollback(RollbackReason::HealthCheckFailure));
        assert_eq!((begun, watches(&rollout)), (0, polls), "{what}");
    }
}

#[test]
fn a_takeover_while_the_last_bad_answer_is_awaited_prevents_the_rollback() {
    let mut rollout = watched(OnUnhealthy::Rollback);
    rollout.health_says(&[bad()]).run_for(EVERY).pass(EVERY);
    assert_eq!(rollout.step(), Decision::WatchHealth);
    rollout.given.other_owner = Some("bots/other owns it".to_owned());
    assert_eq!(rollout.decision(), Decision::Start, "it waits for the environment");
}

#[test]
fn a_new_configuration_ends_the_watch_of_the_old_one() {
    let mut rollout = says(&[bad()]);
    rollout.run_for(3 * EVERY).health_says(&[Good]).edit_digest("3").run_for(60);
    assert_eq!((rollout.attempt().number, rollout.condition_text(Ready).as_str()), (2, "True/Succeeded"));
}

#[test]
fn a_deleted_success_is_undone_by_its_deletion_policy_only() {
    for policy in [DeletionPolicy::Retain, DeletionPolicy::Rollback] {
        let mut rollout = watched(OnUnhealthy::Rollback);
        rollout
            .edit(|spec| spec.deletion_policy = policy)
            .health_says(&[bad(), bad()])
            .run_for(EVERY)
            .delete()
            .run_for(DAY);
        let undone = rollout.count(&Decision::BeginRollback(RollbackReason::ResourceDeleted));
        assert_eq!((rollout.is_released, undone), (true, usize::from(policy == DeletionPolicy::Rollback)));
    }
}

#[test]
fn somebody_who_waits_for_ready_is_told_and_somebody_who_waits_for_the_verdict_has_it() {
    let mut rollout = says(&[bad()]);
    rollout.run_for(3 * EVERY);
    assert!(matches!(is_finding_of(&rollout, Wait::Verdict), Finding::Succeeded { .. }));
    let ready = is_finding_of(&rollout, Wait::Ready);
    assert!(matches!(ready, Finding::NeedsPerson { reason: Reason::UnhealthyAfterSuccess, .. }), "{ready:?}");
}
