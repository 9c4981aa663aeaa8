//! The calls of the contract: plain data in, plain data out.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use super::answer::{self, HealthReading, JobStatus, NotTheContract, Trace, Validation};
use super::caller::{ApiRequest, Caller, Failure, Repeat};
use super::credentials::Credentials;
use super::operations::{AUDIT, HEALTH, JOB, ROLLBACK, SUBMIT, TRACE, VALIDATE};
use super::request::{RollbackRequest, TraceRequest, ValidateRequest, encode};
use super::submit::{self, SubmitAnswer};
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
    /// 404: the job does not exist. After two such answers with an interval between them, the job is gone for good.
    #[error("there is no such job: {message}")]
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

/// Why a request was not sent. This is not an answer: nothing is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// The request was cancelled while it waited in the queue. Decide again.
    #[error("the request was cancelled while it waited in the queue")]
    Cancelled,
    /// The request budget has no room, there is no token, or there is no connection. Ask again.
    #[error(transparent)]
    Failed(CallError),
}

/// The result of a rollback request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RollbackAnswer {
    /// 200, 202 or 204.
    Accepted,
    /// 409: read the job. If it is `rolled_back`, the rollback counts as accepted; otherwise it is tried again.
    Conflict {
        /// The API's own message.
        message: String,
    },
    /// 401 with a fresh token, 403, or the token endpoint refused: try again when the Secret changes, and every minute.
    Unauthorized {
        /// The API's own message.
        message: String,
    },
    /// Any other 4xx: refused permanently under this key.
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

    /// Whether these credentials were ever granted a token. Until then no part of them is trusted: neither the identity
    /// of the client, nor the number of requests that it may send.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.caller.is_proven()
    }

    /// The request budget, shared with other credentials of the same client.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        self.caller.budget()
    }

    /// Asks whether a snapshot may run in an environment (contract, section 1).
    ///
    /// # Errors
    /// [`CallError`], by the contract's table; `Protocol` is transient here.
    pub async fn validate(
        &self,
        request: &ValidateRequest<'_>,
        requester: &Requester,
    ) -> Result<Validation, CallError> {
        let path = format!("/environments/{}/validate", request.environment_id);
        self.check(&VALIDATE, path, request, answer::read_validation, requester).await
    }

    /// Asks whether a snapshot's dependencies fit together (contract, section 2).
    ///
    /// # Errors
    /// [`CallError`], by the contract's table; `Protocol` is transient here.
    pub async fn trace(&self, request: &TraceRequest<'_>, requester: &Requester) -> Result<Trace, CallError> {
        let path = "/validations/synthetic-trace".to_owned();
        self.check(&TRACE, path, request, answer::read_trace, requester).await
    }

    /// Starts a rollout, or asks again for the result of an earlier submit (contract, section 3).
    ///
    /// If the API does not support idempotency keys, at most one POST that may have an effect is sent, and only if it
    /// is the first.
    pub async fn submit(
        &self,
        body: Bytes,
        key: &IdempotencyKey,
        first: FirstPost,
        idempotency: SubmitIdempotency,
        requester: &Requester,
    ) -> SubmitAnswer {
        let repeat = match (idempotency, first) {
            (SubmitIdempotency::Supported, _) => Repeat::Freely,
            (SubmitIdempotency::Unsupported, FirstPost::Yes) => Repeat::OnlyIfUnsent,
            (SubmitIdempotency::Unsupported, FirstPost::No) => {
                let message =
                    "a submit may have had its effect, and this API does not know idempotency keys".to_owned();
                return SubmitAnswer::OutcomeUnknown { message };
            }
        };
        let request =
            ApiRequest { operation: &SUBMIT, path: "/deployments".to_owned(), body: Some(body), key: Some(key) };
        submit::judge(self.caller.call(&request, requester, repeat).await, first, idempotency)
    }

    /// Asks for the state of a job (contract, section 4). Makes one try.
    ///
    /// # Errors
    /// [`JobError`]; every failure except a missing job is an unreadable answer.
    pub async fn job(&self, job_id: &JobId, requester: &Requester) -> Result<JobStatus, JobError> {
        let answer = self.get(&JOB, format!("/jobs/{job_id}"), requester).await?;
        let (body, secrets) = answer.map_err(|error| match error.class() {
            ErrorClass::Rejected { status: 404 } => JobError::NotFound { message: error.message().to_owned() },
            _ => JobError::Unreadable(error),
        })?;
        answer::read_job_status(&body, &secrets).map_err(|error| self.protocol(&error).into())
    }

    /// Asks for the health of an environment (contract, section 5). Makes one try. `max_error_rate` is above 0 and at
    /// most 1.
    ///
    /// # Errors
    /// [`NotSent`]; every other failure is an unreadable answer.
    pub async fn health(
        &self,
        environment: &EnvironmentId,
        max_error_rate: f64,
        requester: &Requester,
    ) -> Result<HealthReading, NotSent> {
        Ok(match self.get(&HEALTH, format!("/environments/{environment}/health"), requester).await? {
            Ok((body, secrets)) => match answer::read_health(&body, max_error_rate, &secrets) {
                HealthReading::Unreadable { message } => {
                    HealthReading::Unreadable { message: format!("{}: {message}", self.server) }
                }
                reading => reading,
            },
            Err(error) => HealthReading::Unreadable { message: error.message().to_owned() },
        })
    }

    /// Rolls a rollout back (contract, section 6).
    pub async fn rollback(
        &self,
        job_id: &JobId,
        key: &IdempotencyKey,
        reason: RollbackReason,
        requester: &Requester,
    ) -> RollbackAnswer {
        let request = ApiRequest {
            operation: &ROLLBACK,
            path: format!("/deployments/{job_id}/rollback"),
            body: Some(encode(&RollbackRequest { reason: reason.as_str() })),
            key: Some(key),
        };
        let error = match self.caller.call(&request, requester, Repeat::Freely).await {
            Ok(answer) if matches!(answer.status.as_u16(), 200 | 202 | 204) => return RollbackAnswer::Accepted,
            Ok(answer) => CallError::protocol(format!(
                "{} answered {}, which is no answer to a rollback",
                self.server, answer.status
            )),
            Err(Failure { error, .. }) => error,
        };
        let message = error.message().to_owned();
        match error.class() {
            ErrorClass::Rejected { status: 409 } => RollbackAnswer::Conflict { message },
            ErrorClass::Rejected { status } => RollbackAnswer::Refused { status, message },
            ErrorClass::Unauthorized => RollbackAnswer::Unauthorized { message },
            // A rollback is never cancelled.
            ErrorClass::Transient | ErrorClass::Protocol | ErrorClass::EgressRefused | ErrorClass::Cancelled => {
                RollbackAnswer::Transient(error)
            }
        }
    }

    /// Sends an audit record (contract, section 7). The answer's body is ignored.
    ///
    /// # Errors
    /// [`CallError`]; the caller keeps the record and sends it again with the same event id.
    pub async fn audit(
        &self,
        record: Bytes,
        event_id: &IdempotencyKey,
        requester: &Requester,
    ) -> Result<(), CallError> {
        let request =
            ApiRequest { operation: &AUDIT, path: "/audit/logs".to_owned(), body: Some(record), key: Some(event_id) };
        let taken = self.caller.call(&request, requester, Repeat::Freely).await;
        taken.map(drop).map_err(|failure| failure.error)
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
        let answer = self.caller.call(&request, requester, Repeat::Freely).await.map_err(|failure| failure.error)?;
        let (body, secrets) = answer.into_parts()?;
        read(&body, &secrets).map_err(|error| self.protocol(&error))
    }

    fn protocol(&self, error: &NotTheContract) -> CallError {
        CallError::protocol(format!("{}: {error}", self.server))
    }

    /// The answer to a poll, or the reason why no readable answer exists.
    async fn get(
        &self,
        operation: &Operation,
        path: String,
        requester: &Requester,
    ) -> Result<Result<(Bytes, Secrets), CallError>, NotSent> {
        let request = ApiRequest { operation, path, body: None, key: None };
        match self.caller.call(&request, requester, Repeat::Freely).await {
            Ok(answer) => Ok(answer.into_parts()),
            Err(Failure { error, .. }) if error.class() == ErrorClass::Cancelled => Err(NotSent::Cancelled),
            Err(Failure { error, sent: false, .. }) => Err(NotSent::Failed(error)),
            Err(Failure { error, .. }) => Ok(Err(error)),
        }
    }
}
