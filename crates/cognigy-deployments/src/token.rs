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
const RENEWED_BEFORE: Duration = Duration::from_secs(300);

/// The maximum lifetime; a longer one in an answer is not trusted.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);

/// How long a failure is returned to all waiting callers, and how long a token that is still valid is used after a
/// failure.
const FAILURE_SHARED: Duration = Duration::from_secs(1);
/// The maximum time before the token endpoint is asked again if it asks for a pause, because a rollback may need the
/// token.
const FAILURE_SHARED_AT_MOST: Duration = Duration::from_secs(30);
const RENEWED_AGAIN_AFTER: Duration = Duration::from_secs(30);

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
    /// The permit, if no request was needed.
    pub(crate) unused: Option<Permit>,
    /// Whether it was requested just now.
    pub(crate) was_asked: bool,
}

impl Obtained {
    fn held(token: Token, permit: Option<Permit>) -> Self {
        Self { token, unused: permit, was_asked: false }
    }

    fn asked(token: Token) -> Self {
        Self { token, unused: None, was_asked: true }
    }
}

/// The source of tokens. If there is no token, one caller requests it and all other callers wait. If the requesting
/// future is dropped, the next waiting caller makes the request.
pub(crate) struct TokenSource {
    exchange: Exchange,
    url: String,
    form: SecretString,
    client_secret: SecretString,
    memory: Mutex<Memory>,
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Memory {
    held: Option<Held>,
    failed: Option<(CallError, Instant)>,
    serials: u64,
}

struct Held {
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
            memory: Mutex::default(),
            asking: tokio::sync::Mutex::new(()),
        }
    }

    /// The current token, or a new one, whose request uses the permit. The first token is requested without a permit.
    pub(crate) async fn obtain(&self, permit: Option<Permit>) -> Result<Obtained, CallError> {
        if let Some(token) = self.fresh(Instant::now()) {
            return Ok(Obtained::held(token, permit));
        }
        let _asking = self.asking.lock().await;
        let now = Instant::now();
        if let Some(token) = self.fresh(now) {
            return Ok(Obtained::held(token, permit));
        }
        if let Some((error, until)) = &self.memory().failed
            && now < *until
        {
            return Err(error.clone());
        }
        match self.ask(permit).await {
            Ok(token) => Ok(Obtained::asked(token)),
            Err(error) => self.remember_failure(error).map(Obtained::asked),
        }
    }

    /// Discards the token if it is still the current one.
    pub(crate) fn invalidate(&self, token: &Token) {
        let mut memory = self.memory();
        if memory.held.as_ref().is_some_and(|held| held.token.serial == token.serial) {
            memory.held = None;
        }
    }

    async fn ask(&self, permit: Option<Permit>) -> Result<Token, CallError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::copy_from_slice(self.form.expose_secret().as_bytes()))
            .map_err(|_| CallError::protocol("the token URL cannot be requested"))?;
        let asked_at = Instant::now();
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
        Ok(self.hold(granted, asked_at))
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

    fn hold(&self, granted: answer::GrantedToken, asked_at: Instant) -> Token {
        let life = Duration::try_from_secs_f64(granted.expires_in).unwrap_or(LONGEST_LIFE).min(LONGEST_LIFE);
        let mut memory = self.memory();
        memory.serials += 1;
        memory.failed = None;
        let token = Token { text: Arc::new(granted.access_token.into()), serial: memory.serials };
        memory.held =
            Some(Held { token: token.clone(), renew_at: asked_at + renewed_after(life), expires_at: asked_at + life });
        token
    }

    /// After a transient failure, a token that is still valid remains in use; otherwise all waiting callers get the
    /// failure.
    fn remember_failure(&self, error: CallError) -> Result<Token, CallError> {
        let now = Instant::now();
        let mut memory = self.memory();
        if error.class() != ErrorClass::Unauthorized
            && let Some(held) = memory.held.as_mut().filter(|held| now < held.expires_at)
        {
            held.renew_at = now + RENEWED_AGAIN_AFTER;
            return Ok(held.token.clone());
        }
        let shared = error.retry_after().unwrap_or_default().clamp(FAILURE_SHARED, FAILURE_SHARED_AT_MOST);
        memory.failed = Some((error.clone(), now + shared));
        Err(error)
    }

    fn fresh(&self, now: Instant) -> Option<Token> {
        let memory = self.memory();
        memory.held.as_ref().filter(|held| now < held.renew_at && now < held.expires_at).map(|held| held.token.clone())
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock()
    }
}

fn renewed_after(life: Duration) -> Duration {
    if life < 2 * RENEWED_BEFORE { life / 2 } else { life - RENEWED_BEFORE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_five_minutes_early_or_at_half_its_life() {
        for (life, after) in [(3600, 3300), (600, 300), (598, 299), (60, 30), (0, 0)] {
            assert_eq!(renewed_after(Duration::from_secs(life)), Duration::from_secs(after));
        }
    }
}
