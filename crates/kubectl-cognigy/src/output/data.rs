//! Output for programs. docs/pipelines.md documents the fields.

use crate::exit::Failure;
use clap::ValueEnum;
use serde::Serialize;

/// A format for objects and lists that are no deployments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ObjectFormat {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

impl ObjectFormat {
    /// Writes a value in this format.
    ///
    /// # Errors
    /// The value cannot be written in this format.
    pub fn write<T: Serialize>(self, value: &T) -> Result<String, Failure> {
        match self {
            Self::Json => DataFormat::Json.write(value, &[]),
            Self::Yaml => DataFormat::Yaml.write(value, &[]),
        }
    }
}

/// A format for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DataFormat {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// The names of the objects, as `kubectl -o name` writes them.
    Name,
}

impl DataFormat {
    /// Writes a value in this format. `names` are the objects that it describes.
    ///
    /// # Errors
    /// The value cannot be written in this format.
    pub fn write<T: Serialize>(self, value: &T, names: &[String]) -> Result<String, Failure> {
        let wrong = |error: String| Failure::Usage(format!("the result cannot be written: {error}"));
        match self {
            Self::Json => {
                let text = serde_json::to_string_pretty(value).map_err(|error| wrong(error.to_string()))?;
                Ok(super::safe_json(&text))
            }
            Self::Yaml => serde_saphyr::to_string(value).map_err(|error| wrong(error.to_string())),
            Self::Name => {
                let names = names.iter().map(|name| format!("cognigydeployment.deploy.cognigy.ai/{name}"));
                Ok(names.collect::<Vec<_>>().join("\n"))
            }
        }
    }
}
