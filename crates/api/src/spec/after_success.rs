//! Watching the environment's health after a success.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How the environment's health is watched after the rollout has succeeded.
#[derive(KubeSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AfterSuccess {
    /// The time between two polls of the environment's health, in seconds, from 60 to 86400 (a day). There is at most one request
    /// in this time. It has the lowest rank in the request budget: if the budget has no room for it, it is left out.
    #[serde(default = "default_interval_seconds")]
    #[x_kube(
        validation = Rule::new("self >= 60 && self <= 86400").message("afterSuccess.intervalSeconds must be from 60 to 86400 (a day)")
    )]
    pub interval_seconds: i32,

    /// How many bad health answers in a row make the environment unhealthy, from 1 to 100. An answer that cannot be read is not a
    /// bad one. After a restart, the operator begins to count again.
    #[serde(default = "default_health_threshold")]
    #[x_kube(
        validation = Rule::new("self >= 1 && self <= 100").message("afterSuccess.healthThreshold must be from 1 to 100 bad answers in a row")
    )]
    pub health_threshold: i32,

    /// What the operator does if the environment is unhealthy. Report: Ready becomes False, and a person decides; the first good
    /// answer makes Ready True again. Rollback: it also rolls back what this resource deployed last, once, and only while no other
    /// resource owns the environment. autoTrigger makes no difference.
    #[serde(default)]
    pub on_unhealthy: OnUnhealthy,
}

/// What happens if the environment becomes unhealthy after the success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnUnhealthy {
    /// Ready becomes False, and a person decides. The first good answer makes Ready True again.
    #[default]
    Report,
    /// The operator rolls back what this resource deployed last, once, unless another resource owns the environment.
    Rollback,
}

impl AfterSuccess {
    /// The time between two polls.
    #[must_use]
    pub fn interval(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.interval_seconds).unwrap_or(60))
    }

    /// How many bad answers in a row make the environment unhealthy.
    #[must_use]
    pub fn threshold(&self) -> u32 {
        u32::try_from(self.health_threshold).unwrap_or(1)
    }
}

impl Default for AfterSuccess {
    fn default() -> Self {
        Self {
            interval_seconds: default_interval_seconds(),
            health_threshold: default_health_threshold(),
            on_unhealthy: OnUnhealthy::default(),
        }
    }
}

fn default_interval_seconds() -> i32 {
    300
}

fn default_health_threshold() -> i32 {
    3
}
