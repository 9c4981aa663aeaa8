//! Delivery to a CI/CD webhook (contract, section 8).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http::header::{ACCEPT, CONTENT_TYPE};
use url::Url;

use super::call::Call;
use super::caller::IDEMPOTENCY_KEY;
use super::client::Options;
use super::endpoint::{EndpointError, IdempotencyKey, parse_url};
use super::error::CallError;
use super::exchange::{Exchange, class_of, described};
use super::transport::Transport;

/// A webhook's URL. Its path and query are often a secret: it shows its host only.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(Url);

impl WebhookUrl {
    /// The host, which may be shown.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The whole URL, for the submit's `webhookCallbackUrl`. Not to be shown.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for WebhookUrl {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        parse_url(text).map(Self)
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "WebhookUrl({}, ..)", self.host())
    }
}

/// Delivers events to webhooks. Its transport trusts the system's certificates, and carries no token of ours.
#[derive(Clone)]
pub struct WebhookSender {
    exchange: Exchange,
}

impl WebhookSender {
    /// A sender over a transport.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>, options: Options) -> Self {
        Self { exchange: options.exchange(transport) }
    }

    /// Delivers an event once; repeats are the caller's, with the same event id.
    ///
    /// # Errors
    /// [`CallError`], whose message names the URL's host and status, but neither its path and query nor its answer, which
    /// may echo them.
    pub async fn deliver(&self, url: &WebhookUrl, body: Bytes, event_id: &IdempotencyKey) -> Result<(), CallError> {
        let request = Request::post(url.0.as_str())
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .header(IDEMPOTENCY_KEY, event_id.as_str())
            .body(body)
            .map_err(|_| CallError::protocol("the webhook's URL cannot be requested"))?;
        let named = |message: &str| format!("webhook at {}: {message}", url.host());
        match self.exchange.send(Call::Webhook, request).await {
            Ok(answer) => {
                match class_of(answer.status) {
                    None => Ok(()),
                    Some(class) => Err(CallError::new(class, named(&described(answer.status, "")))
                        .with_retry_after(answer.retry_after)),
                }
            }
            Err(unanswered) => Err(CallError::new(unanswered.error.class(), named(unanswered.error.message()))),
        }
    }
}
