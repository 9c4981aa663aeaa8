//! The two digests of a spec: one identifies the deployed configuration, the other the checks before the submit.
//!
//! An upgrade of the operator must never change a digest. Otherwise a new default in the CRD or a new field in the spec would
//! deploy every configuration again. So this file lists the hashed fields explicitly, and golden tests guard the digests.

use super::CognigyDeploymentSpec;
use crate::digest::Digest;
use crate::snapshot::{Outline, Snapshot, SnapshotProblem, write_canonical};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

impl Digest {
    /// The digest of the configuration: environment, snapshot, dependency locks (in any order) and capacity.
    ///
    /// # Errors
    /// [`SnapshotProblem`] if the snapshot cannot be deployed.
    pub fn of_deployment(spec: &CognigyDeploymentSpec, snapshot: &Snapshot) -> Result<Self, SnapshotProblem> {
        Ok(ConfigurationDigests::of(spec, snapshot)?.deployment)
    }

    /// The digest of the release: snapshot and dependency locks (in any order). Two environments that run the same release have the
    /// same digest, whatever their names and capacities are.
    ///
    /// # Errors
    /// [`SnapshotProblem`] if the snapshot cannot be deployed.
    pub fn of_release(spec: &CognigyDeploymentSpec, snapshot: &Snapshot) -> Result<Self, SnapshotProblem> {
        Ok(ConfigurationDigests::of(spec, snapshot)?.release)
    }

    /// The digest of the options of the checks before the submit: isolation rules and trace options.
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
}

/// The digests of a configuration. They are computed together, because making a large snapshot canonical takes longer than hashing
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationDigests {
    /// What is deployed: environment, snapshot, dependency locks and capacity.
    pub deployment: Digest,
    /// The part of it that moves from one environment to the next: snapshot and dependency locks.
    pub release: Digest,
}

impl ConfigurationDigests {
    /// The digests of a configuration.
    ///
    /// # Errors
    /// [`SnapshotProblem`] if the snapshot cannot be deployed.
    pub fn of(spec: &CognigyDeploymentSpec, snapshot: &Snapshot) -> Result<Self, SnapshotProblem> {
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
        let locks = canonical(&locks.into());
        // Each digest is over one canonical object with sorted keys. The canonical snapshot is hashed in pieces and never held as a
        // whole.
        let (mut deployment, mut release) = (Sha256::new(), Sha256::new());
        deployment.update(br#"{"capacityConstraints":"#);
        deployment.update(canonical(&capacity));
        deployment.update(br#","configurationSnapshot":"#);
        release.update(br#"{"configurationSnapshot":"#);
        write_canonical(&outline, |piece| {
            deployment.update(piece);
            release.update(piece);
        });
        for hash in [&mut deployment, &mut release] {
            hash.update(br#","dependencyLocks":"#);
            hash.update(&locks);
        }
        deployment.update(br#","environmentId":"#);
        deployment.update(canonical(&spec.environment_id.as_str().into()));
        deployment.update(b"}");
        release.update(b"}");
        Ok(Self {
            deployment: Digest::from_hash(&deployment.finalize()),
            release: Digest::from_hash(&release.finalize()),
        })
    }
}

/// The canonical form of a small document that the operator builds itself.
// Canonicalization fails only for numbers that are not finite and for keys that are not text. A `Value` has neither.
#[allow(clippy::expect_used)]
fn canonical(document: &Value) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(document).expect("a JSON value has a canonical form")
}
