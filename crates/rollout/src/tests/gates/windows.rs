//! G2 and G3: change windows, and the deployments in `spec.requires`.

use crate::gates::EVALUATE_AGAIN;
use crate::tests::fixture::{DAY, Rollout, bad};
use crate::{Decision, Memory};
use api::condition::ConditionType;
use api::decision::Verb::{Approve, Override, Rollback};
use api::reason::Reason;
use api::status::{Outcome, Phase};
use jiff::SignedDuration;

#[test]
fn a_closed_window_opens_by_itself_at_its_time() {
    for seconds in [1, 299, 300, 301, 2 * DAY] {
        for restarts in [false, true] {
            let mut rollout = Rollout::new();
            rollout.close_window(Some(seconds)).run();
            if restarts {
                rollout.restart_after(0).run();
            }
            rollout.run_for(seconds - 1);
            assert!(!rollout.is_submitted());
            rollout.assert_waits(Reason::WindowClosed);
            rollout.run_for(1);
            assert!(rollout.is_submitted(), "{seconds} s, restarts: {restarts}");
            rollout.run_for(60).assert_succeeded();
        }
    }
}

#[test]
fn a_closed_gate_is_evaluated_again_before_a_clock_that_jumps_can_matter() {
    for opens_in in [None, Some(DAY)] {
        let mut rollout = Rollout::new();
        rollout.close_window(opens_in).run();
        assert_eq!(rollout.decision(), Decision::Wait(Some(EVALUATE_AGAIN)));
    }
    let mut rollout = Rollout::new();
    rollout.close_window(Some(DAY)).run().wall_clock_jumps(i64::try_from(DAY).unwrap()).run_for(300 + 60);
    rollout.assert_succeeded();
}

#[test]
fn a_decision_opens_a_closed_window_for_its_plan() {
    let mut rollout = Rollout::new();
    rollout.close_window(None).run_for(60).decide_by(Override, "anna").run_for(120);
    rollout.assert_succeeded();
    let overridden_by = rollout.attempt().gates.as_ref().unwrap().overridden_by.as_ref().unwrap();
    assert_eq!(overridden_by.by, "anna");
    assert_eq!(rollout.events_of(Reason::WindowOverridden), 1);
    assert!(rollout.condition(ConditionType::GatesOpen).message.contains("anna overrides the closed change window"));
    assert_eq!(rollout.status.acted_decisions.len(), 1);
    rollout.edit_digest("2.5.0").run_for(120);
    assert_eq!(rollout.closed_reasons(), [Reason::WindowClosed], "it counts for one plan");
}

#[test]
fn a_decision_to_override_with_a_fault_does_not_count() {
    let mut unproven = Rollout::new();
    unproven.close_window(None).prove(false).run_for(60).decide_by(Override, "anna").run_for(60);
    unproven.assert_waits(Reason::WindowClosed);
    let message = &unproven.condition(ConditionType::Ready).message;
    assert!(message.contains("decision-1 to override does not count: the admission policy is missing"), "{message}");
    unproven.prove(true).run_for(400).assert_succeeded();

    let mut expired = Rollout::new();
    expired.close_window(None).run_for(60);
    let end = expired.given.now.wall + SignedDuration::from_secs(60);
    expired.decide_with(Override, "anna", |record| record.expires_at = Some(end)).pass(60).run_for(60);
    expired.assert_waits(Reason::WindowClosed);

    let mut approved = Rollout::new();
    approved.close_window(None).run_for(60).decide_by(Approve, "anna").run_for(600);
    approved.assert_waits(Reason::WindowClosed);
}

#[test]
fn a_decision_to_override_opens_neither_the_approval_nor_the_upstream() {
    let mut rollout = Rollout::needing(1);
    rollout.close_window(None).close_upstream(Reason::AwaitingUpstream).run_for(60);
    let all = [Reason::AwaitingUpstream, Reason::AwaitingApproval, Reason::WindowClosed];
    assert_eq!(rollout.closed_reasons(), all, "in this order");
    assert_eq!(rollout.status.phase, Some(Phase::Gated));
    let message = rollout.condition(ConditionType::Ready).message.clone();
    let parts: Vec<usize> =
        ["staging", "kubectl cognigy approve", "freeze"].map(|part| message.find(part).unwrap()).into();
    assert!(parts.is_sorted(), "{message}");
    rollout.decide_by(Override, "anna").run_for(60);
    assert_eq!(rollout.closed_reasons(), all[..2]);
    rollout.decide_by(Approve, "ben").run_for(60);
    assert_eq!(rollout.closed_reasons(), all[..1]);
    rollout.open_upstream().run_for(300 + 60).assert_succeeded();
    assert_eq!(rollout.status.acted_decisions.len(), 2);
}

#[test]
fn an_upstream_that_opens_lets_the_rollout_go_on() {
    let mut rollout = Rollout::new();
    rollout.close_upstream(Reason::AwaitingUpstream).run_for(DAY);
    rollout.assert_waits(Reason::AwaitingUpstream);
    rollout.open_upstream().restart_after(1).run_for(60).assert_succeeded();
}

#[test]
fn only_an_upstream_that_a_person_must_correct_is_stalled() {
    let stalled = [Reason::UpstreamNotFound, Reason::UpstreamForbidden, Reason::UpstreamCycle];
    for reason in stalled {
        let mut rollout = Rollout::new();
        rollout.close_upstream(reason).run_for(60);
        assert_eq!(rollout.condition_text(ConditionType::Stalled), format!("True/{reason}"));
        assert_eq!(rollout.condition_text(ConditionType::Ready), format!("False/{reason}"));
        assert_eq!(rollout.warned(reason), 1);
        rollout.open_upstream().run_for(400).assert_succeeded();
    }
}

/// The controller observes the gates once more before it writes the intent.
#[test]
fn a_gate_that_closes_after_the_decision_to_submit_prevents_the_intent() {
    let close: [fn(&mut Rollout); 4] = [
        |rollout| _ = rollout.close_window(Some(600)),
        |rollout| _ = rollout.close_upstream(Reason::AwaitingUpstream),
        |rollout| _ = rollout.withdraw("anna"),
        |rollout| _ = rollout.prove(false),
    ];
    for close in close {
        let mut rollout = Rollout::needing(1);
        rollout.decide_by(Approve, "anna").before_decision(&Decision::Intend);
        rollout.intend_after(close);
        assert!(!rollout.attempt().has_intent());
        assert!(rollout.status.acted_decisions.is_empty(), "nothing was used");
        rollout.run();
        assert_eq!(rollout.closed_gates().len(), 1);
        assert_eq!(rollout.count(&Decision::Submit), 0);
    }
}

#[test]
fn what_was_submitted_is_finished_and_rolled_back_while_all_gates_are_closed() {
    let close = |rollout: &mut Rollout| {
        rollout.close_window(None).close_upstream(Reason::UpstreamNotFound).prove(false);
    };
    let mut good = Rollout::new();
    good.before_decision(&Decision::Submit);
    close(&mut good);
    good.run_for(60).assert_succeeded();
    assert_eq!(good.audits().len(), 1);
    good.request_rollback("1").run_for(60);
    assert_eq!(good.condition_text(ConditionType::RolledBack), "True/RolledBack");

    let mut sick = Rollout::new();
    sick.health_says(&[bad()]).before_decision(&Decision::Submit);
    close(&mut sick);
    sick.run_for(600);
    assert_eq!(sick.outcome(), Some((Outcome::RolledBack, Reason::HealthCheckFailed)));

    let mut silent = Rollout::new();
    silent.job_says(&[crate::answer::JobAnswer::Running]).before_decision(&Decision::Submit);
    close(&mut silent);
    silent.run_for(600);
    assert_eq!(silent.outcome(), Some((Outcome::RolledBack, Reason::DeadlineExceeded)));
}

#[test]
fn a_rollback_by_decision_waits_for_no_window() {
    let mut rollout = Rollout::new();
    rollout.run_for(60).close_window(None).decide_by(Rollback, "anna").run_for(60);
    assert_eq!(rollout.condition_text(ConditionType::RolledBack), "True/RolledBack");
}

#[test]
fn a_rollout_without_gates_records_nothing_about_them() {
    let mut rollout = Rollout::new();
    rollout.run_for(60).assert_succeeded();
    assert_eq!((rollout.attempt().gates.as_ref(), rollout.has(ConditionType::GatesOpen)), (None, false));
    assert!(rollout.status.acted_decisions.is_empty());
    assert_eq!(rollout.count(&Decision::RecordGates), 0);
    assert_eq!(rollout.events_of(Reason::GatesOpen), 0);
    rollout.memory = Memory::default();
    assert_eq!(rollout.decision(), Decision::Wait(None));
}
