//! The promises about gates, checked at every step of every test. They are computed from the inputs alone, not with
//! [`crate::gates`].

use super::fixture::Given;
use crate::gates::{DecisionRecord, Proof};
use crate::{Decision, Memory, decide};
use api::decision::Verb;
use api::reason::Reason;
use api::status::{Attempt, ClosedGate, CognigyDeploymentStatus};
use api::{DecisionUid, PlanId};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

pub(super) fn check(
    decision: &Decision,
    before: &CognigyDeploymentStatus,
    after: &CognigyDeploymentStatus,
    given: &Given,
    memory: &Memory,
) {
    let has_intent = |status: &CognigyDeploymentStatus| status.attempt.as_ref().is_some_and(Attempt::has_intent);
    if *decision == Decision::Intend && !has_intent(before) && has_intent(after) {
        an_intent_has_its_approvals(before, after, given);
        no_intent_in_a_closed_window(before, after, given);
        assert_eq!(given.gates_now().upstream, None, "G3: an intent before its upstream");
    }
    if let Decision::HandleRequest(request) = decision {
        a_request_is_recorded(request.verb(), before, after, given);
    }
    what_is_submitted_waits_for_no_gate(after, given, memory);
    let waits = after.attempt.as_ref().and_then(|attempt| attempt.gates.as_ref());
    assert!(after.acted_decisions.len() <= 32, "the list of decisions that have acted has no limit");
    assert!(
        waits.is_none_or(|gates| gates.closed.iter().all(|gate| gate.message.len() <= 512)),
        "a message is too long"
    );
}

/// Decisions that can count for the plan of this attempt. `life` is the longest life of an approval.
fn valid<'g>(
    given: &'g Given,
    before: &'g CognigyDeploymentStatus,
    verb: Verb,
    life: i64,
) -> impl Iterator<Item = &'g DecisionRecord> {
    let decisions = &given.gates.decisions;
    let target = given.target().expect("an intent has a target");
    let running = before.last_successful.as_ref().filter(|last| last.rolled_back_at.is_none());
    let plan = PlanId::of(&target.digest, &target.checks_digest, running.map(|last| &last.digest));
    let end = move |record: &DecisionRecord| {
        let by_age = record.made_at + SignedDuration::from_secs(life);
        match (record.expires_at, verb) {
            (Some(named), Verb::Approve) => named.min(by_age),
            (Some(named), _) => named,
            (None, _) => by_age,
        }
    };
    let is_proven = decisions.proof == Proof::Given;
    decisions.records.iter().map(|record| &**record).filter(move |record| {
        is_proven
            && record.verb == verb
            && record.plan_id == plan
            && record.environment_id == given.spec.environment_id
            && given.now.wall < end(record)
            && before.acted_decisions.iter().all(|acted| acted.uid != record.uid)
    })
}

/// G1 and G6.
fn an_intent_has_its_approvals(before: &CognigyDeploymentStatus, after: &CognigyDeploymentStatus, given: &Given) {
    let Some(approval) = &given.spec.approval else { return };
    let approvals: Vec<_> = valid(given, before, Verb::Approve, i64::from(approval.expires_after_seconds))
        .filter(|record| !approval.not_by.contains(&record.by))
        .collect();
    let people: BTreeSet<&str> = approvals.iter().map(|record| record.by.as_str()).collect();
    let required = usize::try_from(approval.required).unwrap();
    assert!(people.len() >= required, "G1: {} of {required} people approved: {people:?}", people.len());
    let used = approvals.iter().filter(|record| is_acted(after, &record.uid) && !is_acted(before, &record.uid));
    let used: BTreeSet<&str> = used.map(|record| record.by.as_str()).collect();
    let may_be_ignored = after.decisions_ignored_until.is_some();
    // Those that were not needed are used up as well: they must not start another attempt at the same plan.
    assert!(used.len() >= required || may_be_ignored, "G6: the approvals of {used:?} were used, of {people:?}");
}

/// G2 and G6.
fn no_intent_in_a_closed_window(before: &CognigyDeploymentStatus, after: &CognigyDeploymentStatus, given: &Given) {
    if given.gates_now().window.is_none() {
        return;
    }
    let overriding: Vec<_> = valid(given, before, Verb::Override, 24 * 3600).collect();
    assert!(!overriding.is_empty(), "G2: an intent in a closed window");
    let is_used = overriding.iter().any(|record| is_acted(after, &record.uid) || is_too_old(after, record));
    assert!(is_used, "G6: the decision to override can be used again");
}

/// G6. A request that no annotation makes is made by a decision, and the same write records it.
fn a_request_is_recorded(verb: Verb, before: &CognigyDeploymentStatus, after: &CognigyDeploymentStatus, given: &Given) {
    let handled = before.handled_requests.clone().unwrap_or_default();
    let is_new = |value: &Option<String>, handled: &Option<String>| value.is_some() && value != handled;
    let is_annotated = match verb {
        Verb::Rollback => is_new(&given.requests.rollback, &handled.rollback),
        Verb::Retry => is_new(&given.requests.retry, &handled.retry),
        Verb::Approve | Verb::Reject | Verb::Override => false,
    };
    let is_recorded = |record: &DecisionRecord| {
        record.verb == verb
            && !is_acted(before, &record.uid)
            && (is_acted(after, &record.uid) || is_too_old(after, record))
    };
    let is_decided = given.gates.decisions.records.iter().any(|record| is_recorded(record));
    assert!(is_annotated || is_decided, "G6: {verb} acts, but no decision is recorded");
}

/// G4. Everything after the intent happens in the same way if all gates are closed.
fn what_is_submitted_waits_for_no_gate(after: &CognigyDeploymentStatus, given: &Given, memory: &Memory) {
    let Some(attempt) = after.attempt.as_ref().filter(|attempt| attempt.has_intent()) else { return };
    let mut facts = given.facts(given.now);
    let as_it_is = decide(&facts, after, memory);
    let closed = |reason| ClosedGate { reason, message: "closed".to_owned(), opens_at: None };
    facts.gates.window = Some(closed(Reason::WindowClosed));
    facts.gates.upstream = Some(closed(Reason::AwaitingUpstream));
    assert_eq!(decide(&facts, after, memory), as_it_is, "G4: {:?} waits for a gate", attempt.step);
}

fn is_acted(status: &CognigyDeploymentStatus, uid: &DecisionUid) -> bool {
    status.acted_decisions.iter().any(|acted| acted.uid == *uid)
}

/// The status no longer names it, but it never acts again.
fn is_too_old(status: &CognigyDeploymentStatus, record: &DecisionRecord) -> bool {
    status.decisions_ignored_until.is_some_and(|until: Timestamp| record.made_at <= until)
}

/// G6: no decision acts in two recorded statuses.
#[derive(Default)]
pub(super) struct ActedOnce {
    acted: BTreeSet<DecisionUid>,
}

impl ActedOnce {
    pub(super) fn recorded(&mut self, before: &CognigyDeploymentStatus, after: &CognigyDeploymentStatus) {
        for acted in after.acted_decisions.iter().filter(|acted| !is_acted(before, &acted.uid)) {
            assert!(self.acted.insert(acted.uid.clone()), "G6: {:?} acts a second time", acted.uid);
        }
    }
}
