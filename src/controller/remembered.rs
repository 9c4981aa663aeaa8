//! What this process remembers of each resource between two reconciles. All of it may be lost at any time.

use super::snapshot::Desired;
use super::watched::Watched;
use api::identifier::ApiOrigin;
use api::status::DeliveryKind;
use api::{CognigyDeployment, CognigyDeploymentStatus, IdempotencyKey};
use bytes::Bytes;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use platform::CredentialsFingerprint;
use rollout::Memory;
use rollout::put_back::must_not_be_lost;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What this process remembers of one resource.
#[derive(Default)]
pub struct Remembered {
    /// What decisions look at.
    pub memory: Memory,
    /// The resource as this process last wrote it, until the watch has caught up.
    pub written: Option<Arc<CognigyDeployment>>,
    /// What the spec asks for that was last looked at.
    pub digested: Option<Digested>,
    /// The submit's exact bytes, until it is answered.
    pub submit_body: Option<(IdempotencyKey, Bytes)>,
    /// When the attempt began for which the credentials were read.
    pub credentials_read_for: Option<Timestamp>,
    /// The credentials that were refused.
    pub refused: Option<CredentialsFingerprint>,
    /// When what somebody must mend was last looked at.
    pub looked_again_at: Option<Duration>,
    /// The status as this process last saw or wrote it, if it must not be lost: a rollout is in flight, or messages wait.
    pub status: Option<CognigyDeploymentStatus>,
    /// The audit records in the outbox that this process has written to its log.
    pub logged_records: BTreeSet<IdempotencyKey>,
    /// The messages that this process has given up in its log; the status may still hold them.
    pub logged_as_given_up: BTreeSet<IdempotencyKey>,
    /// What was told of the object, if it cannot be read.
    pub told_unreadable: Option<String>,
    /// The pauses of deliveries that failed.
    pub deliveries: BTreeMap<DeliveryKind, DeliveryPause>,
    /// The API that the credentials pointed to when they were last used.
    pub credentials_origin: Option<ApiOrigin>,
    /// Until when audit records for another API than that are not looked at, in the time of the process.
    pub held_back_until: Option<Duration>,
}

/// What a spec with a snapshot of its own asks for. To hash a snapshot takes ten times as long as to see that it is the
/// same.
pub struct Digested {
    object: Arc<CognigyDeployment>,
    desired: Desired,
}

/// The pause after a delivery that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryPause {
    /// Failures in a row.
    pub failures: u32,
    /// Not before this time of the process.
    pub until: Duration,
}

impl Remembered {
    /// The newer of the resource as watched and as written, where there is anything to do for it. A watch that lags behind
    /// one's own write would show an intent as not written, and a job as not known.
    pub fn newest(&mut self, watched: &Watched) -> Option<Arc<CognigyDeployment>> {
        let written = self.written.take().filter(|written| version(&written.metadata) > version(watched.meta()));
        self.written.clone_from(&written);
        written.or_else(|| watched.whole().cloned())
    }

    /// A write was refused because the resource has another version. What this process wrote is then no longer the newest,
    /// even if its version is higher: somebody may have restored the API server's data from a backup.
    pub fn distrust_what_was_written(&mut self) {
        self.written = None;
    }

    /// Remembers the status if it must not be lost.
    pub fn know_status(&mut self, status: Option<&CognigyDeploymentStatus>) {
        let status = status.filter(|status| must_not_be_lost(status));
        if self.status.as_ref() != status {
            self.status = status.cloned();
        }
    }

    /// What the resource asks for, where that is known from its spec alone, and was found out before.
    #[must_use]
    pub fn known_desired(&self, object: &CognigyDeployment) -> Option<Desired> {
        let digested = self.digested.as_ref().filter(|digested| digested.object.spec == object.spec);
        // The snapshot is that of the object at hand, so that two of the same text are not kept.
        let snapshot = object.spec.configuration_snapshot.clone()?;
        digested.map(|digested| Desired { snapshot, ..digested.desired.clone() })
    }

    /// Remembers what the resource asks for.
    pub fn know_desired(&mut self, object: &Arc<CognigyDeployment>, desired: &Desired) {
        self.digested = object
            .spec
            .configuration_snapshot
            .is_some()
            .then(|| Digested { object: Arc::clone(object), desired: desired.clone() });
    }
}

/// Resource versions of one resource are ordered as numbers (KEP-5504).
pub(super) fn version(resource: &ObjectMeta) -> u64 {
    resource.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0)
}

/// What this process remembers of all resources, by uid.
#[derive(Default)]
pub struct Memories {
    /// Nothing where a reconcile has taken it out.
    by_uid: Mutex<HashMap<String, Option<Remembered>>>,
    /// Reconciles that failed in a row; kept apart, so that one that panics and forgets all else is still slowed down.
    failures: Mutex<HashMap<String, u32>>,
    /// The version that this process last wrote of each resource; kept apart, since the watch tells of it while the
    /// reconcile that wrote it still runs.
    written: Mutex<HashMap<String, u64>>,
}

impl Memories {
    /// Takes out what is remembered of a resource. A reconcile that does not put it back has lost it, like a restart.
    #[must_use]
    pub fn take(&self, uid: &str) -> Remembered {
        lock(&self.by_uid).insert(uid.to_owned(), None).flatten().unwrap_or_default()
    }

    /// Puts it back.
    pub fn put(&self, uid: &str, remembered: Remembered) {
        lock(&self.by_uid).insert(uid.to_owned(), Some(remembered));
    }

    /// Forgets a resource.
    pub fn forget(&self, uid: &str) {
        lock(&self.by_uid).remove(uid);
        lock(&self.written).remove(uid);
        self.succeeded(uid);
    }

    /// A reconcile wrote a resource, as it is here, and goes on with what it wrote.
    pub fn wrote(&self, resource: &ObjectMeta) {
        if let (Some(uid), version @ 1..) = (&resource.uid, version(resource)) {
            lock(&self.written).insert(uid.clone(), version);
        }
    }

    /// Whether a resource is, as it is here, what a reconcile of this process wrote: to be told of it is no news.
    #[must_use]
    pub fn have_written(&self, resource: &ObjectMeta) -> bool {
        let written = resource.uid.as_ref().and_then(|uid| lock(&self.written).get(uid).copied());
        written.is_some_and(|written| written == version(resource))
    }

    /// A whole list follows: each resource in it is news, also at the version that was last written here.
    pub fn forget_written(&self) {
        lock(&self.written).clear();
    }

    /// Whether anything is remembered of a resource, or a reconcile of it is under way and may come to remember something.
    #[must_use]
    pub fn know(&self, uid: &str) -> bool {
        lock(&self.by_uid).contains_key(uid)
    }

    /// A reconcile failed; the answer is how many did in a row before it.
    pub fn failed(&self, uid: &str) -> u32 {
        let mut failures = lock(&self.failures);
        let count = failures.entry(uid.to_owned()).or_default();
        *count = count.saturating_add(1);
        *count - 1
    }

    /// A reconcile came to its end.
    pub fn succeeded(&self, uid: &str) {
        lock(&self.failures).remove(uid);
    }

    /// Forgets the resources that are no longer there.
    pub fn retain(&self, is_there: impl Fn(&str) -> bool) {
        lock(&self.by_uid).retain(|uid, _| is_there(uid));
        lock(&self.written).retain(|uid, _| is_there(uid));
        lock(&self.failures).retain(|uid, _| is_there(uid));
    }
}

/// A panic elsewhere leaves the maps whole: each change is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn a_resource_is_no_news_at_the_version_that_was_written_here_and_at_no_other() {
        let at = |version: &str| ObjectMeta {
            uid: Some("a-uid".to_owned()),
            resource_version: Some(version.to_owned()),
            ..ObjectMeta::default()
        };
        let memories = Memories::default();
        assert!(!memories.have_written(&at("7")));
        memories.wrote(&at("7"));
        assert!(memories.have_written(&at("7")));
        for other in ["6", "8", "", "seven"] {
            assert!(!memories.have_written(&at(other)), "{other}");
        }
        assert!(!memories.have_written(&ObjectMeta { uid: Some("another".to_owned()), ..at("7") }));
        memories.forget("a-uid");
        assert!(!memories.have_written(&at("7")));
        memories.wrote(&at("seven"));
        assert!(!memories.have_written(&at("eight")), "versions that are no numbers cannot be told apart");
    }

    #[test]
    fn what_was_written_here_is_newer_than_an_older_watch_until_a_write_is_refused() {
        let at = |version: &str| {
            let mut object = object(1, json!({"environmentId": "env", "configurationSnapshot": {"botVersion": "1"}}));
            Arc::make_mut(&mut object).metadata.resource_version = Some(version.to_owned());
            object
        };
        let newest = |remembered: &mut Remembered, watched: &str| {
            let newest = remembered.newest(&Watched::Whole(at(watched)));
            newest.and_then(|object| object.metadata.resource_version.clone())
        };
        let mut remembered = Remembered { written: Some(at("40")), ..Remembered::default() };
        assert_eq!(newest(&mut remembered, "30").as_deref(), Some("40"), "the watch lags behind");
        remembered.distrust_what_was_written();
        assert_eq!(newest(&mut remembered, "30").as_deref(), Some("30"), "the data was restored from a backup");
    }

    #[test]
    fn what_a_spec_asks_for_is_known_again_only_by_that_very_spec() {
        let inline = |version: &str| json!({"environmentId": "env", "configurationSnapshot": {"botVersion": version}});
        let of_a_map = json!({"environmentId": "env", "configurationSnapshotFrom": {"configMapKeyRef": {"name": "flows", "key": "snapshot"}}});
        let mut remembered = Remembered::default();
        let first = object(1, inline("1"));
        assert!(remembered.known_desired(&first).is_none());
        let snapshot = first.spec.configuration_snapshot.clone().unwrap();
        let desired = Desired { target: written_target(&first).unwrap(), snapshot, read_warnings: Vec::new() };
        remembered.know_desired(&first, &desired);
        let known = remembered.known_desired(&object(2, inline("1"))).unwrap();
        assert_eq!(known.target, desired.target);
        // After an etcd was put back, one generation may have had two specs.
        assert!(remembered.known_desired(&object(1, inline("2"))).is_none());
        remembered.know_desired(&object(3, of_a_map.clone()), &desired);
        assert!(remembered.known_desired(&object(3, of_a_map)).is_none(), "the map may have changed");
        assert!(remembered.known_desired(&first).is_none());
    }
}
