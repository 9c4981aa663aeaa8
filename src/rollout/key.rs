//! The keys under which a call's effect happens once.
//!
//! A key is derived from what it stands for and never drawn at random: whichever process comes to send the call again
//! finds the same one. The uid keeps a re-created or restored resource apart from its predecessor.

use crate::api::status::DeliveryKind;
use crate::api::{Digest, IdempotencyKey};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

/// The key of an attempt's submit.
#[must_use]
pub fn submit(uid: &str, number: i64, digest: &Digest) -> IdempotencyKey {
    derive(&["submit", uid, &number.to_string(), digest.as_str()])
}

/// The key of a rollback. One that is asked for anew, after a refusal, is another one: its time tells them apart.
#[must_use]
pub fn rollback(uid: &str, number: i64, requested_at: Timestamp) -> IdempotencyKey {
    derive(&["rollback", uid, &number.to_string(), &requested_at.to_string()])
}

/// The id of a message about an attempt's outcome.
#[must_use]
pub fn outcome_message(uid: &str, number: i64, kind: DeliveryKind) -> IdempotencyKey {
    derive(&["outcome", uid, &number.to_string(), receiver(kind)])
}

/// The id of the message about a rollback that came after the outcome.
#[must_use]
pub fn later_rollback_message(rollback: &IdempotencyKey) -> IdempotencyKey {
    derive(&["rolled-back", rollback.as_str()])
}

fn receiver(kind: DeliveryKind) -> &'static str {
    match kind {
        DeliveryKind::Audit => "audit",
        DeliveryKind::Webhook => "webhook",
    }
}

fn derive(parts: &[&str]) -> IdempotencyKey {
    let mut hash = Sha256::new();
    for part in parts {
        // The length keeps "ab","c" apart from "a","bc".
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    IdempotencyKey::new(hex::encode(hash.finalize()))
}
