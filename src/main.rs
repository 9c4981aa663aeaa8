//! The command line.

#![forbid(unsafe_code)]

use cognigy_operator::command::arguments::{Arguments, Command};
use cognigy_operator::command::logging::LogFormat;
use cognigy_operator::command::{crd, deploy, environment, logging, probe, run, validate};
use mimalloc::MiMalloc;
use std::process::ExitCode;

/// The same allocator in every build: musl's own allocator is slow.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

type Failure = Box<dyn std::error::Error + Send + Sync>;

// The tasks wait for I/O nearly all the time. Several threads would mostly wake each other.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Arguments = environment::parse();
    // One TLS provider for the whole process. A second call would change nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The command runs in a spawned task: waking it needs no system call, but waking the runtime's main future does.
    let carried_out = tokio::spawn(carry_out(arguments.command)).await;
    match carried_out.unwrap_or_else(|panic| Err(panic.into())) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn carry_out(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Run(arguments) => run::run(*arguments).await?,
        Command::Validate(arguments) => return Ok(validate::run(&arguments)?),
        Command::Deploy(arguments) => deploy::deploy(*arguments).await,
        Command::Crd => crd::print()?,
        Command::Probe(arguments) => logged(probe::probe(arguments)).await?,
        Command::Simulator(arguments) => logged(simulator::command::run(arguments)).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the work with a log for people.
async fn logged<E>(work: impl Future<Output = Result<(), E>>) -> Result<(), Failure>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let log = logging::start(LogFormat::Text);
    let ended = work.await;
    log.end().await;
    Ok(ended?)
}
