//! `doctor`: whether everything is in place, check by check.

mod check;
mod cluster;
mod credentials;
mod decisions;
mod operator;
mod rights;

use super::deployments;
use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::{DataFormat, Style, Terminal, one_line, paragraph};
use check::{Check, Verdict};
use clap::Args;

/// The width of the column with the names of the checks.
const NAME: usize = 14;

/// `doctor`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Check only this deployment's Secret and URL. Without it: those of all deployments of the namespace.
    #[arg(value_name = "NAME")]
    name: Option<String>,

    /// Write in this format.
    #[arg(long, short, value_name = "FORMAT", value_enum)]
    output: Option<DataFormat>,
}

/// Checks everything. The exit code is 0 if nothing is wrong, 5 if the operator does not act, and 1 if something else is wrong.
///
/// # Errors
/// The cluster cannot be reached.
pub async fn run(arguments: &Arguments, connection: &Connection, terminal: &Terminal) -> Result<Exit, Failure> {
    if arguments.output == Some(DataFormat::Name) {
        return Err(Failure::Usage("doctor describes checks and no objects: write -o json or -o yaml".to_owned()));
    }
    let mut checks = cluster::checks(connection).await?;
    let operator = operator::Operator::find(connection).await;
    checks.extend(operator.checks());
    checks.extend(rights::checks(connection).await);
    checks.push(decisions::check(connection).await);
    // Without the CRD or the right to list there is nothing more to look at; the checks above say so.
    if let Ok(listed) = deployments::list(connection, false, None).await {
        let chosen: Vec<_> = listed
            .into_iter()
            .filter(|listed| arguments.name.as_ref().is_none_or(|name| *name == listed.name))
            .collect();
        if let Some(name) = arguments.name.as_ref().filter(|_| chosen.is_empty()) {
            let detail = format!("there is no cognigydeployment {name} in the namespace {}", connection.namespace);
            checks.push(Check::problem("deployment", detail, "check the name, or the namespace (-n)"));
        }
        checks.extend(operator::acts_on(&chosen));
        checks.extend(credentials::checks(&chosen, &operator, connection).await);
    }
    let written = match arguments.output {
        Some(format) => format.write(&checks, &[]).and_then(|text| terminal.line(&text)),
        None => show(&checks, terminal),
    };
    exit(&checks).after(written)
}

fn exit(checks: &[Check]) -> Exit {
    let problems = || checks.iter().filter(|check| check.verdict == Verdict::Problem);
    match (problems().any(|check| check.is_about_operator), problems().next()) {
        (true, _) => Exit::OperatorNotActing,
        (false, Some(_)) => Exit::Failed,
        (false, None) => Exit::Succeeded,
    }
}

fn show(checks: &[Check], terminal: &Terminal) -> Result<(), Failure> {
    for check in checks {
        let (style, unicode, ascii) = match check.verdict {
            Verdict::Good => (Style::Good, "✔", "[+]"),
            Verdict::Warning => (Style::Attention, "!", "[!]"),
            Verdict::Problem => (Style::Bad, "✖", "[x]"),
            Verdict::Unknown => (Style::Dim, "?", "[?]"),
        };
        let mark = terminal.paint(style, terminal.pick(unicode, ascii));
        let head = format!("{mark} {:<NAME$} ", check.name);
        let indent = terminal.pick(unicode, ascii).chars().count() + 1 + NAME + 1;
        for line in detail(&head, indent, &check.detail, terminal) {
            terminal.line(&line)?;
        }
        if let Some(what_to_do) = &check.what_to_do {
            // It may hold a command, which can be copied if it is in one line.
            terminal.line(&format!("  {:<NAME$} {} {}", "", terminal.pick("→", "->"), one_line(what_to_do)))?;
        }
    }
    Ok(())
}

/// A detail after its head. On a terminal it takes as many lines as it needs, because a problem that is cut off helps nobody.
fn detail(head: &str, indent: usize, detail: &str, terminal: &Terminal) -> Vec<String> {
    if terminal.width.is_none() {
        return vec![format!("{head}{}", one_line(detail))];
    }
    let lines = paragraph("", indent, detail, terminal);
    let text = |(index, line): (usize, &String)| match index {
        0 => format!("{head}{}", line.get(indent..).unwrap_or_default()),
        _ => line.clone(),
    };
    lines.iter().enumerate().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_shown_in_full_on_a_narrow_terminal() {
        let terminal = Terminal {
            is_interactive: true,
            has_color: false,
            notes_have_color: false,
            has_unicode: true,
            width: Some(40),
        };
        let text = "baseUrl in bots/cognigy-api: the address 10.0.0.1 is private";
        let lines = detail("! egress         ", 17, text, &terminal);
        assert!(lines.len() > 1 && lines.iter().all(|line| line.chars().count() <= 40), "{lines:#?}");
        let words: Vec<&str> = lines.iter().flat_map(|line| line[17..].split_whitespace()).collect();
        assert_eq!(words.join(" "), text);
        assert_eq!(detail("! egress ", 9, text, &Terminal { width: None, ..terminal }), [format!("! egress {text}")]);
    }
}
