//! The log of a process, line by line.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::ChildStderr;
use tokio::sync::watch;

/// How many of its last lines a report shows.
const TAIL: usize = 60;

/// The lines of a log, read as they arrive. Clones read the same log.
#[derive(Clone, Debug)]
pub struct Log {
    name: String,
    lines: watch::Sender<Vec<Value>>,
}

impl Log {
    /// Reads until the process closes its end of the pipe.
    pub(super) fn of(name: &str, stderr: ChildStderr) -> Self {
        let (sender, _) = watch::channel(Vec::new());
        let lines = sender.clone();
        tokio::spawn(async move {
            let mut stderr = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = stderr.next_line().await {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                lines.send_modify(|lines| lines.push(line));
            }
        });
        Self { name: name.to_owned(), lines: sender }
    }

    /// Waits until `times` lines match, and returns all matching lines.
    pub(super) async fn until(&self, times: usize, is_it: impl Fn(&Value) -> bool) -> Option<Vec<Value>> {
        let mut lines = self.lines.subscribe();
        let found = |lines: &Vec<Value>| lines.iter().filter(|line| is_it(line)).count() >= times;
        let lines = lines.wait_for(found).await.ok()?;
        Some(lines.iter().filter(|line| is_it(line)).cloned().collect())
    }

    /// How many lines contain this text in any of their fields.
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        self.lines.borrow().iter().filter(|line| holds(line, text)).count()
    }

    /// The whole log, one line each.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines.borrow().iter().map(|line| format!("{line}\n")).collect()
    }

    /// Its last lines.
    #[must_use]
    pub fn tail(&self) -> String {
        let lines = self.lines.borrow();
        let tail = lines.iter().skip(lines.len().saturating_sub(TAIL));
        format!("--- the log of {}:\n{}", self.name, tail.map(|line| format!("  {line}\n")).collect::<String>())
    }
}

/// Whether a line contains a text in any of its fields. Backslashes are ignored, because an error may quote
/// a message that is already quoted.
pub(super) fn holds(line: &Value, text: &str) -> bool {
    let line = line.to_string();
    line.contains(text) || line.replace('\\', "").contains(text)
}
