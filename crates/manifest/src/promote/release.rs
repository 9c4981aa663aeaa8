//! The fields that are a release, in the tree of a document.

use crate::node::{Content, Node};
use api::VERSION_LABEL;
use serde::Serialize;

/// A field of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Field {
    /// `spec.displayVersion`.
    #[serde(rename = "spec.displayVersion")]
    DisplayVersion,
    /// `spec.configurationSnapshot`.
    #[serde(rename = "spec.configurationSnapshot")]
    Snapshot,
    /// `spec.configurationSnapshotFrom`.
    #[serde(rename = "spec.configurationSnapshotFrom")]
    SnapshotFrom,
    /// `spec.dependencyLocks`.
    #[serde(rename = "spec.dependencyLocks")]
    Locks,
    /// The label `app.kubernetes.io/version`.
    #[serde(rename = "metadata.labels[\"app.kubernetes.io/version\"]")]
    Label,
}

impl Field {
    /// The field's path, as in problems.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::DisplayVersion => "spec.displayVersion",
            Self::Snapshot => "spec.configurationSnapshot",
            Self::SnapshotFrom => "spec.configurationSnapshotFrom",
            Self::Locks => "spec.dependencyLocks",
            Self::Label => "metadata.labels[\"app.kubernetes.io/version\"]",
        }
    }

    /// Its key.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Label => VERSION_LABEL,
            other => other.path().strip_prefix("spec.").unwrap_or_default(),
        }
    }

    /// The field's value as JSON. `None` if it is missing, null or an empty list of locks, which mean the same.
    pub(super) fn value_in(self, root: &Node) -> Option<String> {
        let parent = match self {
            Self::Label => root.get("metadata")?.get("labels")?,
            _ => root.get("spec")?,
        };
        let value = parent.get(self.key())?;
        let is_empty_list = matches!(&value.content, Content::List(items) if items.is_empty());
        (value.content != Content::Null && !(self == Self::Locks && is_empty_list)).then(|| value.json())
    }
}

/// The fields of the spec that are a release. Each group has one value at most.
pub(super) const GROUPS: [&[Field]; 3] =
    [&[Field::DisplayVersion], &[Field::Snapshot, Field::SnapshotFrom], &[Field::Locks]];

/// Every field of a release.
pub(super) const ALL: [Field; 5] =
    [Field::DisplayVersion, Field::Snapshot, Field::SnapshotFrom, Field::Locks, Field::Label];

/// The release of a document: each field with its value.
pub(super) fn of(root: &Node) -> [Option<String>; 5] {
    ALL.map(|field| field.value_in(root))
}

/// Everything in a document but its release, as JSON.
pub(super) fn rest(root: &Node) -> String {
    let mut rest = root.clone();
    if let Some(spec) = entries_of(&mut rest, "spec") {
        spec.retain(|(key, _)| !ALL.iter().any(|field| *field != Field::Label && field.key() == key));
    }
    if let Some(metadata) = entries_of(&mut rest, "metadata") {
        if let Some((_, Node { content: Content::Map(labels), .. })) =
            metadata.iter_mut().find(|(key, _)| key == "labels")
        {
            labels.retain(|(key, _)| key != VERSION_LABEL);
        }
        // Labels without an entry mean the same as no labels.
        metadata.retain(|(key, value)| key != "labels" || !is_empty(value));
    }
    rest.json()
}

fn is_empty(node: &Node) -> bool {
    match &node.content {
        Content::Null => true,
        Content::Map(entries) => entries.is_empty(),
        _ => false,
    }
}

fn entries_of<'n>(root: &'n mut Node, name: &str) -> Option<&'n mut Vec<(String, Node)>> {
    let Content::Map(entries) = &mut root.content else { return None };
    match &mut entries.iter_mut().find(|(key, _)| key == name)?.1.content {
        Content::Map(entries) => Some(entries),
        _ => None,
    }
}
