//! Tokens: OAuth2 client credentials, issued and checked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::fault::Call;
use super::identifier::ClientId;
use super::reply::Refusal;
use super::scenario::{Client, Scenario, Scope};
use super::time::after;
use super::wire::Body;

/// Every token that was issued.
#[derive(Clone, Debug, Default)]
pub(super) struct TokenStore {
    issued: BTreeMap<String, Token>,
}

#[derive(Clone, Debug)]
struct Token {
    client: ClientId,
    scopes: BTreeSet<Scope>,
    expires_at: Timestamp,
    revoked: bool,
}

/// Whether a request's `Authorization` is valid. The journal shows this instead of the token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Authorization {
    /// There is no such header.
    Missing,
    /// The header is not `Bearer` and a token.
    Malformed,
    /// The token was never issued.
    Unknown,
    /// The token has expired.
    Expired,
    /// The token was revoked.
    Revoked,
    /// The token is valid.
    Valid,
}

/// The client that sent a request.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) authorization: Authorization,
    /// Known for every token that was issued, even if it is no longer valid.
    pub(super) client: Option<ClientId>,
    scopes: BTreeSet<Scope>,
}

impl TokenStore {
    /// Answers a token request. The token gets those of the requested scopes that the client has. Refusals use the
    /// error codes of RFC 6749, section 5.2.
    pub(super) fn issue(&mut self, now: Timestamp, scenario: &Scenario, form: &Body) -> Result<Value, Refusal> {
        if form.text("grant_type") != Some("client_credentials") {
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                "`grant_type` is not `client_credentials`",
            ));
        }
        let client = authenticate(scenario, form).ok_or_else(|| {
            Refusal::new(StatusCode::UNAUTHORIZED, "invalid_client", "`client_id` or `client_secret` is wrong")
        })?;
        let requested = requested_scopes(form).ok_or_else(|| {
            Refusal::new(StatusCode::BAD_REQUEST, "invalid_scope", "`scope` is missing, or contains an unknown scope")
        })?;
        let text = self.next_token(&client.client_id);
        let lifetime = Duration::from_secs(u64::from(scenario.token_lifetime_seconds.get()));
        let token = Token {
            client: client.client_id.clone(),
            scopes: requested.intersection(&client.scopes).copied().collect(),
            expires_at: after(now, lifetime),
            revoked: false,
        };
        self.issued.insert(text.clone(), token);
        Ok(json!({"access_token": text, "token_type": "Bearer", "expires_in": lifetime.as_secs()}))
    }

    /// Checks the `Authorization` of a request.
    pub(super) fn identify(&self, now: Timestamp, headers: &HeaderMap) -> Caller {
        let nobody = |authorization| Caller { authorization, client: None, scopes: BTreeSet::new() };
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return nobody(Authorization::Missing);
        };
        let Some(text) = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer ")) else {
            return nobody(Authorization::Malformed);
        };
        let Some(token) = self.issued.get(text) else {
            return nobody(Authorization::Unknown);
        };
        let authorization = if token.revoked {
            Authorization::Revoked
        } else if now >= token.expires_at {
            Authorization::Expired
        } else {
            Authorization::Valid
        };
        Caller { authorization, client: Some(token.client.clone()), scopes: token.scopes.clone() }
    }

    /// Revokes every token that was issued so far.
    pub(super) fn revoke_all(&mut self) {
        for token in self.issued.values_mut() {
            token.revoked = true;
        }
    }

    fn next_token(&self, client: &ClientId) -> String {
        let seed = format!("{}/{client}", self.issued.len());
        let digest = hex::encode(Sha256::digest(seed.as_bytes()));
        format!("sim_{}", &digest[..32])
    }
}

impl Caller {
    /// Whether the token has the scope that `call` requires. The audit log accepts records from every client with a
    /// token, because the contract names no scope for it.
    pub(super) fn may(&self, call: Call) -> Result<(), Scope> {
        let needed = match call {
            Call::Validate | Call::Trace => Scope::ValidationsExecute,
            Call::Submit | Call::Rollback => Scope::DeploymentsWrite,
            Call::Job => Scope::JobsRead,
            Call::Health => Scope::EnvironmentsRead,
            Call::Token | Call::Audit | Call::Webhook => return Ok(()),
        };
        if self.scopes.contains(&needed) { Ok(()) } else { Err(needed) }
    }

    /// Whether the token has the scope for a submit that contains a webhook.
    pub(super) fn may_register_webhooks(&self) -> bool {
        self.scopes.contains(&Scope::WebhooksWrite)
    }
}

fn authenticate<'a>(scenario: &'a Scenario, form: &Body) -> Option<&'a Client> {
    let (client_id, client_secret) = (form.text("client_id")?, form.text("client_secret")?);
    scenario
        .clients
        .iter()
        .find(|client| client.client_id.as_str() == client_id && client.client_secret.expose() == client_secret)
}

fn requested_scopes(form: &Body) -> Option<BTreeSet<Scope>> {
    let known = Scope::all();
    let words = form.text("scope")?.split_ascii_whitespace();
    words.map(|word| known.iter().copied().find(|scope| scope.as_str() == word)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn form(secret: &str, scope: &str) -> Body {
        let fields =
            [("grant_type", "client_credentials"), ("client_id", "demo"), ("client_secret", secret), ("scope", scope)];
        Body::Form(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    }

    fn bearer(answer: &Value) -> HeaderMap {
        let value = format!("Bearer {}", answer["access_token"].as_str().unwrap());
        HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())])
    }

    #[test]
    fn a_token_is_valid_until_it_expires() {
        let scenario = Scenario::parse("tokenLifetimeSeconds: 10").unwrap();
        let mut store = TokenStore::default();
        let start = Timestamp::UNIX_EPOCH;
        let answer = store.issue(start, &scenario, &form("demo-secret", "jobs:read")).unwrap();
        assert_eq!(answer["expires_in"], 10);
        let at = |seconds| store.identify(after(start, Duration::from_secs(seconds)), &bearer(&answer)).authorization;
        assert_eq!(at(9), Authorization::Valid);
        assert_eq!(at(10), Authorization::Expired);
    }

    #[test]
    fn revoked_tokens_are_refused_and_later_tokens_are_valid() {
        let scenario = Scenario::default();
        let mut store = TokenStore::default();
        let now = Timestamp::UNIX_EPOCH;
        let first = store.issue(now, &scenario, &form("demo-secret", "jobs:read")).unwrap();
        store.revoke_all();
        let second = store.issue(now, &scenario, &form("demo-secret", "jobs:read")).unwrap();
        assert_ne!(first, second);
        assert_eq!(store.identify(now, &bearer(&first)).authorization, Authorization::Revoked);
        assert_eq!(store.identify(now, &bearer(&second)).authorization, Authorization::Valid);
    }

    #[test]
    fn a_token_has_only_requested_scopes_that_the_client_has() {
        let scenario =
            Scenario::parse("clients: [{clientId: demo, clientSecret: s, scopes: ['jobs:read', 'deployments:write']}]")
                .unwrap();
        let mut store = TokenStore::default();
        let now = Timestamp::UNIX_EPOCH;
        let answer = store.issue(now, &scenario, &form("s", "jobs:read environments:read")).unwrap();
        let caller = store.identify(now, &bearer(&answer));
        assert_eq!(caller.may(Call::Job), Ok(()));
        assert_eq!(caller.may(Call::Submit), Err(Scope::DeploymentsWrite));
        assert_eq!(caller.may(Call::Health), Err(Scope::EnvironmentsRead));
    }

    #[test]
    fn an_invalid_request_gets_no_token() {
        let mut store = TokenStore::default();
        let scenario = Scenario::default();
        let mut refusal = |form: Body| store.issue(Timestamp::UNIX_EPOCH, &scenario, &form).unwrap_err().error;
        assert_eq!(refusal(form("wrong", "jobs:read")), "invalid_client");
        assert_eq!(refusal(form("demo-secret", "everything")), "invalid_scope");
        assert_eq!(refusal(Body::Nothing), "unsupported_grant_type");
    }

    #[test]
    fn an_invalid_authorization_is_classified() {
        let store = TokenStore::default();
        let cases = [("Basic abc", Authorization::Malformed), ("Bearer abc", Authorization::Unknown)];
        for (value, expected) in cases {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
            assert_eq!(store.identify(Timestamp::UNIX_EPOCH, &headers).authorization, expected);
        }
        let missing = store.identify(Timestamp::UNIX_EPOCH, &HeaderMap::new());
        assert_eq!(missing.authorization, Authorization::Missing);
    }
}
