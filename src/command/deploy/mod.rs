//! `cognigy-operator deploy`: one rollout without a cluster.
//!
//! It is the operator's own reconcile, whose API server is a file: the store answers what the controller asks of
//! Kubernetes, and keeps the status in the journal. So everything that the operator promises about crashes holds
//! here as well.

mod documents;
mod ending;
mod inputs;
mod journal;
mod progress;
mod record;
mod result;
mod run;
mod signals;
mod store;

pub use documents::DocumentsError;
pub use inputs::InputError;
pub use journal::JournalError;
pub use result::{AttemptReport, OutputFormat, OwedReport, Report, RunResult};

use super::confidential::Confidential;
use super::environment::variable;
use super::logging::{self, LogFormat};
use super::manifests::ManifestArguments;
use super::platform::PlatformArguments;
use super::settings::duration;
use clap::Args;
use platform::{HttpTransportError, WebhookUrl};
use record::Identity;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The exit code if the run could not begin: a flag, the manifest or the journal cannot be used.
const USAGE: u8 = 2;

/// The log without `-v`: the progress says what a person needs, but a message that was given up is in the log only.
const QUIET: &str = "error";

/// The flags of `cognigy-operator deploy`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  cognigy-operator deploy -f release.yaml
  cognigy-operator deploy -f - -o json --timeout 20m < release.yaml
  cognigy-operator deploy -f release.yaml --retry

Credentials, if the manifest has no Secret with them:
  COGNIGY_CLIENT_ID      the OAuth2 client's id
  COGNIGY_CLIENT_SECRET  its secret; read from the environment only, so that no process list shows it

Exit codes: 0 deployed, 1 refused, failed or rolled back, 2 usage, 3 --timeout is over, 4 a person is needed,
5 Cognigy.AI was not reached within --timeout, 130 and 143 stopped by a signal.
If a run was stopped or has crashed, run the same command again: it goes on where the journal ends, and never
submits twice.")]
pub struct DeployArguments {
    /// The manifest: one CognigyDeployment, and the Secrets and ConfigMaps that it refers to.
    #[command(flatten)]
    pub manifests: ManifestArguments,

    /// Journal of this deployment. If not set: NAMESPACE.NAME.json in $XDG_STATE_HOME/cognigy-operator, or in
    /// ~/.local/state/cognigy-operator. Keep it as long as you deploy to the environment.
    #[arg(long, env = "COGNIGY_JOURNAL", value_name = "FILE")]
    pub journal: Option<PathBuf>,

    /// Deploy this configuration once more, although an attempt has ended.
    #[arg(long)]
    pub retry: bool,

    /// Stop after this time, if there is no verdict. A rollout in progress is then not watched any more. If not set: no limit.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,

    /// How long to go on after the verdict, until the audit log and the webhook have accepted their messages, and until the
    /// environment is healthy after a rollback.
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = duration)]
    pub delivery_timeout: Duration,

    /// Form of the result on the standard output. The progress is on the standard error.
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,

    /// Show the log as well. RUST_LOG sets how much is logged.
    #[arg(short, long)]
    pub verbose: bool,

    /// Webhook that receives the outcome, if the manifest names none.
    #[arg(long, env = "CI_CD_WEBHOOK_URL", value_name = "URL", hide_env_values = true, value_parser = Confidential::<WebhookUrl>::default())]
    pub webhook_url: Option<WebhookUrl>,

    /// How Cognigy.AI is called.
    #[command(flatten)]
    pub platform: PlatformArguments,
}

/// The run could not begin. The message says what to change.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The manifest or the environment cannot be used.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The snapshot cannot be used.
    #[error("the configuration cannot be used: {0}")]
    Snapshot(String),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal cannot be written.
    #[error("the journal {} cannot be written: {source}; correct that, or name another file with --journal", path.display())]
    Write {
        /// The journal.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Nobody knows where the journal should be.
    #[error("there is no folder for the journal, because HOME is not set; name a file with --journal")]
    NoStateFolder,
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be built: {0}")]
    Http(#[from] HttpTransportError),
    /// Signals cannot be received.
    #[error("signals cannot be received: {0}")]
    Signals(#[source] io::Error),
}

/// Deploys what a manifest describes, and ends the process when there is a verdict.
pub async fn deploy(arguments: DeployArguments) -> ! {
    let log = logging::start_with(LogFormat::Text, if arguments.verbose { "info" } else { QUIET });
    let output = arguments.output;
    let ended = run::run(arguments).await;
    log.end().await;
    let code = match ended {
        Ok(report) => {
            // If nobody reads the standard output, the exit code still says how it ended.
            let mut stdout = io::stdout().lock();
            let _ = stdout.write_all(report.text(output).as_bytes()).and_then(|()| stdout.flush());
            report.exit_code
        }
        Err(error) => {
            let mut stderr = io::stderr().lock();
            if let DeployError::Input(InputError::Documents(DocumentsError::Invalid { lines, .. })) = &error {
                lines.iter().for_each(|line| drop(writeln!(stderr, "{line}")));
            }
            let _ = writeln!(stderr, "error: {error}");
            USAGE
        }
    };
    // The end of the runtime would wait for the look-up of a name, for many seconds and deaf to signals. The journal is on the
    // disk, and the system releases its lock.
    std::process::exit(code.into())
}

/// The journal's file if no flag names one.
fn default_journal(identity: &Identity) -> Result<PathBuf, DeployError> {
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .ok_or(DeployError::NoStateFolder)?;
    let Identity { namespace, name, .. } = identity;
    Ok(state.join("cognigy-operator").join(Path::new(&format!("{namespace}.{name}.json"))))
}
