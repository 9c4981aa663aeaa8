//! The gates of the attempt have opened or closed.

use crate::conditions::{ConditionUpdate, set_condition};
use crate::effects::Effects;
use crate::facts::Facts;
use crate::gates::{self, Evaluation};
use api::condition::ConditionType;
use api::reason::Reason;
use api::status::{ClosedGate, CognigyDeploymentStatus};

/// Records which gates are closed, or that all are open.
pub fn record(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) -> Effects {
    let Some(attempt) = &status.attempt else { return Effects::none() };
    let evaluation = gates::evaluate(facts, status, attempt);
    let number = attempt.number;
    let plan_id = gates::plan_id(attempt, gates::running_digest(status));
    let recorded = evaluation.record(attempt.gates.as_ref(), facts.now.wall);
    let is_changed = recorded != attempt.gates;
    let is_met = recorded.is_some();
    if let Some(attempt) = &mut status.attempt {
        attempt.gates = recorded;
        attempt.plan_id = Some(plan_id);
    }
    if !is_met {
        return Effects::none();
    }
    let (update, effects) = match evaluation.closed.first() {
        Some(first) => {
            let message = all_messages(&evaluation.closed);
            let note = format!("attempt {number} waits: {message}");
            let effects = match needs_attention(first) {
                true => Effects::warning(first.reason, note),
                false => Effects::normal(first.reason, note),
            };
            (ConditionUpdate::set_false(ConditionType::GatesOpen, first.reason, message), effects)
        }
        None => opened(number, &evaluation),
    };
    set_condition(status, facts, update);
    if is_changed { effects } else { Effects::none() }
}

/// The messages of all closed gates.
#[must_use]
pub fn all_messages(closed: &[ClosedGate]) -> String {
    closed.iter().map(|gate| gate.message.as_str()).collect::<Vec<_>>().join("; ")
}

fn opened(number: i64, evaluation: &Evaluation) -> (ConditionUpdate, Effects) {
    let names: Vec<&str> = evaluation.approvals.iter().map(|decision| decision.by.as_str()).collect();
    let mut message = match names.is_empty() {
        true => "all gates are open".to_owned(),
        false => format!("approved by {}", names.join(", ")),
    };
    let mut effects = Effects::none();
    if let Some(decision) = &evaluation.overridden_by {
        let overridden =
            format!("{} overrides the closed change window with the decision {}", decision.by, decision.name);
        message = format!("{message}; {overridden}");
        effects = Effects::normal(Reason::WindowOverridden, overridden);
    }
    let event = Effects::normal(Reason::GatesOpen, format!("attempt {number} may be submitted: {message}"));
    (ConditionUpdate::set_true(ConditionType::GatesOpen, Reason::GatesOpen, message), effects.and(event))
}

/// Whether a person must act who does not expect it.
#[must_use]
pub fn needs_attention(gate: &ClosedGate) -> bool {
    matches!(
        gate.reason,
        Reason::ApproverUnverified
            | Reason::ApprovalExpired
            | Reason::UpstreamNotFound
            | Reason::UpstreamForbidden
            | Reason::UpstreamCycle
    )
}
