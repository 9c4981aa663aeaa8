//! Credentials from a Secret, or the operator's own where it offers them.

use cognigy::{BaseUrl, Credentials, EndpointError, MAX_BASE_BYTES, TokenUrl, quoted};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use rollout::answer::Retry;
use rollout::{Cause, Obstacle};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::str::FromStr;

/// Where requests go when a Secret does not say, and the operator's own credentials.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// The API, where a Secret names none.
    pub base_url: BaseUrl,
    /// The token endpoint, where a Secret names none.
    pub token_url: TokenUrl,
    /// Requests per minute, where a Secret names no number.
    pub requests_per_minute: Option<NonZeroU32>,
    /// The operator's own client, where it has one.
    pub client: Option<OwnClient>,
    /// The namespaces that may use it.
    pub namespaces: OfferedNamespaces,
}

/// The public API, and no client of the operator's own.
impl Default for Defaults {
    fn default() -> Self {
        Self {
            base_url: BaseUrl::public(),
            token_url: TokenUrl::public(),
            requests_per_minute: None,
            client: None,
            namespaces: OfferedNamespaces::default(),
        }
    }
}

/// The operator's own client at Cognigy.AI.
#[derive(Clone, Debug)]
pub struct OwnClient {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: SecretString,
}

/// The namespaces whose resources may use something of the operator's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfferedNamespaces(Vec<String>);

impl OfferedNamespaces {
    /// These namespaces; `*` stands for all.
    #[must_use]
    pub fn new(namespaces: impl IntoIterator<Item = String>) -> Self {
        Self(namespaces.into_iter().collect())
    }

    /// Whether this namespace is among them.
    #[must_use]
    pub fn includes(&self, namespace: &str) -> bool {
        self.0.iter().any(|offered| offered == "*" || offered == namespace)
    }
}

impl Defaults {
    /// The operator's own credentials, for a resource that names none.
    ///
    /// # Errors
    /// An [`Obstacle`], where the operator has none or does not offer them to this namespace.
    pub fn own(&self, namespace: &str) -> Result<Credentials, Obstacle> {
        let client = self.client.as_ref().filter(|_| self.namespaces.includes(namespace)).ok_or_else(|| {
            Obstacle::lasting(
                Cause::CredentialsNotFound,
                format!(
                    "the resource names no credentials, and the operator offers none of its own to namespace {namespace}; \
                     name a Secret in spec.credentialsRef"
                ),
                Retry::CredentialsChange,
            )
        })?;
        Ok(Credentials {
            client_id: client.id.clone(),
            client_secret: client.secret.clone(),
            base_url: self.base_url.clone(),
            token_url: self.token_url.clone(),
            ca_pem: None,
            requests_per_minute: self.requests_per_minute,
        })
    }

    /// The credentials in a Secret.
    ///
    /// # Errors
    /// An [`Obstacle`] that names the Secret, the key, what is wrong with it and what to do. It quotes URLs and numbers, and
    /// nothing else.
    pub fn in_secret(&self, secret: &Secret) -> Result<Credentials, Obstacle> {
        let keys = Keys::of(secret);
        let client_id = keys.required("clientId", MAX_CLIENT_BYTES)?;
        let client_secret = keys.required("clientSecret", MAX_CLIENT_BYTES)?;
        let base_url = keys.url("baseUrl", MAX_BASE_BYTES, &client_secret)?.unwrap_or_else(|| self.base_url.clone());
        let token_url = keys.url("tokenUrl", MAX_URL_BYTES, &client_secret)?.unwrap_or_else(|| self.token_url.clone());
        let requests_per_minute = keys.number("requestsPerMinute", &client_secret)?.or(self.requests_per_minute);
        let ca_pem = keys.text("ca.crt", MAX_CERTIFICATES_BYTES)?;
        let client_secret = client_secret.into();
        Ok(Credentials { client_id, client_secret, base_url, token_url, ca_pem, requests_per_minute })
    }
}

/// The longest id or secret of a client, the longest URL, the longest list of certificates and the longest number, in
/// bytes. Longer ones are a mistake, such as a file in the wrong key.
const MAX_CLIENT_BYTES: usize = 4 * 1024;
const MAX_URL_BYTES: usize = 2 * 1024;
const MAX_CERTIFICATES_BYTES: usize = 256 * 1024;
const MAX_NUMBER_BYTES: usize = 20;

/// The name of a Secret, as messages about it need it.
#[derive(Clone, Copy)]
pub struct SecretName<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

impl SecretName<'_> {
    /// The sentence about what is wrong with it: which Secret, the problem, and how to mend it.
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

    /// There is no such Secret.
    #[must_use]
    pub fn missing(self) -> Obstacle {
        let Self { namespace, name } = self;
        let message = format!(
            "Secret {namespace}/{name} does not exist; create it with the keys clientId and clientSecret (kubectl -n \
             {namespace} create secret generic {name} --from-literal=clientId=... --from-literal=clientSecret=...)"
        );
        Obstacle::lasting(Cause::CredentialsNotFound, message, Retry::CredentialsChange)
    }

    /// The API server does not let the operator read it.
    #[must_use]
    pub fn not_allowed(self) -> Obstacle {
        let Self { namespace, name } = self;
        let message = format!(
            "the operator may not read Secret {namespace}/{name}; give its service account the right to get Secrets in \
             namespace {namespace}"
        );
        Obstacle::lasting(Cause::CredentialsInvalid, message, Retry::CredentialsChange)
    }
}

/// A field of the spec holds no name that an object can have, so that nothing is asked under it. The API server refuses
/// such a name today; the object was stored before it did.
#[must_use]
pub fn not_a_name(field: &str, name: &str, cause: Cause) -> Obstacle {
    let message = format!(
        "{field} is {}, which no object in Kubernetes can be called; write lower-case letters, digits, '-' and '.', for \
         example cognigy-api",
        quoted(name, &[])
    );
    Obstacle::lasting(cause, message, Retry::InputChange)
}

/// A field of the spec holds no key that a Secret or ConfigMap can have.
#[must_use]
pub fn not_a_key(field: &str, key: &str, cause: Cause) -> Obstacle {
    let message = format!(
        "{field} is {}, which no Secret and no ConfigMap can have as a key; write letters, digits, '-', '_' and '.'",
        quoted(key, &[])
    );
    Obstacle::lasting(cause, message, Retry::InputChange)
}

/// The keys of a Secret.
struct Keys<'a> {
    secret: SecretName<'a>,
    data: Option<&'a BTreeMap<String, ByteString>>,
}

impl<'a> Keys<'a> {
    fn of(secret: &'a Secret) -> Self {
        let namespace = secret.metadata.namespace.as_deref().unwrap_or_default();
        let name = secret.metadata.name.as_deref().unwrap_or_default();
        Self { secret: SecretName { namespace, name }, data: secret.data.as_ref() }
    }

    /// The text of a key, without the line break that `echo` and editors leave behind; nothing if it is empty.
    fn text(&self, key: &str, most: usize) -> Result<Option<String>, Obstacle> {
        let Some(ByteString(bytes)) = self.data.and_then(|data| data.get(key)) else { return Ok(None) };
        if bytes.len() > most {
            let problem = format!("has a {key} of {} bytes, and at most {most} can be used", bytes.len());
            return Err(self.secret.invalid(&problem, "correct it"));
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|_| self.secret.invalid(&format!("has a {key} that is not UTF-8 text"), "write it anew"))?;
        Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
    }

    fn required(&self, key: &str, most: usize) -> Result<String, Obstacle> {
        self.text(key, most)?.ok_or_else(|| match self.data.is_some_and(|data| data.contains_key(key)) {
            true => self.secret.invalid(&format!("has an empty {key}"), "fill it in"),
            false => self.secret.invalid(&format!("has no key {key}"), "add it"),
        })
    }

    fn url<T: FromStr<Err = EndpointError>>(
        &self,
        key: &str,
        most: usize,
        client_secret: &str,
    ) -> Result<Option<T>, Obstacle> {
        let Some(text) = self.text(key, most)? else { return Ok(None) };
        let invalid = |error: EndpointError| {
            let example = format!("https://{}", text.trim_start_matches('/'));
            let problem = match (&error, shown_url(&text, client_secret), shown_url(&example, client_secret)) {
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

    fn number(&self, key: &str, client_secret: &str) -> Result<Option<NonZeroU32>, Obstacle> {
        let Some(text) = self.text(key, MAX_NUMBER_BYTES)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            let shown = quoted(&text, &[client_secret]);
            let problem = format!("has the {key} {shown}, which is not a whole number from 1 to {}", u32::MAX);
            self.secret.invalid(&problem, "write for example 100")
        })
    }
}

/// A URL that cannot be used, in quotes; `None` if it holds user info. Its query is not shown: a secret may stand there.
fn shown_url(text: &str, client_secret: &str) -> Option<String> {
    if text.contains('@') || text.contains("%40") {
        return None;
    }
    let shown = quoted(text, &[client_secret]);
    match shown.find(['?', '#']) {
        Some(end) => Some(format!("{}...\"", &shown[..end])),
        None => Some(shown),
    }
}

#[cfg(test)]
mod tests;
