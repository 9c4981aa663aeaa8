//! The rollback of an attempt.

use crate::identifier::IdempotencyKey;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

plain_string_in_the_crd!(RollbackReason);

/// Why a rollback was requested (contract, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RollbackReason {
    /// Health was bad spec.rollbackPolicy.healthThreshold times in a row.
    HealthCheckFailure,
    /// The job failed.
    DeploymentFailed,
    /// There was no verdict before the deadline.
    Timeout,
    /// A person requested it.
    Manual,
    /// The resource was deleted, with the deletion policy Rollback.
    ResourceDeleted,
}

impl RollbackReason {
    /// Every reason.
    pub const ALL: [Self; 5] =
        [Self::HealthCheckFailure, Self::DeploymentFailed, Self::Timeout, Self::Manual, Self::ResourceDeleted];

    /// The value that is sent to Cognigy.AI.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HealthCheckFailure => "health_check_failure",
            Self::DeploymentFailed => "deployment_failed",
            Self::Timeout => "timeout",
            Self::Manual => "manual",
            Self::ResourceDeleted => "resource_deleted",
        }
    }

    /// A description for people. It completes a sentence that begins with "because".
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::HealthCheckFailure => "health was bad",
            Self::DeploymentFailed => "the job failed",
            Self::Timeout => "there was no verdict before the deadline",
            Self::Manual => "a person requested it",
            Self::ResourceDeleted => "the resource was deleted",
        }
    }
}

/// A rollback. The operator writes it before it sends the rollback request.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollback {
    /// The Idempotency-Key of the rollback. Every repeat has the same key.
    pub key: IdempotencyKey,
    /// Why it was requested, as the value that is sent to Cognigy.AI: health_check_failure, deployment_failed, timeout, manual or
    /// resource_deleted.
    pub reason: RollbackReason,
    /// When the operator decided to roll back.
    pub requested_at: Timestamp,
    /// When Cognigy.AI accepted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Timestamp>,
    /// When Cognigy.AI refused it. The operator does not repeat a refused rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_at: Option<Timestamp>,
    /// When the operator stops watching the environment's health after the rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify_until: Option<Timestamp>,
}
