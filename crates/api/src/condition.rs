//! Conditions, in the form of the Kubernetes API conventions and with the meaning that kstatus gives them.

use super::reason::Reason;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest message of a condition, in bytes.
pub const MESSAGE_LIMIT: usize = 1024;

/// One thing that is known about the deployment.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is spoken of: Ready, Reconciling, Stalled, Validated, TracePassed, RolledOut, Healthy, RolledBack or Delivered.
    #[serde(rename = "type")]
    pub condition_type: ConditionType,
    /// True, False or Unknown.
    pub status: ConditionStatus,
    /// The generation of the spec that this condition speaks of.
    #[serde(default)]
    pub observed_generation: i64,
    /// When the status last became another one.
    pub last_transition_time: Timestamp,
    /// Why, as a CamelCase word; docs/conditions.md explains each.
    pub reason: Reason,
    /// What happened, and what to do next.
    #[serde(default)]
    pub message: String,
}

/// What a condition speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConditionType {
    /// The environment runs what the spec asks for.
    Ready,
    /// The operator is at work; present only when True (kstatus).
    Reconciling,
    /// A person is needed; present only when True (kstatus).
    Stalled,
    /// The environment can take the configuration.
    Validated,
    /// The synthetic trace found no conflict.
    TracePassed,
    /// The job has completed.
    RolledOut,
    /// The environment's health.
    Healthy,
    /// The configuration is out of the environment again.
    RolledBack,
    /// The audit log and the webhook have taken every message.
    Delivered,
}

plain_string_in_the_crd!(ConditionType);

impl ConditionType {
    /// The story of an attempt; Unknown when an attempt starts.
    pub const STORY: [Self; 6] =
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
    /// It is so.
    True,
    /// It is not so.
    False,
    /// It is not known, or not known yet.
    Unknown,
}

/// A set of conditions, and how it changes: the time of a condition moves only when its status does.
pub trait ConditionSet {
    /// The condition of that type, where there is one.
    fn find(&self, condition_type: ConditionType) -> Option<&Condition>;

    /// Whether that condition is there and True.
    fn is_true(&self, condition_type: ConditionType) -> bool {
        self.find(condition_type).is_some_and(|condition| condition.status == ConditionStatus::True)
    }

    /// Puts a condition in place of the one of its type; keeps the time where the status stays.
    fn put(&mut self, condition: Condition);

    /// Takes the condition of that type away.
    fn withdraw(&mut self, condition_type: ConditionType);
}

impl ConditionSet for Vec<Condition> {
    fn find(&self, condition_type: ConditionType) -> Option<&Condition> {
        self.iter().find(|condition| condition.condition_type == condition_type)
    }

    fn put(&mut self, mut condition: Condition) {
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

    fn withdraw(&mut self, condition_type: ConditionType) {
        self.retain(|condition| condition.condition_type != condition_type);
    }
}

/// Cuts a text to at most `limit` bytes, at a character's boundary, and shows that it was cut.
pub fn truncate(text: &mut String, limit: usize) {
    const CUT: &str = "…";
    if text.len() <= limit {
        return;
    }
    let keep = text.floor_char_boundary(limit.saturating_sub(CUT.len()));
    text.truncate(keep);
    text.push_str(CUT);
}
