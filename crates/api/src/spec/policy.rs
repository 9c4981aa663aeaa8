//! The settings for the checks, the monitoring and the rollback of a deployment.

use super::AfterSuccess;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

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

    /// The package's version. If the lock is pinned, an exact version such as 3.2.0.
    #[schemars(length(min = 1, max = 128))]
    pub version: String,

    /// Whether Cognigy.AI must use exactly this version.
    #[serde(default = "yes")]
    pub pinned: bool,
}

/// When a rollout counts as failed, and what the operator does then.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RollbackPolicy {
    /// Whether the operator rolls back a failed rollout automatically. If false, it reports the failure and waits for a person.
    #[serde(default = "yes")]
    pub auto_trigger: bool,

    /// How many bad health answers in a row make a rollout fail, from 1 to 100.
    #[serde(default = "default_health_threshold")]
    #[x_kube(
        validation = Rule::new("self >= 1 && self <= 100").message("healthThreshold must be from 1 to 100 bad answers in a row")
    )]
    pub health_threshold: i32,

    /// How long a rollout may take from its submit until it is healthy, in seconds, from 1 to 86400 (a day).
    #[serde(default = "default_timeout_seconds")]
    #[x_kube(
        validation = Rule::new("self >= 1 && self <= 86400").message("timeoutSeconds must be from 1 to 86400 (a day)")
    )]
    pub timeout_seconds: i32,

    /// The id of the snapshot that a rollback restores. If it is not set, Cognigy.AI restores the previous snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub revert_snapshot_id: Option<String>,
}

impl RollbackPolicy {
    /// How long a rollout may take from its submit to a verdict.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.timeout_seconds).unwrap_or(1))
    }
}

/// The load that the environment must be able to carry.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CapacityConstraints {
    /// How many sessions run at the same time, 1 or more.
    #[serde(default = "default_max_concurrent_sessions")]
    #[x_kube(
        validation = Rule::new("self >= 1").message("maxConcurrentSessions must be 1 or more")
    )]
    pub max_concurrent_sessions: i64,

    /// How much memory the sessions need, in megabytes, 1 or more.
    #[serde(default = "default_memory_limit_mb")]
    #[x_kube(
        validation = Rule::new("self >= 1").message("memoryLimitMb must be 1 or more (megabytes)")
    )]
    pub memory_limit_mb: i64,
}

/// How the environment is isolated from others.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IsolationRules {
    /// How strictly tenants are isolated: a value that Cognigy.AI defines, for example strict.
    #[schemars(length(min = 1, max = 63))]
    pub tenant_boundary: String,

    /// The network segment that the environment must be in. If it is not set, the validation does not check the segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub network_segment: Option<String>,

    /// Whether the validation also checks the tenant's resource quota.
    pub resource_quota_check: bool,
}

/// How the synthetic trace looks for conflicts.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TraceOptions {
    /// The maximum number of steps of a dialog that the trace follows, from 1 to 100.
    #[serde(default = "default_simulation_depth")]
    #[x_kube(
        validation = Rule::new("self >= 1 && self <= 100").message("simulationDepth must be from 1 to 100")
    )]
    pub simulation_depth: i32,

    /// Whether the answer includes the dependency graph.
    #[serde(default = "yes")]
    pub include_dependency_graph: bool,

    /// Whether the trace looks for version conflicts.
    #[serde(default = "yes")]
    pub detect_version_conflicts: bool,
}

/// How the job and the environment's health are watched.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.maxIntervalSeconds) || self.maxIntervalSeconds >= self.intervalSeconds")
        .message("maxIntervalSeconds must not be under intervalSeconds: raise maxIntervalSeconds, lower intervalSeconds, or leave maxIntervalSeconds out")
)]
pub struct Monitoring {
    /// The shortest time between two polls of the job or of the environment's health, in seconds, from 1 to 3600.
    #[serde(default = "default_interval_seconds")]
    #[x_kube(
        validation = Rule::new("self >= 1 && self <= 3600").message("intervalSeconds must be from 1 to 3600 (an hour)")
    )]
    pub interval_seconds: i32,

    /// The longest time between two polls, in seconds, from 1 to 3600 and at least intervalSeconds. Polls become less frequent
    /// only while more rollouts are in flight than the request budget can poll at their intervals. The default is eight times
    /// intervalSeconds. The operator shortens the time if the deadline requires it. While health is bad or cannot be read, the
    /// time is intervalSeconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("self >= 1 && self <= 3600").message("maxIntervalSeconds must be from 1 to 3600 (an hour)")
    )]
    pub max_interval_seconds: Option<i32>,

    /// If the error rate reaches this value, health counts as bad, even if the environment reports healthy. Above 0, and at most 1.
    #[serde(default = "default_max_error_rate")]
    #[x_kube(
        validation = Rule::new("self > 0.0 && self <= 1.0").message("maxErrorRate must be above 0 and at most 1, for example 0.05 for five errors in a hundred")
    )]
    pub max_error_rate: f64,

    /// How many good health answers in a row make a rollout succeed, from 1 to 100.
    #[serde(default = "default_success_threshold")]
    #[x_kube(
        validation = Rule::new("self >= 1 && self <= 100").message("successThreshold must be from 1 to 100 good answers in a row")
    )]
    pub success_threshold: i32,

    /// How the environment's health is watched after the rollout has succeeded. If it is not set, health is not watched then; an
    /// empty object uses the defaults. Cognigy.AI has no call that says which configuration an environment runs, so a change that
    /// somebody makes there by hand is noticed only if health becomes bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_success: Option<AfterSuccess>,
}

impl Monitoring {
    /// The shortest time between two polls.
    #[must_use]
    pub fn interval(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.interval_seconds).unwrap_or(1))
    }
}

/// Your statements about this configuration for the audit log.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Compliance {
    /// Whether governance has approved this configuration.
    pub governance_approved: bool,

    /// Whether data residency was checked for this configuration.
    pub data_residency_check: bool,
}

/// What happens to the environment when its resource is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// The operator keeps the deployed configuration.
    #[default]
    Retain,
    /// Before the resource is removed, the operator rolls back its configuration, if the environment still runs it.
    Rollback,
}

fn yes() -> bool {
    true
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
            max_interval_seconds: None,
            max_error_rate: default_max_error_rate(),
            success_threshold: default_success_threshold(),
            after_success: None,
        }
    }
}
