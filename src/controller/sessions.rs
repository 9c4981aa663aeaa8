//! Clients for the credentials in use. Whatever uses the same credentials shares one client, its token and its
//! connections; whatever is counted as one client by the API shares one request budget.
//!
//! Secrets are read by name, when an attempt starts, when a token was refused, and now and then while a resource is
//! stalled on them: the operator needs no right to list or watch them.

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
use rollout::{Cause, Obstacle};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

/// The account that a connection's requests are counted for, as far as is known now.
#[must_use]
pub fn account_of(connection: &Connection) -> Account {
    let group = match connection.platform.is_proven() {
        true => Group::Client(connection.client_fingerprint),
        false => Group::Unproven(connection.fingerprint),
    };
    Account { group, credentials: connection.fingerprint, limit: connection.platform.requests_per_minute() }
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

/// The clients in use.
pub struct Sessions {
    kubernetes: kube::Client,
    provider: Arc<dyn Provider>,
    budgets: Arc<Budgets>,
    by_source: Mutex<HashMap<Source, Connection>>,
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
    pub fn new(kubernetes: kube::Client, provider: Arc<dyn Provider>, budgets: Arc<Budgets>) -> Self {
        Self { kubernetes, provider, budgets, by_source: Mutex::default() }
    }

    /// The platform that the clients talk to.
    #[must_use]
    pub fn provider(&self) -> &dyn Provider {
        &*self.provider
    }

    /// The client that was made before, or one from the Secret as it is now.
    ///
    /// # Errors
    /// The inner [`Obstacle`] says what is wrong with the credentials; the outer [`Error`] that the API server failed.
    pub async fn known_or_fresh(&self, source: &Source) -> Result<Result<Connection, Obstacle>, Error> {
        let known = lock(&self.by_source).get(source).cloned();
        match known {
            Some(session) => Ok(Ok(session)),
            None => self.fresh(source).await,
        }
    }

    /// The API that these credentials point to, if they were read and nobody has asked to read them again.
    #[must_use]
    pub fn known_origin(&self, source: &Source) -> Option<ApiOrigin> {
        lock(&self.by_source).get(source).map(|session| session.origin.clone())
    }

    /// A client from the Secret as it is now.
    ///
    /// # Errors
    /// As for [`known_or_fresh`](Self::known_or_fresh).
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

    /// Reads the Secret again before the next use: a token was refused.
    pub fn forget(&self, source: &Source) {
        lock(&self.by_source).remove(source);
    }

    /// A Secret by its name.
    ///
    /// # Errors
    /// [`Error`], where the API server failed; a missing Secret is `None`.
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

    /// Credentials that no resource uses any more leave memory.
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
