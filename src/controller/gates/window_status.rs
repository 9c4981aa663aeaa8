//! Writes into each change window whether it is active and when that changes, so that people and tools need not compute it.
//! Nothing depends on it.

use super::super::context::Context;
use super::super::error::{Error, call};
use super::windows::KnownWindow;
use api::ChangeWindow;
use api::change_window::{ChangeWindowStatus, WindowCondition};
use api::condition::ConditionStatus;
use jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use rollout::time::between;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The shortest time between two passes, so that windows that change often cannot keep the operator busy.
const SHORTEST_PAUSE: Duration = Duration::from_secs(5);
/// The longest time between two passes, because the wall clock may jump.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How many windows are written in one pass. The others follow in the next one.
const MAX_WRITES: usize = 50;

impl Context {
    /// Keeps the statuses of all change windows up to date. Never returns.
    pub async fn keep_window_statuses(&self) {
        let _ = self.cluster.gates_ready().await;
        let mut last_written: Option<(String, String)> = None;
        loop {
            let pause = self.write_window_statuses(&mut last_written).await;
            tokio::time::sleep(SHORTEST_PAUSE).await;
            tokio::select! {
                () = tokio::time::sleep(pause.saturating_sub(SHORTEST_PAUSE)) => {}
                () = self.gates.windows_changed.notified() => {}
            }
        }
    }

    /// Writes the statuses that have changed. Returns the time until the next one changes.
    async fn write_window_statuses(&self, last_written: &mut Option<(String, String)>) -> Duration {
        let now = self.now().wall;
        let mut pause = LONGEST_PAUSE;
        let mut due: Vec<(Arc<KnownWindow>, ChangeWindowStatus)> = Vec::new();
        for window in self.gates.windows.lock().all() {
            let status = status_of(window, now);
            pause = status.next_change_at.map_or(pause, |at| pause.min(between(now, at)));
            if !is_same(window.status.as_ref(), &status) {
                due.push((Arc::clone(window), status));
            }
        }
        due.sort_by_key(|(window, _)| name_of(window));
        // Those after the last written one come first, so that each one is written some time.
        let first =
            due.partition_point(|(window, _)| last_written.as_ref().is_some_and(|last| name_of(window) <= *last));
        due.rotate_left(first);
        for (window, status) in due.into_iter().take(MAX_WRITES) {
            if self.cluster.must_lead().is_err() {
                break;
            }
            *last_written = Some(name_of(&window));
            self.write_window_status(&window, status).await;
        }
        pause
    }

    async fn write_window_status(&self, window: &KnownWindow, status: ChangeWindowStatus) {
        let (namespace, name) = name_of(window);
        let windows: Api<ChangeWindow> = Api::namespaced(self.cluster.client.clone(), &namespace);
        let patch = Patch::Merge(patch_of(window.metadata.uid.as_deref(), &status));
        let parameters = PatchParams::default();
        let write = windows.patch_status(&name, &parameters, &patch);
        let written = call("write the state of a change window", write).await;
        self.metrics.wrote("change_window", written.as_ref().err().map(Error::kind));
        if let Err(error) = written {
            tracing::debug!(namespace, window = name, %error, "the state of a change window could not be written; the operator tries again");
        }
    }
}

fn name_of(window: &KnownWindow) -> (String, String) {
    let metadata = &window.metadata;
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

fn status_of(window: &KnownWindow, now: Timestamp) -> ChangeWindowStatus {
    let generation = window.metadata.generation.unwrap_or_default();
    let (active, next_change_at, next_change, accepted) = match window.times.as_ref() {
        Ok(times) => {
            let activity = times.activity(now);
            let display = activity.next_change.map(|at| times.display(at));
            let message = match activity.active {
                true => "the window is active",
                false => "the window is not active",
            };
            (activity.active, activity.next_change, display, Ok(message.to_owned()))
        }
        Err(why) => (false, None, None, Err(format!("no rollout starts to which this window applies: {why}"))),
    };
    let (status, reason, message) = match accepted {
        Ok(message) => (ConditionStatus::True, "Accepted", message),
        Err(message) => (ConditionStatus::False, "Unreadable", message),
    };
    let known = window.status.as_ref().and_then(|known| known.conditions.first());
    let since = known.filter(|known| known.status == status).map_or(now, |known| known.last_transition_time);
    ChangeWindowStatus {
        observed_generation: generation,
        active,
        next_change_at,
        next_change,
        conditions: vec![WindowCondition {
            condition_type: "Ready".to_owned(),
            status,
            observed_generation: generation,
            last_transition_time: since,
            reason: reason.to_owned(),
            message,
        }],
    }
}

/// The merge patch that writes a status. A merge patch removes a field only if it says null.
fn patch_of(uid: Option<&str>, status: &ChangeWindowStatus) -> Value {
    let mut patch = json!({"metadata": {"uid": uid}, "status": status});
    patch["status"]["nextChangeAt"] = json!(status.next_change_at);
    patch["status"]["nextChange"] = json!(status.next_change);
    patch
}

fn is_same(known: Option<&ChangeWindowStatus>, wanted: &ChangeWindowStatus) -> bool {
    known == Some(wanted)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::controller::gates::GateRegistry;
    use kube::runtime::watcher::Event;

    /// Applies a merge patch, as the API server does.
    fn merge(target: &mut Value, patch: &Value) {
        let Some(fields) = patch.as_object() else {
            *target = patch.clone();
            return;
        };
        if !target.is_object() {
            *target = json!({});
        }
        for (name, value) in fields {
            match value {
                Value::Null => drop(target.as_object_mut().unwrap().remove(name)),
                value => merge(&mut target[name], value),
            }
        }
    }

    #[test]
    fn each_state_of_a_window_is_written_once_also_the_last_one() {
        let mut object = json!({
            "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "ChangeWindow",
            "metadata": {"namespace": "shop", "name": "christmas", "uid": "u1", "generation": 1},
            "spec": {
                "type": "Deny", "timeZone": "Europe/Berlin",
                "once": {"from": "2026-12-19T18:00:00+01:00", "to": "2027-01-04T06:00:00+01:00"},
            },
        });
        let gates = GateRegistry::new("ops");
        let mut written = Vec::new();
        for now in ["2026-12-01T00:00:00Z", "2026-12-24T12:00:00Z", "2027-02-01T00:00:00Z"] {
            for pass in 0..3 {
                gates.observe_window(&Event::Apply(serde_json::from_str(&object.to_string()).unwrap()));
                let window = gates.windows.lock().all().next().map(Arc::clone).unwrap();
                let status = status_of(&window, now.parse().unwrap());
                if !is_same(window.status.as_ref(), &status) {
                    written.push((pass, status.active, status.next_change.clone()));
                    merge(&mut object, &patch_of(Some("u1"), &status));
                }
            }
        }
        let change = |text: &str| Some(text.to_owned());
        assert_eq!(
            written,
            [
                (0, false, change("Sat 2026-12-19 18:00 CET")),
                (0, true, change("Mon 2027-01-04 06:00 CET")),
                (0, false, None)
            ]
        );
    }
}
