//! The configuration snapshot: the user's own JSON, kept and sent as the original bytes.
//!
//! It is never parsed into a tree, because a tree may need hundreds of times the memory of the text, and would change numbers.

mod canonical;
mod limits;
mod number;
mod outline;
mod problem;
mod scalar;
mod size;
mod text;
mod warning;
mod yaml;

pub use limits::{MAX_BYTES, MAX_DEPTH};
pub use problem::SnapshotProblem;
pub use size::stored_size;
pub use warning::{MAX_WARNING_BYTES, MAX_WARNINGS};

pub(crate) use canonical::write as write_canonical;
pub(crate) use outline::Outline;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// The maximum length of a version that is shown to people, in bytes.
const MAX_VERSION_BYTES: usize = 64;

/// A JSON object that describes the bot, as text. Clones share the text.
///
/// Its numbers, texts and keys are unchanged. This type accepts any nesting depth and duplicate keys;
/// [`Digest::of_deployment`](super::Digest::of_deployment) rejects snapshots that are too deep or have duplicate keys.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub struct Snapshot(Arc<RawValue>);

/// A snapshot that was read from a text.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadSnapshot {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Warnings about values that YAML reads differently from what they look like: at most [`MAX_WARNINGS`] sentences of at
    /// most [`MAX_WARNING_BYTES`] bytes.
    pub warnings: Vec<String>,
}

impl Snapshot {
    /// Reads a snapshot from the text in a ConfigMap. JSON is kept unchanged. Any other text is parsed as YAML, with the core
    /// schema of YAML 1.2.
    ///
    /// # Errors
    /// [`SnapshotProblem`] if the text cannot be deployed.
    pub fn from_text(text: &str) -> Result<ReadSnapshot, SnapshotProblem> {
        let read = match serde_json::from_str::<Box<RawValue>>(text) {
            Ok(json) => ReadSnapshot { snapshot: Self::of(json)?, warnings: Vec::new() },
            Err(_) => {
                let yaml::Converted { json, warnings } = yaml::convert(text)?;
                let json = RawValue::from_string(json).map_err(|error| SnapshotProblem::Syntax(error.to_string()))?;
                ReadSnapshot { snapshot: Self::of(json)?, warnings }
            }
        };
        let outline = Outline::of(read.snapshot.text())?;
        match outline.is_empty() {
            true => Err(SnapshotProblem::Empty),
            false if read.snapshot.text().len() > MAX_BYTES => Err(SnapshotProblem::TooLarge),
            false => Ok(read),
        }
    }

    /// The JSON text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// The JSON text, to be embedded in a larger JSON document.
    #[must_use]
    pub fn as_raw(&self) -> &RawValue {
        &self.0
    }

    /// Warnings about numbers that look like versions: at most [`MAX_WARNINGS`] sentences of at most [`MAX_WARNING_BYTES`] bytes.
    /// Empty if the snapshot cannot be deployed.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        Outline::of(self.text()).map(Outline::into_warnings).unwrap_or_default()
    }

    /// The version of the snapshot, for people: its text `botVersion`, or else its text `version`. The operator never compares
    /// versions; it compares digests.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        /// The fields are raw JSON, because parsing a deeply nested value could exhaust the stack.
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Versions<'a> {
            #[serde(borrow)]
            bot_version: Option<&'a RawValue>,
            #[serde(borrow)]
            version: Option<&'a RawValue>,
        }
        let versions: Versions<'_> = serde_json::from_str(self.text()).ok()?;
        let text = |value: Option<&RawValue>| {
            let text: String = serde_json::from_str(value?.get()).ok()?;
            is_version(&text).then_some(text)
        };
        text(versions.bot_version).or_else(|| text(versions.version))
    }

    fn of(json: Box<RawValue>) -> Result<Self, SnapshotProblem> {
        match json.get().starts_with('{') {
            true => Ok(Self(json.into())),
            false => Err(SnapshotProblem::NotAnObject),
        }
    }
}

/// Whether a text can be shown as a version.
pub(crate) fn is_version(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= MAX_VERSION_BYTES && !text.chars().any(char::is_control)
}

/// Shows only the size, because a whole snapshot would make a message unreadable.
impl fmt::Debug for Snapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Snapshot({} bytes)", self.text().len())
    }
}

/// Two snapshots are equal if their texts are equal.
impl PartialEq for Snapshot {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.text() == other.text()
    }
}

/// Works with JSON only. It does not recurse, so a snapshot of any depth can be received.
impl<'de> Deserialize<'de> for Snapshot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of(Box::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Atomic under server-side apply. If maps were merged, a key that one field manager removed would still be deployed while
/// another field manager owns it.
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
