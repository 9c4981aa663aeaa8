//! `events`: what the operator told about a deployment, the oldest first.

use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::{Cell, DataFormat, Style, Table, Terminal, age};
use clap::Args;
use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams};
use serde::Serialize;

/// `events`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The deployment. Without it: all deployments of the namespace.
    #[arg(value_name = "NAME")]
    name: Option<String>,

    /// All namespaces.
    #[arg(long, short = 'A', conflicts_with = "name")]
    all_namespaces: bool,

    /// Write in this format.
    #[arg(long, short, value_name = "FORMAT", value_enum)]
    output: Option<DataFormat>,
}

/// One event. docs/by-hand.md documents these fields.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    namespace: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    /// Normal or Warning.
    kind: String,
    reason: String,
    message: String,
    /// How often it happened.
    count: i32,
}

/// Shows events.
///
/// # Errors
/// The request failed.
pub async fn run(arguments: &Arguments, connection: &Connection, terminal: &Terminal) -> Result<Exit, Failure> {
    let client = connection.client.clone();
    let api: Api<Event> = match arguments.all_namespaces {
        true => Api::all(client),
        false => Api::namespaced(client, &connection.namespace),
    };
    let mut selector = "regarding.kind=CognigyDeployment".to_owned();
    if let Some(name) = &arguments.name {
        selector.push_str(&format!(",regarding.name={name}"));
    }
    let listed = api
        .list(&ListParams::default().fields(&selector))
        .await
        .map_err(|error| Failure::of_request("list events", error))?;
    let mut entries: Vec<Entry> = listed.items.into_iter().map(entry).collect();
    entries.sort_by_key(|entry| entry.at);
    if let Some(format) = arguments.output {
        let names: Vec<String> = entries.iter().map(|entry| entry.name.clone()).collect();
        terminal.line(&format.write(&entries, &names)?)?;
        return Ok(Exit::Succeeded);
    }
    if entries.is_empty() {
        terminal.note("there are no events; a cluster keeps them for an hour by default, and `history` shows attempts");
        return Ok(Exit::Succeeded);
    }
    let now = Timestamp::now();
    let mut headings = vec!["AGO", "NAME", "REASON", "MESSAGE"];
    if arguments.all_namespaces {
        headings.insert(1, "NAMESPACE");
    }
    let mut table = Table::new(&headings);
    for entry in &entries {
        let style = if entry.kind == "Warning" { Style::Bad } else { Style::Plain };
        let reason = if entry.kind == "Warning" { format!("{} (Warning)", entry.reason) } else { entry.reason.clone() };
        let times = if entry.count > 1 { format!(" ({} times)", entry.count) } else { String::new() };
        let mut row = vec![
            Cell::plain(entry.at.map(|at| age(at, now)).unwrap_or_default()),
            Cell::styled(Style::Strong, &entry.name),
            Cell::styled(style, reason),
            Cell::plain(format!("{}{times}", entry.message)),
        ];
        if arguments.all_namespaces {
            row.insert(1, Cell::plain(&entry.namespace));
        }
        table.push(row);
    }
    table.lines(terminal).iter().try_for_each(|line| terminal.line(line))?;
    Ok(Exit::Succeeded)
}

fn entry(event: Event) -> Entry {
    let series = event.series.as_ref();
    let at = series
        .map(|series| series.last_observed_time.0)
        .or_else(|| event.event_time.as_ref().map(|time| time.0))
        .or_else(|| event.deprecated_last_timestamp.as_ref().map(|time| time.0));
    let regarding = event.regarding.unwrap_or_default();
    Entry {
        namespace: regarding.namespace.unwrap_or_default(),
        name: regarding.name.unwrap_or_default(),
        at,
        kind: event.type_.unwrap_or_default(),
        reason: event.reason.unwrap_or_default(),
        message: event.note.unwrap_or_default(),
        count: series.map_or(1, |series| series.count),
    }
}
