//! The times in which rollouts may start.

// Clippy reports the keys of one print column as duplicates of another's.
#![allow(clippy::duplicated_attributes)]

use crate::condition::ConditionStatus;
use crate::schedule_rules;
use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// When rollouts may start, or must not.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "deploy.cognigy.ai",
    version = "v1alpha1",
    kind = "ChangeWindow",
    plural = "changewindows",
    shortname = "cw",
    category = "cognigy",
    namespaced,
    status = "ChangeWindowStatus",
    derive = "PartialEq",
    cel,
    doc = "The times in which rollouts may start (Allow), or must not start (Deny). In the operator's own namespace it applies to all CognigyDeployments, elsewhere to those of its namespace. It never stops or delays a rollout that has started, a rollback or a message.",
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type", description = "Allow or Deny."),
    printcolumn(
        name = "Active",
        type_ = "string",
        json_path = ".status.active",
        description = "Whether the window is active now."
    ),
    printcolumn(
        name = "Next Change",
        type_ = "string",
        json_path = ".status.nextChange",
        description = "When the window begins or ends next, in its time zone."
    ),
    printcolumn(
        name = "Schedule",
        type_ = "string",
        json_path = ".spec.recurring.schedule",
        description = "When the window begins, if it recurs."
    ),
    printcolumn(name = "Time Zone", type_ = "string", json_path = ".spec.timeZone"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".spec.reason",
        priority = 1,
        description = "Why the window exists."
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1,
        description = "Whether the operator can read the window."
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.recurring) != has(self.once)")
        .message("write exactly one of recurring (a cron schedule and a duration) and once (from and to)")
)]
pub struct ChangeWindowSpec {
    /// Allow: rollouts may start only while an Allow window is active. Deny: no rollout starts while it is active. Deny wins.
    #[serde(rename = "type")]
    pub kind: WindowKind,

    /// The time zone of the schedule, by its name in the time zone database: Europe/Berlin, America/New_York, UTC. There is no default.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(
        validation = Rule::new("self in ['UTC', 'Etc/UTC'] || (self.matches('^[A-Z][A-Za-z0-9_-]*(/[A-Z][A-Za-z0-9_-]*){1,2}$') && !self.startsWith('Etc/'))")
            .message("timeZone must be a name of the time zone database such as Europe/Berlin, or UTC; an offset such as Etc/GMT+1 ignores daylight saving time")
    )]
    pub time_zone: String,

    /// The window recurs. Set either this field or once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurring: Option<Recurring>,

    /// The window is active once. Set either this field or recurring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once: Option<Once>,

    /// The environments that the window applies to, by spec.environmentId. Empty: all environments. At most 256.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 253)), extend("x-kubernetes-list-type" = "set"))]
    pub environment_ids: Vec<String>,

    /// The window applies to CognigyDeployments with all of these labels. Empty: to all. If environmentIds is set as well, both must
    /// match. Whoever may edit a CognigyDeployment can also change its labels, so select by environment what must not be avoided.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub match_labels: BTreeMap<String, String>,

    /// Why the window exists, for people: Christmas freeze. It is part of the messages to those who wait. At most 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub reason: Option<String>,
}

impl ChangeWindowSpec {
    /// Whether the window applies to a deployment with this environment and these labels, as far as its selectors say.
    #[must_use]
    pub fn applies_to(&self, environment_id: &str, labels: &BTreeMap<String, String>) -> bool {
        let is_environment =
            self.environment_ids.is_empty() || self.environment_ids.iter().any(|id| id == environment_id);
        is_environment && self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}

impl WindowKind {
    /// The word in the spec.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Deny => "Deny",
        }
    }
}

impl ChangeWindowStatus {
    /// What the operator says about a window now. `None` if it has not evaluated this generation of the window yet.
    #[must_use]
    pub fn of(window: &ChangeWindow) -> Option<&Self> {
        let generation = window.metadata.generation.unwrap_or_default();
        window.status.as_ref().filter(|status| status.observed_generation >= generation)
    }

    /// Why the operator cannot read the window, if it cannot.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        let ready = self.conditions.iter().find(|condition| condition.condition_type == "Ready")?;
        (ready.status == ConditionStatus::False).then_some(ready.message.as_str())
    }
}

/// Whether a window allows or denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum WindowKind {
    /// Rollouts may start while it is active, and not otherwise.
    Allow,
    /// No rollout starts while it is active.
    Deny,
}

/// A window that recurs.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recurring {
    /// When the window begins: minute, hour, day of month, month, day of week, as in cron, in the time zone of the window. `0 9 * * 1-5`
    /// is 9:00 from Monday to Friday. If clocks go forward over the time, the window begins right after the gap; if clocks go back, it
    /// begins once. Day of month and day of week cannot both be restricted.
    #[schemars(length(min = 9, max = 128))]
    #[x_kube(
        validation = Rule::new(schedule_rules::FIVE_FIELDS).message("schedule must have five fields with spaces between them: minute, hour, day of month, month, day of week, for example '0 9 * * 1-5' for 9:00 from Monday to Friday"),
        validation = Rule::new(schedule_rules::minute()).message("the minute of the schedule must be '*', 0-59, a range such as 0-30, or a list of these, each with or without a step from /1 to /59"),
        validation = Rule::new(schedule_rules::hour()).message("the hour of the schedule must be '*', 0-23, a range such as 9-17, or a list of these, each with or without a step from /1 to /23"),
        validation = Rule::new(schedule_rules::day_of_month()).message("the day of month of the schedule must be '*', 1-31, a range such as 1-7, or a list of these, each with or without a step from /1 to /31"),
        validation = Rule::new(schedule_rules::month()).message("the month of the schedule must be '*', 1-12, JAN-DEC in capital letters, a range of two numbers or two names, or a list of these, each with or without a step from /1 to /12"),
        validation = Rule::new(schedule_rules::day_of_week()).message("the day of week of the schedule must be '*', 0-7, SUN-SAT in capital letters, a range of two numbers or two names, or a list of these, each with or without a step from /1 to /7"),
        validation = Rule::new(schedule_rules::ranges_ascend()).message("a range of the schedule must ascend: write two, such as 22-23,0-6 instead of 22-6, and FRI-SUN,MON instead of FRI-MON"),
        validation = Rule::new(schedule_rules::ONE_DAY_FIELD).message("schedule must not restrict both the day of month and the day of week, because it is ambiguous whether both must match: write '*' for one of them, and use two windows if needed")
    )]
    pub schedule: String,

    /// How long the window stays active, in seconds, from 60 to 2678400 (31 days). It is elapsed time, also if clocks change meanwhile.
    #[x_kube(
        validation = Rule::new("self >= 60 && self <= 2678400").message("durationSeconds must be from 60 to 2678400 (31 days)")
    )]
    pub duration_seconds: i32,
}

/// A window that is active once.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.from < self.to").message("once.to must be later than once.from"),
    validation = Rule::new("self.to - self.from <= duration('8784h')").message("once.to must be at most 366 days after once.from")
)]
pub struct Once {
    /// When the window begins, with an offset or Z: 2026-12-19T18:00:00+01:00.
    pub from: Timestamp,
    /// When the window ends, with an offset or Z: 2027-01-04T06:00:00+01:00.
    pub to: Timestamp,
}

/// What the operator knows about a window.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeWindowStatus {
    /// The generation of the spec that this status describes.
    #[serde(default)]
    pub observed_generation: i64,
    /// Whether the window is active now.
    #[serde(default)]
    pub active: bool,
    /// When the window begins or ends next. Missing if it never does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_change_at: Option<Timestamp>,
    /// The same in the time zone of the window, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_change: Option<String>,
    /// Ready: the operator can read the window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<WindowCondition>,
}

/// A condition of a window.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowCondition {
    /// Ready.
    #[serde(rename = "type")]
    pub condition_type: String,
    /// True if the operator can read the window. False if not: then no rollout to which it applies starts.
    pub status: ConditionStatus,
    /// The generation of the spec that this condition describes.
    #[serde(default)]
    pub observed_generation: i64,
    /// When the status last changed.
    pub last_transition_time: Timestamp,
    /// Accepted or Unreadable.
    pub reason: String,
    /// What is wrong, and what to write instead.
    #[serde(default)]
    pub message: String,
}
