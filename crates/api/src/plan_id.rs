//! The id of a plan: of one step from what runs to what is wanted.

use crate::digest::Digest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// How many hexadecimal digits an id has. 64 bits are enough: an id is compared with the one of a single resource.
const DIGITS: usize = 16;

/// `plan-` and the beginning of a hash over what would be deployed, what it would be checked against, and what runs now.
///
/// It depends on nothing else, so that a commit which changes none of the three has the same plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PlanId(String);

impl PlanId {
    /// The id of the step to a configuration and its checks, from what runs now. `None` if nothing is known to run.
    #[must_use]
    pub fn of(digest: &Digest, checks_digest: &Digest, running: Option<&Digest>) -> Self {
        let mut hash = Sha256::new();
        for part in [digest.as_str(), checks_digest.as_str(), running.map_or("", Digest::as_str)] {
            // The length keeps "ab","c" apart from "a","bc".
            hash.update(part.len().to_be_bytes());
            hash.update(part.as_bytes());
        }
        let digits = hex::encode(hash.finalize());
        Self(format!("plan-{}", digits.get(..DIGITS).unwrap_or_default()))
    }

    /// The text of the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text is no id of a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no id of a plan; it is plan- and 16 hexadecimal digits, for example plan-7a2934b468d32a1c")]
pub struct NoPlanId(String);

impl FromStr for PlanId {
    type Err = NoPlanId;

    fn from_str(text: &str) -> Result<Self, NoPlanId> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let digits = text.strip_prefix("plan-");
        match digits.is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(is_digit)) {
            true => Ok(Self(text.to_owned())),
            false => Err(NoPlanId(text.to_owned())),
        }
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn digest(text: &str) -> Digest {
        serde_json::from_value(text.into()).unwrap()
    }

    /// An approval that is kept in Git must stay valid after an upgrade.
    #[test]
    fn an_id_never_changes_and_depends_on_all_three() {
        let (a, b, c) = (digest("v1:a"), digest("v1:b"), digest("v1:c"));
        let id = PlanId::of(&a, &b, Some(&c));
        assert_eq!(id, PlanId::of(&a, &b, Some(&c)));
        assert_eq!(id.as_str(), "plan-7a2934b468d32a1c");
        for other in [
            PlanId::of(&b, &b, Some(&c)),
            PlanId::of(&a, &a, Some(&c)),
            PlanId::of(&a, &b, Some(&b)),
            PlanId::of(&a, &b, None),
        ] {
            assert_ne!(other, id);
        }
    }

    #[test]
    fn only_the_text_of_an_id_is_read_as_one() {
        assert_eq!("plan-7a2934b468d32a1c".parse::<PlanId>().unwrap().as_str(), "plan-7a2934b468d32a1c");
        for text in [
            "",
            "plan-",
            "7a2934b468d32a1c",
            "plan-7A2934b468d32a1c",
            "plan-7a2934b468d32a1cc",
            "plan-7a2934b468d32a1g",
        ] {
            assert!(text.parse::<PlanId>().is_err(), "{text}");
        }
    }
}
