//! The request bodies of the contract, with the same fields in the same order.

use bytes::Bytes;
use jiff::Timestamp;
use platform::{EnvironmentId, JobId};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

/// Section 1: validate whether the environment can run the snapshot.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ValidateRequest<'a> {
    /// The environment.
    pub environment_id: &'a EnvironmentId,
    /// The user's own JSON, passed on without changes.
    pub configuration_snapshot: &'a RawValue,
    /// The capacity that the environment may use.
    pub capacity_constraints: CapacityConstraints,
    /// The isolation of the environment.
    pub isolation_rules: IsolationRules<'a>,
}

/// The capacity. Its fields are snake_case in every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CapacityConstraints {
    /// The number of concurrent sessions.
    pub max_concurrent_sessions: u64,
    /// Memory, in MiB as the API counts it.
    pub memory_limit_mb: u64,
}

/// Isolation rules, as the validation checks them.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IsolationRules<'a> {
    /// How tenants are isolated from each other, for example `strict`.
    pub tenant_boundary: &'a str,
    /// The network segment; omitted if the user named none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_segment: Option<&'a str>,
    /// Whether quotas are checked.
    pub resource_quota_check: bool,
}

/// Section 2: trace whether the snapshot's dependencies are compatible.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TraceRequest<'a> {
    /// The environment.
    pub environment_id: &'a EnvironmentId,
    /// The user's own JSON, passed on without changes.
    pub configuration_snapshot: &'a RawValue,
    /// The options of the trace.
    pub trace_options: TraceOptions,
}

/// Options of the synthetic trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TraceOptions {
    /// How many steps are simulated, 1 to 100.
    pub simulation_depth: u32,
    /// Whether the answer contains the dependency graph.
    pub include_dependency_graph: bool,
    /// Whether versions are compared.
    pub detect_version_conflicts: bool,
}

/// Section 3: roll the snapshot out. All fields except the last are snake_case.
#[derive(Debug, Clone, Serialize)]
pub struct SubmitRequest<'a> {
    /// The environment.
    pub environment_id: &'a EnvironmentId,
    /// The user's own JSON, passed on without changes.
    pub configuration_snapshot: &'a RawValue,
    /// The locked packages, in the user's order.
    pub dependency_locks: Vec<DependencyLock<'a>>,
    /// The platform's own reaction to a bad rollout.
    pub rollback_policy: RollbackPolicy<'a>,
    /// The capacity that the environment may use.
    pub capacity_constraints: CapacityConstraints,
    /// The URL to which the platform reports the outcome (section 8); `null` if there is none.
    #[serde(rename = "webhookCallbackUrl")]
    pub webhook_callback_url: Option<&'a str>,
}

/// The `webhookCallbackUrl` in the bytes of a [`SubmitRequest`], if there is one.
pub(crate) fn webhook_callback_url(submit: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Callback {
        webhook_callback_url: Option<String>,
    }
    serde_json::from_slice::<Callback>(submit).ok()?.webhook_callback_url
}

/// One package that is locked to a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DependencyLock<'a> {
    /// The package.
    pub package_name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Whether exactly this version is required.
    pub pinned: bool,
}

/// The platform's own rollback policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RollbackPolicy<'a> {
    /// Whether the platform may roll back by itself.
    pub auto_trigger: bool,
    /// The number of consecutive bad answers, 1 to 100.
    pub health_threshold: u32,
    /// The maximum duration of the rollout in seconds, 1 to 86400.
    pub timeout_seconds: u32,
    /// The snapshot to roll back to; `null` if the user named none.
    pub revert_snapshot_id: Option<&'a str>,
}

/// Section 6: roll a rollout back.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct RollbackRequest {
    pub(crate) reason: &'static str,
}

/// Section 7: the audit record of a rollout that was submitted.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRecord<'a> {
    /// When the outcome was decided.
    #[serde(serialize_with = "as_microseconds")]
    pub timestamp: Timestamp,
    /// The rollout's job.
    pub job_id: Option<&'a JobId>,
    /// Whether the environment runs the new configuration.
    pub deployment_success: bool,
    /// Seconds from the submit to the outcome.
    pub duration_seconds: f64,
    /// The record's category. It is always `environment_deployment`.
    pub audit_category: AuditCategory,
    /// The user's statements in `spec.compliance`.
    pub compliance_flags: ComplianceFlags,
}

/// The category of every record that we send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditCategory {
    /// A rollout into an environment.
    #[default]
    EnvironmentDeployment,
}

/// The user's statements in `spec.compliance`; false by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ComplianceFlags {
    /// The change was approved.
    pub governance_approved: bool,
    /// The data stays in its required region.
    pub data_residency_check: bool,
}

impl SubmitRequest<'_> {
    /// The body, byte for byte as it is sent. The caller keeps it until the submit is answered.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        encode(self)
    }
}

impl AuditRecord<'_> {
    /// The body, byte for byte as it is sent.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        encode(self)
    }
}

/// A body as JSON.
#[expect(
    clippy::expect_used,
    reason = "only the types of this file are encoded: their keys are text, and writing to memory does not fail"
)]
pub(crate) fn encode(body: &impl Serialize) -> Bytes {
    serde_json::to_vec(body).expect("plain data with text keys is always JSON").into()
}

/// The time in the form `2026-01-01T12:00:00.000000+00:00`: six decimal places, and an explicit offset.
fn as_microseconds<S: Serializer>(timestamp: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&timestamp.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use api::status::RollbackReason;

    fn text(bytes: &Bytes) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_audit_record_has_the_exact_bytes_of_the_contract() {
        let job_id = "job_8f3a2c".parse().unwrap();
        let record = AuditRecord {
            timestamp: "2026-01-01T12:00:00Z".parse().unwrap(),
            job_id: Some(&job_id),
            deployment_success: true,
            duration_seconds: 42.5,
            audit_category: AuditCategory::default(),
            compliance_flags: ComplianceFlags { governance_approved: true, data_residency_check: true },
        };
        assert_eq!(
            text(&record.to_bytes()),
            r#"{"timestamp":"2026-01-01T12:00:00.000000+00:00","jobId":"job_8f3a2c","deploymentSuccess":true,"durationSeconds":42.5,"auditCategory":"environment_deployment","complianceFlags":{"governanceApproved":true,"dataResidencyCheck":true}}"#
        );
        let later = AuditRecord { timestamp: "2026-01-01T14:00:00.123456789+02:00".parse().unwrap(), ..record };
        assert!(text(&later.to_bytes()).contains(r#""2026-01-01T12:00:00.123456+00:00""#));
    }

    #[test]
    fn every_rollback_reason_is_a_value_of_the_contract() {
        for (reason, word) in [
            (RollbackReason::HealthCheckFailure, "health_check_failure"),
            (RollbackReason::DeploymentFailed, "deployment_failed"),
            (RollbackReason::Timeout, "timeout"),
            (RollbackReason::Manual, "manual"),
            (RollbackReason::ResourceDeleted, "resource_deleted"),
        ] {
            let body = encode(&RollbackRequest { reason: reason.as_str() });
            assert_eq!(text(&body), format!(r#"{{"reason":"{word}"}}"#));
        }
    }

    #[test]
    fn omitted_fields_are_null_or_omitted() {
        let environment_id = "env".parse().unwrap();
        let snapshot = RawValue::from_string(r#"{"b": 1, "a": [2.50, "ü"]}"#.to_owned()).unwrap();
        let capacity = CapacityConstraints { max_concurrent_sessions: 1, memory_limit_mb: 2 };
        let validate = ValidateRequest {
            environment_id: &environment_id,
            configuration_snapshot: &snapshot,
            capacity_constraints: capacity,
            isolation_rules: IsolationRules {
                tenant_boundary: "strict",
                network_segment: None,
                resource_quota_check: false,
            },
        };
        assert!(
            text(&encode(&validate))
                .ends_with(r#""isolationRules":{"tenantBoundary":"strict","resourceQuotaCheck":false}}"#)
        );
        let submit = SubmitRequest {
            environment_id: &environment_id,
            configuration_snapshot: &snapshot,
            dependency_locks: Vec::new(),
            rollback_policy: RollbackPolicy {
                auto_trigger: false,
                health_threshold: 1,
                timeout_seconds: 1,
                revert_snapshot_id: None,
            },
            capacity_constraints: capacity,
            webhook_callback_url: None,
        };
        let body = submit.to_bytes();
        assert!(text(&body).contains(r#""configuration_snapshot":{"b": 1, "a": [2.50, "ü"]},"dependency_locks":[],"#));
        assert_eq!(webhook_callback_url(&body), None);
        let url = "https://ci.example.com/\"hooks";
        let submit = SubmitRequest { webhook_callback_url: Some(url), ..submit };
        assert_eq!(webhook_callback_url(&submit.to_bytes()).as_deref(), Some(url));
        assert!(text(&body).contains(r#""revert_snapshot_id":null}"#));
        assert!(text(&body).ends_with(r#""webhookCallbackUrl":null}"#));
    }
}
