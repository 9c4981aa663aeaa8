//! What must be true before a rollout is submitted, besides the checks: approvals of people, and success elsewhere.

use super::names::NAME_RULE;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How many people must approve a rollout before it is submitted.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// How many different people must approve, from 1 to 5. Each approves with a CognigyDecision.
    #[serde(default = "default_required")]
    #[x_kube(
        validation = Rule::new("self >= 1 && self <= 5").message("approval.required must be from 1 to 5 people")
    )]
    pub required: i32,

    /// How long an approval is valid after its creation, in seconds, from 300 (5 minutes) to 2592000 (30 days). An approval that
    /// is older when the rollout could start does not count.
    #[serde(default = "default_expires_after_seconds")]
    #[x_kube(
        validation = Rule::new("self >= 300 && self <= 2592000")
            .message("approval.expiresAfterSeconds must be from 300 (5 minutes) to 2592000 (30 days)")
    )]
    pub expires_after_seconds: i32,

    /// The names of users whose approvals do not count, for example the author of the change. At most 10. Kubernetes does not know
    /// the author of a change in Git; for four eyes there, set required to 2.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), inner(length(min = 1, max = 253)), extend("x-kubernetes-list-type" = "set"))]
    pub not_by: Vec<String>,
}

impl Approval {
    /// How long an approval is valid.
    #[must_use]
    pub fn valid_for(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.expires_after_seconds).unwrap_or(0))
    }

    /// How many people must approve.
    #[must_use]
    pub fn people(&self) -> usize {
        // A value out of range can only be older than the rule. It must not open the gate.
        usize::try_from(self.required.max(1)).unwrap_or(1)
    }
}

/// Another CognigyDeployment that must have succeeded before this one is submitted.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requirement {
    /// The name of the other CognigyDeployment.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(
        validation = Rule::new(NAME_RULE)
            .message("write the name of a CognigyDeployment: lower-case letters, digits, '-' and '.', for example bot-staging")
    )]
    pub name: String,

    /// Its namespace. If it is not set, the namespace of this resource. In another namespace, the other CognigyDeployment must name
    /// this namespace in spec.allowedDownstreamNamespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')")
            .message("write the name of a namespace: lower-case letters, digits and '-', for example staging")
    )]
    pub namespace: Option<String>,

    /// For how long it must have been healthy since its success, in seconds, from 0 to 2592000 (30 days).
    #[serde(default)]
    #[x_kube(
        validation = Rule::new("self >= 0 && self <= 2592000").message("healthyForSeconds must be from 0 to 2592000 (30 days)")
    )]
    pub healthy_for_seconds: i32,

    /// Whether it must have succeeded with the same release: the same snapshot and dependency locks. If false, it only must be healthy
    /// now, with any release.
    #[serde(default = "yes")]
    pub same_release: bool,
}

impl Requirement {
    /// For how long the other deployment must have been healthy.
    #[must_use]
    pub fn healthy_for(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.healthy_for_seconds).unwrap_or(0))
    }

    /// The namespace of the other deployment, given the namespace of the one that requires it.
    #[must_use]
    pub fn namespace_from<'a>(&'a self, own: &'a str) -> &'a str {
        self.namespace.as_deref().unwrap_or(own)
    }
}

fn yes() -> bool {
    true
}

fn default_required() -> i32 {
    1
}

fn default_expires_after_seconds() -> i32 {
    7 * 24 * 3600
}
