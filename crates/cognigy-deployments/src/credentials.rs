//! The credentials for the API, and fingerprints to compare them without showing them.

use std::num::NonZeroU32;

use platform::{ClientFingerprint, CredentialsFingerprint};
use secrecy::{ExposeSecret, SecretString};

use super::base_url::{BaseUrl, TokenUrl};

/// One set of credentials, and the API that they belong to. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The OAuth2 client's identifier.
    pub client_id: String,
    /// The OAuth2 client's secret.
    pub client_secret: SecretString,
    /// The API.
    pub base_url: BaseUrl,
    /// The token endpoint.
    pub token_url: TokenUrl,
    /// Certificates (PEM) to trust in addition to the system's.
    pub ca_pem: Option<String>,
    /// Requests per minute that the API allows this client. If it is not configured, the contract's typical 100.
    pub requests_per_minute: Option<NonZeroU32>,
}

impl Credentials {
    /// Identifies the client whose requests the API counts. All credentials with the same value share one request budget.
    /// The token endpoint is part of it, so that a user with another token endpoint cannot use another client's budget.
    #[must_use]
    pub fn client_fingerprint(&self) -> ClientFingerprint {
        let token_url = self.token_url.to_string();
        ClientFingerprint::of(&[&self.base_url.to_string(), &token_url, &self.client_id])
    }

    /// Equal if and only if the credentials can share one client, its token and its connections.
    #[must_use]
    pub fn fingerprint(&self) -> CredentialsFingerprint {
        let client = self.client_fingerprint();
        let rate = self.requests_per_minute.map_or(0, NonZeroU32::get).to_string();
        let (has_ca, ca) = self.ca_pem.as_deref().map_or(("0", ""), |ca| ("1", ca));
        CredentialsFingerprint::of(&[&client.to_string(), self.client_secret.expose_secret(), has_ca, ca, &rate])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        Credentials {
            client_id: "operator".to_owned(),
            client_secret: "hunter2-hunter2".to_owned().into(),
            base_url: BaseUrl::public(),
            token_url: TokenUrl::public(),
            ca_pem: None,
            requests_per_minute: None,
        }
    }

    #[test]
    fn debug_output_and_fingerprints_contain_no_secret() {
        let credentials = credentials();
        let shown = format!("{credentials:?} {:?} {:?}", credentials.fingerprint(), credentials.client_fingerprint());
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn a_new_secret_or_ca_is_another_client_with_the_same_budget() {
        let old = credentials();
        let new_secret = Credentials { client_secret: "other".to_owned().into(), ..credentials() };
        let new_ca = Credentials { ca_pem: Some(String::new()), ..credentials() };
        for new in [new_secret, new_ca] {
            assert_ne!(old.fingerprint(), new.fingerprint());
            assert_eq!(old.client_fingerprint(), new.client_fingerprint());
        }
    }

    #[test]
    fn two_apis_two_token_endpoints_and_two_clients_never_share_a_budget() {
        let real = credentials();
        for (what, other) in [
            ("another API", Credentials { base_url: "https://fake.example".parse().unwrap(), ..credentials() }),
            ("another prefix", Credentials { base_url: "https://api.cognigy.ai/x".parse().unwrap(), ..credentials() }),
            (
                "another token endpoint",
                Credentials { token_url: "https://fake.example/token".parse().unwrap(), ..credentials() },
            ),
            ("another client", Credentials { client_id: "other".to_owned(), ..credentials() }),
        ] {
            assert_ne!(other.client_fingerprint(), real.client_fingerprint(), "{what}");
        }
    }
}
