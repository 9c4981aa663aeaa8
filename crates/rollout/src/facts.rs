//! What is known when a decision is made.

use super::answer::Obstacle;
use super::gates::GateFacts;
use super::polling::PollTuning;
use super::time::{Answered, Now};
use api::identifier::ApiOrigin;
use api::spec::ConfigurationDigests;
use api::{CognigyDeploymentSpec, Digest, RETRY_ANNOTATION, ROLLBACK_ANNOTATION, Snapshot, SnapshotProblem};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;

/// The operator's own settings and the platform's properties, as far as decisions and messages depend on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a deleted resource may stay until its rollout is settled.
    pub deletion_grace: Duration,
    /// The platform's name, as messages show it.
    pub platform_name: &'static str,
    /// How long the platform remembers the key of a submit.
    pub submit_key_ttl: Duration,
    /// Whether the platform recognizes a repeated submit by its key.
    pub submit_idempotency: SubmitIdempotency,
}

/// Whether the API recognizes a repeated submit by its `Idempotency-Key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitIdempotency {
    /// It answers a repeat with the first answer.
    Supported,
    /// It ignores the key. A submit with an ambiguous answer must never be repeated.
    Unsupported,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            deletion_grace: Duration::from_secs(15 * 60),
            platform_name: "the platform",
            submit_key_ttl: Duration::from_secs(24 * 3600),
            submit_idempotency: SubmitIdempotency::Supported,
        }
    }
}

/// The request annotations: what people request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// The value of `deploy.cognigy.ai/retry`.
    pub retry: Option<String>,
    /// The value of `deploy.cognigy.ai/rollback`.
    pub rollback: Option<String>,
}

impl Requests {
    /// Reads the request annotations. A value of more than 128 bytes is replaced by its SHA-256, because the handled value is
    /// kept in the status, and an annotation may have 256 KiB.
    #[must_use]
    pub fn from_annotations(annotations: &BTreeMap<String, String>) -> Self {
        let read = |name: &str| annotations.get(name).map(|value| bounded(value));
        Self { retry: read(RETRY_ANNOTATION), rollback: read(ROLLBACK_ANNOTATION) }
    }
}

fn bounded(value: &str) -> String {
    const LONGEST: usize = 128;
    match value.len() {
        0..=LONGEST => value.to_owned(),
        _ => format!("sha256:{}", hex::encode(Sha256::digest(value))),
    }
}

/// What the environment should run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What is deployed.
    pub digest: Digest,
    /// The part of it that moves from one environment to the next: snapshot and dependency locks.
    pub release: Digest,
    /// What it is checked against before the submit.
    pub checks_digest: Digest,
    /// Its version, for people, if the snapshot names one.
    pub version: Option<String>,
}

impl Target {
    /// The target of a spec with this snapshot.
    ///
    /// # Errors
    /// [`SnapshotProblem`] if the snapshot cannot be deployed.
    pub fn of(
        spec: &CognigyDeploymentSpec,
        snapshot: &Snapshot,
        version: Option<String>,
    ) -> Result<Self, SnapshotProblem> {
        let ConfigurationDigests { deployment, release } = ConfigurationDigests::of(spec, snapshot)?;
        Ok(Self { digest: deployment, release, checks_digest: Digest::of_checks(spec), version })
    }
}

/// Everything that a decision looks at, except for the recorded status and this process's memory.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The resource's namespace.
    pub namespace: &'a str,
    /// The resource's name.
    pub name: &'a str,
    /// When the resource was created.
    pub created_at: Option<Timestamp>,
    /// The resource's uid. It is part of every key, so that a resource never gets the answers that were meant for an earlier
    /// resource of the same name.
    pub uid: &'a str,
    /// The spec's generation.
    pub generation: i64,
    /// When the resource was deleted, if it was.
    pub deleted_at: Option<Timestamp>,
    /// The spec.
    pub spec: &'a CognigyDeploymentSpec,
    /// What the environment should run, or what prevents the operator from knowing it.
    pub target: Result<Target, Obstacle>,
    /// The request annotations.
    pub requests: Requests,
    /// The message about another resource that owns the environment: it deployed there later, or has a rollout in flight there.
    pub other_owner: Option<String>,
    /// What is known about the gates before the submit.
    pub gates: GateFacts,
    /// The operator's settings.
    pub settings: &'a Settings,
    /// The API that the credentials point to, if this process has read them.
    pub credentials_origin: Option<ApiOrigin>,
    /// Whether the operator's own webhook is used if the resource does not name one.
    pub has_default_webhook: bool,
    /// How polls are adjusted to the load and to the expected end of the job.
    pub polling: PollTuning,
    /// When the request was sent whose answer is being applied. The present moment if there is no answer.
    pub sent_at: Now,
    /// The present moment.
    pub now: Now,
}

impl Facts<'_> {
    /// When the request was sent whose answer is being applied. The answer has arrived now.
    #[must_use]
    pub fn answered(&self) -> Answered {
        Answered { sent_at: self.sent_at, answered_at: self.now }
    }

    /// The shortest time between two polls.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.spec.monitoring.interval()
    }

    /// The platform's name, as messages show it.
    #[must_use]
    pub fn platform(&self) -> &'static str {
        self.settings.platform_name
    }

    /// How long a rollout may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.spec.rollback_policy.timeout()
    }

    /// Whether the target is known, and is not this configuration.
    #[must_use]
    pub fn wants_other_than(&self, digest: &Digest) -> bool {
        self.target.as_ref().is_ok_and(|target| target.digest != *digest)
    }

    /// Whether there is a webhook to notify.
    #[must_use]
    pub fn has_webhook(&self) -> bool {
        self.spec.webhook.is_some() || self.has_default_webhook
    }
}
