//! The trace of a rollout: derived, as its keys are, from what it stands for, so that all reconciles of all processes that
//! work on one attempt find the same one.

use sha2::{Digest as _, Sha256};
use std::fmt;

/// The id of the trace that an attempt's log lines and spans belong to, in W3C Trace Context's form: 16 bytes, 32 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// The id of the span that stands for the attempt as a whole, and is the parent of all others: 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RootSpanId([u8; 8]);

impl TraceId {
    /// The trace of a resource's attempt of that number.
    #[must_use]
    pub fn of(uid: &str, number: i64) -> Self {
        Self(derive("trace", uid, number))
    }

    /// The bytes, the most significant first.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl RootSpanId {
    /// The span of a resource's attempt of that number.
    #[must_use]
    pub fn of(uid: &str, number: i64) -> Self {
        Self(derive("root span", uid, number))
    }

    /// The bytes, the most significant first.
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

fn derive<const LENGTH: usize>(what: &str, uid: &str, number: i64) -> [u8; LENGTH] {
    let hash = Sha256::new().chain_update(what).chain_update(uid).chain_update(number.to_be_bytes()).finalize();
    let mut id = [0; LENGTH];
    id.copy_from_slice(&hash[..LENGTH]);
    // The standard keeps zero for "none".
    id[LENGTH - 1] |= u8::from(id.iter().all(|byte| *byte == 0));
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_has_the_same_trace_in_every_process_and_no_other_has_it() {
        let trace = TraceId::of("6f2c0f0e", 1);
        assert_eq!(
            trace.to_string(),
            "3ce5626d68b447c3fa66c07146f5ca3e",
            "another version of the operator would go on with another trace"
        );
        assert_ne!(trace, TraceId::of("6f2c0f0e", 2));
        assert_ne!(trace, TraceId::of("7a01b2c3", 1));
        assert_ne!(trace.to_bytes()[..8], RootSpanId::of("6f2c0f0e", 1).to_bytes());
    }
}
