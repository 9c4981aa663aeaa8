//! The identifiers that callers and the simulated platform use.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The maximum length in bytes of an identifier in a path.
const LONGEST_IDENTIFIER: usize = 256;

/// The error for an identifier that cannot be used in a path of the API.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not a valid path segment: write 1 to 256 of A-Z, a-z, 0-9, `.`, `_`, `~` and `-`, and neither `.` nor `..`"
)]
pub struct UnsafeIdentifier(String);

macro_rules! path_identifier {
    ($(#[$documentation:meta])* $name:ident) => {
        $(#[$documentation])*
        #[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The identifier as it is sent.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = UnsafeIdentifier;

            fn try_from(text: String) -> Result<Self, UnsafeIdentifier> {
                if is_safe_in_a_path(&text) {
                    Ok(Self(text))
                } else {
                    Err(UnsafeIdentifier(text))
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnsafeIdentifier;

            fn from_str(text: &str) -> Result<Self, UnsafeIdentifier> {
                Self::try_from(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

path_identifier! {
    /// An environment of the platform, such as `env_prod_us_01`.
    EnvironmentId
}

path_identifier! {
    /// A deployment job, such as `job_8f3a2c`.
    JobId
}

impl JobId {
    /// The id of the job after `number` earlier jobs. The first is `job_8f3a2c`, as in the contract. The others look
    /// random, and the first 2^24 ids are different.
    pub(super) fn numbered(number: u32) -> Self {
        // An odd factor permutes the residues modulo 2^24.
        let scattered = number.wrapping_mul(0x009E_3779).wrapping_add(0x008F_3A2C) & 0x00FF_FFFF;
        Self(format!("job_{scattered:06x}"))
    }
}

/// The `client_id` of OAuth2 client credentials.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct ClientId(String);

impl ClientId {
    /// Makes the identifier of a client.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The identifier as it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn is_safe_in_a_path(text: &str) -> bool {
    let safe_bytes = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte));
    (1..=LONGEST_IDENTIFIER).contains(&text.len()) && safe_bytes && text != "." && text != ".."
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn only_a_name_that_is_safe_in_a_path_is_an_environment() {
        let cases = [
            ("env_prod_us_01", true),
            ("a.b~c-d", true),
            ("", false),
            (".", false),
            ("..", false),
            ("../admin", false),
            ("a b", false),
            ("env%2F", false),
        ];
        for (text, safe) in cases {
            assert_eq!(text.parse::<EnvironmentId>().is_ok(), safe, "{text:?}");
        }
        assert!("x".repeat(256).parse::<EnvironmentId>().is_ok());
        assert!("x".repeat(257).parse::<EnvironmentId>().is_err());
    }

    #[test]
    fn job_ids_do_not_repeat() {
        let names: BTreeSet<_> = (0..10_000).map(JobId::numbered).collect();
        assert_eq!(names.len(), 10_000);
    }
}
