//! The change windows that the watch shows.

use super::super::resources::name_of;
use super::WatchedObject;
use api::status::ClosedGate;
use api::{ChangeWindow, CognigyDeployment};
use jiff::Timestamp;
use kube::runtime::watcher::Event;
use rollout::admission::ResourceName;
use std::collections::HashMap;
use std::sync::Arc;

/// A change window as the watch shows it.
pub type WatchedWindow = WatchedObject<ChangeWindow>;

/// All change windows, by namespace.
#[derive(Default)]
pub(super) struct WindowIndex {
    windows: HashMap<Arc<str>, HashMap<Arc<str>, Arc<ChangeWindow>>>,
}

impl WindowIndex {
    /// Handles a change. Returns whether a gate may have opened or closed.
    pub(super) fn observe(&mut self, event: &Event<WatchedWindow>) -> bool {
        let (Event::Apply(watched) | Event::InitApply(watched) | Event::Delete(watched)) = event else { return false };
        let ResourceName { namespace, name } = name_of(watched);
        match (event, &watched.content) {
            (Event::Apply(_) | Event::InitApply(_), Ok(window)) => {
                self.windows.entry(namespace).or_default().insert(name, Arc::clone(window));
            }
            _ => drop(self.windows.get_mut(&namespace).and_then(|windows| windows.remove(&name))),
        }
        true
    }

    /// The gate of the change windows for a resource, if it is closed.
    pub(super) fn closed(&self, _: &CognigyDeployment, _: &str, _: Timestamp) -> Option<ClosedGate> {
        None
    }
}
