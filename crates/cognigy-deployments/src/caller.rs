//! One call of the API: waits for the budget, gets a token, sends the request, and repeats it if that may help.

use parking_lot::Mutex;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use platform::{
    Answer, Budget, BudgetError, CallError, ErrorClass, Exchange, FailedTry, IDEMPOTENCY_KEY, IdempotencyKey,
    LimitClaim, Operation, Permit, Requester, Secrets, TYPICAL_LIMIT, parts_that_may_be_secret, retry,
};

use super::base_url::BaseUrl;
use super::credentials::Credentials;
use super::operations::SUBMIT;
use super::request::webhook_callback_url;
use super::token::{Obtained, Token, TokenSource};

/// One API request without its token.
pub(crate) struct ApiRequest<'a> {
    pub(crate) operation: &'a Operation,
    /// The part of the path after `/api/v2`.
    pub(crate) path: String,
    /// The body of a POST; `None` means a GET.
    pub(crate) body: Option<Bytes>,
    pub(crate) key: Option<&'a IdempotencyKey>,
}

/// When a failed request may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Always, because a repeat is harmless.
    Always,
    /// Only if it was not sent.
    IfUnsent,
}

/// A failed call, with the facts about its possible effect.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: CallError,
    /// The status of the last answer, if there was one and it came from the API itself.
    pub(crate) status: Option<StatusCode>,
    /// Whether the last request may have reached the API. Then it counts as a POST with its key, whatever the answer. A
    /// request that was answered with 401 and sent again with a new token does not count.
    pub(crate) sent: bool,
    /// Whether an earlier try of this call counts in the same way.
    pub(crate) sent_earlier: bool,
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self { error, status: None, sent: false, sent_earlier: false }
    }
}

impl From<BudgetError> for Failure {
    fn from(refusal: BudgetError) -> Self {
        let (class, retry_after) = match refusal {
            BudgetError::Paused { left } => (ErrorClass::Transient, Some(left)),
            BudgetError::Full | BudgetError::Busy | BudgetError::NoRoom => (ErrorClass::Transient, None),
            BudgetError::Cancelled => (ErrorClass::Cancelled, None),
        };
        CallError::new(class, refusal.to_string()).with_retry_after(retry_after).out_of_budget().into()
    }
}

/// How long we waited for the API, if it accepted the request but did not answer.
fn unanswered_for(operation: &Operation, failure: &Failure, requester: &Requester) -> Option<Duration> {
    let waited = requester.last_sent().filter(|_| failure.sent && failure.status.is_none())?.elapsed();
    (waited >= operation.deadline).then_some(operation.deadline)
}

/// The state that the calls of one set of credentials share.
pub(crate) struct Caller {
    exchange: Exchange,
    base_url: BaseUrl,
    tokens: TokenSource,
    client_secret: SecretString,
    limit: std::num::NonZeroU32,
    /// The budget that all credentials of the client share. Until these credentials were granted a token, they neither use
    /// it nor change its limit.
    budget: Arc<Budget>,
    /// The claim of these credentials about the client's limit. It is set when they are granted their first token.
    claim: OnceLock<LimitClaim>,
    jitter: Mutex<fastrand::Rng>,
}

impl Caller {
    pub(crate) fn new(credentials: &Credentials, exchange: Exchange, budget: Arc<Budget>, jitter_seed: u64) -> Self {
        Self {
            tokens: TokenSource::new(credentials, exchange.clone()),
            exchange,
            base_url: credentials.base_url.clone(),
            client_secret: credentials.client_secret.clone(),
            limit: credentials.requests_per_minute.unwrap_or(TYPICAL_LIMIT),
            budget,
            claim: OnceLock::new(),
            jitter: Mutex::new(fastrand::Rng::with_seed(jitter_seed)),
        }
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Whether these credentials were granted a token at least once. Only a token proves that they belong to the client
    /// that they name.
    pub(crate) fn is_proven(&self) -> bool {
        self.claim.get().is_some()
    }

    /// Makes the call, with at most the operation's number of tries, and returns the answer if it is a success (2xx).
    pub(crate) async fn call(
        &self,
        request: &ApiRequest<'_>,
        requester: &Requester,
        repeat: Repeat,
    ) -> Result<Answer, Failure> {
        let mut sent_earlier = false;
        let mut failed = 0;
        loop {
            let began = Instant::now();
            let failure = match self.attempt(request, requester).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => {
                    let longest = request.operation.priority.longest_retry_after();
                    let error = failure.error.limit_retry_after(longest);
                    Failure { error, sent_earlier, ..failure }
                }
            };
            failed += 1;
            let may_help = failure.error.class() == ErrorClass::Transient && failed < request.operation.tries;
            let may_repeat = repeat == Repeat::Always || !failure.sent;
            let wait = retry::wait(failed, self.jitter(), failure.error.retry_after());
            let Some(wait) = wait.filter(|_| may_help && may_repeat) else { return Err(failure) };
            requester.report_failed_try(FailedTry {
                operation: *request.operation,
                number: failed,
                of: request.operation.tries,
                took: began.elapsed(),
                unanswered_for: unanswered_for(request.operation, &failure, requester),
                error: failure.error.clone(),
            });
            sent_earlier |= failure.sent;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = requester.cancelled(), if request.operation.priority.may_be_cancelled() => {
                    return Err(BudgetError::Cancelled.into());
                }
            }
        }
    }

    /// Makes one try. After a 401 it discards the token and sends the request again with a new one, unless the request
    /// may not be sent twice. A second 401 is the result.
    async fn attempt(&self, request: &ApiRequest<'_>, requester: &Requester) -> Result<Answer, Failure> {
        let (mut answer, mut token) = self.send(request, requester).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            self.tokens.invalidate(&token);
        }
        if answer.status == StatusCode::UNAUTHORIZED && request.operation.priority.may_wait() {
            (answer, token) = self.send(request, requester).await?;
        }
        let status = answer.status;
        answer.accepted(self.secrets(request, &token)).map_err(|error| Failure {
            error,
            status: Some(status),
            sent: true,
            sent_earlier: false,
        })
    }

    /// The secrets in the request, which an answer may repeat and which must not be shown.
    fn secrets(&self, request: &ApiRequest<'_>, token: &Token) -> Secrets {
        let webhook = match (request.operation == &SUBMIT, &request.body) {
            (true, Some(body)) => webhook_callback_url(body),
            _ => None,
        };
        let own = [self.client_secret.expose_secret(), token.expose()];
        Secrets::new(own.into_iter().chain(webhook.iter().flat_map(|url| parts_that_may_be_secret(url))))
    }

    async fn send(&self, request: &ApiRequest<'_>, requester: &Requester) -> Result<(Answer, Token), Failure> {
        if !self.is_proven() {
            self.prove(request, requester).await?;
        }
        let permit = self.admit(request, requester).await?;
        let Obtained { token, unused_permit, was_requested: _ } = self.tokens.obtain(Some(permit)).await?;
        let permit = match unused_permit {
            Some(permit) => permit,
            None => self.admit(request, requester).await?,
        };
        requester.record_sent();
        let sent = self.exchange.send(request.operation, self.http_request(request, &token)?).await;
        match sent.as_ref().map(|answer| (answer.status, answer.pause())) {
            Ok((StatusCode::TOO_MANY_REQUESTS, Some(pause))) => permit.refused(pause),
            Ok((_, Some(pause))) => self.budget.pause(pause),
            Ok((_, None)) | Err(_) => {}
        }
        drop(permit);
        match sent {
            Ok(answer) => Ok((answer, token)),
            Err(unanswered) => Err(Failure { sent: unanswered.sent, ..unanswered.error.into() }),
        }
    }

    /// Requests the first token without using the budget. Any user may write another client's id into a Secret, and this
    /// must neither use that client's budget nor lower its limit. One caller at a time sends the request, and all waiting
    /// callers share a failure.
    async fn prove(&self, request: &ApiRequest<'_>, requester: &Requester) -> Result<(), Failure> {
        if request.operation.priority.may_be_cancelled() && requester.is_cancelled() {
            return Err(BudgetError::Cancelled.into());
        }
        let first = self.tokens.obtain(None).await?;
        if first.was_requested {
            self.budget.count_request_without_permit();
        }
        self.claim.get_or_init(|| self.budget.claim_limit(self.limit));
        Ok(())
    }

    async fn admit(&self, request: &ApiRequest<'_>, requester: &Requester) -> Result<Permit, BudgetError> {
        let priority = request.operation.priority;
        let joined = Instant::now();
        let admitted = self.budget.admit(priority, requester).await;
        if let Some(observer) = self.exchange.observer() {
            let outcome = admitted.as_ref().map_or_else(|refusal| refusal.metric_label(), |_| "admitted");
            observer.waited(priority, outcome, joined.elapsed());
        }
        admitted
    }

    fn http_request(&self, request: &ApiRequest<'_>, token: &Token) -> Result<Request<Bytes>, CallError> {
        let mut builder = Request::builder()
            .method(if request.body.is_some() { Method::POST } else { Method::GET })
            .uri(self.base_url.call_url(&request.path))
            .header(ACCEPT, "application/json");
        if let Some(authorization) = token.header() {
            builder = builder.header(AUTHORIZATION, authorization);
        }
        if request.body.is_some() {
            builder = builder.header(CONTENT_TYPE, "application/json");
        }
        if let Some(key) = request.key {
            builder = builder.header(IDEMPOTENCY_KEY, key.as_str());
        }
        builder
            .body(request.body.clone().unwrap_or_default())
            .map_err(|_| CallError::protocol("a request cannot be built from the base URL"))
    }

    fn jitter(&self) -> f64 {
        self.jitter.lock().f64()
    }
}
