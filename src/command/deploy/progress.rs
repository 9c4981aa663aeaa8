//! What a run shows while it works: one line for each change, on the standard error.

use super::store::Told;
use api::condition::{Condition, ConditionSet, ConditionStatus};
use api::{CognigyDeploymentStatus, ConditionType, Reason};
use jiff::Timestamp;
use std::io::{self, IsTerminal, Write};

/// Events that no condition repeats.
const SHOWN_EVENTS: [Reason; 7] = [
    Reason::RollbackRequested,
    Reason::RollbackNotPossible,
    Reason::RequestIgnored,
    Reason::Superseded,
    Reason::Cancelled,
    Reason::DeliveryGivenUp,
    Reason::StatusPutBack,
];

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The stage that has changed, such as `Validated`.
    pub(super) stage: String,
    pub(super) message: String,
    /// Whether the line is only about the present, so that a terminal may write the next one over it.
    pub(super) is_passing: bool,
}

impl Line {
    fn of(condition: &Condition) -> Self {
        let Condition { condition_type, reason, message, .. } = condition;
        let is_flag = matches!(condition_type, ConditionType::Reconciling | ConditionType::Stalled);
        // Of a flag, the reason says more than its name.
        let stage = if is_flag { reason.to_string() } else { condition_type.to_string() };
        let is_passing = *condition_type == ConditionType::Reconciling;
        Self { stage, message: message.clone(), is_passing }
    }
}

/// The lines that a change of the status, an event or a failed write is worth.
pub(super) fn lines(told: &Told) -> Vec<Line> {
    match told {
        Told::Status { before, after } => of_change(before.as_deref(), after),
        Told::Event { reason, note } if SHOWN_EVENTS.iter().any(|shown| shown.as_str() == reason) => {
            vec![Line { stage: reason.clone(), message: note.clone(), is_passing: false }]
        }
        Told::Event { .. } => Vec::new(),
        Told::NotWritten(error) => {
            let message = format!("the journal cannot be written, so nothing more is sent: {error}; trying again");
            vec![Line { stage: "Journal".to_owned(), message, is_passing: false }]
        }
    }
}

fn of_change(before: Option<&CognigyDeploymentStatus>, after: &CognigyDeploymentStatus) -> Vec<Line> {
    let is_new = |condition: &&Condition| {
        let known = before.and_then(|before| before.conditions.find(condition.condition_type));
        condition.reason != Reason::AttemptStarted
            && known.is_none_or(|known| {
                (known.status, known.reason, &known.message) != (condition.status, condition.reason, &condition.message)
            })
    };
    let stages = ConditionType::STAGES.into_iter().filter_map(|stage| after.conditions.find(stage));
    let mut lines: Vec<Line> = stages.filter(is_new).map(Line::of).collect();
    let flags = [ConditionType::Reconciling, ConditionType::Stalled];
    let flags = flags.into_iter().filter_map(|flag| after.conditions.find(flag));
    for flag in flags.filter(is_new).map(Line::of) {
        // The flag usually repeats what a stage says, and adds when there will be a verdict.
        match lines.iter_mut().find(|line| flag.message.starts_with(&line.message)) {
            Some(line) => line.message = flag.message,
            None => lines.push(flag),
        }
    }
    let suspended = after.conditions.find(ConditionType::Ready).filter(is_new);
    lines.extend(
        suspended
            .filter(|ready| ready.status == ConditionStatus::False && ready.reason == Reason::Suspended)
            .map(|ready| Line { stage: "Suspended".to_owned(), message: ready.message.clone(), is_passing: false }),
    );
    lines
}

/// Writes the lines.
pub(super) struct Progress {
    is_terminal: bool,
    /// A line that the next one may replace stands on the terminal.
    is_open: bool,
}

impl Progress {
    /// Writes to the standard error.
    pub(super) fn new() -> Self {
        Self { is_terminal: io::stderr().is_terminal(), is_open: false }
    }

    /// Shows a change.
    pub(super) fn show(&mut self, told: &Told) {
        lines(told).iter().for_each(|line| self.line(line));
    }

    /// Shows something else than a change.
    pub(super) fn note(&mut self, stage: &str, message: impl Into<String>) {
        self.line(&Line { stage: stage.to_owned(), message: message.into(), is_passing: false });
    }

    /// Ends the last line, so that other output begins on a line of its own.
    pub(super) fn close(&mut self) {
        if std::mem::take(&mut self.is_open) {
            self.write("\n");
        }
    }

    fn line(&mut self, line: &Line) {
        let is_passing = self.is_terminal && line.is_passing;
        let text = painted(&text(line, Timestamp::now()), is_passing, self.is_open);
        self.is_open = is_passing;
        self.write(&text);
    }

    fn write(&self, text: &str) {
        let mut stderr = io::stderr().lock();
        // If nobody reads the standard error any more, the rollout goes on.
        let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    }
}

/// A line with its end, written over the one before it if that is open. A passing line stays open for the next one, and the
/// terminal must not wrap it: only its last row could be erased.
fn painted(text: &str, is_passing: bool, is_open: bool) -> String {
    const TO_EMPTY_LINE: &str = "\r\x1b[2K";
    const NO_WRAP: &str = "\x1b[?7l";
    const WRAP: &str = "\x1b[?7h";
    let begin = if is_open { TO_EMPTY_LINE } else { "" };
    match is_passing {
        true => format!("{begin}{NO_WRAP}{text}{WRAP}"),
        false => format!("{begin}{text}\n"),
    }
}

/// One line for people: time (UTC), stage, message. A message may quote a platform, so it is kept to one line.
fn text(line: &Line, now: Timestamp) -> String {
    let Line { stage, message, .. } = line;
    let message: String = message.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    format!("{} {stage:<12} {message}", now.strftime("%H:%M:%S"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(conditions: &[(&str, &str, &str, &str)]) -> CognigyDeploymentStatus {
        let conditions: Vec<_> = conditions
            .iter()
            .map(|(kind, status, reason, message)| {
                json!({
                    "type": kind, "status": status, "reason": reason, "message": message,
                    "lastTransitionTime": "2026-01-01T12:00:00Z",
                })
            })
            .collect();
        serde_json::from_value(json!({ "conditions": conditions })).unwrap()
    }

    fn shown(before: &[(&str, &str, &str, &str)], after: &[(&str, &str, &str, &str)]) -> Vec<String> {
        let told = Told::Status { before: Some(Box::new(status(before))), after: Box::new(status(after)) };
        lines(&told).into_iter().map(|line| format!("{}: {}", line.stage, line.message)).collect()
    }

    #[test]
    fn a_change_is_one_line_and_no_change_is_none() {
        let validating = [
            ("Reconciling", "True", "Validating", "attempt 1: the environment is asked"),
            ("Validated", "Unknown", "AttemptStarted", ""),
        ];
        assert_eq!(shown(&[], &validating), ["Validating: attempt 1: the environment is asked"]);
        assert!(shown(&validating, &validating).is_empty());
        let passed = [("Validated", "True", "ValidationPassed", "it can run it")];
        assert_eq!(shown(&validating, &passed), ["Validated: it can run it"]);
    }

    #[test]
    fn a_flag_that_repeats_a_stage_is_part_of_its_line() {
        let before = [("RolledOut", "Unknown", "AttemptStarted", "")];
        let after = [
            ("Reconciling", "True", "RollingOut", "job_1 was accepted; rolled back at 12:05:00 UTC"),
            ("RolledOut", "Unknown", "SubmitAccepted", "job_1 was accepted"),
        ];
        assert_eq!(shown(&before, &after), ["RolledOut: job_1 was accepted; rolled back at 12:05:00 UTC"]);
    }

    #[test]
    fn a_suspension_and_a_journal_that_cannot_be_written_are_shown() {
        let suspended = [("Ready", "False", "Suspended", "suspended with a configuration waiting")];
        assert_eq!(shown(&[], &suspended), ["Suspended: suspended with a configuration waiting"]);
        let line = &lines(&Told::NotWritten("no space left".to_owned()))[0];
        assert!(line.message.contains("no space left; trying again"), "{}", line.message);
    }

    #[test]
    fn events_are_shown_only_if_no_condition_says_the_same() {
        let event = |reason: &str| Told::Event { reason: reason.to_owned(), note: "note".to_owned() };
        assert!(lines(&event("SubmitAccepted")).is_empty());
        assert_eq!(lines(&event("RequestIgnored")).len(), 1);
    }

    #[test]
    fn a_passing_line_is_replaced_by_the_next_one() {
        let shown = [painted("asking", true, false), painted("asking again", true, true), painted("done", false, true)];
        assert_eq!(shown.concat(), "\x1b[?7lasking\x1b[?7h\r\x1b[2K\x1b[?7lasking again\x1b[?7h\r\x1b[2Kdone\n");
        assert_eq!(painted("done", false, false), "done\n");
    }

    #[test]
    fn a_line_stays_one_line_whatever_a_platform_says() {
        let line = Line { stage: "Healthy".to_owned(), message: "a\n\u{1b}[2Jb".to_owned(), is_passing: false };
        assert_eq!(text(&line, Timestamp::UNIX_EPOCH), "00:00:00 Healthy      a  [2Jb");
    }
}
