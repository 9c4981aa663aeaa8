//! G1: how many people approve which plan, and for how long.

use crate::gates::DecisionRecord;
use crate::tests::fixture::{Rollout, VALID};
use api::condition::ConditionType;
use api::decision::Verb::{self, Approve};
use api::reason::Reason;
use api::spec::Approval;
use api::{EnvironmentId, PlanId};
use jiff::SignedDuration;

#[test]
fn as_many_different_people_as_required_must_approve() {
    for required in 1..=5 {
        let mut rollout = Rollout::needing(required);
        rollout.run_for(60);
        for person in 1..required {
            rollout.decide_by(Approve, &format!("person-{person}")).run_for(60);
            rollout.assert_waits(Reason::AwaitingApproval);
            let message = &rollout.condition(ConditionType::Ready).message;
            assert!(message.contains(&format!("has {person} of {required} approvals")), "{message}");
            assert!(message.contains("; approved by: person-1"), "{message}");
        }
        rollout.decide_by(Approve, "the last one").run_for(120);
        rollout.assert_succeeded();
        let approvals = &rollout.attempt().gates.as_ref().unwrap().approvals;
        assert_eq!(approvals.len(), usize::try_from(required).unwrap());
        assert_eq!(rollout.condition_text(ConditionType::GatesOpen), "True/GatesOpen");
        assert!(rollout.condition(ConditionType::GatesOpen).message.ends_with("the last one"));
        let acted = rollout.status.acted_decisions.iter().map(|acted| &acted.uid);
        assert!(acted.eq(approvals.iter().map(|approval| &approval.uid)));
    }
}

#[test]
fn the_same_person_counts_once() {
    let mut rollout = Rollout::needing(2);
    rollout.run_for(60);
    for _ in 0..3 {
        rollout.decide_by(Approve, "anna").run_for(60);
    }
    rollout.assert_waits(Reason::AwaitingApproval);
    rollout.decide_by(Approve, "ben").run_for(120).assert_succeeded();
}

#[test]
fn approvals_that_exist_before_the_checks_count() {
    let mut rollout = Rollout::needing(2);
    rollout.decide_by(Approve, "anna").decide_by(Approve, "ben").run_for(120);
    rollout.assert_succeeded();
    assert!(rollout.attempt().gates.as_ref().unwrap().since.is_none(), "it never waited");
}

/// Each row spoils the approval in another way. The rollout waits, and an approval without fault opens the gate.
#[test]
fn an_approval_with_a_fault_does_not_count() {
    type Spoil = fn(&mut DecisionRecord);
    let rows: [(&str, Spoil); 6] = [
        ("of another plan", |record| record.plan_id = another_plan()),
        ("of another environment", |record| record.environment_id = EnvironmentId::new("env_staging")),
        ("that has expired by its own time", |record| record.expires_at = Some(record.made_at)),
        ("that is as old as approvals may get", |record| record.made_at -= SignedDuration::from_secs(3600)),
        ("older, with a later end", |record| {
            record.expires_at = Some(record.made_at + SignedDuration::from_secs(99_999));
            record.made_at -= SignedDuration::from_secs(3600);
        }),
        ("with another verb", |record| record.verb = Verb::Override),
    ];
    for (what, spoil) in rows {
        let mut rollout = Rollout::needing(1);
        rollout.run_for(60).decide_with(Approve, "anna", spoil).run_for(600);
        assert!(!rollout.is_submitted(), "an approval {what}");
        rollout.decide_by(Approve, "anna").run_for(120).assert_succeeded();
    }
}

fn another_plan() -> PlanId {
    serde_json::from_value("plan-0123456789abcdef".into()).unwrap()
}

#[test]
fn an_approval_counts_until_the_moment_at_which_it_expires() {
    for (age, counts) in [(VALID - 1, true), (VALID, false)] {
        let mut rollout = Rollout::needing(2);
        rollout.run_for(60).decide_by(Approve, "anna").run_for(age).decide_by(Approve, "ben").run();
        assert_eq!(rollout.is_submitted(), counts, "{age} s");
    }
}

#[test]
fn an_approval_that_expires_is_named_when_it_expires_without_anybodys_help() {
    let mut rollout = Rollout::needing(2);
    rollout.run_for(60).decide_by(Approve, "anna").run_for(VALID);
    rollout.assert_waits(Reason::ApprovalExpired);
    let message = &rollout.condition(ConditionType::Ready).message;
    assert!(message.contains("has 0 of 2 approvals") && message.ends_with("; expired: anna"), "{message}");
    assert_eq!(rollout.warned(Reason::ApprovalExpired), 1);
    rollout.decide_by(Approve, "anna").decide_by(Approve, "ben").run_for(120).assert_succeeded();
}

#[test]
fn people_in_not_by_do_not_count() {
    let mut rollout = Rollout::of(|spec| {
        let not_by = vec!["author".to_owned()];
        spec.approval = Some(Approval { required: 1, expires_after_seconds: 3600, not_by });
    });
    rollout.run_for(60).decide_by(Approve, "author").run_for(60);
    rollout.assert_waits(Reason::AwaitingApproval);
    rollout.decide_by(Approve, "anna").run_for(120).assert_succeeded();
}

#[test]
fn an_approval_that_is_older_than_the_resource_does_not_count() {
    let mut rollout = Rollout::needing(1);
    rollout.decide_by(Approve, "anna").pass(1);
    rollout.given.created_at = Some(rollout.given.api_clock);
    rollout.run_for(60);
    rollout.assert_waits(Reason::AwaitingApproval);
    rollout.decide_by(Approve, "ben").run_for(120).assert_succeeded();
}

#[test]
fn an_approval_whose_author_is_not_proven_does_not_count_until_it_is() {
    let mut rollout = Rollout::needing(1);
    rollout.prove(false).run_for(60).decide_by(Approve, "anna").run_for(60);
    rollout.assert_waits(Reason::ApproverUnverified);
    assert!(rollout.condition(ConditionType::Ready).message.contains("1 of 1 approvals"));
    assert!(rollout.condition(ConditionType::Ready).message.ends_with("the admission policy is missing"));
    assert_eq!(rollout.warned(Reason::ApproverUnverified), 1);
    rollout.prove(true).run_for(300 + 120).assert_succeeded();
}

#[test]
fn an_approval_that_is_withdrawn_before_the_intent_does_not_count() {
    let mut rollout = Rollout::needing(2);
    rollout.run_for(60).decide_by(Approve, "anna").run_for(60);
    rollout.withdraw("anna").decide_by(Approve, "ben").run_for(600);
    rollout.assert_waits(Reason::AwaitingApproval);
    let message = &rollout.condition(ConditionType::Ready).message;
    assert!(message.contains("has 1 of 2 approvals") && message.ends_with("; approved by: ben"), "{message}");
}

#[test]
fn an_approval_counts_for_one_submit() {
    let mut rollout = Rollout::needing(1);
    rollout.run_for(60).decide_by(Approve, "anna").run_for(120).assert_succeeded();
    rollout.request_retry("1").run_for(120);
    // What ran before the second attempt is another configuration, so the plan is another one as well.
    assert_eq!(rollout.attempt().number, 2);
    assert_eq!(rollout.closed_reasons(), [Reason::AwaitingApproval]);

    let mut failed = Rollout::needing(1);
    failed.health_says(&[crate::tests::fixture::bad()]).run_for(60).decide_by(Approve, "anna").run_for(600);
    let plan = failed.plan();
    failed.request_retry("1").run_for(120);
    assert_eq!((failed.attempt().number, failed.plan()), (2, plan), "the same plan");
    assert_eq!(failed.closed_reasons(), [Reason::AwaitingApproval], "the approval was used by the first attempt");
}

#[test]
fn a_newer_configuration_supersedes_the_one_that_waits_and_needs_its_own_approval() {
    let mut rollout = Rollout::needing(1);
    rollout.run_for(60);
    let old = rollout.plan();
    rollout.edit_digest("2.5.0").run_for(60);
    assert_ne!(rollout.plan(), old);
    rollout.decide_with(Approve, "anna", |record| record.plan_id = old).run_for(60);
    rollout.assert_waits(Reason::AwaitingApproval);
    assert_eq!((rollout.attempt().number, rollout.status.history[0].verdict.reason), (2, Reason::Superseded));
    rollout.decide_by(Approve, "anna").run_for(120).assert_succeeded();
}

#[test]
fn changed_checks_have_another_plan_and_are_made_before_anybody_is_asked_again() {
    let mut rollout = Rollout::needing(1);
    rollout.run_for(60);
    let old = rollout.plan();
    rollout.edit_checks("another-segment").world.validation.insert(0, Err(crate::tests::fixture::unavailable()));
    rollout.run();
    assert!(rollout.closed_gates().is_empty(), "while the checks are made again, no gate of the old plan is shown");
    assert!(!rollout.has(ConditionType::GatesOpen));
    rollout.run_for(60);
    assert_ne!(rollout.plan(), old);
    assert!(rollout.closed_gates()[0].message.contains(rollout.plan().as_str()));
    rollout.decide_with(Approve, "anna", |record| record.plan_id = old).run_for(60);
    rollout.assert_waits(Reason::AwaitingApproval);
    rollout.decide_by(Approve, "anna").run_for(120).assert_succeeded();
}

#[test]
fn the_message_names_the_exact_command() {
    let mut rollout = Rollout::needing(2);
    rollout.run_for(60);
    let plan = rollout.plan();
    let expected = format!(
        "{plan} (nothing yet → 2.4.1) has 0 of 2 approvals; approve it with: kubectl cognigy approve bot -n bots --plan {plan} --reason '…'"
    );
    assert_eq!(rollout.closed_gates()[0].message, expected);
    assert_eq!(rollout.condition(ConditionType::Ready).message, format!("attempt 1 waits: {expected}"));
}
