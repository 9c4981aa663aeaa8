//! Why a snapshot cannot be deployed.

use super::limits::{DEEPEST, LARGEST};

/// Why a snapshot cannot be deployed. The message names the place in the snapshot and the next step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotProblem {
    /// Objects and lists are nested too deeply.
    #[error(
        "{path} lies inside {DEEPEST} objects and lists{}; at most {DEEPEST} levels can be deployed: flatten it, or keep the \
         inner part as text",
        depth.map_or_else(String::new, |depth| format!(", and the snapshot goes {depth} levels deep"))
    )]
    TooDeep {
        /// The outermost value that is too deep.
        path: String,
        /// How deep the whole snapshot is, if that is known.
        depth: Option<usize>,
    },
    /// A key stands in one object twice.
    #[error("{path} is there twice: keep one of the two")]
    DuplicateKey {
        /// The key, with its place.
        path: String,
    },
    /// A text escapes one half of a character.
    #[error("{path} holds half a character (a lone surrogate such as \\ud800): write the whole character")]
    HalfCharacter {
        /// The text, with its place.
        path: String,
    },
    /// A mapping's key is a list, a mapping or null.
    #[error("a key in {path} is a list, a mapping or null: write text")]
    KeyIsNoText {
        /// The mapping.
        path: String,
    },
    /// `<<` has a value that cannot be merged.
    #[error("<< in {path} names no mapping: write the name of a mapping, or a list of such names")]
    MergeOfNoMapping {
        /// The mapping with the `<<`.
        path: String,
    },
    /// A scalar is not what its tag says, or JSON has nothing like it.
    #[error("{path} cannot be written as JSON: {scalar} is {why}; write it in quotes if it is text")]
    ScalarIsNoJson {
        /// Its place.
        path: String,
        /// The scalar, cut short.
        scalar: String,
        /// What is wrong with it.
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
    /// A text stands for more than can be deployed.
    #[error(
        "it stands for more than {LARGEST} bytes once it is written out: use fewer aliases, or leave out what is not needed"
    )]
    TooLarge,
}
