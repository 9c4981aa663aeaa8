//! The errors that end a reconcile. None of them is a verdict about a rollout: the reconcile is run again.

use super::cause::cause;
use crate::metrics::ErrorKind;
use std::time::Duration;
use tracing::{Instrument, field};

/// The longest that one call to the API server may take.
pub const CALL_DEADLINE: Duration = Duration::from_secs(15);

/// The reason why a reconcile could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else has written the resource since it was read: read it again and decide again.
    #[error("the resource has changed since it was read")]
    Conflict,
    /// The resource is gone.
    #[error("the resource is gone")]
    Gone,
    /// The API server could not be reached, or refused the request. The reconcile is tried again with a growing delay.
    #[error("the API server failed to {what}: {}", cause(source))]
    ApiServer {
        /// The operation, such as "write the status".
        what: &'static str,
        /// Its answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// The API server did not answer in time. The reconcile is tried again with a growing delay.
    #[error("the API server did not {what} within {} seconds", CALL_DEADLINE.as_secs())]
    NoAnswer {
        /// The operation, such as "write the status".
        what: &'static str,
    },
    /// The object lacks a field that every stored object has.
    #[error("the object has no {0}")]
    Malformed(&'static str),
    /// The object has values that this version does not understand. Perhaps a newer operator has written them. They are
    /// not overwritten.
    #[error("{0}")]
    Unreadable(String),
    /// A bug: the reconcile panicked. The others continue; this one is tried again with a growing delay.
    #[error("the reconcile panicked: {0}")]
    Panicked(String),
    /// Another process leads, or this one can no longer be sure that it does.
    #[error("this process does not hold the lease")]
    NotLeading,
    /// The operator is not ready yet: its first list of resources is not complete.
    #[error("the first list of resources is not complete")]
    NotReady,
    /// The resource changed while a request waited, and the request was cancelled. The next reconcile decides again, at
    /// once.
    #[error("the resource has changed, and the request that waited was cancelled")]
    Cancelled,
}

impl Error {
    /// Whether the API server forbids the request. It will do so until somebody changes the operator's rights.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::ApiServer { source, .. } if matches!(&**source, kube::Error::Api(status) if status.code == 403))
    }

    /// Whether the API server is unreachable or too busy, so that nothing is wrong with the request.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::NoAnswer { .. } => true,
            Self::ApiServer { source, .. } => match &**source {
                kube::Error::Api(status) => status.code == 429 || status.code >= 500,
                kube::Error::Service(_) | kube::Error::HyperError(_) => true,
                _ => false,
            },
            _ => false,
        }
    }

    /// The kind of error, for metrics.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Conflict => ErrorKind::Conflict,
            Self::Gone => ErrorKind::Gone,
            Self::ApiServer { .. } => ErrorKind::ApiServer,
            Self::NoAnswer { .. } => ErrorKind::NoAnswer,
            Self::Malformed(_) => ErrorKind::Malformed,
            Self::Unreadable(_) => ErrorKind::Unreadable,
            Self::Panicked(_) => ErrorKind::Panicked,
            Self::NotLeading => ErrorKind::NotLeading,
            Self::NotReady => ErrorKind::NotReady,
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }
}

/// Runs one call to the API server under its deadline.
pub(super) async fn call<T>(
    what: &'static str,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Error> {
    let span = tracing::debug_span!(
        "kubernetes",
        otel.name = what,
        otel.kind = "client",
        result = field::Empty,
        otel.status_code = field::Empty,
    );
    let answer = match tokio::time::timeout(CALL_DEADLINE, request).instrument(span.clone()).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) if status.code == 409 => Err(Error::Conflict),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Err(Error::Gone),
        Ok(Err(source)) => Err(Error::ApiServer { what, source: Box::new(source) }),
        Err(_) => Err(Error::NoAnswer { what }),
    };
    span.record("result", answer.as_ref().err().map_or("success", |error| error.kind().label()));
    if answer.is_err() {
        span.record("otel.status_code", "error");
    }
    answer
}
