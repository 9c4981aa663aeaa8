//! What a user asks for.
//!
//! Bounds are CEL rules and not schema bounds, so that every refusal says what to write instead, and so that the
//! same rules run offline. Lengths are schema bounds: the API server needs them to estimate a rule's cost.

// The lint takes the keys of one print column for repeats of another's.
#![allow(clippy::duplicated_attributes)]

mod names;
mod policy;
mod source;

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

/// What one Cognigy.AI environment should run: a configuration snapshot, dependency locks and a rollback policy.
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
    doc = "What one Cognigy.AI environment should run. The operator validates it, runs the synthetic trace, submits the rollout, watches the job and the environment's health, and rolls back when health says so.",
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
        description = "True once the environment runs what the spec asks for."
    ),
    printcolumn(
        name = "Phase",
        type_ = "string",
        json_path = ".status.phase",
        description = "Where the current attempt stands."
    ),
    printcolumn(
        name = "Job",
        type_ = "string",
        json_path = ".status.attempt.jobId",
        description = "The Cognigy.AI job of the current attempt."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        priority = 1,
        description = "Why Ready is what it is."
    ),
    printcolumn(
        name = "Attempt",
        type_ = "integer",
        json_path = ".status.attempt.number",
        priority = 1,
        description = "How many attempts this resource has made."
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
        .message("rollbackPolicy.healthThreshold x monitoring.intervalSeconds must fit into rollbackPolicy.timeoutSeconds: lower the threshold or the interval, or raise the time-out")
)]
pub struct CognigyDeploymentSpec {
    /// The Cognigy.AI environment to deploy to. One safe path segment: letters, digits, `.`, `_`, `~` and `-`.
    /// Immutable: another environment is another resource.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(
        validation = Rule::new("self.matches('^[A-Za-z0-9._~-]+$') && self != '.' && self != '..'")
            .message("environmentId must be one path segment of letters, digits, '.', '_', '~' and '-', and neither '.' nor '..', for example env_prod_us_01"),
        validation = Rule::new("self == oldSelf")
            .message("environmentId is immutable: create another CognigyDeployment for another environment")
    )]
    pub environment_id: EnvironmentId,

    /// The configuration to deploy, any JSON object but the empty one; passed on as it is. Write either this or
    /// configurationSnapshotFrom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration_snapshot: Option<Snapshot>,

    /// Where the configuration to deploy is kept, when it is not written here. Write either this or
    /// configurationSnapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration_snapshot_from: Option<SnapshotSource>,

    /// The versions of packages that the snapshot was tested with. Each package at most once, 128 at most.
    #[serde(default)]
    #[schemars(length(max = 128), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(
        validation = Rule::new("self.all(x, self.exists_one(y, y.packageName == x.packageName))")
            .message("each package may be locked once: remove the second lock of the same packageName")
    )]
    pub dependency_locks: Vec<DependencyLock>,

    /// When the operator gives up on a rollout, and what it does then.
    #[serde(default)]
    pub rollback_policy: RollbackPolicy,

    /// What the environment must be able to carry; checked by the validation.
    #[serde(default)]
    pub capacity_constraints: CapacityConstraints,

    /// How the environment is kept apart from others; checked by the validation.
    #[serde(default)]
    pub isolation_rules: IsolationRules,

    /// How the synthetic trace looks for conflicts before anything is submitted.
    #[serde(default)]
    pub trace_options: TraceOptions,

    /// How the environment's health is watched after the rollout.
    #[serde(default)]
    pub monitoring: Monitoring,

    /// What you attest for the audit log. Nothing is claimed that is not said here.
    #[serde(default)]
    pub compliance: Compliance,

    /// The Secret, in the same namespace, with clientId and clientSecret (and optionally baseUrl, tokenUrl, ca.crt and
    /// requestsPerMinute). Left out, the operator's own credentials are used where it offers them to this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_ref: Option<SecretReference>,

    /// Who is told when a rollout has ended. Left out, the operator's own webhook is told, if the operator offers one to this
    /// namespace and the rollout goes to the operator's own Cognigy.AI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,

    /// Starts nothing new while true: no checks, no submit, no retry. What is in flight is still watched, and rolled
    /// back if it goes bad.
    #[serde(default)]
    pub suspend: bool,

    /// What becomes of the environment when this resource is deleted: Retain leaves what is deployed, Rollback undoes it.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,

    /// How many ended attempts are kept in status.history, 0 to 50.
    #[serde(default = "default_history_limit")]
    #[x_kube(
        validation = Rule::new("self >= 0 && self <= 50").message("historyLimit must be from 0 to 50")
    )]
    pub history_limit: i32,
}

fn default_history_limit() -> i32 {
    10
}
