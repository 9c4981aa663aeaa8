//! Deployment jobs, and how they change with time.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::environment::Deployed;
use super::identifier::JobId;
use super::script::JobOutcome;
use super::time::{after, since};

/// A deployment job.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// When it was submitted.
    pub submitted_at: Timestamp,
    /// The idempotency key of the submit.
    pub idempotency_key: Option<String>,
    /// The body of the submit.
    pub submission: Value,
    /// Its state.
    pub phase: Phase,
    /// The configuration that this job replaced. Present once the job has replaced it. A rollback restores it.
    pub replaced: Option<Deployed>,
    /// The rollback that was accepted.
    pub rollback: Option<Rollback>,
    /// How long after its completion the platform rolls it back automatically.
    #[serde(skip)]
    pub(super) platform_rollback_after: Option<Duration>,
}

/// The state of a job.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Phase {
    /// The platform works on it.
    Working {
        /// When it ends; it never ends if there is no time.
        ends_at: Option<Timestamp>,
        /// How it ends.
        outcome: JobOutcome,
    },
    /// It ended.
    Ended {
        /// Its outcome.
        outcome: JobOutcome,
        /// When.
        at: Timestamp,
    },
    /// A rollback was accepted and is under way.
    RollingBack {
        /// When it is done.
        done_at: Timestamp,
    },
    /// The earlier configuration is restored.
    RolledBack {
        /// When it was restored.
        at: Timestamp,
    },
}

/// A rollback that a client requested.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollback {
    /// The reason that was given.
    pub reason: String,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// Its idempotency key.
    pub idempotency_key: Option<String>,
}

impl Job {
    /// The `status` of the contract's section 4. During the first tenth of its duration, a job is `queued`.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> &'static str {
        match &self.phase {
            Phase::Working { ends_at: Some(ends_at), .. } => {
                let length = since(*ends_at, self.submitted_at);
                if since(now, self.submitted_at) * 10 < length { "queued" } else { "running" }
            }
            Phase::Working { ends_at: None, .. } => "running",
            Phase::Ended { outcome, .. } => match outcome {
                JobOutcome::Completed => "completed",
                JobOutcome::Failed => "failed",
                JobOutcome::Error => "error",
                JobOutcome::Cancelled => "cancelled",
                JobOutcome::RolledBack => "rolled_back",
                JobOutcome::NeverEnds => "running",
            },
            Phase::RollingBack { .. } => "rolling_back",
            Phase::RolledBack { .. } => "rolled_back",
        }
    }

    /// Whether the platform is working on it.
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        matches!(self.phase, Phase::Working { .. } | Phase::RollingBack { .. })
    }

    /// When the job next changes without a request.
    pub(super) fn changes_at(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Working { ends_at, .. } => *ends_at,
            Phase::Ended { outcome: JobOutcome::Completed, at } => {
                self.platform_rollback_after.map(|wait| after(*at, wait))
            }
            Phase::RollingBack { done_at } => Some(*done_at),
            Phase::Ended { .. } | Phase::RolledBack { .. } => None,
        }
    }

    /// The snapshot that a rollback of this job restores, if the submit names one.
    pub(super) fn revert_snapshot_id(&self) -> Option<&str> {
        self.submission["rollback_policy"]["revert_snapshot_id"].as_str()
    }
}
