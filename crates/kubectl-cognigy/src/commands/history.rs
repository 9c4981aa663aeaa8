//! `history`: the attempts, the newest first.

use super::deployments;
use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::{Cell, DataFormat, Style, Table, Terminal, age, clock_time, short_duration};
use api::CognigyDeployment;
use api::status::{CognigyDeploymentStatus, Outcome, Verdict};
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

/// `history`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The deployment.
    #[arg(value_name = "NAME")]
    name: String,

    /// Write in this format.
    #[arg(long, short, value_name = "FORMAT", value_enum)]
    output: Option<DataFormat>,
}

/// One attempt. docs/by-hand.md documents these fields.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    attempt: i64,
    /// The version of the configuration, or the beginning of its digest.
    configuration: String,
    digest: String,
    started_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    /// The outcome. Missing while the attempt goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<String>,
    /// When Cognigy.AI accepted to roll it back after its success.
    #[serde(skip_serializing_if = "Option::is_none")]
    rolled_back_at: Option<Timestamp>,
    #[serde(skip)]
    style: Style,
}

/// Shows the attempts.
///
/// # Errors
/// There is no such deployment, or the request failed.
pub async fn run(arguments: &Arguments, connection: &Connection, terminal: &Terminal) -> Result<Exit, Failure> {
    let deployment = deployments::get(connection, &arguments.name).await?;
    let entries = entries(&deployment);
    if let Some(format) = arguments.output {
        terminal.line(&format.write(&entries, std::slice::from_ref(&arguments.name))?)?;
        return Ok(Exit::Succeeded);
    }
    if entries.is_empty() {
        terminal.note(&format!("{}/{} has made no attempt yet", connection.namespace, arguments.name));
        return Ok(Exit::Succeeded);
    }
    table(&entries).lines(terminal).iter().try_for_each(|line| terminal.line(line))?;
    let kept = deployment.spec.history_limit;
    if entries.len() > usize::try_from(kept).unwrap_or_default() {
        terminal.note(&format!("spec.historyLimit keeps {kept} earlier attempts; older ones are in the audit log"));
    }
    Ok(Exit::Succeeded)
}

fn entries(deployment: &CognigyDeployment) -> Vec<Entry> {
    let Some(status) = &deployment.status else { return Vec::new() };
    let current = status.attempt.iter().map(|attempt| {
        let (outcome, reason, ended_at, style) = ended(attempt.verdict.as_ref());
        Entry {
            attempt: attempt.number,
            configuration: attempt.configuration(),
            digest: attempt.digest.to_string(),
            started_at: attempt.started_at,
            ended_at,
            outcome,
            reason,
            job_id: attempt.job_id().map(|job_id| job_id.as_str().to_owned()),
            rolled_back_at: later_rollback(status, attempt.number, attempt.outcome()),
            style,
        }
    });
    let past = status.history.iter().map(|past| {
        let (outcome, reason, ended_at, style) = ended(Some(&past.verdict));
        Entry {
            attempt: past.number,
            configuration: past.digest.named(past.version.as_deref()),
            digest: past.digest.to_string(),
            started_at: past.started_at,
            ended_at,
            outcome,
            reason,
            job_id: past.job_id.as_ref().map(|job_id| job_id.as_str().to_owned()),
            rolled_back_at: later_rollback(status, past.number, Some(past.verdict.outcome)),
            style,
        }
    });
    let mut entries: Vec<Entry> = current.chain(past).collect();
    // An attempt that has ended may be the current attempt and in the history. It is shown once.
    entries.dedup_by_key(|entry| entry.attempt);
    entries
}

/// When an attempt was rolled back after it had succeeded. The status knows this of the last success only.
fn later_rollback(status: &CognigyDeploymentStatus, number: i64, outcome: Option<Outcome>) -> Option<Timestamp> {
    let last = status.last_successful.as_ref().filter(|last| last.number == number)?;
    last.rolled_back_at.filter(|_| outcome == Some(Outcome::Succeeded))
}

fn ended(verdict: Option<&Verdict>) -> (Option<String>, Option<String>, Option<Timestamp>, Style) {
    let Some(verdict) = verdict else { return (None, None, None, Style::Attention) };
    let style = match verdict.outcome {
        Outcome::Succeeded => Style::Good,
        Outcome::Superseded | Outcome::Abandoned => Style::Dim,
        Outcome::RolledBack | Outcome::RollbackFailed | Outcome::Failed | Outcome::Unknown => Style::Bad,
    };
    (Some(verdict.outcome.to_string()), Some(verdict.reason.to_string()), Some(verdict.at), style)
}

fn outcome(entry: &Entry) -> Cell {
    match (&entry.outcome, entry.rolled_back_at) {
        (None, _) => Cell::styled(entry.style, "in progress"),
        (Some(outcome), None) => Cell::styled(entry.style, outcome),
        (Some(outcome), Some(_)) => Cell::styled(Style::Bad, format!("{outcome}, rolled back later")),
    }
}

fn table(entries: &[Entry]) -> Table {
    let now = Timestamp::now();
    let mut table = Table::new(&["ATTEMPT", "CONFIGURATION", "STARTED", "AGO", "TOOK", "OUTCOME", "REASON", "JOB"]);
    for entry in entries {
        let took = entry.ended_at.map(|ended_at| short_duration(ended_at.duration_since(entry.started_at)));
        table.push(vec![
            Cell::plain(entry.attempt.to_string()),
            Cell::styled(Style::Strong, &entry.configuration),
            Cell::plain(clock_time(entry.started_at, now)),
            Cell::plain(age(entry.started_at, now)),
            Cell::plain(took.unwrap_or_default()),
            outcome(entry),
            Cell::plain(entry.reason.clone().unwrap_or_default()),
            Cell::plain(entry.job_id.clone().unwrap_or_default()),
        ]);
    }
    table
}
