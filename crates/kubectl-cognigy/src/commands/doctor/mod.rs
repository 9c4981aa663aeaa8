//! `doctor`: whether everything is in place, check by check.

mod check;
mod cluster;
mod credentials;
mod operator;
mod rights;

use super::deployments;
use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::{DataFormat, Style, Terminal, fit};
use check::{Check, Verdict};
use clap::Args;

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
    match arguments.output {
        Some(format) => terminal.line(&format.write(&checks, &[])?)?,
        None => show(&checks, terminal)?,
    }
    Ok(exit(&checks))
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
        terminal.line(&fit(&format!("{mark} {:<14} {}", check.name, check.detail), terminal))?;
        if let Some(what_to_do) = &check.what_to_do {
            terminal.line(&format!("  {:<14} {} {what_to_do}", "", terminal.pick("→", "->")))?;
        }
    }
    Ok(())
}
