//! The Kubernetes cluster: the API server, the watched resources, the events, and whether this process may act.

use super::error::Error;
use super::event_recorder::EventRecorder;
use super::gates::{WatchedDecision, WatchedWindow};
use super::leadership::Leadership;
use super::queue::Urgency;
use super::resources::claims::Claimant;
use super::watched::Watched;
use kube::Resource;
use kube::runtime::reflector::{ObjectRef, Store};
use rollout::admission::ResourceName;
use std::sync::{Arc, OnceLock};

/// The decisions and change windows as watched, one store for each watched namespace.
#[derive(Default)]
pub struct GateStores {
    /// The decisions.
    pub decisions: Vec<Store<WatchedDecision>>,
    /// The change windows.
    pub windows: Vec<Store<WatchedWindow>>,
}

/// The Kubernetes cluster.
pub struct Cluster {
    /// The API server.
    pub client: kube::Client,
    /// Records events.
    pub events: EventRecorder,
    /// Whether this process may act.
    pub leadership: Leadership,
    /// The resources as watched, one store for each watched namespace.
    stores: OnceLock<Vec<Store<Watched>>>,
    /// The decisions and change windows as watched.
    gates: OnceLock<GateStores>,
}

impl Cluster {
    /// Nothing is watched yet.
    #[must_use]
    pub fn new(client: kube::Client, events: EventRecorder, leadership: Leadership) -> Self {
        Self { client, events, leadership, stores: OnceLock::new(), gates: OnceLock::new() }
    }

    /// Sets the stores of the watches, once.
    pub fn watch(&self, stores: Vec<Store<Watched>>) {
        // A second call would change nothing: each process watches once.
        let _ = self.stores.set(stores);
    }

    /// Sets the stores of the gates, once.
    pub fn watch_gates(&self, stores: GateStores) {
        let _ = self.gates.set(stores);
    }

    /// Fails unless this process leads.
    ///
    /// # Errors
    /// [`Error::NotLeading`].
    pub fn must_lead(&self) -> Result<(), Error> {
        if self.leadership.may_act() { Ok(()) } else { Err(Error::NotLeading) }
    }

    /// Waits until the first lists are complete, because only then all claims are known. Before that, a resource could
    /// take an environment whose owner was not listed yet.
    ///
    /// # Errors
    /// [`Error::NotReady`] if a watch ended before its first list was complete.
    pub async fn ready(&self) -> Result<(), Error> {
        for store in self.stores.get().ok_or(Error::NotReady)? {
            store.wait_until_ready().await.map_err(|_| Error::NotReady)?;
        }
        Ok(())
    }

    /// Waits until the first lists of decisions and change windows are complete. Before that, no gate is open.
    ///
    /// # Errors
    /// [`Error::NotReady`] if a watch ended before its first list was complete.
    pub async fn gates_ready(&self) -> Result<(), Error> {
        let Some(gates) = self.gates.get() else { return Ok(()) };
        for store in &gates.decisions {
            store.wait_until_ready().await.map_err(|_| Error::NotReady)?;
        }
        for store in &gates.windows {
            store.wait_until_ready().await.map_err(|_| Error::NotReady)?;
        }
        Ok(())
    }

    /// The last watched version of a resource.
    #[must_use]
    pub fn find(&self, resource: &ResourceName) -> Option<Arc<Watched>> {
        let name = ObjectRef::new(&resource.name).within(&resource.namespace);
        self.stores.get()?.iter().find_map(|store| store.get(&name))
    }

    /// The last watched versions of all resources.
    #[must_use]
    pub fn resources(&self) -> Vec<Arc<Watched>> {
        self.stores.get().into_iter().flatten().flat_map(Store::state).collect()
    }

    /// Whether the watches show this resource. Another resource with the same name does not count.
    #[must_use]
    pub fn shows(&self, claimant: &Claimant) -> bool {
        self.find(&claimant.resource).is_some_and(|shown| shown.meta().uid.as_deref() == Some(&*claimant.uid))
    }

    /// How urgent a resource's reconcile is.
    #[must_use]
    pub fn urgency_of(&self, resource: &ResourceName) -> Urgency {
        self.find(resource).map_or(Urgency::NotSubmitted, |found| found.urgency())
    }
}
