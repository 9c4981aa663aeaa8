//! `list`: the fleet as a table.

use super::deployments::{self, Listed};
use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::{Cell, DataFormat, Style, Table, Terminal, age};
use crate::view::state::{self, State, state};
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

/// `list`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// All namespaces.
    #[arg(long, short = 'A')]
    all_namespaces: bool,

    /// Only deployments with these labels, for example team=payments.
    #[arg(long, short = 'l', value_name = "LABELS")]
    selector: Option<String>,

    /// Only deployments that are not Ready.
    #[arg(long)]
    not_ready: bool,

    /// Write in this format.
    #[arg(long, short, value_name = "FORMAT", value_enum)]
    output: Option<DataFormat>,
}

/// One line of the table. docs/by-hand.md documents these fields.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    namespace: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<String>,
    /// What runs, in a few words.
    #[serde(skip_serializing_if = "Option::is_none")]
    runs: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    state: String,
    message: String,
    #[serde(skip)]
    style: Style,
}

/// Lists deployments.
///
/// # Errors
/// The request failed.
pub async fn run(arguments: &Arguments, connection: &Connection, terminal: &Terminal) -> Result<Exit, Failure> {
    let listed = deployments::list(connection, arguments.all_namespaces, arguments.selector.as_deref()).await?;
    let entries: Vec<Entry> =
        listed.into_iter().map(entry).filter(|entry| !arguments.not_ready || entry.style != Style::Good).collect();
    if let Some(format) = arguments.output {
        let names: Vec<String> = entries.iter().map(|entry| entry.name.clone()).collect();
        terminal.line(&format.write(&entries, &names)?)?;
        return Ok(Exit::Succeeded);
    }
    if entries.is_empty() {
        let place = match arguments.all_namespaces {
            true => "any namespace".to_owned(),
            false => format!("the namespace {} (-A shows all)", connection.namespace),
        };
        terminal.note(&format!("there are no such CognigyDeployments in {place}"));
        return Ok(Exit::Succeeded);
    }
    table(&entries, arguments.all_namespaces).lines(terminal).iter().try_for_each(|line| terminal.line(line))?;
    Ok(Exit::Succeeded)
}

fn entry(listed: Listed) -> Entry {
    let Listed { namespace, name, deployment } = listed;
    let deployment = match deployment {
        Ok(deployment) => deployment,
        Err(problem) => {
            let message = format!("cannot be read by this version of the plugin: {problem}");
            let state = "Unreadable".to_owned();
            return Entry {
                namespace,
                name,
                environment: None,
                runs: None,
                since: None,
                state,
                message,
                style: Style::Bad,
            };
        }
    };
    let status = deployment.status.clone().unwrap_or_default();
    let State { word, style, message, .. } = state(&deployment);
    // A good deployment shows what happens next. Any other deployment shows the message of its state.
    let message = if style == Style::Good { state::next(&deployment) } else { message };
    Entry {
        namespace,
        name,
        environment: Some(deployment.spec.environment_id.as_str().to_owned()),
        runs: Some(status.running_in_short()),
        since: status.running.map(|running| running.since),
        state: word,
        message,
        style,
    }
}

fn table(entries: &[Entry], all_namespaces: bool) -> Table {
    let now = Timestamp::now();
    let mut headings = vec!["NAME", "RUNS", "SINCE", "STATE", "MESSAGE"];
    if all_namespaces {
        headings.insert(0, "NAMESPACE");
    }
    let mut table = Table::new(&headings);
    for entry in entries {
        let since = entry.since.map(|since| age(since, now)).unwrap_or_default();
        let message = if entry.style == Style::Good { String::new() } else { entry.message.clone() };
        let mut row = vec![
            Cell::styled(Style::Strong, &entry.name),
            Cell::plain(entry.runs.clone().unwrap_or_default()),
            Cell::plain(since),
            Cell::styled(entry.style, &entry.state),
            Cell::plain(message),
        ];
        if all_namespaces {
            row.insert(0, Cell::plain(&entry.namespace));
        }
        table.push(row);
    }
    table
}
