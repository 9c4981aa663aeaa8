//! What every reconcile of a process has at hand.

use super::announce::Announcer;
use super::claiming::in_use_by;
use super::clock::Clock;
use super::default_webhook::DefaultWebhook;
use super::error::Error;
use super::fleet::{Fleet, name_of};
use super::leadership::Leadership;
use super::ownership::{Certainty, Claimant, Claims};
use super::queue::Urgency;
use super::record;
use super::remembered::Memories;
use super::sessions::{Sessions, Source};
use super::snapshot::Snapshots;
use super::watched::Watched;
use super::withdrawal::Withdrawals;
use crate::delivery::Courier;
use crate::server::metrics::Metrics;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use rollout::admission::ResourceName;
use rollout::{Now, Settings};
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
    pub woken: broadcast::Sender<ResourceName>,
    /// Takes back what a running reconcile waits to ask, once its resource has changed.
    pub withdrawals: Withdrawals,
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

    /// Waits for the first complete list, from which every claim is noted: an environment whose owner was not seen yet must
    /// not be taken by another resource.
    ///
    /// # Errors
    /// [`Error::NotReady`], where a watch ended before its first list was complete.
    pub async fn ready(&self) -> Result<(), Error> {
        let stores = self.stores.get().ok_or(Error::NotReady)?;
        for store in stores {
            store.wait_until_ready().await.map_err(|_| Error::NotReady)?;
        }
        Ok(())
    }

    /// Lets a resource that the watch tells of share its snapshot with what is known of it, if it is the same text: a resource
    /// in flight is told of with each write of its status.
    pub fn share_snapshot(&self, received: &mut Watched) {
        if let Some(known) = self.find(&name_of(received)) {
            received.share_snapshot(&known);
        }
    }

    /// A resource as the watches have shown it last.
    #[must_use]
    pub fn find(&self, who: &ResourceName) -> Option<Arc<Watched>> {
        let name = ObjectRef::new(&who.name).within(&who.namespace);
        self.stores.get()?.iter().find_map(|store| store.get(&name))
    }

    /// What is kept of a resource that the watch tells of; its claim is noted.
    #[must_use]
    pub fn keep(&self, received: Watched) -> Watched {
        let claim = received.recorded_claim();
        let other_owner = received.meta().uid.as_deref().and_then(|uid| self.other_owner(&received, uid));
        let kept = received.pruned(&self.settings, other_owner, self.now());
        if let Some((place, claimant)) = claim {
            let certainty = if kept.whole().is_some() { Certainty::Provisional } else { Certainty::Final };
            self.rouse(self.claims.note(&place, claimant, certainty));
        }
        kept
    }

    fn other_owner(&self, watched: &Watched, uid: &str) -> Option<String> {
        let object = watched.whole()?;
        let owner = self.claims.owner_over(uid)?;
        Some(in_use_by(&object.spec.environment_id, &owner.who, &object.namespace().unwrap_or_default()))
    }

    /// A resource is gone, as far as the watch shows. Its claim stays until somebody who wants its environment has asked the
    /// API server: a list from an old cache may lack what is there.
    pub fn may_be_gone(&self, watched: &Watched) {
        if let Some(uid) = watched.meta().uid.as_deref() {
            self.rouse(self.claims.rivals(uid));
        }
    }

    /// Whether a resource says that it runs in an environment that another one owns.
    #[must_use]
    pub fn is_deployed_over(&self, watched: &Watched, uid: &str) -> bool {
        watched.rests_ready() && self.claims.owner_over(uid).is_some()
    }

    /// Drops the claim of a resource that is gone, and tells those who want its environment. Only the API server knows: it
    /// is asked for the resource by its name.
    ///
    /// # Errors
    /// The API server failed.
    pub async fn drop_if_gone(&self, claimant: &Claimant) -> Result<bool, Error> {
        let uid = record::uid_of(self, &claimant.who).await?;
        let is_gone = uid.as_deref() != Some(&*claimant.uid);
        if is_gone {
            tracing::info!(
                namespace = &*claimant.who.namespace,
                resource = &*claimant.who.name,
                "the resource is gone, and its environment is free"
            );
            self.rouse(self.claims.release(&claimant.uid));
        }
        Ok(is_gone)
    }

    /// How urgent a resource's reconcile is.
    #[must_use]
    pub fn urgency_of(&self, who: &ResourceName) -> Urgency {
        self.find(who).map_or(Urgency::NotSubmitted, |found| found.urgency())
    }

    /// Whether the stores show this resource.
    #[must_use]
    pub fn shows(&self, claimant: &Claimant) -> bool {
        self.find(&claimant.who).is_some_and(|shown| shown.meta().uid.as_deref() == Some(&*claimant.uid))
    }

    /// Whether a resource that the watch tells of is worth a reconcile: there may be something to do for it, or to forget
    /// of it. At a start, what is at rest is not so much as looked at; and what a reconcile wrote, it went on with.
    #[must_use]
    pub fn must_look_at(&self, watched: &Watched) -> bool {
        match watched {
            Watched::Whole(object) => !self.memories.have_written(&object.metadata),
            Watched::AtRest(_) => {
                let uid = watched.meta().uid.as_deref();
                uid.is_some_and(|uid| self.memories.know(uid) || self.is_deployed_over(watched, uid))
            }
            Watched::Unreadable(_) => true,
        }
    }

    /// Nothing is to be done for a resource, so nothing need be remembered of it.
    pub fn let_rest(&self, watched: &Watched, uid: &str) {
        if watched.is_at_rest() {
            self.rouse(self.fleet.leave(&name_of(watched), self.now().uptime));
        }
        self.memories.forget(uid);
    }

    /// Has these resources reconciled.
    pub fn rouse(&self, names: Vec<ResourceName>) {
        for who in names {
            // A failed send is harmless: if nobody listens, nothing is watched, and so nothing waits.
            let _ = self.woken.send(who);
        }
    }

    /// Forgets what is remembered of resources that are no longer there.
    pub async fn forget_the_gone(&self) {
        let Some(stores) = self.stores.get() else { return };
        let present: Vec<_> = stores.iter().flat_map(Store::state).collect();
        let uids: HashSet<&str> = present.iter().filter_map(|object| object.meta().uid.as_deref()).collect();
        let names: HashSet<ResourceName> = present.iter().map(|watched| name_of(watched.as_ref())).collect();
        let sources: HashSet<Source> = present.iter().filter_map(|object| object.source()).collect();
        self.memories.retain(|uid| uids.contains(uid));
        let missing = self.claims.missing(|uid| uids.contains(uid));
        self.rouse(self.fleet.retain(|name| names.contains(name), self.now().uptime));
        self.sessions.retain(|source| sources.contains(source));
        for claimant in missing {
            if let Err(error) = self.drop_if_gone(&claimant).await {
                tracing::debug!(%error, "whether a resource is gone could not be found out, and is asked again later");
            }
        }
    }
}
