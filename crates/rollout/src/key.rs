//! Idempotency keys. The API carries out a call once for each key.
//!
//! A key is derived, and never random, so that every process of the operator repeats a call with the same key. The uid makes
//! the keys of a resource different from those of an earlier resource with the same name. The start time makes the keys of
//! an attempt different from those of an earlier attempt with the same number: the numbers start again if somebody resets
//! the status or restores a backup of etcd.
//!
//! A recorded key is read from the status and never derived again. So another version of the operator may derive keys in
//! another way.

use api::status::DeliveryKind;
use api::{Digest, IdempotencyKey};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

/// The key of an attempt's submit.
#[must_use]
pub fn submit(uid: &str, number: i64, started_at: Timestamp, digest: &Digest) -> IdempotencyKey {
    derive(&["submit", uid, &number.to_string(), &microseconds(started_at), digest.as_str()])
}

/// The key of a rollback. A rollback that is requested again after a refusal has another key, because it has another time.
#[must_use]
pub fn rollback(uid: &str, number: i64, requested_at: Timestamp) -> IdempotencyKey {
    derive(&["rollback", uid, &number.to_string(), &requested_at.to_string()])
}

/// The id of a message about an attempt's outcome.
#[must_use]
pub fn outcome_message(uid: &str, number: i64, started_at: Timestamp, kind: DeliveryKind) -> IdempotencyKey {
    derive(&["outcome", uid, &number.to_string(), &microseconds(started_at), receiver(kind)])
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

/// Times in the status have this precision.
fn microseconds(moment: Timestamp) -> String {
    moment.as_microsecond().to_string()
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Somebody resets the status, and the number starts again.
    #[test]
    fn an_attempt_with_the_number_of_an_earlier_attempt_has_different_keys() {
        let digest: Digest = serde_json::from_value("v1:b".into()).unwrap();
        let first: Timestamp = "2026-01-01T12:00:00.000001Z".parse().unwrap();
        let second: Timestamp = "2026-01-01T12:00:00.000002Z".parse().unwrap();
        let submit_at = |started_at| submit("6f2c0f0e", 2, started_at, &digest);
        assert_eq!(submit_at(first), submit_at(first), "a repeat is known by its key");
        assert_ne!(submit_at(first), submit_at(second));
        for kind in DeliveryKind::ALL {
            let id = |started_at| outcome_message("6f2c0f0e", 2, started_at, kind);
            assert_eq!(id(first), id(first), "{kind:?}");
            assert_ne!(id(first), id(second), "{kind:?}");
        }
    }
}
