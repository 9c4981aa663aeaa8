//! Delivery to a CI/CD webhook (contract, section 8).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{ACCEPT, CONTENT_TYPE};
use url::Url;

use super::budget::Priority;
use super::endpoint::{EndpointError, IdempotencyKey, parse_url};
use super::error::CallError;
use super::exchange::{Exchange, ExchangeOptions, class_of, status_with_message};
use super::http::Transport;
use super::operation::Operation;

/// The header that makes a repeated delivery harmless (contract, section 3).
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Delivers an event to a webhook. The outbox repeats a failed delivery later, so each call makes only one try.
pub const WEBHOOK: Operation = Operation {
    name: "webhook",
    title: "webhook",
    deadline: Duration::from_secs(10),
    tries: 1,
    priority: Priority::Audit,
};

/// The minimum length in bytes of a URL part that is treated as a secret.
const MIN_SECRET_BYTES: usize = 8;

/// A webhook's URL. Its path and query often contain a secret, so only its host is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(Url);

impl WebhookUrl {
    /// The host, which may be shown.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The whole URL, for the submit's `webhookCallbackUrl`. It must not be shown.
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

/// The URL, and each part of it after the host that usually contains a secret. The submit contains the URL, so its
/// answer may repeat these texts, and they must be removed before the answer is shown.
pub fn parts_that_may_be_secret(url: &str) -> impl Iterator<Item = &str> {
    let after_scheme = url.find("://").map_or(0, |found| found + 3);
    let after_host = url[after_scheme..].find(['/', '?']).map_or(url.len(), |found| after_scheme + found);
    let target = &url[after_host..];
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let segments = path.split('/').chain(query.split(['&', '='])).filter(|segment| !is_word(segment));
    [url, target, path, query].into_iter().chain(segments).filter(|part| part.len() >= MIN_SECRET_BYTES)
}

/// Whether the text looks like an ordinary word, such as `webhooks`. Redacting such words would make messages unreadable.
fn is_word(segment: &str) -> bool {
    segment.bytes().all(|byte| byte.is_ascii_lowercase() || b"-_".contains(&byte))
}

/// Delivers events to webhooks. It never sends a token of the operator.
#[derive(Clone)]
pub struct WebhookSender {
    exchange: Exchange,
}

impl WebhookSender {
    /// A sender over a transport.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>, options: ExchangeOptions) -> Self {
        Self { exchange: Exchange::new(transport, options).without_server_names() }
    }

    /// Delivers an event once. The caller repeats a failed delivery with the same event id.
    ///
    /// # Errors
    /// [`CallError`]. Its message names the URL's host and the status. It contains neither the path and query nor the
    /// answer, which may repeat them.
    pub async fn deliver(&self, url: &WebhookUrl, body: Bytes, event_id: &IdempotencyKey) -> Result<(), CallError> {
        let request = Request::post(url.0.as_str())
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .header(IDEMPOTENCY_KEY, event_id.as_str())
            .body(body)
            .map_err(|_| CallError::protocol("the webhook's URL cannot be requested"))?;
        let named = |message: &str| format!("webhook at {}: {message}", url.host());
        match self.exchange.send(&WEBHOOK, request).await {
            Ok(answer) => match class_of(answer.status) {
                None => Ok(()),
                Some(class) => Err(CallError::new(class, named(&status_with_message(answer.status, "")))
                    .with_retry_after(answer.retry_after)),
            },
            Err(unanswered) => Err(CallError::new(unanswered.error.class(), named(unanswered.error.message()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_and_its_parts_are_secret_except_its_host_and_ordinary_words() {
        let parts = |url| parts_that_may_be_secret(url).collect::<Vec<_>>();
        let url = "https://hooks.example.com/webhooks/T0ken-T0ken?key=K3y-K3y-K3y";
        let (path, query) = ("/webhooks/T0ken-T0ken", "key=K3y-K3y-K3y");
        assert_eq!(parts(url), [url, &url[25..], path, query, "T0ken-T0ken", "K3y-K3y-K3y"]);
        assert_eq!(parts("https://hooks.example.com"), ["https://hooks.example.com"]);
        let bare = "https://hooks.example.com?T0ken-T0ken";
        assert_eq!(parts(bare), [bare, "?T0ken-T0ken", "T0ken-T0ken", "T0ken-T0ken"]);
    }
}
