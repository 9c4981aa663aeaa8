//! Scenarios describe the simulated platform and its faults. Users write them in YAML or JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU32;

use serde::Deserialize;
use serde_json::Value;

use super::fault::FaultRule;
use super::identifier::{ClientId, EnvironmentId};
use super::script::{EnvironmentScript, SnapshotPattern};
use super::time::Seconds;

/// A simulated platform. Everything has a default: the empty scenario is a healthy platform that
/// accepts the client `demo` with the secret `demo-secret`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Scenario {
    /// The clients that may request a token.
    pub clients: Vec<Client>,
    /// Lifetime of a token in seconds, 1 or more; 3600 by default.
    pub token_lifetime_seconds: NonZeroU32,
    /// How many requests a client may send.
    pub rate_limit: RateLimit,
    /// Whether the platform supports `Idempotency-Key`.
    pub idempotency: Idempotency,
    /// How long the platform remembers an idempotency key; 24 hours by default.
    pub idempotency_key_lifetime_seconds: Seconds,
    /// How long a job takes if its environment does not say; 0 (completed at the first poll) by default.
    pub job_duration_seconds: Seconds,
    /// How long a rollback takes if its environment does not say; 0 by default.
    pub rollback_duration_seconds: Seconds,
    /// Whether the platform creates an environment that the scenario does not contain when a request first names it. If
    /// false, the answer is 404. True by default.
    pub create_environments: bool,
    /// Environments that differ from the default one.
    pub environments: BTreeMap<EnvironmentId, EnvironmentScript>,
    /// Snapshots that the platform keeps, by the identifier that `revert_snapshot_id` names.
    pub snapshots: BTreeMap<String, Value>,
    /// Snapshots that make any environment unhealthy.
    pub bad_snapshots: Vec<SnapshotPattern>,
    /// Faults of calls in any environment, and of calls that belong to no environment.
    pub faults: Vec<FaultRule>,
    /// How many requests, audit records and webhooks are kept, each; the oldest are removed first. 100 000 by default.
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
    /// The scopes of the client; all by default. A token request for more scopes gets only these.
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

/// A `client_secret`. `Debug` does not show it.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct ClientSecret(String);

impl ClientSecret {
    /// The text of the secret. It protects only the simulator, so the command line shows it.
    #[must_use]
    pub fn expose(&self) -> &str {
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
    /// Register a webhook.
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

    /// The scope as it is written in a token request.
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
        Self { requests_per_minute: NonZeroU32::MIN.saturating_add(99), count_token_requests: false }
    }
}

/// How the platform handles `Idempotency-Key`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub enum Idempotency {
    /// A repeat gets the first answer, 409 while the first request is still processed, and 422 if the body differs.
    #[default]
    Supported,
    /// The header is ignored: a repeat takes effect again.
    Unsupported,
}

/// Why a text is not a scenario. Its author must correct it.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// Not YAML (or JSON), or not the fields of a scenario.
    #[error("not a scenario: {0}")]
    Syntax(String),
    /// No client could ever get a token.
    #[error("clients: add at least one client, or omit `clients` to use `demo` with `demo-secret`")]
    NoClients,
    /// Two clients have the same name.
    #[error("clients: `{0}` is duplicated; remove one of the two")]
    ClientTwice(ClientId),
    /// A fault that can never apply.
    #[error(
        "environments.{0}.faults: a token request belongs to no environment; move this fault to the scenario's own `faults`"
    )]
    TokenFaultInEnvironment(EnvironmentId),
    /// A fault names a different environment from the one whose script contains it.
    #[error("environments.{0}.faults: remove `environment`, or move the fault to the scenario's own `faults`")]
    FaultNamesEnvironment(EnvironmentId),
}

impl Scenario {
    /// Reads a scenario from YAML or JSON.
    ///
    /// # Errors
    /// If the text is not a scenario. The error names the position, and says what to write instead.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let scenario: Self = serde_saphyr::from_str(text).map_err(|error| ScenarioError::Syntax(error.to_string()))?;
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
        self.environments.iter().try_for_each(|(id, script)| script.check(id))
    }

    /// The script of an environment: its own script, or otherwise the default one.
    pub(super) fn script(&self, environment: &EnvironmentId) -> EnvironmentScript {
        self.environments.get(environment).cloned().unwrap_or_default()
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
    fn the_same_scenario_in_json_and_yaml_is_equal() {
        let yaml =
            "environments:\n  env_a:\n    health: {answers: [unhealthy, {body: {status: odd}}], then: unreadable}\n";
        let json = r#"{"environments": {"env_a": {"health": {"answers": ["unhealthy", {"body": {"status": "odd"}}], "then": "unreadable"}}}}"#;
        let [yaml, json] = [yaml, json].map(|text| format!("{:?}", Scenario::parse(text).unwrap()));
        assert_eq!(yaml, json);
        assert!(yaml.contains("Unreadable") && yaml.contains("odd"), "{yaml}");
    }

    #[test]
    fn an_error_in_a_scenario_is_named() {
        let cases = [
            ("tokenLifetime: 5", "tokenLifetime"),
            ("rateLimit: {requestsPerMinute: 0}", "nonzero"),
            ("jobDurationSeconds: -1", "write seconds, 0 or more"),
            ("clients: []", "add at least one"),
            ("clients: [{clientId: a, clientSecret: b}, {clientId: a, clientSecret: c}]", "`a` is duplicated"),
            ("environments: {'../x': {}}", "not a valid path segment"),
            ("environments: {e: {jobOutcome: exploded}}", "exploded"),
            ("environments: {e: {faults: [{call: token, fault: empty}]}}", "belongs to no environment"),
            ("environments: {e: {faults: [{call: job, environment: f, fault: empty}]}}", "remove `environment`"),
            ("faults: [{call: job, nth: 0, fault: empty}]", "nonzero"),
            ("faults: [{call: job, times: often, fault: empty}]", "forever"),
            ("faults: [{call: job, fault: {status: {code: 99}}}]", "100 to 599"),
            ("faults: [{call: job, fault: {status: {code: 500, retry: 1}}}]", "retry"),
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
}
