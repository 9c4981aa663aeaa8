//! What a failed call means for the caller.

use std::time::Duration;

use super::http::EgressRefusal;
use super::words;

/// What the caller can do about a failed call (contract, "Errors").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// Network error, time-out, 429, 5xx, or no room in the request budget: try again later. Never a verdict.
    Transient,
    /// The credentials or their scopes were refused (401 with a fresh token, 403, or the token endpoint said no).
    Unauthorized,
    /// The request is wrong, or what it names is not there: any other 4xx. The same request will be answered the same way.
    Rejected {
        /// The HTTP status, 400 to 499.
        status: u16,
    },
    /// The answer is not what the contract says: transient before the submit, unreadable after it.
    Protocol,
    /// The operator's own egress rules forbid the URL; nothing was sent.
    EgressRefused,
    /// The caller cancelled the request while it waited in the queue. Nothing was sent, and nothing is known. Decide again.
    Cancelled,
}

impl ErrorClass {
    /// Every label that a request ends with by which it failed; one that was cancelled was never made.
    pub const OF_REQUESTS: [&str; 5] = ["transient", "unauthorized", "rejected", "protocol", "egress_refused"];

    /// The class as the value of a metric's label: one of six words.
    #[must_use]
    pub fn metric_label(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Unauthorized => "unauthorized",
            Self::Rejected { .. } => "rejected",
            Self::Protocol => "protocol",
            Self::EgressRefused => "egress_refused",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A failed call: its class, and the API's own words (at most 1 KiB, no control characters, no secrets).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    class: ErrorClass,
    message: String,
    retry_after: Option<Duration>,
    is_held_back: bool,
}

impl CallError {
    /// A failure of this class.
    #[must_use]
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, message: words::tidy(&message.into()), retry_after: None, is_held_back: false }
    }

    /// A failure that time may mend.
    #[must_use]
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Transient, message)
    }

    /// An answer that makes no sense.
    #[must_use]
    pub fn protocol(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Protocol, message)
    }

    /// The same failure, with the wait that the API asked for.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.retry_after = retry_after;
        self
    }

    /// Asks for no longer a wait than that.
    pub fn with_retry_after_of_at_most(mut self, longest: Duration) -> Self {
        self.retry_after = self.retry_after.map(|asked| asked.min(longest));
        self
    }

    /// The request budget had no room for it: nothing was sent.
    pub fn held_back(mut self) -> Self {
        self.is_held_back = true;
        self
    }

    /// Whether the last try was not sent, because the request budget had no room for it in time.
    #[must_use]
    pub fn is_held_back(&self) -> bool {
        self.is_held_back
    }

    /// What the caller can do.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// What happened, for people: the API's own words where it had any.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// How long to wait before the next try, where the API (or the request budget) said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The class as the value of a metric's label.
    #[must_use]
    pub fn metric_label(&self) -> &'static str {
        self.class.metric_label()
    }
}

impl From<EgressRefusal> for CallError {
    fn from(refusal: EgressRefusal) -> Self {
        Self::new(ErrorClass::EgressRefused, refusal.to_string())
    }
}
