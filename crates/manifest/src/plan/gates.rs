//! The gates that a rollout would meet, by what the manifest asks for and what the operator has written into statuses. Nothing is
//! evaluated here: the operator alone does that.

use super::{Event, Plan};
use api::change_window::{ChangeWindowStatus, WindowKind};
use api::decision::{DecisionState, Verb};
use api::spec::{Approval, Requirement};
use api::status::Attempt;
use api::{ChangeWindow, CognigyDecision, CognigyDeployment};
use serde::Serialize;
use std::collections::BTreeSet;

/// What is known about gates in the cluster. `None`: it could not be read.
#[derive(Clone, Debug, Default)]
pub struct GateObjects {
    /// The decisions in the namespace of the deployment.
    pub decisions: Option<Vec<CognigyDecision>>,
    /// The change windows of its namespace, and those beside the operator.
    pub windows: Option<Vec<WindowObject>>,
}

/// A change window.
#[derive(Clone, Debug)]
pub struct WindowObject {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The object. `None` if it cannot be read; then it applies to all deployments.
    pub window: Option<Box<ChangeWindow>>,
}

/// The gates that a rollout would meet. Its fields are the JSON form that docs/plan.md describes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gates {
    /// The approvals, if any are needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<PlannedApproval>,
    /// The required deployments, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requires: Option<PlannedRequires>,
    /// The change windows that apply.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<PlannedWindow>,
}

/// The approvals of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedApproval {
    /// How many people must approve.
    pub required: usize,
    /// Who has approved this plan.
    pub given_by: Vec<String>,
    /// Whose approvals do not count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_by: Vec<String>,
}

/// The required deployments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedRequires {
    /// Each deployment.
    pub deployments: Vec<RequiredDeployment>,
    /// Whether all of them are ready for this plan, as the operator has recorded it.
    pub state: GateState,
    /// What is missing, in the operator's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A required deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequiredDeployment {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether it must have succeeded with the same release.
    pub same_release: bool,
    /// For how long it must have been healthy.
    pub healthy_for_seconds: i32,
}

/// Whether a gate is open for this plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum GateState {
    /// It is open.
    Open,
    /// It is closed.
    Closed,
    /// The operator has not evaluated it for this plan.
    NotEvaluated,
}

/// A change window that applies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedWindow {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Allow or Deny. Missing if the window cannot be read.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<WindowKind>,
    /// Whether it is active, as its status says.
    pub state: WindowState,
    /// When it begins or ends next, in its time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_change: Option<String>,
    /// Why it exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whether a window is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum WindowState {
    /// It is active.
    Active,
    /// It is not.
    Inactive,
    /// The operator has not evaluated it yet.
    NotEvaluated,
    /// It cannot be read, so no rollout starts to which it applies.
    Unreadable,
}

impl Plan {
    /// Adds the gates, and what the rollout will wait for.
    #[must_use]
    pub fn with_gates(
        mut self,
        live: Option<&CognigyDeployment>,
        desired: &CognigyDeployment,
        known: &GateObjects,
    ) -> Self {
        let gates = gates(&self, live, desired, known);
        let waits = gates.waits(&self);
        if !waits.is_empty() && self.meets_gates(live) {
            let lead = if self.next.event == Event::Nothing { "It waits" } else { "After its checks it waits" };
            self.next.message.push_str(&format!(". {lead} for {}", waits.join("; ")));
        }
        if gates.approval.is_some() && self.next.event == Event::WaitsForAttempt {
            self.notes.push(
                "if the attempt in flight succeeds, something else runs, and this plan gets another id: approve it afterwards"
                    .to_owned(),
            );
        }
        self.gates = (gates != Gates::default()).then_some(gates);
        self
    }

    /// Whether a person must approve the plan.
    #[must_use]
    pub fn awaits_approval(&self) -> bool {
        self.meets_gates(None)
            && self
                .gates
                .as_ref()
                .and_then(|gates| gates.approval.as_ref())
                .is_some_and(|approval| approval.missing() > 0)
    }

    /// Whether a rollout will come to the gates.
    fn meets_gates(&self, live: Option<&CognigyDeployment>) -> bool {
        match self.next.event {
            Event::Starts | Event::Replaces | Event::ChecksAgain | Event::WaitsForAttempt | Event::Retries => true,
            // An attempt that was not submitted goes on.
            Event::Nothing => open_attempt(self, live).is_some(),
            Event::WaitsWhileSuspended
            | Event::WaitsForConfigMap
            | Event::RollsBack
            | Event::EnvironmentInUse
            | Event::Deleted
            | Event::Unknown => false,
        }
    }
}

impl PlannedApproval {
    /// How many people must still approve.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.required.saturating_sub(self.given_by.len())
    }
}

impl PlannedWindow {
    /// Its name, and its reason.
    #[must_use]
    pub fn described(&self) -> String {
        let name = format!("{}/{}", self.namespace, self.name);
        match &self.reason {
            Some(reason) => format!("{name} ({reason})"),
            None => name,
        }
    }

    /// Its state, as the end of a sentence.
    #[must_use]
    pub fn in_words(&self) -> String {
        let kind = self.kind.map(|kind| format!("{}, ", kind.as_str())).unwrap_or_default();
        let next = |verb: &str| self.next_change.as_ref().map(|at| format!(", {verb} {at}")).unwrap_or_default();
        match self.state {
            WindowState::Active => format!("{kind}active{}", next("ends")),
            WindowState::Inactive => format!("{kind}not active{}", next("begins")),
            WindowState::NotEvaluated => format!("{kind}not evaluated yet"),
            WindowState::Unreadable => format!("{kind}unreadable: no rollout starts until it is corrected"),
        }
    }
}

impl Gates {
    /// What a rollout waits for now.
    fn waits(&self, plan: &Plan) -> Vec<String> {
        let mut waits = Vec::new();
        if let Some(requires) = self.requires.as_ref().filter(|requires| requires.state != GateState::Open) {
            let names: Vec<String> = requires.deployments.iter().map(RequiredDeployment::in_words).collect();
            waits.push(names.join(" and "));
        }
        if let Some(approval) = self.approval.as_ref().filter(|approval| approval.missing() > 0) {
            let count = match approval.missing() {
                1 => "1 approval".to_owned(),
                count => format!("{count} approvals"),
            };
            let plan_id = plan.plan_id.as_ref().map(|id| format!(" --plan {id}")).unwrap_or_default();
            waits.push(format!(
                "{count} (`kubectl cognigy approve {} -n {}{plan_id} --reason '…'`)",
                plan.name, plan.namespace
            ));
        }
        waits.extend(
            self.closing_windows()
                .map(|window| format!("the change window {}: {}", window.described(), window.in_words())),
        );
        waits
    }

    /// The windows that hold a rollout back now, by their statuses. One active Allow window is enough for its namespace.
    fn closing_windows(&self) -> impl Iterator<Item = &PlannedWindow> {
        let is_open = |namespace: &str| {
            self.windows.iter().any(|window| {
                window.kind == Some(WindowKind::Allow)
                    && window.state == WindowState::Active
                    && window.namespace == namespace
            })
        };
        self.windows.iter().filter(move |window| match (window.kind, window.state) {
            (_, WindowState::Unreadable) | (Some(WindowKind::Deny), WindowState::Active) => true,
            (Some(WindowKind::Allow), WindowState::Inactive) => !is_open(&window.namespace),
            _ => false,
        })
    }
}

impl RequiredDeployment {
    /// The deployment, and what it must have done.
    #[must_use]
    pub fn in_words(&self) -> String {
        let release = if self.same_release { " with the same release" } else { "" };
        let healthy = match self.healthy_for_seconds {
            0 => String::new(),
            seconds => format!(", healthy for {seconds} s"),
        };
        format!("the success of {}/{}{release}{healthy}", self.namespace, self.name)
    }
}

fn gates(plan: &Plan, live: Option<&CognigyDeployment>, desired: &CognigyDeployment, known: &GateObjects) -> Gates {
    let spec = &desired.spec;
    Gates {
        approval: spec.approval.as_ref().map(|approval| planned_approval(plan, live, approval, known)),
        requires: (!spec.requires.is_empty()).then(|| planned_requires(plan, live, &spec.requires)),
        windows: known.windows.iter().flatten().filter_map(|window| planned_window(window, desired)).collect(),
    }
}

/// The live attempt, if it is about this plan and was not submitted.
fn open_attempt<'l>(plan: &Plan, live: Option<&'l CognigyDeployment>) -> Option<&'l Attempt> {
    let attempt = live?.status.as_ref()?.attempt.as_ref()?;
    let is_open = !attempt.has_intent() && attempt.verdict.is_none();
    (is_open && attempt.plan_id.is_some() && attempt.plan_id == plan.plan_id).then_some(attempt)
}

fn planned_approval(
    plan: &Plan,
    live: Option<&CognigyDeployment>,
    approval: &Approval,
    known: &GateObjects,
) -> PlannedApproval {
    let recorded = open_attempt(plan, live).and_then(|attempt| attempt.gates.as_ref());
    let recorded = recorded.map_or(&[][..], |gates| &gates.approvals).iter().map(|approval| approval.by.clone());
    let is_over = |decision: &CognigyDecision| {
        // An approval that the operator ignores is about another plan than its attempt, which is what an early approval is.
        decision.status.as_ref().is_some_and(|status| match status.state {
            DecisionState::Acted | DecisionState::Expired => true,
            DecisionState::Waiting | DecisionState::Ignored => false,
        })
    };
    let given = known.decisions.iter().flatten().filter(|decision| {
        let spec = &decision.spec;
        spec.verb == Verb::Approve
            && spec.deployment == plan.name
            && spec.environment_id.as_str() == plan.environment_id
            && Some(&spec.plan_id) == plan.plan_id.as_ref()
            && !is_over(decision)
    });
    let given_by: BTreeSet<String> = given.map(|decision| decision.spec.by.clone()).chain(recorded).collect();
    PlannedApproval {
        required: approval.people(),
        given_by: given_by.into_iter().filter(|by| !approval.not_by.contains(by)).collect(),
        not_by: approval.not_by.clone(),
    }
}

fn planned_requires(plan: &Plan, live: Option<&CognigyDeployment>, requires: &[Requirement]) -> PlannedRequires {
    let deployments = requires
        .iter()
        .map(|requirement| RequiredDeployment {
            namespace: requirement.namespace_from(&plan.namespace).to_owned(),
            name: requirement.name.clone(),
            same_release: requirement.same_release,
            healthy_for_seconds: requirement.healthy_for_seconds,
        })
        .collect();
    let is_same = live.is_some_and(|live| live.spec.requires == requires);
    let evaluated = open_attempt(plan, live)
        .filter(|attempt| is_same && attempt.checks.passed_at().is_some())
        .and_then(|attempt| attempt.gates.as_ref());
    let closed = evaluated.and_then(|gates| gates.closed.iter().find(|gate| gate.reason.is_about_upstream()));
    let state = match (evaluated, closed) {
        (None, _) => GateState::NotEvaluated,
        (Some(_), Some(_)) => GateState::Closed,
        (Some(_), None) => GateState::Open,
    };
    PlannedRequires { deployments, state, message: closed.map(|gate| gate.message.clone()) }
}

/// The window, if it applies to the deployment as it will be.
fn planned_window(object: &WindowObject, desired: &CognigyDeployment) -> Option<PlannedWindow> {
    let unreadable = PlannedWindow {
        namespace: object.namespace.clone(),
        name: object.name.clone(),
        kind: None,
        state: WindowState::Unreadable,
        next_change: None,
        reason: None,
    };
    let Some(window) = &object.window else { return Some(unreadable) };
    let labels = desired.metadata.labels.clone().unwrap_or_default();
    if !window.spec.applies_to(desired.spec.environment_id.as_str(), &labels) {
        return None;
    }
    let known = PlannedWindow { kind: Some(window.spec.kind), reason: window.spec.reason.clone(), ..unreadable };
    Some(match ChangeWindowStatus::of(window) {
        None => PlannedWindow { state: WindowState::NotEvaluated, ..known },
        Some(status) if status.problem().is_some() => known,
        Some(status) => PlannedWindow {
            state: if status.active { WindowState::Active } else { WindowState::Inactive },
            next_change: status.next_change.clone(),
            ..known
        },
    })
}
