//! The reasons why a snapshot cannot be deployed.

use super::limits::{DEEPEST, LARGEST};

/// A snapshot cannot be deployed. The message names the place in the snapshot and the next step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotProblem {
    /// Objects and lists are nested too deeply.
    #[error(
        "{path} lies inside {DEEPEST} objects and lists{}; at most {DEEPEST} levels can be deployed: flatten it, or keep the \
         inner part as text",
        depth.map_or_else(String::new, |depth| format!(", and the snapshot goes {depth} levels deep"))
    )]
    TooDeep {
        /// The path of the outermost value that is too deep.
        path: String,
        /// The depth of the whole snapshot, if it is known.
        depth: Option<usize>,
    },
    /// An object has a key twice.
    #[error("{path} is there twice: keep one of the two")]
    DuplicateKey {
        /// The path of the key.
        path: String,
    },
    /// A text has an escaped lone surrogate.
    #[error("{path} holds half a character (a lone surrogate such as \\ud800): write the whole character")]
    HalfCharacter {
        /// The path of the text.
        path: String,
    },
    /// A mapping's key is a list, a mapping or null.
    #[error("a key in {path} is a list, a mapping or null: write text")]
    KeyIsNoText {
        /// The path of the mapping.
        path: String,
    },
    /// `<<` has a value that cannot be merged.
    #[error("<< in {path} names no mapping: write the name of a mapping, or a list of such names")]
    MergeOfNoMapping {
        /// The path of the mapping with the `<<`.
        path: String,
    },
    /// A scalar contradicts its tag, or JSON has no such value.
    #[error("{path} cannot be written as JSON: {scalar} is {why}; write it in quotes if it is text")]
    ScalarIsNoJson {
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
    #[error("it is empty")]
    Empty,
    /// A text expands to more than can be deployed.
    #[error(
        "it stands for more than {LARGEST} bytes once it is written out: use fewer aliases, or leave out what is not needed"
    )]
    TooLarge,
}
