//! Idempotency keys: the first answer, kept for repeats.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::identifier::ClientId;
use super::time::since;

/// An idempotency key and the client that chose it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct ScopedKey {
    pub(super) client: ClientId,
    pub(super) key: String,
}

/// The parts that make two requests equal: the method, the path and the body's bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a request.
    pub(super) fn of(request: &Request<Bytes>) -> Self {
        let mut digest = Sha256::new();
        digest.update(request.method().as_str());
        digest.update([0]);
        digest.update(request.uri().path());
        digest.update([0]);
        digest.update(request.body());
        Self(digest.finalize().into())
    }
}

/// The first answer for each key.
#[derive(Clone, Debug, Default)]
pub(super) struct AnswerStore {
    answers: BTreeMap<ScopedKey, KeptAnswer>,
}

#[derive(Clone, Debug)]
struct KeptAnswer {
    fingerprint: Fingerprint,
    kept_at: Timestamp,
    /// When the first answer is sent. Until then, the first request is still being processed.
    sent_at: Timestamp,
    response: Response<Bytes>,
}

/// The state of a key for a request.
#[derive(Clone, Debug)]
pub(super) enum KeyState {
    /// The key is new.
    First,
    /// The key is known; this is the first answer.
    Repeat(Response<Bytes>),
    /// The first request is still being processed: 409.
    InProgress,
    /// The key was used for another request: 422.
    Mismatch,
}

impl AnswerStore {
    /// Looks a key up. A key older than `lifetime` is forgotten.
    pub(super) fn look_up(
        &mut self,
        now: Timestamp,
        key: &ScopedKey,
        fingerprint: Fingerprint,
        lifetime: Duration,
    ) -> KeyState {
        let Some(kept) = self.answers.get(key) else {
            return KeyState::First;
        };
        if since(now, kept.kept_at) >= lifetime {
            self.answers.remove(key);
            return KeyState::First;
        }
        if kept.fingerprint != fingerprint {
            KeyState::Mismatch
        } else if now < kept.sent_at {
            KeyState::InProgress
        } else {
            KeyState::Repeat(kept.response.clone())
        }
    }

    /// Keeps the first answer to a key. `sent_at` is the time at which that answer is sent.
    pub(super) fn keep(
        &mut self,
        now: Timestamp,
        key: ScopedKey,
        fingerprint: Fingerprint,
        sent_at: Timestamp,
        response: Response<Bytes>,
    ) {
        self.answers.insert(key, KeptAnswer { fingerprint, kept_at: now, sent_at, response });
    }
}
