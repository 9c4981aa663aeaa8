//! Messages that their receivers have not accepted yet.

use crate::identifier::{ApiOrigin, IdempotencyKey};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

plain_string_in_the_crd!(DeliveryKind);

/// A message that its receiver has not accepted yet.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutboxEntry {
    /// The message's id. Every try sends the same id, so that the receiver can recognize a repeat.
    pub id: IdempotencyKey,
    /// The receiver: Audit or Webhook.
    pub kind: DeliveryKind,
    /// The exact body of the message, as JSON.
    pub body: String,
    /// When the message was written. The operator stops trying to deliver it after 72 hours.
    pub created_at: Timestamp,
    /// The Cognigy.AI that performed the rollout. An audit record is delivered only to this Cognigy.AI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_origin: Option<ApiOrigin>,
}

/// The receiver of a message.
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

    /// The value of the metric label.
    #[must_use]
    pub fn metric_label(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Webhook => "webhook",
        }
    }
}
