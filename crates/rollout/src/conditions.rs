//! The story of an attempt, told in conditions.

use super::facts::Facts;
use api::condition::{Condition, ConditionSet, ConditionStatus, ConditionType};
use api::reason::Reason;
use api::status::CognigyDeploymentStatus;

/// One thing to say about the attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tell {
    condition_type: ConditionType,
    status: ConditionStatus,
    reason: Reason,
    message: String,
}

impl Tell {
    /// It is so.
    #[must_use]
    pub fn yes(condition_type: ConditionType, reason: Reason, message: impl Into<String>) -> Self {
        Self { condition_type, status: ConditionStatus::True, reason, message: message.into() }
    }

    /// It is not so.
    #[must_use]
    pub fn no(condition_type: ConditionType, reason: Reason, message: impl Into<String>) -> Self {
        Self { condition_type, status: ConditionStatus::False, reason, message: message.into() }
    }

    /// It is not known.
    #[must_use]
    pub fn unknown(condition_type: ConditionType, reason: Reason, message: impl Into<String>) -> Self {
        Self { condition_type, status: ConditionStatus::Unknown, reason, message: message.into() }
    }
}

/// Writes it into the conditions.
pub fn tell(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, tell: Tell) {
    status.conditions.put(Condition {
        condition_type: tell.condition_type,
        status: tell.status,
        observed_generation: facts.generation,
        last_transition_time: facts.now.wall,
        reason: tell.reason,
        message: tell.message,
    });
}

/// Nothing of the new attempt's story is known yet.
pub fn reset_story(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) {
    for condition_type in ConditionType::STORY {
        tell(status, facts, Tell::unknown(condition_type, Reason::AttemptStarted, "not known yet in this attempt"));
    }
}

/// The message of a condition, where there is one.
#[must_use]
pub fn message_of(status: &CognigyDeploymentStatus, condition_type: ConditionType) -> String {
    status.conditions.find(condition_type).map(|condition| condition.message.clone()).unwrap_or_default()
}
