//! The hash that identifies a configuration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// `v1:` and the SHA-256, in hexadecimal, over RFC 8785 canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    pub(crate) fn from_hash(hash: &[u8]) -> Self {
        Self(format!("v1:{}", hex::encode(hash)))
    }

    /// The text of the digest.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The configuration with this digest, for people: its version if it has one, or the beginning of the digest.
    #[must_use]
    pub fn named(&self, version: Option<&str>) -> String {
        match version {
            Some(version) => format!("version {version}"),
            None => format!("configuration {}", self.short()),
        }
    }

    /// The beginning of the digest, for messages.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..15).unwrap_or(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
