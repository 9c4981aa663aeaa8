//! What was measured, for people and as JSON, each figure beside what it is to reach.

use crate::Failure;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Where what was measured is kept.
///
/// # Errors
/// Where it cannot be made.
pub fn folder() -> io::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Every run so far.
#[derive(Default)]
pub struct Report {
    misses: usize,
}

/// One figure, and what it is to reach.
pub struct Line {
    /// What was measured, and its unit.
    pub what: &'static str,
    /// The figure.
    pub measured: f64,
    /// What it is to reach.
    pub target: Target,
}

/// What a figure is to reach.
#[derive(Clone, Copy)]
pub enum Target {
    /// Nothing: it is only told.
    None,
    /// So much, or less.
    AtMost(f64),
    /// So much, or more.
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
    /// How many figures missed their target.
    pub fn misses(&self) -> usize {
        self.misses
    }

    /// Tells of a run, and keeps it as JSON in `target/bench`.
    ///
    /// # Errors
    /// Where the file cannot be written.
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
