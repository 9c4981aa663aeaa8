//! What goes into the outbox, and what leaves it without having been taken.

use api::JobId;
use api::identifier::ApiOrigin;
use api::status::{CognigyDeploymentStatus, DeliveryKind, OutboxEntry};
use bytes::Bytes;
use jiff::Timestamp;
use platform::{AuditRecord, Provider, WebhookEvent, WebhookEventKind, WebhookMetrics};
use rollout::Notice;
use rollout::time::between;
use std::time::Duration;

/// How long a message is offered to its receiver.
pub const KEPT_FOR: Duration = Duration::from_secs(72 * 3600);
/// The most messages that a status holds.
pub const MOST: usize = 40;

/// Puts a message into the outbox, once for each id. Where it is full, the oldest leaves it and is returned.
pub fn put(status: &mut CognigyDeploymentStatus, notice: &Notice, provider: &dyn Provider) -> Option<OutboxEntry> {
    let entry = entry(notice, provider);
    if status.outbox.iter().any(|present| present.id == entry.id) {
        return None;
    }
    status.outbox.push(entry);
    (status.outbox.len() > MOST).then(|| status.outbox.remove(0))
}

/// Whether a message may go to this API: an audit record only to the one that took its rollout.
#[must_use]
pub fn is_for(entry: &OutboxEntry, origin: &ApiOrigin) -> bool {
    entry.kind != DeliveryKind::Audit || entry.api_origin.as_ref().is_none_or(|taken_by| taken_by == origin)
}

/// Takes the messages out that were offered for too long.
pub fn take_expired(status: &mut CognigyDeploymentStatus, now: Timestamp) -> Vec<OutboxEntry> {
    let (expired, kept) =
        std::mem::take(&mut status.outbox).into_iter().partition(|entry| between(entry.created_at, now) >= KEPT_FOR);
    status.outbox = kept;
    expired
}

fn entry(notice: &Notice, provider: &dyn Provider) -> OutboxEntry {
    match notice {
        Notice::Audit { id, job_id, success, duration_seconds, compliance, at, api_origin } => {
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
        Notice::Webhook { id, job_id, success, duration_seconds, validation_success_rate, at, api_origin } => {
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

/// What does not look like a job's id, because the status was edited by hand, is not claimed to be one.
fn on_the_wire(job_id: Option<&JobId>) -> Option<platform::JobId> {
    job_id.and_then(|job_id| job_id.as_str().parse().ok())
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
