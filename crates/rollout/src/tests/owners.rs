//! Another resource owns the environment that this resource has deployed to.

use super::fixture::{Rollout, bad};
use crate::Decision;
use crate::answer::{HealthAnswer, SubmitAnswer, ValidationAnswer};
use crate::{claim, decide, summary};
use api::condition::ConditionType;
use api::reason::Reason;
use api::spec::DeletionPolicy;
use api::status::{Outcome, Step};

/// An outcome, and the steps that lead to it.
type Case = (Outcome, fn(&mut Rollout));

const OWNER: &str = "the environment env is deployed by bots/other";

fn settled(change: impl FnOnce(&mut Rollout)) -> Rollout {
    let mut rollout = Rollout::new();
    change(&mut rollout);
    rollout.run_for(3600);
    assert_eq!(rollout.step_now(), Step::Settled);
    rollout
}

fn replaced(rollout: &mut Rollout) -> &mut Rollout {
    rollout.given.other_owner = Some(OWNER.to_owned());
    rollout
}

#[test]
fn a_replaced_success_starts_another_attempt_with_a_warning() {
    let mut rollout = settled(|_| ());
    assert_eq!(rollout.condition_text(ConditionType::Ready), "True/Succeeded");
    assert_eq!(replaced(&mut rollout).step(), Decision::Start);
    assert_eq!((rollout.attempt().number, rollout.step_now()), (2, Step::Pending));
    assert_ne!(rollout.condition_text(ConditionType::Ready), "True/Succeeded");
    assert_eq!(rollout.warned(Reason::EnvironmentInUse), 1);
    let event = rollout.events.iter().find(|event| event.reason == Reason::EnvironmentInUse).unwrap();
    assert!(event.note.starts_with(OWNER) && event.note.contains("after attempt 1"), "{}", event.note);
}

#[test]
fn a_replaced_success_is_never_ready() {
    let mut suspended = settled(|_| ());
    replaced(&mut suspended).suspend(true).run();
    assert_eq!(suspended.condition_text(ConditionType::Ready), "False/Suspended");

    let mut leaving = settled(|_| ());
    replaced(&mut leaving).delete().refresh();
    assert_eq!(leaving.condition_text(ConditionType::Ready), "False/EnvironmentInUse");
}

#[test]
fn a_resource_that_was_not_ready_before_starts_no_other_attempt() {
    let table: [Case; 3] = [
        (Outcome::RolledBack, |rollout| {
            rollout.health_says(&[bad(), bad(), bad(), HealthAnswer::Good]);
        }),
        (Outcome::Failed, |rollout| {
            rollout.given.spec.rollback_policy.auto_trigger = false;
            rollout.health_says(&[bad()]);
        }),
        (Outcome::Failed, |rollout| {
            rollout.submit_says(&[SubmitAnswer::Rejected { message: "422".to_owned() }]);
        }),
    ];
    for (outcome, arrange) in table {
        let mut rollout = settled(arrange);
        assert_eq!(rollout.outcome().unwrap().0, outcome);
        assert_eq!(replaced(&mut rollout).decision(), Decision::Wait(None), "{outcome}");
    }
}

#[test]
fn a_configuration_that_another_resource_deployed_is_not_rolled_back() {
    let mut blocked = settled(|rollout| {
        rollout.given.spec.rollback_policy.auto_trigger = false;
        rollout.health_says(&[bad()]);
    });
    replaced(&mut blocked).request_rollback("now").run();
    assert_eq!((blocked.count(&Decision::Rollback), blocked.events_of(Reason::RollbackNotPossible)), (0, 1));

    let mut deleted = settled(|rollout| rollout.given.spec.deletion_policy = DeletionPolicy::Rollback);
    replaced(&mut deleted).delete().run();
    assert!(deleted.is_released && deleted.count(&Decision::Rollback) == 0);
}

#[test]
fn without_another_owner_nothing_changes() {
    let mut rollout = settled(|_| ());
    let before = rollout.status.clone();
    rollout.restart_after(60).run();
    assert_eq!(rollout.status, before);
}

#[test]
fn an_accepted_validation_makes_a_claim_that_outlives_the_attempt() {
    let origin = api::identifier::ApiOrigin::new("https://api.cognigy.ai");
    let mut rollout = Rollout::new();
    rollout.before_decision(&Decision::Validate);
    assert_eq!(claim::recorded(&rollout.status), None);
    claim::accept(&mut rollout.status, &origin);
    assert_eq!(claim::recorded(&rollout.status).unwrap().deployed_at, None);

    rollout.run_for(600);
    let deployed_at = rollout.attempt().intended_at();
    assert!(deployed_at.is_some());
    rollout.edit_digest("3").before_decision(&Decision::Validate);
    let claimed = claim::recorded(&rollout.status).unwrap();
    assert_eq!((&claimed.api_origin, claimed.deployed_at), (&origin, deployed_at), "the next attempt keeps it");

    assert!(!claim::refuse(&mut rollout.status, &origin), "what has deployed keeps its claim");
    claim::accept(&mut rollout.status, &origin);
    assert_eq!(claim::recorded(&rollout.status).unwrap().deployed_at, deployed_at);
    let other = api::identifier::ApiOrigin::new("https://other.cognigy.ai");
    claim::accept(&mut rollout.status, &other);
    let moved = claim::recorded(&rollout.status).unwrap();
    assert_eq!((&moved.api_origin, moved.deployed_at), (&other, None), "another API: another environment");
    assert!(claim::refuse(&mut rollout.status, &other), "nothing was deployed there");
    assert_eq!(claim::recorded(&rollout.status), None);
}

#[test]
fn an_unknown_submit_counts_as_a_deployment_and_a_rejected_one_does_not() {
    let unknown = settled(|rollout| {
        rollout.submit_says(&[SubmitAnswer::Unknown { message: "lost".to_owned() }]);
        rollout.world.body_has_changed = true;
    });
    assert_eq!(unknown.outcome().unwrap().0, Outcome::Unknown);
    assert!(claim::recorded(&unknown.status).unwrap().deployed_at.is_some() && claim::is_in_flight(&unknown.status));

    let rejected = settled(|rollout| {
        rollout.submit_says(&[SubmitAnswer::Rejected { message: "422".to_owned() }]);
    });
    assert_eq!(claim::recorded(&rejected.status).unwrap().deployed_at, None);

    let refused = settled(|rollout| {
        rollout.world.validation = vec![Ok(ValidationAnswer::Refused { errors: vec!["no".to_owned()] })];
    });
    assert_eq!(claim::recorded(&refused.status), None);
}

/// The claim of a deleted resource ends with the resource, but the rollout may run until its deadline.
#[test]
fn a_deleted_resource_whose_rollout_may_run_stays_until_its_deadline() {
    let mut rollout = Rollout::new();
    rollout.given.settings.submit_idempotency = crate::facts::SubmitIdempotency::Unsupported;
    rollout.submit_says(&[SubmitAnswer::Unknown { message: "lost".to_owned() }]).run();
    assert_eq!(rollout.outcome().unwrap().0, Outcome::Unknown);
    let submitted_at = rollout.attempt().intended_at().unwrap();
    rollout.delete().run_for(3600);
    assert!(rollout.is_released);
    assert!(rollout.given.now.wall.duration_since(submitted_at).as_secs() >= 300, "the deadline of the sample");
}

#[test]
fn the_summary_and_the_decision_agree_for_every_step() {
    for step in Step::ALL.into_iter().filter(|step| *step != Step::Validating) {
        let mut rollout = Rollout::at(step);
        replaced(&mut rollout);
        let facts = rollout.given.facts(rollout.given.now);
        let starts = decide(&facts, &rollout.status, &rollout.memory) == Decision::Start;
        let mut status = rollout.status.clone();
        summary::refresh(&mut status, &facts, &rollout.memory);
        let is_settled = rollout.outcome().is_some_and(|(outcome, _)| outcome == Outcome::Succeeded);
        assert_eq!(starts, is_settled, "{step:?}");
    }
}

#[test]
fn a_resource_does_not_say_what_runs_while_another_one_owns_the_environment() {
    let mut rollout = settled(|rollout| {
        rollout.given.spec.rollback_policy.auto_trigger = false;
        rollout.health_says(&[bad()]);
    });
    assert_eq!(rollout.status.running.as_ref().unwrap().configuration, "2.4.1 (bad)");
    replaced(&mut rollout).refresh();
    assert_eq!(rollout.status.running, None);
}
