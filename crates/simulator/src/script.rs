//! The script of one environment: what it is like, and what happens in it.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fault::{Call, FaultRule};
use super::identifier::{ClientId, EnvironmentId};
use super::moment::Seconds;
use super::scenario::ScenarioError;

/// One environment and what happens in it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct EnvironmentScript {
    /// What the environment can hold.
    pub capacity: Capacity,
    /// Whose environment this is; anyone's where empty. Others get 403.
    pub allowed_clients: BTreeSet<ClientId>,
    /// What the environment asks of `isolationRules`.
    pub isolation: Isolation,
    /// Packages the environment provides, by name, such as `cognigy-nlp-core: 3.2.0`. The trace
    /// compares the snapshot with them.
    pub runtime: BTreeMap<String, String>,
    /// What runs there before the first job.
    pub deployed: Option<InitialDeployment>,
    /// Errors that every validation finds, whatever it is asked.
    pub validation_errors: Vec<Value>,
    /// Warnings that every validation gives.
    pub validation_warnings: Vec<Value>,
    /// Conflicts that every trace finds.
    pub trace_conflicts: Vec<Value>,
    /// The status every trace ends with, in place of the one that follows from its conflicts.
    pub trace_status: Option<String>,
    /// How long a job takes.
    pub job_duration_seconds: Option<Seconds>,
    /// How a job ends.
    pub job_outcome: JobOutcome,
    /// After a job has completed: how long until the platform rolls it back by itself. Never by default.
    pub platform_rollback_after_seconds: Option<Seconds>,
    /// How long a rollback takes.
    pub rollback_duration_seconds: Option<Seconds>,
    /// Whether what a job deploys is unhealthy until it is rolled back; false by default.
    pub deployments_are_unhealthy: bool,
    /// Snapshots that make this environment unhealthy.
    pub bad_snapshots: Vec<SnapshotPattern>,
    /// Scripted answers to health requests.
    pub health: HealthScript,
    /// Faults of calls that concern this environment.
    pub faults: Vec<FaultRule>,
}

/// What an environment can hold. By default a little more than twice what the contract's sample
/// asks for, so that its `capacityUtilization` comes out as 0.42.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Capacity {
    /// Sessions at a time.
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

/// What an environment asks of `isolationRules`; nothing where a field is left out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Isolation {
    /// The only `tenantBoundary` that is valid.
    pub tenant_boundary: Option<String>,
    /// The only `networkSegment` that is valid.
    pub network_segment: Option<String>,
}

/// What runs in an environment before the first job.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct InitialDeployment {
    /// Its identifier.
    pub snapshot_id: Option<String>,
    /// Its content; that of `snapshots[snapshotId]` where left out.
    pub configuration_snapshot: Option<Value>,
}

/// How a job ends.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum JobOutcome {
    /// The snapshot is deployed.
    #[default]
    Completed,
    /// `failed`: the snapshot is half applied, and the environment unhealthy until a rollback.
    Failed,
    /// `error`: as `failed`.
    Error,
    /// `cancelled`: the environment stays as it was.
    Cancelled,
    /// `rolled_back`: the platform gave up and restored what was there.
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
    /// How many answers are `unhealthy` before anything else; 0 by default.
    pub unhealthy_times: u32,
    /// The next answers, one a request.
    pub answers: Vec<HealthAnswer>,
    /// All answers after them.
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
    /// By what is deployed.
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
    /// As [`Scenario::parse`](super::Scenario::parse).
    pub fn parse(text: &str, id: &EnvironmentId) -> Result<Self, ScenarioError> {
        let script: Self = serde_saphyr::from_str(text).map_err(|error| ScenarioError::Syntax(error.to_string()))?;
        script.check(id)?;
        Ok(script)
    }

    /// What the types alone cannot rule out.
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
    fn a_pattern_matches_by_the_fields_it_names() {
        let pattern: SnapshotPattern = serde_json::from_str(r#"{"botVersion": "2.5.0"}"#).unwrap();
        let matches = |text| pattern.matches(&serde_json::from_str(text).unwrap());
        assert!(matches(r#"{"botVersion": "2.5.0", "nlpEngine": "v3.2"}"#));
        assert!(!matches(r#"{"botVersion": "2.4.1"}"#));
        assert!(!matches("null"));
    }
}
