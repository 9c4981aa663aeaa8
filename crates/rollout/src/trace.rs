//! The OpenTelemetry trace of a rollout. Its ids are derived from the attempt, so that every process of the operator adds to
//! the same trace.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// The id of the trace to which the log lines and spans of an attempt belong: 16 bytes, as in W3C Trace Context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// The id of the span that represents the whole attempt, and is the parent of all other spans: 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RootSpanId([u8; 8]);

impl TraceId {
    /// The trace of the attempt with this number and start time. The number alone is not unique: it starts again if somebody
    /// resets the status.
    #[must_use]
    pub fn of(uid: &str, number: i64, started_at: Timestamp) -> Self {
        Self(derive("trace", uid, number, started_at))
    }

    /// The bytes, the most significant one first.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl RootSpanId {
    /// The span of the attempt with this number and start time.
    #[must_use]
    pub fn of(uid: &str, number: i64, started_at: Timestamp) -> Self {
        Self(derive("root span", uid, number, started_at))
    }

    /// The bytes, the most significant one first.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

fn derive<const LENGTH: usize>(what: &str, uid: &str, number: i64, started_at: Timestamp) -> [u8; LENGTH] {
    let hash = Sha256::new()
        .chain_update(what)
        .chain_update(uid)
        .chain_update(number.to_be_bytes())
        .chain_update(started_at.as_microsecond().to_be_bytes())
        .finalize();
    let mut id = [0; LENGTH];
    id.copy_from_slice(&hash[..LENGTH]);
    // In the standard, zero means "none".
    id[LENGTH - 1] |= u8::from(id.iter().all(|byte| *byte == 0));
    id
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_has_the_same_trace_in_every_process_and_no_other_has_it() {
        let started_at = Timestamp::from_microsecond(1_767_268_800_000_001).unwrap();
        let later = Timestamp::from_microsecond(1_767_268_800_000_002).unwrap();
        let trace = TraceId::of("6f2c0f0e", 1, started_at);
        assert_eq!(
            trace.to_string(),
            "dab54e02b4c237363880a4bfea3afe71",
            "another version of the operator would continue the attempt in another trace"
        );
        assert_ne!(trace, TraceId::of("6f2c0f0e", 2, started_at));
        assert_ne!(trace, TraceId::of("6f2c0f0e", 1, later));
        assert_ne!(trace, TraceId::of("7a01b2c3", 1, started_at));
        assert_ne!(trace.to_bytes()[..8], RootSpanId::of("6f2c0f0e", 1, started_at).to_bytes());
    }
}
