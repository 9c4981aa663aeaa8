//! What runs in the environment, by the record of this resource.

use api::status::{Attempt, CognigyDeploymentStatus, LastSuccessful, Outcome};
use jiff::Timestamp;

/// What the environment runs, as far as this resource knows. It is the operator's record; the environment itself is not
/// queried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Running {
    /// This resource has deployed nothing that is still there.
    Nothing,
    /// A configuration that succeeded.
    Deployed {
        /// Its version or digest.
        configuration: String,
        /// When it succeeded.
        since: Timestamp,
    },
    /// A rollout is in flight: the environment may run the old or the new configuration.
    Changing {
        /// What was there before, if this resource deployed it.
        from: Option<String>,
        /// What is being deployed.
        to: String,
        /// When the submit was intended.
        since: Timestamp,
    },
    /// A configuration that is known to be bad is still there.
    Bad {
        /// Its version or digest.
        configuration: String,
        /// When that was known.
        since: Timestamp,
    },
    /// A rollback has restored an earlier snapshot.
    Restored {
        /// The snapshot that the policy named. `None`: the snapshot before the one that was rolled back.
        snapshot: Option<String>,
        /// What was rolled back.
        instead_of: String,
        /// When Cognigy.AI accepted the rollback.
        since: Timestamp,
    },
    /// Nobody can tell whether the last submit was accepted.
    Unknown {
        /// What was submitted.
        configuration: String,
        /// When.
        since: Timestamp,
    },
}

/// What the environment runs.
#[must_use]
pub fn running(status: &CognigyDeploymentStatus) -> Running {
    let last = status.last_successful.as_ref();
    let Some(attempt) = &status.attempt else { return last.map_or(Running::Nothing, before) };
    let Some(intended_at) = attempt.intended_at() else { return last.map_or(Running::Nothing, before) };
    let configuration = attempt.configuration();
    if let Some(since) = attempt.rollback.as_ref().and_then(|rollback| rollback.accepted_at) {
        return restored(attempt, since);
    }
    let Some(verdict) = &attempt.verdict else {
        let from = last.filter(|last| last.rolled_back_at.is_none()).map(LastSuccessful::configuration);
        return Running::Changing { from, to: configuration, since: intended_at };
    };
    match verdict.outcome {
        Outcome::Succeeded => Running::Deployed { configuration, since: verdict.at },
        Outcome::RolledBack => restored(attempt, verdict.at),
        Outcome::Failed | Outcome::RollbackFailed if attempt.job.is_some() => {
            Running::Bad { configuration, since: verdict.at }
        }
        Outcome::Unknown | Outcome::Abandoned => Running::Unknown { configuration, since: intended_at },
        // Refused: the environment runs what it ran before.
        Outcome::Failed | Outcome::RollbackFailed | Outcome::Superseded => last.map_or(Running::Nothing, before),
    }
}

fn restored(attempt: &Attempt, since: Timestamp) -> Running {
    Running::Restored {
        snapshot: attempt.submission.as_ref().and_then(|submission| submission.revert_snapshot_id.clone()),
        instead_of: attempt.configuration(),
        since,
    }
}

fn before(last: &LastSuccessful) -> Running {
    match last.rolled_back_at {
        Some(since) => Running::Restored { snapshot: None, instead_of: last.configuration(), since },
        None => Running::Deployed { configuration: last.configuration(), since: last.at },
    }
}

impl Running {
    /// A few words for a table, and since when.
    #[must_use]
    pub fn short(&self) -> (String, Option<Timestamp>) {
        match self {
            Self::Nothing => ("nothing yet".to_owned(), None),
            Self::Deployed { configuration, since } => (bare(configuration), Some(*since)),
            Self::Changing { from: Some(from), to, since } => (format!("{} or {}", bare(from), bare(to)), Some(*since)),
            Self::Changing { from: None, to, since } => (format!("perhaps {}", bare(to)), Some(*since)),
            Self::Bad { configuration, since } => (format!("{} (bad)", bare(configuration)), Some(*since)),
            Self::Restored { snapshot: Some(snapshot), since, .. } => (format!("snapshot {snapshot}"), Some(*since)),
            Self::Restored { snapshot: None, instead_of, since } => {
                (format!("before {}", bare(instead_of)), Some(*since))
            }
            Self::Unknown { configuration, since } => (format!("perhaps {}", bare(configuration)), Some(*since)),
        }
    }

    /// A sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Nothing => "this resource has deployed nothing yet".to_owned(),
            Self::Deployed { configuration, .. } => format!("the environment runs {configuration}"),
            Self::Changing { from: Some(from), to, .. } => {
                format!("the environment is changing from {from} to {to}")
            }
            Self::Changing { from: None, to, .. } => format!("the environment is changing to {to}"),
            Self::Bad { configuration, .. } => format!("the environment still runs {configuration}, which is bad"),
            Self::Restored { snapshot: Some(snapshot), instead_of, .. } => {
                format!("the environment runs the snapshot {snapshot} again; {instead_of} was rolled back")
            }
            Self::Restored { snapshot: None, instead_of, .. } => {
                format!("the environment runs the snapshot before {instead_of} again; {instead_of} was rolled back")
            }
            Self::Unknown { configuration, .. } => {
                format!("nobody can tell whether the environment runs {configuration}: its submit was not answered")
            }
        }
    }
}

/// The version without the word before it.
fn bare(configuration: &str) -> String {
    configuration
        .strip_prefix("version ")
        .or_else(|| configuration.strip_prefix("configuration "))
        .unwrap_or(configuration)
        .to_owned()
}
