//! The gates of rollouts: decisions of people, change windows and other deployments, as the cluster shows them.
//!
//! This folder only observes. [`rollout::gates`] evaluates.

mod decisions;
mod evaluations;
mod observe;
mod policy;
mod prune;
mod relations;
mod report;
#[cfg(test)]
mod tests;
mod upstream;
mod upstream_index;
mod watched_object;
mod window_gate;
mod window_status;
mod windows;

pub use decisions::WatchedDecision;
pub(super) use observe::is_at_gates;
pub(super) use relations::Relations;
pub use watched_object::WatchedObject;
pub use windows::WatchedWindow;

use super::resources::name_of;
use api::CognigyDeployment;
use decisions::DecisionIndex;
use kube::runtime::watcher::Event;
use parking_lot::Mutex;
use policy::PolicyChecks;
use rollout::admission::ResourceName;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;
use upstream::Upstreams;
use windows::Windows;

/// What this process knows about the gates of all resources. A restart reads it again.
#[derive(Default)]
pub struct GateRegistry {
    decisions: Mutex<DecisionIndex>,
    /// Notified if there may be decisions to delete.
    decisions_crowded_out: Notify,
    windows: Windows,
    /// Notified if a change window has changed.
    windows_changed: Notify,
    policy: PolicyChecks,
    upstreams: Upstreams,
    /// The first lists of decisions and change windows are not complete yet.
    is_listing: AtomicBool,
    /// The namespace whose change windows apply to all resources.
    operator_namespace: String,
}

impl GateRegistry {
    /// Nothing is known yet. The change windows in `operator_namespace` apply to all resources.
    #[must_use]
    pub fn new(operator_namespace: impl Into<String>) -> Self {
        Self { operator_namespace: operator_namespace.into(), ..Self::default() }
    }

    /// The namespace whose change windows apply to all resources.
    #[must_use]
    pub fn operator_namespace(&self) -> &str {
        &self.operator_namespace
    }

    /// Keeps all gates closed until [`listed`](Self::listed): a decision or a change window may not be known yet.
    pub fn begin_listing(&self) {
        self.is_listing.store(true, Ordering::Relaxed);
    }

    /// The first lists of decisions and change windows are complete.
    pub fn listed(&self) {
        self.is_listing.store(false, Ordering::Relaxed);
    }

    /// Handles a change of a decision. Returns the resource that it is about.
    pub fn observe_decision(&self, event: &Event<WatchedDecision>) -> Option<ResourceName> {
        self.decisions.lock().observe(event)
    }

    /// Handles a change of a change window. Returns its namespace if it may open or close a gate.
    pub fn observe_window(&self, event: &Event<WatchedWindow>) -> Option<Arc<str>> {
        let namespace = self.windows.lock().observe(event);
        if namespace.is_some() {
            self.windows_changed.notify_one();
        }
        namespace
    }

    /// Waits until there may be decisions to delete.
    pub async fn until_crowded(&self) {
        self.decisions_crowded_out.notified().await;
    }

    /// Whether a change window of the first namespace may apply to resources of the second one.
    #[must_use]
    pub fn window_applies_in(&self, window_namespace: &str, namespace: &str) -> bool {
        window_namespace == self.operator_namespace || window_namespace == namespace
    }

    /// Whether there is a decision about the resource that may still act. It can be about a resource at rest.
    #[must_use]
    pub fn has_open_decision(&self, resource: &ResourceName) -> bool {
        self.decisions.lock().has_open(resource)
    }

    /// Whether there is a new decision that ends or undoes a rollout of the resource. `object` is the resource, if it is known: then
    /// only decisions about its environment and its plan are urgent.
    #[must_use]
    pub fn has_urgent_decision(&self, resource: &ResourceName, object: Option<&CognigyDeployment>) -> bool {
        self.decisions.lock().has_urgent(resource, object)
    }

    /// Whether this change is a new decision that ends or undoes a rollout of the resource, so that its running reconcile must not
    /// go on waiting. Each decision does this once.
    #[must_use]
    pub fn interrupts(&self, event: &Event<WatchedDecision>, object: &CognigyDeployment) -> bool {
        match event {
            Event::Apply(watched) | Event::InitApply(watched) => {
                self.decisions.lock().interrupts(&name_of(watched), object)
            }
            Event::Delete(_) | Event::Init | Event::InitDone => false,
        }
    }
}
