//! What tests read from the status of a resource.

use api::condition::{Condition, ConditionSet, ConditionStatus};
use api::status::{Attempt, CognigyDeploymentStatus};
use api::{CognigyDeployment, ConditionType, Reason};

/// Short names for parts of the status.
pub trait StatusExt {
    /// The status, or an empty one.
    fn recorded(&self) -> CognigyDeploymentStatus;

    /// The latest attempt, if there is one.
    fn attempt_if_any(&self) -> Option<&Attempt>;

    /// Whether the status is about the current generation of the spec.
    fn is_observed(&self) -> bool;

    /// A condition, if it is set.
    fn find(&self, condition_type: ConditionType) -> Option<&Condition>;

    /// The latest attempt. The test fails if there is none.
    fn attempt(&self) -> &Attempt {
        self.attempt_if_any().expect("there is an attempt")
    }

    /// A condition. The test fails if it is not set.
    fn condition(&self, condition_type: ConditionType) -> &Condition {
        self.find(condition_type).unwrap_or_else(|| panic!("there is no {condition_type}"))
    }

    /// The status and the reason of a condition. The test fails if it is not set.
    fn says(&self, condition_type: ConditionType) -> (ConditionStatus, Reason) {
        let condition = self.condition(condition_type);
        (condition.status, condition.reason)
    }

    /// Whether a condition is set and `True`.
    fn is_true(&self, condition_type: ConditionType) -> bool {
        self.find(condition_type).is_some_and(|condition| condition.status == ConditionStatus::True)
    }
}

impl StatusExt for CognigyDeployment {
    fn recorded(&self) -> CognigyDeploymentStatus {
        self.status.clone().unwrap_or_default()
    }

    fn attempt_if_any(&self) -> Option<&Attempt> {
        self.status.as_ref()?.attempt.as_ref()
    }

    fn is_observed(&self) -> bool {
        self.status.as_ref().is_some_and(|status| Some(status.observed_generation) == self.metadata.generation)
    }

    fn find(&self, condition_type: ConditionType) -> Option<&Condition> {
        self.status.as_ref()?.conditions.find(condition_type)
    }
}
