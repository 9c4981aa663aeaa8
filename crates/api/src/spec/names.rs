//! Names of Secrets and ConfigMaps, and of their keys, as Kubernetes allows them.
//!
//! The API server checks them with rules in the CRD. The operator checks them again before it builds a URL path from a name: the
//! object may be older than the rule, and a name such as `?limit=0` would turn a get request into a list request.

use std::fmt;

/// The maximum length of a name or a key, in bytes.
const MAX_BYTES: usize = 253;

/// A DNS subdomain (RFC 1123), as a CEL rule.
pub(crate) const NAME_RULE: &str =
    "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')";

/// The error message of [`NAME_RULE`] for a Secret.
pub(super) const SECRET_NAME_MESSAGE: &str = "write the name of a Secret in this namespace: lower-case letters, digits, '-' and '.', and a letter or digit before and after each '.', for example cognigy-api";

/// The error message of [`NAME_RULE`] for a ConfigMap.
pub(super) const CONFIG_MAP_NAME_MESSAGE: &str = "write the name of a ConfigMap in this namespace: lower-case letters, digits, '-' and '.', and a letter or digit before and after each '.', for example bot-snapshot";

/// A key of a Secret or ConfigMap, as a CEL rule.
pub(super) const KEY_RULE: &str = "self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && !self.startsWith('..')";

/// The error message of [`KEY_RULE`].
pub(super) const KEY_MESSAGE: &str =
    "write a key of letters, digits, '-', '_' and '.', not '.' itself and not beginning with '..', for example url";

/// A name that may be part of a path of the Kubernetes API: a DNS subdomain (RFC 1123) of at most 253 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectName<'a>(&'a str);

impl<'a> ObjectName<'a> {
    /// The name, if the text is a valid one.
    #[must_use]
    pub fn of(text: &'a str) -> Option<Self> {
        let is_name = text.len() <= MAX_BYTES && text.split('.').all(is_label);
        is_name.then_some(Self(text))
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

impl fmt::Display for ObjectName<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

/// Whether a Secret or a ConfigMap can have this key.
#[must_use]
pub fn is_key(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_directory = text == "." || text.starts_with("..");
    !text.is_empty() && text.len() <= MAX_BYTES && text.bytes().all(is_allowed) && !is_directory
}

fn is_label(label: &str) -> bool {
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = label.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter().all(|end| end.is_some_and(|byte| is_alphanumeric(*byte)))
        && bytes.iter().all(|byte| is_alphanumeric(*byte) || *byte == b'-')
}
