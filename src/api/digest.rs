//! One hash for what an attempt deploys, and one for what it is checked against.
//!
//! A digest must never change by an upgrade of the operator: a new default in the CRD or a new field in the spec would
//! deploy a whole fleet again. So the hashed form is written out here, apart from the types, and golden tests guard it.

use super::snapshot::Snapshot;
use super::spec::CognigyDeploymentSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value, json};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// `v1:` and the SHA-256, in hexadecimal, over RFC 8785 canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// What is deployed: environment, snapshot, locks (in any order) and capacity.
    #[must_use]
    pub fn of_deployment(spec: &CognigyDeploymentSpec, snapshot: &Snapshot) -> Self {
        let mut locks: Vec<_> = spec.dependency_locks.iter().collect();
        locks.sort_by(|left, right| left.package_name.cmp(&right.package_name));
        let locks: Vec<Value> = locks
            .into_iter()
            .map(|lock| json!({"packageName": lock.package_name, "pinned": lock.pinned, "version": lock.version}))
            .collect();
        Self::of(&json!({
            "capacityConstraints": {
                "maxConcurrentSessions": spec.capacity_constraints.max_concurrent_sessions,
                "memoryLimitMb": spec.capacity_constraints.memory_limit_mb,
            },
            "configurationSnapshot": exact_object(snapshot.as_map()),
            "dependencyLocks": locks,
            "environmentId": spec.environment_id.as_str(),
        }))
    }

    /// What a deployment is checked against before its submit: isolation rules and trace options.
    #[must_use]
    pub fn of_checks(spec: &CognigyDeploymentSpec) -> Self {
        let mut isolation = json!({
            "resourceQuotaCheck": spec.isolation_rules.resource_quota_check,
            "tenantBoundary": spec.isolation_rules.tenant_boundary,
        });
        if let Some(segment) = &spec.isolation_rules.network_segment {
            isolation["networkSegment"] = json!(segment);
        }
        Self::of(&json!({
            "isolationRules": isolation,
            "traceOptions": {
                "detectVersionConflicts": spec.trace_options.detect_version_conflicts,
                "includeDependencyGraph": spec.trace_options.include_dependency_graph,
                "simulationDepth": spec.trace_options.simulation_depth,
            },
        }))
    }

    // Canonicalising fails only for numbers that are not finite and keys that are not text: a `Value` has neither.
    #[allow(clippy::expect_used)]
    fn of(document: &Value) -> Self {
        let canonical = serde_json_canonicalizer::to_vec(document).expect("a JSON value has a canonical form");
        Self(format!("v1:{}", hex::encode(Sha256::digest(&canonical))))
    }

    /// The digest as it stands in status.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Enough of the digest to tell two apart in a message.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..15).unwrap_or(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn exact_object(map: &Map<String, Value>) -> Value {
    Value::Object(map.iter().map(|(key, value)| (key.clone(), exact(value))).collect())
}

/// RFC 8785 writes every number as a double, so that two large integers which differ would hash alike; those that a
/// double cannot hold are hashed as text that no snapshot can contain.
fn exact(value: &Value) -> Value {
    match value {
        Value::Number(number) if is_beyond_double(number) => Value::String(format!("\u{0}integer:{number}")),
        Value::Array(items) => Value::Array(items.iter().map(exact).collect()),
        Value::Object(map) => exact_object(map),
        other => other.clone(),
    }
}

fn is_beyond_double(number: &Number) -> bool {
    const LARGEST_EXACT: u64 = (1 << 53) - 1;
    number
        .as_i64()
        .map(i64::unsigned_abs)
        .or_else(|| number.as_u64())
        .is_some_and(|magnitude| magnitude > LARGEST_EXACT)
}
