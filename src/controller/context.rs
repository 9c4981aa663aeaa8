//! The parts of the process that all reconciles share.

use super::clock::Clock;
use super::cluster::Cluster;
use super::default_webhook::DefaultWebhook;
use super::error::Error;
use super::gates::GateRegistry;
use super::queue::Urgency;
use super::record;
use super::resources::claims::Claimant;
use super::resources::{ResourceRegistry, name_of};
use super::sessions::{Sessions, Source};
use super::snapshot::Snapshots;
use super::watched::Watched;
use crate::delivery::OutboxSender;
use crate::metrics::Metrics;
use kube::Resource;
use parking_lot::Mutex;
use rollout::admission::ResourceName;
use rollout::{Now, Settings};
use std::collections::HashSet;
use std::sync::Arc;

/// The parts of the process that all reconciles share.
pub struct Context {
    /// The Kubernetes cluster.
    pub cluster: Cluster,
    /// The deployment APIs, and the receivers of messages.
    pub platforms: Platforms,
    /// Snapshots in ConfigMaps.
    pub snapshots: Snapshots,
    /// The state that this process keeps about each resource.
    pub resources: Arc<ResourceRegistry>,
    /// The gates of rollouts.
    pub gates: GateRegistry,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// The settings and the clock.
    pub process: ProcessSettings,
}

/// The deployment APIs, and the receivers of messages.
pub struct Platforms {
    /// Clients for the credentials in use.
    pub sessions: Sessions,
    /// Sends the messages in the outbox.
    pub outbox: OutboxSender,
    /// The operator's own webhook.
    pub default_webhook: Option<DefaultWebhook>,
}

/// The settings of a process, its clock and its random numbers.
pub struct ProcessSettings {
    /// The settings that decisions depend on.
    pub settings: Settings,
    clock: Arc<dyn Clock>,
    jitter: Mutex<fastrand::Rng>,
}

impl ProcessSettings {
    /// The seed decides all jitter, so that a simulation can repeat a run.
    #[must_use]
    pub fn new(settings: Settings, clock: Arc<dyn Clock>, seed: u64) -> Self {
        Self { settings, clock, jitter: Mutex::new(fastrand::Rng::with_seed(seed)) }
    }
}

impl Context {
    /// The current time.
    #[must_use]
    pub fn now(&self) -> Now {
        self.process.clock.now()
    }

    /// How urgent a resource's reconcile is.
    #[must_use]
    pub fn urgency_of(&self, resource: &ResourceName) -> Urgency {
        let watched = self.cluster.find(resource);
        let object = watched.as_ref().and_then(|watched| watched.whole());
        match self.gates.has_urgent_decision(resource, object.map(AsRef::as_ref)) {
            true => Urgency::InFlight,
            false => self.cluster.urgency_of(resource),
        }
    }

    /// A random number from 0 to 1.
    #[must_use]
    pub fn draw(&self) -> f64 {
        self.process.jitter.lock().f64()
    }

    /// A random seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.process.jitter.lock().u64(..)
    }

    /// Whether a resource at rest reports what its environment runs, although another resource now owns the environment.
    #[must_use]
    pub fn is_replaced(&self, watched: &Watched, uid: &str) -> bool {
        watched.rests_and_says_what_runs() && self.resources.other_owner(uid).is_some()
    }

    /// Asks the API server whether a resource is gone, and forgets it if so. A list or a watch may come from an old
    /// cache. Returns whether it is gone.
    ///
    /// # Errors
    /// The API server failed.
    pub async fn forget_if_gone(&self, claimant: &Claimant) -> Result<bool, Error> {
        let uid = record::uid_of(self, &claimant.resource).await?;
        let is_gone = uid.as_deref() != Some(&*claimant.uid);
        if is_gone {
            tracing::info!(
                namespace = &*claimant.resource.namespace,
                resource = &*claimant.resource.name,
                "the resource is gone, and its environment is free"
            );
            self.resources.forget(&claimant.uid, self.now().uptime);
        }
        Ok(is_gone)
    }

    /// Forgets resources that no longer exist. A resource with a claim is forgotten only if the API server confirms
    /// that it is gone.
    pub async fn forget_gone(&self) {
        let present = self.cluster.resources();
        let uids: HashSet<&str> = present.iter().filter_map(|watched| watched.meta().uid.as_deref()).collect();
        for (uid, claimant) in self.resources.missing(|uid| uids.contains(uid)) {
            let Some(claimant) = claimant else {
                self.resources.forget(&uid, self.now().uptime);
                continue;
            };
            if let Err(error) = self.forget_if_gone(&claimant).await {
                tracing::debug!(%error, "the API server could not be asked whether a resource is gone; asking again later");
            }
        }
        let names: HashSet<ResourceName> = present.iter().map(|watched| name_of(watched.as_ref())).collect();
        self.gates.retain_waiting(|name| names.contains(name));
        let sources: HashSet<Source> = present.iter().filter_map(|watched| watched.source()).collect();
        self.platforms.sessions.retain(|source| sources.contains(source));
        self.resources.forget_idle_clients();
    }
}
