//! One check and its result.

use serde::Serialize;

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, but somebody should look at it.
    Warning,
    /// It does not work.
    Problem,
    /// It could not be checked, for example because the caller lacks a right.
    Unknown,
}

/// One check. docs/by-hand.md documents these fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// What was found.
    pub verdict: Verdict,
    /// What was found, in words.
    pub detail: String,
    /// What to do, if something is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what_to_do: Option<String>,
    /// Whether a problem means that the operator does not act at all.
    #[serde(skip)]
    pub is_about_operator: bool,
}

impl Check {
    /// All is well.
    #[must_use]
    pub fn good(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Good, detail: detail.into(), what_to_do: None, is_about_operator: false }
    }

    /// It works, but somebody should look at it.
    #[must_use]
    pub fn warning(name: &'static str, detail: impl Into<String>, what_to_do: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, what_to_do: Some(what_to_do.into()), ..Self::good(name, detail) }
    }

    /// It does not work.
    #[must_use]
    pub fn problem(name: &'static str, detail: impl Into<String>, what_to_do: impl Into<String>) -> Self {
        Self { verdict: Verdict::Problem, what_to_do: Some(what_to_do.into()), ..Self::good(name, detail) }
    }

    /// It could not be checked, for example because the caller lacks a right.
    #[must_use]
    pub fn unknown(name: &'static str, detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::Unknown, ..Self::good(name, detail) }
    }

    /// Returns the same check, with the note that a problem means that the operator does not act.
    #[must_use]
    pub fn about_operator(self) -> Self {
        Self { is_about_operator: true, ..self }
    }
}
