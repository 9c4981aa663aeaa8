//! `--remote`: asks Cognigy.AI for the validation and the synthetic trace. Both only read; nothing is submitted.

use crate::connection::Connection;
use crate::exit::Failure;
use api::{CognigyDeployment, Snapshot};
use cognigy_deployments::{BaseUrl, CognigyDeployments, Defaults, OwnClient, REQUIRED_SECRET_KEYS, TokenUrl};
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use manifest::plan::{Remote, RemoteResult};
use platform::{
    Budgets, CallFailure, Configuration, CredentialsSource, EgressPolicy, EgressRule, ExchangeOptions, HttpOptions,
    HttpTransport, OfferedNamespaces, Provider, Requester, SecretName, SubmitRules, Transport, TransportFactory,
};
use rollout::Obstacle;
use rollout::answer::ValidationAnswer;
use rollout::facts::SubmitIdempotency;
use std::env;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

const CLIENT_ID: &str = "COGNIGY_CLIENT_ID";
const CLIENT_SECRET: &str = "COGNIGY_CLIENT_SECRET";
const BASE_URL: &str = "COGNIGY_BASE_URL";
const TOKEN_URL: &str = "COGNIGY_TOKEN_URL";

/// Asks the platform.
pub struct Checker {
    provider: CognigyDeployments,
    has_own_client: bool,
}

impl Checker {
    /// Reads the credentials of the environment, if there are any.
    ///
    /// # Errors
    /// [`Failure::Usage`] if a variable is missing or wrong.
    pub fn new(egress_allow: &[EgressRule]) -> Result<Self, Failure> {
        let client = match (variable(CLIENT_ID), variable(CLIENT_SECRET)) {
            (Some(id), Some(secret)) => Some(OwnClient { id, secret: secret.into() }),
            (None, None) => None,
            (id, _) => {
                let (set, missing) = if id.is_some() { (CLIENT_ID, CLIENT_SECRET) } else { (CLIENT_SECRET, CLIENT_ID) };
                return Err(Failure::Usage(format!("{set} is set, but {missing} is not; set both, or neither")));
            }
        };
        let has_own_client = client.is_some();
        let defaults = Defaults {
            base_url: url(BASE_URL)?.unwrap_or_else(BaseUrl::public),
            token_url: url(TOKEN_URL)?.unwrap_or_else(TokenUrl::public),
            requests_per_minute: None,
            client,
            namespaces: OfferedNamespaces::new(["*".to_owned()]),
        };
        let policy = EgressPolicy::new(egress_allow.to_vec());
        let options = ExchangeOptions::new(policy.clone());
        let http = HttpOptions { policy, ..HttpOptions::default() };
        let transports: TransportFactory = Arc::new(move |ca_pem: Option<&str>| {
            let own = HttpOptions { ca_pem: ca_pem.map(str::to_owned), ..http.clone() };
            let transport = HttpTransport::new(&own).map_err(|error| error.to_string())?;
            Ok(Arc::new(transport) as Arc<dyn Transport>)
        });
        // Nothing is submitted here, so the rules do not matter.
        let rules = SubmitRules { idempotency: SubmitIdempotency::Unsupported, key_ttl: Duration::ZERO };
        let budgets = Arc::new(Budgets::default());
        let provider = CognigyDeployments::new(defaults, transports, options, rules, budgets, 0);
        Ok(Self { provider, has_own_client })
    }

    /// Asks for the validation, and for the synthetic trace if the validation has passed.
    ///
    /// # Errors
    /// [`Failure`] if the cluster cannot be reached.
    pub async fn check(
        &self,
        desired: &CognigyDeployment,
        snapshot: &Snapshot,
        connection: &Connection,
    ) -> Result<Remote, Failure> {
        let namespace = desired.metadata.namespace.as_deref().unwrap_or(&connection.namespace);
        let platform = match self.connect(desired, namespace, connection).await? {
            Ok(platform) => platform,
            Err(obstacle) => return Ok(unanswered(None, obstacle.message)),
        };
        let origin = Some(platform.origin.to_string());
        let configuration = Configuration { spec: &desired.spec, snapshot };
        let requester = Requester::new(namespace, desired.metadata.name.as_deref().unwrap_or_default());
        let no_answer = |failure: CallFailure| unanswered(origin.clone(), failure.obstacle.message);
        let (mut messages, capacity_utilization) = match platform.platform.validate(configuration, &requester).await {
            Ok(ValidationAnswer::Passed { warnings, capacity_utilization }) => (warnings, capacity_utilization),
            Ok(ValidationAnswer::Refused { errors }) => {
                let result = RemoteResult::ValidationRefused;
                return Ok(Remote { result, api_origin: origin, messages: errors, capacity_utilization: None });
            }
            Err(failure) => return Ok(no_answer(failure)),
        };
        let trace = match platform.platform.trace(configuration, &requester).await {
            Ok(trace) => trace,
            Err(failure) => return Ok(no_answer(failure)),
        };
        let result = if trace.has_passed { RemoteResult::Passed } else { RemoteResult::TraceRefused };
        if !trace.has_passed && trace.conflicts.is_empty() {
            messages.push(format!("the status of the synthetic trace is {}", trace.status));
        }
        messages.extend(trace.conflicts);
        Ok(Remote { result, api_origin: origin, messages, capacity_utilization })
    }

    /// The credentials of the environment win: a pipeline has no right to read Secrets.
    async fn connect(
        &self,
        desired: &CognigyDeployment,
        namespace: &str,
        connection: &Connection,
    ) -> Result<Result<platform::Connection, Obstacle>, Failure> {
        if self.has_own_client {
            return Ok(self.provider.connect(CredentialsSource::Operator { namespace }));
        }
        let Some(reference) = &desired.spec.credentials_ref else {
            return Err(Failure::Usage(format!(
                "--remote needs credentials: set {CLIENT_ID} and {CLIENT_SECRET}, because the manifest of {} names no Secret",
                desired.metadata.name.as_deref().unwrap_or_default()
            )));
        };
        let api: Api<Secret> = Api::namespaced(connection.client.clone(), namespace);
        match api.get_opt(&reference.name).await {
            Ok(Some(secret)) => Ok(self.provider.connect(CredentialsSource::Secret(&secret))),
            Ok(None) => Ok(Err(SecretName { namespace, name: &reference.name }.missing(&REQUIRED_SECRET_KEYS))),
            Err(kube::Error::Api(status)) if status.code == 403 => Err(Failure::Forbidden(format!(
                "you may not get Secret {namespace}/{}; set {CLIENT_ID} and {CLIENT_SECRET} instead",
                reference.name
            ))),
            Err(error) => Err(Failure::of_request(&format!("get Secret {namespace}/{}", reference.name), error)),
        }
    }
}

fn unanswered(api_origin: Option<String>, message: String) -> Remote {
    Remote { result: RemoteResult::Unanswered, api_origin, messages: vec![message], capacity_utilization: None }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn url<T: FromStr<Err: std::fmt::Display>>(name: &str) -> Result<Option<T>, Failure> {
    let Some(text) = variable(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|error| Failure::Usage(format!("{name} {error}")))
}
