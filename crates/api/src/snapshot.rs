//! The configuration snapshot: the user's own JSON, kept and passed on as the bytes that it is.
//!
//! It is never made a tree of: a tree may take hundreds of times the memory of its text, and numbers would change in it.

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

pub use limits::{DEEPEST, LARGEST};
pub use problem::SnapshotProblem;
pub use size::stored_size;
pub use warning::{LONGEST as LONGEST_WARNING, MOST as MOST_WARNINGS};

pub(crate) use canonical::write as write_canonical;
pub(crate) use outline::Outline;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// The longest version of a snapshot that is shown to people, in bytes.
const LONGEST_VERSION: usize = 64;

/// A JSON object that describes the bot, as text. Copies share it.
///
/// Its numbers, texts and keys are the user's own. It may be of any depth, and an object in it may have a key twice:
/// [`Digest::of_deployment`](super::Digest::of_deployment) refuses such a snapshot.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub struct Snapshot(Arc<RawValue>);

/// A snapshot that was kept as text.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadSnapshot {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// What YAML has read as something else than it looks like, a sentence each; at most [`MOST_WARNINGS`] of at most
    /// [`LONGEST_WARNING`] bytes.
    pub warnings: Vec<String>,
}

impl Snapshot {
    /// The snapshot in a text that a ConfigMap holds. JSON is passed on as it is written; anything else is read as YAML, by
    /// the core schema of YAML 1.2.
    ///
    /// # Errors
    /// [`SnapshotProblem`] says why it cannot be deployed.
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
            false if read.snapshot.text().len() > LARGEST => Err(SnapshotProblem::TooLarge),
            false => Ok(read),
        }
    }

    /// The JSON text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// The JSON text, as a part of a larger one.
    #[must_use]
    pub fn as_raw(&self) -> &RawValue {
        &self.0
    }

    /// Numbers that look like versions, a sentence each; at most [`MOST_WARNINGS`] of at most [`LONGEST_WARNING`] bytes.
    /// None if the snapshot cannot be deployed.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        Outline::of(self.text()).map(Outline::into_warnings).unwrap_or_default()
    }

    /// The version that the snapshot names, for people: its text `botVersion`, or else its text `version`. It is never compared:
    /// the digest identifies a configuration.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        /// Neither field is parsed before it is found: a snapshot may be of any depth.
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
            let is_label = !text.trim().is_empty() && text.len() <= LONGEST_VERSION;
            (is_label && !text.chars().any(char::is_control)).then_some(text)
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

/// Its size is enough: a message that holds all of it helps nobody.
impl fmt::Debug for Snapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Snapshot({} bytes)", self.text().len())
    }
}

/// Two snapshots are equal if they are the same text.
impl PartialEq for Snapshot {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.text() == other.text()
    }
}

/// From JSON only. To find the end of the text takes no recursion, so that a snapshot of any depth can be received.
impl<'de> Deserialize<'de> for Snapshot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of(Box::deserialize(deserializer)?).map_err(D::Error::custom)
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
