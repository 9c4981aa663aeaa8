//! Plans and problems for people and programs: text for a terminal, Markdown for a pull request, JSON and YAML.

mod markdown;
mod text;

pub use markdown::{LARGEST_COMMENT, markdown};
pub use text::{Style, text};

use crate::plan::{Action, Change, Event, GateState, Gates, Kind, Plan, Remote, RemoteResult};
use crate::problem::Problem;
use api::spec::{AfterSuccess, OnUnhealthy};
use serde::Serialize;

/// Everything that is said about some manifests. Its fields are the JSON form that docs/plan.md describes.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The plans, in the order of the manifests.
    pub plans: Vec<Plan>,
    /// The problems, in the order of files and lines.
    pub problems: Vec<Problem>,
    /// How many objects of other kinds were ignored.
    pub ignored: usize,
}

impl Report {
    /// Whether the API server or the operator would refuse something.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.problems.iter().any(Problem::is_error) || self.plans.iter().any(Plan::is_refused)
    }

    /// Whether applying the manifests changes anything.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.plans.iter().any(Plan::has_changes)
    }

    /// The report as JSON.
    ///
    /// # Errors
    /// Never for a report of this crate: it has text keys and finite numbers only.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// The report as YAML.
    ///
    /// # Errors
    /// Never for a report of this crate.
    pub fn yaml(&self) -> Result<String, serde_saphyr::SerializeError> {
        serde_saphyr::to_string(self)
    }
}

/// What the manifest does, in a sentence without its end.
fn summary(plan: &Plan) -> String {
    let parts: Vec<&str> = plan.parts.iter().map(|part| part.in_words()).collect();
    match plan.kind {
        Kind::Nothing => "no changes".to_owned(),
        Kind::Metadata => "only labels or annotations change".to_owned(),
        Kind::Shown => "only the shown version changes; it starts no attempt".to_owned(),
        Kind::Settings => "only settings change; they start no attempt".to_owned(),
        Kind::Checks => "what the configuration is checked against changes".to_owned(),
        Kind::Attempt if plan.is_new => "a new object: the environment gets its first configuration from it".to_owned(),
        Kind::Attempt => format!("a new attempt, because of {}", listed(&parts)),
        Kind::Unknown => "the snapshot is not known here".to_owned(),
    }
}

fn listed(parts: &[&str]) -> String {
    match parts {
        [] => "a change".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// `2.4.1 → 2.4.2`; nothing if neither is known.
fn versions(plan: &Plan) -> Option<String> {
    let new = plan.version.as_deref().unwrap_or(plan.digest.as_ref()?.short());
    match &plan.running {
        Some(_) if plan.is_running => Some(format!("{new}, which runs now")),
        Some(running) => Some(format!("{} → {new}", running.configuration)),
        None => Some(new.to_owned()),
    }
}

/// What the platform says, in a sentence.
fn remote(remote: &Remote) -> String {
    let result = match remote.result {
        RemoteResult::Passed => "the validation and the synthetic trace pass",
        RemoteResult::ValidationRefused => "the validation refuses the configuration",
        RemoteResult::TraceRefused => "the synthetic trace finds conflicts",
        RemoteResult::Unanswered => "there is no answer",
    };
    let origin = remote.api_origin.as_ref().map(|origin| format!(" at {origin}")).unwrap_or_default();
    let capacity =
        remote.capacity_utilization.map(|part| format!(" ({:.0} % of the capacity)", part * 100.0)).unwrap_or_default();
    let messages = if remote.messages.is_empty() { String::new() } else { format!(": {}", remote.messages.join("; ")) };
    format!("{result}{origin}{capacity}{messages}")
}

/// Each gate, with its heading.
fn gates(gates: &Gates) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(approval) = &gates.approval {
        let given = match approval.given_by.is_empty() {
            true => String::new(),
            false => format!(": {}", approval.given_by.join(", ")),
        };
        let not_by = match approval.not_by.is_empty() {
            true => String::new(),
            false => format!("; not by {}", approval.not_by.join(", ")),
        };
        lines.push(("approvals", format!("{} of {}{given}{not_by}", approval.given_by.len(), approval.required)));
    }
    if let Some(requires) = &gates.requires {
        let state = match (requires.state, &requires.message) {
            (GateState::Open, _) => "given".to_owned(),
            (GateState::Closed, Some(message)) => message.clone(),
            (GateState::Closed, None) => "missing".to_owned(),
            (GateState::NotEvaluated, _) => "not evaluated for this plan yet".to_owned(),
        };
        let names: Vec<String> = requires.deployments.iter().map(|deployment| deployment.in_words()).collect();
        lines.push(("requires", format!("{}: {state}", names.join(" and "))));
    }
    lines.extend(
        gates.windows.iter().map(|window| ("window", format!("{}: {}", window.described(), window.in_words()))),
    );
    lines
}

/// How health is watched after the success, in a sentence.
fn watching(after_success: &AfterSuccess) -> String {
    let bad_answers = match after_success.health_threshold {
        1 => "1 bad answer".to_owned(),
        count => format!("{count} bad answers in a row"),
    };
    let reaction = match after_success.on_unhealthy {
        OnUnhealthy::Report => "Ready becomes False, and nothing is rolled back",
        OnUnhealthy::Rollback => "the operator rolls back, once",
    };
    format!("health is watched every {} s; after {bad_answers}, {reaction}", after_success.interval_seconds)
}

/// The sign of a change, and the line after it.
fn line(change: &Change) -> (char, String) {
    let Change { path, action, old, new } = change;
    let (old, new) = (old.as_deref().unwrap_or_default(), new.as_deref().unwrap_or_default());
    match action {
        Action::Added => ('+', format!("{path}: {new}")),
        Action::Removed => ('-', format!("{path}: {old}")),
        Action::Changed => ('~', format!("{path}: {old} → {new}")),
        Action::Reordered => ('~', format!("{path}: the same items in another order")),
    }
}

/// Whether somebody must do something before it goes on.
fn needs_a_person(event: Event) -> bool {
    match event {
        Event::WaitsWhileSuspended
        | Event::WaitsForConfigMap
        | Event::EnvironmentInUse
        | Event::Deleted
        | Event::Unknown => true,
        Event::Nothing
        | Event::Starts
        | Event::Replaces
        | Event::ChecksAgain
        | Event::WaitsForAttempt
        | Event::RollsBack
        | Event::Retries => false,
    }
}
