//! What is shown of windows and of rollouts that wait for them: pure functions of what the operator has written.

use super::super::gate_objects::ListedWindow;
use api::change_window::ChangeWindowStatus;
use api::{CognigyDeployment, Reason};
use jiff::Timestamp;
use kube::ResourceExt;
use serde::Serialize;
use std::collections::BTreeMap;

/// Whether a window is active, by its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum State {
    /// It is active.
    Active,
    /// It is not.
    Inactive,
    /// The operator has not evaluated this generation of the window yet.
    NotEvaluated,
    /// The operator, or this version of the plugin, cannot read it. No rollout starts to which it applies.
    Unreadable,
}

impl State {
    /// The state in the table.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "not active",
            Self::NotEvaluated => "not evaluated yet",
            Self::Unreadable => "unreadable",
        }
    }
}

/// One window. docs/by-hand.md documents these fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowRow {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Allow or Deny.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Whether it is active.
    pub state: State,
    /// When it begins or ends next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_change_at: Option<Timestamp>,
    /// The same in its time zone, as the operator has written it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_change: Option<String>,
    /// Its time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Why it exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The environments that it applies to. All if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub environment_ids: Vec<String>,
    /// The labels of the deployments that it applies to. All if there are none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Why it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl WindowRow {
    /// The next change, for the table.
    #[must_use]
    pub fn next_in_words(&self) -> String {
        let word = match self.state {
            State::Active => "ends",
            State::Inactive => "begins",
            State::NotEvaluated | State::Unreadable => return String::new(),
        };
        match (&self.next_change, self.next_change_at) {
            (Some(text), _) => format!("{word} {text}"),
            (None, Some(at)) => format!("{word} {at}"),
            (None, None) => "never".to_owned(),
        }
    }
}

/// A rollout that waits for a change window. docs/by-hand.md documents these fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitingRow {
    /// The namespace of the deployment.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its environment.
    pub environment: String,
    /// What would be deployed.
    pub configuration: String,
    /// Since when the rollout has waited for its gates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When it can start, as far as windows are concerned. Missing if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<Timestamp>,
    /// Which window, and what to do.
    pub message: String,
}

/// The windows, the next change first.
pub fn windows(listed: &[ListedWindow]) -> Vec<WindowRow> {
    let mut rows: Vec<WindowRow> = listed.iter().map(row).collect();
    let rank = |row: &WindowRow| match row.state {
        State::Unreadable => 0,
        State::NotEvaluated => 1,
        State::Active | State::Inactive => 2,
    };
    rows.sort_by_key(|row| (rank(row), row.next_change_at.is_none(), row.next_change_at));
    rows
}

fn row(listed: &ListedWindow) -> WindowRow {
    let empty = WindowRow {
        namespace: listed.namespace.clone(),
        name: listed.name.clone(),
        kind: None,
        state: State::Unreadable,
        next_change_at: None,
        next_change: None,
        time_zone: None,
        reason: None,
        environment_ids: Vec::new(),
        match_labels: BTreeMap::new(),
        message: None,
    };
    let window = match &listed.window {
        Ok(window) => window,
        Err(problem) => {
            let message = format!("cannot be read by this version of the plugin: {problem}");
            return WindowRow { message: Some(message), ..empty };
        }
    };
    let spec = &window.spec;
    let of_spec = WindowRow {
        kind: Some(spec.kind.as_str().to_owned()),
        time_zone: Some(spec.time_zone.clone()),
        reason: spec.reason.clone(),
        environment_ids: spec.environment_ids.clone(),
        match_labels: spec.match_labels.clone(),
        ..empty
    };
    let Some(status) = ChangeWindowStatus::of(window) else {
        return WindowRow { state: State::NotEvaluated, ..of_spec };
    };
    if let Some(problem) = status.problem() {
        return WindowRow { message: Some(problem.to_owned()), ..of_spec };
    }
    WindowRow {
        state: if status.active { State::Active } else { State::Inactive },
        next_change_at: status.next_change_at,
        next_change: status.next_change.clone(),
        ..of_spec
    }
}

/// The rollouts that wait for a window now.
pub fn waiting<'d>(deployments: impl Iterator<Item = &'d CognigyDeployment>) -> Vec<WaitingRow> {
    deployments.filter_map(waiting_row).collect()
}

fn waiting_row(deployment: &CognigyDeployment) -> Option<WaitingRow> {
    let attempt = deployment.status.as_ref()?.attempt.as_ref()?;
    if attempt.has_intent() || attempt.verdict.is_some() {
        return None;
    }
    let gates = attempt.gates.as_ref()?;
    let gate = gates.closed.iter().find(|gate| gate.reason == Reason::WindowClosed)?;
    Some(WaitingRow {
        namespace: deployment.namespace().unwrap_or_default(),
        name: deployment.name_any(),
        environment: deployment.spec.environment_id.to_string(),
        configuration: attempt.configuration(),
        since: gates.since,
        opens_at: gate.opens_at,
        message: gate.message.clone(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn listed(name: &str, status: &Value) -> ListedWindow {
        let window = serde_json::from_value(json!({
            "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "ChangeWindow",
            "metadata": {"namespace": "ops", "name": name, "generation": 2},
            "spec": {
                "type": "Deny", "timeZone": "Europe/Berlin", "reason": "Christmas freeze",
                "once": {"from": "2026-12-19T18:00:00+01:00", "to": "2027-01-04T06:00:00+01:00"},
            },
            "status": status,
        }))
        .unwrap();
        ListedWindow { namespace: "ops".to_owned(), name: name.to_owned(), window: Ok(window) }
    }

    fn status(generation: i64, is_active: bool, ready: &str) -> Value {
        json!({
            "observedGeneration": generation, "active": is_active,
            "nextChangeAt": "2027-01-04T05:00:00Z", "nextChange": "Mon 2027-01-04 06:00 CET",
            "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": "2026-12-19T17:00:00Z",
                "reason": "Accepted", "message": "the schedule cannot be read"}],
        })
    }

    #[test]
    fn the_status_says_whether_a_window_is_active_and_when_that_changes() {
        let row = |status: Value| row(&listed("christmas", &status));
        let active = row(status(2, true, "True"));
        assert_eq!((active.state, active.next_in_words().as_str()), (State::Active, "ends Mon 2027-01-04 06:00 CET"));
        let inactive = row(status(2, false, "True"));
        assert_eq!(inactive.next_in_words(), "begins Mon 2027-01-04 06:00 CET");
        for unknown in [Value::Null, status(1, true, "True")] {
            let unknown = row(unknown);
            assert_eq!((unknown.state, unknown.next_in_words().as_str()), (State::NotEvaluated, ""));
            assert_eq!(unknown.next_change_at, None, "an old status says nothing about the present window");
        }
        let unreadable = row(status(2, false, "False"));
        assert_eq!(
            (unreadable.state, unreadable.message.as_deref()),
            (State::Unreadable, Some("the schedule cannot be read"))
        );
        let never = row(json!({"observedGeneration": 2, "active": false}));
        assert_eq!(never.next_in_words(), "never");
    }

    #[test]
    fn what_needs_attention_comes_first_and_then_what_changes_next() {
        let mut late = status(2, false, "True");
        late["nextChangeAt"] = json!("2028-01-01T00:00:00Z");
        let broken =
            ListedWindow { namespace: "ops".to_owned(), name: "broken".to_owned(), window: Err("no".to_owned()) };
        let all = [
            listed("late", &late),
            listed("never", &json!({"observedGeneration": 2})),
            listed("soon", &status(2, true, "True")),
            listed("new", &Value::Null),
            broken,
        ];
        let names: Vec<String> = windows(&all).into_iter().map(|row| row.name).collect();
        assert_eq!(names, ["broken", "new", "soon", "late", "never"]);
    }

    #[test]
    fn only_what_waits_for_a_window_now_is_listed() {
        let deployment = |patch: Value| -> CognigyDeployment {
            let mut attempt = json!({
                "number": 1, "digest": "v1:aa", "version": "2.5.0", "generation": 1, "step": "Tracing",
                "startedAt": "2026-12-20T00:00:00Z", "checks": {"digest": "v1:cc"},
                "gates": {"since": "2026-12-20T00:00:10Z", "closed": [
                    {"reason": "AwaitingApproval", "message": "a"},
                    {"reason": "WindowClosed", "message": "w", "opensAt": "2027-01-04T05:00:00Z"},
                ]},
            });
            for (key, value) in patch.as_object().unwrap() {
                attempt[key] = value.clone();
            }
            serde_json::from_str(
                &json!({
                    "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "CognigyDeployment",
                    "metadata": {"namespace": "bots", "name": "bot"},
                    "spec": {"environmentId": "env_1", "configurationSnapshot": {"a": 1}},
                    "status": {"attempt": attempt},
                })
                .to_string(),
            )
            .unwrap()
        };
        let verdict = json!({"outcome": "Abandoned", "reason": "Rejected", "at": "2026-12-21T00:00:00Z"});
        let all = [
            deployment(json!({})),
            deployment(json!({"gates": {"closed": [{"reason": "AwaitingApproval", "message": "a"}]}})),
            deployment(json!({"verdict": verdict})),
            deployment(json!({"gates": null})),
        ];
        let rows = waiting(all.iter());
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!((rows[0].message.as_str(), rows[0].configuration.as_str()), ("w", "version 2.5.0"));
        assert_eq!(rows[0].opens_at, Some("2027-01-04T05:00:00Z".parse().unwrap()));
    }
}
