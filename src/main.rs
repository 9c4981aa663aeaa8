//! The command line.

#![forbid(unsafe_code)]

use clap::{Parser, Subcommand};
use cognigy_operator::command::logging::LogFormat;
use cognigy_operator::command::{crd, environment, logging, probe, run};

use mimalloc::MiMalloc;
use std::process::ExitCode;

/// The same in every build: the system's own may be musl's, which is slow.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

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

type Failure = Box<dyn std::error::Error + Send + Sync>;

// All of it waits for others nearly all the time: several threads would mostly wake each other.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Arguments = environment::parse();
    // One TLS provider for everything; a second call, which cannot be here, would change nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A task of its own is woken without a system call; what the runtime itself waits for is not.
    let carried_out = tokio::spawn(carry_out(arguments.command)).await;
    match carried_out.unwrap_or_else(|panic| Err(panic.into())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn carry_out(command: Command) -> Result<(), Failure> {
    match command {
        Command::Run(arguments) => run::run(*arguments).await.map_err(Into::into),
        Command::Crd => crd::print().map_err(Into::into),
        Command::Probe(arguments) => logged(probe::probe(arguments)).await,
        Command::Simulator(arguments) => logged(simulator::command::run(arguments)).await,
    }
}

/// Works with a log for people.
async fn logged<E>(work: impl Future<Output = Result<(), E>>) -> Result<(), Failure>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let log = logging::start(LogFormat::Text);
    let ended = work.await;
    log.end().await;
    Ok(ended?)
}
