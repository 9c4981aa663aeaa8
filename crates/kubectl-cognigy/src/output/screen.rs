//! A part of the terminal that is painted over.

use super::{Terminal, sanitize};
use crate::exit::Failure;
use std::io::Write;

/// Lines that replace the lines that were painted before. If the terminal has fewer rows, the last lines are left out: what has
/// scrolled away cannot be painted over.
pub struct Screen<'t> {
    terminal: &'t Terminal,
    painted: Vec<String>,
}

impl<'t> Screen<'t> {
    /// Nothing is painted yet.
    #[must_use]
    pub fn new(terminal: &'t Terminal) -> Self {
        Self { terminal, painted: Vec::new() }
    }

    /// Paints these lines in place of the last ones. Writes nothing if nothing has changed.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn paint(&mut self, lines: &[String]) -> Result<(), Failure> {
        let lines = lines.iter().map(|line| sanitize::lines(line).replace('\n', " "));
        let lines: Vec<String> = lines.take(rows().saturating_sub(1).max(1)).collect();
        if self.painted == lines {
            return Ok(());
        }
        let mut text = String::new();
        if !self.painted.is_empty() {
            // Back to the first line, and clear from there to the end of the screen.
            text.push_str(&format!("\u{1b}[{}A\u{1b}[J", self.painted.len()));
        }
        for line in &lines {
            text.push_str(line);
            text.push('\n');
        }
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()?;
        self.painted = lines;
        debug_assert!(self.terminal.is_interactive);
        Ok(())
    }
}

/// The rows of the terminal, now: its window may have changed.
fn rows() -> usize {
    terminal_size::terminal_size().map_or(usize::MAX, |(_, height)| usize::from(height.0))
}
