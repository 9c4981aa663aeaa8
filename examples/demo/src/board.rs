//! The live table. On a terminal it is redrawn in place. Otherwise, each change is printed as a line.

use crate::error::Error;
use crate::output::Output;
use crate::rollouts::{AppliedRelease, ReleaseState};
use api::ConditionType;
use api::condition::ConditionSet;
use simulator::{RequestFilter, RequestRecord, WorldHandle};
use std::fmt;

/// The terminal cuts lines that are too long and does not wrap them, so the table keeps its height.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

/// One resource as `kubectl get` would show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    name: String,
    environment: String,
    ready: String,
    phase: String,
    job: String,
    reason: String,
    message: String,
}

impl Row {
    /// The state of a resource.
    pub fn of(applied: &AppliedRelease) -> Self {
        let blank = || "-".to_owned();
        let row = Self {
            name: applied.release.name.to_owned(),
            environment: applied.release.environment.to_owned(),
            ready: blank(),
            phase: blank(),
            job: blank(),
            reason: blank(),
            message: String::new(),
        };
        let object = match &applied.state {
            ReleaseState::Refused(message) => {
                return Self {
                    phase: "(refused)".to_owned(),
                    reason: "Invalid".to_owned(),
                    message: message.replace('\n', " "),
                    ..row
                };
            }
            ReleaseState::Accepted(object) => object,
        };
        let Some(status) = &object.status else { return row };
        let ready = status.conditions.find(ConditionType::Ready);
        let job = status.attempt.as_ref().and_then(|attempt| attempt.job_id());
        Self {
            ready: ready.map_or_else(blank, |ready| format!("{:?}", ready.status)),
            phase: status.phase.map_or_else(blank, |phase| format!("{phase:?}")),
            job: job.map_or_else(blank, ToString::to_string),
            reason: ready.map_or_else(blank, |ready| ready.reason.to_string()),
            message: ready.map(|ready| ready.message.replace('\n', " ")).unwrap_or_default(),
            ..row
        }
    }

    fn heading() -> Self {
        Self {
            name: "NAME".to_owned(),
            environment: "ENVIRONMENT".to_owned(),
            ready: "READY".to_owned(),
            phase: "PHASE".to_owned(),
            job: "JOB".to_owned(),
            reason: "REASON".to_owned(),
            message: "MESSAGE".to_owned(),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, environment, ready, phase, job, reason, message } = self;
        write!(formatter, "{name:<19}  {environment:<14}  {ready:<7}  {phase:<17}  {job:<10}  {reason:<17}  {message}")
    }
}

/// The table.
pub struct Board<'a> {
    output: &'a Output,
    shown: Vec<Row>,
    /// How many lines of a terminal the table takes; none before it is first drawn.
    height: usize,
}

impl<'a> Board<'a> {
    /// An empty table.
    pub fn new(output: &'a Output) -> Self {
        Self { output, shown: Vec::new(), height: 0 }
    }

    /// Shows the state of all resources.
    pub fn show(&mut self, rows: &[Row], platform: &WorldHandle) -> Result<(), Error> {
        match self.output.is_terminal() {
            true => self.draw(rows, platform),
            false => self.list_changes(rows),
        }
    }

    /// Leaves the table as it is. Later output appears below it.
    pub fn close(self) -> Result<(), Error> {
        self.output.print("\n")
    }

    fn draw(&mut self, rows: &[Row], platform: &WorldHandle) -> Result<(), Error> {
        let mut lines = vec![Row::heading().to_string()];
        lines.extend(rows.iter().map(ToString::to_string));
        lines.push(self.traffic(platform));
        let back = match self.height {
            0 => String::new(),
            height => format!("\x1b[{height}A\x1b[J"),
        };
        self.height = lines.len();
        self.output.print(&format!("{back}{NO_WRAP}{}\n{WRAP}", lines.join("\n")))
    }

    fn list_changes(&mut self, rows: &[Row]) -> Result<(), Error> {
        if self.shown.is_empty() {
            self.output.print(&format!("          {}\n", Row::heading()))?;
        }
        for (index, row) in rows.iter().enumerate() {
            if self.shown.get(index) != Some(row) {
                self.output.print_timed(&row.to_string())?;
            }
        }
        self.shown = rows.to_vec();
        Ok(())
    }

    /// Between two changes of a status, the operator may be waiting or sending requests. This line shows which.
    fn traffic(&self, platform: &WorldHandle) -> String {
        let elapsed = self.output.elapsed().as_secs();
        platform.with(|world| {
            let requests: Vec<&RequestRecord> = world.requests(&RequestFilter::default()).collect();
            match requests.last() {
                None => format!("{elapsed} s; no request to Cognigy.AI yet"),
                Some(last) => {
                    let count = requests.len();
                    format!("{elapsed} s; {count} requests to Cognigy.AI, the last: {} {}", last.method, last.path)
                }
            }
        })
    }
}
