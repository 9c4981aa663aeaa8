//! What the environment runs, by the record of this resource. The environment itself is not queried.

use super::{Attempt, CognigyDeploymentStatus, Outcome};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest text that is repeated in the text of the next rollout, in bytes: the id of a snapshot with a word before it. Without
/// a limit, the text would grow with each submit whose outcome is not known.
const LONGEST_REPEATED: usize = 270;

/// What the environment runs, as far as this resource knows.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Running {
    /// The configuration, for people: a version or the beginning of a digest such as `2.4.1`. `2.4.1 or 2.5.0`: a rollout changes it, or
    /// failed before its job had completed. `perhaps 2.5.0`: the same, and this resource does not know what ran before. `2.5.0 (bad)`: it
    /// failed, and was left in place. `snapshot snap_x` or `before 2.5.0`: a rollback has restored this snapshot, or the one before 2.5.0.
    pub configuration: String,
    /// Since when: when the configuration succeeded or failed, when its rollback was accepted, or when a rollout began to change it.
    pub since: Timestamp,
    /// The number of the attempt that has brought the environment into this state.
    pub attempt: i64,
    /// What ran before this attempt. Present while it is not certain what the attempt has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<RanBefore>,
}

/// What the environment ran before an attempt.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RanBefore {
    /// The configuration, for people.
    pub configuration: String,
    /// Since when.
    pub since: Timestamp,
    /// The number of the attempt that had brought the environment into this state.
    pub attempt: i64,
}

impl From<RanBefore> for Running {
    fn from(RanBefore { configuration, since, attempt }: RanBefore) -> Self {
        Self { configuration, since, attempt, before: None }
    }
}

impl From<Running> for RanBefore {
    fn from(Running { configuration, since, attempt, .. }: Running) -> Self {
        Self { configuration, since, attempt }
    }
}

/// What the environment runs, given the attempt and the record of what ran before it. `None`: this resource has deployed nothing.
///
/// The record in the status is needed, because an attempt that submits nothing changes nothing, and the history may be empty.
#[must_use]
pub fn running(status: &CognigyDeploymentStatus) -> Option<Running> {
    let recorded = status.running.clone();
    let Some(attempt) = &status.attempt else { return recorded };
    let before = match recorded {
        Some(recorded) if recorded.attempt == attempt.number => recorded.before.map(Running::from),
        recorded => recorded,
    };
    let Some(intended_at) = attempt.intended_at() else { return before };
    let name = name(attempt);
    let certain = |configuration, since| Some(Running { configuration, since, attempt: attempt.number, before: None });
    if let Some(accepted_at) = attempt.rollback.as_ref().and_then(|rollback| rollback.accepted_at) {
        return certain(restored(attempt, name), accepted_at);
    }
    let Some(verdict) = &attempt.verdict else { return Some(perhaps(attempt, name, intended_at, before)) };
    match verdict.outcome {
        Outcome::Succeeded => certain(name.to_owned(), verdict.at),
        Outcome::RolledBack => certain(restored(attempt, name), verdict.at),
        // Cognigy.AI refused the submit.
        Outcome::Failed | Outcome::RollbackFailed | Outcome::Superseded if attempt.job.is_none() => before,
        Outcome::Failed | Outcome::RollbackFailed if attempt.job_completed_at().is_some() => {
            certain(format!("{name} (bad)"), verdict.at)
        }
        Outcome::Failed | Outcome::RollbackFailed | Outcome::Superseded | Outcome::Abandoned | Outcome::Unknown => {
            Some(perhaps(attempt, name, intended_at, before))
        }
    }
}

/// The configuration of the attempt, or the one before it.
fn perhaps(attempt: &Attempt, name: &str, since: Timestamp, before: Option<Running>) -> Running {
    let repeated = before.as_ref().map(|before| before.configuration.as_str());
    let configuration = match repeated.filter(|before| before.len() <= LONGEST_REPEATED) {
        Some(before) if before == name => name.to_owned(),
        Some(before) => format!("{before} or {name}"),
        None => format!("perhaps {name}"),
    };
    Running { configuration, since, attempt: attempt.number, before: before.map(RanBefore::from) }
}

fn restored(attempt: &Attempt, name: &str) -> String {
    match attempt.submission.as_ref().and_then(|submission| submission.revert_snapshot_id.as_ref()) {
        Some(snapshot) => format!("snapshot {snapshot}"),
        None => format!("before {name}"),
    }
}

fn name(attempt: &Attempt) -> &str {
    attempt.version.as_deref().unwrap_or_else(|| attempt.digest.short())
}

impl CognigyDeploymentStatus {
    /// What the environment runs, in a few words for a table.
    #[must_use]
    pub fn running_in_short(&self) -> String {
        match &self.running {
            Some(running) => running.configuration.clone(),
            None if self.last_successful.is_some() => "not known".to_owned(),
            None => "nothing yet".to_owned(),
        }
    }

    /// What the environment runs, in a sentence without its end.
    #[must_use]
    pub fn running_in_words(&self) -> String {
        let Some(running) = &self.running else {
            return match self.last_successful {
                Some(_) => "it is not known what the environment runs; the message says who owns it".to_owned(),
                None => "this resource has deployed nothing yet".to_owned(),
            };
        };
        let text = &running.configuration;
        let Some(attempt) = self.attempt.as_ref().filter(|attempt| attempt.number == running.attempt) else {
            let success = self.standing_success().filter(|success| success.number == running.attempt);
            return match success {
                Some(success) => format!("the environment runs {}", success.configuration()),
                None => format!("the environment runs the same as before the latest attempt: {text}"),
            };
        };
        let configuration = attempt.configuration();
        let has_rollback = attempt.rollback.as_ref().is_some_and(|rollback| rollback.accepted_at.is_some());
        match attempt.outcome() {
            Some(_) if has_rollback => rolled_back(attempt),
            Some(Outcome::RolledBack) => rolled_back(attempt),
            None => match &running.before {
                Some(before) => format!("the environment is changing from {} to {configuration}", before.configuration),
                None => format!("the environment is changing to {configuration}"),
            },
            Some(Outcome::Succeeded) => format!("the environment runs {configuration}"),
            Some(_) if running.before.is_none() && attempt.job_completed_at().is_some() => {
                format!("the environment still runs {configuration}, which is bad")
            }
            Some(_) => format!("it is not known whether the environment runs {configuration}; it runs: {text}"),
        }
    }
}

fn rolled_back(attempt: &Attempt) -> String {
    let configuration = attempt.configuration();
    match attempt.submission.as_ref().and_then(|submission| submission.revert_snapshot_id.as_ref()) {
        Some(snapshot) => {
            format!("the environment runs the snapshot {snapshot} again; {configuration} was rolled back")
        }
        None => {
            format!("the environment runs the snapshot before {configuration} again; {configuration} was rolled back")
        }
    }
}
