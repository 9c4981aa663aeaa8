//! The API client: one method for each call of the contract.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use super::answer::{self, HealthStatus, JobStatus, NotTheContract, Trace, Validation};
use super::caller::{ApiRequest, Caller, Failure, Repeat};
use super::credentials::Credentials;
use super::operations::{AUDIT, HEALTH, JOB, ROLLBACK, SUBMIT, TRACE, VALIDATE, WATCH};
use super::request::{RollbackRequest, TraceRequest, ValidateRequest, encode};
use super::submit::{self, ApiSubmitAnswer};
use api::identifier::ApiOrigin;
use api::status::RollbackReason;
use platform::{
    Budget, CallError, EnvironmentId, ErrorClass, Exchange, ExchangeOptions, FirstPost, IdempotencyKey, JobId,
    Operation, Requester, Secrets, Transport,
};
use rollout::facts::SubmitIdempotency;

/// A client of the API for one set of credentials. Clones share the token, the budget and the connections.
#[derive(Clone)]
pub struct Client {
    caller: Arc<Caller>,
    origin: ApiOrigin,
    server: Arc<str>,
}

/// Why a job's status is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// 404: the job does not exist. After two such answers with an interval in between, the operator treats the job as
    /// gone.
    #[error("the job does not exist: {message}")]
    NotFound {
        /// The API's own message.
        message: String,
    },
    /// Any other failure: poll again.
    #[error(transparent)]
    Unreadable(#[from] CallError),
    /// The request was not sent.
    #[error(transparent)]
    NotSent(#[from] NotSent),
}

/// Why a request was not sent. Nothing is known about the job or the environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// The request was cancelled while it waited in the queue. The caller should decide again.
    #[error("the request was cancelled while it waited in the queue")]
    Cancelled,
    /// The request budget did not admit the request, there is no token, or there is no connection. Try again.
    #[error(transparent)]
    Failed(CallError),
}

/// The result of a rollback request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiRollbackAnswer {
    /// 200, 202 or 204.
    Accepted,
    /// 409: read the job. If it is `rolled_back`, the rollback counts as accepted; otherwise it is tried again.
    Conflict {
        /// The API's own message.
        message: String,
    },
    /// 401 with a fresh token, 403, or a refusal by the token endpoint. Try again when the Secret changes, and every minute.
    Unauthorized {
        /// The API's own message.
        message: String,
    },
    /// Any other 4xx: refused permanently for this key.
    Refused {
        /// 400 to 499.
        status: u16,
        /// The API's own message.
        message: String,
    },
    /// No usable answer: try again with the same key until there is one.
    Transient(CallError),
}

impl Client {
    /// Makes a client over a transport. All credentials with the same
    /// [`client_fingerprint`](Credentials::client_fingerprint) should share the budget. The seed makes waits
    /// reproducible.
    #[must_use]
    pub fn new(
        credentials: &Credentials,
        transport: Arc<dyn Transport>,
        options: ExchangeOptions,
        budget: Arc<Budget>,
        jitter_seed: u64,
    ) -> Self {
        let caller = Caller::new(credentials, Exchange::new(transport, options), budget, jitter_seed);
        let server = credentials.base_url.server().into();
        Self { caller: Arc::new(caller), origin: credentials.base_url.origin(), server }
    }

    /// The API that this client uses.
    #[must_use]
    pub fn origin(&self) -> &ApiOrigin {
        &self.origin
    }

    /// The server that receives the requests, as errors name it: scheme, host and port.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Whether these credentials were granted a token at least once. Until then, neither the client's identity nor its
    /// number of requests per minute is trusted.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.caller.is_proven()
    }

    /// The request budget, shared with other credentials of the same client.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        self.caller.budget()
    }

    /// Validates whether an environment can run a snapshot (contract, section 1).
    ///
    /// # Errors
    /// [`CallError`]. The caller treats [`ErrorClass::Protocol`] as transient.
    pub async fn validate(
        &self,
        request: &ValidateRequest<'_>,
        requester: &Requester,
    ) -> Result<Validation, CallError> {
        let path = format!("/environments/{}/validate", request.environment_id);
        self.check(&VALIDATE, path, request, answer::read_validation, requester).await
    }

    /// Traces whether a snapshot's dependencies are compatible (contract, section 2).
    ///
    /// # Errors
    /// [`CallError`]. The caller treats [`ErrorClass::Protocol`] as transient.
    pub async fn trace(&self, request: &TraceRequest<'_>, requester: &Requester) -> Result<Trace, CallError> {
        let path = "/validations/synthetic-trace".to_owned();
        self.check(&TRACE, path, request, answer::read_trace, requester).await
    }

    /// Starts a rollout, or repeats an earlier submit to get its result (contract, section 3).
    ///
    /// If the API does not support idempotency keys, at most one POST that may take effect is sent, and only if `first`
    /// is [`FirstPost::Yes`].
    pub async fn submit(
        &self,
        body: Bytes,
        key: &IdempotencyKey,
        first: FirstPost,
        idempotency: SubmitIdempotency,
        requester: &Requester,
    ) -> ApiSubmitAnswer {
        let repeat = match (idempotency, first) {
            (SubmitIdempotency::Supported, _) => Repeat::Always,
            (SubmitIdempotency::Unsupported, FirstPost::Yes) => Repeat::IfUnsent,
            (SubmitIdempotency::Unsupported, FirstPost::No) => {
                let message = "an earlier submit may have taken effect, and this API does not support idempotency keys"
                    .to_owned();
                return ApiSubmitAnswer::OutcomeUnknown { message };
            }
        };
        let request =
            ApiRequest { operation: &SUBMIT, path: "/deployments".to_owned(), body: Some(body), key: Some(key) };
        submit::evaluate(self.caller.call(&request, requester, repeat).await, first, idempotency)
    }

    /// Gets the state of a job (contract, section 4). Makes one try.
    ///
    /// # Errors
    /// [`JobError`].
    pub async fn job(&self, job_id: &JobId, requester: &Requester) -> Result<JobStatus, JobError> {
        let answer = self.get(&JOB, format!("/jobs/{job_id}"), requester).await?;
        let (body, secrets) = answer.map_err(|error| match error.class() {
            ErrorClass::Rejected { status: 404 } => JobError::NotFound { message: error.message().to_owned() },
            _ => JobError::Unreadable(error),
        })?;
        answer::read_job_status(&body, &secrets).map_err(|error| self.protocol(&error).into())
    }

    /// Gets the health of an environment (contract, section 5). Makes one try. `max_error_rate` is above 0 and at
    /// most 1.
    ///
    /// # Errors
    /// [`NotSent`]. Every other failure is `Ok` with [`HealthStatus::Unreadable`].
    pub async fn health(
        &self,
        environment: &EnvironmentId,
        max_error_rate: f64,
        requester: &Requester,
    ) -> Result<HealthStatus, NotSent> {
        let answer = self.get_health(&HEALTH, environment, max_error_rate, requester).await?;
        Ok(answer.unwrap_or_else(|error| HealthStatus::Unreadable { message: error.message().to_owned() }))
    }

    /// Gets the health of an environment whose rollout has succeeded. Sends at most one request.
    ///
    /// # Errors
    /// [`NotSent`]. The inner error means that the API did not accept the request.
    pub async fn watch_health(
        &self,
        environment: &EnvironmentId,
        max_error_rate: f64,
        requester: &Requester,
    ) -> Result<Result<HealthStatus, CallError>, NotSent> {
        self.get_health(&WATCH, environment, max_error_rate, requester).await
    }

    async fn get_health(
        &self,
        operation: &Operation,
        environment: &EnvironmentId,
        max_error_rate: f64,
        requester: &Requester,
    ) -> Result<Result<HealthStatus, CallError>, NotSent> {
        let answer = self.get(operation, format!("/environments/{environment}/health"), requester).await?;
        Ok(answer.map(|(body, secrets)| match answer::read_health(&body, max_error_rate, &secrets) {
            HealthStatus::Unreadable { message } => {
                HealthStatus::Unreadable { message: format!("{}: {message}", self.server) }
            }
            status => status,
        }))
    }

    /// Rolls a rollout back (contract, section 6).
    pub async fn rollback(
        &self,
        job_id: &JobId,
        key: &IdempotencyKey,
        reason: RollbackReason,
        requester: &Requester,
    ) -> ApiRollbackAnswer {
        let request = ApiRequest {
            operation: &ROLLBACK,
            path: format!("/deployments/{job_id}/rollback"),
            body: Some(encode(&RollbackRequest { reason: reason.as_str() })),
            key: Some(key),
        };
        let error = match self.caller.call(&request, requester, Repeat::Always).await {
            Ok(answer) if matches!(answer.status.as_u16(), 200 | 202 | 204) => return ApiRollbackAnswer::Accepted,
            Ok(answer) => CallError::protocol(format!(
                "{} answered {}, which is not a valid answer to a rollback",
                self.server, answer.status
            )),
            Err(Failure { error, .. }) => error,
        };
        let message = error.message().to_owned();
        match error.class() {
            ErrorClass::Rejected { status: 409 } => ApiRollbackAnswer::Conflict { message },
            ErrorClass::Rejected { status } => ApiRollbackAnswer::Refused { status, message },
            ErrorClass::Unauthorized => ApiRollbackAnswer::Unauthorized { message },
            // A rollback is never cancelled.
            ErrorClass::Transient | ErrorClass::Protocol | ErrorClass::EgressRefused | ErrorClass::Cancelled => {
                ApiRollbackAnswer::Transient(error)
            }
        }
    }

    /// Sends an audit record (contract, section 7). The answer's body is ignored.
    ///
    /// # Errors
    /// [`CallError`]. The caller keeps the record and sends it again with the same event id.
    pub async fn audit(
        &self,
        record: Bytes,
        event_id: &IdempotencyKey,
        requester: &Requester,
    ) -> Result<(), CallError> {
        let request =
            ApiRequest { operation: &AUDIT, path: "/audit/logs".to_owned(), body: Some(record), key: Some(event_id) };
        let accepted = self.caller.call(&request, requester, Repeat::Always).await;
        accepted.map(drop).map_err(|failure| failure.error)
    }

    async fn check<T>(
        &self,
        operation: &Operation,
        path: String,
        body: &impl Serialize,
        read: fn(&[u8], &Secrets) -> Result<T, NotTheContract>,
        requester: &Requester,
    ) -> Result<T, CallError> {
        let request = ApiRequest { operation, path, body: Some(encode(body)), key: None };
        let answer = self.caller.call(&request, requester, Repeat::Always).await.map_err(|failure| failure.error)?;
        let (body, secrets) = answer.into_parts()?;
        read(&body, &secrets).map_err(|error| self.protocol(&error))
    }

    fn protocol(&self, error: &NotTheContract) -> CallError {
        CallError::protocol(format!("{}: {error}", self.server))
    }

    /// Sends a poll. The inner result is the body of the answer, or the reason why there is no readable answer.
    async fn get(
        &self,
        operation: &Operation,
        path: String,
        requester: &Requester,
    ) -> Result<Result<(Bytes, Secrets), CallError>, NotSent> {
        let request = ApiRequest { operation, path, body: None, key: None };
        match self.caller.call(&request, requester, Repeat::Always).await {
            Ok(answer) => Ok(answer.into_parts()),
            Err(Failure { error, .. }) if error.class() == ErrorClass::Cancelled => Err(NotSent::Cancelled),
            Err(Failure { error, sent: false, .. }) => Err(NotSent::Failed(error)),
            Err(Failure { error, .. }) => Ok(Err(error)),
        }
    }
}
