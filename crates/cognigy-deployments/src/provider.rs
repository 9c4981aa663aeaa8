//! Implements the traits `Provider` and `Platform`.

use super::answer::JobStatus;
use super::client::{ApiRollbackAnswer, Client, JobError, NotSent};
use super::credentials::Credentials;
use super::request::{AuditCategory, AuditRecord as WireRecord, ComplianceFlags};
use super::secret_keys::Defaults;
use super::submit::ApiSubmitAnswer;
use super::{operations, translate};
use api::CognigyDeploymentSpec;
use parking_lot::{Mutex, MutexGuard};

use api::status::RollbackReason;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use platform::{
    AuditRecord, Budgets, CallFailure, Configuration, Connection, CredentialsFingerprint, CredentialsSource,
    EnvironmentId, ErrorClass, ExchangeOptions, FailedTry, IdempotencyKey, JobId, Operation, Platform, Polled,
    Provider, Requester, SecretName, Submit, SubmitRules, TYPICAL_LIMIT, TransportFactory, WebhookUrl,
};
use rollout::answer::{HealthAnswer, JobAnswer, Retry, RollbackAnswer, SubmitAnswer, TraceAnswer, ValidationAnswer};
use rollout::facts::SubmitIdempotency;
use rollout::{Cause, Obstacle};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// The maximum duration of one submit with all its repeats and waits. The operator checks the key's age before the
/// submit, and starts no submit in the last ten minutes before the key expires. So no request is sent after the key has
/// expired.
const SUBMIT_WITHIN: Duration = Duration::from_secs(300);

/// The keys that a Secret with credentials must have.
pub const REQUIRED_SECRET_KEYS: [&str; 2] = ["clientId", "clientSecret"];

/// The validation, the trace, the submit, a poll or two of the job, a poll of health, and the audit record.
const REQUESTS_PER_ROLLOUT: NonZeroU32 = NonZeroU32::MIN.saturating_add(6);

/// The provider for the Cognigy.AI deployment API. All resources of a process share it.
pub struct CognigyDeployments {
    defaults: Defaults,
    transports: TransportFactory,
    options: ExchangeOptions,
    rules: SubmitRules,
    budgets: Arc<Budgets>,
    jitter_seed: u64,
    clients: Mutex<HashMap<CredentialsFingerprint, Connection>>,
}

impl CognigyDeployments {
    /// Makes a provider without clients. The seed makes the waits between repeats reproducible.
    #[must_use]
    pub fn new(
        defaults: Defaults,
        transports: TransportFactory,
        options: ExchangeOptions,
        rules: SubmitRules,
        budgets: Arc<Budgets>,
        jitter_seed: u64,
    ) -> Self {
        Self { defaults, transports, options, rules, budgets, jitter_seed, clients: Mutex::default() }
    }

    fn client_of(&self, credentials: &Credentials, secret: Option<SecretName<'_>>) -> Result<Connection, Obstacle> {
        let fingerprint = credentials.fingerprint();
        if let Some(connection) = self.clients().get(&fingerprint) {
            return Ok(connection.clone());
        }
        let transport = (self.transports)(credentials.ca_pem.as_deref()).map_err(|problem| {
            // Certificates can come only from a Secret.
            secret.unwrap_or(SecretName { namespace: "", name: "" }).unusable_certificates(&problem)
        })?;
        // All credentials that name the same client share this budget. They use it only after they were granted a token.
        let budget = self.budgets.shared(credentials.client_fingerprint());
        let client = Client::new(credentials, transport, self.options.clone(), budget, self.jitter_seed);
        let origin = client.origin().clone();
        let configured_limit = credentials.requests_per_minute.unwrap_or(TYPICAL_LIMIT);
        let platform = Arc::new(CognigyClient { client, configured_limit, idempotency: self.rules.idempotency });
        let client_fingerprint = credentials.client_fingerprint();
        let connection = Connection { platform, origin, fingerprint, client_fingerprint };
        self.clients().insert(fingerprint, connection.clone());
        Ok(connection)
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<CredentialsFingerprint, Connection>> {
        self.clients.lock()
    }
}

impl Provider for CognigyDeployments {
    fn name(&self) -> &'static str {
        "Cognigy.AI"
    }

    fn required_secret_keys(&self) -> &'static [&'static str] {
        &REQUIRED_SECRET_KEYS
    }

    fn operations(&self) -> &'static [Operation] {
        &operations::ALL
    }

    fn submit_rules(&self) -> SubmitRules {
        self.rules
    }

    fn connect(&self, credentials: CredentialsSource<'_>) -> Result<Connection, Obstacle> {
        match credentials {
            CredentialsSource::Operator { namespace } => self.client_of(&self.defaults.own(namespace)?, None),
            CredentialsSource::Secret(secret) => {
                self.client_of(&self.defaults.in_secret(secret)?, Some(SecretName::of(secret)))
            }
        }
    }

    fn retain(&self, is_used: &dyn Fn(CredentialsFingerprint) -> bool) {
        self.clients().retain(|fingerprint, _| is_used(*fingerprint));
    }

    fn audit_record(&self, record: &AuditRecord<'_>) -> Bytes {
        let AuditRecord { at, job_id, success, duration_seconds, compliance } = *record;
        let record = WireRecord {
            timestamp: at,
            job_id,
            deployment_success: success,
            duration_seconds,
            audit_category: AuditCategory::EnvironmentDeployment,
            compliance_flags: ComplianceFlags {
                governance_approved: compliance.governance_approved,
                data_residency_check: compliance.data_residency_check,
            },
        };
        record.to_bytes()
    }
}

/// A [`Client`] as a [`Platform`].
struct CognigyClient {
    client: Client,
    /// Requests per minute, according to the credentials.
    configured_limit: NonZeroU32,
    idempotency: SubmitIdempotency,
}

impl Platform for CognigyClient {
    fn is_proven(&self) -> bool {
        self.client.is_proven()
    }

    fn requests_per_minute(&self) -> NonZeroU32 {
        match self.client.is_proven() {
            true => self.client.budget().limit(),
            false => self.configured_limit.min(TYPICAL_LIMIT),
        }
    }

    fn requests_per_rollout(&self) -> NonZeroU32 {
        REQUESTS_PER_ROLLOUT
    }

    fn validate<'a>(
        &'a self,
        configuration: Configuration<'a>,
        requester: &'a Requester,
    ) -> BoxFuture<'a, Result<ValidationAnswer, CallFailure>> {
        async move {
            let environment = environment(configuration.spec).map_err(translate::unsent)?;
            let request = translate::validate_request(configuration, &environment);
            let answer = self.client.validate(&request, requester).await;
            answer.map(translate::validation).map_err(|error| translate::failure(&error))
        }
        .boxed()
    }

    fn trace<'a>(
        &'a self,
        configuration: Configuration<'a>,
        requester: &'a Requester,
    ) -> BoxFuture<'a, Result<TraceAnswer, CallFailure>> {
        async move {
            let environment = environment(configuration.spec).map_err(translate::unsent)?;
            let request = translate::trace_request(configuration, &environment);
            let answer = self.client.trace(&request, requester).await;
            answer.map(translate::trace).map_err(|error| translate::failure(&error))
        }
        .boxed()
    }

    fn submit_body(&self, configuration: Configuration<'_>, callback: Option<&WebhookUrl>) -> Result<Bytes, Obstacle> {
        let environment = environment(configuration.spec)?;
        Ok(translate::submit_request(configuration, &environment, callback).to_bytes())
    }

    fn submit<'a>(&'a self, submit: Submit<'a>, requester: &'a Requester) -> BoxFuture<'a, SubmitAnswer> {
        async move {
            let Submit { body, key, first } = submit;
            let answer = self.client.submit(body, key, first, self.idempotency, requester);
            let answer = tokio::time::timeout(SUBMIT_WITHIN, answer).await;
            translate::submit(answer.unwrap_or_else(|_| self.submit_timed_out()))
        }
        .boxed()
    }

    fn job<'a>(
        &'a self,
        job: &'a JobId,
        requester: &'a Requester,
    ) -> BoxFuture<'a, Result<Polled<JobAnswer>, CallFailure>> {
        async move {
            let status = self.client.job(job, requester).await;
            let refused = matches!(&status, Err(JobError::Unreadable(error)) if is_unauthorized(error.class()));
            let answer = translate::job(status).map_err(|not_sent| unsent_poll(&not_sent))?;
            Ok(Polled { answer, are_credentials_refused: refused })
        }
        .boxed()
    }

    fn health<'a>(
        &'a self,
        spec: &'a CognigyDeploymentSpec,
        requester: &'a Requester,
    ) -> BoxFuture<'a, Result<Polled<HealthAnswer>, CallFailure>> {
        async move {
            let environment = environment(spec).map_err(translate::unsent)?;
            let status = self.client.health(&environment, spec.monitoring.max_error_rate, requester).await;
            let status = status.map_err(|not_sent| unsent_poll(&not_sent))?;
            Ok(Polled { answer: translate::health(status), are_credentials_refused: false })
        }
        .boxed()
    }

    fn watch_health<'a>(
        &'a self,
        spec: &'a CognigyDeploymentSpec,
        requester: &'a Requester,
    ) -> BoxFuture<'a, Result<Polled<HealthAnswer>, CallFailure>> {
        async move {
            let environment = environment(spec).map_err(translate::unsent)?;
            let status = self.client.watch_health(&environment, spec.monitoring.max_error_rate, requester).await;
            Ok(match status.map_err(|not_sent| unsent_poll(&not_sent))? {
                Ok(status) => Polled { answer: translate::health(status), are_credentials_refused: false },
                Err(error) => Polled {
                    answer: HealthAnswer::Unreadable(error.message().to_owned()),
                    are_credentials_refused: is_unauthorized(error.class()),
                },
            })
        }
        .boxed()
    }

    fn roll_back<'a>(
        &'a self,
        job: &'a JobId,
        key: &'a IdempotencyKey,
        reason: RollbackReason,
        requester: &'a Requester,
    ) -> BoxFuture<'a, RollbackAnswer> {
        async move {
            match self.client.rollback(job, key, reason, requester).await {
                ApiRollbackAnswer::Accepted => RollbackAnswer::Accepted,
                ApiRollbackAnswer::Refused { status: _, message } => RollbackAnswer::Refused(message),
                ApiRollbackAnswer::Transient(error) => RollbackAnswer::NotYet(translate::rollback_obstacle(&error)),
                ApiRollbackAnswer::Unauthorized { message } => {
                    let message = format!("Cognigy.AI refuses the credentials: {message}; correct the Secret");
                    RollbackAnswer::NotYet(Obstacle::lasting(Cause::Unauthorized, message, Retry::CredentialsChange))
                }
                ApiRollbackAnswer::Conflict { message } => self.after_conflict(job, message, requester).await,
            }
        }
        .boxed()
    }

    fn audit<'a>(
        &'a self,
        record: Bytes,
        id: &'a IdempotencyKey,
        requester: &'a Requester,
    ) -> BoxFuture<'a, Result<(), CallFailure>> {
        let accepted = self.client.audit(record, id, requester);
        accepted.map(|accepted| accepted.map_err(|error| translate::delivery_failure(&error))).boxed()
    }

    fn describe(&self, failed: &FailedTry) -> Obstacle {
        translate::failed_try(failed, self.client.origin())
    }
}

impl CognigyClient {
    /// The submit took too long: it may have been sent.
    fn submit_timed_out(&self) -> ApiSubmitAnswer {
        let server = self.client.server();
        let message = format!("{server} did not answer the submit within {} s", SUBMIT_WITHIN.as_secs());
        match self.idempotency {
            SubmitIdempotency::Supported => ApiSubmitAnswer::StillInProgress { message },
            SubmitIdempotency::Unsupported => ApiSubmitAnswer::OutcomeUnknown { message },
        }
    }

    /// Reads the job after a 409: the rollback may already have happened (contract, section 6).
    async fn after_conflict(&self, job: &JobId, message: String, requester: &Requester) -> RollbackAnswer {
        match self.client.job(job, &requester.without_cancellation()).await {
            Ok(JobStatus::RolledBack) => RollbackAnswer::Accepted,
            _ => RollbackAnswer::NotYet(Obstacle::transient(Cause::ApiUnavailable, message, None)),
        }
    }
}

fn environment(spec: &CognigyDeploymentSpec) -> Result<EnvironmentId, Obstacle> {
    spec.environment_id.as_str().parse().map_err(|_| {
        let message = format!(
            "spec.environmentId {} is not a valid URL path segment; write letters, digits, '.', '_', '~' and '-'",
            spec.environment_id
        );
        Obstacle::lasting(Cause::RequestRejected, message, Retry::InputChange)
    })
}

fn unsent_poll(not_sent: &NotSent) -> CallFailure {
    match not_sent {
        NotSent::Cancelled => translate::cancelled(),
        NotSent::Failed(error) => translate::failure(error),
    }
}

fn is_unauthorized(class: ErrorClass) -> bool {
    class == ErrorClass::Unauthorized
}
