//! `windows`: which change windows are active, what changes next, and which rollouts wait for one.
//!
//! Everything is read from statuses. Nothing is computed here, so this command and the operator cannot disagree.

mod rows;

use super::deployments;
use super::gate_objects::{self, OPERATOR_NAMESPACE};
use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::{Cell, ObjectFormat, Style, Table, Terminal, age, clock_time, short_duration};
use clap::Args;
use jiff::Timestamp;
use rows::{State, WaitingRow, WindowRow};
use serde::Serialize;

/// The examples.
pub const EXAMPLES: &str = "\
Examples:
  kubectl cognigy windows -n bots  the windows that apply to the deployments of this namespace
  kubectl cognigy windows -A  all of them, and every rollout that waits for one
  kubectl cognigy windows -A -o json  for programs

Windows beside the operator apply to all namespaces, others to their own. Whether a window is active is what the operator has
written into its status.";

/// `windows`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// All namespaces.
    #[arg(long, short = 'A')]
    all_namespaces: bool,

    /// The namespace of the operator. Its windows apply to all namespaces.
    #[arg(long, value_name = "NAMESPACE", default_value = OPERATOR_NAMESPACE)]
    operator_namespace: String,

    /// Write in this format.
    #[arg(long, short, value_name = "FORMAT", value_enum)]
    output: Option<ObjectFormat>,
}

/// The windows, and what waits for them. docs/by-hand.md documents these fields.
#[derive(Serialize)]
struct Overview {
    windows: Vec<WindowRow>,
    waiting: Vec<WaitingRow>,
}

/// Shows the windows.
///
/// # Errors
/// A request failed.
pub async fn run(arguments: &Arguments, connection: &Connection, terminal: &Terminal) -> Result<Exit, Failure> {
    let (listed, notes) = match arguments.all_namespaces {
        true => (gate_objects::windows(connection, None).await?, Vec::new()),
        false => gate_objects::windows_for(connection, &connection.namespace, &arguments.operator_namespace).await?,
    };
    notes.iter().for_each(|note| terminal.note(note));
    let deployments = match deployments::list(connection, arguments.all_namespaces, None).await {
        Ok(deployments) => deployments,
        Err(Failure::Forbidden(_)) => {
            terminal.note("you may not list CognigyDeployments: what waits for a window is not shown");
            Vec::new()
        }
        Err(failure) => return Err(failure),
    };
    let windows = rows::windows(&listed);
    let read = deployments.iter().filter_map(|listed| listed.deployment.as_ref().ok());
    let waiting = rows::waiting(read.map(AsRef::as_ref));
    if let Some(format) = arguments.output {
        terminal.line(&format.write(&Overview { windows, waiting })?)?;
        return Ok(Exit::Succeeded);
    }
    if windows.is_empty() {
        let place = match arguments.all_namespaces {
            true => "any namespace".to_owned(),
            false => {
                format!("the namespaces {} and {} (-A shows all)", connection.namespace, arguments.operator_namespace)
            }
        };
        terminal.note(&format!("there are no ChangeWindows in {place}"));
    } else {
        table(&windows).lines(terminal).iter().try_for_each(|line| terminal.line(line))?;
        let problems = windows.iter().filter_map(|window| window.message.as_ref().map(|message| (window, message)));
        for (window, message) in problems {
            let name = format!("{}/{}", window.namespace, window.name);
            terminal.note(&format!("{} {message}", terminal.paint(Style::Bad, &name)));
        }
    }
    if !waiting.is_empty() {
        terminal.line("")?;
        waiting_table(&waiting, Timestamp::now()).lines(terminal).iter().try_for_each(|line| terminal.line(line))?;
    }
    Ok(Exit::Succeeded)
}

fn table(windows: &[WindowRow]) -> Table {
    let mut table = Table::new(&["NAMESPACE", "NAME", "TYPE", "NOW", "NEXT CHANGE", "TIME ZONE", "REASON"]);
    for window in windows {
        let style = match (window.state, window.kind.as_deref()) {
            (State::Active, Some("Allow")) => Style::Good,
            (State::Unreadable, _) => Style::Bad,
            (State::Active | State::NotEvaluated, _) => Style::Attention,
            (State::Inactive, _) => Style::Dim,
        };
        let text = |text: &Option<String>| Cell::plain(text.clone().unwrap_or_default());
        table.push(vec![
            Cell::plain(&window.namespace),
            Cell::styled(Style::Strong, &window.name),
            text(&window.kind),
            Cell::styled(style, window.state.in_words()),
            Cell::plain(window.next_in_words()),
            text(&window.time_zone),
            text(&window.reason),
        ]);
    }
    table
}

fn waiting_table(waiting: &[WaitingRow], now: Timestamp) -> Table {
    let mut table = Table::new(&["WAITING", "CONFIGURATION", "FOR", "STARTS", "MESSAGE"]);
    for row in waiting {
        let starts = row.opens_at.map(|at| {
            let left = at.duration_since(now);
            match left.is_positive() {
                true => format!("in {} ({} UTC)", short_duration(left), clock_time(at, now)),
                false => "now".to_owned(),
            }
        });
        table.push(vec![
            Cell::styled(Style::Strong, format!("{}/{}", row.namespace, row.name)),
            Cell::plain(&row.configuration),
            Cell::plain(row.since.map(|since| age(since, now)).unwrap_or_default()),
            Cell::plain(starts.unwrap_or_else(|| "not known".to_owned())),
            Cell::plain(&row.message),
        ]);
    }
    table
}
