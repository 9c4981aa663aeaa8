//! G6: no decision acts twice, however many there are.

use crate::gates::{DecisionRecord, Decisions, Proof, act_on, is_usable, state_of};
use crate::tests::fixture::{Rollout, VALID, bad};
use api::decision::DecisionState;
use api::decision::Verb::{self, Approve, Reject, Retry, Rollback};
use api::status::{CognigyDeploymentStatus, Outcome};
use api::{DecisionUid, PlanId};
use jiff::Timestamp;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

#[test]
fn no_number_of_requests_makes_a_decision_act_again() {
    let mut rollout = Rollout::new();
    rollout.run_for(60);
    for number in 1..=100 {
        rollout.decide_by(Retry, "anna").run_for(120);
        assert_eq!(rollout.attempt().number, number + 1, "each retry starts one attempt");
    }
    rollout.restart_after(60).run_for(3600);
    assert_eq!((rollout.attempt().number, rollout.status.acted_decisions.len()), (101, 32));
    rollout.decide_by(Rollback, "ben").run_for(120);
    assert!(rollout.attempt().rollback.is_some(), "a new decision acts at once");
}

/// Requests that are recorded as older than those that have acted are told so, and a new one acts.
#[test]
fn a_decision_that_is_older_than_what_is_remembered_does_not_act() {
    let mut rollout = Rollout::new();
    rollout.run_for(60);
    let start = rollout.given.api_clock;
    for _ in 0..40 {
        rollout.decide_by(Retry, "anna").run_for(120);
    }
    let number = rollout.attempt().number;
    rollout.decide_with(Retry, "ben", |record| record.made_at = start).run_for(120);
    assert_eq!(rollout.attempt().number, number);
    let facts = rollout.given.facts(rollout.given.now);
    let record = rollout.given.gates.decisions.records.iter().find(|record| record.by == "ben").unwrap();
    let (_, why) = state_of(&facts, &rollout.status, record);
    assert_eq!(why, "is older than other decisions that have acted; create another one");
    rollout.decide_by(Retry, "ben").run_for(120);
    assert_eq!(rollout.attempt().number, number + 1);
}

#[test]
fn a_decision_acts_once_through_crashes_before_its_record() {
    for steps in 0..8 {
        let mut rollout = Rollout::new();
        rollout.run_for(60).decide_by(Rollback, "anna");
        for _ in 0..steps {
            rollout.step();
        }
        rollout.crash().run_for(600);
        assert_eq!(rollout.status.acted_decisions.len(), 1, "{steps}");
        assert!(rollout.attempt().rollback.as_ref().unwrap().accepted_at.is_some());
        assert_eq!(rollout.outcome().unwrap().0, Outcome::Succeeded);
    }
}

/// The state that `kubectl get cognigydecisions` shows.
#[test]
fn the_state_of_a_decision_says_what_became_of_it() {
    let mut rollout = Rollout::needing(1);
    rollout.run_for(60).decide_by(Approve, "anna").decide_by(Approve, "ben").prove(false);
    assert_eq!(states(&rollout), [DecisionState::Ignored; 2], "without proof");
    rollout.prove(true);
    assert_eq!(states(&rollout), [DecisionState::Waiting; 2]);
    rollout.run_for(120);
    assert_eq!(states(&rollout), [DecisionState::Acted; 2], "one was needed, and the other is used up as well");
    rollout.decide_by(Approve, "carol");
    assert_eq!(states(&rollout)[2], DecisionState::Ignored, "it came too late");
    rollout.prove(false).pass(VALID);
    assert_eq!(states(&rollout)[2], DecisionState::Expired, "also without proof");
}

/// A GitOps tool creates an object again that somebody has deleted.
#[test]
fn a_decision_that_is_deleted_and_created_again_does_not_act_again() {
    let mut rollout = Rollout::new();
    // The second attempt at a configuration that runs already has the same plan as every later one.
    rollout.run_for(60).decide_by(Retry, "ben").run_for(120);
    rollout.decide_with(Retry, "anna", |record| record.name = "in-git".to_owned()).run_for(120);
    assert_eq!(rollout.attempt().number, 3);
    rollout.withdraw("anna").run_for(60);
    rollout.decide_with(Retry, "anna", |record| record.name = "in-git".to_owned()).run_for(120);
    assert_eq!(rollout.attempt().number, 3, "it has another uid, and the same name and content");
    assert_eq!(states(&rollout), [DecisionState::Acted; 2]);
    rollout.decide_with(Retry, "anna", |record| record.name = "in-git-2".to_owned()).run_for(120);
    assert_eq!(rollout.attempt().number, 4);
}

#[test]
fn an_approval_of_a_plan_that_has_not_started_waits_and_is_not_ignored() {
    let mut rollout = Rollout::needing(1);
    rollout.decide_by(Approve, "anna").run_for(120).assert_succeeded();
    let next: PlanId = serde_json::from_value(serde_json::json!("plan-0000000000000001")).unwrap();
    rollout.decide_with(Approve, "anna", |record| record.plan_id = next.clone());
    assert_eq!(states(&rollout)[1], DecisionState::Waiting, "the next attempt may have this plan");
    rollout.decide_with(Rollback, "anna", |record| record.plan_id = next);
    assert_eq!(states(&rollout)[2], DecisionState::Ignored, "nothing of this plan can be undone");
}

fn states(rollout: &Rollout) -> Vec<DecisionState> {
    let facts = rollout.given.facts(rollout.given.now);
    let records = rollout.given.gates.decisions.records.iter();
    records.map(|record| state_of(&facts, &rollout.status, record).0).collect()
}

/// A decision, by its second and its number within it.
fn record(second: i64, number: usize) -> DecisionRecord {
    DecisionRecord {
        uid: DecisionUid::new(format!("uid-{second}-{number}")),
        name: format!("decision-{second}-{number}"),
        verb: Verb::Approve,
        plan_id: Rollout::new().plan(),
        environment_id: Rollout::new().given.spec.environment_id,
        by: "anna".to_owned(),
        reason: "ticket 4711".to_owned(),
        made_at: Timestamp::from_second(1_767_268_800 + second).unwrap(),
        expires_at: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Decisions come in any order, several in the same second.
    #[test]
    fn no_uid_acts_twice_in_any_order(order in prop::collection::vec((0..60_i64, 0..4_usize), 0..200)) {
        let mut rollout = Rollout::new();
        let mut status = CognigyDeploymentStatus::default();
        let mut acted = BTreeSet::new();
        rollout.given.gates.decisions = Arc::new(Decisions { records: Vec::new(), proof: Proof::Given });
        for (second, number) in order {
            let record = record(second, number);
            let facts = rollout.given.facts(rollout.given.now);
            if is_usable(&facts, &status, &record).is_ok() {
                act_on(&mut status, &record);
                prop_assert!(acted.insert(record.uid.clone()), "{} acts again", record.uid);
                prop_assert!(is_usable(&facts, &status, &record).is_err());
            }
            prop_assert!(status.acted_decisions.len() <= 32);
        }
        // Nothing newer than what was forgotten is ever refused.
        let latest = record(1000, 0);
        prop_assert!(is_usable(&rollout.given.facts(rollout.given.now), &status, &latest).is_ok());
    }

    /// The promises of the fixture hold in any sequence of decisions.
    #[test]
    fn any_sequence_of_decisions_keeps_the_promises(
        turns in prop::collection::vec((0..5_usize, 0..3_u8, 0..4_u8, any::<bool>()), 1..60),
    ) {
        let mut rollout = Rollout::needing(2);
        rollout.health_says(&[bad(), bad(), bad(), bad(), bad(), crate::answer::HealthAnswer::Good]);
        for (verb, by, seconds, crashes) in turns {
            let verb = [Approve, Approve, Retry, Reject, Rollback][verb];
            rollout.decide_by(verb, &format!("person-{by}"));
            match crashes {
                true => {
                    for _ in 0..seconds {
                        rollout.step();
                    }
                    rollout.crash();
                }
                false => _ = rollout.run_for(u64::from(seconds) * 40),
            }
        }
    }
}
