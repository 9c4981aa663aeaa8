//! Reads the keys of Secrets, and reports errors in them to users.

use super::endpoint::EndpointError;
use super::sanitize::quoted;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use rollout::answer::Retry;
use rollout::{Cause, Obstacle};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::str::FromStr;

/// The longest number, in bytes.
const MAX_NUMBER_BYTES: usize = 20;

/// The name of a Secret, as used in messages.
#[derive(Clone, Copy)]
pub struct SecretName<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

impl<'a> SecretName<'a> {
    /// The name of this Secret.
    #[must_use]
    pub fn of(secret: &'a Secret) -> Self {
        let namespace = secret.metadata.namespace.as_deref().unwrap_or_default();
        Self { namespace, name: secret.metadata.name.as_deref().unwrap_or_default() }
    }

    /// The message about a problem with the Secret: its name, the problem, and how to fix it.
    #[must_use]
    pub fn sentence(self, problem: &str, remedy: &str) -> String {
        let Self { namespace, name } = self;
        format!("Secret {namespace}/{name} {problem}; {remedy} (kubectl -n {namespace} edit secret {name})")
    }

    fn invalid(self, problem: &str, remedy: &str) -> Obstacle {
        Obstacle::lasting(Cause::CredentialsInvalid, self.sentence(problem, remedy), Retry::CredentialsChange)
    }

    /// The Secret's `ca.crt` cannot be used.
    #[must_use]
    pub fn unusable_certificates(self, problem: &str) -> Obstacle {
        self.invalid(&format!("has a ca.crt that cannot be used: {problem}"), "correct it")
    }

    /// The Secret does not exist. The message names the keys that it must have.
    #[must_use]
    pub fn missing(self, keys: &[&str]) -> Obstacle {
        let Self { namespace, name } = self;
        let literals: String = keys.iter().map(|key| format!(" --from-literal={key}=...")).collect();
        let message = format!(
            "Secret {namespace}/{name} does not exist; create it with the keys {} (kubectl -n {namespace} create secret \
             generic {name}{literals})",
            keys.join(" and ")
        );
        Obstacle::lasting(Cause::CredentialsNotFound, message, Retry::CredentialsChange)
    }

    /// The API server forbids the operator to read the Secret.
    #[must_use]
    pub fn not_allowed(self) -> Obstacle {
        let Self { namespace, name } = self;
        let message = format!(
            "the operator is not allowed to read Secret {namespace}/{name}; grant its service account the verb get on \
             Secrets in namespace {namespace}"
        );
        Obstacle::lasting(Cause::CredentialsInvalid, message, Retry::CredentialsChange)
    }
}

/// A field of the spec is not a valid object name, so the operator does not read the object. The CRD's rules refuse such
/// a name, but the resource may be older than these rules.
#[must_use]
pub fn not_a_name(field: &str, name: &str, cause: Cause) -> Obstacle {
    let message = format!(
        "{field} is {}, which is not a valid name of a Kubernetes object; write lower-case letters, digits, '-' and '.', \
         for example cognigy-api",
        quoted(name, &[])
    );
    Obstacle::lasting(cause, message, Retry::InputChange)
}

/// A field of the spec contains a text that cannot be a key of a Secret or ConfigMap.
#[must_use]
pub fn not_a_key(field: &str, key: &str, cause: Cause) -> Obstacle {
    let message = format!(
        "{field} is {}, which is not a valid key of a Secret or ConfigMap; write letters, digits, '-', '_' and '.'",
        quoted(key, &[])
    );
    Obstacle::lasting(cause, message, Retry::InputChange)
}

/// Reads the keys of a Secret. Each error names the Secret, the key, the problem and the fix.
pub struct SecretKeys<'a> {
    secret: SecretName<'a>,
    data: Option<&'a BTreeMap<String, ByteString>>,
}

impl<'a> SecretKeys<'a> {
    /// The keys of this Secret.
    #[must_use]
    pub fn of(secret: &'a Secret) -> Self {
        Self { secret: SecretName::of(secret), data: secret.data.as_ref() }
    }

    /// The text of a key, without the final line break that `echo` and editors add; `None` if it is empty.
    ///
    /// # Errors
    /// An [`Obstacle`] if it is longer than `most` bytes or is not UTF-8 text.
    pub fn text(&self, key: &str, most: usize) -> Result<Option<String>, Obstacle> {
        let Some(ByteString(bytes)) = self.data.and_then(|data| data.get(key)) else { return Ok(None) };
        if bytes.len() > most {
            let problem = format!("has a {key} of {} bytes, but at most {most} bytes are allowed", bytes.len());
            return Err(self.secret.invalid(&problem, "correct it"));
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|_| self.secret.invalid(&format!("has a {key} that is not UTF-8 text"), "write it again"))?;
        Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
    }

    /// The text of a required key.
    ///
    /// # Errors
    /// The errors of [`text`](Self::text), and an error if the key is missing or empty.
    pub fn required(&self, key: &str, most: usize) -> Result<String, Obstacle> {
        self.text(key, most)?.ok_or_else(|| match self.data.is_some_and(|data| data.contains_key(key)) {
            true => self.secret.invalid(&format!("has an empty {key}"), "fill it in"),
            false => self.secret.invalid(&format!("has no key {key}"), "add it"),
        })
    }

    /// The URL in a key. An error message shows the URL without `secret_text`.
    ///
    /// # Errors
    /// The errors of [`text`](Self::text), and an error if the text is not a URL of this kind.
    pub fn url<T: FromStr<Err = EndpointError>>(
        &self,
        key: &str,
        most: usize,
        secret_text: &str,
    ) -> Result<Option<T>, Obstacle> {
        let Some(text) = self.text(key, most)? else { return Ok(None) };
        let invalid = |error: EndpointError| {
            let example = format!("https://{}", text.trim_start_matches('/'));
            let problem = match (&error, shown_url(&text, secret_text), shown_url(&example, secret_text)) {
                (EndpointError::NoScheme, Some(shown), Some(example)) => {
                    format!("has the {key} {shown}, which needs a scheme, for example {example}")
                }
                (error, Some(shown), _) => format!("has the {key} {shown}, which {error}"),
                (error, None, _) => format!("has a {key} that {error}"),
            };
            self.secret.invalid(&problem, "correct it")
        };
        text.parse().map(Some).map_err(invalid)
    }

    /// The whole number in a key, at least 1. An error message shows the value without `secret_text`.
    ///
    /// # Errors
    /// The errors of [`text`](Self::text), and an error if the text is not such a number.
    pub fn number(&self, key: &str, secret_text: &str) -> Result<Option<NonZeroU32>, Obstacle> {
        let Some(text) = self.text(key, MAX_NUMBER_BYTES)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            let shown = quoted(&text, &[secret_text]);
            let problem = format!("has the {key} {shown}, which is not a whole number from 1 to {}", u32::MAX);
            self.secret.invalid(&problem, "write for example 100")
        })
    }
}

/// A URL that cannot be used, in quotes; `None` if it contains user info. Its query is not shown, because it may
/// contain a secret.
fn shown_url(text: &str, secret_text: &str) -> Option<String> {
    if text.contains('@') || text.contains("%40") {
        return None;
    }
    let shown = quoted(text, &[secret_text]);
    match shown.find(['?', '#']) {
        Some(end) => Some(format!("{}...\"", &shown[..end])),
        None => Some(shown),
    }
}
