//! A model of the submit and the rollback, checked to the end: every order of crashes, lost and late messages, edits,
//! refusals and forgotten keys, within bounds that make it finite. `docs/model.md` says what it covers.
//!
//! The modelled operators decide and read answers with the operator's own pure core, not with a copy of it.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod happening;
mod operator;
mod promises;
mod protocol;
mod world;

use promises::{
    APPROVED, AT_MOST_ONE_JOB, GOES_ON, INTENT_FIRST, NEVER_REWRITTEN, NEWEST_LAST, REJECTED_HAS_NO_JOB,
    ROLLBACK_INTENT_FIRST,
};
use protocol::{Mutant, Protocol};
use stateright::{Checker, HasDiscoveries, Model};
use std::collections::BTreeSet;
use std::time::Instant;
use world::Budget;

const NOTHING: Budget = Budget {
    crashes: 0,
    losses: 0,
    delays: 0,
    refusals: 0,
    edits: 0,
    rollback_requests: 0,
    approvals: 0,
    withdrawals: 0,
};

/// Checks every state. Asserts that each promise holds in all states, and that each story occurs in at least one.
fn holds_everywhere(name: &str, protocol: Protocol) {
    let started_at = Instant::now();
    let checker = protocol.checker().threads(2).spawn_bfs().join();
    let states = checker.unique_state_count();
    println!("{name}: {states} states, {:.1} s", started_at.elapsed().as_secs_f64());
    assert!(checker.is_done(), "not every state was checked");
    checker.assert_properties();
}

/// Asserts that the checker finds a state in which this promise is broken.
fn breaks(promise: &'static str, protocol: Protocol) {
    let started_at = Instant::now();
    let until = HasDiscoveries::AllOf(BTreeSet::from([promise]));
    let checker = protocol.checker().threads(2).finish_when(until).spawn_bfs().join();
    let path = checker.assert_any_discovery(promise).into_actions();
    let states = checker.unique_state_count();
    println!("{promise}: broken after {states} states, {:.1} s, by {path:?}", started_at.elapsed().as_secs_f64());
}

fn alone(budget: Budget) -> Protocol {
    Protocol::new(1, budget)
}

/// Two processes that act at the same time. A lease would prevent this.
fn both(budget: Budget) -> Protocol {
    Protocol::new(2, budget)
}

#[test]
fn one_operator_keeps_its_promises_through_crashes_losses_and_late_messages() {
    let budget = Budget { crashes: 1, losses: 1, delays: 1, ..NOTHING };
    holds_everywhere("crash, loss, delay", alone(budget).requiring(&["success", "unknown", "rollback after a crash"]));
}

#[test]
fn one_operator_keeps_its_promises_through_edits_and_refusals() {
    let budget = Budget { losses: 1, refusals: 1, edits: 1, ..NOTHING };
    holds_everywhere("loss, refusal, edit", alone(budget).requiring(&["success", "rejected", "second success"]));
}

#[test]
fn one_operator_keeps_its_promises_through_a_crash_while_people_ask() {
    let budget = Budget { crashes: 1, refusals: 1, rollback_requests: 1, ..NOTHING };
    holds_everywhere("crash, refusal, request", alone(budget).requiring(&["success", "rollback after a crash"]));
    let budget = Budget { crashes: 1, edits: 1, ..NOTHING };
    holds_everywhere("crash, edit", alone(budget).requiring(&["unknown", "second success"]));
}

#[test]
fn two_operators_at_once_keep_the_promises_that_need_no_lease() {
    let budget = Budget { crashes: 1, ..NOTHING };
    holds_everywhere("two, crash", both(budget).requiring(&["success", "rollback after a crash"]));
    holds_everywhere("two, edit", both(Budget { edits: 1, ..NOTHING }).requiring(&["second success"]));
    holds_everywhere("two, loss", both(Budget { losses: 1, ..NOTHING }).requiring(&["success"]));
    holds_everywhere("two, refusal", both(Budget { refusals: 1, ..NOTHING }).requiring(&["success", "rejected"]));
    holds_everywhere("two, delay", both(Budget { delays: 1, ..NOTHING }).requiring(&["success"]));
}

#[test]
fn an_approval_that_is_given_withdrawn_or_expired_is_kept_to() {
    let budget = Budget { crashes: 1, approvals: 2, withdrawals: 1, ..NOTHING };
    let stories = ["success", "rollback after a crash", "waits for ever"];
    holds_everywhere("approvals, withdrawal, crash", alone(budget).gated().requiring(&stories));
    let budget = Budget { delays: 1, approvals: 1, withdrawals: 1, ..NOTHING };
    holds_everywhere("approval, withdrawal, delay", alone(budget).gated().requiring(&["success"]));
    let budget = Budget { losses: 1, edits: 1, approvals: 2, ..NOTHING };
    holds_everywhere("approvals, loss, edit", alone(budget).gated().requiring(&["success", "second success"]));
    let budget = Budget { approvals: 1, withdrawals: 1, ..NOTHING };
    holds_everywhere("two, approval, withdrawal", both(budget).gated().requiring(&["success"]));
}

/// The platform accepts the POST of the second process, and then refuses the process that wrote the intent. With a
/// lease, the first process stops before the second one starts.
#[test]
fn without_a_lease_a_rejection_can_be_wrong() {
    let protocol = both(Budget { refusals: 1, ..NOTHING });
    breaks(REJECTED_HAS_NO_JOB, protocol.promising(REJECTED_HAS_NO_JOB));
}

/// A POST arrives after the deadline of its attempt, when the next attempt already has a job. It then starts the job of
/// the older attempt. S3 holds, because the deadline has passed, but the older configuration is deployed last.
#[test]
fn a_submit_later_than_its_deadline_can_start_the_older_configuration_last() {
    let protocol = alone(Budget { crashes: 1, edits: 1, ..NOTHING });
    breaks(NEWEST_LAST, protocol.promising(NEWEST_LAST));
}

#[test]
fn a_submit_before_its_intent_is_found_out() {
    breaks(INTENT_FIRST, alone(NOTHING).with(Mutant::NoIntent));
}

#[test]
fn an_unguarded_intent_is_found_out() {
    let budget = Budget { rollback_requests: 1, ..NOTHING };
    breaks(NEVER_REWRITTEN, both(budget).with(Mutant::UnguardedIntent));
}

#[test]
fn a_random_key_is_found_out() {
    breaks(AT_MOST_ONE_JOB, alone(Budget { losses: 1, ..NOTHING }).with(Mutant::RandomKey));
}

#[test]
fn an_unguarded_job_is_found_out() {
    let budget = Budget { rollback_requests: 1, ..NOTHING };
    breaks(NEVER_REWRITTEN, both(budget).with(Mutant::UnguardedJob));
}

#[test]
fn a_key_reused_after_its_expiry_is_found_out() {
    let budget = Budget { crashes: 1, losses: 1, ..NOTHING };
    breaks(AT_MOST_ONE_JOB, alone(budget).with(Mutant::KeyReusedAfterExpiry));
}

#[test]
fn a_rejection_heard_by_another_process_is_found_out() {
    let budget = Budget { crashes: 1, losses: 1, refusals: 1, ..NOTHING };
    breaks(REJECTED_HAS_NO_JOB, alone(budget).with(Mutant::AnyRefusalRejects));
}

#[test]
fn a_next_attempt_before_the_record_of_this_one_is_found_out() {
    let budget = Budget { losses: 1, refusals: 1, edits: 1, ..NOTHING };
    breaks(REJECTED_HAS_NO_JOB, alone(budget).with(Mutant::NextAttemptBeforeTheRecord));
}

#[test]
fn a_rollback_before_its_record_is_found_out() {
    breaks(ROLLBACK_INTENT_FIRST, alone(NOTHING).with(Mutant::RollbackBeforeItsRecord));
}

#[test]
fn an_approval_that_never_expires_is_found_out() {
    let budget = Budget { crashes: 1, approvals: 1, ..NOTHING };
    breaks(APPROVED, alone(budget).gated().with(Mutant::ApprovalNeverExpires));
}

#[test]
fn an_approval_that_nobody_notices_is_found_out() {
    breaks(GOES_ON, alone(Budget { approvals: 1, ..NOTHING }).gated().with(Mutant::ApprovalUnseen));
}
