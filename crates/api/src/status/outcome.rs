//! How attempts end.

use crate::digest::Digest;
use crate::identifier::JobId;
use crate::reason::Reason;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

plain_string_in_the_crd!(Outcome);

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// The environment runs the configuration, and is healthy.
    Succeeded,
    /// The configuration was rolled back.
    RolledBack,
    /// The rollout failed, and Cognigy.AI refused to roll it back.
    RollbackFailed,
    /// The configuration was refused, or the rollout failed and was left in place.
    Failed,
    /// A newer configuration replaced this one before it was submitted.
    Superseded,
    /// A person stopped the attempt, or its resource was deleted, before the rollout succeeded or failed.
    Abandoned,
    /// It is not known whether Cognigy.AI accepted the rollout.
    Unknown,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 7] = [
        Self::Succeeded,
        Self::RolledBack,
        Self::RollbackFailed,
        Self::Failed,
        Self::Superseded,
        Self::Abandoned,
        Self::Unknown,
    ];

    /// The name in the status, in events and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::RolledBack => "RolledBack",
            Self::RollbackFailed => "RollbackFailed",
            Self::Failed => "Failed",
            Self::Superseded => "Superseded",
            Self::Abandoned => "Abandoned",
            Self::Unknown => "Unknown",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// How an attempt ended, why and when. It is never changed once it is written.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// How it ended: Succeeded, RolledBack, RollbackFailed, Failed, Superseded, Abandoned or Unknown.
    pub outcome: Outcome,
    /// Why it ended this way, as a CamelCase word. docs/conditions.md explains each one.
    pub reason: Reason,
    /// When the operator decided the outcome.
    pub at: Timestamp,
}

/// The last attempt that succeeded.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastSuccessful {
    /// The attempt's number.
    pub number: i64,
    /// Hash of the configuration that it deployed.
    pub digest: Digest,
    /// The version of that configuration, for people, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its job at Cognigy.AI.
    pub job_id: JobId,
    /// When it succeeded.
    pub at: Timestamp,
    /// When Cognigy.AI accepted a rollback of this attempt, if it was rolled back after its success. Then the environment no longer
    /// runs this configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_at: Option<Timestamp>,
}

impl LastSuccessful {
    /// The configuration, for people: its version, or the beginning of its digest.
    #[must_use]
    pub fn configuration(&self) -> String {
        self.digest.named(self.version.as_deref())
    }
}

/// An attempt that has ended.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PastAttempt {
    /// The attempt's number.
    pub number: i64,
    /// Hash of the configuration of this attempt.
    pub digest: Digest,
    /// The version of that configuration, for people, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Hash of the release of this attempt: snapshot and dependency locks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Digest>,
    /// For how long the environment was healthy without interruption when the next attempt replaced this one, in seconds. Missing if
    /// it was not healthy then, or if this attempt did not succeed or was rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy_for_seconds: Option<i64>,
    /// Its job at Cognigy.AI, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// When it started.
    pub started_at: Timestamp,
    /// How it ended, why and when.
    pub verdict: Verdict,
}
