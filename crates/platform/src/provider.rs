//! The interface to one kind of platform.

use super::fingerprint::{ClientFingerprint, CredentialsFingerprint};
use super::http::Transport;
use super::operation::Operation;
use super::platform::{AuditRecord, Platform};
use api::identifier::ApiOrigin;
use bytes::Bytes;
use k8s_openapi::api::core::v1::Secret;
use rollout::facts::SubmitIdempotency;
use rollout::{Obstacle, Settings};
use std::sync::Arc;
use std::time::Duration;

/// One kind of platform. A process has one provider, which all resources share.
pub trait Provider: Send + Sync + 'static {
    /// The platform's name, as shown to users.
    fn name(&self) -> &'static str;

    /// The keys that a Secret with credentials must have.
    fn required_secret_keys(&self) -> &'static [&'static str];

    /// Every kind of request to the platform. The operator creates their metrics at the start.
    fn operations(&self) -> &'static [Operation];

    /// How a submit is made safe to repeat.
    fn submit_rules(&self) -> SubmitRules;

    /// The settings for decisions about rollouts on this platform, and for messages about them.
    fn settings(&self, deletion_grace: Duration) -> Settings {
        let SubmitRules { idempotency, key_ttl } = self.submit_rules();
        Settings {
            deletion_grace,
            platform_name: self.name(),
            submit_key_ttl: key_ttl,
            submit_idempotency: idempotency,
        }
    }

    /// The client for these credentials. Equal credentials get the same client.
    ///
    /// # Errors
    /// An [`Obstacle`] that says what is wrong with the credentials, and how to fix it.
    fn connect(&self, credentials: CredentialsSource<'_>) -> Result<Connection, Obstacle>;

    /// Drops the clients whose credentials no resource uses any more.
    fn retain(&self, is_used: &dyn Fn(CredentialsFingerprint) -> bool);

    /// The body of an audit record, byte for byte as it is sent.
    fn audit_record(&self, record: &AuditRecord<'_>) -> Bytes;
}

/// The source of the credentials.
#[derive(Clone, Copy, Debug)]
pub enum CredentialsSource<'a> {
    /// The Secret with this name in the resource's namespace.
    Secret(&'a Secret),
    /// The operator's own Secret, for a resource in this namespace that names no Secret.
    Operator {
        /// The namespace of the resource.
        namespace: &'a str,
    },
}

/// A client and the credentials that it was made from.
#[derive(Clone)]
pub struct Connection {
    /// The client.
    pub platform: Arc<dyn Platform>,
    /// The address of its API.
    pub origin: ApiOrigin,
    /// The fingerprint of the credentials. It changes if they change.
    pub fingerprint: CredentialsFingerprint,
    /// The fingerprint of the client that the credentials name. The platform counts requests for each client.
    pub client_fingerprint: ClientFingerprint,
}

/// How a submit is made safe to repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubmitRules {
    /// Whether the platform recognizes a repeated submit by its key.
    pub idempotency: SubmitIdempotency,
    /// How long the platform remembers a key.
    pub key_ttl: Duration,
}

/// Makes the transport of a client. The argument holds the certificates (PEM) that the client trusts in addition to the
/// system's.
///
/// # Errors
/// A description of the problem with the certificates. It completes the sentence "the ca.crt cannot be used: ...".
pub type TransportFactory = Arc<dyn Fn(Option<&str>) -> Result<Arc<dyn Transport>, String> + Send + Sync>;
