//! One attempt, stage by stage: checks, submission, job, health, rollback.

use super::gates::Gates;
use super::outcome::{Outcome, Verdict};
use super::rollback::Rollback;
use crate::digest::Digest;
use crate::identifier::{ApiOrigin, ClientHash, IdempotencyKey, JobId, RequestHash};
use crate::plan_id::PlanId;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

plain_string_in_the_crd!(Step, JobFailure);

/// One attempt to deploy one configuration to the environment. Each stage of the attempt has its own section, which is present
/// once that stage has begun.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The number of this attempt. The first attempt of a resource has the number 1.
    pub number: i64,

    /// Hash of the configuration that this attempt deploys: environment, snapshot, dependency locks and capacity.
    pub digest: Digest,

    /// The version of the configuration, for people, as it was when the attempt started: spec.displayVersion, or else the label
    /// app.kubernetes.io/version, or else the text `botVersion` of the snapshot, or else its `version`. Missing if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,

    /// Hash of the release: snapshot and dependency locks, without environment and capacity. spec.requires compares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Digest>,

    /// The id of the plan: what this attempt deploys, what it is checked against, and what ran when it started. A CognigyDecision is
    /// about one plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_id: Option<PlanId>,

    /// The generation of the spec that started this attempt.
    pub generation: i64,

    /// The current step. It determines what the operator does next. Pending, Validating, Tracing, Submitting, RollingOut, Monitoring,
    /// RollingBack, VerifyingRollback or Settled.
    pub step: Step,

    /// When this attempt started.
    pub started_at: Timestamp,

    /// When this attempt began to wait for the request budget. Missing if it did not have to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued_at: Option<Timestamp>,

    /// The validation and the synthetic trace, which must both pass before anything is submitted.
    pub checks: Checks,

    /// What this attempt waited for between its checks and its submit. Missing if no gate was closed and nobody had to approve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gates: Option<Gates>,

    /// The submit. The operator writes it when it decides to submit, before it sends anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submission: Option<Submission>,

    /// The Cognigy.AI job of this attempt. Present once Cognigy.AI has accepted the submit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Job>,

    /// The health answers that were counted so far.
    #[serde(default, skip_serializing_if = "Health::is_empty")]
    pub health: Health,

    /// The rollback of this attempt, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,

    /// Hash of a newer configuration that was stopped before its submit, so that this attempt could be rolled back. It is not tried
    /// again by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declined: Option<Digest>,

    /// How this attempt ended. It is never changed once it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// The checks before the submit, and their results. The results are valid for one configuration, one set of check options and
/// one Cognigy.AI.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checks {
    /// Hash of the options of the checks: isolation rules and trace options.
    pub digest: Digest,

    /// The Cognigy.AI that made the checks below. If the credentials point to another Cognigy.AI, the checks are made again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_origin: Option<ApiOrigin>,

    /// The validation. Present once it has passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<Validation>,

    /// The synthetic trace. Present once Cognigy.AI has answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synthetic_trace: Option<SyntheticTrace>,
}

/// A validation that has passed.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Validation {
    /// When it passed.
    pub passed_at: Timestamp,

    /// The warnings of the validation. At most 10 warnings of 256 bytes each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub warnings: Vec<String>,

    /// The share of the environment's capacity that will be used, from 0 to 1, as the validation estimates it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_utilization: Option<f64>,
}

/// The answer of the synthetic trace.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyntheticTrace {
    /// The id of the synthetic trace at Cognigy.AI, cut at 256 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,

    /// When it passed. Missing if it did not pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed_at: Option<Timestamp>,
}

/// The submit. It is written before anything is sent, so that the operator repeats the same submit after a restart.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Submission {
    /// When the operator decided to submit. From this moment on the rollout may be running.
    pub intended_at: Timestamp,

    /// The deadline of the rollout: spec.rollbackPolicy.timeoutSeconds after the submit.
    pub deadline_at: Timestamp,

    /// When Cognigy.AI accepted the submit. Present only if that was more than spec.monitoring.intervalSeconds after
    /// intendedAt. The deadline then counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Timestamp>,

    /// The Cognigy.AI that receives the submit.
    pub api_origin: ApiOrigin,

    /// The id of the snapshot that a rollback restores: spec.rollbackPolicy.revertSnapshotId at the time of the submit. Missing if
    /// a rollback restores the previous snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revert_snapshot_id: Option<String>,

    /// The Idempotency-Key of the submit. Every repeat has the same key.
    pub idempotency_key: IdempotencyKey,

    /// Hash of the submit's exact body. The operator never sends another body with the same key.
    pub request_hash: RequestHash,

    /// Hash of the API client that sends the submit. Cognigy.AI recognizes a key only if the same client repeats it, so the
    /// operator never repeats a submit as another client.
    pub client_hash: ClientHash,
}

/// The Cognigy.AI job that performs the rollout.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// The job's id at Cognigy.AI.
    pub id: JobId,

    /// When the operator saw that the job had completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,

    /// How the job failed: EndedBadly, or Gone if Cognigy.AI no longer knows it. Missing if it has not failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<JobFailure>,
}

/// How a job failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobFailure {
    /// Cognigy.AI says that the job failed or was cancelled.
    EndedBadly,
    /// Cognigy.AI no longer knows the job.
    Gone,
}

/// The environment's health answers that were counted so far.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Health {
    /// The number of consecutive bad answers.
    #[serde(skip_serializing_if = "is_zero")]
    pub bad_streak: i32,

    /// The number of consecutive good answers.
    #[serde(skip_serializing_if = "is_zero")]
    pub good_streak: i32,

    /// When the operator sent the request whose answer was counted last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_counted_at: Option<Timestamp>,
}

/// The current step of an attempt. It determines what the operator does next. [`Phase`](super::Phase) is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Step {
    /// The attempt waits for something that it needs: the snapshot, the credentials or the environment.
    Pending,
    /// The validation is next.
    Validating,
    /// The validation has passed. The synthetic trace is next, or the submit if the trace has passed as well.
    Tracing,
    /// The intent to submit is written. The rollout may be running.
    Submitting,
    /// The job is known and running.
    RollingOut,
    /// The job has completed. The environment's health decides whether the rollout succeeds.
    Monitoring,
    /// The intent to roll back is written.
    RollingBack,
    /// The rollback was accepted or refused. Health is watched until it is good.
    VerifyingRollback,
    /// There is nothing more to do for this attempt.
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

    /// The name in the status and in metrics.
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

impl Attempt {
    /// Whether the operator has decided to submit. After that, the rollout may be running, and an edit of the spec does not replace
    /// the attempt.
    #[must_use]
    pub fn has_intent(&self) -> bool {
        self.submission.is_some()
    }

    /// Whether Cognigy.AI may still be changing the environment for this attempt, or a request to change it is still due.
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        match self.step {
            Step::Submitting | Step::RollingOut | Step::Monitoring | Step::RollingBack => true,
            Step::Pending | Step::Validating | Step::Tracing | Step::VerifyingRollback | Step::Settled => false,
        }
    }

    /// How the attempt ended, once it has ended.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.verdict.as_ref().map(|verdict| verdict.outcome)
    }

    /// The configuration, for people: its version, or the beginning of its digest.
    #[must_use]
    pub fn configuration(&self) -> String {
        self.digest.named(self.version.as_deref())
    }

    /// The id of the job, once it is known.
    #[must_use]
    pub fn job_id(&self) -> Option<&JobId> {
        self.job.as_ref().map(|job| &job.id)
    }

    /// When the operator saw that the job had completed.
    #[must_use]
    pub fn job_completed_at(&self) -> Option<Timestamp> {
        self.job.as_ref()?.completed_at
    }

    /// When the operator decided to submit.
    #[must_use]
    pub fn intended_at(&self) -> Option<Timestamp> {
        self.submission.as_ref().map(|submission| submission.intended_at)
    }

    /// The start of the time until the deadline: when the submit was accepted or, if that is not recorded, when it was decided.
    #[must_use]
    pub fn deadline_counts_from(&self) -> Option<Timestamp> {
        self.submission.as_ref().map(|submission| submission.accepted_at.unwrap_or(submission.intended_at))
    }

    /// The deadline of the rollout.
    #[must_use]
    pub fn deadline_at(&self) -> Option<Timestamp> {
        self.submission.as_ref().map(|submission| submission.deadline_at)
    }

    /// The Cognigy.AI that receives the submit.
    #[must_use]
    pub fn api_origin(&self) -> Option<&ApiOrigin> {
        self.submission.as_ref().map(|submission| &submission.api_origin)
    }

    /// The key of the submit.
    #[must_use]
    pub fn idempotency_key(&self) -> Option<&IdempotencyKey> {
        self.submission.as_ref().map(|submission| &submission.idempotency_key)
    }
}

impl Checks {
    /// The checks of a new attempt. They have no results yet.
    #[must_use]
    pub fn new(digest: Digest) -> Self {
        Self { digest, api_origin: None, validation: None, synthetic_trace: None }
    }

    /// When the synthetic trace passed, if both checks passed. The trace runs only after a validation that passed.
    #[must_use]
    pub fn passed_at(&self) -> Option<Timestamp> {
        self.validation.as_ref()?;
        self.synthetic_trace.as_ref()?.passed_at
    }
}

impl Health {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}
