//! The cause of a failed call to the API server, in one sentence. kube's own messages contain a debug dump of the
//! answer, and hide the cause of a failed connection.

use kube::core::Status;
use std::error::Error;

/// The cause of a failed call, for a message that names the API server and the operation.
#[must_use]
pub fn cause(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => refusal(status),
        // The message of such an error may quote the answer, and the answer may be a Secret.
        kube::Error::SerdeError(error) => {
            format!("its answer cannot be read (line {}, column {})", error.line(), error.column())
        }
        kube::Error::Service(error) => root(error.as_ref()),
        other => root(other),
    }
}

/// The API server's answer to a request that it refused.
#[must_use]
pub fn refusal(status: &Status) -> String {
    let Status { code, reason, message, .. } = status;
    match (message.is_empty(), reason.is_empty()) {
        (true, true) => format!("it answered {code}"),
        (true, false) => format!("it answered {code} {reason}"),
        (false, _) => format!("it answered {code}: {message}"),
    }
}

/// The message of the innermost error, such as `Connection refused`. The outer one, such as `client error (Connect)`,
/// does not name the cause.
fn root(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    #[error("client error (Connect)")]
    struct Outer(#[source] io::Error);

    #[test]
    fn a_failed_connection_is_described_by_its_innermost_cause() {
        let refused = io::Error::new(io::ErrorKind::ConnectionRefused, "Connection refused (os error 111)");
        let error = kube::Error::Service(Box::new(Outer(refused)));
        assert_eq!(cause(&error), "Connection refused (os error 111)");
    }

    #[test]
    fn a_refusal_is_named_once_and_without_a_debug_dump() {
        let refusal_of = |code, reason: &str, message: &str| {
            cause(&kube::Error::Api(Status { code, ..Status::failure(message, reason) }.boxed()))
        };
        assert_eq!(refusal_of(403, "Forbidden", "User \"x\" cannot list"), "it answered 403: User \"x\" cannot list");
        assert_eq!(refusal_of(500, "InternalError", ""), "it answered 500 InternalError");
        assert_eq!(refusal_of(502, "", ""), "it answered 502");
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_not_quoted() {
        let error = serde_json::from_str::<u8>("\"a secret\"").unwrap_err();
        assert!(error.to_string().contains("a secret"));
        assert_eq!(cause(&kube::Error::SerdeError(error)), "its answer cannot be read (line 1, column 10)");
    }
}
