//! `apply`: applies manifests with the caller's own kubectl, and waits for the verdict on exactly what they contain.

use super::deployments;
use super::manifests::ManifestArguments;
use super::wait::WaitingArguments;
use crate::arguments::GlobalArguments;
use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::Terminal;
use crate::waiting::{self, Target};
use clap::Args;
use manifest::read::Input;
use manifest::{Document, Manifests};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

const EXAMPLES: &str = "\
Examples:
  kubectl cognigy apply -f production.yaml --wait                     apply, and wait for the verdict
  kubectl kustomize overlays/prod | kubectl cognigy apply -f - --wait
  kubectl cognigy apply -f production.yaml --wait --ci --timeout=1h   in a pipeline

The deployments are validated first. If one of them is wrong, nothing is applied. Then `kubectl apply` applies the files, with
the objects of all kinds that they contain.

Exit codes with --wait:
  0 success   1 bad verdict   2 usage   3 time-out   4 a person is needed   5 the operator does not act";

/// `apply`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// What to apply.
    #[command(flatten)]
    manifests: ManifestArguments,

    /// Wait for the verdicts on what was applied.
    #[arg(long)]
    wait: bool,

    /// Apply on the server: `kubectl apply --server-side`.
    #[arg(long)]
    server_side: bool,

    /// Take over fields that another tool has applied.
    #[arg(long, requires = "server_side")]
    force_conflicts: bool,

    /// Let the API server check the write, but write nothing.
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,

    /// How to wait.
    #[command(flatten)]
    waiting: WaitingArguments,
}

/// Applies manifests.
///
/// # Errors
/// [`Failure`] if a manifest is wrong, or kubectl fails.
pub async fn run(
    arguments: &Arguments,
    global: &GlobalArguments,
    connection: &Connection,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let (inputs, manifests) = arguments.manifests.read_valid(terminal)?;
    kubectl_apply(arguments, global, &inputs, terminal)?;
    if !arguments.wait {
        return Ok(Exit::Succeeded);
    }
    let mut targets = Vec::new();
    for document in &manifests.deployments {
        targets.push(target(document, &manifests, connection).await?);
    }
    waiting::run(targets, &arguments.waiting.options(), connection, terminal).await
}

/// What to wait for: the configuration in the manifest, and not the one that is live by now.
///
/// # Errors
/// [`Failure`] if the object cannot be read.
pub async fn target(document: &Document, manifests: &Manifests, connection: &Connection) -> Result<Target, Failure> {
    let there = connection.in_namespace(document.namespace().unwrap_or(&connection.namespace));
    let live = deployments::get(&there, document.name().unwrap_or_default()).await?;
    Ok(Target::of_manifest(&live, document, manifests)?.applied())
}

/// Runs `kubectl apply` with the same cluster, user and namespace. Its output goes to stderr, because stdout is for the result.
/// It can quote what other people wrote, so it is sanitized like every other text.
fn kubectl_apply(
    arguments: &Arguments,
    global: &GlobalArguments,
    inputs: &[Input],
    terminal: &Terminal,
) -> Result<(), Failure> {
    let mut kubectl = Command::new("kubectl");
    kubectl.args(global.for_kubectl()).arg("apply");
    let flags = [
        (arguments.manifests.recursive, "--recursive"),
        (arguments.server_side, "--server-side"),
        (arguments.force_conflicts, "--force-conflicts"),
        (arguments.dry_run, "--dry-run=server"),
    ];
    kubectl.args(flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag));
    for filename in &arguments.manifests.filenames {
        kubectl.arg("--filename").arg(filename);
    }
    // Standard input was read to its end for the validation, so kubectl gets its text again.
    let stdin = inputs.iter().find(|input| input.name == "-");
    kubectl.stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
    kubectl.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = kubectl.spawn().map_err(|error| {
        Failure::Usage(format!("kubectl cannot be started ({error}): put it on the PATH; it applies the files"))
    })?;
    let (stdout, stderr, pipe) = (running.stdout.take(), running.stderr.take(), running.stdin.take());
    // All at once: kubectl must never wait for a reader, and a login that it asks for must be seen.
    std::thread::scope(|scope| {
        scope.spawn(|| stdout.into_iter().for_each(|stdout| pass_on(stdout, terminal)));
        scope.spawn(|| stderr.into_iter().for_each(|stderr| pass_on(stderr, terminal)));
        if let (Some(input), Some(mut pipe)) = (stdin, pipe) {
            // If kubectl ends before it has read everything, its exit code says why.
            pipe.write_all(input.text.as_bytes()).ok();
        }
    });
    match running.wait()?.success() {
        true => Ok(()),
        false => Err(Failure::Refused("kubectl apply has failed; its message is above".to_owned())),
    }
}

/// Writes each line as a note.
fn pass_on(stream: impl Read, terminal: &Terminal) {
    let lines = BufReader::new(stream).split(b'\n').map_while(Result::ok);
    lines.for_each(|line| terminal.note(&String::from_utf8_lossy(&line)));
}
