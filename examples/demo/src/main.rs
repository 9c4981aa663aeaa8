//! The operator at work, in one command and under a minute: `cargo run -p cognigy-demo`.
//!
//! Everything is real except Cognigy.AI: the Kubernetes API server, the CRDs, and the operator, which runs as a process of
//! its own. The simulator takes the place of Cognigy.AI. It speaks HTTP and checks every request against the contract.
//!
//! The demo applies four resources (`examples/demo/resources/`): a good release that succeeds, a bad one that is rolled
//! back, one with a dependency conflict that is never submitted, and one with a mistake that the API server refuses. A
//! table shows their state while it changes. At the end, a timeline shows what each resource did.
//!
//! The exit code is 0 if each resource ended as it should, judged by its status and by the requests that Cognigy.AI
//! received. Otherwise it is 1, with a list of the differences.
//!
//! Read the files in this order: `releases` (the resources), `cluster` (where they are applied), `setup` (what the
//! operator needs there), `operator` (how it is started), `rollouts` (apply and watch), `board` (the live table),
//! `timeline` (what each resource did), `verdict` (what must be true at the end).

mod access;
mod board;
mod cluster;
mod error;
mod guide;
mod operator;
mod output;
mod preflight;
mod releases;
mod removal;
mod rollouts;
mod scratch;
mod setup;
mod timeline;
mod verdict;

use access::Access;
use clap::{Parser, Subcommand};
use cluster::Cluster;
use cognigy_operator::command::run::{self, RunArguments};
use error::{Error, Trying};
use operator::Operator;
use output::Output;
use setup::Setup;
use std::future::Future;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use timeline::Timeline;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Shows the operator at work: one release that succeeds, one that is rolled back, one that is never submitted, one that is
/// refused.
#[derive(Parser)]
#[command(
    name = "cognigy-demo",
    max_term_width = 100,
    args_conflicts_with_subcommands = true,
    after_long_help = "\
Examples:
  cargo run -p cognigy-demo
  cargo run -p cognigy-demo -- --keep
  cargo run -p cognigy-demo -- --kubeconfig ~/.kube/config --context kind-kind"
)]
struct Arguments {
    /// Kubeconfig of an existing cluster, such as kind, k3d or minikube. The demo uses its own namespace there. If not set: the
    /// demo starts its own API server.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig. If not set: the current one.
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    context: Option<String>,
    /// Keep everything running until Ctrl-C, and print commands to look around.
    #[arg(long)]
    keep: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// The operator itself, which the demo starts in a process of its own.
    #[command(hide = true)]
    Operator(Box<RunArguments>),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // One TLS provider for everything. A second call would change nothing, and there is none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ended = match arguments.command {
        Some(Command::Operator(arguments)) => operate(*arguments).map(|()| true),
        None => {
            let runtime = Builder::new_multi_thread().enable_all().build().trying("start the demo's runtime");
            runtime.and_then(|runtime| runtime.block_on(show(arguments)))
        }
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // If standard error is closed as well, only the exit code tells of the failure.
            let _ = writeln!(std::io::stderr(), "\n{error}");
            ExitCode::FAILURE
        }
    }
}

/// The operator, in its own process.
fn operate(arguments: RunArguments) -> Result<(), Error> {
    // One thread, as in the operator's own program.
    let runtime = Builder::new_current_thread().enable_all().build().trying("start the operator's runtime")?;
    runtime.block_on(run::run(arguments)).map_err(|error| Error::OperatorsOwn(error.to_string()))
}

/// Whether every resource ended as it should.
async fn show(arguments: Arguments) -> Result<bool, Error> {
    let mut stop = Stop::listen()?;
    let given = arguments.kubeconfig.map(|file| Access::new(file, arguments.context));
    if given.is_none() {
        stop.or(cluster::prepare()).await?;
    }
    let output = Output::start();
    let cluster = stop.or(Cluster::open(given, &output)).await?;
    let shown = show_in(&cluster, arguments.keep, &mut stop, &output).await;
    let closed = stop.or(cluster.close(&output)).await;
    if let (Err(_), Err(error)) = (&shown, &closed) {
        // The demo returns the first error, so this one is only printed.
        output.print_timed(&error.to_string())?;
    }
    let all_is_well = shown?;
    closed?;
    output.print_timed(match arguments.keep {
        true => "the demo has ended",
        false => "the demo has ended; with --keep it leaves everything running, to look around",
    })?;
    Ok(all_is_well)
}

/// Shows everything in a cluster. The caller removes the objects from the cluster afterwards.
async fn show_in(cluster: &Cluster, keep: bool, stop: &mut Stop, output: &Output) -> Result<bool, Error> {
    let setup = stop.or(Setup::prepare(cluster, output)).await?;
    let mut operator = stop.or(Operator::start(cluster.access(), output)).await?;
    let shown = show_with_operator(cluster, &setup, &mut operator, keep, stop, output).await;
    // The operator must have stopped before its resources are removed. Otherwise it would add its finalizer again.
    let stopped = operator.stop().await;
    setup.stop().await;
    let all_is_well = shown?;
    stopped?;
    output.print_timed("the operator and the simulated Cognigy.AI are stopped")?;
    Ok(all_is_well)
}

async fn show_with_operator(
    cluster: &Cluster,
    setup: &Setup,
    operator: &mut Operator,
    keep: bool,
    stop: &mut Stop,
    output: &Output,
) -> Result<bool, Error> {
    output.print_timed(&format!("to watch in another terminal: {}", guide::watching(cluster)))?;
    let all_is_well = stop.or(apply_and_check(setup, operator, output)).await?;
    if keep {
        output.print_timed("everything keeps running until Ctrl-C; look around in another terminal:")?;
        output.print(&guide::commands(cluster, setup, operator))?;
        stop.or_not(keep_running(operator, output)).await?;
    }
    Ok(all_is_well)
}

/// Restarts the operator whenever it ends, as a Deployment would.
async fn keep_running(operator: &mut Operator, output: &Output) -> Result<(), Error> {
    loop {
        let how = operator.ended().await;
        output.print_timed(&format!("the operator {how}; starting it again; it continues from the recorded status"))?;
        operator.restart().await?;
        output.print_timed(&format!("the operator is ready again, as process {}", operator.process_id()))?;
    }
}

async fn apply_and_check(setup: &Setup, operator: &mut Operator, output: &Output) -> Result<bool, Error> {
    let platform = setup.simulator.handle();
    let mut all_applied = rollouts::apply(&setup.kubernetes, output).await?;
    output.print("\n")?;
    tokio::select! {
        watched = rollouts::watch(&setup.kubernetes, &platform, &mut all_applied, output) => watched?,
        how = operator.ended() => return Err(operator.failed(&how)),
    }
    let timeline = Timeline::read(&setup.kubernetes, &platform, &all_applied).await?;
    timeline.print(&all_applied, output)?;
    let differences = verdict::differences(&all_applied, &timeline, &platform);
    match differences.as_slice() {
        [] => output.print_timed("each of the four ended as it should")?,
        differences => {
            output.print_timed("not everything ended as it should:")?;
            for difference in differences {
                output.print(&format!("  - {difference}\n"))?;
            }
            output.print_timed(&format!("the operator's log may tell why: {}", operator.log().display()))?;
        }
    }
    Ok(differences.is_empty())
}

/// Ctrl-C and SIGTERM.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn listen() -> Result<Self, Error> {
        let listen = |kind| signal(kind).trying("listen for Ctrl-C");
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn requested(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Does the work. An interruption is an error.
    async fn or<T>(&mut self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::select! {
            result = work => result,
            () = self.requested() => Err(Error::Interrupted),
        }
    }

    /// Does the work until it is interrupted. This is the normal end.
    async fn or_not(&mut self, work: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
        tokio::select! {
            result = work => result,
            () = self.requested() => Ok(()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn each_example_in_the_help_can_be_parsed() {
        let help = Arguments::command().render_long_help().to_string();
        let (_, examples) = help.split_once("\nExamples:\n").unwrap();
        let examples: Vec<&str> = examples.lines().map_while(|line| line.strip_prefix("  ")).collect();
        assert!((1..=3).contains(&examples.len()), "{examples:?}");
        for example in examples {
            let arguments = example.strip_prefix("cargo run -p cognigy-demo").unwrap();
            let arguments = arguments.strip_prefix(" --").unwrap_or(arguments).split_whitespace();
            let parsed = Arguments::try_parse_from(["cognigy-demo"].into_iter().chain(arguments));
            assert!(parsed.is_ok(), "{example}: {}", parsed.err().unwrap());
        }
    }
}
