//! Markdown for a comment on a pull request.

use super::{Report, gates, line, needs_a_person, remote, summary, versions, watching};
use crate::plan::Plan;
use std::fmt::Write;

/// The largest comment, in bytes. GitHub takes 65,536 characters.
pub const LARGEST_COMMENT: usize = 60 * 1024;

/// How many bytes are kept for what says that something was left out.
const REST: usize = 200;

/// A report as Markdown, at most [`LARGEST_COMMENT`] bytes.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let mut text = String::from("### Plan for Cognigy.AI\n\n");
    if report.plans.is_empty() && report.problems.is_empty() {
        text.push_str("There is no CognigyDeployment in these files.\n");
    }
    let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    if !problems.is_empty() {
        let title = if report.problems.iter().any(crate::Problem::is_error) { "**Refused**" } else { "**Warnings**" };
        // No more than half, so that each plan still has a line.
        let fenced = fenced("text", &problems, LARGEST_COMMENT / 2);
        let _ = write!(text, "{title}\n\n{fenced}\n");
    }
    if !report.plans.is_empty() {
        text.push_str("| object | environment | change | next |\n|---|---|---|---|\n");
    }
    let most_rows = LARGEST_COMMENT * 3 / 4;
    let mut rows = 0;
    for plan in &report.plans {
        let row = row(plan);
        if text.len() + row.len() > most_rows {
            break;
        }
        text.push_str(&row);
        rows += 1;
    }
    if rows < report.plans.len() {
        let _ = write!(
            text,
            "\n{} more objects are not shown here. Run the command to see them.\n",
            report.plans.len() - rows
        );
    }
    let mut hidden = 0;
    for plan in &report.plans {
        let left = LARGEST_COMMENT.saturating_sub(text.len() + REST);
        match details(plan, left) {
            Some(details) => text.push_str(&details),
            None => hidden += 1,
        }
    }
    if hidden > 0 {
        let _ = write!(text, "\nThe details of {hidden} objects are left out, because a comment cannot be larger.\n");
    }
    text
}

fn row(plan: &Plan) -> String {
    let mark = if needs_a_person(plan.next.event) || plan.awaits_approval() { "**Needs a person:** " } else { "" };
    format!(
        "| `{}/{}` | `{}` | {} | {mark}{} |\n",
        cell(&plan.namespace),
        cell(&plan.name),
        cell(&plan.environment_id),
        cell(&summary(plan)),
        cell(&plan.next.message)
    )
}

/// What differs, folded. `None` if there is no room for it.
fn details(plan: &Plan, left: usize) -> Option<String> {
    let mut head = String::new();
    if let Some(versions) = versions(plan) {
        let _ = write!(head, "Configuration: {}\n\n", cell(&versions));
    }
    if let Some(id) = &plan.plan_id {
        let _ = write!(head, "Plan: `{id}`\n\n");
    }
    for (heading, gate) in plan.gates.iter().flat_map(gates) {
        let _ = write!(head, "Gate ({heading}): {}\n\n", cell(&gate));
    }
    if let Some(after_success) = &plan.after_success {
        let _ = write!(head, "After success: {}\n\n", watching(after_success));
    }
    if let Some(answer) = &plan.remote {
        let _ = write!(head, "Cognigy.AI: {}\n\n", cell(&remote(answer)));
    }
    for note in &plan.notes {
        let _ = write!(head, "Note: {}\n\n", cell(note));
    }
    let title = format!("{}/{}: {} changes", plan.namespace, plan.name, plan.changes.len() + plan.more_changes);
    let begin = format!("\n<details><summary>{}</summary>\n\n{head}", cell(&title));
    const END: &str = "\n</details>\n";
    let room = left.checked_sub(begin.len() + END.len() + REST)?;
    let lines: Vec<String> = plan
        .changes
        .iter()
        .map(|change| {
            let (sign, rest) = line(change);
            // GitHub colours a line that begins with an exclamation mark in a diff.
            format!("{} {rest}", if sign == '~' { '!' } else { sign })
        })
        .collect();
    let more = plan.more_changes;
    let changes = if lines.is_empty() { String::new() } else { fenced("diff", &lines, room) };
    let more = if more > 0 { format!("{more} more changes are not listed.\n") } else { String::new() };
    Some(format!("{begin}{changes}{more}{END}"))
}

/// Lines in a fence that none of them can close, as many as there is room for.
fn fenced(language: &str, lines: &[String], room: usize) -> String {
    let lines: Vec<String> = lines
        .iter()
        .map(|line| line.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect())
        .collect();
    let longest = lines.iter().map(|line| longest_run(line)).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    let mut text = format!("{fence}{language}\n");
    let mut shown = 0;
    for line in &lines {
        if text.len() + line.len() + 2 * fence.len() > room {
            break;
        }
        text.push_str(line);
        text.push('\n');
        shown += 1;
    }
    if shown < lines.len() {
        let _ = writeln!(text, "… and {} more", lines.len() - shown);
    }
    let _ = writeln!(text, "{fence}");
    text
}

/// The longest run of backticks.
fn longest_run(line: &str) -> usize {
    line.split(|letter| letter != '`').map(str::len).max().unwrap_or_default()
}

/// Text that cannot end a cell, begin a tag or mention anybody.
fn cell(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '|' | '`' | '*' | '[' | ']' | '\\' | '#' | '!' => {
                escaped.push('\\');
                escaped.push(letter);
            }
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '@' => escaped.push_str("&#64;"),
            letter if letter.is_control() => escaped.push(' '),
            letter => escaped.push(letter),
        }
    }
    escaped
}
