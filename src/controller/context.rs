//! What every reconcile of a process has at hand.

use super::announce::Announcer;
use super::clock::Clock;
use super::default_webhook::DefaultWebhook;
use super::error::Error;
use super::fleet::{Fleet, name_of};
use super::leadership::Leadership;
use super::ownership::{Claim, Claimant, Claims};
use super::remembered::Memories;
use super::sessions::{Sessions, Source};
use super::snapshot::Snapshots;
use super::watched::Watched;
use super::withdrawal::Withdrawals;
use crate::delivery::Courier;
use crate::rollout::admission::ResourceName;
use crate::rollout::{Now, Settings};
use crate::server::metrics::Metrics;
use jiff::Timestamp;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::broadcast;

/// What every reconcile of a process has at hand.
pub struct Context {
    /// The API server.
    pub kubernetes: kube::Client,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The operator's settings, as far as decisions depend on them.
    pub settings: Settings,
    /// Clients for the credentials in use.
    pub sessions: Sessions,
    /// Snapshots in ConfigMaps.
    pub snapshots: Snapshots,
    /// Who owns which environment.
    pub claims: Claims,
    /// Whose turn it is to begin, and how closely what is in flight is looked at.
    pub fleet: Fleet,
    /// What is remembered of each resource.
    pub memories: Memories,
    /// Events.
    pub announcer: Announcer,
    /// Deliveries.
    pub courier: Courier,
    /// Who is told by webhook if a resource names nobody, and of which resources.
    pub default_webhook: Option<DefaultWebhook>,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Spreads the tries of a fleet; seeded, so that a simulation can repeat itself.
    pub jitter: Mutex<fastrand::Rng>,
    /// The resources as watched, one store for each namespace that is watched.
    pub stores: OnceLock<Vec<Store<Watched>>>,
    /// Whether this process may act.
    pub leadership: Leadership,
    /// Resources that are worth a reconcile, because another one has let go of what they wait for.
    pub woken: broadcast::Sender<ObjectRef<Watched>>,
    /// Takes back what a running reconcile waits to ask, once its resource has changed.
    pub withdrawals: Withdrawals,
    /// Whether the claims were rebuilt from the first complete list.
    pub claims_rebuilt: tokio::sync::OnceCell<()>,
}

impl Context {
    /// The moment.
    #[must_use]
    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// Stops here unless this process leads.
    ///
    /// # Errors
    /// [`Error::NotLeading`].
    pub fn must_lead(&self) -> Result<(), Error> {
        if self.leadership.may_act() { Ok(()) } else { Err(Error::NotLeading) }
    }

    /// A number between 0 and 1.
    #[must_use]
    pub fn draw(&self) -> f64 {
        self.jitter.lock().unwrap_or_else(PoisonError::into_inner).f64()
    }

    /// Waits for the first complete list, and rebuilds the claims from it: an environment whose owner was not seen yet
    /// must not be taken by another resource.
    ///
    /// # Errors
    /// [`Error::NotReady`], where a watch ended before its first list was complete.
    pub async fn ready(&self) -> Result<(), Error> {
        self.claims_rebuilt.get_or_try_init(|| self.rebuild_claims()).await.map(|_| ())
    }

    async fn rebuild_claims(&self) -> Result<(), Error> {
        let stores = self.stores.get().ok_or(Error::NotReady)?;
        for store in stores {
            store.wait_until_ready().await.map_err(|_| Error::NotReady)?;
        }
        for watched in stores.iter().flat_map(Store::state) {
            if let Some((place, claimant)) = watched.recorded_claim() {
                self.claims.note(&place, claimant);
            }
        }
        Ok(())
    }

    /// What is kept of a resource that the watch tells of.
    #[must_use]
    pub fn keep(&self, received: Watched) -> Watched {
        received.pruned(&self.settings, self.now())
    }

    /// Whether a resource that the watch tells of is worth a reconcile: there may be something to do for it, or to forget
    /// of it. At a start, what is at rest is not so much as looked at; and what a reconcile wrote, it went on with.
    #[must_use]
    pub fn must_look_at(&self, watched: &Watched) -> bool {
        match watched {
            Watched::Whole(object) => !self.memories.have_written(&object.metadata),
            Watched::AtRest(_) => watched.meta().uid.as_deref().is_some_and(|uid| self.memories.know(uid)),
            Watched::Unreadable(_) => true,
        }
    }

    /// Nothing is to be done for a resource, so nothing need be remembered of it. One that cannot be read may have a
    /// rollout in flight: its claim stays as it is.
    pub fn let_rest(&self, watched: &Watched, uid: &str) {
        if watched.is_at_rest() {
            self.claims.renew(uid, false);
            self.rouse(self.fleet.leave(&name_of(watched), self.now().uptime));
        }
        self.memories.forget(uid);
    }

    /// Has the resources of these claimants reconciled.
    pub fn wake(&self, claimants: Vec<Claimant>) {
        claimants.iter().for_each(|claimant| self.call_for(&claimant.namespace, &claimant.name));
    }

    /// Has these resources reconciled.
    pub fn rouse(&self, names: Vec<ResourceName>) {
        names.iter().for_each(|who| self.call_for(&who.namespace, &who.name));
    }

    fn call_for(&self, namespace: &str, name: &str) {
        // Where nobody listens, nothing is watched, and so nothing waits. Who does not hear of it asks by itself later.
        let _ = self.woken.send(ObjectRef::new(name).within(namespace));
    }

    /// Forgets what is remembered of resources that are no longer there.
    pub fn forget_the_gone(&self) {
        let Some(stores) = self.stores.get() else { return };
        let present: Vec<_> = stores.iter().flat_map(Store::state).collect();
        let uids: HashSet<&str> = present.iter().filter_map(|object| object.meta().uid.as_deref()).collect();
        let names: HashSet<ResourceName> = present.iter().map(|watched| name_of(watched.as_ref())).collect();
        let sources: HashSet<Source> = present.iter().filter_map(|object| object.source()).collect();
        self.memories.retain(|uid| uids.contains(uid));
        self.claims.retain(|uid| uids.contains(uid));
        self.rouse(self.fleet.retain(|name| names.contains(name), self.now().uptime));
        self.sessions.retain(|source| sources.contains(source));
    }
}

/// A resource as a claimant of its environment.
#[must_use]
pub fn claimant(object: &impl ResourceExt, claim: Claim) -> Option<Claimant> {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let created_at = object.creation_timestamp().map_or(Timestamp::MAX, |time| time.0);
    Some(Claimant { uid: object.meta().uid.as_deref()?.into(), namespace, name, created_at, claim })
}
