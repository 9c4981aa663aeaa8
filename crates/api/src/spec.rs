//! The spec.
//!
//! Bounds of numbers are CEL rules and not schema bounds: each rule's message says what to write instead, and the same rules run
//! offline. Lengths are schema bounds, because the API server needs them to estimate the cost of a rule.

// Clippy reports the keys of one print column as duplicates of another's.
#![allow(clippy::duplicated_attributes)]

mod after_success;
mod digests;
mod gates;
mod names;
mod policy;
mod source;
mod version;

pub use after_success::{AfterSuccess, OnUnhealthy};
pub use digests::ConfigurationDigests;
pub use gates::{Approval, Requirement};
pub(crate) use names::NAME_RULE;
pub use names::{ObjectName, is_key};
pub use policy::{
    CapacityConstraints, Compliance, DeletionPolicy, DependencyLock, IsolationRules, Monitoring, RollbackPolicy,
    TraceOptions,
};
pub use source::{
    ConfigMapKeyReference, SecretKeyReference, SecretReference, SnapshotSource, Webhook, WebhookUrlSource,
};

use super::identifier::EnvironmentId;
use super::snapshot::Snapshot;
use super::status::CognigyDeploymentStatus;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// The desired state of one Cognigy.AI environment: a configuration snapshot, dependency locks and a rollback policy.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "deploy.cognigy.ai",
    version = "v1alpha1",
    kind = "CognigyDeployment",
    plural = "cognigydeployments",
    shortname = "cgd",
    category = "cognigy",
    namespaced,
    status = "CognigyDeploymentStatus",
    derive = "PartialEq",
    cel,
    doc = "The configuration that one Cognigy.AI environment should run. The operator validates it, runs the synthetic trace, submits the rollout, watches the job and the environment's health, and rolls back if health is bad.",
    printcolumn(
        name = "Environment",
        type_ = "string",
        json_path = ".spec.environmentId",
        description = "The Cognigy.AI environment that this resource deploys to."
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "True if the environment runs the configuration in the spec."
    ),
    printcolumn(
        name = "Phase",
        type_ = "string",
        json_path = ".status.phase",
        description = "The state of the current attempt."
    ),
    printcolumn(
        name = "Runs",
        type_ = "string",
        json_path = ".status.running.configuration",
        description = "What the environment runs, as far as this resource knows."
    ),
    printcolumn(
        name = "Since",
        type_ = "date",
        json_path = ".status.running.since",
        description = "For how long the environment has run this."
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Why Ready has its value."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Job",
        type_ = "string",
        json_path = ".status.attempt.job.id",
        priority = 1,
        description = "The Cognigy.AI job of the current attempt."
    ),
    printcolumn(
        name = "Attempt",
        type_ = "integer",
        json_path = ".status.attempt.number",
        priority = 1,
        description = "The number of the current attempt."
    ),
    printcolumn(
        name = "Version",
        type_ = "string",
        json_path = ".status.attempt.version",
        priority = 1,
        description = "The version of the configuration in the current attempt, if it has one."
    ),
    printcolumn(
        name = "Suspended",
        type_ = "boolean",
        json_path = ".spec.suspend",
        priority = 1,
        description = "Whether new configurations are held back."
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1,
        description = "What happened, and what to do next."
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.configurationSnapshot) != has(self.configurationSnapshotFrom)")
        .message("write exactly one of configurationSnapshot (the snapshot itself) and configurationSnapshotFrom (a ConfigMap key that holds it)"),
    validation = Rule::new("self.rollbackPolicy.healthThreshold * self.monitoring.intervalSeconds <= self.rollbackPolicy.timeoutSeconds")
        .message("rollbackPolicy.healthThreshold × monitoring.intervalSeconds must be at most rollbackPolicy.timeoutSeconds, for example 3 × 15 s = 45 s, at most 300 s: lower the threshold or the interval, or raise the time-out")
)]
pub struct CognigyDeploymentSpec {
    /// The Cognigy.AI environment to deploy to. One path segment: letters, digits, `.`, `_`, `~` and `-`.
    /// Immutable: for another environment, create another resource.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(
        validation = Rule::new("self.matches('^[A-Za-z0-9._~-]+$') && self != '.' && self != '..'")
            .message("environmentId must be one path segment of letters, digits, '.', '_', '~' and '-', and neither '.' nor '..', for example env_prod_us_01"),
        validation = Rule::new("self == oldSelf")
            .message("environmentId is immutable: create another CognigyDeployment for another environment")
    )]
    pub environment_id: EnvironmentId,

    /// The configuration to deploy: any JSON object that is not empty. It is sent to Cognigy.AI unchanged. Set either this field or
    /// configurationSnapshotFrom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration_snapshot: Option<Snapshot>,

    /// The ConfigMap key that contains the configuration to deploy. Set either this field or configurationSnapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration_snapshot_from: Option<SnapshotSource>,

    /// The version of this configuration, for people: a release name or number of your choice, such as 2.4.1. Without it, the label
    /// app.kubernetes.io/version is shown, or else the text `botVersion` or `version` of the snapshot. It is only shown: an edit of it
    /// starts no attempt, and the next attempt shows the new text. 1 to 64 bytes without control characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = Rule::new(r"bytes(self).size() <= 64 && self.matches('^[^\\p{Cc}]*[^\\p{Cc}\\s][^\\p{Cc}]*$')")
            .message("displayVersion must be 1 to 64 bytes long and must not have control characters: write a short version, for example 2.4.1")
    )]
    pub display_version: Option<String>,

    /// The package versions that the snapshot was tested with. At most 128, and each package at most once.
    #[serde(default)]
    #[schemars(length(max = 128), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(
        validation = Rule::new("self.all(x, self.exists_one(y, y.packageName == x.packageName))")
            .message("each package may be locked once: remove the second lock of the same packageName")
    )]
    pub dependency_locks: Vec<DependencyLock>,

    /// When a rollout counts as failed, and what the operator does then.
    #[serde(default)]
    pub rollback_policy: RollbackPolicy,

    /// The load that the environment must be able to carry. The validation checks it.
    #[serde(default)]
    pub capacity_constraints: CapacityConstraints,

    /// How the environment is isolated from others. The validation checks it.
    #[serde(default)]
    pub isolation_rules: IsolationRules,

    /// How the synthetic trace looks for conflicts before the submit.
    #[serde(default)]
    pub trace_options: TraceOptions,

    /// How the environment's health is watched after the rollout.
    #[serde(default)]
    pub monitoring: Monitoring,

    /// Your statements about this configuration for the audit log. The operator copies them into each audit record.
    #[serde(default)]
    pub compliance: Compliance,

    /// The Secret with the keys clientId and clientSecret, and optionally baseUrl, tokenUrl, ca.crt and requestsPerMinute. It is
    /// in the same namespace. If it is not set, the operator uses its own credentials, if this namespace may use them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_ref: Option<SecretReference>,

    /// The webhook that is called when a rollout has ended. If it is not set, the operator calls its default webhook, if there is
    /// one, this namespace may use it, and the rollout goes to the operator's own Cognigy.AI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,

    /// While true, the operator starts nothing new: no checks, no submit, no retry. A rollout in flight is still watched, and
    /// rolled back if it fails.
    #[serde(default)]
    pub suspend: bool,

    /// The approvals that a rollout needs before it is submitted. If it is not set, none. A rollback needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,

    /// Other CognigyDeployments that must have succeeded with the same release before this one is submitted, for example the one of
    /// staging. At most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(
        validation = Rule::new("self.all(x, self.exists_one(y, y.name == x.name && (has(y.__namespace__) ? y.__namespace__ : '') == (has(x.__namespace__) ? x.__namespace__ : '')))")
            .message("each CognigyDeployment may be required once: remove the second entry with the same name and namespace")
    )]
    pub requires: Vec<Requirement>,

    /// Other namespaces whose CognigyDeployments may name this one in spec.requires. They learn whether and when it succeeded. At
    /// most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(
        validation = Rule::new("self.all(x, x.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'))")
            .message("allowedDownstreamNamespaces must be names of namespaces, for example production; a pattern such as '*' is not possible")
    )]
    pub allowed_downstream_namespaces: Vec<String>,

    /// What happens to the environment when this resource is deleted. Retain keeps the deployed configuration. Rollback rolls it
    /// back.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,

    /// The maximum number of ended attempts in status.history, from 0 to 50.
    #[serde(default = "default_history_limit")]
    #[x_kube(
        validation = Rule::new("self >= 0 && self <= 50").message("historyLimit must be from 0 to 50")
    )]
    pub history_limit: i32,
}

fn default_history_limit() -> i32 {
    10
}
