//! The seam below retries and tokens: one HTTP request, one answer.

use bytes::Bytes;
use futures::future::BoxFuture;

use super::egress::EgressRefusal;

/// The most bytes of an answer that are read.
pub const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Sends one request and reads its whole answer. Follows no redirect, repeats nothing, and knows no token.
/// Dropping the future gives the request up; whether it had an effect is then unknown.
pub trait Transport: Send + Sync + 'static {
    /// Sends the request; any answer with a status is `Ok`.
    ///
    /// # Errors
    /// [`TransportError`] where there is no whole answer.
    fn send(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>>;
}

/// Why there is no whole answer. No message holds a path, a query or a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No connection was made (name, TCP or TLS), so that nothing was sent for certain.
    #[error("no connection: {0}")]
    NotConnected(String),
    /// The connection failed afterwards: the request may have had its effect.
    #[error("the connection was lost before the whole answer came: {0}")]
    Interrupted(String),
    /// The answer is longer than [`MAX_ANSWER_BYTES`]; the rest was not read.
    #[error("the answer is longer than 1 MiB")]
    TooLarge {
        /// The answer's HTTP status.
        status: http::StatusCode,
    },
    /// The operator's egress rules forbid it; nothing was sent.
    #[error(transparent)]
    EgressRefused(#[from] EgressRefusal),
}
