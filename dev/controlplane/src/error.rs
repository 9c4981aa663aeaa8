//! What can keep a control plane from running or a tool from being there, and what to do about it.

use std::{fmt, path::PathBuf, process::ExitStatus, time::Duration};

/// Why a control plane could not be started, or started again, or why there are no tools.
#[derive(thiserror::Error)]
pub enum Error {
    /// There are no binaries, and none can be built: the caller shows the choices, which the message names.
    #[error(
        "there is no {wanted} to start, and they can't be built: {reason}. \
         Either set {variable} to a folder that holds both, or install Go 1.26 or newer and try again{otherwise}"
    )]
    NoBinaries {
        /// The programs.
        wanted: &'static str,
        /// The variable that may name their folder.
        variable: &'static str,
        /// What else there is to do, to end the sentence with; may be empty.
        otherwise: &'static str,
        /// What is missing for a build.
        reason: String,
    },

    /// `KUBEBUILDER_ASSETS` or `COGNIGY_TOOLS` is set but of no use: correct it, or unset it to have the binaries built.
    #[error("{variable} is {}, but there is no file {missing} in it: correct it or unset it", folder.display())]
    Assets {
        /// The variable.
        variable: &'static str,
        /// The folder that the variable names.
        folder: PathBuf,
        /// The first binary that is not there.
        missing: &'static str,
    },

    /// `go` ran and failed: the network (modules have to be downloaded), the disk, or the Go version; its words tell.
    #[error("building {wanted} with {command} failed ({status}); its last words:\n{log_tail}")]
    Build {
        /// The programs.
        wanted: &'static str,
        /// The command, as one would type it.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote.
        log_tail: String,
    },

    /// Keys or certificates could not be made: nothing the caller can do.
    #[error("cannot make the control plane's certificates")]
    Certificates(#[from] rcgen::Error),

    /// The client that asks for readiness could not be made: nothing the caller can do.
    #[error("cannot make the readiness client: {0}")]
    ReadinessClient(String),

    /// etcd or kube-apiserver ended by itself: its log tells why.
    #[error("{program} ended by itself ({status}); the end of its log:\n{log_tail}")]
    Ended {
        /// Which of the two.
        program: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log_tail: String,
    },

    /// The API server runs but is not ready: allow more time with [`Options::ready_within`](crate::Options::ready_within).
    #[error("the API server is not ready after {} s (its last answer: {last_answer}); the end of its log:\n{log_tail}", waited.as_secs())]
    NotReady {
        /// How long it was given.
        waited: Duration,
        /// The last answer to the question whether it is ready.
        last_answer: String,
        /// The end of its log.
        log_tail: String,
    },

    /// The operating system refused: disk, permissions or limits.
    #[error("cannot {action}")]
    System {
        /// What was tried.
        action: String,
        /// What the operating system answered.
        source: std::io::Error,
    },
}

/// The message, with its cause. Most callers are tests, which unwrap: the person who reads their panic needs the choices
/// and the log's lines, not a struct with escaped line ends.
impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")?;
        std::error::Error::source(self).map_or(Ok(()), |cause| write!(formatter, ": {cause}"))
    }
}

/// Names what was tried when the operating system refuses.
pub(crate) trait Trying<T> {
    /// Turns an I/O error into "cannot `action`".
    fn trying(self, action: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Trying<T> for std::io::Result<T> {
    fn trying(self, action: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::System { action: action(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::EXAMPLE;

    #[test]
    fn an_unwrapped_error_shows_the_choices_and_the_cause() {
        let error = EXAMPLE.none("there is no `go` in PATH");
        let shown = format!("{error:?}");
        for choice in ["one and two", "EXAMPLE_ASSETS", "install Go"] {
            assert!(shown.contains(choice), "{shown}");
        }

        let refused = std::io::Error::other("disk full");
        let error = Error::System { action: "write a key".to_owned(), source: refused };
        assert_eq!(format!("{error:?}"), "cannot write a key: disk full");
    }
}
