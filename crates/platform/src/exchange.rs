//! Sends one request and reads one answer: checks the egress rules first, applies a deadline, and classifies the
//! answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{Instrument, field};
use url::Url;

use super::endpoint::server_of;
use super::error::{CallError, ErrorClass};
use super::http::{EgressPolicy, Transport, TransportError};
use super::operation::{Operation, RequestObserver};
use super::retry;
use super::sanitize;
use super::secrets::Secrets;

/// The maximum number of bytes of a URL in an error.
const MAX_SHOWN_URL_BYTES: usize = 300;

/// Wall-clock time. It is used only if an answer has a `Retry-After` date but no `Date` header.
pub type WallClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The settings that all requests of a process share.
#[derive(Clone)]
pub struct ExchangeOptions {
    /// The egress rules, which decide where requests may go.
    pub policy: EgressPolicy,
    /// Receives a report of each request, for metrics.
    pub observer: Option<Arc<dyn RequestObserver>>,
    /// The wall clock.
    pub wall_clock: WallClock,
}

impl ExchangeOptions {
    /// The system's clock and no observer.
    #[must_use]
    pub fn new(policy: EgressPolicy) -> Self {
        Self { policy, observer: None, wall_clock: Arc::new(Timestamp::now) }
    }
}

/// Sends single requests.
#[derive(Clone)]
pub struct Exchange {
    transport: Arc<dyn Transport>,
    policy: EgressPolicy,
    observer: Option<Arc<dyn RequestObserver>>,
    wall_clock: WallClock,
    /// Whether an error from the transport begins with the server's name.
    names_servers: bool,
}

/// An answer with any status.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The wait that the API requests.
    pub retry_after: Option<Duration>,
    /// The body; `None` if it is longer than the maximum that we read.
    body: Option<Bytes>,
    /// The secrets that must not be shown if the answer repeats them.
    secrets: Secrets,
    /// The URL of the request.
    url: Url,
}

/// The error if there is no answer.
#[derive(Debug)]
pub struct Unanswered {
    /// Why there is no answer.
    pub error: CallError,
    /// Whether the request may have taken effect although there is no answer.
    pub sent: bool,
}

impl Exchange {
    /// Makes an exchange that sends requests over this transport.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>, options: ExchangeOptions) -> Self {
        let ExchangeOptions { policy, observer, wall_clock } = options;
        Self { transport, policy, observer, wall_clock, names_servers: true }
    }

    /// Omits the server's name from errors. Use it if the caller adds another name.
    #[must_use]
    pub fn without_server_names(self) -> Self {
        Self { names_servers: false, ..self }
    }

    /// The observer of the requests, if there is one.
    #[must_use]
    pub fn observer(&self) -> Option<&Arc<dyn RequestObserver>> {
        self.observer.as_ref()
    }

    /// Sends one request under the call's deadline.
    pub async fn send(&self, operation: &Operation, request: http::Request<Bytes>) -> Result<Answer, Unanswered> {
        let started = Instant::now();
        let span = tracing::debug_span!(
            "request",
            otel.name = operation.name,
            otel.kind = "client",
            class = field::Empty,
            otel.status_code = field::Empty,
        );
        let result = self.send_unobserved(operation, request).instrument(span.clone()).await;
        let class = match &result {
            Ok(answer) => class_of(answer.status).map_or("success", ErrorClass::metric_label),
            Err(unanswered) => unanswered.error.metric_label(),
        };
        span.record("class", class);
        if class != "success" {
            span.record("otel.status_code", "error");
        }
        if let Some(observer) = &self.observer {
            observer.observed(operation, class, started.elapsed());
        }
        result
    }

    async fn send_unobserved(
        &self,
        operation: &Operation,
        request: http::Request<Bytes>,
    ) -> Result<Answer, Unanswered> {
        let url =
            Url::parse(&request.uri().to_string()).map_err(|_| Unanswered::unsent(CallError::protocol("not a URL")))?;
        self.policy.check(&url).map_err(|refusal| Unanswered::unsent(refusal.into()))?;
        let failed = |problem: String| match self.names_servers {
            true => CallError::transient(format!("{}: {problem}", server_of(&url))),
            false => CallError::transient(problem),
        };
        match tokio::time::timeout(operation.deadline, self.transport.send(request)).await {
            Ok(Ok(response)) => Ok(self.answer(response, url)),
            Ok(Err(TransportError::TooLarge { status })) => {
                Ok(Answer { status, retry_after: None, body: None, secrets: Secrets::default(), url })
            }
            Ok(Err(TransportError::EgressRefused(refusal))) => Err(Unanswered::unsent(refusal.into())),
            Ok(Err(error @ TransportError::NotConnected(_))) => Err(Unanswered::unsent(failed(error.to_string()))),
            Ok(Err(error @ TransportError::Interrupted(_))) => {
                Err(Unanswered { error: failed(error.to_string()), sent: true })
            }
            Err(_) => {
                let problem = format!("no answer within {} s", operation.deadline.as_secs());
                Err(Unanswered { error: failed(problem), sent: true })
            }
        }
    }

    fn answer(&self, response: http::Response<Bytes>, url: Url) -> Answer {
        let (parts, body) = response.into_parts();
        let retry_after = retry::retry_after(&parts.headers, || (self.wall_clock)());
        Answer { status: parts.status, retry_after, body: Some(body), secrets: Secrets::default(), url }
    }
}

impl Unanswered {
    fn unsent(error: CallError) -> Self {
        Self { error, sent: false }
    }
}

impl Answer {
    /// Returns the answer if its status is a success; otherwise the error with the API's own message, without the
    /// secrets.
    pub fn accepted(self, secrets: Secrets) -> Result<Self, CallError> {
        let Some(class) = class_of(self.status) else { return Ok(Self { secrets, ..self }) };
        let message = self.body.as_deref().map(sanitize::error_message).unwrap_or_default();
        let status = status_with_message(self.status, &secrets.redact(&message));
        let message = format!("{} answered {status}", self.shown_url());
        Err(CallError::new(class, message).with_retry_after(self.retry_after))
    }

    /// The server that sent the answer: scheme, host and port.
    pub fn server(&self) -> String {
        server_of(&self.url)
    }

    /// The URL for errors: the whole URL if the answer says that the path does not exist, otherwise only the server.
    fn shown_url(&self) -> String {
        match self.status {
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                sanitize::truncate(self.url.as_str(), MAX_SHOWN_URL_BYTES).into_owned()
            }
            _ => self.server(),
        }
    }

    /// The whole body.
    pub fn into_body(self) -> Result<Bytes, CallError> {
        self.into_parts().map(|(body, _)| body)
    }

    /// The whole body, and the secrets that must be removed before any part of it is shown.
    pub fn into_parts(self) -> Result<(Bytes, Secrets), CallError> {
        let too_large = TransportError::TooLarge { status: self.status };
        let server = server_of(&self.url);
        let body = self.body.ok_or_else(|| CallError::protocol(format!("{server}: {too_large}")))?;
        Ok((body, self.secrets))
    }

    /// How long all users of the budget must pause after this answer; `None` if no pause is needed.
    pub fn pause(&self) -> Option<Duration> {
        const DEFAULT_PAUSE: Duration = Duration::from_secs(5);
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => Some(self.retry_after.unwrap_or(DEFAULT_PAUSE)),
            StatusCode::SERVICE_UNAVAILABLE => self.retry_after,
            _ => None,
        }
    }
}

/// `422 Unprocessable Entity: the API's message`. A message that only repeats the status is left out.
pub fn status_with_message(status: StatusCode, message: &str) -> String {
    let message = sanitize::single_line(message);
    let shown = status.to_string();
    let repeats = message.is_empty() || message == shown || status.canonical_reason() == Some(message.as_str());
    if repeats { shown } else { format!("{shown}: {message}") }
}

/// The error class of a status (contract, "Errors"); `None` means success.
pub fn class_of(status: StatusCode) -> Option<ErrorClass> {
    match status.as_u16() {
        200..=299 => None,
        429 | 500..=599 => Some(ErrorClass::Transient),
        401 | 403 => Some(ErrorClass::Unauthorized),
        status @ 400..=499 => Some(ErrorClass::Rejected { status }),
        _ => Some(ErrorClass::Protocol),
    }
}
