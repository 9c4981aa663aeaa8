//! The change windows that the watch shows, and whether they are closed for a resource.
//!
//! Windows in the operator's namespace apply to all resources, windows elsewhere to the resources of their namespace. Each of the
//! two sets is evaluated alone and both must be open, so that a tenant can only tighten what the platform team allows.

use super::super::resources::name_of;
use super::WatchedObject;
use super::evaluations::{Evaluations, SetOfWindows};
use super::window_gate::{closed_by, too_many, unreadable};
use api::change_window::{ChangeWindowSpec, ChangeWindowStatus, WindowKind};
use api::status::ClosedGate;
use api::{ChangeWindow, CognigyDeployment};
use change_windows::{Kind, Window};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::runtime::watcher::Event;
use parking_lot::{Mutex, MutexGuard};
use rollout::admission::ResourceName;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// How many windows of one namespace are evaluated. If there are more, no rollout starts to which they could apply.
pub(super) const MAX_WINDOWS: usize = 64;

/// A change window as the watch shows it.
pub type WatchedWindow = WatchedObject<ChangeWindow>;

/// A change window whose texts were read.
#[derive(Debug)]
pub(super) struct KnownWindow {
    pub(super) metadata: ObjectMeta,
    /// The spec, if the object can be read.
    pub(super) spec: Option<ChangeWindowSpec>,
    /// The status that the watch shows.
    pub(super) status: Option<ChangeWindowStatus>,
    /// Its times, or why they cannot be read. Versions of the window that differ only in the status share them.
    pub(super) times: Arc<Result<Window, String>>,
}

impl KnownWindow {
    /// `times` are those of an earlier version with the same spec, if there is one.
    fn of(watched: &WatchedWindow, times: Option<Arc<Result<Window, String>>>) -> Self {
        let metadata = watched.metadata.clone();
        match &watched.content {
            Ok(object) => Self {
                metadata,
                spec: Some(object.spec.clone()),
                status: object.status.clone(),
                times: times.unwrap_or_else(|| Arc::new(read(&object.spec))),
            },
            Err(problem) => Self { metadata, spec: None, status: None, times: Arc::new(Err(problem.to_string())) },
        }
    }

    /// Whether it is the same object, and its spec has not changed since.
    fn has_same_spec(&self, watched: &WatchedWindow) -> bool {
        self.metadata.uid == watched.metadata.uid
            && self.metadata.generation == watched.metadata.generation
            && self.spec.is_some() == watched.content.is_ok()
    }

    /// Whether it applies to a resource. A window that cannot be read applies to all.
    fn applies_to(&self, object: &CognigyDeployment) -> bool {
        let Some(spec) = &self.spec else { return true };
        spec.applies_to(object.spec.environment_id.as_str(), object.labels())
    }
}

fn read(spec: &ChangeWindowSpec) -> Result<Window, String> {
    let kind = match spec.kind {
        WindowKind::Allow => Kind::Allow,
        WindowKind::Deny => Kind::Deny,
    };
    let window = match (&spec.recurring, &spec.once) {
        (Some(recurring), None) => {
            let duration = Duration::from_secs(u64::try_from(recurring.duration_seconds).unwrap_or(0));
            Window::recurring(kind, &recurring.schedule, &spec.time_zone, duration)
        }
        (None, Some(once)) => Window::once(kind, once.from, once.to, &spec.time_zone),
        (Some(_), Some(_)) | (None, None) => return Err("write exactly one of recurring and once".to_owned()),
    };
    window.map_err(|invalid| invalid.to_string())
}

/// All change windows. Every reconcile at its gates asks them.
#[derive(Default)]
pub(super) struct Windows {
    index: Mutex<WindowIndex>,
}

/// Access to the windows. It is exclusive, but not while it evaluates.
pub(super) struct WindowsGuard<'a> {
    index: MutexGuard<'a, WindowIndex>,
}

/// All change windows, by namespace and name.
#[derive(Default)]
struct WindowIndex {
    windows: HashMap<Arc<str>, BTreeMap<Arc<str>, Arc<KnownWindow>>>,
    evaluations: Evaluations,
}

impl Windows {
    pub(super) fn lock(&self) -> WindowsGuard<'_> {
        WindowsGuard { index: self.index.lock() }
    }
}

impl WindowsGuard<'_> {
    /// Handles a change. Returns the namespace of the window if a gate may have opened or closed.
    pub(super) fn observe(&mut self, event: &Event<WatchedWindow>) -> Option<Arc<str>> {
        match event {
            Event::Apply(watched) | Event::InitApply(watched) => self.index.insert(watched),
            Event::Delete(watched) => Some(self.index.remove(watched)),
            Event::Init | Event::InitDone => None,
        }
    }

    /// The windows that are evaluated, of all namespaces.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<KnownWindow>> {
        self.index.windows.values().flat_map(|windows| windows.values().take(MAX_WINDOWS))
    }

    /// The gate of the change windows for a resource, if it is closed.
    pub(super) fn closed(
        &mut self,
        object: &CognigyDeployment,
        operator_namespace: &str,
        now: Timestamp,
    ) -> Option<ClosedGate> {
        let scopes = match self.index.applying(object, operator_namespace) {
            Ok(scopes) if scopes.iter().all(Vec::is_empty) => return None,
            Ok(scopes) => scopes,
            Err(gate) => return Some(gate),
        };
        let set = SetOfWindows::of(&scopes);
        let evaluation = match self.index.evaluations.known(&set, now) {
            Some(evaluation) => evaluation,
            None => {
                let evaluation = MutexGuard::unlocked(&mut self.index, || set.evaluate(now));
                self.index.evaluations.keep(set, now, evaluation);
                evaluation
            }
        };
        closed_by(evaluation, &scopes, object)
    }
}

impl WindowIndex {
    fn insert(&mut self, watched: &WatchedWindow) -> Option<Arc<str>> {
        let ResourceName { namespace, name } = name_of(watched);
        let windows = self.windows.entry(Arc::clone(&namespace)).or_default();
        let before = windows.get(&name).map(Arc::clone);
        // A write of the status changes no gate.
        let same = before.as_ref().filter(|before| before.has_same_spec(watched));
        let known = KnownWindow::of(watched, same.map(|same| Arc::clone(&same.times)));
        let is_changed = same.is_none();
        windows.insert(name, Arc::new(known));
        if let Some(before) = before.filter(|_| is_changed) {
            self.evaluations.forget(&before.times);
        }
        is_changed.then_some(namespace)
    }

    fn remove(&mut self, watched: &WatchedWindow) -> Arc<str> {
        let ResourceName { namespace, name } = name_of(watched);
        if let Some(windows) = self.windows.get_mut(&namespace) {
            if let Some(removed) = windows.remove(&name) {
                self.evaluations.forget(&removed.times);
            }
            if windows.is_empty() {
                self.windows.remove(&namespace);
            }
        }
        namespace
    }

    /// The windows that apply to a resource, for each namespace. Or the closed gate, if they cannot be evaluated.
    fn applying(
        &self,
        object: &CognigyDeployment,
        operator_namespace: &str,
    ) -> Result<Vec<Vec<Arc<KnownWindow>>>, ClosedGate> {
        let own = object.metadata.namespace.as_deref().unwrap_or_default();
        let namespaces = if own == operator_namespace { vec![own] } else { vec![operator_namespace, own] };
        let mut scopes = Vec::new();
        for namespace in namespaces {
            let Some(windows) = self.windows.get(namespace) else { continue };
            if windows.len() > MAX_WINDOWS {
                return Err(too_many(namespace, windows.len()));
            }
            let applying: Vec<Arc<KnownWindow>> =
                windows.values().filter(|window| window.applies_to(object)).map(Arc::clone).collect();
            let mut problems =
                applying.iter().filter_map(|window| Some((window, window.times.as_ref().as_ref().err()?)));
            if let Some((window, why)) = problems.next() {
                return Err(unreadable(window, why));
            }
            scopes.push(applying);
        }
        Ok(scopes)
    }
}

#[cfg(test)]
mod tests;
