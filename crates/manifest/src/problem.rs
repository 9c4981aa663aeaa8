//! What is wrong with a manifest, as data.

use serde::Serialize;
use std::fmt;

/// How serious a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The API server or the operator refuses the object.
    Error,
    /// The object is accepted, but may not mean what its author meant.
    Warning,
}

/// A problem of one manifest. Its fields are the JSON form that docs/plan.md describes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The file, or `-` for standard input.
    pub file: String,
    /// The number of the document in the file, from 1. Missing if the problem is not in a document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<usize>,
    /// The line in the file, from 1, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The kind, namespace and name of the object, if they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The path of the field, such as `spec.dependencyLocks[0].version`. Empty if the problem is not in a field.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// How serious it is.
    pub severity: Severity,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl Problem {
    /// A problem with a file as a whole.
    #[must_use]
    pub fn of_file(file: &str, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            document: None,
            line: None,
            object: None,
            path: String::new(),
            severity: Severity::Error,
            message: message.into(),
        }
    }

    /// Whether the object is refused.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// `bot.yaml:14 (document 2, CognigyDeployment bots/prod): spec.historyLimit: historyLimit must be from 0 to 50`.
impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(formatter, ":{line}")?;
        }
        // The line already tells the document. Its number helps in a file of many.
        let document = self.document.filter(|number| *number > 1).map(|number| format!("document {number}"));
        let parts: Vec<&str> = document.iter().chain(&self.object).map(String::as_str).collect();
        if !parts.is_empty() {
            write!(formatter, " ({})", parts.join(", "))?;
        }
        if self.severity == Severity::Warning {
            formatter.write_str(": warning")?;
        }
        if !self.path.is_empty() {
            write!(formatter, ": {}", self.path)?;
        }
        write!(formatter, ": {}", self.message)
    }
}
