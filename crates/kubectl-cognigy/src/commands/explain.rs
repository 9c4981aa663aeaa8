//! `explain`: why a deployment is in its state, and what to do.

use super::{act, deployments};
use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::{DataFormat, Style, Terminal, age, clock_time, paragraph};
use crate::view::advice::advice;
use crate::view::state::{next, state};
use api::CognigyDeployment;
use clap::Args;
use jiff::Timestamp;
use kube::ResourceExt;
use serde::Serialize;

/// The width of the headings.
const HEADING: usize = 19;

/// `explain`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The deployment.
    #[arg(value_name = "NAME")]
    name: String,

    /// Write in this format.
    #[arg(long, short, value_name = "FORMAT", value_enum)]
    output: Option<DataFormat>,
}

/// Why, and what to do. docs/by-hand.md documents these fields.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    namespace: String,
    name: String,
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// What happened, in the operator's words.
    message: String,
    /// What the environment runs.
    runs: String,
    /// What the reason means, in general.
    meaning: String,
    /// What happens next without a person.
    next: String,
    /// What a person should do.
    what_to_do: String,
    #[serde(skip)]
    style: Style,
}

/// Explains one deployment.
///
/// # Errors
/// There is no such deployment, or the request failed.
pub async fn run(arguments: &Arguments, connection: &Connection, terminal: &Terminal) -> Result<Exit, Failure> {
    let deployment = deployments::get(connection, &arguments.name).await?;
    let explanation = explanation(&deployment);
    if let Some(format) = arguments.output {
        terminal.line(&format.write(&explanation, std::slice::from_ref(&arguments.name))?)?;
        return Ok(Exit::Succeeded);
    }
    for line in text(&explanation, &deployment, terminal) {
        terminal.line(&line)?;
    }
    Ok(Exit::Succeeded)
}

/// Explains the state of a deployment.
#[must_use]
pub fn explanation(deployment: &CognigyDeployment) -> Explanation {
    let state = state(deployment);
    let known = state.reason.and_then(advice);
    let (meaning, what_to_do) = match (known, state.reason) {
        (Some(advice), _) => (advice.meaning, advice.what_to_do),
        (None, Some(reason)) => (
            format!("another version of the operator wrote the reason {reason}"),
            "use the plugin of the operator's version, or read the message above".to_owned(),
        ),
        (None, None) => (
            "the operator has not acted on the present spec".to_owned(),
            "wait a few seconds; if nothing happens, run kubectl cognigy doctor".to_owned(),
        ),
    };
    let status = deployment.status.clone().unwrap_or_default();
    Explanation {
        namespace: deployment.namespace().unwrap_or_default(),
        name: deployment.name_any(),
        state: state.word,
        reason: state.reason.map(|reason| reason.to_string()),
        since: state.since,
        message: state.message,
        runs: status.running_in_words(),
        meaning,
        next: next(deployment),
        what_to_do,
        style: state.style,
    }
}

fn text(explanation: &Explanation, deployment: &CognigyDeployment, terminal: &Terminal) -> Vec<String> {
    let now = Timestamp::now();
    let since =
        explanation.since.map(|since| format!(" since {} UTC ({} ago)", clock_time(since, now), age(since, now)));
    let reason = explanation.reason.as_ref().filter(|reason| **reason != explanation.state);
    let reason = reason.map(|reason| format!(", reason {reason}"));
    let mut lines = vec![format!(
        "{}: {}{}{}",
        terminal.paint(Style::Strong, &act::full_name(deployment)),
        terminal.paint(explanation.style, &explanation.state),
        since.unwrap_or_default(),
        reason.unwrap_or_default()
    )];
    let parts = [
        ("What happened", &explanation.message),
        ("What it means", &explanation.meaning),
        ("What runs", &explanation.runs),
        ("What happens next", &explanation.next),
        ("What to do", &explanation.what_to_do),
    ];
    for (heading, text) in parts {
        lines.extend(paragraph(heading, HEADING, text, terminal));
    }
    lines
}
