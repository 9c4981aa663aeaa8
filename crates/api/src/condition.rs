//! Conditions, as the Kubernetes API conventions and kstatus define them.

use super::reason::Reason;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The maximum length of a condition's message, in bytes.
pub const MESSAGE_LIMIT: usize = 1024;

/// One aspect of the deployment's state.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// The aspect: Ready, Reconciling, Stalled, Validated, TracePassed, GatesOpen, RolledOut, Healthy, RolledBack
    /// or Delivered.
    #[serde(rename = "type")]
    pub condition_type: ConditionType,
    /// True, False or Unknown.
    pub status: ConditionStatus,
    /// The generation of the spec that this condition describes.
    #[serde(default)]
    pub observed_generation: i64,
    /// When the status last changed.
    pub last_transition_time: Timestamp,
    /// Why the status has its value, as a CamelCase word. docs/conditions.md explains each one.
    pub reason: Reason,
    /// What happened, and what to do next.
    #[serde(default)]
    pub message: String,
}

/// The aspect that a condition describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConditionType {
    /// The environment runs the configuration in the spec.
    Ready,
    /// The operator is still working on this resource. Present only if True (kstatus).
    Reconciling,
    /// The operator cannot continue until a person acts. Present only if True (kstatus).
    Stalled,
    /// The environment can run the configuration.
    Validated,
    /// The synthetic trace found no conflict.
    TracePassed,
    /// The attempt has passed its gates: approvals, change windows and other deployments. Present if a gate was closed.
    GatesOpen,
    /// The job has completed.
    RolledOut,
    /// The environment is healthy.
    Healthy,
    /// The configuration was rolled back.
    RolledBack,
    /// The audit log and the webhook have accepted every message.
    Delivered,
}

plain_string_in_the_crd!(ConditionType);

impl ConditionType {
    /// The conditions that describe the stages of an attempt. All are Unknown when an attempt starts.
    pub const STAGES: [Self; 6] =
        [Self::Validated, Self::TracePassed, Self::RolledOut, Self::Healthy, Self::RolledBack, Self::Delivered];
}

impl fmt::Display for ConditionType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

/// The three values of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// Yes.
    True,
    /// No.
    False,
    /// Not known, or not known yet.
    Unknown,
}

/// A set of conditions. The transition time of a condition changes only if its status changes.
pub trait ConditionSet {
    /// The condition of this type, if there is one.
    fn find(&self, condition_type: ConditionType) -> Option<&Condition>;

    /// Whether the condition of this type is present and True.
    fn is_true(&self, condition_type: ConditionType) -> bool {
        self.find(condition_type).is_some_and(|condition| condition.status == ConditionStatus::True)
    }

    /// Sets a condition. Keeps the transition time if the status does not change.
    fn set_condition(&mut self, condition: Condition);

    /// Removes the condition of this type.
    fn remove_condition(&mut self, condition_type: ConditionType);
}

impl ConditionSet for Vec<Condition> {
    fn find(&self, condition_type: ConditionType) -> Option<&Condition> {
        self.iter().find(|condition| condition.condition_type == condition_type)
    }

    fn set_condition(&mut self, mut condition: Condition) {
        truncate(&mut condition.message, MESSAGE_LIMIT);
        match self.iter_mut().find(|present| present.condition_type == condition.condition_type) {
            Some(present) => {
                if present.status == condition.status {
                    condition.last_transition_time = present.last_transition_time;
                }
                *present = condition;
            }
            None => {
                self.push(condition);
                self.sort_by_key(|present| present.condition_type);
            }
        }
    }

    fn remove_condition(&mut self, condition_type: ConditionType) {
        self.retain(|condition| condition.condition_type != condition_type);
    }
}

/// Truncates a text to at most `limit` bytes without splitting a character. A truncated text ends with `…`.
pub fn truncate(text: &mut String, limit: usize) {
    const CUT: &str = "…";
    if text.len() <= limit {
        return;
    }
    let keep = text.floor_char_boundary(limit.saturating_sub(CUT.len()));
    text.truncate(keep);
    text.push_str(CUT);
}
