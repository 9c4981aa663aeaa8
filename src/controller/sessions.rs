//! Clients for the credentials in use. Resources with the same credentials share one client, its token and its
//! connections. Resources that the API counts as one client share one request budget.
//!
//! Secrets are read by name: when an attempt starts, after a token was refused, and from time to time while a resource
//! is stalled on them. So the operator needs no right to list or watch Secrets.

use super::error::{Error, call};
use super::received::{self, SecretData};
use api::CognigyDeployment;
use api::identifier::ApiOrigin;
use api::spec::{ObjectName, SecretReference};
use k8s_openapi::api::core::v1::Secret;
use parking_lot::Mutex;
use platform::{
    Budgets, ClientFingerprint, Connection, CredentialsFingerprint, CredentialsSource, Provider, SecretName, not_a_name,
};
use rollout::admission::RequestRates;
use rollout::{Cause, Obstacle};
use std::collections::HashMap;
use std::sync::Arc;

/// The account for which the API counts a connection's requests, according to the tokens granted so far.
#[must_use]
pub fn account_of(connection: &Connection) -> Account {
    let group = match connection.platform.is_proven() {
        true => Group::Client(connection.client_fingerprint),
        false => Group::Unproven(connection.fingerprint),
    };
    let rates = RequestRates {
        per_minute: connection.platform.requests_per_minute(),
        per_rollout: connection.platform.requests_per_rollout(),
    };
    Account { group, credentials: connection.fingerprint, rates }
}

/// A client as the API counts its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// The group whose rollouts are counted together.
    pub group: Group,
    /// The credentials.
    pub credentials: CredentialsFingerprint,
    /// How many requests are allowed, and how many a rollout needs.
    pub rates: RequestRates,
}

/// The rollouts that are counted together. Anybody can write the client id of somebody else into a Secret, so the
/// rollouts of such credentials are counted separately until a token was granted for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// The rollouts of one client of the API.
    Client(ClientFingerprint),
    /// The rollouts of credentials that were never granted a token.
    Unproven(CredentialsFingerprint),
}

/// The clients in use.
pub struct Sessions {
    kubernetes: kube::Client,
    provider: Arc<dyn Provider>,
    budgets: Arc<Budgets>,
    by_source: Mutex<HashMap<Source, Connection>>,
}

/// The source of a resource's credentials: its namespace, and a Secret in it or the operator's own credentials.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    namespace: String,
    secret: Option<SecretReference>,
}

impl Source {
    /// The source of this resource's credentials.
    #[must_use]
    pub fn of(object: &CognigyDeployment) -> Self {
        Self::new(object.metadata.namespace.as_deref().unwrap_or_default(), object.spec.credentials_ref.as_ref())
    }

    /// The credentials in this Secret of this namespace; the operator's own if no Secret is given.
    #[must_use]
    pub fn new(namespace: &str, secret: Option<&SecretReference>) -> Self {
        Self { namespace: namespace.to_owned(), secret: secret.cloned() }
    }
}

impl Sessions {
    /// Starts without clients.
    #[must_use]
    pub fn new(kubernetes: kube::Client, provider: Arc<dyn Provider>, budgets: Arc<Budgets>) -> Self {
        Self { kubernetes, provider, budgets, by_source: Mutex::default() }
    }

    /// The platform that the clients talk to.
    #[must_use]
    pub fn provider(&self) -> &dyn Provider {
        &*self.provider
    }

    /// The client that was made before, or a new one from the current Secret.
    ///
    /// # Errors
    /// The inner [`Obstacle`] says what is wrong with the credentials. The outer [`Error`] means that the API server
    /// failed.
    pub async fn known_or_fresh(&self, source: &Source) -> Result<Result<Connection, Obstacle>, Error> {
        let known = lock(&self.by_source).get(source).cloned();
        match known {
            Some(session) => Ok(Ok(session)),
            None => self.fresh(source).await,
        }
    }

    /// The API that these credentials point to, if they were read and no new read was requested.
    #[must_use]
    pub fn known_origin(&self, source: &Source) -> Option<ApiOrigin> {
        lock(&self.by_source).get(source).map(|session| session.origin.clone())
    }

    /// A new client from the current Secret.
    ///
    /// # Errors
    /// See [`known_or_fresh`](Self::known_or_fresh).
    pub async fn fresh(&self, source: &Source) -> Result<Result<Connection, Obstacle>, Error> {
        let session = self.connect(source).await?;
        match &session {
            Ok(session) => lock(&self.by_source).insert(source.clone(), session.clone()),
            Err(_) => lock(&self.by_source).remove(source),
        };
        self.forget_unused();
        Ok(session)
    }

    async fn connect(&self, source: &Source) -> Result<Result<Connection, Obstacle>, Error> {
        let Source { namespace, secret } = source;
        let Some(reference) = secret else {
            return Ok(self.provider.connect(CredentialsSource::Operator { namespace }));
        };
        let name = SecretName { namespace, name: &reference.name };
        let Some(object_name) = ObjectName::of(&reference.name) else {
            return Ok(Err(not_a_name("spec.credentialsRef.name", &reference.name, Cause::CredentialsNotFound)));
        };
        let secret = match self.secret(namespace, object_name).await {
            Err(error) if error.is_forbidden() => return Ok(Err(name.not_allowed())),
            secret => secret?,
        };
        Ok(match secret {
            Some(secret) => self.provider.connect(CredentialsSource::Secret(&secret)),
            None => Err(name.missing(self.provider.required_secret_keys())),
        })
    }

    /// Forgets the client after a token was refused, so that the Secret is read again before the next use.
    pub fn forget(&self, source: &Source) {
        lock(&self.by_source).remove(source);
    }

    /// Reads a Secret by its name.
    ///
    /// # Errors
    /// [`Error`] if the API server failed. A missing Secret is `None`.
    pub async fn secret(&self, namespace: &str, name: ObjectName<'_>) -> Result<Option<Secret>, Error> {
        let secret = received::get::<Secret, SecretData>(&self.kubernetes, namespace, name);
        Ok(call("read a Secret", secret).await?.map(Secret::from))
    }

    /// The request budgets of the clients.
    #[must_use]
    pub fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    /// Forgets the clients of sources that are no longer in use.
    pub fn retain(&self, is_used: impl Fn(&Source) -> bool) {
        lock(&self.by_source).retain(|source, _| is_used(source));
        self.forget_unused();
    }

    /// Removes credentials that no resource uses any more.
    fn forget_unused(&self) {
        let by_source = lock(&self.by_source);
        self.provider.retain(&|fingerprint| by_source.values().any(|session| session.fingerprint == fingerprint));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> parking_lot::MutexGuard<'_, T> {
    mutex.lock()
}

#[cfg(test)]
mod tests;
