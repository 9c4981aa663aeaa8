//! What is known at the moment of a decision.

use super::answer::Obstacle;
use super::memory::Answered;
use super::pace::Pace;
use api::identifier::ApiOrigin;
use api::{CognigyDeploymentSpec, Digest, RETRY_ANNOTATION, ROLLBACK_ANNOTATION};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;

/// The moment of a decision, on both clocks: the wall's, which other processes share and which may jump, and the
/// process's own, which only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The wall clock.
    pub wall: Timestamp,
    /// How long this process has been running.
    pub uptime: Duration,
}

/// A moment that this process has seen, from which it can tell the time passed even if the wall clock jumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// When that began which was seen.
    began: Timestamp,
    /// How much time had passed already when this process first looked, by the wall clock.
    already: Duration,
    /// When this process first looked.
    uptime: Duration,
}

impl Sighting {
    /// First look, now, at something that began at `began`.
    #[must_use]
    pub fn of(began: Timestamp, now: Now) -> Self {
        Self { began, already: between(began, now.wall), uptime: now.uptime }
    }

    /// Whether this is what was seen.
    #[must_use]
    pub fn is_of(self, began: Timestamp) -> bool {
        self.began == began
    }

    /// How long before this process first looked it had begun, by the wall clock.
    #[must_use]
    pub fn age_when_first_seen(self) -> Duration {
        self.already
    }

    /// For how long this process has known of it.
    #[must_use]
    pub fn known_for(self, now: Now) -> Duration {
        now.uptime.saturating_sub(self.uptime)
    }

    /// The time passed since it began.
    #[must_use]
    pub fn age(self, now: Now) -> Duration {
        self.already + self.known_for(now)
    }
}

/// The time from one moment to a later one; nothing where the clock went back.
#[must_use]
pub fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}

/// A moment that much later.
#[must_use]
pub fn after(moment: Timestamp, passed: Duration) -> Timestamp {
    SignedDuration::try_from(passed).ok().and_then(|passed| moment.checked_add(passed).ok()).unwrap_or(Timestamp::MAX)
}

/// The operator's own settings, as far as decisions depend on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a deleted resource may stay for its rollout to be settled.
    pub deletion_grace: Duration,
    /// How long Cognigy.AI remembers the key of a submit.
    pub submit_key_ttl: Duration,
    /// Whether Cognigy.AI recognises a repeated submit by its key.
    pub submit_idempotency: SubmitIdempotency,
}

/// Whether the API recognises a repeated submit by its `Idempotency-Key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitIdempotency {
    /// It answers a repeat with the first answer.
    Supported,
    /// It ignores the key: nothing ambiguous may ever be repeated.
    Unsupported,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            deletion_grace: Duration::from_secs(15 * 60),
            submit_key_ttl: Duration::from_secs(24 * 3600),
            submit_idempotency: SubmitIdempotency::Supported,
        }
    }
}

/// What people ask for through annotations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// The value of `deploy.cognigy.ai/retry`.
    pub retry: Option<String>,
    /// The value of `deploy.cognigy.ai/rollback`.
    pub rollback: Option<String>,
}

impl Requests {
    /// Reads the request annotations. A value of more than 128 bytes is stood for by its SHA-256: the handled value is
    /// kept in status, and an annotation may be as long as 256 KiB.
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
    /// What it is checked against before.
    pub checks_digest: Digest,
}

/// Everything that a decision looks at, besides the recorded status and this process's memory.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The resource's uid; part of every key, so that a re-created resource never meets its predecessor's answers.
    pub uid: &'a str,
    /// The spec's generation.
    pub generation: i64,
    /// When the resource was deleted, if it was.
    pub deleted_at: Option<Timestamp>,
    /// The spec.
    pub spec: &'a CognigyDeploymentSpec,
    /// What the environment should run, or what keeps the operator from knowing it.
    pub target: Result<Target, Obstacle>,
    /// The request annotations.
    pub requests: Requests,
    /// The words that tell of another resource that owns the environment: it deployed there after this one, or has a rollout
    /// in flight there.
    pub other_owner: Option<String>,
    /// The operator's settings.
    pub settings: &'a Settings,
    /// The API that the credentials point to, as they were last read by this process.
    pub credentials_origin: Option<ApiOrigin>,
    /// Whether the operator's own webhook serves the resource, should it name none.
    pub has_default_webhook: bool,
    /// How closely it may be looked at now.
    pub pace: Pace,
    /// When the question was asked whose answer is being looked at; without one, the moment.
    pub asked: Now,
    /// The moment.
    pub now: Now,
}

impl Facts<'_> {
    /// When the question was asked whose answer is being looked at, and that it was answered now.
    #[must_use]
    pub fn answered(&self) -> Answered {
        Answered { asked: self.asked, answered: self.now }
    }

    /// The least time between two looks.
    #[must_use]
    pub fn interval(&self) -> Duration {
        interval(self.spec)
    }

    /// How long a rollout may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        timeout(self.spec)
    }

    /// Whether what the environment should run is known, and is not this.
    #[must_use]
    pub fn wants_other_than(&self, digest: &Digest) -> bool {
        self.target.as_ref().is_ok_and(|target| target.digest != *digest)
    }

    /// Whether anyone is told by webhook.
    #[must_use]
    pub fn has_webhook(&self) -> bool {
        self.spec.webhook.is_some() || self.has_default_webhook
    }
}

pub(super) fn interval(spec: &CognigyDeploymentSpec) -> Duration {
    Duration::from_secs(u64::try_from(spec.monitoring.interval_seconds).unwrap_or(1))
}

pub(super) fn timeout(spec: &CognigyDeploymentSpec) -> Duration {
    Duration::from_secs(u64::try_from(spec.rollback_policy.timeout_seconds).unwrap_or(1))
}
