//! The reasons why a snapshot cannot be deployed.

use super::limits::{MAX_BYTES, MAX_DEPTH};

/// Why a snapshot cannot be deployed. The message names the position in the snapshot and the next step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotProblem {
    /// Objects and lists are nested too deeply.
    #[error(
        "{path} is nested too deeply{}; at most {MAX_DEPTH} levels of objects and lists can be deployed: flatten it, or store \
         the inner part as text",
        depth.map_or_else(String::new, |depth| format!(" (the snapshot is {depth} levels deep)"))
    )]
    TooDeep {
        /// The path of the outermost value that is too deep.
        path: String,
        /// The depth of the whole snapshot, if it is known.
        depth: Option<usize>,
    },
    /// An object has a key twice.
    #[error("the key {path} is duplicated: keep one of the two")]
    DuplicateKey {
        /// The path of the key.
        path: String,
    },
    /// A text has an escaped lone surrogate.
    #[error("{path} contains an incomplete character (a lone surrogate such as \\ud800): write the whole character")]
    LoneSurrogate {
        /// The path of the text.
        path: String,
    },
    /// A mapping's key is a list, a mapping or null.
    #[error("a key in {path} is a list, a mapping or null: write text")]
    KeyNotText {
        /// The path of the mapping.
        path: String,
    },
    /// `<<` has a value that cannot be merged.
    #[error(
        "the merge key << in {path} has a value that is not a mapping: write an alias of a mapping, or a list of such aliases"
    )]
    MergeNotMapping {
        /// The path of the mapping with the `<<`.
        path: String,
    },
    /// A scalar contradicts its tag, or JSON has no such value.
    #[error("{path} cannot be written as JSON: {scalar} is {why}; write it in quotes if it is text")]
    ScalarNotJson {
        /// The path of the scalar.
        path: String,
        /// The scalar, truncated.
        scalar: String,
        /// The description of the value.
        why: &'static str,
    },
    /// A text is neither JSON nor YAML.
    #[error("it is neither JSON nor YAML: {0}")]
    Syntax(String),
    /// A text is not an object.
    #[error("it is not an object; write keys and values")]
    NotAnObject,
    /// A text is an object without keys.
    #[error("it is empty; write at least one key")]
    Empty,
    /// A text has more than [`MAX_BYTES`] bytes after its aliases are expanded.
    #[error(
        "it has more than {MAX_BYTES} bytes after its aliases are expanded: use fewer aliases, or remove parts that are not needed"
    )]
    TooLarge,
}
