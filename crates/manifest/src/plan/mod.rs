//! What would happen if a manifest were applied, as a pure function.
//!
//! The digests are the operator's own, so that the plan says the same as the operator will. The time is not looked at: a plan
//! of the same objects is always the same.

mod change;
mod gates;
mod next;
mod owner;
mod target;

pub use change::{Action, Change, LONGEST_VALUE, MAX_CHANGES};
pub use gates::{
    GateObjects, GateState, Gates, PlannedApproval, PlannedRequires, PlannedWindow, RequiredDeployment, WindowObject,
    WindowState,
};
pub use next::{Event, Next};
pub use target::{Part, Texts};

use api::spec::{AfterSuccess, CognigyDeploymentSpec};
use api::status::Running;
use api::{CognigyDeployment, Digest, PlanId};
use change::Changes;
use next::Question;
use serde::Serialize;
use target::{Target, Wanted};

/// What would happen. Its fields are the JSON form that docs/plan.md describes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The namespace of the object.
    pub namespace: String,
    /// The name of the object.
    pub name: String,
    /// The environment that it deploys to.
    pub environment_id: String,
    /// Whether the cluster does not have the object yet.
    pub is_new: bool,
    /// What kind of change it is.
    pub kind: Kind,
    /// Which parts of the configuration differ from the live object.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// The id of the plan. Missing if the snapshot is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_id: Option<PlanId>,
    /// The digest of the configuration, as the operator will compute it. Missing if the snapshot is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The digest of what it is checked against.
    pub checks_digest: Digest,
    /// The version of the configuration, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What the environment runs now, as far as the live object knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<Running>,
    /// Whether the environment runs this configuration now, as far as the live object knows.
    pub is_running: bool,
    /// The differences, by path. For a new object, what differs from the defaults.
    pub changes: Vec<Change>,
    /// How many differences are not listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_changes: usize,
    /// What would happen next.
    pub next: Next,
    /// The gates that the rollout meets after its checks. Missing if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gates: Option<Gates>,
    /// How health is watched after the success. Missing if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_success: Option<AfterSuccess>,
    /// What the platform says about the configuration, if it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<Remote>,
    /// What else somebody should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What the platform says about a configuration. Nothing was submitted.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Remote {
    /// The result.
    pub result: RemoteResult,
    /// The Cognigy.AI that was asked, if the credentials are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_origin: Option<String>,
    /// Warnings, errors and conflicts in the platform's own words, or why there is no answer.
    pub messages: Vec<String>,
    /// How much of the environment's capacity will be used, from 0 to 1, as the validation estimates it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_utilization: Option<f64>,
}

/// The result of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum RemoteResult {
    /// The validation and the synthetic trace have passed.
    Passed,
    /// The validation refuses the configuration.
    ValidationRefused,
    /// The synthetic trace has found conflicts.
    TraceRefused,
    /// There is no answer.
    Unanswered,
}

/// What kind of change a manifest makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Kind {
    /// None.
    Nothing,
    /// Only labels or annotations change.
    Metadata,
    /// Only the version that is shown.
    Shown,
    /// Only how a rollout is watched, reported, rolled back or kept. No attempt starts.
    Settings,
    /// What a configuration is checked against. An attempt before its submit repeats its checks.
    Checks,
    /// The configuration: a new attempt is needed.
    Attempt,
    /// The snapshot is not known here.
    Unknown,
}

/// The manifest would be refused by the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the snapshot cannot be deployed: {0}")]
pub struct Refused(#[from] pub api::SnapshotProblem);

impl Plan {
    /// Whether applying the manifest changes anything.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.kind != Kind::Nothing
            || !matches!(self.next.event, Event::Nothing | Event::EnvironmentInUse | Event::Deleted)
    }

    /// Whether the operator would refuse to deploy it.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        let is_refused =
            |remote: &Remote| matches!(remote.result, RemoteResult::ValidationRefused | RemoteResult::TraceRefused);
        self.next.event == Event::EnvironmentInUse || self.remote.as_ref().is_some_and(is_refused)
    }
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// What would happen if the desired object were applied over the live one. `texts` are the texts that the references to
/// ConfigMaps stand for. `others` are the resources of the cluster; they tell who owns the environment.
///
/// # Errors
/// [`Refused`] if the desired snapshot cannot be deployed.
pub fn plan(
    live: Option<&CognigyDeployment>,
    desired: &CognigyDeployment,
    texts: &Texts,
    others: &[CognigyDeployment],
) -> Result<Plan, Refused> {
    let status = live.and_then(|live| live.status.as_ref());
    let attempt = status.and_then(|status| status.attempt.as_ref());
    let running = status.and_then(|status| status.running.clone());
    let success = status.and_then(api::CognigyDeploymentStatus::standing_success);
    let wanted = Wanted::of(&desired.spec, texts.desired.as_deref())?;
    let before = live.and_then(|live| Wanted::of(&live.spec, texts.live.as_deref()).ok());
    let is_awaited = wanted.is_awaited;
    let target = Target::of(&desired.spec, wanted.snapshot.as_ref())?;

    let mut changes = Changes::default();
    target::compare_specs(&mut changes, live.map(|live| &live.spec), &desired.spec);
    let old_snapshot = before.as_ref().and_then(|wanted| wanted.snapshot.as_ref());
    let is_old_unknown = live.is_some() && old_snapshot.is_none();
    let is_other_snapshot = match is_old_unknown {
        // The digest of the latest attempt is all that is known of it.
        true => target.as_ref().is_some_and(|target| attempt.is_none_or(|attempt| attempt.digest != target.digest)),
        false => {
            let new = wanted.snapshot.as_ref();
            target::compare_snapshots(&mut changes, &desired.spec, old_snapshot, new, live.is_none())
        }
    };
    let has_spec_changes = !changes.is_empty() || is_other_snapshot;
    target::compare_metadata(&mut changes, live, desired);

    let parts = live.map(|live| target::parts(&live.spec, &desired.spec, is_other_snapshot)).unwrap_or_default();
    let checks_digest = Digest::of_checks(&desired.spec);
    let is_same_checks = live.is_some_and(|live| Digest::of_checks(&live.spec) == checks_digest);
    let kind = match (live, &target) {
        (_, None) if has_spec_changes || live.is_none() || before.is_none() => Kind::Unknown,
        (None, _) => Kind::Attempt,
        _ if !parts.is_empty()
            && target.as_ref().is_some_and(|target| attempt.is_none_or(|attempt| target.digest != attempt.digest)) =>
        {
            Kind::Attempt
        }
        _ if has_spec_changes && !is_same_checks => Kind::Checks,
        (Some(live), _) if has_spec_changes && target::is_only_shown(&live.spec, &desired.spec) => Kind::Shown,
        _ if has_spec_changes => Kind::Settings,
        _ if !changes.is_empty() => Kind::Metadata,
        _ => Kind::Nothing,
    };
    let owner = owner::find(live, desired, others);
    let certain = owner.as_ref().filter(|owner| owner.is_certain);
    let next = Question { live, desired, target: target.as_ref(), kind, is_awaited, owner: certain }.answer();
    let mut notes = wanted.notes;
    if let Some(owner) = owner.as_ref().filter(|owner| !owner.is_certain) {
        notes.push(format!(
            "{owner} owns environment {}. If this resource uses the same Cognigy.AI, it will be Stalled with EnvironmentInUse",
            desired.spec.environment_id
        ));
    }
    if is_old_unknown && is_other_snapshot {
        notes
            .push("the live snapshot is in a ConfigMap that cannot be read: its differences are not listed".to_owned());
    }
    if live.is_some() && status.is_none_or(|status| status.observed_generation < 0) {
        notes.push(
            "the operator has not seen the live object yet: check that it runs and watches this namespace".to_owned(),
        );
    }
    if kind == Kind::Settings && !parts.is_empty() {
        notes.push("the latest attempt was already at this configuration".to_owned());
    }
    let is_running = success.is_some_and(|success| {
        let is_it = |running: &Running| running.attempt == success.number && running.before.is_none();
        running.as_ref().is_some_and(is_it) && target.as_ref().is_some_and(|target| target.digest == success.digest)
    });
    Ok(Plan {
        namespace: desired.metadata.namespace.clone().unwrap_or_default(),
        name: desired.metadata.name.clone().unwrap_or_default(),
        environment_id: desired.spec.environment_id.to_string(),
        is_new: live.is_none(),
        kind,
        parts,
        plan_id: target
            .as_ref()
            .map(|target| PlanId::of(&target.digest, &checks_digest, success.map(|last| &last.digest))),
        digest: target.map(|target| target.digest),
        checks_digest,
        version: wanted.snapshot.as_ref().and_then(|snapshot| desired.version_of(snapshot)),
        running,
        is_running,
        changes: changes.listed,
        more_changes: changes.more,
        next,
        gates: None,
        after_success: desired.spec.monitoring.after_success,
        remote: None,
        notes,
    })
}

/// The snapshot that a spec wants deployed, if it is known: the one in the spec, or the one in the text of its ConfigMap.
#[must_use]
pub fn snapshot_of(spec: &CognigyDeploymentSpec, text: Option<&str>) -> Option<api::Snapshot> {
    Wanted::of(spec, text).ok()?.snapshot
}

/// A spec in which every field has its default.
fn defaults() -> Option<CognigyDeploymentSpec> {
    serde_json::from_value(serde_json::json!({"environmentId": ""})).ok()
}
