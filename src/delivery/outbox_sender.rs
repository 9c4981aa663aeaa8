//! Sends the messages in the outbox to their receivers.

use api::IdempotencyKey;
use api::status::OutboxEntry;
use bytes::Bytes;
use platform::{CallError, CallFailure, FailureCause, Platform, Requester, WebhookSender, WebhookUrl};
use std::time::Duration;

/// A message that was refused. It and the messages behind it stay in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The receiver's answer, or why it could not be reached.
    pub message: String,
    /// The pause that the receiver asked for.
    pub retry_after: Option<Duration>,
    /// Why it was refused.
    pub cause: FailureCause,
}

impl Refused {
    fn unreadable(id: &IdempotencyKey) -> Self {
        Self {
            message: format!("{id} cannot be the id of a message: the status was edited by hand"),
            retry_after: None,
            cause: FailureCause::Other,
        }
    }
}

impl From<CallFailure> for Refused {
    fn from(failure: CallFailure) -> Self {
        let retry_after = failure.retry_after();
        Self { message: failure.obstacle.message, retry_after, cause: failure.cause }
    }
}

impl From<CallError> for Refused {
    fn from(error: CallError) -> Self {
        Self { message: error.message().to_owned(), retry_after: error.retry_after(), cause: FailureCause::Other }
    }
}

/// Sends the messages in the outbox to their receivers.
#[derive(Clone)]
pub struct OutboxSender {
    webhooks: WebhookSender,
}

impl OutboxSender {
    /// A sender that delivers webhook events with `webhooks`.
    #[must_use]
    pub fn new(webhooks: WebhookSender) -> Self {
        Self { webhooks }
    }

    /// Sends audit records in order. `accepted` is called for each accepted one.
    ///
    /// # Errors
    /// [`Refused`] at the first that was not accepted.
    pub async fn audit(
        &self,
        platform: &dyn Platform,
        requester: &Requester,
        entries: &[OutboxEntry],
        accepted: impl FnMut(&IdempotencyKey),
    ) -> Result<(), Refused> {
        send_each(entries, accepted, |body, id| async move { Ok(platform.audit(body, &id, requester).await?) }).await
    }

    /// Sends webhook events in order. `accepted` is called for each accepted one.
    ///
    /// # Errors
    /// [`Refused`] at the first that was not accepted.
    pub async fn webhook(
        &self,
        url: &WebhookUrl,
        entries: &[OutboxEntry],
        accepted: impl FnMut(&IdempotencyKey),
    ) -> Result<(), Refused> {
        send_each(entries, accepted, |body, id| async move { Ok(self.webhooks.deliver(url, body, &id).await?) }).await
    }
}

/// Sends messages in order. `accepted` is called for each accepted one.
async fn send_each<Sending: Future<Output = Result<(), Refused>>>(
    entries: &[OutboxEntry],
    mut accepted: impl FnMut(&IdempotencyKey),
    send: impl Fn(Bytes, platform::IdempotencyKey) -> Sending,
) -> Result<(), Refused> {
    for entry in entries {
        let Ok(id) = entry.id.as_str().parse() else { return Err(Refused::unreadable(&entry.id)) };
        send(Bytes::from(entry.body.clone()), id).await?;
        accepted(&entry.id);
    }
    Ok(())
}
