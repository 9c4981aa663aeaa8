//! Exit codes, and why a command could not do its work.

use std::process::ExitCode;

/// The result of a command, as a pipeline sees it. docs/pipelines.md documents these numbers; they never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Success: what was asked for is there.
    Succeeded = 0,
    /// A bad verdict: the configuration was refused, failed or was rolled back. For `plan`: there are changes.
    Failed = 1,
    /// The command line, a file or the connection is wrong. Nothing was done.
    Usage = 2,
    /// The time-out passed before there was a verdict. A rollout that waits for an approval or a change window is waited for until then.
    TimedOut = 3,
    /// A person is needed: the deployment is suspended or stalled. For `plan`: it would be refused. For `approve` and the like: the
    /// operator does not count the decision.
    NeedsPerson = 4,
    /// The operator does not act.
    OperatorNotActing = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not do its work. The message names the object, the cause and the next step.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line or a file is wrong.
    #[error("{0}")]
    Usage(String),
    /// There is no such object.
    #[error("{0}")]
    NotFound(String),
    /// The caller lacks a right.
    #[error("{0}")]
    Forbidden(String),
    /// The cluster cannot be reached, or the kubeconfig is wrong.
    #[error("{0}")]
    Connection(String),
    /// The API server refused a request.
    #[error("{0}")]
    Refused(String),
    /// The reader of the output has gone. Commands that have an exit code of their own keep it.
    #[error("the reader of the output has closed it")]
    OutputClosed,
    /// Reading or writing failed.
    #[error(transparent)]
    Io(std::io::Error),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Io(error),
        }
    }
}

impl Exit {
    /// The exit code after the result was written. A closed pipe does not turn a bad result into a good one.
    ///
    /// # Errors
    /// The output could not be written for another reason.
    pub fn after(self, written: Result<(), Failure>) -> Result<Self, Failure> {
        match written {
            Ok(()) | Err(Failure::OutputClosed) => Ok(self),
            Err(failure) => Err(failure),
        }
    }
}

impl Failure {
    /// Explains what the API server or the connection said about a request. `what` names the request, for example `get
    /// cognigydeployment bots/customer-service-prod`.
    #[must_use]
    pub fn of_request(what: &str, error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                404 => Self::NotFound(format!("cannot {what}: {}", status.message)),
                401 => Self::Forbidden(format!(
                    "cannot {what}: the cluster does not accept the credentials of the kubeconfig: {}",
                    status.message
                )),
                403 => Self::Forbidden(format!(
                    "cannot {what}: {}; `kubectl cognigy doctor` shows your rights",
                    status.message
                )),
                _ => Self::Refused(format!("cannot {what}: {}", status.message)),
            },
            error => Self::Connection(format!("cannot {what}: {}", causes(&error))),
        }
    }
}

/// An error with its causes, each of them once.
#[must_use]
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_gone_does_not_turn_a_bad_verdict_into_a_success() {
        let closed = Failure::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert!(matches!(Exit::Failed.after(Err(closed)), Ok(Exit::Failed)));
        let full = Failure::from(std::io::Error::from(std::io::ErrorKind::StorageFull));
        assert!(Exit::Succeeded.after(Err(full)).is_err());
    }
}
