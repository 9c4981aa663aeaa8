//! The gates of an attempt: what it waits for between its checks and its submit.

use crate::identifier::DecisionUid;
use crate::reason::Reason;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The gates that an attempt met between its checks and its submit. The operator evaluates them once and writes the result here;
/// all messages and tools repeat it.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gates {
    /// When this attempt began to wait. Missing if it never waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,

    /// The gates that are closed. Empty once the attempt has passed them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub closed: Vec<ClosedGate>,

    /// The approvals that count. The attempt is submitted with them; each counts for one submit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub approvals: Vec<CountedDecision>,

    /// The decision that lets the attempt start in a closed change window, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overridden_by: Option<CountedDecision>,
}

/// A gate that is closed.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClosedGate {
    /// Which gate, and why it is closed, as a CamelCase word: AwaitingApproval, ApprovalExpired, ApproverUnverified, WindowClosed,
    /// AwaitingUpstream, UpstreamNotFound, UpstreamForbidden or UpstreamCycle.
    pub reason: Reason,
    /// What is missing, and what to do next. At most 512 bytes.
    pub message: String,
    /// When the gate opens by itself, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<Timestamp>,
}

/// A decision of a person that counts for an attempt.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CountedDecision {
    /// The uid of the CognigyDecision.
    pub uid: DecisionUid,
    /// Its name.
    pub name: String,
    /// The user who made it.
    pub by: String,
    /// When it was made.
    pub at: Timestamp,
}
