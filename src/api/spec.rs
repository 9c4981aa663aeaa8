//! What a user asks for.
//!
//! Bounds are CEL rules and not schema bounds, so that every refusal says what to write instead, and so that the
//! same rules run offline. Lengths are schema bounds: the API server needs them to estimate a rule's cost.

// The lint takes the keys of one print column for repeats of another's.
#![allow(clippy::duplicated_attributes)]

use super::identifier::EnvironmentId;
use super::snapshot::Snapshot;
use super::status::CognigyDeploymentStatus;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
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

    /// Who is told when a rollout has ended. Left out, the operator's own default is told, where it has one.
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

/// Where a snapshot is kept.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotSource {
    /// A key of a ConfigMap in the same namespace.
    pub config_map_key_ref: ConfigMapKeyReference,
}

/// A key of a ConfigMap that holds a snapshot as JSON or YAML.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapKeyReference {
    /// The ConfigMap's name. Label it deploy.cognigy.ai/watch: "true" to have a change deployed at once; without the
    /// label it is read again every five minutes.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// The key in the ConfigMap's data.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,

    /// SHA-256, in hexadecimal, of the key's text. Where it is given, the operator waits until the text is that one: so
    /// that a resource and its ConfigMap, applied one after the other, are deployed together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = Rule::new("self.matches('^[0-9a-f]{64}$')")
            .message("sha256 must be the 64 lower-case hexadecimal digits that `sha256sum` prints for the key's text")
    )]
    pub sha256: Option<String>,
}

/// A package and the version that the snapshot was tested with.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(r"!self.pinned || self.version.matches('^v?[0-9]+(\\.[0-9]+){1,3}([-+][0-9A-Za-z.+-]+)?$')")
        .message("a pinned lock needs an exact version such as 3.2.0, not a range: write the version that was tested, or pinned: false")
)]
pub struct DependencyLock {
    /// The package's name.
    #[schemars(length(min = 1, max = 214))]
    pub package_name: String,

    /// The package's version; exact where the lock is pinned, for example 3.2.0.
    #[schemars(length(min = 1, max = 128))]
    pub version: String,

    /// Whether exactly this version must be used.
    #[serde(default = "yes")]
    pub pinned: bool,
}

/// When the operator gives up on a rollout, and what it does then.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RollbackPolicy {
    /// Whether a bad verdict rolls back by itself. When false, the operator reports it and waits for a person.
    #[serde(default = "yes")]
    pub auto_trigger: bool,

    /// How many bad health answers in a row are a bad verdict, 1 to 100.
    #[serde(default = "default_health_threshold")]
    #[x_kube(
        validation = Rule::new("self >= 1 && self <= 100").message("healthThreshold must be from 1 to 100 bad answers in a row")
    )]
    pub health_threshold: i32,

    /// How long a rollout may take from its submit to a verdict, in seconds, 1 to 86400 (a day).
    #[serde(default = "default_timeout_seconds")]
    #[x_kube(
        validation = Rule::new("self >= 1 && self <= 86400").message("timeoutSeconds must be from 1 to 86400 (a day)")
    )]
    pub timeout_seconds: i32,

    /// The snapshot that a rollback restores, when it is not simply the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub revert_snapshot_id: Option<String>,
}

/// What the environment must be able to carry.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CapacityConstraints {
    /// How many sessions at once, 1 or more.
    #[serde(default = "default_max_concurrent_sessions")]
    #[x_kube(
        validation = Rule::new("self >= 1").message("maxConcurrentSessions must be 1 or more")
    )]
    pub max_concurrent_sessions: i64,

    /// How much memory, in megabytes, 1 or more.
    #[serde(default = "default_memory_limit_mb")]
    #[x_kube(
        validation = Rule::new("self >= 1").message("memoryLimitMb must be 1 or more (megabytes)")
    )]
    pub memory_limit_mb: i64,
}

/// How the environment is kept apart from others.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IsolationRules {
    /// How strictly tenants are kept apart; a word that Cognigy.AI knows.
    #[schemars(length(min = 1, max = 63))]
    pub tenant_boundary: String,

    /// The network segment that the environment must be in; left out of the validation when it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub network_segment: Option<String>,

    /// Whether the tenant's resource quota is checked as well.
    pub resource_quota_check: bool,
}

/// How the synthetic trace looks for conflicts.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TraceOptions {
    /// How many steps deep the trace follows a dialog, 1 to 100.
    #[serde(default = "default_simulation_depth")]
    #[x_kube(
        validation = Rule::new("self >= 1 && self <= 100").message("simulationDepth must be from 1 to 100")
    )]
    pub simulation_depth: i32,

    /// Whether the answer includes the graph of dependencies.
    #[serde(default = "yes")]
    pub include_dependency_graph: bool,

    /// Whether version conflicts are looked for.
    #[serde(default = "yes")]
    pub detect_version_conflicts: bool,
}

/// How the environment's health is watched after the rollout.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Monitoring {
    /// The least time between two looks at the job or the environment's health, in seconds, 1 to 3600.
    #[serde(default = "default_interval_seconds")]
    #[x_kube(
        validation = Rule::new("self >= 1 && self <= 3600").message("intervalSeconds must be from 1 to 3600 (an hour)")
    )]
    pub interval_seconds: i32,

    /// The error rate at which a healthy environment counts as bad, above 0 and up to 1.
    #[serde(default = "default_max_error_rate")]
    #[x_kube(
        validation = Rule::new("self > 0.0 && self <= 1.0").message("maxErrorRate must be above 0 and at most 1, for example 0.05 for five errors in a hundred")
    )]
    pub max_error_rate: f64,

    /// How many good health answers in a row end the monitoring with success, 1 to 100.
    #[serde(default = "default_success_threshold")]
    #[x_kube(
        validation = Rule::new("self >= 1 && self <= 100").message("successThreshold must be from 1 to 100 good answers in a row")
    )]
    pub success_threshold: i32,
}

/// What the author attests for the audit log.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Compliance {
    /// Whether governance has approved this configuration.
    pub governance_approved: bool,

    /// Whether data residency was checked for this configuration.
    pub data_residency_check: bool,
}

/// A Secret in the same namespace.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretReference {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Who is told when a rollout has ended.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.url) != has(self.urlFrom)")
        .message("write exactly one of webhook.url (the URL itself) and webhook.urlFrom (a Secret key that holds it)")
)]
pub struct Webhook {
    /// The URL to post to. A URL that is itself a secret belongs into a Secret: see urlFrom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    #[x_kube(
        validation = Rule::new("self.matches('^https?://[^/?#@\\\\s]+([/?][^#\\\\s]*)?$')")
            .message("webhook.url must be an http(s) URL without a user name or fragment, for example https://ci.example.com/hooks/cognigy")
    )]
    pub url: Option<String>,

    /// Where the URL is kept, when it is itself a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_from: Option<WebhookUrlSource>,
}

/// Where a webhook's URL is kept.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookUrlSource {
    /// A key of a Secret in the same namespace.
    pub secret_key_ref: SecretKeyReference,
}

/// A key of a Secret.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyReference {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// The key in the Secret's data.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// What becomes of the environment when its resource is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// What is deployed stays.
    #[default]
    Retain,
    /// A rollout that succeeded is rolled back before the resource goes.
    Rollback,
}

fn yes() -> bool {
    true
}

fn default_history_limit() -> i32 {
    10
}

fn default_health_threshold() -> i32 {
    3
}

fn default_timeout_seconds() -> i32 {
    300
}

fn default_max_concurrent_sessions() -> i64 {
    500
}

fn default_memory_limit_mb() -> i64 {
    4096
}

fn default_simulation_depth() -> i32 {
    5
}

fn default_interval_seconds() -> i32 {
    15
}

fn default_max_error_rate() -> f64 {
    0.05
}

fn default_success_threshold() -> i32 {
    1
}

impl Default for RollbackPolicy {
    fn default() -> Self {
        Self {
            auto_trigger: yes(),
            health_threshold: default_health_threshold(),
            timeout_seconds: default_timeout_seconds(),
            revert_snapshot_id: None,
        }
    }
}

impl Default for CapacityConstraints {
    fn default() -> Self {
        Self { max_concurrent_sessions: default_max_concurrent_sessions(), memory_limit_mb: default_memory_limit_mb() }
    }
}

impl Default for IsolationRules {
    fn default() -> Self {
        Self { tenant_boundary: "strict".to_owned(), network_segment: None, resource_quota_check: true }
    }
}

impl Default for TraceOptions {
    fn default() -> Self {
        Self {
            simulation_depth: default_simulation_depth(),
            include_dependency_graph: yes(),
            detect_version_conflicts: yes(),
        }
    }
}

impl Default for Monitoring {
    fn default() -> Self {
        Self {
            interval_seconds: default_interval_seconds(),
            max_error_rate: default_max_error_rate(),
            success_threshold: default_success_threshold(),
        }
    }
}
