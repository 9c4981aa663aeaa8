//! The claim of a resource on its environment.

use super::identifier::ApiOrigin;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The claim of a resource on its environment at one Cognigy.AI.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentClaim {
    /// The Cognigy.AI that accepted a validation for this environment.
    pub api_origin: ApiOrigin,
    /// When this resource last submitted a rollout that deployed to the environment. Missing if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployed_at: Option<Timestamp>,
}
