//! The platform's answer, and how it is sent.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};

/// The answer to one request.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The complete answer, as a network without faults delivers it.
    pub response: Response<Bytes>,
    /// How the network delivers it.
    pub delivery: Delivery,
}

/// How an answer is sent. The code that delivers replies to callers (the server over a socket, a simulation in virtual
/// time) follows this.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Delivery {
    /// At once and complete.
    Normal,
    /// Complete, after this delay. The request took effect when it arrived.
    DelayedBy(Duration),
    /// No answer: the connection ends, and the request had no effect.
    DroppedBeforeEffect,
    /// No answer: the connection ends, but the request took effect.
    DroppedAfterEffect,
    /// The head announces the whole body, then the connection ends after `bytes` of it.
    Truncated {
        /// How much of the body arrives.
        bytes: usize,
    },
    /// Complete, `bytes` at a time with a pause of `every` before each piece.
    SlowDrip {
        /// Size of each piece.
        bytes: usize,
        /// Pause before each piece.
        every: Duration,
    },
    /// The JSON object is padded until the body is at least `bytes` long. The whole body is never held in memory.
    Oversized {
        /// Minimum length of the body.
        bytes: u64,
    },
}

impl Reply {
    /// A reply that is sent at once and complete.
    #[must_use]
    pub fn normal(response: Response<Bytes>) -> Self {
        Self { response, delivery: Delivery::Normal }
    }

    /// The status that the caller receives; none if the connection ends without an answer.
    #[must_use]
    pub fn visible_status(&self) -> Option<u16> {
        match self.delivery {
            Delivery::DroppedBeforeEffect | Delivery::DroppedAfterEffect => None,
            _ => Some(self.response.status().as_u16()),
        }
    }
}

/// An answer that holds JSON.
pub(super) fn json_response(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Why a request is refused, with the platform's own message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Refusal {
    /// A 4xx status.
    pub(super) status: StatusCode,
    /// The reason, for programs.
    pub(super) error: &'static str,
    /// The reason, for people.
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, error: &'static str, message: impl Into<String>) -> Self {
        Self { status, error, message: message.into() }
    }

    /// The answer with this refusal.
    pub(super) fn response(&self) -> Response<Bytes> {
        json_response(self.status, &json!({"error": self.error, "message": self.message}))
    }
}

/// Adds `Retry-After`, in seconds.
pub(super) fn with_retry_after(mut response: Response<Bytes>, seconds: u64) -> Response<Bytes> {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}
