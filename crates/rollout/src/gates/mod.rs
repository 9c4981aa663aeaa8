//! The gates between the checks and the submit: other deployments, approvals and change windows.
//!
//! A gate only delays the intent to submit. What is in flight is finished, rolled back and reported without looking at a gate.
//! [`evaluate`] is the only evaluation. Its result is recorded in `status.attempt.gates`, and everything else reads it there.

mod cycle;
mod decisions;
pub mod upstream;

pub use cycle::find_cycle;
pub use decisions::{
    DecisionRecord, Decisions, LONGEST_LIFE, Proof, act_on, default_expiry, ignore_existing, is_usable, state_of,
    use_up,
};

use super::facts::Facts;
use super::time::between;
use api::decision::Verb;
use api::reason::Reason;
use api::status::{Attempt, ClosedGate, CognigyDeploymentStatus, CountedDecision, Gates};
use api::{Digest, PlanId};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A closed gate is evaluated again at least this often, because the wall clock may jump while a timer runs on the other clock.
pub const EVALUATE_AGAIN: Duration = Duration::from_secs(300);

/// The maximum length of a text of a tenant within a message, in bytes.
const SHORT_TEXT: usize = 64;

/// The maximum length of a closed gate's message, in bytes.
const MESSAGE_LIMIT: usize = 512;

/// What is known about the gates of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GateFacts {
    /// The decisions of people about the resource.
    pub decisions: Arc<Decisions>,
    /// The change windows, if they are closed now.
    pub window: Option<ClosedGate>,
    /// The deployments in `spec.requires`, if one of them is not ready for this resource now.
    pub upstream: Option<ClosedGate>,
}

/// The state of all gates for one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// The gates that are closed.
    pub closed: Vec<ClosedGate>,
    /// The approvals that count.
    pub approvals: Vec<CountedDecision>,
    /// The decision that opens the closed change windows.
    pub overridden_by: Option<CountedDecision>,
    /// When the result may change without anybody's help.
    again_at: Option<Timestamp>,
}

impl Evaluation {
    /// Whether the attempt may be submitted.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.closed.is_empty()
    }

    /// The time until the gates are evaluated again, if nothing changes before.
    #[must_use]
    pub fn evaluate_again_in(&self, now: Timestamp) -> Duration {
        self.again_at.map_or(EVALUATE_AGAIN, |at| between(now, at).min(EVALUATE_AGAIN))
    }

    /// The record of this evaluation. `None` if there is nothing to record: no gate was closed, and nobody had to approve.
    #[must_use]
    pub fn record(&self, recorded: Option<&Gates>, now: Timestamp) -> Option<Gates> {
        let since = recorded.and_then(|recorded| recorded.since).or_else(|| (!self.is_open()).then_some(now));
        let is_empty = since.is_none() && self.approvals.is_empty() && self.overridden_by.is_none();
        (!is_empty).then(|| Gates {
            since,
            closed: self.closed.clone(),
            approvals: self.approvals.clone(),
            overridden_by: self.overridden_by.clone(),
        })
    }

    /// The decisions that the intent to submit uses up.
    pub fn used(&self) -> impl Iterator<Item = &CountedDecision> {
        self.approvals.iter().chain(&self.overridden_by)
    }
}

/// The id of the attempt's plan, given what ran when it started.
#[must_use]
pub fn plan_id(attempt: &Attempt, running: Option<&Digest>) -> PlanId {
    PlanId::of(&attempt.digest, &attempt.checks.digest, running)
}

/// The digest of what runs, as far as the plan is concerned: the last success that was not rolled back.
#[must_use]
pub fn running_digest(status: &CognigyDeploymentStatus) -> Option<&Digest> {
    status.standing_success().map(|success| &success.digest)
}

/// Evaluates all gates for an attempt that was not submitted.
#[must_use]
pub fn evaluate(facts: &Facts<'_>, status: &CognigyDeploymentStatus, attempt: &Attempt) -> Evaluation {
    let plan_id = plan_id(attempt, running_digest(status));
    let upstream = facts.gates.upstream.clone();
    let approval = approvals(facts, status, attempt, &plan_id);
    let (window, overridden_by) = window(facts, status, &plan_id);
    let again_at = [&upstream, &window].into_iter().flatten().filter_map(|gate| gate.opens_at).chain(approval.until);
    let again_at = again_at.min();
    let closed = [upstream, approval.closed, window].into_iter().flatten().map(limited).collect();
    Evaluation { closed, approvals: approval.counted, overridden_by, again_at }
}

fn limited(mut gate: ClosedGate) -> ClosedGate {
    api::condition::truncate(&mut gate.message, MESSAGE_LIMIT);
    gate
}

/// The approvals of a plan.
struct Approvals {
    counted: Vec<CountedDecision>,
    closed: Option<ClosedGate>,
    /// When the first approval that counts expires.
    until: Option<Timestamp>,
}

fn approvals(facts: &Facts<'_>, status: &CognigyDeploymentStatus, attempt: &Attempt, plan_id: &PlanId) -> Approvals {
    let Some(approval) = &facts.spec.approval else {
        return Approvals { counted: Vec::new(), closed: None, until: None };
    };
    let people = approval.people();
    let decisions = &facts.gates.decisions;
    let of_plan = || {
        decisions
            .records
            .iter()
            .filter(|record| record.verb == Verb::Approve && record.plan_id == *plan_id)
            .filter(|record| is_usable(facts, status, record).is_ok() && !approval.not_by.contains(&record.by))
    };
    let expiry = |record: &DecisionRecord| record.expiry(Some(approval.valid_for()));
    let mut names = BTreeSet::new();
    let valid: Vec<&Arc<DecisionRecord>> = of_plan()
        .filter(|record| facts.now.wall < expiry(record))
        .filter(|record| names.insert(record.by.as_str()))
        .take(people)
        .collect();
    let until = valid.iter().map(|record| expiry(record)).min();
    let expired: BTreeSet<&str> = of_plan()
        .filter(|record| facts.now.wall >= expiry(record) && !names.contains(record.by.as_str()))
        .map(|record| record.by.as_str())
        .collect();
    if let (Proof::Missing(why), false) = (&decisions.proof, valid.is_empty()) {
        let message = format!("{} of {people} approvals of {plan_id} were given, but do not count: {why}", valid.len());
        return Approvals { counted: Vec::new(), closed: Some(closed(Reason::ApproverUnverified, message)), until };
    }
    let counted: Vec<CountedDecision> = valid.iter().map(|record| record.counted()).collect();
    let closed = (counted.len() < people).then(|| {
        let reason = if expired.is_empty() { Reason::AwaitingApproval } else { Reason::ApprovalExpired };
        closed(reason, awaiting(facts, &change(status, attempt, plan_id), &counted, people, &expired))
    });
    Approvals { counted, closed, until }
}

/// The plan, and what it changes: `plan-7a2934b468d32a1c (2.4.1 → 2.5.0)`.
fn change(status: &CognigyDeploymentStatus, attempt: &Attempt, plan_id: &PlanId) -> Change {
    let mut from = status.running_in_short();
    api::condition::truncate(&mut from, SHORT_TEXT);
    let to = attempt.version.as_deref().unwrap_or_else(|| attempt.digest.short());
    Change { plan_id: plan_id.clone(), text: format!("{plan_id} ({from} → {to})") }
}

struct Change {
    plan_id: PlanId,
    text: String,
}

fn awaiting(
    facts: &Facts<'_>,
    change: &Change,
    counted: &[CountedDecision],
    people: usize,
    expired: &BTreeSet<&str>,
) -> String {
    // The command comes before the names, which may be long: the message has a limit.
    let mut message = format!(
        "{} has {} of {people} approvals; approve it with: kubectl cognigy approve {} -n {} --plan {} --reason '…'",
        change.text,
        counted.len(),
        facts.name,
        facts.namespace,
        change.plan_id,
    );
    if !counted.is_empty() {
        let names = counted.iter().map(|decision| decision.by.as_str());
        message.push_str(&format!("; approved by: {}", names.collect::<Vec<_>>().join(", ")));
    }
    if !expired.is_empty() {
        let names = expired.iter().copied();
        message.push_str(&format!("; expired: {}", names.collect::<Vec<_>>().join(", ")));
    }
    message
}

/// The closed change windows, unless a decision overrides them.
fn window(
    facts: &Facts<'_>,
    status: &CognigyDeploymentStatus,
    plan_id: &PlanId,
) -> (Option<ClosedGate>, Option<CountedDecision>) {
    let Some(closed) = facts.gates.window.clone() else { return (None, None) };
    let decisions = &facts.gates.decisions;
    let overriding = decisions.records.iter().find(|record| {
        record.verb == Verb::Override
            && record.plan_id == *plan_id
            && is_usable(facts, status, record).is_ok()
            && facts.now.wall < record.expiry(None)
    });
    match (overriding, &decisions.proof) {
        (Some(record), Proof::Given) => (None, Some(record.counted())),
        (Some(record), Proof::Missing(why)) => {
            let message = format!("the decision {} to override does not count: {why}; {}", record.name, closed.message);
            (Some(ClosedGate { message, ..closed }), None)
        }
        (None, _) => (Some(closed), None),
    }
}

fn closed(reason: Reason, message: String) -> ClosedGate {
    ClosedGate { reason, message, opens_at: None }
}
