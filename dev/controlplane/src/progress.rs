//! What a person sees while the binaries are being built: one line that changes on a terminal, a line now and then elsewhere.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

/// How often a line is written where lines stay, as in the log of a CI job.
const BETWEEN_LINES: Duration = Duration::from_secs(20);

/// Carriage return, and the sequence that empties a terminal's line.
const CLEAR: &str = "\r\x1b[2K";

/// Writes to standard error itself and not with a macro, so that a test binary's output capture does not hide
/// why nothing seems to happen for minutes.
pub(crate) struct Progress {
    /// What every line begins with.
    subject: &'static str,
    started: Instant,
    terminal: bool,
    /// When a line was last shown; on a terminal that line is still there, to be written over.
    shown: Option<Instant>,
}

impl Progress {
    /// Starts the clock that the lines show.
    pub(crate) fn start(subject: &'static str) -> Self {
        Self { subject, started: Instant::now(), terminal: std::io::stderr().is_terminal(), shown: None }
    }

    /// Shows how far it is, unless that was shown a moment ago. Short, to fit a line of 80 characters.
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

    /// Says something that has to be seen and stays.
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
    // Nobody to tell where standard error is closed.
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}
