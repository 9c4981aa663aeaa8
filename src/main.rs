//! The command line.

#![forbid(unsafe_code)]

use clap::{Parser, Subcommand};
use cognigy_operator::command::logging::LogFormat;
use cognigy_operator::command::{crd, logging, probe, run};
use cognigy_operator::simulator;
use std::process::ExitCode;

/// Rolls out Cognigy.AI environments that are kept in Git, watches their health, and rolls back when health says so.
///
/// One CognigyDeployment says what an environment should run. The operator validates it, runs the synthetic trace, submits
/// the rollout, watches the job and the environment's health, writes what it knows into status, rolls back on failure, and
/// tells the audit log and the CI/CD webhook.
#[derive(Parser)]
#[command(name = "cognigy-operator", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the operator against a cluster.
    Run(Box<run::RunArguments>),
    /// Prints the CustomResourceDefinition, ready for `kubectl apply --server-side -f -`.
    Crd,
    /// Asks a URL until it answers well, such as an operator's /readyz.
    Probe(probe::ProbeArguments),
    /// Runs a simulated Cognigy.AI over HTTP, for demonstrations and evaluations.
    Simulator(simulator::command::SimulatorArguments),
}

// All of it waits for others nearly all the time: several threads would mostly wake each other.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // One TLS provider for everything; a second call, which cannot be here, would change nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let result: Result<(), Box<dyn std::error::Error>> = match arguments.command {
        Command::Run(arguments) => run::run(*arguments).await.map_err(Into::into),
        Command::Crd => crd::print().map_err(Into::into),
        Command::Probe(arguments) => logged(probe::probe(arguments)).await,
        Command::Simulator(arguments) => logged(simulator::command::run(arguments)).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Works with a log for people.
async fn logged<E>(work: impl Future<Output = Result<(), E>>) -> Result<(), Box<dyn std::error::Error>>
where
    E: std::error::Error + 'static,
{
    let log = logging::start(LogFormat::Text);
    let ended = work.await;
    log.end().await;
    Ok(ended?)
}
