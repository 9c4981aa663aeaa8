//! Identifiers. Each has its own type, so that they cannot be mixed up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! text_newtype {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Does not check the text. The caller must validate untrusted text first.
            #[must_use]
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

text_newtype!(
    /// A Cognigy.AI environment, as in paths and bodies (contract, sections 1, 3 and 5).
    EnvironmentId
);
text_newtype!(
    /// A hash over the name and the content of a CognigyDecision, in hexadecimal.
    DecisionHash
);
text_newtype!(
    /// The uid of a CognigyDecision.
    DecisionUid
);
text_newtype!(
    /// A rollout's job at Cognigy.AI (contract, section 3).
    JobId
);
text_newtype!(
    /// The `Idempotency-Key` of a call whose effect must happen once (contract, sections 3, 6 and 7).
    IdempotencyKey
);
text_newtype!(
    /// The Cognigy.AI that credentials point to: scheme, host, port and path prefix. It never contains a secret.
    ApiOrigin
);
text_newtype!(
    /// SHA-256, in hexadecimal, over the exact bytes of a request's body.
    RequestHash
);
text_newtype!(
    /// A hash that identifies an API client of Cognigy.AI without naming it.
    ClientHash
);
