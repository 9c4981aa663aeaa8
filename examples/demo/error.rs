//! What can keep the demo from running, and what to do about it.

use std::io;
use std::path::PathBuf;

/// Why the demo could not be shown. That a resource ended otherwise than it should is no error but a finding.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no control plane; the message says what to do.
    #[error("the API server cannot be started: {}", remedy(.0))]
    ControlPlane(#[from] control_plane::Error),
    /// The simulated platform cannot listen.
    #[error("the simulated Cognigy.AI cannot be started: {0}")]
    Simulator(#[from] simulator::ServerError),
    /// A file that is built into the demo cannot be read: a mistake in it.
    #[error("{file} is not what it should be: {problem}")]
    Script {
        /// Which file.
        file: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The API server did not do what it was asked.
    #[error("the API server did not {what}: {problem}")]
    Kubernetes {
        /// What was asked.
        what: &'static str,
        /// Its answer.
        problem: String,
    },
    /// The operator's program is not where it should be, and there is no cargo to build it with.
    #[error(
        "there is no operator at {}: build it with `cargo build --bin cognigy-operator`, or start the demo with \
         `cargo run --example demo`, which builds it",
        .0.display()
    )]
    NoOperator(PathBuf),
    /// The operator's program cannot be built; cargo has said why above.
    #[error("building the operator failed ({0}); cargo says why above")]
    Build(std::process::ExitStatus),
    /// The operator ended, or did not become ready.
    #[error("the operator {problem}; the end of its log, {}:\n{log_tail}", log.display())]
    Operator {
        /// What became of it.
        problem: String,
        /// Where its log is.
        log: PathBuf,
        /// The last lines of it.
        log_tail: String,
    },
    /// The operating system refused.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// Somebody pressed Ctrl-C, or asked the process to end.
    #[error("interrupted; everything the demo had started is stopped")]
    Interrupted,
}

/// What keeps the control plane from running, without the choice that this demo does not offer: a cluster of one's own,
/// which it would fill with things that nobody asked for there.
fn remedy(error: &control_plane::Error) -> String {
    match error {
        control_plane::Error::NoBinaries { reason, .. } => format!(
            "there is no kube-apiserver and etcd on this machine, and they cannot be built: {reason}. Install Go 1.26 or \
             newer and try again, or set KUBEBUILDER_ASSETS to a folder that holds both"
        ),
        // Its Debug form is its message with the cause.
        other => format!("{other:?}"),
    }
}

/// Names what was tried.
pub trait Trying<T> {
    /// Turns a failure into one that names `what` was tried, as in "cannot write the log".
    fn trying(self, what: &'static str) -> Result<T, Error>;
}

impl<T> Trying<T> for io::Result<T> {
    fn trying(self, what: &'static str) -> Result<T, Error> {
        self.map_err(|source| Error::System { what, source })
    }
}

impl<T> Trying<T> for kube::Result<T> {
    fn trying(self, what: &'static str) -> Result<T, Error> {
        self.map_err(|error| Error::Kubernetes { what, problem: error.to_string() })
    }
}
