//! Text for a terminal or a log.

use super::{Report, gates, line, needs_a_person, remote, summary, versions, watching};
use crate::plan::Plan;
use crate::problem::{Problem, Severity};
use std::fmt::Write;

/// How text is emphasized. Signs and words say the same as the colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// No escape sequences.
    Plain,
    /// ANSI colours.
    Colour,
}

#[derive(Clone, Copy)]
enum Ink {
    Bold,
    Added,
    Removed,
    Changed,
}

impl Style {
    fn paint(self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Bold => "1",
            Ink::Added => "32",
            Ink::Removed => "31",
            Ink::Changed => "33",
        };
        match self {
            Self::Plain => text.to_owned(),
            Self::Colour => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }
}

/// A report as text.
#[must_use]
pub fn text(report: &Report, style: Style) -> String {
    let mut text = String::new();
    for problem in &report.problems {
        add_problem(&mut text, problem, style);
    }
    for plan in &report.plans {
        if !text.is_empty() {
            text.push('\n');
        }
        add_plan(&mut text, plan, style);
    }
    if report.plans.is_empty() && report.problems.is_empty() {
        text.push_str("There is no CognigyDeployment in these files.\n");
    }
    text
}

// Writing to a String never fails.
fn add_problem(text: &mut String, problem: &Problem, style: Style) {
    let ink = if problem.severity == Severity::Error { Ink::Removed } else { Ink::Changed };
    let _ = writeln!(text, "{}", style.paint(ink, &printable(&problem.to_string())));
}

fn add_plan(text: &mut String, plan: &Plan, style: Style) {
    let title = format!("CognigyDeployment {}/{} (environment {})", plan.namespace, plan.name, plan.environment_id);
    let _ = writeln!(text, "{}: {}", style.paint(Ink::Bold, &title), summary(plan));
    for change in &plan.changes {
        let (sign, rest) = line(change);
        let ink = match sign {
            '+' => Ink::Added,
            '-' => Ink::Removed,
            _ => Ink::Changed,
        };
        let _ = writeln!(text, "  {}", style.paint(ink, &format!("{sign} {}", printable(&rest))));
    }
    if plan.more_changes > 0 {
        let _ = writeln!(text, "  … and {} more changes", plan.more_changes);
    }
    if let Some(versions) = versions(plan) {
        let _ = writeln!(text, "  configuration: {}", printable(&versions));
    }
    let next = printable(&plan.next.message);
    let needs_a_person = needs_a_person(plan.next.event) || plan.awaits_approval();
    let next = if needs_a_person { style.paint(Ink::Changed, &next) } else { next };
    let _ = writeln!(text, "  next: {next}");
    for (heading, gate) in plan.gates.iter().flat_map(gates) {
        let _ = writeln!(text, "  {heading}: {}", printable(&gate));
    }
    if let Some(after_success) = &plan.after_success {
        let _ = writeln!(text, "  after success: {}", watching(after_success));
    }
    if let Some(answer) = &plan.remote {
        let _ = writeln!(text, "  Cognigy.AI: {}", printable(&remote(answer)));
    }
    for note in &plan.notes {
        let _ = writeln!(text, "  note: {}", printable(note));
    }
    if let Some(id) = &plan.plan_id {
        let _ = writeln!(text, "  plan: {id}");
    }
}

/// Without control characters, which could draw over the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}
