//! The measured figures with their targets, as text and as JSON.

use crate::Failure;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The folder of the reports.
///
/// # Errors
/// If it cannot be made.
pub fn folder() -> io::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// The reports of all runs so far.
#[derive(Default)]
pub struct Report {
    misses: usize,
}

/// One figure and its target.
pub struct Line {
    /// The name of the figure, and its unit.
    pub what: &'static str,
    /// The measured value.
    pub measured: f64,
    /// Its target.
    pub target: Target,
}

/// The target of a figure.
#[derive(Clone, Copy)]
pub enum Target {
    /// No target.
    None,
    /// At most this value.
    AtMost(f64),
    /// At least this value.
    AtLeast(f64),
}

impl Target {
    fn is_met(self, measured: f64) -> bool {
        match self {
            Self::None => true,
            Self::AtMost(bound) => measured <= bound,
            Self::AtLeast(bound) => measured >= bound,
        }
    }
}

impl Report {
    /// The number of figures that missed their target.
    pub fn misses(&self) -> usize {
        self.misses
    }

    /// Prints the report of a run, and writes it as JSON into `target/bench`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn add(&mut self, name: &str, heading: &str, lines: &[Line]) -> Result<(), Failure> {
        println!("\n{name}: {heading}\n  {:<54} {:>10}  {:>10}", "", "measured", "target");
        let mut figures = Map::new();
        for Line { what, measured, target } in lines {
            let bound = match target {
                Target::None => String::new(),
                Target::AtMost(bound) => format!("<= {bound}"),
                Target::AtLeast(bound) => format!(">= {bound}"),
            };
            let is_met = target.is_met(*measured);
            println!("  {what:<54} {measured:>10.2}  {bound:>10}{}", if is_met { "" } else { "  MISSED" });
            self.misses += usize::from(!is_met);
            figures.insert((*what).to_owned(), json!({"measured": measured, "target": bound}));
        }
        let whole = json!({"run": name, "heading": heading, "figures": Value::Object(figures)});
        fs::write(folder()?.join(format!("{name}.json")), serde_json::to_string_pretty(&whole)?)?;
        Ok(())
    }
}
