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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn named(name: &str) -> ResourceName {
        ResourceName { namespace: "bots".into(), name: name.into() }
    }

    fn digest(version: &str) -> Digest {
        serde_json::from_value(json!(format!("v1:{version}"))).unwrap()
    }

    fn requirement() -> Requirement {
        serde_json::from_value(json!({"name": "staging"})).unwrap()
    }

    fn waiter(name: &str, release: &str) -> Arc<Waiter> {
        Arc::new(Waiter { resource: named(name), release: digest(release), version: None })
    }

    fn now() -> Timestamp {
        "2026-01-01T12:00:00Z".parse().unwrap()
    }

    /// A deployment that has ended its attempt with this release.
    fn staging(release: &str, outcome: &str, generation: i64) -> CognigyDeployment {
        let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T11:00:00Z", "reason": "HealthGood"});
        let attempt: Value = json!({
            "number": 1, "digest": "v1:x", "release": digest(release), "generation": 1, "step": "Settled",
            "startedAt": "2026-01-01T11:00:00Z", "checks": {"digest": "v1:y"}, "job": {"id": "job_1"},
            "verdict": {"outcome": outcome, "reason": "Succeeded", "at": "2026-01-01T11:00:00Z"},
        });
        serde_json::from_value(json!({
            "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "CognigyDeployment",
            "metadata": {"name": "staging", "namespace": "bots", "generation": generation},
            "spec": {"environmentId": "env", "configurationSnapshot": {"botVersion": "1"}},
            "status": {
                "observedGeneration": generation, "attempt": attempt, "conditions": [condition("Healthy")],
                "running": {"configuration": release, "since": "2026-01-01T11:00:00Z", "attempt": 1},
            },
        }))
        .unwrap()
    }

    impl UpstreamIndex {
        fn waits_for_staging(&mut self, name: &str, release: &str) {
            self.wait(&waiter(name, release), &[(named("staging"), &requirement())]);
        }

        fn sees(&mut self, object: &CognigyDeployment) -> Vec<String> {
            let requeued = self.observe(&named("staging"), &Change::Written(object), now());
            requeued.iter().map(|resource| resource.name.to_string()).collect()
        }

        fn is_empty(&self) -> bool {
            self.entries == 0 && self.waiting.is_empty() && self.upstreams.is_empty()
        }
    }

    #[test]
    fn a_change_requeues_only_those_for_which_it_makes_a_difference() {
        let mut index = UpstreamIndex::default();
        index.waits_for_staging("new", "2");
        (0..1000).for_each(|number| index.waits_for_staging(&format!("old-{number}"), "1"));
        assert_eq!(index.sees(&staging("1", "Succeeded", 1)).len(), 1001, "they are being evaluated");
        assert_eq!(
            index.sees(&staging("1", "Succeeded", 2)),
            [] as [String; 0],
            "another version with the same result"
        );
        assert_eq!(index.sees(&staging("2", "Succeeded", 2)).len(), 1001);
        assert_eq!(index.sees(&staging("2", "RolledBack", 2)), ["new"]);
        assert_eq!(index.observe(&named("other"), &Change::Deleted, now()), []);
    }

    #[test]
    fn a_change_during_the_evaluation_is_not_missed() {
        let mut index = UpstreamIndex::default();
        index.waits_for_staging("production", "1");
        let ready = staging("1", "Succeeded", 1);
        index.note(&named("production"), &named("staging"), 0, UpstreamState::Satisfied);
        assert_eq!(index.sees(&ready), [] as [String; 0], "the read has already shown it");
        index.waits_for_staging("production", "1");
        assert_eq!(index.sees(&ready), ["production"]);
    }

    #[test]
    fn a_deployment_that_is_deleted_or_cannot_be_read_requeues_those_that_wait_for_it() {
        let mut index = UpstreamIndex::default();
        index.waits_for_staging("production", "1");
        index.sees(&staging("1", "Succeeded", 1));
        for change in [Change::Deleted, Change::Unreadable] {
            assert_eq!(index.observe(&named("staging"), &change, now()), [named("production")]);
        }
    }

    #[test]
    fn nothing_is_left_of_a_resource_that_is_forgotten_or_gone() {
        let mut index = UpstreamIndex::default();
        let with_namespace = Requirement { namespace: Some("bots".to_owned()), ..requirement() };
        let both = [(named("staging"), &requirement()), (named("staging"), &with_namespace)];
        index.wait(&waiter("production", "1"), &both);
        index.wait(&waiter("production", "2"), &both);
        assert_eq!(index.entries, 2, "the entries of the earlier release were replaced");
        index.forget(&named("production"));
        assert!(index.is_empty());
        index.waits_for_staging("gone", "1");
        index.waits_for_staging("production", "1");
        index.retain(|resource| *resource == named("production"));
        assert_eq!(index.sees(&staging("1", "Succeeded", 1)), ["production"]);
        index.retain(|_| false);
        assert!(index.is_empty());
    }

    #[test]
    fn the_number_of_entries_is_limited() {
        let mut index = UpstreamIndex::default();
        let many: Vec<(ResourceName, Requirement)> =
            (0..32).map(|number| (named(&format!("staging-{number}")), requirement())).collect();
        let many: Vec<(ResourceName, &Requirement)> =
            many.iter().map(|(upstream, requirement)| (upstream.clone(), requirement)).collect();
        (0..=MAX_ENTRIES / 32).for_each(|number| index.wait(&waiter(&format!("bot-{number}"), "1"), &many));
        assert_eq!(index.entries, MAX_ENTRIES);
        index.retain(|_| false);
        assert!(index.is_empty());
    }
}
