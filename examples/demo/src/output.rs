//! The demo's output, on standard output.

use crate::error::{Error, Trying};
use std::io::{self, IsTerminal, Write};
use std::time::Duration;
use tokio::time::Instant;

/// Prints what happens, with the seconds since the demo started. The time to build the program and the API server does not
/// count.
pub struct Output {
    started_at: Instant,
    is_terminal: bool,
}

impl Output {
    /// Starts the clock.
    pub fn start() -> Self {
        Self { started_at: Instant::now(), is_terminal: io::stdout().is_terminal() }
    }

    /// Whether the output is a terminal, so that lines can be overwritten.
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// How long the demo has been running.
    pub fn elapsed(&self) -> Duration {
        self.started_at.elapsed()
    }

    /// One line, with its time.
    pub fn print_timed(&self, line: &str) -> Result<(), Error> {
        self.print(&format!("[{:5.1} s] {line}\n", self.elapsed().as_secs_f64()))
    }

    /// A text without a time.
    pub fn print(&self, text: &str) -> Result<(), Error> {
        Self::print_untimed(text)
    }

    /// A text, before the clock starts.
    pub fn print_untimed(text: &str) -> Result<(), Error> {
        let mut output = io::stdout().lock();
        output.write_all(text.as_bytes()).and_then(|()| output.flush()).trying("write to standard output")
    }
}
