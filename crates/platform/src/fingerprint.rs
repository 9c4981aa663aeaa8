//! Compares sets of credentials without showing them.

use sha2::{Digest, Sha256};
use std::fmt;

/// A hash over the values that identify a client to its platform, for example the API and the client's id. It contains
/// no secret. Credentials whose requests the platform counts together have one fingerprint, and share one request
/// budget.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientFingerprint([u8; 32]);

impl ClientFingerprint {
    /// The fingerprint of these parts.
    #[must_use]
    pub fn of(parts: &[&str]) -> Self {
        Self(hash(parts))
    }
}

impl fmt::Display for ClientFingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ClientFingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ClientFingerprint({})", hex::encode(&self.0[..6]))
    }
}

/// A hash over all values of a set of credentials. It is never shown, because a weak secret could be guessed from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialsFingerprint([u8; 32]);

impl CredentialsFingerprint {
    /// The fingerprint of these parts.
    #[must_use]
    pub fn of(parts: &[&str]) -> Self {
        Self(hash(parts))
    }
}

impl fmt::Debug for CredentialsFingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CredentialsFingerprint(..)")
    }
}

/// The length of each part is hashed before the part, so that two different lists of parts have different hashes.
fn hash(parts: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_lists_of_parts_have_different_fingerprints() {
        assert_ne!(ClientFingerprint::of(&["ab", "c"]), ClientFingerprint::of(&["a", "bc"]));
    }

    #[test]
    fn the_fingerprint_of_credentials_is_never_shown() {
        let fingerprint = CredentialsFingerprint::of(&["hunter2"]);
        assert_eq!(format!("{fingerprint:?}"), "CredentialsFingerprint(..)");
    }
}
