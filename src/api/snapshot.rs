//! The configuration snapshot: the user's own JSON, passed on unread.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// A JSON object that describes the bot; the operator never looks inside.
///
/// Numbers are those of Kubernetes, int64 and float64: `1.0` comes back from the API server as `1`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Snapshot(Map<String, Value>);

impl Snapshot {
    /// The snapshot as plain JSON.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Whether there is nothing in it; an empty snapshot deploys nothing and is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Map<String, Value>> for Snapshot {
    fn from(map: Map<String, Value>) -> Self {
        Self(map)
    }
}

/// Atomic under server-side apply: with merged maps, a key that one field manager removed would still be deployed
/// as long as another one names it.
impl JsonSchema for Snapshot {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Snapshot".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "minProperties": 1,
            "x-kubernetes-preserve-unknown-fields": true,
            "x-kubernetes-map-type": "atomic",
        })
    }
}
