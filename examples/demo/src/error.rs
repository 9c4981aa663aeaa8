//! Errors of the demo. Each says what to do.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why the demo could not run. If a resource ends differently than it should, this is a finding of the demo and not an error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no control plane; the message says what to do.
    #[error("the API server cannot be started: {}", remedy(.0))]
    ControlPlane(#[from] control_plane::Error),
    /// The kubeconfig cannot be used.
    #[error("the kubeconfig {} cannot be used: {problem}; correct it, or name another with --kubeconfig and --context", file.display())]
    Kubeconfig {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The cluster does not answer.
    #[error(
        "the demo cannot reach the cluster {server}: {problem}. Start the cluster, or name another with --kubeconfig and \
         --context, or leave both out: then the demo starts an API server of its own"
    )]
    Unreachable {
        /// Its URL.
        server: String,
        /// Why not.
        problem: String,
    },
    /// The cluster holds objects of somebody else. Nothing was changed.
    #[error("the demo does not use this cluster, and has changed nothing in it: {0}")]
    Occupied(String),
    /// Another demo uses the cluster. Nothing was changed.
    #[error("another demo runs in the cluster {server}; end it with Ctrl-C, and try again")]
    Busy {
        /// Its URL.
        server: String,
    },
    /// Something that the demo deleted is still there.
    #[error("the {what} is deleted, but after {} s it is still there; this may tell why: {look}", waited.as_secs())]
    NotGone {
        /// Its kind and name.
        what: String,
        /// How long the demo waited.
        waited: Duration,
        /// The command to look with.
        look: String,
    },
    /// The simulated platform cannot listen.
    #[error("the simulated Cognigy.AI cannot be started: {0}")]
    Simulator(#[from] simulator::ServerError),
    /// A file that is built into the demo cannot be read: a mistake in it.
    #[error("{file}, which is built into the demo, is invalid: {problem}")]
    Script {
        /// Which file.
        file: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The API server refused a request or did not answer it.
    #[error("the API server did not {what}: {problem}")]
    Kubernetes {
        /// What was asked.
        what: &'static str,
        /// Its answer.
        problem: String,
    },
    /// The operator ended, or did not become ready.
    #[error("the operator {problem}; the end of its log, {}:\n{log_tail}", log.display())]
    Operator {
        /// What happened to it.
        problem: String,
        /// Where its log is.
        log: PathBuf,
        /// The last lines of it.
        log_tail: String,
    },
    /// The error of the operator, in its own process, if it cannot start or continue.
    #[error("{0}")]
    OperatorsOwn(String),
    /// The operating system refused.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// Somebody pressed Ctrl-C, or asked the process to end.
    #[error("interrupted; the demo has stopped what it had started")]
    Interrupted,
}

/// Why the control plane cannot run, with the choices that the demo offers.
fn remedy(error: &control_plane::Error) -> String {
    match error {
        control_plane::Error::NoBinaries { reason, .. } => format!(
            "there is no kube-apiserver and etcd on this machine, and they cannot be built: {reason}. Install Go 1.26 or \
             newer and try again, or set KUBEBUILDER_ASSETS to a folder that holds both, or name a cluster that you have \
             with --kubeconfig"
        ),
        // Its Debug form is its message with the cause.
        other => format!("{other:?}"),
    }
}

/// Adds the name of the failed operation to an error.
pub trait Trying<T> {
    /// Turns an error into one that names the operation, as in "cannot write the log".
    fn trying(self, what: &'static str) -> Result<T, Error>;
}

impl<T> Trying<T> for io::Result<T> {
    fn trying(self, what: &'static str) -> Result<T, Error> {
        self.map_err(|source| Error::System { what, source })
    }
}

impl<T> Trying<T> for kube::Result<T> {
    fn trying(self, what: &'static str) -> Result<T, Error> {
        self.map_err(|error| {
            let problem = match error {
                kube::Error::Api(answer) => answer.message,
                other => other.to_string(),
            };
            Error::Kubernetes { what, problem }
        })
    }
}
