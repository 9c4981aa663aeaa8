//! The state that this process keeps about a resource from one reconcile to the next. All of it may be lost at any
//! time.

use super::super::snapshot::Desired;
use super::super::watched::Watched;
use crate::backoff::backoff;
use api::identifier::ApiOrigin;
use api::status::DeliveryKind;
use api::{CognigyDeployment, CognigyDeploymentStatus, IdempotencyKey};
use backon::ExponentialBackoff;
use bytes::Bytes;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use platform::CredentialsFingerprint;
use rollout::Memory;
use rollout::put_back::must_not_be_lost;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The first pause after a delivery that failed. It doubles with each failure.
const FIRST_DELIVERY_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause between two tries of a delivery.
const LONGEST_DELIVERY_PAUSE: Duration = Duration::from_secs(600);

/// The state that this process keeps about one resource from one reconcile to the next.
#[derive(Default)]
pub struct ResourceState {
    /// The inputs of decisions that are not in the status.
    pub memory: Memory,
    /// The resource as this process last wrote it, or read it after a conflict, until the watch has caught up.
    pub newest: Option<Arc<CognigyDeployment>>,
    /// The desired configuration of the last observed spec.
    pub cached_target: Option<CachedTarget>,
    /// The exact bytes of the submit, until it is answered.
    pub submit_body: Option<(IdempotencyKey, Bytes)>,
    /// The start of the attempt for which the credentials were read.
    pub credentials_read_for: Option<Timestamp>,
    /// The credentials that were refused.
    pub refused: Option<CredentialsFingerprint>,
    /// When the operator last checked whether a person has fixed the obstacle.
    pub obstacle_checked_at: Option<Duration>,
    /// The status as this process last saw or wrote it, if it must not be lost: a rollout is in flight, or messages
    /// wait.
    pub status: Option<CognigyDeploymentStatus>,
    /// The audit records in the outbox that are in this process's log.
    pub logged_records: BTreeSet<IdempotencyKey>,
    /// The messages that this process's log shows as given up. The status may still hold them.
    pub logged_as_given_up: BTreeSet<IdempotencyKey>,
    /// The problem that the last event named, if the object cannot be read.
    pub reported_problem: Option<String>,
    /// The pauses of deliveries that failed.
    pub deliveries: BTreeMap<DeliveryKind, DeliveryPause>,
    /// The API that the credentials named when they were last used.
    pub credentials_origin: Option<ApiOrigin>,
    /// Until this uptime, audit records for another API than `credentials_origin` wait.
    pub held_back_until: Option<Duration>,
}

/// The desired configuration of a spec with an inline snapshot. Hashing a snapshot takes ten times as long as comparing
/// it.
pub struct CachedTarget {
    object: Arc<CognigyDeployment>,
    desired: Desired,
}

/// The pause after deliveries that failed in a row.
#[derive(Debug)]
pub struct DeliveryPause {
    backoff: ExponentialBackoff,
    /// Failures in a row.
    pub failures: u32,
    /// The uptime from which the next try is allowed.
    pub until: Duration,
}

impl DeliveryPause {
    /// No failure yet. The seed decides the jitter.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let backoff = backoff(FIRST_DELIVERY_PAUSE, LONGEST_DELIVERY_PAUSE, seed);
        Self { backoff, failures: 0, until: Duration::ZERO }
    }

    /// Notes a failure. The receiver may have asked for a pause.
    pub fn failed(&mut self, now: Duration, retry_after: Option<Duration>) {
        let requested = retry_after.unwrap_or_default().min(LONGEST_DELIVERY_PAUSE);
        let pause = self.backoff.next().unwrap_or(LONGEST_DELIVERY_PAUSE);
        self.until = now + pause.max(requested);
        self.failures = self.failures.saturating_add(1);
    }
}

impl ResourceState {
    /// The newer of two copies of the resource, the watched one and the one kept here, if there is work for it. If the
    /// watch lags behind our own write, its copy lacks the recorded intent or the job.
    pub fn newest(&mut self, watched: &Watched) -> Option<Arc<CognigyDeployment>> {
        self.newest.take_if(|newest| version(&newest.metadata) <= version(watched.meta()));
        self.newest.clone().or_else(|| watched.whole().cloned())
    }

    /// A write was refused because the resource has another version. What this process wrote is then no longer the
    /// newest, even if its version is higher: somebody may have restored the API server's data from a backup. The next
    /// reconcile decides on the resource as it was read after the conflict.
    pub fn conflicted(&mut self, read: Option<Arc<CognigyDeployment>>) {
        self.newest = read;
    }

    /// Keeps a copy of the status if it must not be lost.
    pub fn know_status(&mut self, status: Option<&CognigyDeploymentStatus>) {
        let status = status.filter(|status| must_not_be_lost(status));
        if self.status.as_ref() != status {
            self.status = status.cloned();
        }
    }

    /// The desired configuration of the resource, if it is known and depends on the object alone.
    #[must_use]
    pub fn known_desired(&self, object: &CognigyDeployment) -> Option<Desired> {
        // The version may be a label, and an edit of a label leaves the spec as it is.
        let is_same =
            |known: &CognigyDeployment| known.spec == object.spec && known.metadata.labels == object.metadata.labels;
        let cached = self.cached_target.as_ref().filter(|cached| is_same(&cached.object));
        // Use the snapshot of this object, so that the same text is not kept twice.
        let snapshot = object.spec.configuration_snapshot.clone()?;
        cached.map(|cached| Desired { snapshot, ..cached.desired.clone() })
    }

    /// Keeps the desired configuration of the resource.
    pub fn know_desired(&mut self, object: &Arc<CognigyDeployment>, desired: &Desired) {
        self.cached_target = object
            .spec
            .configuration_snapshot
            .is_some()
            .then(|| CachedTarget { object: Arc::clone(object), desired: desired.clone() });
    }
}

/// Resource versions of one resource are ordered as numbers (KEP-5504).
pub(in crate::controller) fn version(resource: &ObjectMeta) -> u64 {
    resource.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::controller::snapshot::written_target;
    use serde_json::{Value, json};

    fn object(generation: i64, spec: Value) -> Arc<CognigyDeployment> {
        let object = json!({
            "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "CognigyDeployment",
            "metadata": {"name": "bot", "namespace": "bots", "generation": generation},
            "spec": spec,
        });
        serde_json::from_value(object).unwrap()
    }

    fn at(version: &str) -> Arc<CognigyDeployment> {
        let mut object = object(1, json!({"environmentId": "env", "configurationSnapshot": {"botVersion": "1"}}));
        Arc::make_mut(&mut object).metadata.resource_version = Some(version.to_owned());
        object
    }

    fn newest(state: &mut ResourceState, watched: &str) -> Option<String> {
        let newest = state.newest(&Watched::Whole(at(watched)));
        newest.and_then(|object| object.metadata.resource_version.clone())
    }

    #[test]
    fn a_written_version_replaces_an_older_watched_one_until_a_write_is_refused() {
        let mut state = ResourceState { newest: Some(at("40")), ..ResourceState::default() };
        assert_eq!(newest(&mut state, "30").as_deref(), Some("40"), "the watch lags behind");
        state.conflicted(None);
        assert_eq!(newest(&mut state, "30").as_deref(), Some("30"), "the data was restored from a backup");
    }

    #[test]
    fn a_version_that_was_read_after_a_conflict_replaces_an_older_watched_one_until_the_watch_catches_up() {
        let mut state = ResourceState { newest: Some(at("40")), ..ResourceState::default() };
        state.conflicted(Some(at("42")));
        assert_eq!(newest(&mut state, "30").as_deref(), Some("42"), "the watch lags behind");
        assert_eq!(newest(&mut state, "43").as_deref(), Some("43"), "the watch is ahead");
        assert_eq!(newest(&mut state, "42").as_deref(), Some("42"), "the older copy is dropped");
    }

    #[test]
    fn the_desired_configuration_is_known_again_only_for_the_same_spec() {
        let inline = |version: &str| json!({"environmentId": "env", "configurationSnapshot": {"botVersion": version}});
        let of_a_map = json!({"environmentId": "env", "configurationSnapshotFrom": {"configMapKeyRef": {"name": "flows", "key": "snapshot"}}});
        let mut state = ResourceState::default();
        let first = object(1, inline("1"));
        assert!(state.known_desired(&first).is_none());
        let snapshot = first.spec.configuration_snapshot.clone().unwrap();
        let desired = Desired { target: written_target(&first).unwrap(), snapshot, read_warnings: Vec::new() };
        state.know_desired(&first, &desired);
        let known = state.known_desired(&object(2, inline("1"))).unwrap();
        assert_eq!(known.target, desired.target);
        // After etcd was restored from a backup, one generation may have two specs.
        assert!(state.known_desired(&object(1, inline("2"))).is_none());
        state.know_desired(&object(3, of_a_map.clone()), &desired);
        assert!(state.known_desired(&object(3, of_a_map)).is_none(), "the map may have changed");
        assert!(state.known_desired(&first).is_none());
    }
}
