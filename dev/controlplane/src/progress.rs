//! Shows the progress of a build: on a terminal one line that changes, otherwise a new line from time to time.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

/// How often a line is written if lines are permanent, as in the log of a CI job.
const BETWEEN_LINES: Duration = Duration::from_secs(20);

/// Carriage return, and the sequence that clears a terminal's line.
const CLEAR: &str = "\r\x1b[2K";

/// Writes directly to standard error and not with a macro. A test binary captures the output of macros, and would hide
/// why the test makes no visible progress for minutes.
pub(crate) struct Progress {
    /// The beginning of every line.
    subject: &'static str,
    started: Instant,
    terminal: bool,
    /// When a line was last shown. On a terminal this line is still visible and will be overwritten.
    shown: Option<Instant>,
}

impl Progress {
    /// Starts the clock for the times in the lines.
    pub(crate) fn start(subject: &'static str) -> Self {
        Self { subject, started: Instant::now(), terminal: std::io::stderr().is_terminal(), shown: None }
    }

    /// Shows the progress, unless a line was shown a moment ago. The text is short, to fit a line of 80 characters.
    pub(crate) fn show(&mut self, message: &str) {
        let line = self.line(message);
        if self.terminal {
            write(&format!("{CLEAR}{line}"));
        } else if self.shown.is_none_or(|then| then.elapsed() >= BETWEEN_LINES) {
            write(&format!("{line}\n"));
        } else {
            return;
        }
        self.shown = Some(Instant::now());
    }

    /// Writes a message that must be seen and stays visible.
    pub(crate) fn say(&mut self, message: &str) {
        let line = self.line(message);
        self.clear();
        write(&format!("{line}\n"));
    }

    fn clear(&mut self) {
        if self.shown.take().is_some() && self.terminal {
            write(CLEAR);
        }
    }

    fn line(&self, message: &str) -> String {
        let seconds = self.started.elapsed().as_secs();
        format!("{} [{}:{:02}] {message}", self.subject, seconds / 60, seconds % 60)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn write(text: &str) {
    let mut stderr = std::io::stderr().lock();
    // If standard error is closed, nobody can read the message.
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}
