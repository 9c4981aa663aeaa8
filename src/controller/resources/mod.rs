//! What this process keeps about each resource, in one place.
//!
//! There is one entry for each resource, by its uid. A resource that is deleted and created again keeps its name and gets
//! another uid, so nothing is passed on from the old one to the new one. The entry of a resource at rest holds only what the
//! gauges count. [`ResourceRegistry::forget`] removes all that is kept about a resource.
//!
//! All of it is in memory and may be lost at any time: after a restart the watch brings back what is needed.

mod admission;
pub mod claims;
mod clients;
mod environments;
mod gauges;
mod running;
pub mod state;

use super::watched::Watched;
use crate::backoff::backoff;
use backon::ExponentialBackoff;
use claims::{Claimant, Claims};
use clients::Clients;
use gauges::Gauge;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};
use parking_lot::Mutex;
use rollout::admission::ResourceName;
use running::Running;
use state::{ResourceState, version};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The pause after a reconcile that failed. It doubles with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause after a reconcile that failed.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The name of a resource.
#[must_use]
pub fn name_of(object: &impl ResourceExt) -> ResourceName {
    let namespace = object.namespace().unwrap_or_default();
    ResourceName { namespace: namespace.into(), name: object.name_any().into() }
}

/// What this process keeps about each resource.
#[derive(Default)]
pub struct ResourceRegistry {
    kept: Mutex<Kept>,
    /// Told when [`Kept::requeued`] is no longer empty.
    has_requeued: Notify,
    /// Cancels the waiting requests of all reconciles.
    stop: CancellationToken,
}

/// Everything, under one lock.
#[derive(Default)]
struct Kept {
    entries: HashMap<Arc<str>, Entry>,
    claims: Claims,
    clients: Clients,
    /// Resources to reconcile because another resource has given up what they wait for.
    requeued: Vec<ResourceName>,
}

/// What is kept about one resource, besides its claim.
#[derive(Default)]
struct Entry {
    /// What the gauges count, if the watch shows the resource.
    gauge: Option<Gauge>,
    /// What is kept only while there is something to do for the resource.
    active: Option<Box<Active>>,
}

/// What is kept about a resource while there is something to do for it.
#[derive(Default)]
struct Active {
    /// `None` while a reconcile has it.
    state: Option<ResourceState>,
    /// The reconcile that runs.
    running: Option<Running>,
    /// The pauses after reconciles that failed in a row. A reconcile that panics loses its state, but not these.
    failures: Option<ExponentialBackoff>,
    /// The version that this process wrote last. The watch shows it while the reconcile that wrote it still runs.
    written_version: Option<u64>,
    /// The name under which the resource is known to its client's admission queue.
    queued_as: Option<ResourceName>,
}

impl Kept {
    fn entry(&mut self, uid: &str) -> &mut Entry {
        if !self.entries.contains_key(uid) {
            self.entries.insert(uid.into(), Entry::default());
        }
        self.entries.entry(uid.into()).or_default()
    }

    fn active(&mut self, uid: &str) -> &mut Active {
        self.entry(uid).active.get_or_insert_default()
    }

    fn known_active(&mut self, uid: &str) -> Option<&mut Active> {
        self.entries.get_mut(uid)?.active.as_deref_mut()
    }

    /// The same claimant, which shares its uid with the entry: there is a claim for each resource that ever deployed.
    fn sharing_uid(&mut self, claimant: Claimant) -> Claimant {
        Claimant { uid: self.shared_uid(&claimant.uid), ..claimant }
    }

    /// Notes the name under which a resource is about to join its client's queue, and returns the entry's own uid.
    fn queued(&mut self, uid: &str, who: &ResourceName) -> Arc<str> {
        let active = self.active(uid);
        if active.queued_as.as_ref() != Some(who) {
            active.queued_as = Some(who.clone());
        }
        self.shared_uid(uid)
    }

    /// The uid as the key of the entry holds it.
    fn shared_uid(&mut self, uid: &str) -> Arc<str> {
        self.entry(uid);
        self.entries.get_key_value(uid).map_or_else(|| uid.into(), |(uid, _)| Arc::clone(uid))
    }

    /// Takes the resource out of its client's admission queue. Returns those whose slot has come.
    fn leave_queue(&mut self, uid: &str, now: Duration) -> Vec<ResourceName> {
        let queued_as = self.known_active(uid).and_then(|active| active.queued_as.take());
        queued_as.map(|who| self.clients.leave(uid, &who, now)).unwrap_or_default()
    }
}

/// The life of an entry.
impl ResourceRegistry {
    /// Takes in what a watch of resources shows, before it is pruned.
    pub fn observe(&self, event: &Event<Watched>) {
        match event {
            Event::Apply(watched) | Event::InitApply(watched) => {
                let Some(uid) = watched.meta().uid.as_deref() else { return };
                let mut kept = self.kept.lock();
                let entry = kept.entry(uid);
                if let Some(gauge) = Gauge::of(watched) {
                    entry.gauge = Some(gauge);
                }
                if let Some(running) = entry.active.as_ref().and_then(|active| active.running.as_ref()) {
                    running.cancel_if_outdated(watched.meta());
                }
            }
            Event::Delete(watched) => {
                let Some(uid) = watched.meta().uid.as_deref() else { return };
                let mut kept = self.kept.lock();
                let Some(entry) = kept.entries.get_mut(uid) else { return };
                entry.gauge = None;
                if let Some(running) = entry.active.as_ref().and_then(|active| active.running.as_ref()) {
                    running.cancel();
                }
            }
            Event::Init | Event::InitDone => {}
        }
    }

    /// Takes out the state of a resource for a reconcile. A reconcile that does not [`finish`](Self::finish) has lost it, as
    /// after a restart.
    #[must_use]
    pub fn take(&self, uid: &str) -> ResourceState {
        self.kept.lock().active(uid).state.take().unwrap_or_default()
    }

    /// Notes that a reconcile begins with the resource as it is here. The token is cancelled if the resource changes in a
    /// way that makes another decision necessary, and if the process stops.
    #[must_use]
    pub fn begin(&self, uid: &str, resource: &ObjectMeta) -> CancellationToken {
        let cancellation = self.stop.child_token();
        self.kept.lock().active(uid).running = Some(Running::new(resource, cancellation.clone()));
        cancellation
    }

    /// Puts the state back at the end of a reconcile.
    pub fn finish(&self, uid: &str, state: ResourceState) {
        let mut kept = self.kept.lock();
        let active = kept.active(uid);
        active.state = Some(state);
        active.running = None;
    }

    /// Drops what is only needed while there is something to do for the resource.
    pub fn rest(&self, uid: &str, now: Duration) {
        self.change(|kept| {
            let requeued = kept.leave_queue(uid, now);
            if let Some(entry) = kept.entries.get_mut(uid) {
                entry.active = None;
            }
            requeued
        });
    }

    /// Forgets a resource that is gone: its state, its place in the queue, its claim and what the gauges count. Those that
    /// waited for what it had are requeued.
    pub fn forget(&self, uid: &str, now: Duration) {
        self.change(|kept| {
            let mut requeued = kept.leave_queue(uid, now);
            requeued.extend(kept.claims.release(uid));
            kept.entries.remove(uid);
            requeued
        });
    }

    /// The resources that are not there, as far as `is_there` knows, each with its claim if it has one.
    #[must_use]
    pub fn missing(&self, is_there: impl Fn(&str) -> bool) -> Vec<(Arc<str>, Option<Claimant>)> {
        let kept = self.kept.lock();
        let missing = kept.entries.keys().filter(|uid| !is_there(uid));
        missing.map(|uid| (Arc::clone(uid), kept.claims.get(uid).cloned())).collect()
    }

    /// Whether there is something to do for a resource, or a reconcile of it runs.
    #[must_use]
    pub fn is_active(&self, uid: &str) -> bool {
        self.kept.lock().known_active(uid).is_some()
    }

    /// Cancels what reconciles wait to ask: the process stops, and the next process asks it.
    pub fn cancel_all(&self) {
        self.stop.cancel();
    }
}

/// Writes and failures.
impl ResourceRegistry {
    /// Notes that a reconcile has written the resource as it is here.
    pub fn wrote(&self, resource: &ObjectMeta) {
        if let (Some(uid), version @ 1..) = (&resource.uid, version(resource)) {
            self.kept.lock().active(uid).written_version = Some(version);
        }
    }

    /// Whether the resource, as it is here, is what a reconcile of this process wrote last. Then the watch shows nothing new.
    #[must_use]
    pub fn has_written(&self, resource: &ObjectMeta) -> bool {
        let Some(uid) = &resource.uid else { return false };
        let written = self.kept.lock().known_active(uid).and_then(|active| active.written_version);
        written.is_some_and(|written| written == version(resource))
    }

    /// Notes that a whole list follows. Each resource in it is reconciled, also at the version that was written here last.
    pub fn forget_written(&self) {
        for entry in self.kept.lock().entries.values_mut() {
            if let Some(active) = &mut entry.active {
                active.written_version = None;
            }
        }
    }

    /// Notes that a reconcile failed, and returns the pause before the next one.
    pub fn failed(&self, uid: &str, seed: u64) -> Duration {
        let mut kept = self.kept.lock();
        let new = || backoff(FIRST_PAUSE, LONGEST_PAUSE, seed);
        kept.active(uid).failures.get_or_insert_with(new).next().unwrap_or(LONGEST_PAUSE)
    }

    /// Notes that a reconcile came to its end.
    pub fn succeeded(&self, uid: &str) {
        if let Some(active) = self.kept.lock().known_active(uid) {
            active.failures = None;
        }
    }
}

/// Requeued resources.
impl ResourceRegistry {
    /// Waits for resources that are to be reconciled because another one has given up what they wait for.
    pub async fn requeued(&self) -> Vec<ResourceName> {
        loop {
            let names = self.take_requeued();
            if !names.is_empty() {
                return names;
            }
            self.has_requeued.notified().await;
        }
    }

    /// The same without waiting.
    #[must_use]
    pub fn take_requeued(&self) -> Vec<ResourceName> {
        std::mem::take(&mut self.kept.lock().requeued)
    }

    fn tell_requeued(&self, kept: &Kept) {
        if !kept.requeued.is_empty() {
            self.has_requeued.notify_one();
        }
    }

    /// Changes what is kept, and requeues those whom the change returns.
    fn change(&self, change: impl FnOnce(&mut Kept) -> Vec<ResourceName>) {
        let mut kept = self.kept.lock();
        let requeued = change(&mut kept);
        kept.requeued.extend(requeued);
        self.tell_requeued(&kept);
    }
}

#[cfg(test)]
mod tests;
