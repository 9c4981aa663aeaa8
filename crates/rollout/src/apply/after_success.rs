//! What the environment's health means after a success. The status changes only if health changes.

use crate::after_success::policy;
use crate::answer::HealthAnswer;
use crate::conditions::{ConditionUpdate, set_condition};
use crate::effects::Effects;
use crate::facts::Facts;
use crate::memory::Memory;
use api::condition::{ConditionSet, ConditionType};
use api::reason::Reason;
use api::spec::{AfterSuccess, OnUnhealthy};
use api::status::CognigyDeploymentStatus;

/// Health was polled at `facts.sent_at`, and has answered now.
pub fn health(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    answer: HealthAnswer,
) -> Effects {
    let Some(watch) = status.attempt.as_ref().and_then(|attempt| policy(facts, attempt)) else {
        return Effects::none();
    };
    memory.attempt.after_success.note_poll(facts.sent_at);
    match answer {
        HealthAnswer::Good => good(status, facts, memory),
        HealthAnswer::Bad(what) => bad(status, facts, memory, watch, &what),
        HealthAnswer::Unreadable(why) => no_answer(status, facts, memory, watch, &why),
    }
}

/// Health could not be polled. The next poll is due one interval later or a little more.
pub fn unanswered(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory, why: &str) -> Effects {
    let Some(watch) = status.attempt.as_ref().and_then(|attempt| policy(facts, attempt)) else {
        return Effects::none();
    };
    let jitter = memory.jitter;
    memory.attempt.after_success.note_unsent(facts.now, watch.interval(), jitter);
    no_answer(status, facts, memory, watch, why)
}

fn good(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory) -> Effects {
    memory.attempt.after_success.note_good();
    let note = match healthy_reason(status) {
        _ if status.conditions.is_true(ConditionType::Healthy) => return Effects::none(),
        Some(Reason::UnhealthyAfterSuccess) => "the environment is healthy again",
        Some(_) | None => "the environment is healthy; its health is known again",
    };
    let healthy = ConditionUpdate::set_true(ConditionType::Healthy, Reason::HealthGood, "the environment is healthy");
    set_condition(status, facts, healthy);
    Effects::normal(Reason::HealthGood, note)
}

fn bad(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    watch: &AfterSuccess,
    what: &str,
) -> Effects {
    let streak = memory.attempt.after_success.note_bad();
    // The answer differs with each poll, and each change of the message would be a write.
    if streak < watch.threshold() || healthy_reason(status) == Some(Reason::UnhealthyAfterSuccess) {
        return Effects::none();
    }
    let next = match watch.on_unhealthy {
        OnUnhealthy::Report => {
            "look at the environment, set the annotation deploy.cognigy.ai/rollback to roll back, or deploy a corrected \
             configuration; the first good answer makes Ready True again"
        }
        OnUnhealthy::Rollback => "spec.monitoring.afterSuccess.onUnhealthy asks for a rollback",
    };
    let message = format!("health is bad after the success, {streak} times in a row: {what}; {next}");
    set_condition(
        status,
        facts,
        ConditionUpdate::set_false(ConditionType::Healthy, Reason::UnhealthyAfterSuccess, message.clone()),
    );
    Effects::warning(Reason::UnhealthyAfterSuccess, message)
}

/// Without an answer, nothing is known: health is neither good nor bad. A deployment that was healthy stays ready, and one that
/// was unhealthy stays so.
fn no_answer(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    watch: &AfterSuccess,
    why: &str,
) -> Effects {
    let streak = memory.attempt.after_success.note_unanswered();
    let reason = healthy_reason(status);
    let is_told = match reason {
        Some(Reason::HealthUnknown) => true,
        Some(Reason::UnhealthyAfterSuccess) => streak > watch.threshold(),
        Some(_) | None => false,
    };
    if streak < watch.threshold() || is_told {
        return Effects::none();
    }
    let message = format!(
        "no health answer could be read, {streak} times in a row: {why}; this says nothing about the environment; remove the \
         cause, or remove spec.monitoring.afterSuccess"
    );
    if reason != Some(Reason::UnhealthyAfterSuccess) {
        set_condition(
            status,
            facts,
            ConditionUpdate::set_unknown(ConditionType::Healthy, Reason::HealthUnknown, message.clone()),
        );
    }
    Effects::warning(Reason::HealthUnknown, message)
}

fn healthy_reason(status: &CognigyDeploymentStatus) -> Option<Reason> {
    status.conditions.find(ConditionType::Healthy).map(|healthy| healthy.reason)
}
