//! Messages that wait for their receiver.

use crate::identifier::{ApiOrigin, IdempotencyKey};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

plain_string_in_the_crd!(DeliveryKind);

/// A message that its receiver has not accepted yet.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutboxEntry {
    /// The message's id. It is sent with every try, so that the receiver recognizes a repeat.
    pub id: IdempotencyKey,
    /// Who receives it: Audit or Webhook.
    pub kind: DeliveryKind,
    /// The exact body of the message, as JSON.
    pub body: String,
    /// When the message was written. The operator gives it up after 72 hours.
    pub created_at: Timestamp,
    /// The Cognigy.AI that has the rollout which the message reports. An audit record is delivered there and nowhere else.
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

    /// The value of the metric label.
    #[must_use]
    pub fn metric_label(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Webhook => "webhook",
        }
    }
}
