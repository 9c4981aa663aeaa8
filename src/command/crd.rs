//! `cognigy-operator crd`.

use std::io::{self, Write};

/// Why the CRDs could not be printed.
#[derive(Debug, thiserror::Error)]
pub enum CrdError {
    /// The definition cannot be written as YAML: a bug.
    #[error("the definition cannot be written as YAML: {0}")]
    Yaml(String),
    /// Standard output cannot be written, for example because its reader has ended.
    #[error("the definition cannot be printed: {0}")]
    Output(#[from] io::Error),
}

/// Prints the CustomResourceDefinitions.
///
/// # Errors
/// [`CrdError`] if the definition cannot be printed.
pub fn print() -> Result<(), CrdError> {
    let text = api::crd::yaml().map_err(|error| CrdError::Yaml(error.to_string()))?;
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}
