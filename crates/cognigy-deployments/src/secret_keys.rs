//! Reads credentials from a Secret, or gets the operator's own credentials.

use k8s_openapi::api::core::v1::Secret;
use platform::{MAX_BASE_BYTES, OfferedNamespaces, SecretKeys};
use rollout::answer::Retry;
use rollout::{Cause, Obstacle};
use secrecy::SecretString;
use std::num::NonZeroU32;

use super::base_url::{BaseUrl, TokenUrl};
use super::credentials::Credentials;

/// The defaults for values that a Secret does not contain, and the operator's own credentials.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// The API, if the Secret names none.
    pub base_url: BaseUrl,
    /// The token endpoint, if the Secret names none.
    pub token_url: TokenUrl,
    /// Requests per minute, if the Secret names no number.
    pub requests_per_minute: Option<NonZeroU32>,
    /// The operator's own client, if it has one.
    pub client: Option<OwnClient>,
    /// The namespaces that may use the operator's own client.
    pub namespaces: OfferedNamespaces,
}

/// The public API, and no credentials of the operator.
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

impl Defaults {
    /// The operator's own credentials, for a resource that names no Secret.
    ///
    /// # Errors
    /// An [`Obstacle`] if the operator has no credentials, or this namespace may not use them.
    pub fn own(&self, namespace: &str) -> Result<Credentials, Obstacle> {
        let client = self.client.as_ref().filter(|_| self.namespaces.includes(namespace)).ok_or_else(|| {
            Obstacle::lasting(
                Cause::CredentialsNotFound,
                format!(
                    "spec.credentialsRef is not set, and namespace {namespace} may not use the operator's own credentials; \
                     set spec.credentialsRef to the name of a Secret"
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
    /// An [`Obstacle`] that names the Secret, the key, the problem and the fix. It quotes only URLs and numbers.
    pub fn in_secret(&self, secret: &Secret) -> Result<Credentials, Obstacle> {
        let keys = SecretKeys::of(secret);
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

/// The maximum size in bytes of a client's id or secret, of a URL, and of the certificates. A longer value is a mistake,
/// for example a file in the wrong key.
const MAX_CLIENT_BYTES: usize = 4 * 1024;
const MAX_URL_BYTES: usize = 2 * 1024;
const MAX_CERTIFICATES_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests;
