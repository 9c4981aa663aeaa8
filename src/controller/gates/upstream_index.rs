//! Which resources wait for which deployments, so that a change of a deployment requeues only those for which it makes a
//! difference.

use api::spec::Requirement;
use api::{CognigyDeployment, CognigyDeploymentStatus, Digest};
use jiff::Timestamp;
use rollout::admission::ResourceName;
use rollout::gates::upstream::{Downstream, Upstream, UpstreamObservation, UpstreamState, evaluate};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How many entries are kept. The gate of a resource without an entry is evaluated every few minutes only.
const MAX_ENTRIES: usize = 65_536;

/// A resource that waits at its gates, and the release that it deploys.
#[derive(Clone, Debug)]
pub(super) struct Waiter {
    pub(super) resource: ResourceName,
    pub(super) release: Digest,
    pub(super) version: Option<String>,
}

impl Waiter {
    pub(super) fn downstream(&self) -> Downstream<'_> {
        Downstream { namespace: &self.resource.namespace, release: &self.release, version: self.version.as_deref() }
    }
}

/// One deployment that a resource waits for.
#[derive(Debug)]
struct Awaited {
    waiter: Arc<Waiter>,
    requirement: Requirement,
    /// The result of the last evaluation. `None` while it is being evaluated.
    state: Option<UpstreamState>,
}

/// A change of a deployment, as the watch shows it.
pub(super) enum Change<'a> {
    /// It was created or written.
    Written(&'a CognigyDeployment),
    /// It was written, and this version of the operator cannot read it.
    Unreadable,
    /// It was deleted.
    Deleted,
}

/// The waiting resource, and the position in its `spec.requires`.
type Key = (ResourceName, usize);

/// The resources that wait for other deployments.
#[derive(Debug, Default)]
pub(super) struct UpstreamIndex {
    /// By the deployment that they wait for.
    waiting: HashMap<ResourceName, BTreeMap<Key, Awaited>>,
    /// The same entries, by the resource that waits.
    upstreams: HashMap<ResourceName, Vec<(ResourceName, usize)>>,
    entries: usize,
}

impl UpstreamIndex {
    /// Notes what a resource waits for, before the deployments are read. So no change between the read and the next step is
    /// missed.
    pub(super) fn wait(&mut self, waiter: &Arc<Waiter>, requirements: &[(ResourceName, &Requirement)]) {
        self.forget(&waiter.resource);
        for (position, (upstream, requirement)) in requirements.iter().enumerate() {
            if self.entries >= MAX_ENTRIES {
                return;
            }
            let awaited = Awaited { waiter: Arc::clone(waiter), requirement: (*requirement).clone(), state: None };
            self.insert(upstream, position, awaited);
        }
    }

    /// Notes the result of an evaluation.
    pub(super) fn note(
        &mut self,
        waiter: &ResourceName,
        upstream: &ResourceName,
        position: usize,
        state: UpstreamState,
    ) {
        let entry = self.waiting.get_mut(upstream).and_then(|of| of.get_mut(&(waiter.clone(), position)));
        if let Some(awaited) = entry {
            awaited.state = Some(state);
        }
    }

    /// Drops the entries of a resource, because it does not wait any more.
    pub(super) fn forget(&mut self, waiter: &ResourceName) {
        for (upstream, position) in self.upstreams.remove(waiter).unwrap_or_default() {
            let Some(of) = self.waiting.get_mut(&upstream) else { continue };
            self.entries -= usize::from(of.remove(&(waiter.clone(), position)).is_some());
            if of.is_empty() {
                self.waiting.remove(&upstream);
            }
        }
    }

    /// Drops the entries of resources that no longer exist.
    pub(super) fn retain(&mut self, exists: impl Fn(&ResourceName) -> bool) {
        let gone: Vec<ResourceName> = self.upstreams.keys().filter(|waiter| !exists(waiter)).cloned().collect();
        gone.iter().for_each(|waiter| self.forget(waiter));
    }

    /// Handles a change of a deployment. Returns the resources for which it makes a difference.
    pub(super) fn observe(
        &mut self,
        upstream: &ResourceName,
        change: &Change<'_>,
        now: Timestamp,
    ) -> Vec<ResourceName> {
        let Some(waiting) = self.waiting.get_mut(upstream) else { return Vec::new() };
        let default = CognigyDeploymentStatus::default();
        let observation = match change {
            Change::Written(object) => Some(UpstreamObservation::Found(Upstream {
                allowed_downstream_namespaces: &object.spec.allowed_downstream_namespaces,
                generation: object.metadata.generation.unwrap_or_default(),
                status: Some(object.status.as_ref().unwrap_or(&default)),
            })),
            Change::Deleted => Some(UpstreamObservation::NotFound { is_watched: true }),
            Change::Unreadable => None,
        };
        let mut requeued = Vec::new();
        for awaited in waiting.values_mut() {
            let evaluate = |it| evaluate(&awaited.requirement, awaited.waiter.downstream(), it, now);
            let state = observation.map(evaluate);
            if state.is_none() || awaited.state != state {
                awaited.state = state;
                requeued.push(awaited.waiter.resource.clone());
            }
        }
        requeued
    }

    fn insert(&mut self, upstream: &ResourceName, position: usize, awaited: Awaited) {
        let waiter = awaited.waiter.resource.clone();
        self.upstreams.entry(waiter.clone()).or_default().push((upstream.clone(), position));
        self.waiting.entry(upstream.clone()).or_default().insert((waiter, position), awaited);
        self.entries += 1;
    }
}
