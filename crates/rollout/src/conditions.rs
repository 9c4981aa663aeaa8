//! The conditions of the status.

use super::facts::Facts;
use api::condition::{Condition, ConditionSet, ConditionStatus, ConditionType};
use api::reason::Reason;
use api::status::CognigyDeploymentStatus;

/// A new value of one condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionUpdate {
    condition_type: ConditionType,
    status: ConditionStatus,
    reason: Reason,
    message: String,
}

impl ConditionUpdate {
    /// The condition is True.
    #[must_use]
    pub fn set_true(condition_type: ConditionType, reason: Reason, message: impl Into<String>) -> Self {
        Self { condition_type, status: ConditionStatus::True, reason, message: message.into() }
    }

    /// The condition is False.
    #[must_use]
    pub fn set_false(condition_type: ConditionType, reason: Reason, message: impl Into<String>) -> Self {
        Self { condition_type, status: ConditionStatus::False, reason, message: message.into() }
    }

    /// The condition is Unknown.
    #[must_use]
    pub fn set_unknown(condition_type: ConditionType, reason: Reason, message: impl Into<String>) -> Self {
        Self { condition_type, status: ConditionStatus::Unknown, reason, message: message.into() }
    }
}

/// Sets a condition.
pub fn set_condition(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, update: ConditionUpdate) {
    status.conditions.set_condition(Condition {
        condition_type: update.condition_type,
        status: update.status,
        observed_generation: facts.generation,
        last_transition_time: facts.now.wall,
        reason: update.reason,
        message: update.message,
    });
}

/// Sets a condition if its status, reason or message changes. Otherwise its generation stays as well, because each
/// change is an API write.
pub fn set_if_changed(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, update: ConditionUpdate) {
    let is_same = status.conditions.find(update.condition_type).is_some_and(|present| {
        (present.status, present.reason, &present.message) == (update.status, update.reason, &update.message)
    });
    if !is_same {
        set_condition(status, facts, update);
    }
}

/// Sets the conditions of all stages to Unknown, because nothing is known yet about the new attempt.
pub fn reset_stages(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) {
    for condition_type in ConditionType::STAGES {
        set_condition(
            status,
            facts,
            ConditionUpdate::set_unknown(condition_type, Reason::AttemptStarted, "not known yet in this attempt"),
        );
    }
}

/// The attempt has ended: removes the conditions of the stages that it has not reached. Delivered stays, because it
/// still changes after the end.
pub fn remove_unreached(status: &mut CognigyDeploymentStatus) {
    status.conditions.retain(|condition| {
        condition.reason != Reason::AttemptStarted || condition.condition_type == ConditionType::Delivered
    });
}

/// The message of a condition. Empty if the condition is missing.
#[must_use]
pub fn message_of(status: &CognigyDeploymentStatus, condition_type: ConditionType) -> String {
    status.conditions.find(condition_type).map(|condition| condition.message.clone()).unwrap_or_default()
}
