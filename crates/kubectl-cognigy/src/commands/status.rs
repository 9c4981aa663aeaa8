//! `status`: one deployment as a tree, once or as it changes.

use super::{act, deployments};
use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::{DataFormat, Screen, Style, Terminal, age, clock_time, fit, one_line, paragraph, short_duration};
use crate::view::gates::{self, Approvals, GateLine};
use crate::view::stages::{Stage, stages};
use crate::view::state::{next, state};
use crate::waiting::watching;
use api::CognigyDeployment;
use clap::Args;
use futures::StreamExt;
use jiff::Timestamp;
use kube::api::Api;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use serde::Serialize;
use std::pin::pin;
use std::time::Duration;

/// How often the times on the screen are refreshed. This sends no request.
const TICK: Duration = Duration::from_secs(1);
/// The width of the first column.
const NAME: usize = 12;

/// `status`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The deployment.
    #[arg(value_name = "NAME")]
    name: String,

    /// Show each change, until the command is stopped.
    #[arg(long, short)]
    watch: bool,

    /// Write in this format.
    #[arg(long, short, value_name = "FORMAT", value_enum, conflicts_with = "watch")]
    output: Option<DataFormat>,
}

/// One deployment. docs/by-hand.md documents these fields.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    namespace: String,
    name: String,
    environment: String,
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    message: String,
    runs: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    runs_since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approvals: Option<Approvals>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline_at: Option<Timestamp>,
    stages: Vec<Stage>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gates: Vec<GateLine>,
    next: String,
}

/// Shows one deployment.
///
/// # Errors
/// There is no such deployment, or the request failed.
pub async fn run(arguments: &Arguments, connection: &Connection, terminal: &Terminal) -> Result<Exit, Failure> {
    let deployment = deployments::get(connection, &arguments.name).await?;
    if let Some(format) = arguments.output {
        let summary = summary(&deployment, Timestamp::now());
        terminal.line(&format.write(&summary, std::slice::from_ref(&arguments.name))?)?;
        return Ok(Exit::Succeeded);
    }
    if arguments.watch {
        return follow(deployment, connection, terminal).await;
    }
    tree(&deployment, Timestamp::now(), terminal).iter().try_for_each(|line| terminal.line(line))?;
    Ok(Exit::Succeeded)
}

/// Shows each change. On a terminal the tree is painted over; elsewhere each change is one line.
async fn follow(first: CognigyDeployment, connection: &Connection, terminal: &Terminal) -> Result<Exit, Failure> {
    let name = act::full_name(&first);
    let api: Api<CognigyDeployment> = Api::namespaced(connection.watching.clone(), &connection.namespace);
    let resource = first.metadata.name.clone().unwrap_or_default();
    let config = watcher::Config::default().fields(&format!("metadata.name={resource}"));
    let mut events = pin!(watch(api, config).default_backoff());
    let mut ticks = tokio::time::interval(TICK);
    let mut screen = Screen::new(terminal);
    let mut latest = first;
    let mut trouble: Option<String> = None;
    let mut last_line = String::new();
    let mut is_found = true;
    let deleted = || terminal.line(&format!("{name} was deleted")).map(|()| Exit::Succeeded);
    loop {
        match terminal.is_interactive {
            true => {
                let terminal = &terminal.resized();
                let mut lines = tree(&latest, Timestamp::now(), terminal);
                lines.extend(trouble.iter().map(|trouble| fit(&terminal.paint(Style::Attention, trouble), terminal)));
                screen.paint(&lines)?;
            }
            false => {
                let line = change(&latest);
                if line != last_line {
                    terminal.line(&format!("{}  {line}", Timestamp::now().strftime("%H:%M:%S")))?;
                    last_line = line;
                }
            }
        }
        tokio::select! {
            _ = ticks.tick() => {}
            event = events.next() => match event {
                Some(Ok(Event::Apply(object) | Event::InitApply(object))) => {
                    (latest, trouble, is_found) = (object, None, true);
                }
                Some(Ok(Event::Delete(_))) => return deleted(),
                Some(Ok(Event::Init)) => is_found = false,
                // The object was deleted while the watch was interrupted.
                Some(Ok(Event::InitDone)) if !is_found => return deleted(),
                Some(Ok(Event::InitDone)) => {}
                Some(Err(error)) => {
                    let text = watching::of_error(&connection.namespace, &resource, &error)?;
                    let text = format!("what you see may be old: {text}");
                    if !terminal.is_interactive && trouble.as_ref() != Some(&text) {
                        terminal.note(&text);
                    }
                    trouble = Some(text);
                }
                None => return Err(watching::ended()),
            },
        }
    }
}

/// One change, in one line.
fn change(deployment: &CognigyDeployment) -> String {
    let state = state(deployment);
    format!("{:<17}  {}", state.word, one_line(&state.message))
}

fn summary(deployment: &CognigyDeployment, now: Timestamp) -> Summary {
    let state = state(deployment);
    let status = deployment.status.clone().unwrap_or_default();
    let attempt = status.attempt.as_ref();
    Summary {
        namespace: deployment.metadata.namespace.clone().unwrap_or_default(),
        name: deployment.metadata.name.clone().unwrap_or_default(),
        environment: deployment.spec.environment_id.as_str().to_owned(),
        state: state.word,
        reason: state.reason.map(|reason| reason.to_string()),
        message: state.message,
        runs: status.running_in_words(),
        runs_since: status.running.as_ref().map(|running| running.since),
        attempt: attempt.map(|attempt| attempt.number),
        digest: attempt.map(|attempt| attempt.digest.to_string()),
        version: attempt.and_then(|attempt| attempt.version.clone()),
        plan_id: attempt.and_then(|attempt| attempt.plan_id.as_ref()).map(ToString::to_string),
        approvals: gates::approvals(deployment).filter(|_| attempt.is_some()),
        deadline_at: attempt.filter(|attempt| attempt.verdict.is_none()).and_then(|attempt| attempt.deadline_at()),
        stages: stages(deployment, now),
        gates: gates::lines(deployment, now),
        next: next(deployment),
    }
}

/// The tree.
fn tree(deployment: &CognigyDeployment, now: Timestamp, terminal: &Terminal) -> Vec<String> {
    let state = state(deployment);
    let status = deployment.status.clone().unwrap_or_default();
    let attempt = status.attempt.as_ref();
    let row = |name: &str, text: &str| {
        fit(&format!("{}{}", terminal.paint(Style::Dim, &format!("{name:<NAME$}")), one_line(text)), terminal)
    };
    let since = state.since.map(|since| format!(" for {}", age(since, now))).unwrap_or_default();
    let title = format!(
        "{}  {}{since}",
        terminal.paint(Style::Strong, &act::full_name(deployment)),
        terminal.paint(state.style, &state.word)
    );
    let mut lines = vec![fit(&title, terminal), row("environment", deployment.spec.environment_id.as_str())];
    let runs_since = status.running.as_ref().map(|running| format!(" (since {} UTC)", clock_time(running.since, now)));
    lines.push(row("runs", &format!("{}{}", status.running_in_words(), runs_since.unwrap_or_default())));
    if let Some(attempt) = attempt {
        let ended = attempt.verdict.as_ref().map(|verdict| format!(", ended as {}", verdict.outcome));
        let text = format!(
            "{} of {}, started {} UTC{}",
            attempt.number,
            attempt.configuration(),
            clock_time(attempt.started_at, now),
            ended.unwrap_or_default()
        );
        lines.push(row("attempt", &text));
    }
    let waits = attempt.filter(|attempt| attempt.gates.is_some() && !attempt.has_intent() && attempt.verdict.is_none());
    lines.extend(waits.and_then(|attempt| attempt.plan_id.as_ref()).map(|plan_id| row("plan", plan_id.as_str())));
    for stage in stages(deployment, now) {
        lines.push(stage_line(&stage, now, terminal));
        if stage.name == gates::NAME {
            lines.extend(gates::lines(deployment, now).iter().map(|gate| gate_line(gate, terminal)));
        }
    }
    let open = attempt.filter(|attempt| attempt.verdict.is_none());
    if let Some(deadline) = open.and_then(|attempt| attempt.deadline_at()) {
        let left = deadline.duration_since(now);
        let text = match left.is_positive() {
            true => format!("in {} ({} UTC)", short_duration(left), clock_time(deadline, now)),
            false => format!("passed at {} UTC; the next answer decides", clock_time(deadline, now)),
        };
        lines.push(row("deadline", &text));
    }
    lines.extend(paragraph("message", NAME, &state.message, terminal));
    lines.extend(paragraph("next", NAME, &next(deployment), terminal));
    lines
}

fn stage_line(stage: &Stage, now: Timestamp, terminal: &Terminal) -> String {
    let (unicode, ascii) = stage.progress.mark();
    let mark = terminal.paint(stage.progress.style(), terminal.pick(unicode, ascii));
    let at = stage.at.map(|at| clock_time(at, now)).unwrap_or_default();
    fit(&format!("  {mark} {:<NAME$} {at:<9} {}", stage.name, one_line(&stage.detail)), terminal)
}

/// One gate, below its stage. Its message is also in the last lines, in full.
fn gate_line(gate: &GateLine, terminal: &Terminal) -> String {
    let (unicode, ascii) = gate.progress.mark();
    let mark = terminal.paint(gate.progress.style(), terminal.pick(unicode, ascii));
    fit(&format!("      {mark} {:<NAME$}  {}", gate.name, one_line(&gate.detail)), terminal)
}
