//! The interface to the network: sends one HTTP request and returns one answer. Callers handle retries and tokens.

use bytes::Bytes;
use futures::future::BoxFuture;

use super::egress::EgressRefusal;

/// The maximum number of bytes that are read of an answer.
pub const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Sends one request and reads its whole answer. It follows no redirects, retries nothing, and adds no token. Dropping
/// the future cancels the request; then it is unknown whether the request took effect.
pub trait Transport: Send + Sync + 'static {
    /// Sends the request; any answer with a status is `Ok`.
    ///
    /// # Errors
    /// [`TransportError`] if there is no complete answer.
    fn send(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>>;
}

/// The reason why there is no complete answer. No message contains a path, a query or a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No connection was made (name, TCP or TLS). It is certain that nothing was sent.
    #[error("no connection: {0}")]
    NotConnected(String),
    /// The connection failed after it was made: the request may have taken effect.
    #[error("the connection was lost before the whole answer was received: {0}")]
    Interrupted(String),
    /// The answer is longer than [`MAX_ANSWER_BYTES`]; the rest was not read.
    #[error("the answer is longer than 1 MiB")]
    TooLarge {
        /// The answer's HTTP status.
        status: http::StatusCode,
    },
    /// The operator's egress rules forbid the request; nothing was sent.
    #[error(transparent)]
    EgressRefused(#[from] EgressRefusal),
}
