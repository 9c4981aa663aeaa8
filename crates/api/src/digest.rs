//! One hash for what an attempt deploys, and one for what it is checked against.
//!
//! A digest must never change by an upgrade of the operator: a new default in the CRD or a new field in the spec would
//! deploy a whole fleet again. So the hashed form is written out here, apart from the types, and golden tests guard it.

use super::snapshot::{Outline, Snapshot, SnapshotProblem, write_canonical};
use super::spec::CognigyDeploymentSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// `v1:` and the SHA-256, in hexadecimal, over RFC 8785 canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// What is deployed: environment, snapshot, locks (in any order) and capacity.
    ///
    /// # Errors
    /// [`SnapshotProblem`], if the snapshot cannot be deployed.
    pub fn of_deployment(spec: &CognigyDeploymentSpec, snapshot: &Snapshot) -> Result<Self, SnapshotProblem> {
        let mut locks: Vec<_> = spec.dependency_locks.iter().collect();
        locks.sort_by(|left, right| left.package_name.cmp(&right.package_name));
        let locks: Vec<Value> = locks
            .into_iter()
            .map(|lock| json!({"packageName": lock.package_name, "pinned": lock.pinned, "version": lock.version}))
            .collect();
        let capacity = json!({
            "maxConcurrentSessions": spec.capacity_constraints.max_concurrent_sessions,
            "memoryLimitMb": spec.capacity_constraints.memory_limit_mb,
        });
        let outline = Outline::of(snapshot.text())?;
        // One canonical object, its keys in their order, of which the snapshot is never held as a whole.
        let mut hash = Sha256::new();
        hash.update(br#"{"capacityConstraints":"#);
        hash.update(canonical(&capacity));
        hash.update(br#","configurationSnapshot":"#);
        write_canonical(&outline, |piece| hash.update(piece));
        hash.update(br#","dependencyLocks":"#);
        hash.update(canonical(&locks.into()));
        hash.update(br#","environmentId":"#);
        hash.update(canonical(&spec.environment_id.as_str().into()));
        hash.update(b"}");
        Ok(Self::from_hash(&hash.finalize()))
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
        let document = json!({
            "isolationRules": isolation,
            "traceOptions": {
                "detectVersionConflicts": spec.trace_options.detect_version_conflicts,
                "includeDependencyGraph": spec.trace_options.include_dependency_graph,
                "simulationDepth": spec.trace_options.simulation_depth,
            },
        });
        Self::from_hash(&Sha256::digest(canonical(&document)))
    }

    fn from_hash(hash: &[u8]) -> Self {
        Self(format!("v1:{}", hex::encode(hash)))
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

/// The canonical form of what is small and of our own making.
// Canonicalising fails only for numbers that are not finite and keys that are not text: a `Value` has neither.
#[allow(clippy::expect_used)]
fn canonical(document: &Value) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(document).expect("a JSON value has a canonical form")
}
