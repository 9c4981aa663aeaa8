//! What a person sees while the binaries are being built: one line that changes on a terminal, a line now and then elsewhere.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

/// How often a line is written where lines stay, as in the log of a CI job.
const BETWEEN_LINES: Duration = Duration::from_secs(20);

/// Writes to standard error itself and not with a macro, so that a test binary's output capture does not hide
/// why nothing seems to happen for minutes.
pub(crate) struct Progress {
    started: Instant,
    last_line: Option<Instant>,
    in_place: bool,
}

impl Progress {
    /// Starts the clock that the lines show.
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            last_line: None,
            in_place: std::io::stderr().is_terminal(),
        }
    }

    /// Shows how far it is, unless that was shown a moment ago.
    pub(crate) fn show(&mut self, message: &str) {
        if self.in_place {
            self.write(&format!("\r\x1b[2K{}", self.line(message)));
        } else if self
            .last_line
            .is_none_or(|then| then.elapsed() >= BETWEEN_LINES)
        {
            self.last_line = Some(Instant::now());
            self.write(&format!("{}\n", self.line(message)));
        }
    }

    /// Says something that has to be seen.
    pub(crate) fn say(&mut self, message: &str) {
        self.write(&format!("{}\n", self.line(message)));
    }

    /// Says the last word, over the line that changes.
    pub(crate) fn finish(mut self, message: &str) {
        if self.in_place {
            self.write("\r\x1b[2K");
        }
        self.say(message);
    }

    fn line(&self, message: &str) -> String {
        let seconds = self.started.elapsed().as_secs();
        format!(
            "control plane [{}:{:02}] {message}",
            seconds / 60,
            seconds % 60
        )
    }

    fn write(&mut self, text: &str) {
        let mut stderr = std::io::stderr().lock();
        // Nobody to tell where standard error is closed.
        let _ = stderr
            .write_all(text.as_bytes())
            .and_then(|()| stderr.flush());
    }
}
