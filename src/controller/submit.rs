//! The submit: record an intent, send the request with its idempotency key, record the result.

use super::act::unreadable;
use super::claiming::Begun;
use super::error::Error;
use super::reconcile::ReconcileRun;
use api::identifier::{ClientHash, RequestHash};
use api::{IdempotencyKey, Snapshot};
use bytes::Bytes;
use platform::{Configuration, Connection, FirstPost, Submit};
use rollout::answer::{Retry, SubmitAnswer};
use rollout::apply::submit::SubmitIdentity;
use rollout::{Obstacle, apply};
use sha2::{Digest, Sha256};

impl ReconcileRun<'_> {
    /// Takes ownership of the environment, regardless of later claims, and records the intent.
    pub(super) async fn intend(&mut self) -> Result<(), Error> {
        let Some((session, snapshot)) = self.session_and_snapshot().await? else { return Ok(()) };
        // The reconcile may have waited for its checks since it observed the gates.
        self.observe_gates().await?;
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
        let body = match self.submit_body(&snapshot, &session).await? {
            Ok(body) => body,
            Err(obstacle) => {
                self.block(obstacle);
                return Ok(());
            }
        };
        let identity = SubmitIdentity {
            client_hash: client_hash(&session),
            api_origin: session.origin,
            request_hash: RequestHash::new(request_hash(&body)),
        };
        self.change(|status, facts, memory| apply::submit::intend(status, facts, memory, identity));
        let key = self.status.attempt.as_ref().and_then(|attempt| attempt.idempotency_key().cloned());
        self.state.submit_body = key.map(|key| (key, body));
        // The validation has already used the slot, unless another process made it before a restart.
        self.use_slot();
        Ok(())
    }

    pub(super) async fn submit(&mut self) -> Result<(), Error> {
        let Some(session) = self.session().await? else { return Ok(()) };
        let key = self.status.attempt.as_ref().and_then(|attempt| attempt.idempotency_key().cloned());
        let Some((key, wire_key)) = key.and_then(|key| key.as_str().parse().ok().map(|wire_key| (key, wire_key)))
        else {
            self.block(unreadable("attempt.submission.idempotencyKey"));
            return Ok(());
        };
        let first = match self.state.memory.attempt.submission.is_unsent(&key) {
            true => FirstPost::Yes,
            false => FirstPost::No,
        };
        let may_repeat = first == FirstPost::Yes || self.is_sender(&session);
        let body = self.recorded_body(&key, &session).await?.filter(|_| may_repeat);
        let Some(body) = body else {
            self.change(apply::submit::body_changed);
            return Ok(());
        };
        let (sent_at, requester) = (self.context.now(), self.execution.requester.clone());
        let submit = Submit { body, key: &wire_key, first };
        let answer = self.await_answer(&session, session.platform.submit(submit, &requester)).await;
        if are_credentials_refused(&answer) {
            self.context.platforms.sessions.forget(&self.observed.source);
            self.note_refused(&session);
        }
        self.answered(sent_at, |status, facts, memory| apply::submit::submit(status, facts, memory, answer));
        if self.status.attempt.as_ref().is_some_and(|attempt| attempt.job.is_some() || attempt.verdict.is_some()) {
            self.state.submit_body = None;
        }
        Ok(())
    }

    /// The body of the recorded intent: the body that was sent first, or one that was rebuilt to the same bytes.
    async fn recorded_body(&mut self, key: &IdempotencyKey, session: &Connection) -> Result<Option<Bytes>, Error> {
        let submission = self.status.attempt.as_ref().and_then(|attempt| attempt.submission.as_ref());
        let recorded = submission.map(|submission| submission.request_hash.clone());
        let is_recorded = |body: &Bytes| recorded == Some(RequestHash::new(request_hash(body)));
        if let Some((_, body)) = self.state.submit_body.as_ref().filter(|(of, body)| of == key && is_recorded(body)) {
            return Ok(Some(body.clone()));
        }
        let Ok(desired) = self.observed.desired.clone() else { return Ok(None) };
        let body = self.submit_body(&desired.snapshot, session).await?;
        Ok(body.ok().filter(is_recorded))
    }

    /// Whether this client sent the submit, or nothing was sent. The API would treat another client's repeat as a new
    /// submit.
    fn is_sender(&self, session: &Connection) -> bool {
        let submission = self.status.attempt.as_ref().and_then(|attempt| attempt.submission.as_ref());
        submission.is_none_or(|submission| submission.client_hash == client_hash(session))
    }

    async fn submit_body(&self, snapshot: &Snapshot, session: &Connection) -> Result<Result<Bytes, Obstacle>, Error> {
        let webhook = match self.webhook_url(&session.origin).await? {
            Ok(webhook) => webhook,
            Err(obstacle) => return Ok(Err(obstacle)),
        };
        let configuration = Configuration { spec: &self.observed.object.spec, snapshot };
        Ok(session.platform.submit_body(configuration, webhook.as_ref()))
    }
}

fn are_credentials_refused(answer: &SubmitAnswer) -> bool {
    matches!(answer, SubmitAnswer::NotSent(obstacle) | SubmitAnswer::NotYet(obstacle)
        if obstacle.retry == Retry::CredentialsChange)
}

/// SHA-256 of a body, to check that a rebuilt body has the same bytes.
fn request_hash(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}

fn client_hash(session: &Connection) -> ClientHash {
    ClientHash::new(session.client_fingerprint.to_string())
}
