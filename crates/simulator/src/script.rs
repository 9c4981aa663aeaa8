//! The script of one environment: its properties, and the events in it.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fault::{Call, FaultRule};
use super::identifier::{ClientId, EnvironmentId};
use super::scenario::ScenarioError;
use super::time::Seconds;

/// One environment and its events.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct EnvironmentScript {
    /// The capacity of the environment.
    pub capacity: Capacity,
    /// The client that owns this environment; every client if empty. Other clients get 403.
    pub allowed_clients: BTreeSet<ClientId>,
    /// The `isolationRules` that the environment requires.
    pub isolation: Isolation,
    /// Packages that the environment provides, by name, such as `cognigy-nlp-core: 3.2.0`. The trace compares the
    /// snapshot with them.
    pub runtime: BTreeMap<String, String>,
    /// The configuration that is deployed before the first job.
    pub deployed: Option<InitialDeployment>,
    /// Errors that every validation reports, regardless of its request.
    pub validation_errors: Vec<Value>,
    /// Warnings that every validation reports.
    pub validation_warnings: Vec<Value>,
    /// Conflicts that every trace reports.
    pub trace_conflicts: Vec<Value>,
    /// The status of every trace, instead of the one that follows from its conflicts.
    pub trace_status: Option<String>,
    /// How long a job takes.
    pub job_duration_seconds: Option<Seconds>,
    /// How a job ends.
    pub job_outcome: JobOutcome,
    /// How long after a job's completion the platform rolls it back automatically. Never by default.
    pub platform_rollback_after_seconds: Option<Seconds>,
    /// How long a rollback takes.
    pub rollback_duration_seconds: Option<Seconds>,
    /// Whether a job's deployment is unhealthy until it is rolled back; false by default.
    pub deployments_are_unhealthy: bool,
    /// Snapshots that make this environment unhealthy.
    pub bad_snapshots: Vec<SnapshotPattern>,
    /// Scripted answers to health requests.
    pub health: HealthScript,
    /// Faults of calls that concern this environment.
    pub faults: Vec<FaultRule>,
}

/// The capacity of an environment. The default is a little more than twice what the contract's sample requests, so the
/// sample's `capacityUtilization` is 0.42.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Capacity {
    /// Concurrent sessions.
    pub max_concurrent_sessions: NonZeroU32,
    /// Memory in MiB.
    pub memory_limit_mb: NonZeroU32,
}

impl Default for Capacity {
    fn default() -> Self {
        Self {
            max_concurrent_sessions: NonZeroU32::MIN.saturating_add(1199),
            memory_limit_mb: NonZeroU32::MIN.saturating_add(10_239),
        }
    }
}

/// The `isolationRules` that an environment requires; an omitted field requires nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Isolation {
    /// The only `tenantBoundary` that is valid.
    pub tenant_boundary: Option<String>,
    /// The only `networkSegment` that is valid.
    pub network_segment: Option<String>,
}

/// The configuration that is deployed in an environment before the first job.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct InitialDeployment {
    /// Its identifier.
    pub snapshot_id: Option<String>,
    /// Its content; the content of `snapshots[snapshotId]` if omitted.
    pub configuration_snapshot: Option<Value>,
}

/// How a job ends.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum JobOutcome {
    /// The snapshot is deployed.
    #[default]
    Completed,
    /// `failed`: a part of the snapshot is applied, and the environment is unhealthy until a rollback.
    Failed,
    /// `error`: the same effect as `failed`.
    Error,
    /// `cancelled`: the environment does not change.
    Cancelled,
    /// `rolled_back`: the platform gave up and restored the earlier configuration.
    RolledBack,
    /// The job runs forever.
    NeverEnds,
}

/// Matches snapshots that have at least these fields with these values. The empty pattern
/// matches every snapshot.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct SnapshotPattern(Map<String, Value>);

impl SnapshotPattern {
    /// Whether `snapshot` has every field of the pattern, with the same value.
    #[must_use]
    pub fn matches(&self, snapshot: &Value) -> bool {
        snapshot.is_object() && self.0.iter().all(|(field, value)| snapshot.get(field) == Some(value))
    }
}

/// Scripted answers to an environment's health requests.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct HealthScript {
    /// How many answers are `unhealthy` before all others; 0 by default.
    pub unhealthy_times: u32,
    /// The next answers, one for each request.
    pub answers: Vec<HealthAnswer>,
    /// All later answers.
    pub then: HealthAnswer,
}

impl HealthScript {
    /// The answer to the request after `given` answers.
    pub(super) fn answer(&self, given: usize) -> &HealthAnswer {
        let unhealthy = usize::try_from(self.unhealthy_times).unwrap_or(usize::MAX);
        match given.checked_sub(unhealthy) {
            None => &HealthAnswer::Unhealthy,
            Some(index) => self.answers.get(index).unwrap_or(&self.then),
        }
    }
}

/// One answer to a health request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HealthAnswer {
    /// The true health of the deployed configuration.
    #[default]
    Honest,
    /// `healthy`, with an error rate of 0.01.
    Healthy,
    /// `unhealthy`, with an error rate of 0.37.
    Unhealthy,
    /// `healthy`, with an error rate of 0.37.
    HighErrorRate,
    /// `healthy`, without an error rate.
    Unreadable,
    /// This JSON.
    Body(Value),
}

impl EnvironmentScript {
    /// Reads one environment's script from YAML or JSON.
    ///
    /// # Errors
    /// The same errors as for [`Scenario::parse`](super::Scenario::parse).
    pub fn parse(text: &str, id: &EnvironmentId) -> Result<Self, ScenarioError> {
        let script: Self = serde_saphyr::from_str(text).map_err(|error| ScenarioError::Syntax(error.to_string()))?;
        script.check(id)?;
        Ok(script)
    }

    /// Checks rules that the types cannot express.
    pub(super) fn check(&self, id: &EnvironmentId) -> Result<(), ScenarioError> {
        for rule in &self.faults {
            if rule.call == Call::Token {
                return Err(ScenarioError::TokenFaultInEnvironment(id.clone()));
            }
            if rule.environment.is_some() {
                return Err(ScenarioError::FaultNamesEnvironment(id.clone()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_by_its_fields() {
        let pattern: SnapshotPattern = serde_json::from_str(r#"{"botVersion": "2.5.0"}"#).unwrap();
        let matches = |text| pattern.matches(&serde_json::from_str(text).unwrap());
        assert!(matches(r#"{"botVersion": "2.5.0", "nlpEngine": "v3.2"}"#));
        assert!(!matches(r#"{"botVersion": "2.4.1"}"#));
        assert!(!matches("null"));
    }
}
