//! The deployments in `spec.requires`, read from the API server. [`rollout::gates::upstream`] evaluates them.

use super::super::context::Context;
use super::super::error::{Error, call};
use super::super::received::{Metadata, get};
use super::super::reconcile::ReconcileRun;
use super::super::resources::name_of;
use super::super::watched::Watched;
use super::GateRegistry;
use super::upstream_index::{Change, UpstreamIndex, Waiter};
use api::spec::{ObjectName, Requirement};
use api::status::ClosedGate;
use api::{CognigyDeployment, CognigyDeploymentStatus, Digest, Reason};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::watcher::Event;
use parking_lot::Mutex;
use rollout::admission::ResourceName;
use rollout::gates::upstream::{Upstream, UpstreamObservation, UpstreamState, closed_gate, evaluate};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;

/// How many deployments are read at the same time. Each answer may have more than 1 MiB, because it contains a snapshot.
const READS_AT_ONCE: usize = 16;

/// What this process knows about required deployments.
pub(super) struct Upstreams {
    index: Mutex<UpstreamIndex>,
    /// The namespaces that are watched. `None` in it: all of them.
    watched: OnceLock<Option<BTreeSet<String>>>,
    reads: Semaphore,
}

impl Default for Upstreams {
    fn default() -> Self {
        Self { index: Mutex::default(), watched: OnceLock::new(), reads: Semaphore::new(READS_AT_ONCE) }
    }
}

/// A required deployment, as the API server sends it. The snapshot is skipped and never kept.
#[derive(Deserialize)]
struct ReceivedUpstream {
    metadata: Metadata,
    #[serde(default)]
    spec: Consent,
    #[serde(default)]
    status: Option<Box<RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Consent {
    allowed_downstream_namespaces: Vec<String>,
}

impl ReceivedUpstream {
    fn evaluate(self, requirement: &Requirement, waiter: &Waiter, context: &Context) -> UpstreamState {
        let status = self.status.map_or_else(
            || Ok(CognigyDeploymentStatus::default()),
            |status| serde_json::from_str::<CognigyDeploymentStatus>(status.get()),
        );
        let upstream = Upstream {
            allowed_downstream_namespaces: &self.spec.allowed_downstream_namespaces,
            generation: ObjectMeta::from(self.metadata).generation.unwrap_or_default(),
            status: status.as_ref().ok(),
        };
        evaluate(requirement, waiter.downstream(), UpstreamObservation::Found(upstream), context.now().wall)
    }
}

impl ReconcileRun<'_> {
    /// The gate of the deployments in `spec.requires`, if it is closed. An error of the API server never opens it.
    pub(super) async fn closed_upstream(&self) -> Result<Option<ClosedGate>, Error> {
        let context = self.context;
        let object = Arc::clone(&self.observed.object);
        let Some(waiter) = self.waiter() else { return Ok(Some(unknown_release())) };
        let requirements: Vec<(ResourceName, &Requirement)> =
            object.spec.requires.iter().map(|requirement| (waiter.upstream(requirement), requirement)).collect();
        context.gates.upstreams.index.lock().wait(&waiter, &requirements);
        let mut states = Vec::new();
        for (upstream, requirement) in &requirements {
            states.push(context.upstream_state(&waiter, upstream, requirement).await?);
        }
        context.find_requirement_cycle(&waiter.resource, &requirements, &mut states);
        let gate = closed_gate(&states);
        let mut index = context.gates.upstreams.index.lock();
        match gate {
            Some(_) => {
                for (position, ((upstream, _), state)) in requirements.iter().zip(states).enumerate() {
                    index.note(&waiter.resource, upstream, position, state);
                }
            }
            None => index.forget(&waiter.resource),
        }
        Ok(gate)
    }

    /// The resource of this reconcile, and the release of its attempt.
    fn waiter(&self) -> Option<Arc<Waiter>> {
        let attempt = self.status.attempt.as_ref()?;
        let of_target = || self.observed.desired.as_ref().ok().map(|desired| desired.target.release.clone());
        let release: Digest = attempt.release.clone().or_else(of_target)?;
        let resource = name_of(self.observed.object.as_ref());
        Some(Arc::new(Waiter { resource, release, version: attempt.version.clone() }))
    }
}

impl Waiter {
    fn upstream(&self, requirement: &Requirement) -> ResourceName {
        let namespace = requirement.namespace_from(&self.resource.namespace);
        ResourceName { namespace: namespace.into(), name: requirement.name.as_str().into() }
    }
}

impl Context {
    /// Reads and evaluates one required deployment.
    async fn upstream_state(
        &self,
        waiter: &Waiter,
        upstream: &ResourceName,
        requirement: &Requirement,
    ) -> Result<UpstreamState, Error> {
        if *upstream == waiter.resource {
            let ResourceName { namespace, name } = upstream;
            return Ok(UpstreamState::Cycle(format!(
                "spec.requires names this CognigyDeployment itself ({namespace}/{name}); remove the entry"
            )));
        }
        let not_found = |is_watched| {
            let observation = UpstreamObservation::NotFound { is_watched };
            evaluate(requirement, waiter.downstream(), observation, self.now().wall)
        };
        if !self.gates.watches(&upstream.namespace) {
            return Ok(not_found(false));
        }
        // A stored object may be older than the rules for names.
        let (Some(namespace), Some(name)) = (ObjectName::of(&upstream.namespace), ObjectName::of(&upstream.name))
        else {
            return Ok(not_found(true));
        };
        // The semaphore is never closed.
        let _permit = self.gates.upstreams.reads.acquire().await;
        let read = get::<CognigyDeployment, ReceivedUpstream>(&self.cluster.client, namespace.as_str(), name);
        match call("read a CognigyDeployment in spec.requires", read).await? {
            Some(received) => Ok(received.evaluate(requirement, waiter, self)),
            None => Ok(not_found(true)),
        }
    }

    /// Looks for a cycle among the deployments that are not ready, and replaces the state of the one that is in it.
    fn find_requirement_cycle(
        &self,
        resource: &ResourceName,
        requirements: &[(ResourceName, &Requirement)],
        states: &mut [UpstreamState],
    ) {
        let waits = |state: &UpstreamState| matches!(state, UpstreamState::Waiting { .. });
        let waiting = requirements.iter().zip(states.iter()).filter(|(_, state)| waits(state));
        let first: Vec<ResourceName> = waiting.map(|((upstream, _), _)| upstream.clone()).collect();
        if first.is_empty() {
            return;
        }
        let Some(cycle) = self.requirement_cycle(resource, &first) else { return };
        let direct: Vec<&ResourceName> = requirements.iter().map(|(upstream, _)| upstream).collect();
        let message = cycle_message(&cycle, resource, &direct);
        let in_cycle = requirements.iter().position(|(upstream, _)| Some(upstream) == cycle.get(1));
        if let Some(state) = in_cycle.and_then(|position| states.get_mut(position)) {
            *state = UpstreamState::Cycle(message);
        }
    }

    /// Requeues the resources that wait for a deployment, if its change makes a difference for them.
    pub(in crate::controller) fn requeue_downstream(&self, event: &Event<Watched>) {
        let (watched, change) = match event {
            Event::Apply(watched) | Event::InitApply(watched) => {
                (watched, watched.whole().map_or(Change::Unreadable, |object| Change::Written(object)))
            }
            Event::Delete(watched) => (watched, Change::Deleted),
            Event::Init | Event::InitDone => return,
        };
        let name = name_of(watched);
        let mut index = self.gates.upstreams.index.lock();
        if matches!(change, Change::Deleted) {
            index.forget(&name);
        }
        let requeued = index.observe(&name, &change, self.now().wall);
        drop(index);
        self.resources.requeue(requeued);
    }
}

impl GateRegistry {
    /// Sets the namespaces that are watched, once. `None`: all of them.
    pub(in crate::controller) fn set_watched_namespaces(&self, namespaces: &[Option<&str>]) {
        let all: Option<BTreeSet<String>> = namespaces.iter().map(|namespace| namespace.map(str::to_owned)).collect();
        // A second call would change nothing: each process watches once.
        let _ = self.upstreams.watched.set(all);
    }

    fn watches(&self, namespace: &str) -> bool {
        self.upstreams.watched.get().is_none_or(|watched| watched.as_ref().is_none_or(|all| all.contains(namespace)))
    }

    /// Notes that a resource does not wait for other deployments any more.
    pub(super) fn forget_waiting(&self, resource: &ResourceName) {
        self.upstreams.index.lock().forget(resource);
    }

    /// Drops what is kept about waiting resources that no longer exist.
    pub(in crate::controller) fn retain_waiting(&self, exists: impl Fn(&ResourceName) -> bool) {
        self.upstreams.index.lock().retain(exists);
    }
}

/// Describes a cycle for the readers of `resource`. They may not read other namespaces, so it names only deployments in their own
/// namespace and those that `resource` requires itself.
fn cycle_message(cycle: &[ResourceName], resource: &ResourceName, direct: &[&ResourceName]) -> String {
    let mut names: Vec<String> = Vec::new();
    for member in cycle {
        let is_visible = member.namespace == resource.namespace || direct.contains(&member);
        let ResourceName { namespace, name } = member;
        names.push(match is_visible {
            true => format!("{namespace}/{name}"),
            false => "a CognigyDeployment in another namespace".to_owned(),
        });
    }
    format!(
        "CognigyDeployments require each other, so none of them can start: {}; remove one of these entries from spec.requires",
        names.join(" → ")
    )
}

/// Without its configuration, a rollout is not submitted. The gate stays closed as well.
fn unknown_release() -> ClosedGate {
    let message = "the release of this attempt is not known, because its configuration cannot be read".to_owned();
    ClosedGate { reason: Reason::AwaitingUpstream, message, opens_at: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(namespace: &str, name: &str) -> ResourceName {
        ResourceName { namespace: namespace.into(), name: name.into() }
    }

    #[test]
    fn a_cycle_names_only_deployments_in_the_own_namespace_and_those_that_are_required_directly() {
        let (own, direct) = (named("bots", "production"), named("shared", "staging"));
        let cycle = [
            own.clone(),
            direct.clone(),
            named("secret", "bank"),
            named("shared", "hidden"),
            named("bots", "test"),
            own.clone(),
        ];
        let message = cycle_message(&cycle, &own, &[&direct]);
        let other = "a CognigyDeployment in another namespace";
        let names = format!("bots/production → shared/staging → {other} → {other} → bots/test → bots/production; ");
        assert!(message.contains(&names), "{message}");
        assert!(!message.contains("secret") && !message.contains("hidden"), "{message}");
    }
}
