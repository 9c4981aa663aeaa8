//! Adds messages to the outbox, and removes messages that were not accepted in time.

use api::JobId;
use api::identifier::ApiOrigin;
use api::status::{CognigyDeploymentStatus, DeliveryKind, OutboxEntry};
use bytes::Bytes;
use jiff::Timestamp;
use platform::{AuditRecord, Provider, WebhookEvent, WebhookEventKind, WebhookMetrics};
use rollout::OutboxMessage;
use rollout::time::between;
use std::time::Duration;

/// For how long a message is offered to its receiver.
pub const KEPT_FOR: Duration = Duration::from_secs(72 * 3600);
/// The maximum number of messages in a status.
pub const MOST: usize = 40;

/// Adds a message to the outbox, once for each id. If the outbox is full, the oldest message is removed and returned.
pub fn put(
    status: &mut CognigyDeploymentStatus,
    message: &OutboxMessage,
    provider: &dyn Provider,
) -> Option<OutboxEntry> {
    let entry = entry(message, provider);
    if status.outbox.iter().any(|present| present.id == entry.id) {
        return None;
    }
    status.outbox.push(entry);
    (status.outbox.len() > MOST).then(|| status.outbox.remove(0))
}

/// Whether a message may be sent to this API: an audit record only to the API that accepted its rollout.
#[must_use]
pub fn is_for(entry: &OutboxEntry, origin: &ApiOrigin) -> bool {
    entry.kind != DeliveryKind::Audit || entry.api_origin.as_ref().is_none_or(|taken_by| taken_by == origin)
}

/// Removes the messages that were offered for too long, and returns them.
pub fn take_expired(status: &mut CognigyDeploymentStatus, now: Timestamp) -> Vec<OutboxEntry> {
    let (expired, kept) =
        std::mem::take(&mut status.outbox).into_iter().partition(|entry| between(entry.created_at, now) >= KEPT_FOR);
    status.outbox = kept;
    expired
}

fn entry(message: &OutboxMessage, provider: &dyn Provider) -> OutboxEntry {
    match message {
        OutboxMessage::Audit { id, job_id, success, duration_seconds, compliance, at, api_origin } => {
            let job_id = on_the_wire(job_id.as_ref());
            let record = AuditRecord {
                at: *at,
                job_id: job_id.as_ref(),
                success: *success,
                duration_seconds: *duration_seconds,
                compliance,
            };
            let body = text(&provider.audit_record(&record));
            OutboxEntry {
                id: id.clone(),
                kind: DeliveryKind::Audit,
                body,
                created_at: *at,
                api_origin: api_origin.clone(),
            }
        }
        OutboxMessage::Webhook { id, job_id, success, duration_seconds, validation_success_rate, at, api_origin } => {
            let job_id = on_the_wire(job_id.as_ref());
            let event = WebhookEvent {
                event: WebhookEventKind::DeploymentComplete,
                job_id: job_id.as_ref(),
                success: *success,
                metrics: WebhookMetrics {
                    duration_seconds: *duration_seconds,
                    validation_success_rate: *validation_success_rate,
                },
            };
            let body = text(&event.to_bytes());
            OutboxEntry {
                id: id.clone(),
                kind: DeliveryKind::Webhook,
                body,
                created_at: *at,
                api_origin: api_origin.clone(),
            }
        }
    }
}

/// The job's id in the wire format. `None` if it is not a valid id, because the status was edited by hand.
fn on_the_wire(job_id: Option<&JobId>) -> Option<platform::JobId> {
    job_id.and_then(|job_id| job_id.as_str().parse().ok())
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
