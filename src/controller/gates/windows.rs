//! The change windows that the watch shows, and whether they are closed for a resource.
//!
//! Windows in the operator's namespace apply to all resources, windows elsewhere to the resources of their namespace. Each of the
//! two sets is evaluated alone and both must be open, so that a tenant can only tighten what the platform team allows.

use super::super::resources::name_of;
use super::WatchedObject;
use api::change_window::{ChangeWindowSpec, ChangeWindowStatus, WindowKind};
use api::status::ClosedGate;
use api::{ChangeWindow, CognigyDeployment, Reason};
use change_windows::{Closer, Evaluation, Kind, Window, evaluate};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::runtime::watcher::Event;
use rollout::admission::ResourceName;
use rollout::time::after;
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
    spec: Option<ChangeWindowSpec>,
    /// The status that the watch shows.
    pub(super) status: Option<ChangeWindowStatus>,
    /// Its times, or why they cannot be read.
    pub(super) times: Result<Window, String>,
}

impl KnownWindow {
    fn of(watched: &WatchedWindow) -> Self {
        let metadata = watched.metadata.clone();
        match &watched.content {
            Ok(object) => Self {
                metadata,
                spec: Some(object.spec.clone()),
                status: object.status.clone(),
                times: times(&object.spec),
            },
            Err(problem) => Self { metadata, spec: None, status: None, times: Err(problem.to_string()) },
        }
    }

    /// Whether it applies to a resource. A window that cannot be read applies to all.
    fn applies_to(&self, object: &CognigyDeployment) -> bool {
        let Some(spec) = &self.spec else { return true };
        spec.applies_to(object.spec.environment_id.as_str(), object.labels())
    }

    /// The window in a message.
    fn described(&self) -> String {
        let name = format!(
            "{}/{}",
            self.metadata.namespace.as_deref().unwrap_or_default(),
            self.metadata.name.as_deref().unwrap_or_default()
        );
        match self.spec.as_ref().and_then(|spec| spec.reason.as_ref()) {
            Some(reason) => format!("{name} ({reason})"),
            None => name,
        }
    }
}

fn times(spec: &ChangeWindowSpec) -> Result<Window, String> {
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

/// All change windows, by namespace and name.
#[derive(Default)]
pub(super) struct WindowIndex {
    windows: HashMap<Arc<str>, BTreeMap<Arc<str>, Arc<KnownWindow>>>,
    evaluations: Evaluations,
}

/// The evaluations of sets of windows. Many rollouts wait for the same windows, and windows that are made to be expensive take 16
/// ms each time: 1,000 rollouts of one tenant would take a quarter of a core.
#[derive(Default)]
struct Evaluations {
    known: HashMap<Vec<usize>, (Timestamp, Evaluation)>,
}

/// How many evaluations are kept.
const MAX_EVALUATIONS: usize = 256;

impl Evaluations {
    /// Evaluates windows, unless an earlier result still holds.
    fn evaluate(&mut self, scopes: &[Vec<&Arc<KnownWindow>>], now: Timestamp) -> Evaluation {
        let key =
            scopes.iter().flat_map(|scope| scope.iter().map(|window| Arc::as_ptr(window).addr()).chain([0])).collect();
        if let Some((from, evaluation)) = self.known.get(&key)
            && *from <= now
            && now < holds_until(*from, evaluation)
        {
            return *evaluation;
        }
        let times: Vec<Vec<Window>> = scopes
            .iter()
            .map(|scope| scope.iter().filter_map(|window| window.times.as_ref().ok().cloned()).collect())
            .collect();
        let slices: Vec<&[Window]> = times.iter().map(Vec::as_slice).collect();
        let evaluation = evaluate(&slices, now);
        if self.known.len() >= MAX_EVALUATIONS {
            self.known.clear();
        }
        self.known.insert(key, (now, evaluation));
        evaluation
    }
}

fn holds_until(from: Timestamp, evaluation: &Evaluation) -> Timestamp {
    match evaluation {
        // The search may have stopped before the next closing, so only its own promise counts.
        Evaluation::Open { open_until, .. } => after(from, Duration::from_secs(24 * 3600)).min(*open_until),
        Evaluation::Closed { closed_until, .. } => *closed_until,
    }
}

impl WindowIndex {
    /// Handles a change. Returns whether a gate may have opened or closed.
    pub(super) fn observe(&mut self, event: &Event<WatchedWindow>) -> bool {
        // The keys are addresses, which a new window may get again.
        self.evaluations.known.clear();
        match event {
            Event::Apply(watched) | Event::InitApply(watched) => {
                let ResourceName { namespace, name } = name_of(watched);
                let known = KnownWindow::of(watched);
                let windows = self.windows.entry(namespace).or_default();
                let before = windows.insert(name, Arc::new(known));
                // A write of the status changes no gate.
                let generation = |known: Arc<KnownWindow>| known.metadata.generation;
                before.map(generation) != Some(watched.metadata.generation)
            }
            Event::Delete(watched) => {
                let ResourceName { namespace, name } = name_of(watched);
                if let Some(windows) = self.windows.get_mut(&namespace) {
                    windows.remove(&name);
                    if windows.is_empty() {
                        self.windows.remove(&namespace);
                    }
                }
                true
            }
            Event::Init | Event::InitDone => false,
        }
    }

    /// The windows that are evaluated, of all namespaces.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<KnownWindow>> {
        self.windows.values().flat_map(|windows| windows.values().take(MAX_WINDOWS))
    }

    /// The gate of the change windows for a resource, if it is closed.
    pub(super) fn closed(
        &mut self,
        object: &CognigyDeployment,
        operator_namespace: &str,
        now: Timestamp,
    ) -> Option<ClosedGate> {
        let own = object.metadata.namespace.as_deref().unwrap_or_default();
        let namespaces = if own == operator_namespace { vec![own] } else { vec![operator_namespace, own] };
        let mut scopes = Vec::new();
        for namespace in namespaces {
            let Some(windows) = self.windows.get(namespace) else { continue };
            if windows.len() > MAX_WINDOWS {
                return Some(too_many(namespace, windows.len()));
            }
            let applying: Vec<&Arc<KnownWindow>> =
                windows.values().filter(|window| window.applies_to(object)).collect();
            if let Some((window, why)) = applying.iter().find_map(|window| Some((window, window.times.as_ref().err()?)))
            {
                return Some(unreadable(window, why));
            }
            scopes.push(applying);
        }
        if scopes.iter().all(Vec::is_empty) {
            return None;
        }
        let evaluation = self.evaluations.evaluate(&scopes, now);
        closed_by(evaluation, &scopes, object)
    }
}

/// The closed gate, in words.
fn closed_by(
    evaluation: Evaluation,
    scopes: &[Vec<&Arc<KnownWindow>>],
    object: &CognigyDeployment,
) -> Option<ClosedGate> {
    let Evaluation::Closed { by, opens_at, .. } = evaluation else { return None };
    let find = |scope: usize, window: usize| scopes.get(scope)?.get(window).map(|window| window.as_ref());
    let (what, window) = match by {
        Closer::Deny { scope, window, .. } => {
            let window = find(scope, window);
            let name = window.map(KnownWindow::described).unwrap_or_default();
            (format!("the change window {name} allows no rollout now"), window)
        }
        Closer::OutsideAllow { scope, next } => match next.and_then(|next| find(scope, next.window)) {
            Some(window) => (format!("no change window is open; the next one is {}", window.described()), Some(window)),
            None => ("no change window is open, and none opens within two years".to_owned(), None),
        },
    };
    let when = match (opens_at, window.and_then(|window| window.times.as_ref().ok())) {
        (Some(at), Some(zone)) => format!("; the rollout can start at {}", zone.display(at)),
        (Some(at), None) => format!("; the rollout can start at {at}"),
        (None, _) => "; it is not known when a rollout can start".to_owned(),
    };
    let (name, namespace) = (object.name_any(), object.namespace().unwrap_or_default());
    let message = format!("{what}{when}; in an emergency: kubectl cognigy override {name} -n {namespace} --reason '…'");
    Some(ClosedGate { reason: Reason::WindowClosed, message, opens_at })
}

fn unreadable(window: &KnownWindow, why: &str) -> ClosedGate {
    let name = window.described();
    let message = format!("the change window {name} cannot be read, so no rollout starts: {why}; correct or delete it");
    ClosedGate { reason: Reason::WindowClosed, message, opens_at: None }
}

fn too_many(namespace: &str, count: usize) -> ClosedGate {
    let message = format!(
        "the namespace {namespace} has {count} change windows, so no rollout starts: at most {MAX_WINDOWS} are evaluated; delete some"
    );
    ClosedGate { reason: Reason::WindowClosed, message, opens_at: None }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn index(windows: &[(&str, &str, Value)]) -> WindowIndex {
        let mut index = WindowIndex::default();
        for (namespace, name, spec) in windows {
            let object = json!({
                "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "ChangeWindow",
                "metadata": {"namespace": namespace, "name": name, "generation": 1}, "spec": spec,
            });
            let watched: WatchedWindow = serde_json::from_str(&object.to_string()).unwrap();
            index.observe(&Event::Apply(watched));
        }
        index
    }

    fn bot(namespace: &str, environment: &str, team: &str) -> CognigyDeployment {
        serde_json::from_value(json!({
            "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "CognigyDeployment",
            "metadata": {"namespace": namespace, "name": "bot", "labels": {"team": team}},
            "spec": {"environmentId": environment, "configurationSnapshot": {"a": 1}},
        }))
        .unwrap()
    }

    fn freeze() -> Value {
        json!({
            "type": "Deny", "timeZone": "Europe/Berlin", "reason": "Christmas freeze",
            "once": {"from": "2026-12-19T18:00:00+01:00", "to": "2027-01-04T06:00:00+01:00"},
        })
    }

    fn office_hours() -> Value {
        json!({
            "type": "Allow", "timeZone": "Europe/Berlin",
            "recurring": {"schedule": "0 9 * * 1-5", "durationSeconds": 28800},
        })
    }

    const IN_FREEZE: &str = "2026-12-24T12:00:00Z";

    #[test]
    fn the_message_names_the_window_its_reason_and_the_instant_in_its_time_zone() {
        let mut index = index(&[("ops", "christmas", freeze())]);
        let gate = index.closed(&bot("shop", "prod", "a"), "ops", at(IN_FREEZE)).unwrap();
        assert_eq!(
            gate.message,
            "the change window ops/christmas (Christmas freeze) allows no rollout now; the rollout can start at Mon \
             2027-01-04 06:00 CET; in an emergency: kubectl cognigy override bot -n shop --reason '…'"
        );
        assert_eq!(gate.opens_at, Some(at("2027-01-04T05:00:00Z")));
        assert_eq!(index.closed(&bot("shop", "prod", "a"), "ops", at("2027-01-04T05:00:00Z")), None);
    }

    #[test]
    fn windows_of_the_operators_namespace_apply_to_all_and_others_to_their_own_namespace() {
        let mut index = index(&[("shop", "christmas", freeze()), ("ops", "hours", office_hours())]);
        let mut closed =
            |namespace: &str, when: &str| index.closed(&bot(namespace, "prod", "a"), "ops", at(when)).is_some();
        assert!(closed("shop", "2026-12-24T12:00:00Z"), "its own freeze, within the office hours of all");
        assert!(!closed("bank", "2026-12-24T12:00:00Z"), "the freeze is another tenant's");
        assert!(closed("bank", "2026-12-24T20:00:00Z"), "outside of the office hours of all");
    }

    #[test]
    fn environment_and_labels_must_both_match() {
        let mut spec = freeze();
        spec["environmentIds"] = json!(["prod", "prod-2"]);
        spec["matchLabels"] = json!({"team": "a"});
        let mut index = index(&[("ops", "christmas", spec)]);
        for (environment, team, is_closed) in
            [("prod", "a", true), ("prod-2", "a", true), ("prod", "b", false), ("staging", "a", false)]
        {
            let gate = index.closed(&bot("shop", environment, team), "ops", at(IN_FREEZE));
            assert_eq!(gate.is_some(), is_closed, "{environment} {team}");
        }
    }

    #[test]
    fn a_window_that_cannot_be_read_closes_until_somebody_corrects_it() {
        let mut zone = office_hours();
        zone["timeZone"] = json!("Europe/Atlantis");
        for (spec, says) in [(zone, "Europe/Atlantis"), (json!({"type": "Perhaps"}), "Perhaps")] {
            let mut index = index(&[("ops", "hours", spec)]);
            let gate = index.closed(&bot("shop", "prod", "a"), "ops", at("2026-12-24T12:00:00Z")).unwrap();
            assert!(
                gate.message.contains("ops/hours cannot be read") && gate.message.contains(says),
                "{}",
                gate.message
            );
            assert_eq!(gate.opens_at, None);
        }
    }

    #[test]
    fn too_many_windows_close_for_their_own_namespace_only() {
        let many: Vec<(&str, String, Value)> =
            (0..=MAX_WINDOWS).map(|number| ("shop", format!("w{number}"), office_hours())).collect();
        let many: Vec<(&str, &str, Value)> =
            many.iter().map(|(namespace, name, spec)| (*namespace, name.as_str(), spec.clone())).collect();
        let mut index = index(&many);
        let gate = index.closed(&bot("shop", "prod", "a"), "ops", at("2026-12-24T12:00:00Z")).unwrap();
        assert!(gate.message.contains("has 65 change windows"), "{}", gate.message);
        assert_eq!(index.closed(&bot("bank", "prod", "a"), "ops", at("2026-12-24T12:00:00Z")), None);
    }

    #[test]
    fn windows_that_use_up_the_search_of_a_tenant_do_not_hide_a_deny_of_the_platform() {
        let often = |schedule: &str| json!({"type": "Allow", "timeZone": "UTC", "recurring": {"schedule": schedule, "durationSeconds": 60}});
        let names: Vec<String> = (0..MAX_WINDOWS).map(|number| format!("w{number}")).collect();
        let spec = |number| often(if number % 2 == 0 { "*/2 * * * *" } else { "1-59/2 * * * *" });
        let mut windows: Vec<_> =
            names.iter().enumerate().map(|(number, name)| ("shop", name.as_str(), spec(number))).collect();
        windows.push(("ops", "christmas", freeze()));
        let mut index = index(&windows);
        let mut closed = |when: &str| index.closed(&bot("shop", "prod", "a"), "ops", at(when)).is_some();
        assert!(!closed("2026-12-19T11:00:00Z"));
        assert!(!closed("2026-12-19T16:59:59Z"));
        assert!(closed("2026-12-19T17:00:00Z"), "the freeze began 6 hours after the first evaluation");
    }

    #[test]
    fn a_write_of_the_status_changes_no_gate() {
        let mut index = index(&[("ops", "christmas", freeze())]);
        let mut object = json!({
            "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "ChangeWindow",
            "metadata": {"namespace": "ops", "name": "christmas", "generation": 1}, "spec": freeze(),
            "status": {"active": true},
        });
        let observe = |index: &mut WindowIndex, object: &Value| {
            let watched: WatchedWindow = serde_json::from_str(&object.to_string()).unwrap();
            index.observe(&Event::Apply(watched))
        };
        assert!(!observe(&mut index, &object));
        object["metadata"]["generation"] = json!(2);
        assert!(observe(&mut index, &object));
    }
}
