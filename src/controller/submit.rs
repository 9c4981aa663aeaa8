//! The submit: an intent that is recorded first, a keyed call, and what came of it.

use super::act::{unreadable, unsafe_environment};
use super::claiming::Begun;
use super::error::Error;
use super::reconcile::ReconcileRun;
use super::sessions::Session;
use super::wire;
use api::identifier::{ApiOrigin, ClientHash, RequestHash};
use api::{IdempotencyKey, Snapshot};
use bytes::Bytes;
use cognigy::{self, FirstPost, Idempotency, request_hash};
use rollout::apply::submit::Submission;
use rollout::facts::SubmitIdempotency;
use rollout::{Obstacle, apply};
use std::time::Duration;

/// How long one submit call may take with all its tries and waits. The key's age is looked at before the call, and the
/// last one begins ten minutes before the key expires: none may still be sending by then.
const SUBMIT_WITHIN: Duration = Duration::from_secs(300);

impl ReconcileRun<'_> {
    /// Owns the environment from here on, whoever else comes to claim it, and writes the intent down.
    pub(super) async fn intend(&mut self) -> Result<(), Error> {
        let Some((session, snapshot)) = self.session_and_snapshot().await? else { return Ok(()) };
        match self.begin_rollout(&session).await? {
            Begun::Yes => {}
            Begun::InUse(obstacle) => {
                self.block(obstacle);
                return Ok(());
            }
            Begun::NotAccepted => {
                self.validate_again();
                return Ok(());
            }
        }
        let body = match self.submit_body(&snapshot, &session.origin).await? {
            Ok(body) => body,
            Err(obstacle) => {
                self.block(obstacle);
                return Ok(());
            }
        };
        let submission = Submission {
            client_hash: client_hash(&session),
            api_origin: session.origin,
            request_hash: RequestHash::new(request_hash(&body)),
        };
        self.change(|status, facts, memory| apply::submit::intend(status, facts, memory, submission));
        let key = self.status.attempt.as_ref().and_then(|attempt| attempt.idempotency_key.clone());
        self.state.submit_body = key.map(|key| (key, body));
        Ok(())
    }

    pub(super) async fn submit(&mut self) -> Result<(), Error> {
        if let Some(answer) = self.state.memory.attempt.submit_answer.clone() {
            self.change(|status, facts, memory| apply::submit::submit(status, facts, memory, answer));
            return Ok(());
        }
        let Some(session) = self.session().await? else { return Ok(()) };
        let key = self.status.attempt.as_ref().and_then(|attempt| attempt.idempotency_key.clone());
        let Some((key, wire_key)) = key.and_then(|key| key.as_str().parse().ok().map(|wire_key| (key, wire_key)))
        else {
            self.block(unreadable("attempt.idempotencyKey"));
            return Ok(());
        };
        let first = match self.state.memory.attempt.unsent.as_ref() == Some(&key) {
            true => FirstPost::Yes,
            false => FirstPost::No,
        };
        let body = self
            .recorded_body(&key, &session.origin)
            .await?
            .filter(|_| first == FirstPost::Yes || self.is_sender(&session));
        let Some(body) = body else {
            self.change(apply::submit::body_lost);
            return Ok(());
        };
        let idempotency = match self.context.process.settings.submit_idempotency {
            SubmitIdempotency::Supported => Idempotency::Supported,
            SubmitIdempotency::Unsupported => Idempotency::Unsupported,
        };
        let (asked, requester) = (self.context.now(), self.execution.requester.clone());
        let submit = session.client.submit(body, &wire_key, first, idempotency, &requester);
        let answer = self.ask(&session, tokio::time::timeout(SUBMIT_WITHIN, submit)).await;
        let answer = answer.unwrap_or_else(|_| no_answer(&session, idempotency));
        if matches!(answer, cognigy::SubmitAnswer::Unauthorized { .. }) {
            self.context.platforms.sessions.forget(&self.observed.source);
            self.note_refused(&session);
        }
        self.answered(asked, |status, facts, memory| {
            apply::submit::submit(status, facts, memory, wire::submit(answer))
        });
        if self.status.attempt.as_ref().is_some_and(|attempt| attempt.job_id.is_some() || attempt.verdict.is_some()) {
            self.state.submit_body = None;
        }
        Ok(())
    }

    /// The body of the recorded intent: as it was first sent, or built again to the same bytes.
    async fn recorded_body(&mut self, key: &IdempotencyKey, api: &ApiOrigin) -> Result<Option<Bytes>, Error> {
        let recorded = self.status.attempt.as_ref().and_then(|attempt| attempt.request_hash.clone());
        let is_recorded = |body: &Bytes| recorded == Some(RequestHash::new(request_hash(body)));
        if let Some((_, body)) = self.state.submit_body.as_ref().filter(|(of, body)| of == key && is_recorded(body)) {
            return Ok(Some(body.clone()));
        }
        let Ok(desired) = self.observed.desired.clone() else { return Ok(None) };
        let body = self.submit_body(&desired.snapshot, api).await?;
        Ok(body.ok().filter(is_recorded))
    }

    /// Whether the submit was sent as this client, if it was sent. Another one's repeat would be news to the API.
    fn is_sender(&self, session: &Session) -> bool {
        let sender = self.status.attempt.as_ref().and_then(|attempt| attempt.client_hash.as_ref());
        sender.is_none_or(|sender| *sender == client_hash(session))
    }

    async fn submit_body(&self, snapshot: &Snapshot, api: &ApiOrigin) -> Result<Result<Bytes, Obstacle>, Error> {
        let webhook = match self.webhook_url(api).await? {
            Ok(webhook) => webhook,
            Err(obstacle) => return Ok(Err(obstacle)),
        };
        let Some(environment) = self.environment(&self.observed.object) else {
            return Ok(Err(unsafe_environment(&self.observed.object)));
        };
        Ok(Ok(wire::submit_request(&self.observed.object.spec, &environment, snapshot, webhook.as_ref()).to_bytes()))
    }
}

fn client_hash(session: &Session) -> ClientHash {
    ClientHash::new(session.client_fingerprint.to_string())
}

/// The call took too long: it may have been sent.
fn no_answer(session: &Session, idempotency: Idempotency) -> cognigy::SubmitAnswer {
    let message = format!("{} did not answer the submit within {} s", session.client.server(), SUBMIT_WITHIN.as_secs());
    match idempotency {
        Idempotency::Supported => cognigy::SubmitAnswer::StillInProgress { message },
        Idempotency::Unsupported => cognigy::SubmitAnswer::OutcomeUnknown { message },
    }
}
