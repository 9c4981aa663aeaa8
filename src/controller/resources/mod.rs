//! The registry of resources: everything that this process keeps about each of them.
//!
//! There is one entry for each resource, by its uid. A resource that is deleted and created again keeps its name and
//! gets another uid, so nothing is passed on from the old one to the new one. The entry of a resource at rest holds
//! only what the gauges count. [`ResourceRegistry::forget`] removes all that is kept about a resource.
//!
//! All of it is in memory and may be lost at any time: after a restart the watch brings back what is needed.

mod admission;
pub mod claims;
mod clients;
mod environments;
mod gauges;
mod infos;
mod running;
pub mod state;

use super::watched::Watched;
use crate::backoff::backoff;
use backon::ExponentialBackoff;
use claims::{Claimant, Claims};
use clients::Clients;
use gauges::Gauge;
use infos::Infos;
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

/// Everything that this process keeps about each resource.
#[derive(Default)]
pub struct ResourceRegistry {
    inner: Mutex<Inner>,
    /// Notified when [`Inner::requeued`] is no longer empty.
    has_requeued: Notify,
    /// Cancels the waiting requests of all reconciles.
    stop: CancellationToken,
}

/// The data of the registry, under one lock.
#[derive(Default)]
struct Inner {
    entries: HashMap<Arc<str>, Entry>,
    claims: Claims,
    clients: Clients,
    /// The data for the series of each resource, if `--resource-metrics` is set.
    infos: Option<Infos>,
    /// Resources to reconcile because another one has released the environment or the slot for which they wait, or because a
    /// deployment that they require has changed.
    requeued: Vec<ResourceName>,
}

/// The data about one resource, besides its claim.
#[derive(Default)]
struct Entry {
    /// The values that the gauges count, if the watch shows the resource.
    gauge: Option<Gauge>,
    /// Only while there is work for the resource.
    active: Option<Box<Active>>,
}

/// The data about a resource while there is work for it.
#[derive(Default)]
struct Active {
    /// `None` while a reconcile has it.
    state: Option<ResourceState>,
    /// The running reconcile.
    running: Option<Running>,
    /// The pauses after reconciles that failed in a row. A reconcile that panics loses its state, but not these.
    failures: Option<ExponentialBackoff>,
    /// The version that this process wrote last. The watch shows it while the reconcile that wrote it still runs.
    written_version: Option<u64>,
    /// The name under which the resource is known to its client's admission queue.
    queued_as: Option<ResourceName>,
}

impl Inner {
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

    /// The same claimant, with the uid that is stored in the entry: there is a claim for each resource that ever
    /// deployed, so this saves memory.
    fn sharing_uid(&mut self, claimant: Claimant) -> Claimant {
        Claimant { uid: self.shared_uid(&claimant.uid), ..claimant }
    }

    /// Notes the name under which a resource joins its client's queue. Returns the uid that is stored in the entry.
    fn queued(&mut self, uid: &str, resource: &ResourceName) -> Arc<str> {
        let active = self.active(uid);
        if active.queued_as.as_ref() != Some(resource) {
            active.queued_as = Some(resource.clone());
        }
        self.shared_uid(uid)
    }

    /// The uid that is stored in the entry.
    fn shared_uid(&mut self, uid: &str) -> Arc<str> {
        self.entry(uid);
        self.entries.get_key_value(uid).map_or_else(|| uid.into(), |(uid, _)| Arc::clone(uid))
    }

    fn observe_info(&mut self, uid: &str, watched: &Watched) {
        if self.infos.is_some() {
            let uid = self.shared_uid(uid);
            self.infos.as_mut().into_iter().for_each(|infos| infos.observe(&uid, watched));
        }
    }

    fn forget_info(&mut self, uid: &str) {
        self.infos.as_mut().into_iter().for_each(|infos| infos.forget(uid));
    }

    /// Removes the resource from its client's admission queue. Returns the resources that get a slot.
    fn leave_queue(&mut self, uid: &str, now: Duration) -> Vec<ResourceName> {
        let queued_as = self.known_active(uid).and_then(|active| active.queued_as.take());
        queued_as.map(|resource| self.clients.leave(uid, &resource, now)).unwrap_or_default()
    }
}

/// The life of an entry.
impl ResourceRegistry {
    /// Without `--resource-metrics`, nothing is kept that only this flag needs.
    #[must_use]
    pub fn new(with_resource_metrics: bool) -> Self {
        let inner = Inner { infos: with_resource_metrics.then(Infos::default), ..Inner::default() };
        Self { inner: Mutex::new(inner), ..Self::default() }
    }

    /// Handles an event of a watch of resources, before the object is pruned.
    pub fn observe(&self, event: &Event<Watched>) {
        match event {
            Event::Apply(watched) | Event::InitApply(watched) => {
                let Some(uid) = watched.meta().uid.as_deref() else { return };
                let mut inner = self.inner.lock();
                let entry = inner.entry(uid);
                if let Some(gauge) = Gauge::of(watched) {
                    entry.gauge = Some(gauge);
                }
                if let Some(running) = entry.active.as_ref().and_then(|active| active.running.as_ref()) {
                    running.cancel_if_outdated(watched.meta());
                }
                inner.observe_info(uid, watched);
            }
            Event::Delete(watched) => {
                let Some(uid) = watched.meta().uid.as_deref() else { return };
                let mut inner = self.inner.lock();
                inner.forget_info(uid);
                let Some(entry) = inner.entries.get_mut(uid) else { return };
                entry.gauge = None;
                if let Some(running) = entry.active.as_ref().and_then(|active| active.running.as_ref()) {
                    running.cancel();
                }
            }
            Event::Init | Event::InitDone => {}
        }
    }

    /// Cancels what the running reconcile of a resource waits for, because a person has made a decision about it.
    pub fn interrupt(&self, uid: &str) {
        let inner = self.inner.lock();
        let active = inner.entries.get(uid).and_then(|entry| entry.active.as_ref());
        if let Some(running) = active.and_then(|active| active.running.as_ref()) {
            running.cancel();
        }
    }

    /// Takes the state of a resource for a reconcile. Without a call of [`finish`](Self::finish), the state is lost, as
    /// after a restart.
    #[must_use]
    pub fn take(&self, uid: &str) -> ResourceState {
        self.inner.lock().active(uid).state.take().unwrap_or_default()
    }

    /// Notes that a reconcile begins with this version of the resource. The token is cancelled if the resource changes
    /// so that another decision is necessary, and if the process stops.
    #[must_use]
    pub fn begin(&self, uid: &str, resource: &ObjectMeta) -> CancellationToken {
        let cancellation = self.stop.child_token();
        self.inner.lock().active(uid).running = Some(Running::new(resource, cancellation.clone()));
        cancellation
    }

    /// Puts the state back at the end of a reconcile.
    pub fn finish(&self, uid: &str, state: ResourceState) {
        let mut inner = self.inner.lock();
        let active = inner.active(uid);
        active.state = Some(state);
        active.running = None;
    }

    /// Drops the data that is needed only while there is work for the resource.
    pub fn rest(&self, uid: &str, now: Duration) {
        self.change(|inner| {
            let requeued = inner.leave_queue(uid, now);
            if let Some(entry) = inner.entries.get_mut(uid) {
                entry.active = None;
            }
            requeued
        });
    }

    /// Forgets a resource that is gone: its state, its place in the queue, its claim and its values in the gauges. The
    /// resources that waited for its environment or its slot are requeued.
    pub fn forget(&self, uid: &str, now: Duration) {
        self.change(|inner| {
            let mut requeued = inner.leave_queue(uid, now);
            requeued.extend(inner.claims.release(uid));
            inner.forget_info(uid);
            inner.entries.remove(uid);
            requeued
        });
    }

    /// The known resources for which `is_there` is false, each with its claim if it has one.
    #[must_use]
    pub fn missing(&self, is_there: impl Fn(&str) -> bool) -> Vec<(Arc<str>, Option<Claimant>)> {
        let inner = self.inner.lock();
        let missing = inner.entries.keys().filter(|uid| !is_there(uid));
        missing.map(|uid| (Arc::clone(uid), inner.claims.get(uid).cloned())).collect()
    }

    /// Whether there is work for a resource, or a reconcile of it runs.
    #[must_use]
    pub fn is_active(&self, uid: &str) -> bool {
        self.inner.lock().known_active(uid).is_some()
    }

    /// Cancels the waiting requests of all reconciles, because the process stops. The next process sends them.
    pub fn cancel_all(&self) {
        self.stop.cancel();
    }
}

/// Writes and failures.
impl ResourceRegistry {
    /// Notes that a reconcile has written this version of the resource.
    pub fn wrote(&self, resource: &ObjectMeta) {
        if let (Some(uid), version @ 1..) = (&resource.uid, version(resource)) {
            self.inner.lock().active(uid).written_version = Some(version);
        }
    }

    /// Whether this version of the resource is the last one that this process wrote. If so, the watch shows nothing
    /// new.
    #[must_use]
    pub fn has_written(&self, resource: &ObjectMeta) -> bool {
        let Some(uid) = &resource.uid else { return false };
        let written = self.inner.lock().known_active(uid).and_then(|active| active.written_version);
        written.is_some_and(|written| written == version(resource))
    }

    /// Forgets which versions this process wrote, because a whole list follows. Each resource in that list is
    /// reconciled.
    pub fn forget_written(&self) {
        for entry in self.inner.lock().entries.values_mut() {
            if let Some(active) = &mut entry.active {
                active.written_version = None;
            }
        }
    }

    /// Notes that a reconcile failed, and returns the pause before the next one.
    pub fn failed(&self, uid: &str, seed: u64) -> Duration {
        let mut inner = self.inner.lock();
        let new = || backoff(FIRST_PAUSE, LONGEST_PAUSE, seed);
        inner.active(uid).failures.get_or_insert_with(new).next().unwrap_or(LONGEST_PAUSE)
    }

    /// Notes that a reconcile ended without an error.
    pub fn succeeded(&self, uid: &str) {
        if let Some(active) = self.inner.lock().known_active(uid) {
            active.failures = None;
        }
    }
}

/// Requeued resources.
impl ResourceRegistry {
    /// Waits for requeued resources.
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
        std::mem::take(&mut self.inner.lock().requeued)
    }

    /// Requeues resources.
    pub fn requeue(&self, resources: Vec<ResourceName>) {
        if !resources.is_empty() {
            self.change(|_| resources);
        }
    }

    fn notify_requeued(&self, inner: &Inner) {
        if !inner.requeued.is_empty() {
            self.has_requeued.notify_one();
        }
    }

    /// Makes a change, and requeues the resources that it returns.
    fn change(&self, change: impl FnOnce(&mut Inner) -> Vec<ResourceName>) {
        let mut inner = self.inner.lock();
        let requeued = change(&mut inner);
        inner.requeued.extend(requeued);
        self.notify_requeued(&inner);
    }
}

#[cfg(test)]
mod tests;
