//! What the platform answers, and how the answer goes out on the wire.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};

/// The answer to one request.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The whole answer, as an undisturbed wire would carry it.
    pub response: Response<Bytes>,
    /// What the wire makes of it.
    pub delivery: Delivery,
}

/// How an answer goes out. Whoever carries replies to callers (the server over a socket, a
/// simulation in virtual time) does what this says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Delivery {
    /// At once and whole.
    Normal,
    /// Whole, after this long. The request took effect when it arrived.
    DelayedBy(Duration),
    /// Not at all: the connection ends without an answer, and the request had no effect.
    DroppedBeforeEffect,
    /// Not at all: the connection ends without an answer, but the request took effect.
    DroppedAfterEffect,
    /// The head announces the whole body, then the connection ends after `bytes` of it.
    Truncated {
        /// How much of the body arrives.
        bytes: usize,
    },
    /// Whole, `bytes` at a time with a pause of `every` before each piece.
    SlowDrip {
        /// Size of each piece.
        bytes: usize,
        /// Pause before each piece.
        every: Duration,
    },
    /// The JSON object is padded until the body is at least `bytes` long, without ever being held in
    /// memory as a whole.
    Oversized {
        /// Least length of the body.
        bytes: u64,
    },
}

impl Reply {
    /// A reply that goes out at once and whole.
    #[must_use]
    pub fn normal(response: Response<Bytes>) -> Self {
        Self { response, delivery: Delivery::Normal }
    }

    /// The status the caller gets to see: none where the connection ends without an answer.
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

/// Why a request is refused, in the platform's own words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Refusal {
    /// A 4xx.
    pub(super) status: StatusCode,
    /// For programs.
    pub(super) error: &'static str,
    /// For people.
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, error: &'static str, message: impl Into<String>) -> Self {
        Self { status, error, message: message.into() }
    }

    /// The answer that tells of it.
    pub(super) fn response(&self) -> Response<Bytes> {
        json_response(self.status, &json!({"error": self.error, "message": self.message}))
    }
}

/// Adds `Retry-After`, in seconds.
pub(super) fn with_retry_after(mut response: Response<Bytes>, seconds: u64) -> Response<Bytes> {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}
