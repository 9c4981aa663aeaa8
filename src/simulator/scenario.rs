//! Scenarios: what the simulated platform is like and what goes wrong on it, as people write it
//! in YAML or JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU32;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::fault::{Call, FaultRule};
use super::identifier::{ClientId, EnvironmentId};
use super::moment::Seconds;

/// A simulated platform. Everything has a default: the empty scenario is a healthy platform that
/// accepts the client `demo` with the secret `demo-secret`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Scenario {
    /// Who may ask for a token.
    pub clients: Vec<Client>,
    /// Life of a token in seconds, 1 or more; 3600 by default.
    pub token_lifetime_seconds: NonZeroU32,
    /// How many requests a client may send.
    pub rate_limit: RateLimit,
    /// Whether the platform knows `Idempotency-Key`.
    pub idempotency: Idempotency,
    /// How long the platform remembers an idempotency key; 24 hours by default.
    pub idempotency_key_lifetime_seconds: Seconds,
    /// How long a job takes where its environment does not say; 0 (completed when first asked) by default.
    pub job_duration_seconds: Seconds,
    /// How long a rollback takes where its environment does not say; 0 by default.
    pub rollback_duration_seconds: Seconds,
    /// Whether an environment that the scenario does not name comes into being when first
    /// mentioned; otherwise it is answered with 404. True by default.
    pub create_environments: bool,
    /// Environments that are not like the default one.
    pub environments: BTreeMap<EnvironmentId, EnvironmentScript>,
    /// Snapshots the platform keeps, by the identifier that `revert_snapshot_id` names.
    pub snapshots: BTreeMap<String, Value>,
    /// Snapshots that make any environment unhealthy.
    pub bad_snapshots: Vec<SnapshotPattern>,
    /// Faults of calls in any environment, and of calls that belong to none.
    pub faults: Vec<FaultRule>,
    /// How many requests, audit records and webhooks are kept to be read back, each; the oldest
    /// go first. 100 000 by default.
    pub journal_limit: usize,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            clients: vec![Client::default()],
            token_lifetime_seconds: NonZeroU32::MIN.saturating_add(3599),
            rate_limit: RateLimit::default(),
            idempotency: Idempotency::default(),
            idempotency_key_lifetime_seconds: Seconds::whole(24 * 60 * 60),
            job_duration_seconds: Seconds::default(),
            rollback_duration_seconds: Seconds::default(),
            create_environments: true,
            environments: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            bad_snapshots: Vec::new(),
            faults: Vec::new(),
            journal_limit: 100_000,
        }
    }
}

/// OAuth2 client credentials that the platform knows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Client {
    /// The `client_id`.
    pub client_id: ClientId,
    /// The `client_secret`.
    pub client_secret: ClientSecret,
    /// What the client may do; everything by default. A token asked for with more gets only these.
    #[serde(default = "Scope::all")]
    pub scopes: BTreeSet<Scope>,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            client_id: ClientId::new("demo"),
            client_secret: ClientSecret("demo-secret".to_owned()),
            scopes: Scope::all(),
        }
    }
}

/// A `client_secret`. Its `Debug` shows nothing of it.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct ClientSecret(String);

impl ClientSecret {
    /// The secret's text. It guards nothing real, and the command shows it to whoever starts it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ClientSecret(..)")
    }
}

/// One permission of a token.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
pub enum Scope {
    /// Submit and roll back.
    #[serde(rename = "deployments:write")]
    DeploymentsWrite,
    /// Read an environment's health.
    #[serde(rename = "environments:read")]
    EnvironmentsRead,
    /// Read jobs.
    #[serde(rename = "jobs:read")]
    JobsRead,
    /// Validate and trace.
    #[serde(rename = "validations:execute")]
    ValidationsExecute,
    /// Have a webhook called.
    #[serde(rename = "webhooks:write")]
    WebhooksWrite,
}

impl Scope {
    /// Every scope the platform knows.
    #[must_use]
    pub fn all() -> BTreeSet<Self> {
        BTreeSet::from([
            Self::DeploymentsWrite,
            Self::EnvironmentsRead,
            Self::JobsRead,
            Self::ValidationsExecute,
            Self::WebhooksWrite,
        ])
    }

    /// The scope as it stands in a token request.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DeploymentsWrite => "deployments:write",
            Self::EnvironmentsRead => "environments:read",
            Self::JobsRead => "jobs:read",
            Self::ValidationsExecute => "validations:execute",
            Self::WebhooksWrite => "webhooks:write",
        }
    }
}

/// How many requests one client may send in any 60 seconds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct RateLimit {
    /// Requests accepted in any 60 seconds, 1 or more; 100 by default.
    pub requests_per_minute: NonZeroU32,
    /// Whether token requests are counted too; false by default.
    pub count_token_requests: bool,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self {
            requests_per_minute: NonZeroU32::MIN.saturating_add(99),
            count_token_requests: false,
        }
    }
}

/// What the platform makes of `Idempotency-Key`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub enum Idempotency {
    /// A repeat gets the first answer, 409 while the first is worked on, 422 where the body differs.
    #[default]
    Supported,
    /// The header is ignored: a repeat takes effect again.
    Unsupported,
}

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
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, serde::Serialize)]
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
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, serde::Serialize)]
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
        snapshot.is_object()
            && self
                .0
                .iter()
                .all(|(field, value)| snapshot.get(field) == Some(value))
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

/// Why a text is not a scenario. The author has to change the text.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// Not YAML (or JSON), or not the fields of a scenario.
    #[error("not a scenario: {0}")]
    Syntax(String),
    /// No client could ever get a token.
    #[error("clients: name at least one, or leave it out for `demo` with `demo-secret`")]
    NoClients,
    /// Two clients have one name.
    #[error("clients: `{0}` is there twice")]
    ClientTwice(ClientId),
    /// A fault that can never apply.
    #[error(
        "environments.{0}.faults: a token request concerns no environment; write this fault under the scenario's own `faults`"
    )]
    TokenFaultInEnvironment(EnvironmentId),
    /// A fault names another environment than the one it stands in.
    #[error(
        "environments.{0}.faults: leave out `environment`, or write the fault under the scenario's own `faults`"
    )]
    FaultNamesEnvironment(EnvironmentId),
}

impl Scenario {
    /// Reads a scenario from YAML or JSON.
    ///
    /// # Errors
    /// Where the text is no scenario; the error names the place and what to write instead.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let scenario: Self = serde_saphyr::from_str(text)
            .map_err(|error| ScenarioError::Syntax(error.to_string()))?;
        scenario.check()?;
        Ok(scenario)
    }

    fn check(&self) -> Result<(), ScenarioError> {
        if self.clients.is_empty() {
            return Err(ScenarioError::NoClients);
        }
        let mut names = BTreeSet::new();
        for client in &self.clients {
            if !names.insert(&client.client_id) {
                return Err(ScenarioError::ClientTwice(client.client_id.clone()));
            }
        }
        self.environments
            .iter()
            .try_for_each(|(id, script)| script.check(id))
    }

    /// The script of an environment: its own, or the default one.
    pub(super) fn script(&self, environment: &EnvironmentId) -> EnvironmentScript {
        self.environments
            .get(environment)
            .cloned()
            .unwrap_or_default()
    }
}

impl EnvironmentScript {
    /// Reads one environment's script from YAML or JSON.
    ///
    /// # Errors
    /// As [`Scenario::parse`].
    pub fn parse(text: &str, id: &EnvironmentId) -> Result<Self, ScenarioError> {
        let script: Self = serde_saphyr::from_str(text)
            .map_err(|error| ScenarioError::Syntax(error.to_string()))?;
        script.check(id)?;
        Ok(script)
    }

    fn check(&self, id: &EnvironmentId) -> Result<(), ScenarioError> {
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
    fn the_empty_scenario_is_a_healthy_platform_with_the_demo_client() {
        let scenario = Scenario::parse("").unwrap();
        assert_eq!(scenario.clients[0].client_id.as_str(), "demo");
        assert_eq!(scenario.rate_limit.requests_per_minute.get(), 100);
        assert_eq!(scenario.token_lifetime_seconds.get(), 3600);
        assert!(Scenario::parse("{}").is_ok());
    }

    #[test]
    fn json_and_yaml_say_the_same() {
        let yaml = "environments:\n  env_a:\n    health: {answers: [unhealthy, {body: {status: odd}}], then: unreadable}\n";
        let json = r#"{"environments": {"env_a": {"health": {"answers": ["unhealthy", {"body": {"status": "odd"}}], "then": "unreadable"}}}}"#;
        let [yaml, json] = [yaml, json].map(|text| format!("{:?}", Scenario::parse(text).unwrap()));
        assert_eq!(yaml, json);
        assert!(
            yaml.contains("Unreadable") && yaml.contains("odd"),
            "{yaml}"
        );
    }

    #[test]
    fn a_mistake_in_a_scenario_is_named() {
        let cases = [
            ("tokenLifetime: 5", "tokenLifetime"),
            ("rateLimit: {requestsPerMinute: 0}", "nonzero"),
            ("jobDurationSeconds: -1", "write seconds, 0 or more"),
            ("clients: []", "name at least one"),
            (
                "clients: [{clientId: a, clientSecret: b}, {clientId: a, clientSecret: c}]",
                "`a` is there twice",
            ),
            ("environments: {'../x': {}}", "cannot stand in a path"),
            ("environments: {e: {jobOutcome: exploded}}", "exploded"),
            (
                "environments: {e: {faults: [{call: token, fault: empty}]}}",
                "concerns no environment",
            ),
            (
                "environments: {e: {faults: [{call: job, environment: f, fault: empty}]}}",
                "leave out `environment`",
            ),
            ("faults: [{call: job, nth: 0, fault: empty}]", "nonzero"),
            (
                "faults: [{call: job, times: often, fault: empty}]",
                "forever",
            ),
            (
                "faults: [{call: job, fault: {status: {code: 99}}}]",
                "100 to 599",
            ),
            (
                "faults: [{call: job, fault: {status: {code: 500, retry: 1}}}]",
                "retry",
            ),
        ];
        for (text, part) in cases {
            let error = Scenario::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_secret_is_not_in_the_debug_output() {
        let shown = format!("{:?}", Scenario::default());
        assert!(!shown.contains("demo-secret"), "{shown}");
    }

    #[test]
    fn a_pattern_matches_by_the_fields_it_names() {
        let pattern: SnapshotPattern = serde_json::from_str(r#"{"botVersion": "2.5.0"}"#).unwrap();
        let matches = |text| pattern.matches(&serde_json::from_str(text).unwrap());
        assert!(matches(r#"{"botVersion": "2.5.0", "nlpEngine": "v3.2"}"#));
        assert!(!matches(r#"{"botVersion": "2.4.1"}"#));
        assert!(!matches("null"));
    }
}
