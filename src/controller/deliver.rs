//! Sends the messages in the outbox to their receivers, when the resource has nothing else to do.

use super::error::Error;
use super::reconcile::ReconcileRun;
use super::resources::state::DeliveryPause;
use super::webhook_url;
use crate::delivery::{Refused, outbox};
use api::IdempotencyKey;
use api::condition::ConditionType;
use api::identifier::ApiOrigin;
use api::reason::Reason;
use api::status::{DeliveryKind, OutboxEntry};
use futures::future;
use parking_lot::Mutex;
use platform::{Connection, FailureCause, SecretName, WebhookUrl};
use rollout::conditions::{ConditionUpdate, set_condition};
use rollout::memory::OBSTACLE_CHECK_INTERVAL;
use rollout::{Effects, Obstacle};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The result of offering the messages to one receiver.
enum Offered {
    /// There was nothing to offer, or no time to wait for the answer.
    Nothing,
    /// Every message was accepted.
    Accepted,
    /// One message was refused. It and the messages behind it are offered again later.
    Refused(Refused),
    /// The delivery was cancelled while it waited in the queue: the resource has changed.
    Cancelled,
}

/// The ids of the accepted messages, from both receivers.
type Accepted = Mutex<Vec<IdempotencyKey>>;

impl ReconcileRun<'_> {
    /// Offers the messages whose pause is over, for no longer than the rollout can wait. Returns when to offer again.
    pub(super) async fn deliver(&mut self, rest: Option<Duration>) -> Result<Option<Duration>, Error> {
        self.give_up_expired();
        let mut audits = self.due(DeliveryKind::Audit);
        let webhooks = self.due(DeliveryKind::Webhook);
        let session = if audits.is_empty() { None } else { Some(self.session_for_delivery().await?) };
        if let Some(Ok(session)) = &session {
            self.hold_back(&mut audits, session);
        }
        let url = if webhooks.is_empty() { None } else { Some(self.own_webhook_url().await?) };
        let accepted = Accepted::default();
        // A receiver may keep the reconcile waiting for minutes. The event that reports the outcome is published
        // meanwhile.
        let mut publisher = self.execution.publisher.lend();
        let (audit, webhook) = publisher
            .during(future::join(
                within(rest, self.offer_audits(session, &audits, &accepted)),
                within(rest, self.offer_webhooks(url, webhooks, &accepted)),
            ))
            .await;
        self.execution.publisher = publisher;
        let accepted = accepted.into_inner();
        self.status.outbox.retain(|entry| !accepted.contains(&entry.id));
        let is_cancelled = matches!(audit, Offered::Cancelled);
        self.note(DeliveryKind::Audit, audit);
        self.note(DeliveryKind::Webhook, webhook);
        if is_cancelled {
            return Err(Error::Cancelled);
        }
        Ok(self.next_offer())
    }

    /// The messages for a receiver; none during its pause.
    fn due(&self, kind: DeliveryKind) -> Vec<OutboxEntry> {
        let now = self.context.now().uptime;
        let is_due = |entry: &&OutboxEntry| entry.kind == kind && self.not_before(entry) <= now;
        self.status.outbox.iter().filter(is_due).cloned().collect()
    }

    /// The earliest time (process uptime) at which a message is offered.
    fn not_before(&self, entry: &OutboxEntry) -> Duration {
        let pause = self.state.deliveries.get(&entry.kind).map(|pause| pause.until);
        let known = self.state.credentials_origin.as_ref();
        let is_held_back = known.is_some_and(|origin| !outbox::is_for(entry, origin));
        let held_back = self.state.held_back_until.filter(|_| is_held_back);
        pause.max(held_back).unwrap_or_default()
    }

    /// Leaves out audit records that belong to another API than the one that the credentials point to now. Each belongs
    /// to the API that accepted its rollout. The Secret is read again in a minute. The condition `Delivered` says what
    /// to do.
    fn hold_back(&mut self, audits: &mut Vec<OutboxEntry>, session: &Connection) {
        let before = audits.len();
        audits.retain(|entry| outbox::is_for(entry, &session.origin));
        self.state.credentials_origin = Some(session.origin.clone());
        if audits.len() < before {
            self.state.held_back_until = Some(self.context.now().uptime + OBSTACLE_CHECK_INTERVAL);
            self.context.platforms.sessions.forget(&self.observed.source);
            tracing::warn!(
                held_back = before - audits.len(),
                "audit records wait, because their rollouts went to another API; let the credentials point to that API"
            );
        }
    }

    async fn session_for_delivery(&mut self) -> Result<Result<Connection, Obstacle>, Error> {
        let session = self.context.platforms.sessions.known_or_fresh(&self.observed.source).await?;
        self.note_if_credentials_gone(&session);
        Ok(session)
    }

    async fn offer_audits(
        &self,
        session: Option<Result<Connection, Obstacle>>,
        entries: &[OutboxEntry],
        accepted: &Accepted,
    ) -> Offered {
        let platform = match session {
            None => return Offered::Nothing,
            Some(Err(obstacle)) => return Offered::Refused(not_offered(obstacle)),
            Some(Ok(_)) if entries.is_empty() => return Offered::Nothing,
            Some(Ok(session)) => session.platform,
        };
        let offered = self
            .context
            .platforms
            .outbox
            .audit(&*platform, &self.execution.requester, entries, |id| note_accepted(accepted, id))
            .await;
        match offered {
            Ok(()) => Offered::Accepted,
            Err(refused) if refused.cause == FailureCause::Cancelled => Offered::Cancelled,
            Err(refused) => {
                if refused.cause == FailureCause::Credentials {
                    self.context.platforms.sessions.forget(&self.observed.source);
                }
                Offered::Refused(refused)
            }
        }
    }

    async fn offer_webhooks(
        &self,
        own: Option<Result<Option<WebhookUrl>, Obstacle>>,
        mut entries: Vec<OutboxEntry>,
        accepted: &Accepted,
    ) -> Offered {
        let own = match own {
            None => return Offered::Nothing,
            Some(Err(obstacle)) => return Offered::Refused(not_offered(obstacle)),
            Some(Ok(own)) => own,
        };
        let url = own.or_else(|| {
            // The operator's webhook receives only outcomes of the resources that it serves. The other messages have no
            // receiver any more, because the webhook was removed from the spec.
            let default = |entry: &OutboxEntry| self.default_webhook(entry.api_origin.as_ref()?).cloned();
            entries
                .extract_if(.., |entry| default(entry).is_none())
                .for_each(|entry| note_accepted(accepted, &entry.id));
            entries.first().and_then(default)
        });
        let Some(url) = url else { return Offered::Accepted };
        let offered = self.context.platforms.outbox.webhook(&url, &entries, |id| note_accepted(accepted, id)).await;
        offered.map_or_else(Offered::Refused, |()| Offered::Accepted)
    }

    fn note(&mut self, kind: DeliveryKind, offered: Offered) {
        match offered {
            Offered::Nothing | Offered::Cancelled => {}
            Offered::Accepted => {
                self.state.deliveries.remove(&kind);
            }
            Offered::Refused(refused) => {
                let (now, seed) = (self.context.now().uptime, self.context.seed());
                let pause = self.state.deliveries.entry(kind).or_insert_with(|| DeliveryPause::new(seed));
                pause.failed(now, refused.retry_after);
                tracing::warn!(
                    ?kind,
                    failures = pause.failures,
                    "a message was not accepted and is sent again later: {}",
                    refused.message
                );
            }
        }
    }

    /// The time until the next message may be offered.
    fn next_offer(&self) -> Option<Duration> {
        let now = self.context.now().uptime;
        self.status.outbox.iter().map(|entry| self.not_before(entry).saturating_sub(now)).min()
    }

    fn give_up_expired(&mut self) {
        for entry in outbox::take_expired(&mut self.status, self.context.now().wall) {
            self.drop_message(&entry, "it was not accepted within 72 hours");
        }
    }

    /// Writes each audit record of the recorded outbox to the log once. A record is logged only after it was recorded,
    /// because an unrecorded outcome is decided again, with another time. A new process logs every record that it
    /// finds: the previous process may have died between its write and its log line.
    pub(super) fn log_recorded(&mut self) {
        let recorded = self.observed.object.status.iter().flat_map(|status| &status.outbox);
        let mut logged = BTreeSet::new();
        for OutboxEntry { id, body, .. } in recorded.filter(|entry| entry.kind == DeliveryKind::Audit) {
            if !self.state.logged_records.contains(id) {
                tracing::info!(target: "audit", %id, record = %body, "an audit record was written");
            }
            logged.insert(id.clone());
        }
        self.state.logged_records = logged;
        // A message that is recorded as given up is not given up again.
        let outbox = self.observed.object.status.as_ref().map_or(&[][..], |status| &status.outbox);
        self.state.logged_as_given_up.retain(|id| outbox.iter().any(|entry| entry.id == *id));
    }

    /// Logs the whole of a message that cannot be kept any longer, and publishes a Warning. This happens before the
    /// status without the message is written: if the process died in between, the message would be lost.
    pub(super) fn drop_message(&mut self, entry: &OutboxEntry, why: &str) {
        let OutboxEntry { id, kind, body, .. } = entry;
        if self.state.logged_as_given_up.insert(id.clone()) {
            match kind {
                DeliveryKind::Audit => tracing::error!(target: "audit", %id, record = %body, "given up: {why}"),
                DeliveryKind::Webhook => tracing::error!(%id, event = %body, "given up: {why}"),
            }
        }
        let note = format!(
            "a message for the {kind:?} receiver was given up, because {why}; the operator's log holds it as {id}"
        );
        let object = Arc::clone(&self.observed.object);
        let facts = self.facts(&object, self.context.now());
        set_condition(
            &mut self.status,
            &facts,
            ConditionUpdate::set_false(ConditionType::Delivered, Reason::DeliveryGivenUp, note.clone()),
        );
        self.apply_effects(Effects::warning(Reason::DeliveryGivenUp, note));
    }

    /// The webhook for a rollout that goes to this API: the resource's own webhook; else the operator's webhook, if it
    /// serves the resource. The URL is read each time and never stored.
    pub(super) async fn webhook_url(&self, api: &ApiOrigin) -> Result<Result<Option<WebhookUrl>, Obstacle>, Error> {
        let own = self.own_webhook_url().await?;
        Ok(own.map(|own| own.or_else(|| self.default_webhook(api).cloned())))
    }

    /// The operator's webhook, if it serves this resource for rollouts that go to this API.
    fn default_webhook(&self, api: &ApiOrigin) -> Option<&WebhookUrl> {
        let namespace = self.observed.object.metadata.namespace.as_deref().unwrap_or_default();
        self.context.platforms.default_webhook.as_ref()?.serving(namespace, api)
    }

    /// The resource's own webhook, if the spec names one.
    pub(super) async fn own_webhook_url(&self) -> Result<Result<Option<WebhookUrl>, Obstacle>, Error> {
        let Some(webhook) = &self.observed.object.spec.webhook else { return Ok(Ok(None)) };
        if let Some(source) = &webhook.url_from {
            let reference = &source.secret_key_ref;
            let namespace = self.observed.object.metadata.namespace.as_deref().unwrap_or_default();
            let object_name = match webhook_url::checked_name(reference) {
                Ok(name) => name,
                Err(obstacle) => return Ok(Err(obstacle)),
            };
            let secret = self.context.platforms.sessions.secret(namespace, object_name).await?;
            let name = SecretName { namespace, name: &reference.name };
            return Ok(webhook_url::in_secret(secret, name, &reference.key).map(Some));
        }
        Ok(webhook_url::in_spec(webhook.url.as_deref().unwrap_or_default()).map(Some))
    }
}

fn not_offered(obstacle: Obstacle) -> Refused {
    Refused { message: obstacle.message, retry_after: None, cause: FailureCause::Other }
}

fn note_accepted(accepted: &Accepted, id: &IdempotencyKey) {
    accepted.lock().push(id.clone());
}

/// Stops the delivery when the rollout needs attention. Messages that were not accepted by then are offered again.
async fn within(rest: Option<Duration>, offer: impl Future<Output = Offered>) -> Offered {
    match rest {
        None => offer.await,
        Some(rest) => tokio::time::timeout(rest.max(Duration::from_secs(1)), offer).await.unwrap_or(Offered::Nothing),
    }
}
