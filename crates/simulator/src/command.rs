//! The command line: `cognigy-operator simulator`.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::scenario::{Scenario, ScenarioError};
use super::server::{Server, ServerError};
use super::tls::Tls;

/// Runs a simulated Cognigy.AI over HTTP, for demonstrations and evaluations.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = "\
Examples:
  cognigy-operator simulator
  cognigy-operator simulator --scenario examples/scenarios/bad-release.yaml
  cognigy-operator simulator --listen 0.0.0.0:8443 --tls-certificate tls.crt --tls-key tls.key")]
pub struct SimulatorArguments {
    /// Address to listen on. Port 0 selects a free port.
    #[arg(long, env = "COGNIGY_SIMULATOR_LISTEN", default_value = "127.0.0.1:8090")]
    pub listen: SocketAddr,

    /// File with the scenario to play, in YAML or JSON. Without it, the simulator plays a healthy platform.
    #[arg(long, env = "COGNIGY_SIMULATOR_SCENARIO", value_name = "FILE")]
    pub scenario: Option<PathBuf>,

    /// File with the TLS certificate of the server, in PEM.
    #[arg(long, env = "COGNIGY_SIMULATOR_TLS_CERTIFICATE", value_name = "FILE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,

    /// File with the private key of the certificate, in PEM.
    #[arg(long, env = "COGNIGY_SIMULATOR_TLS_KEY", value_name = "FILE", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,
}

/// Why the simulator did not start. The error names the setting that the user has to change.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error from the operating system.
        source: io::Error,
    },
    /// The scenario's file is not a scenario.
    #[error("{}: {source}", path.display())]
    Scenario {
        /// The file.
        path: PathBuf,
        /// The error in it.
        source: ScenarioError,
    },
    /// The server could not be started.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The process cannot handle the signals that end it.
    #[error("cannot install a signal handler: {0}")]
    Signals(io::Error),
}

/// Runs the server until SIGTERM or Ctrl-C.
///
/// # Errors
/// If a file cannot be read or used, or if the server cannot listen on the address.
pub async fn run(arguments: SimulatorArguments) -> Result<(), CommandError> {
    let scenario = read_scenario(arguments.scenario.as_deref())?;
    let tls = read_tls(arguments.tls_certificate.as_deref(), arguments.tls_key.as_deref())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(CommandError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CommandError::Signals)?;
    let clients = scenario.clients.clone();
    let server = Server::bind(arguments.listen, scenario, tls).await?;
    tracing::info!(base_url = server.url(), token_url = server.token_url(), "the simulator is listening");
    for client in clients {
        // Logged on purpose: these credentials give access only to this simulator, and its user needs them.
        let (client_id, client_secret) = (client.client_id.as_str(), client.client_secret.expose());
        tracing::info!(client_id, client_secret, "the simulator accepts these credentials");
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    server.shutdown().await;
    tracing::info!("the simulator has ended");
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    std::fs::read(path).map_err(|source| CommandError::File { path: path.to_owned(), source })
}

fn read_scenario(path: Option<&Path>) -> Result<Scenario, CommandError> {
    let Some(path) = path else {
        return Ok(Scenario::default());
    };
    let text = std::fs::read_to_string(path).map_err(|source| CommandError::File { path: path.to_owned(), source })?;
    Scenario::parse(&text).map_err(|source| CommandError::Scenario { path: path.to_owned(), source })
}

fn read_tls(certificate: Option<&Path>, key: Option<&Path>) -> Result<Option<Tls>, CommandError> {
    let (Some(certificate), Some(key)) = (certificate, key) else {
        return Ok(None);
    };
    Ok(Some(Tls { certificate_pem: read(certificate)?, key_pem: read(key)? }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct CommandLine {
        #[command(flatten)]
        arguments: SimulatorArguments,
    }

    fn parsed(options: &[&str]) -> Result<SimulatorArguments, clap::Error> {
        let arguments = std::iter::once("simulator").chain(options.iter().copied());
        CommandLine::try_parse_from(arguments).map(|line| line.arguments)
    }

    #[test]
    fn without_options_it_listens_on_this_machine_only() {
        let listen = parsed(&[]).unwrap().listen;
        assert_eq!(listen, "127.0.0.1:8090".parse().unwrap());
    }

    #[test]
    fn a_certificate_needs_its_key() {
        assert!(parsed(&["--tls-certificate", "tls.crt"]).is_err());
        assert!(parsed(&["--tls-key", "tls.key"]).is_err());
        assert!(parsed(&["--tls-certificate", "tls.crt", "--tls-key", "tls.key"]).is_ok());
    }

    #[tokio::test]
    async fn the_error_about_a_missing_or_invalid_file_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scenario.yaml");
        let arguments = || parsed(&["--listen", "127.0.0.1:0", "--scenario", path.to_str().unwrap()]).unwrap();
        let missing = run(arguments()).await.unwrap_err();
        assert!(matches!(missing, CommandError::File { .. }) && missing.to_string().contains("scenario.yaml"));
        std::fs::write(&path, "tokenLifetime: 5").unwrap();
        let wrong = run(arguments()).await.unwrap_err().to_string();
        assert!(wrong.contains("scenario.yaml") && wrong.contains("tokenLifetime"), "{wrong}");
    }
}
