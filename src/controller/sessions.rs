//! Clients for the credentials in use. Whatever uses the same credentials shares one client, its token and its
//! connections; whatever is counted as one client by the API shares one request budget.
//!
//! Secrets are read by name, when an attempt starts, when a token was refused, and now and then while a resource is
//! stalled on them: the operator needs no right to list or watch them.

use super::credentials::{Defaults, SecretName, not_a_name};
use super::error::{Error, call};
use super::received::{self, SecretData};
use api::CognigyDeployment;
use api::identifier::ApiOrigin;
use api::reason::Reason;
use api::spec::{ObjectName, SecretReference};
use cognigy::{Budgets, Client, ClientFingerprint, Credentials, CredentialsFingerprint, TYPICAL_LIMIT, Transport};
use k8s_openapi::api::core::v1::Secret;
use parking_lot::Mutex;
use rollout::Obstacle;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

/// A client, and what it was made from.
#[derive(Clone)]
pub struct Session {
    /// The client.
    pub client: Client,
    /// The API that it talks to.
    pub origin: ApiOrigin,
    /// Tells whether the credentials have changed.
    pub fingerprint: CredentialsFingerprint,
    /// As whom the API knows it, if the credentials are right.
    pub client_fingerprint: ClientFingerprint,
    /// Requests a minute, by the credentials.
    named_limit: NonZeroU32,
}

impl Session {
    /// Whose requests it spends, as far as is known now.
    #[must_use]
    pub fn account(&self) -> Account {
        let (group, limit) = match self.client.is_proven() {
            true => (Group::Client(self.client_fingerprint), self.client.budget().limit()),
            false => (Group::Unproven(self.fingerprint), self.named_limit.min(TYPICAL_LIMIT)),
        };
        Account { group, credentials: self.fingerprint, limit }
    }
}

/// A client as the API counts its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Whose rollouts are counted together.
    pub group: Group,
    /// The credentials that are used.
    pub credentials: CredentialsFingerprint,
    /// How many requests a minute may be made.
    pub limit: NonZeroU32,
}

/// Whose rollouts are counted together. Anybody may write somebody else's client id into a Secret: until a token was
/// granted for it, its rollouts are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Those of a client of the API.
    Client(ClientFingerprint),
    /// Those of credentials that were never granted a token.
    Unproven(CredentialsFingerprint),
}

/// Makes the transport for a set of credentials; a simulation makes its own.
pub type TransportFactory = Arc<dyn Fn(&Credentials) -> Result<Arc<dyn Transport>, String> + Send + Sync>;

/// The clients in use.
pub struct Sessions {
    kubernetes: kube::Client,
    defaults: Defaults,
    transports: TransportFactory,
    options: cognigy::Options,
    jitter_seed: u64,
    budgets: Arc<Budgets>,
    by_source: Mutex<HashMap<Source, Session>>,
    by_fingerprint: Mutex<HashMap<CredentialsFingerprint, Session>>,
}

/// Where a resource's credentials come from: its namespace, and the Secret in it or the operator's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    namespace: String,
    secret: Option<SecretReference>,
}

impl Source {
    /// Where a resource's credentials come from.
    #[must_use]
    pub fn of(object: &CognigyDeployment) -> Self {
        Self::new(object.metadata.namespace.as_deref().unwrap_or_default(), object.spec.credentials_ref.as_ref())
    }

    /// The credentials in that Secret of that namespace; where none is named, the operator's own.
    #[must_use]
    pub fn new(namespace: &str, secret: Option<&SecretReference>) -> Self {
        Self { namespace: namespace.to_owned(), secret: secret.cloned() }
    }
}

impl Sessions {
    /// No client yet.
    #[must_use]
    pub fn new(
        kubernetes: kube::Client,
        defaults: Defaults,
        transports: TransportFactory,
        options: cognigy::Options,
        budgets: Arc<Budgets>,
        jitter_seed: u64,
    ) -> Self {
        Self {
            kubernetes,
            defaults,
            transports,
            options,
            jitter_seed,
            budgets,
            by_source: Mutex::default(),
            by_fingerprint: Mutex::default(),
        }
    }

    /// The client that was made before, or one from the Secret as it is now.
    ///
    /// # Errors
    /// The inner [`Obstacle`] says what is wrong with the credentials; the outer [`Error`] that the API server failed.
    pub async fn known_or_fresh(&self, source: &Source) -> Result<Result<Session, Obstacle>, Error> {
        let known = self.by_source.lock().get(source).cloned();
        match known {
            Some(session) => Ok(Ok(session)),
            None => self.fresh(source).await,
        }
    }

    /// The API that these credentials point to, if they were read and nobody has asked to read them again.
    #[must_use]
    pub fn known_origin(&self, source: &Source) -> Option<ApiOrigin> {
        self.by_source.lock().get(source).map(|session| session.origin.clone())
    }

    /// A client from the Secret as it is now.
    ///
    /// # Errors
    /// As for [`known_or_fresh`](Self::known_or_fresh).
    pub async fn fresh(&self, source: &Source) -> Result<Result<Session, Obstacle>, Error> {
        let session = match self.read(source).await? {
            Ok(credentials) => self.session(&credentials, source),
            Err(obstacle) => Err(obstacle),
        };
        match &session {
            Ok(session) => self.by_source.lock().insert(source.clone(), session.clone()),
            Err(_) => self.by_source.lock().remove(source),
        };
        self.forget_unused();
        Ok(session)
    }

    async fn read(&self, source: &Source) -> Result<Result<Credentials, Obstacle>, Error> {
        let Some(reference) = &source.secret else { return Ok(self.defaults.own(&source.namespace)) };
        let name = SecretName { namespace: &source.namespace, name: &reference.name };
        let Some(object_name) = ObjectName::of(&reference.name) else {
            return Ok(Err(not_a_name("spec.credentialsRef.name", &reference.name, Reason::CredentialsNotFound)));
        };
        let secret = match self.secret(&source.namespace, object_name).await {
            Err(error) if error.is_forbidden() => return Ok(Err(name.not_allowed())),
            secret => secret?,
        };
        Ok(match secret {
            Some(secret) => self.defaults.in_secret(&secret),
            None => Err(name.missing()),
        })
    }

    /// Reads the Secret again before the next use: a token was refused.
    pub fn forget(&self, source: &Source) {
        self.by_source.lock().remove(source);
    }

    /// A Secret by its name.
    ///
    /// # Errors
    /// [`Error`], where the API server failed; a missing Secret is `None`.
    pub async fn secret(&self, namespace: &str, name: ObjectName<'_>) -> Result<Option<Secret>, Error> {
        let secret = received::get::<Secret, SecretData>(&self.kubernetes, namespace, name);
        Ok(call("read a Secret", secret).await?.map(Secret::from))
    }

    fn session(&self, credentials: &Credentials, source: &Source) -> Result<Session, Obstacle> {
        let fingerprint = credentials.fingerprint();
        if let Some(session) = self.by_fingerprint.lock().get(&fingerprint) {
            return Ok(session.clone());
        }
        // Only certificates in a Secret are read here: the operator's own credentials come without.
        let secret = source.secret.as_ref().map(|secret| secret.name.as_str()).unwrap_or_default();
        let name = SecretName { namespace: &source.namespace, name: secret };
        let transport = (self.transports)(credentials).map_err(|problem| name.unusable_certificates(&problem))?;
        // Shared with whoever names the same client; it is used once a token was granted.
        let budget = self.budgets.shared(credentials.client_fingerprint());
        let client = Client::new(credentials, transport, self.options.clone(), budget, self.jitter_seed);
        let origin = ApiOrigin::new(client.origin().as_str());
        let session = Session {
            client,
            origin,
            fingerprint,
            client_fingerprint: credentials.client_fingerprint(),
            named_limit: credentials.requests_per_minute.unwrap_or(TYPICAL_LIMIT),
        };
        self.by_fingerprint.lock().insert(fingerprint, session.clone());
        Ok(session)
    }

    /// Forgets the clients of sources that are no longer in use.
    pub fn retain(&self, is_used: impl Fn(&Source) -> bool) {
        self.by_source.lock().retain(|source, _| is_used(source));
        self.forget_unused();
    }

    /// Credentials that no resource uses any more leave memory.
    fn forget_unused(&self) {
        let by_source = self.by_source.lock();
        self.by_fingerprint
            .lock()
            .retain(|fingerprint, _| by_source.values().any(|session| session.fingerprint == *fingerprint));
    }
}

#[cfg(test)]
mod tests;
