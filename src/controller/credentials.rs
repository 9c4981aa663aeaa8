//! Credentials from a Secret, or the operator's own where it offers them.

use crate::api::reason::Reason;
use crate::cognigy::{BaseUrl, Credentials, TokenUrl};
use crate::rollout::Obstacle;
use crate::rollout::answer::Retry;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::fmt::Display;
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

/// The namespaces whose resources may use the operator's own credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfferedNamespaces(Vec<String>);

impl OfferedNamespaces {
    /// These namespaces; `*` stands for all.
    #[must_use]
    pub fn new(namespaces: impl IntoIterator<Item = String>) -> Self {
        Self(namespaces.into_iter().collect())
    }

    fn includes(&self, namespace: &str) -> bool {
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
                Reason::CredentialsNotFound,
                "no credentials: name a Secret in spec.credentialsRef (the operator offers none of its own to this namespace)",
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
    /// An [`Obstacle`] that names the key which is missing or cannot be read; never its value.
    pub fn in_secret(&self, secret: &Secret) -> Result<Credentials, Obstacle> {
        let name = secret.metadata.name.as_deref().unwrap_or_default();
        let data = secret.data.as_ref();
        let text = |key: &'static str| text(name, data, key);
        let required = |key: &'static str| {
            text(key)?
                .ok_or_else(|| invalid(name, key, "is missing or empty; the keys needed are clientId and clientSecret"))
        };
        Ok(Credentials {
            client_id: required("clientId")?,
            client_secret: required("clientSecret")?.into(),
            base_url: parsed(name, "baseUrl", text("baseUrl")?)?.unwrap_or_else(|| self.base_url.clone()),
            token_url: parsed(name, "tokenUrl", text("tokenUrl")?)?.unwrap_or_else(|| self.token_url.clone()),
            ca_pem: text("ca.crt")?,
            requests_per_minute: parsed(name, "requestsPerMinute", text("requestsPerMinute")?)?
                .or(self.requests_per_minute),
        })
    }
}

/// The text of a key, without the line break that `echo` and editors leave behind; nothing where it is empty.
fn text(
    name: &str,
    data: Option<&BTreeMap<String, ByteString>>,
    key: &'static str,
) -> Result<Option<String>, Obstacle> {
    let Some(bytes) = data.and_then(|data| data.get(key)) else { return Ok(None) };
    let text = std::str::from_utf8(&bytes.0).map_err(|_| invalid(name, key, "is not UTF-8 text"))?.trim();
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn parsed<T>(name: &str, key: &'static str, text: Option<String>) -> Result<Option<T>, Obstacle>
where
    T: FromStr,
    T::Err: Display,
{
    text.map(|text| text.parse().map_err(|error: T::Err| invalid(name, key, &error.to_string()))).transpose()
}

fn invalid(name: &str, key: &'static str, problem: &str) -> Obstacle {
    let message = format!("the Secret {name} cannot be used: its key {key} {problem}");
    Obstacle::lasting(Reason::CredentialsInvalid, message, Retry::CredentialsChange)
}
