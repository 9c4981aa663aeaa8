//! Errors of starting a control plane or finding a tool. Each says what to do.

use std::{fmt, path::PathBuf, process::ExitStatus, time::Duration};

/// Why a control plane could not be started or restarted, or why there are no tools.
#[derive(thiserror::Error)]
pub enum Error {
    /// There are no binaries, and none can be built. The caller shows the choices, which the message lists.
    #[error(
        "{wanted} were not found, and cannot be built: {reason}. \
         Either set {variable} to a folder that holds both, or install Go 1.26 or newer and try again{otherwise}"
    )]
    NoBinaries {
        /// The programs.
        wanted: &'static str,
        /// The variable that may name their folder.
        variable: &'static str,
        /// Another choice, as the end of the sentence; may be empty.
        otherwise: &'static str,
        /// The program that a build needs and that is missing.
        reason: String,
    },

    /// `KUBEBUILDER_ASSETS` or `COGNIGY_TOOLS` is set, but the folder cannot be used: correct it, or unset it to build
    /// the binaries.
    #[error("{variable} is {}, but there is no file {missing} in it: correct it or unset it", folder.display())]
    Assets {
        /// The variable.
        variable: &'static str,
        /// The folder that the variable names.
        folder: PathBuf,
        /// The first missing binary.
        missing: &'static str,
    },

    /// `go` ran and failed. Its output shows the cause: the network (modules must be downloaded), the disk, or the Go
    /// version.
    #[error("building {wanted} with {command} failed ({status}); the end of its output:\n{log_tail}")]
    Build {
        /// The programs.
        wanted: &'static str,
        /// The command, as typed in a shell.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its output.
        log_tail: String,
    },

    /// Keys or certificates could not be made. The caller can do nothing about it.
    #[error("cannot make the control plane's certificates")]
    Certificates(#[from] rcgen::Error),

    /// The client that polls readiness could not be made. The caller can do nothing about it.
    #[error("cannot make the readiness client: {0}")]
    ReadinessClient(String),

    /// etcd or kube-apiserver ended by itself. Its log shows why.
    #[error("{program} ended by itself ({status}); the end of its log:\n{log_tail}")]
    Ended {
        /// The name of the program.
        program: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log_tail: String,
    },

    /// The API server runs but is not ready: allow more time with
    /// [`Options::ready_within`](crate::Options::ready_within).
    #[error("the API server is not ready after {} s (its last answer: {last_answer}); the end of its log:\n{log_tail}", waited.as_secs())]
    NotReady {
        /// The time that was allowed.
        waited: Duration,
        /// The last answer to the readiness poll.
        last_answer: String,
        /// The end of its log.
        log_tail: String,
    },

    /// The operating system refused: disk, permissions or limits.
    #[error("cannot {action}")]
    System {
        /// The operation that failed.
        action: String,
        /// The error from the operating system.
        source: std::io::Error,
    },
}

/// The message, with its cause. Most callers are tests that call `unwrap`. Their panic must show the choices and the
/// log's lines, not a struct with escaped line ends.
impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")?;
        std::error::Error::source(self).map_or(Ok(()), |cause| write!(formatter, ": {cause}"))
    }
}

/// Adds the name of the failed operation to an error of the operating system.
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
