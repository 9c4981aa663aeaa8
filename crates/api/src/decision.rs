//! The decision of a person about one plan: a resource that is created once and never changed.

// Clippy reports the keys of one print column as duplicates of another's.
#![allow(clippy::duplicated_attributes)]

use crate::identifier::EnvironmentId;
use crate::plan_id::PlanId;
use crate::spec::NAME_RULE;
use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A decision of one person about one plan of a CognigyDeployment.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "deploy.cognigy.ai",
    version = "v1alpha1",
    kind = "CognigyDecision",
    plural = "cognigydecisions",
    shortname = "cgdec",
    category = "cognigy",
    namespaced,
    status = "CognigyDecisionStatus",
    derive = "PartialEq",
    cel,
    doc = "The decision of a person about one plan of a CognigyDeployment: to approve or reject its rollout, to start it in a closed change window, to roll it back, or to try it again. It is created once and cannot be changed. Each decision acts at most once.",
    printcolumn(name = "Verb", type_ = "string", json_path = ".spec.verb", description = "What was decided."),
    printcolumn(
        name = "Deployment",
        type_ = "string",
        json_path = ".spec.deployment",
        description = "The CognigyDeployment that it is about."
    ),
    printcolumn(
        name = "Plan",
        type_ = "string",
        json_path = ".spec.planId",
        description = "The plan that it is about."
    ),
    printcolumn(name = "By", type_ = "string", json_path = ".spec.by", description = "Who decided."),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".status.state",
        description = "Whether the decision has acted."
    ),
    printcolumn(name = "Reason", type_ = "string", json_path = ".spec.reason", description = "Why."),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Environment",
        type_ = "string",
        json_path = ".spec.environmentId",
        priority = 1,
        description = "The Cognigy.AI environment of the CognigyDeployment."
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.message",
        priority = 1,
        description = "What the operator did with the decision."
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self == oldSelf")
        .message("a decision cannot be changed: create another one; Reject ends an attempt that was approved by mistake")
)]
pub struct CognigyDecisionSpec {
    /// The name of the CognigyDeployment, in the namespace of this decision.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(
        validation = Rule::new(NAME_RULE)
            .message("write the name of a CognigyDeployment in this namespace, for example customer-service-prod")
    )]
    pub deployment: String,

    /// The environment of that CognigyDeployment, spec.environmentId. The right to decide is granted for an environment.
    #[schemars(length(min = 1, max = 253))]
    pub environment_id: EnvironmentId,

    /// The plan that is decided about: status.attempt.planId of the CognigyDeployment. `kubectl cognigy plan` prints it as well.
    /// The decision counts for this plan alone; another configuration has another plan.
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = Rule::new("self.matches('^plan-[0-9a-f]{16}$')")
            .message("write the id of the plan as status.attempt.planId shows it, for example plan-7a2934b468d32a1c")
    )]
    pub plan_id: PlanId,

    /// What is decided. Approve: the rollout may be submitted. Reject: the attempt ends. Override: the rollout may start although a
    /// change window is closed. Rollback: the rollout is undone, or the attempt ends if nothing was submitted. Retry: one more attempt.
    pub verb: Verb,

    /// The user who decides, as the API server knows them (`kubectl auth whoami`). The admission policy of the operator refuses
    /// every other name.
    #[schemars(length(min = 1, max = 253))]
    pub by: String,

    /// Why. 1 to 1024 characters.
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(
        validation = Rule::new(r"self.matches('\\S')").message("write the reason of the decision, for example: tested in staging, ticket 4711")
    )]
    pub reason: String,

    /// When the decision stops to count, if it has not acted by then. Without it, an approval expires after
    /// spec.approval.expiresAfterSeconds of the CognigyDeployment, and every other decision a day after its creation.
    /// No decision counts for longer than 90 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// What a person decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Verb {
    /// The rollout may be submitted.
    Approve,
    /// The attempt ends before anything is submitted.
    Reject,
    /// The rollout may start although a change window is closed.
    Override,
    /// The rollout is undone, or the attempt ends if nothing was submitted.
    Rollback,
    /// One more attempt.
    Retry,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 5] = [Self::Approve, Self::Reject, Self::Override, Self::Rollback, Self::Retry];

    /// The verb in the spec and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "Approve",
            Self::Reject => "Reject",
            Self::Override => "Override",
            Self::Rollback => "Rollback",
            Self::Retry => "Retry",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What the operator did with a decision.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CognigyDecisionStatus {
    /// Waiting: it counts, and the operator acts on it when it can. Acted: the operator has acted on it. Ignored: it cannot act; the
    /// message says why. Expired: its time was over before it acted.
    pub state: DecisionState,
    /// Whether the admission policy decisions.deploy.cognigy.ai was in force when the operator first saw the decision, so that spec.by is
    /// proven. If false, the decision never counts, also if the policy is installed later. Missing: not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
    /// What the operator did with it, and why.
    #[serde(default)]
    pub message: String,
    /// When the operator wrote this.
    pub at: Timestamp,
}

plain_string_in_the_crd!(DecisionState);

/// What became of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DecisionState {
    /// It counts, and has not acted yet.
    Waiting,
    /// The operator has acted on it.
    Acted,
    /// It cannot act.
    Ignored,
    /// Its time was over before it acted.
    Expired,
}
