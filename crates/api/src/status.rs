//! The status: the state of the current attempt, the outcomes of earlier ones, and the messages that are not delivered yet. It
//! never holds the snapshot, a secret or the URL of a webhook.
//!
//! Everything that must survive a crash is here. All other state is in memory, and may be lost at any time.

mod attempt;
mod gates;
mod outbox;
mod outcome;
mod rollback;
mod running;

use super::claim::EnvironmentClaim;
use super::condition::Condition;
use super::identifier::{DecisionHash, DecisionUid};
pub use attempt::{Attempt, Checks, Health, Job, JobFailure, Step, Submission, SyntheticTrace, Validation};
pub use gates::{ClosedGate, CountedDecision, Gates};
use jiff::Timestamp;
pub use outbox::{DeliveryKind, OutboxEntry};
pub use outcome::{LastSuccessful, Outcome, PastAttempt, Verdict};
pub use rollback::{Rollback, RollbackReason};
pub use running::{RanBefore, Running, running};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The maximum size of a status as JSON, in bytes. A larger status would slow down every watch and could exceed etcd's limit.
pub const MAX_STATUS_BYTES: usize = 96 * 1024;

/// What the operator knows about this deployment.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CognigyDeploymentStatus {
    /// The generation of the spec that this status describes. -1 until the operator has seen the resource.
    #[serde(default = "unobserved")]
    pub observed_generation: i64,

    /// The state of the current attempt in one word, for people. The operator does not use it. Pending, Validating, Tracing, Gated,
    /// Submitting, RollingOut, Monitoring, Succeeded, RollingBack, VerifyingRollback, RolledBack or Failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,

    /// Ready, Reconciling and Stalled, as kstatus defines them, and the stages of the current attempt: Validated, TracePassed,
    /// RolledOut, Healthy, RolledBack and Delivered. GatesOpen is present if the attempt met a closed gate. If an attempt ends before a stage, that stage has no condition.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// The current attempt to deploy a configuration, or the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,

    /// The attempt whose configuration the environment runs, while a newer attempt is not submitted: it may wait at a gate for weeks. A
    /// rollback that is requested meanwhile undoes it. Missing otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing_attempt: Option<Box<Attempt>>,

    /// The claim of this resource on its environment. It is written once Cognigy.AI has accepted a validation. No other resource
    /// deploys to the environment while this resource has a rollout in flight there, or was the last to deploy there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<EnvironmentClaim>,

    /// What the environment runs, for people, as far as this resource knows. Missing if this resource has deployed nothing there, or
    /// if another resource owns the environment. The operator does not query the environment. For spec.requires of other resources, it
    /// reads here whether the environment still runs what the current attempt has deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<Running>,

    /// The last attempt that succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful: Option<LastSuccessful>,

    /// Earlier attempts, the newest first. spec.historyLimit sets the maximum number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub history: Vec<PastAttempt>,

    /// The values of the annotations deploy.cognigy.ai/retry and deploy.cognigy.ai/rollback that were already handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handled_requests: Option<HandledRequests>,

    /// The decisions that the operator has acted on, so that each acts at most once. The newest 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub acted_decisions: Vec<ActedDecision>,

    /// Decisions that were made at this time or earlier do not count, because actedDecisions no longer shows which of them have acted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decisions_ignored_until: Option<Timestamp>,

    /// Audit records and webhook events that their receivers have not accepted yet, the oldest first. At most 40.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub outbox: Vec<OutboxEntry>,
}

plain_string_in_the_crd!(Phase);

/// The state of an attempt in one word, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// The operator has not sent a request to Cognigy.AI yet.
    Pending,
    /// Cognigy.AI validates whether the environment can run the configuration.
    Validating,
    /// The synthetic trace looks for conflicts.
    Tracing,
    /// The checks have passed, and a gate is closed: the rollout waits for approvals, a change window or another deployment.
    Gated,
    /// The rollout is being submitted.
    Submitting,
    /// The job is running.
    RollingOut,
    /// The job has completed, and the environment's health is watched.
    Monitoring,
    /// The environment runs the configuration, and is healthy.
    Succeeded,
    /// The rollback is being requested.
    RollingBack,
    /// The rollback was accepted or refused, and the environment's health is watched.
    VerifyingRollback,
    /// The configuration was rolled back.
    RolledBack,
    /// The attempt failed.
    Failed,
}

impl Phase {
    /// The word in the status and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Validating => "Validating",
            Self::Tracing => "Tracing",
            Self::Gated => "Gated",
            Self::Submitting => "Submitting",
            Self::RollingOut => "RollingOut",
            Self::Monitoring => "Monitoring",
            Self::Succeeded => "Succeeded",
            Self::RollingBack => "RollingBack",
            Self::VerifyingRollback => "VerifyingRollback",
            Self::RolledBack => "RolledBack",
            Self::Failed => "Failed",
        }
    }
}

/// The values of the request annotations that were already handled.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HandledRequests {
    /// The last handled value of deploy.cognigy.ai/retry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<String>,
    /// The last handled value of deploy.cognigy.ai/rollback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<String>,
}

/// A decision that the operator has acted on.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActedDecision {
    /// The uid of the CognigyDecision.
    pub uid: DecisionUid,
    /// Hash of its name and its content. If a GitOps tool creates a deleted decision again, it has another uid and the same hash, and
    /// does not act again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<DecisionHash>,
    /// When it was made.
    pub made_at: Timestamp,
}

fn unobserved() -> i64 {
    -1
}

impl Default for CognigyDeploymentStatus {
    fn default() -> Self {
        Self {
            observed_generation: unobserved(),
            phase: None,
            conditions: Vec::new(),
            attempt: None,
            standing_attempt: None,
            claim: None,
            running: None,
            last_successful: None,
            history: Vec::new(),
            handled_requests: None,
            acted_decisions: Vec::new(),
            decisions_ignored_until: None,
            outbox: Vec::new(),
        }
    }
}

impl CognigyDeploymentStatus {
    /// The last success of this resource, unless it was rolled back.
    #[must_use]
    pub fn standing_success(&self) -> Option<&LastSuccessful> {
        self.last_successful.as_ref().filter(|last| last.rolled_back_at.is_none())
    }

    /// Removes the oldest history entries until the status has at most [`MAX_STATUS_BYTES`].
    pub fn limit_size(&mut self) {
        while self.is_too_large() && self.history.pop().is_some() {}
    }

    fn is_too_large(&self) -> bool {
        serde_json::to_vec(self).is_ok_and(|bytes| bytes.len() > MAX_STATUS_BYTES)
    }
}
