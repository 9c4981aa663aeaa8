//! What the operator answers: where the current attempt stands, what came of earlier ones, and what is still to be
//! delivered. Never the snapshot, never a secret, never a webhook's URL.
//!
//! Everything that must survive a crash is here; whatever is not, lives in memory and may be forgotten at any time.

mod size;

use super::claim::EnvironmentClaim;
use super::condition::Condition;
use super::digest::Digest;
use super::identifier::{ApiOrigin, ClientHash, IdempotencyKey, JobId, RequestHash};
use super::reason::Reason;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

pub use size::MAX_STATUS_BYTES;

/// What the operator knows about this deployment.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CognigyDeploymentStatus {
    /// The generation of the spec that this status speaks of; -1 before the operator has seen the resource.
    #[serde(default = "unobserved")]
    pub observed_generation: i64,

    /// Where the current attempt stands, for people; nothing decides by it. Pending, Validating, Tracing, Submitting,
    /// RollingOut, Monitoring, Succeeded, RollingBack, VerifyingRollback, RolledBack or Failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,

    /// Ready, Reconciling and Stalled as kstatus reads them, and the story of the current attempt: Validated,
    /// TracePassed, RolledOut, Healthy, RolledBack, Delivered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// The current attempt to bring one configuration into the environment, or the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,

    /// The claim on the environment, since a validation was accepted: no other resource deploys there while this one has
    /// deployed last or has a rollout in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<EnvironmentClaim>,

    /// The last attempt that succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful: Option<LastSuccessful>,

    /// Earlier attempts, the newest first; spec.historyLimit says how many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub history: Vec<PastAttempt>,

    /// The values of the request annotations that were already acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handled_requests: Option<HandledRequests>,

    /// Audit records and webhook events that their receivers have not taken yet, the oldest first; 40 at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub outbox: Vec<OutboxEntry>,
}

plain_string_in_the_crd!(Phase, Step, Outcome, RollbackReason, DeliveryKind);

/// Where an attempt stands, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Nothing has been asked of Cognigy.AI yet.
    Pending,
    /// The environment is asked whether it can take the configuration.
    Validating,
    /// The synthetic trace looks for conflicts.
    Tracing,
    /// The rollout is being submitted.
    Submitting,
    /// The job is running.
    RollingOut,
    /// The job has completed; the environment's health is watched.
    Monitoring,
    /// The environment runs what was asked for, and is well.
    Succeeded,
    /// The rollback is being asked for.
    RollingBack,
    /// The rollback was accepted or refused; the environment's health is watched.
    VerifyingRollback,
    /// What was there before runs again.
    RolledBack,
    /// The attempt failed.
    Failed,
}

/// One try to bring one configuration into the environment.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Counts the attempts of this resource, from 1.
    pub number: i64,

    /// What this attempt brings into the environment: environment, snapshot, locks and capacity, as one hash.
    pub digest: Digest,

    /// What this attempt is checked against before its submit: isolation rules and trace options, as one hash.
    pub checks_digest: Digest,

    /// The generation of the spec that started this attempt.
    pub generation: i64,

    /// How far this attempt is; the operator decides by it. Pending, Validating, Tracing, Submitting, RollingOut, Monitoring,
    /// RollingBack, VerifyingRollback or Settled.
    pub step: Step,

    /// The Cognigy.AI that this attempt talks to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_origin: Option<ApiOrigin>,

    /// Hash over the API client that the submit is sent as. Cognigy.AI knows a key only from the client that used it: a
    /// repeat by another client is never sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_hash: Option<ClientHash>,

    /// Hash over the submit's exact body: a repeat with another body is never sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_hash: Option<RequestHash>,

    /// The key under which the submit is sent, however often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<IdempotencyKey>,

    /// The Cognigy.AI job of this attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,

    /// When this attempt began.
    pub started_at: Timestamp,

    /// When the intent to submit was written: from here on the rollout may be out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<Timestamp>,

    /// When Cognigy.AI was found to have taken the rollout, where that was more than spec.monitoring.intervalSeconds after
    /// the intent: the time for a verdict then runs from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Timestamp>,

    /// By when there must be a verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_at: Option<Timestamp>,

    /// When the job was seen to have completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_completed_at: Option<Timestamp>,

    /// Bad health answers in a row.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bad_streak: i32,

    /// Good health answers in a row.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub good_streak: i32,

    /// When the last health answer that counted was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_counted_at: Option<Timestamp>,

    /// How this attempt ended; never rewritten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,

    /// The rollback of this attempt, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,

    /// The synthetic trace's id at Cognigy.AI, cut at 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,

    /// What the validation warned of; 10 at most, 256 bytes each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub warnings: Vec<String>,

    /// How full the environment will be, 0 to 1, by the validation's estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_utilization: Option<f64>,
}

/// How far an attempt is. The operator decides by it; [`Phase`] is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Step {
    /// Waiting for what it needs: the snapshot, credentials, the environment.
    Pending,
    /// The validation comes next.
    Validating,
    /// The validation has passed; the synthetic trace comes next.
    Tracing,
    /// The intent to submit is written: the rollout may be out.
    Submitting,
    /// The job is known and running.
    RollingOut,
    /// The job has completed; health decides.
    Monitoring,
    /// The intent to roll back is written.
    RollingBack,
    /// The rollback was accepted or refused; health is watched until it is good.
    VerifyingRollback,
    /// Nothing more is to be done for this attempt.
    Settled,
}

impl Step {
    /// Every step, in the order in which an attempt takes them.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Validating,
        Self::Tracing,
        Self::Submitting,
        Self::RollingOut,
        Self::Monitoring,
        Self::RollingBack,
        Self::VerifyingRollback,
        Self::Settled,
    ];

    /// The name as it stands in status and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Validating => "Validating",
            Self::Tracing => "Tracing",
            Self::Submitting => "Submitting",
            Self::RollingOut => "RollingOut",
            Self::Monitoring => "Monitoring",
            Self::RollingBack => "RollingBack",
            Self::VerifyingRollback => "VerifyingRollback",
            Self::Settled => "Settled",
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// The environment runs the configuration, and is well.
    Succeeded,
    /// The configuration is out of the environment again.
    RolledBack,
    /// The configuration went bad, and Cognigy.AI refused to roll it back.
    RollbackFailed,
    /// The configuration was refused, or went bad and was left in place.
    Failed,
    /// A newer configuration took this one's place before it was submitted.
    Superseded,
    /// A person stopped it, or its resource was deleted, before there was a verdict.
    Abandoned,
    /// Nobody can say whether the rollout was accepted.
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

    /// The name as it stands in status, events and metrics.
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

/// How an attempt ended, why and when. Once recorded it is never rewritten.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// How it ended: Succeeded, RolledBack, RollbackFailed, Failed, Superseded, Abandoned or Unknown.
    pub outcome: Outcome,
    /// Why, as a CamelCase word; docs/conditions.md explains each.
    pub reason: Reason,
    /// When it was known.
    pub at: Timestamp,
}

/// Why a rollback was asked for (contract, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RollbackReason {
    /// Health was bad as often in a row as the policy allows.
    HealthCheckFailure,
    /// The job ended badly.
    DeploymentFailed,
    /// There was no verdict in time.
    Timeout,
    /// A person asked for it.
    Manual,
    /// The resource was deleted, with the deletion policy Rollback.
    ResourceDeleted,
}

impl RollbackReason {
    /// Every reason.
    pub const ALL: [Self; 5] =
        [Self::HealthCheckFailure, Self::DeploymentFailed, Self::Timeout, Self::Manual, Self::ResourceDeleted];

    /// The word on the wire.
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

    /// What people are told, as the end of a sentence.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::HealthCheckFailure => "health was bad",
            Self::DeploymentFailed => "the job ended badly",
            Self::Timeout => "there was no verdict in time",
            Self::Manual => "a person asked for it",
            Self::ResourceDeleted => "the resource was deleted",
        }
    }
}

/// A rollback that was decided on: written before it is asked for.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollback {
    /// The key under which it is asked for, however often.
    pub key: IdempotencyKey,
    /// Why, in the word that Cognigy.AI is told: health_check_failure, deployment_failed, timeout, manual or
    /// resource_deleted.
    pub reason: RollbackReason,
    /// When it was decided on.
    pub requested_at: Timestamp,
    /// When Cognigy.AI accepted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Timestamp>,
    /// When Cognigy.AI refused it for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_at: Option<Timestamp>,
    /// Until when the environment's health is watched after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify_until: Option<Timestamp>,
}

/// The last attempt that succeeded.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastSuccessful {
    /// The attempt's number.
    pub number: i64,
    /// What it brought into the environment.
    pub digest: Digest,
    /// Its job at Cognigy.AI.
    pub job_id: JobId,
    /// When it succeeded.
    pub at: Timestamp,
}

/// The core of an attempt that has ended.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PastAttempt {
    /// The attempt's number.
    pub number: i64,
    /// What it was to bring into the environment.
    pub digest: Digest,
    /// Its job at Cognigy.AI, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// When it began.
    pub started_at: Timestamp,
    /// How it ended, why and when.
    pub verdict: Verdict,
}

/// The values of the request annotations that were already acted on.
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

/// A message that its receiver has not taken yet.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutboxEntry {
    /// The message's id; sent with every try, so that the receiver can tell a repeat.
    pub id: IdempotencyKey,
    /// Who receives it: Audit or Webhook.
    pub kind: DeliveryKind,
    /// The message's exact bytes, a JSON text.
    pub body: String,
    /// When the message was written; after 72 hours it is given up.
    pub created_at: Timestamp,
    /// The Cognigy.AI that took the rollout which the message is about. An audit record is delivered there and nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_origin: Option<ApiOrigin>,
}

/// Who receives a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DeliveryKind {
    /// Cognigy.AI's audit log (contract, section 7).
    Audit,
    /// The CI/CD webhook (contract, section 8).
    Webhook,
}

impl DeliveryKind {
    /// Every receiver.
    pub const ALL: [Self; 2] = [Self::Audit, Self::Webhook];

    /// The receiver as the value of a metric's label.
    #[must_use]
    pub fn metric_label(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Webhook => "webhook",
        }
    }
}

fn unobserved() -> i64 {
    -1
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}

impl Default for CognigyDeploymentStatus {
    fn default() -> Self {
        Self {
            observed_generation: unobserved(),
            phase: None,
            conditions: Vec::new(),
            attempt: None,
            claim: None,
            last_successful: None,
            history: Vec::new(),
            handled_requests: None,
            outbox: Vec::new(),
        }
    }
}

impl Attempt {
    /// Whether the point of no return is passed: the rollout may be out, and no edit replaces it.
    #[must_use]
    pub fn has_intent(&self) -> bool {
        self.submitted_at.is_some()
    }

    /// Whether Cognigy.AI may still be changing the environment for this attempt, or must still be asked to.
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        matches!(self.step, Step::Submitting | Step::RollingOut | Step::Monitoring | Step::RollingBack)
    }

    /// How the attempt ended, once it has.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.verdict.as_ref().map(|verdict| verdict.outcome)
    }
}
