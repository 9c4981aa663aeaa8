//! The OAuth2 token. One caller at a time requests it, all callers share it, and it is renewed before it expires.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request};
use parking_lot::{Mutex, MutexGuard};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use url::form_urlencoded;

use super::answer;
use super::credentials::Credentials;
use super::operations::TOKEN;
use platform::{Answer, CallError, ErrorClass, Exchange, Permit, Secrets};

/// The scopes that the operator requests (contract, section 0).
const SCOPE: &str = "deployments:write environments:read jobs:read validations:execute webhooks:write";

/// How long before its expiry a token is renewed. A token with a lifetime under twice this is renewed after half its
/// lifetime.
const RENEW_BEFORE_EXPIRY: Duration = Duration::from_secs(300);

/// The maximum lifetime. A longer lifetime in an answer is not trusted.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// How long a failure is returned to all callers before the token endpoint is called again.
const FAILURE_SHARED: Duration = Duration::from_secs(1);
/// The maximum of the time above, which applies if the token endpoint requests a longer wait. It is short, because a
/// rollback may need the token.
const MAX_FAILURE_SHARED: Duration = Duration::from_secs(30);
/// After a renewal failed: how long a token that is still valid is used before the next try to renew it.
const RETRY_RENEWAL_AFTER: Duration = Duration::from_secs(30);

/// A token. `Debug` does not show it.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    text: Arc<SecretString>,
    /// Distinguishes one token from the next, even if the server issues the same text again.
    serial: u64,
}

impl Token {
    /// The value of the `Authorization` header. `None` cannot happen, because the token was checked when it was read.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.text.expose_secret())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    pub(crate) fn expose(&self) -> &str {
        self.text.expose_secret()
    }
}

/// A token, and how it was obtained.
pub(crate) struct Obtained {
    pub(crate) token: Token,
    /// The permit, if no token request was needed.
    pub(crate) unused_permit: Option<Permit>,
    /// Whether the token was requested by this call.
    pub(crate) was_requested: bool,
}

impl Obtained {
    fn cached(token: Token, permit: Option<Permit>) -> Self {
        Self { token, unused_permit: permit, was_requested: false }
    }

    fn requested(token: Token) -> Self {
        Self { token, unused_permit: None, was_requested: true }
    }
}

/// The source of tokens. If there is no token, one caller requests it and all other callers wait. If the requesting
/// future is dropped, the next waiting caller makes the request.
pub(crate) struct TokenSource {
    exchange: Exchange,
    url: String,
    form: SecretString,
    client_secret: SecretString,
    state: Mutex<State>,
    requesting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    current: Option<CachedToken>,
    failed: Option<(CallError, Instant)>,
    serials: u64,
}

struct CachedToken {
    token: Token,
    renew_at: Instant,
    expires_at: Instant,
}

impl TokenSource {
    pub(crate) fn new(credentials: &Credentials, exchange: Exchange) -> Self {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &credentials.client_id)
            .append_pair("client_secret", credentials.client_secret.expose_secret())
            .append_pair("scope", SCOPE)
            .finish();
        Self {
            exchange,
            url: credentials.token_url.as_str().to_owned(),
            form: form.into(),
            client_secret: credentials.client_secret.clone(),
            state: Mutex::default(),
            requesting: tokio::sync::Mutex::new(()),
        }
    }

    /// Returns the current token, or requests a new one with the permit. The first token is requested without a permit.
    pub(crate) async fn obtain(&self, permit: Option<Permit>) -> Result<Obtained, CallError> {
        if let Some(token) = self.current(Instant::now()) {
            return Ok(Obtained::cached(token, permit));
        }
        let _requesting = self.requesting.lock().await;
        let now = Instant::now();
        if let Some(token) = self.current(now) {
            return Ok(Obtained::cached(token, permit));
        }
        if let Some((error, until)) = &self.state().failed
            && now < *until
        {
            return Err(error.clone());
        }
        match self.request(permit).await {
            Ok(token) => Ok(Obtained::requested(token)),
            Err(error) => self.remember_failure(error).map(Obtained::requested),
        }
    }

    /// Discards the token if it is still the current one.
    pub(crate) fn invalidate(&self, token: &Token) {
        let mut state = self.state();
        if state.current.as_ref().is_some_and(|current| current.token.serial == token.serial) {
            state.current = None;
        }
    }

    async fn request(&self, permit: Option<Permit>) -> Result<Token, CallError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::copy_from_slice(self.form.expose_secret().as_bytes()))
            .map_err(|_| CallError::protocol("a request cannot be built from the token URL"))?;
        let requested_at = Instant::now();
        let answer = self.exchange.send(&TOKEN, request).await;
        drop(permit);
        let granted = match answer {
            Ok(answer) => self.read(answer),
            Err(unanswered) => Err(unanswered.error),
        };
        let granted = granted.map_err(|error| {
            let message = format!("token request: {}", error.message());
            CallError::new(error.class(), message).with_retry_after(error.retry_after())
        })?;
        Ok(self.store(granted, requested_at))
    }

    fn read(&self, answer: Answer) -> Result<answer::GrantedToken, CallError> {
        let secrets = Secrets::new([self.client_secret.expose_secret()]);
        let answer = answer.accepted(secrets).map_err(|error| match error.class() {
            ErrorClass::Rejected { .. } => CallError::new(ErrorClass::Unauthorized, error.message()),
            _ => error,
        })?;
        let server = answer.server();
        answer::read_token(&answer.into_body()?).map_err(|error| CallError::protocol(format!("{server}: {error}")))
    }

    fn store(&self, granted: answer::GrantedToken, requested_at: Instant) -> Token {
        let life = Duration::try_from_secs_f64(granted.expires_in).unwrap_or(MAX_LIFETIME).min(MAX_LIFETIME);
        let mut state = self.state();
        state.serials += 1;
        state.failed = None;
        let token = Token { text: Arc::new(granted.access_token.into()), serial: state.serials };
        state.current = Some(CachedToken {
            token: token.clone(),
            renew_at: requested_at + renewal_after(life),
            expires_at: requested_at + life,
        });
        token
    }

    /// After a transient failure, returns the current token if it is still valid. Otherwise all waiting callers get the
    /// failure.
    fn remember_failure(&self, error: CallError) -> Result<Token, CallError> {
        let now = Instant::now();
        let mut state = self.state();
        if error.class() != ErrorClass::Unauthorized
            && let Some(current) = state.current.as_mut().filter(|current| now < current.expires_at)
        {
            current.renew_at = now + RETRY_RENEWAL_AFTER;
            return Ok(current.token.clone());
        }
        let shared = error.retry_after().unwrap_or_default().clamp(FAILURE_SHARED, MAX_FAILURE_SHARED);
        state.failed = Some((error.clone(), now + shared));
        Err(error)
    }

    fn current(&self, now: Instant) -> Option<Token> {
        let state = self.state();
        state
            .current
            .as_ref()
            .filter(|current| now < current.renew_at && now < current.expires_at)
            .map(|current| current.token.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

fn renewal_after(life: Duration) -> Duration {
    if life < 2 * RENEW_BEFORE_EXPIRY { life / 2 } else { life - RENEW_BEFORE_EXPIRY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_five_minutes_early_or_at_half_its_life() {
        for (life, after) in [(3600, 3300), (600, 300), (598, 299), (60, 30), (0, 0)] {
            assert_eq!(renewal_after(Duration::from_secs(life)), Duration::from_secs(after));
        }
    }
}
