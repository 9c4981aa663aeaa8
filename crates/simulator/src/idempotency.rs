//! Idempotency keys: the first answer, kept for repeats.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::identifier::ClientId;
use super::moment::since;

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

/// Answers by key.
#[derive(Clone, Debug, Default)]
pub(super) struct AnswerBook {
    answers: BTreeMap<ScopedKey, KeptAnswer>,
}

#[derive(Clone, Debug)]
struct KeptAnswer {
    fingerprint: Fingerprint,
    kept_at: Timestamp,
    /// Until then the first request is still being processed.
    out_at: Timestamp,
    response: Response<Bytes>,
}

/// The state of a key for a request.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    /// The key is new.
    First,
    /// The key is known; this is the first answer.
    Repeat(Response<Bytes>),
    /// The first request is still being processed: 409.
    InProgress,
    /// The key was used for another request: 422.
    Mismatch,
}

impl AnswerBook {
    /// Looks a key up. A key older than `lifetime` is forgotten.
    pub(super) fn standing(
        &mut self,
        now: Timestamp,
        key: &ScopedKey,
        fingerprint: Fingerprint,
        lifetime: Duration,
    ) -> Standing {
        let Some(kept) = self.answers.get(key) else {
            return Standing::First;
        };
        if since(now, kept.kept_at) >= lifetime {
            self.answers.remove(key);
            return Standing::First;
        }
        if kept.fingerprint != fingerprint {
            Standing::Mismatch
        } else if now < kept.out_at {
            Standing::InProgress
        } else {
            Standing::Repeat(kept.response.clone())
        }
    }

    /// Keeps the first answer to a key. That answer is sent at `out_at`.
    pub(super) fn keep(
        &mut self,
        now: Timestamp,
        key: ScopedKey,
        fingerprint: Fingerprint,
        out_at: Timestamp,
        response: Response<Bytes>,
    ) {
        self.answers.insert(key, KeptAnswer { fingerprint, kept_at: now, out_at, response });
    }
}
