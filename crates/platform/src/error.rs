//! Failed calls, classified by what the caller can do.

use std::time::Duration;

use super::http::EgressRefusal;
use super::sanitize;

/// The kind of a failed call, which tells the caller how to react (contract, "Errors").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// Network error, time-out, 429, 5xx, or no room in the request budget: try again later. Never a verdict.
    Transient,
    /// The API refused the credentials or their scopes (401 with a fresh token, 403, or a refusal by the token
    /// endpoint).
    Unauthorized,
    /// The request is wrong, or an object that it names does not exist: any other 4xx. The same request will get the
    /// same answer.
    Rejected {
        /// The HTTP status, 400 to 499.
        status: u16,
    },
    /// The answer does not follow the contract: transient before the submit, unreadable after it.
    Protocol,
    /// The operator's own egress rules forbid the URL; nothing was sent.
    EgressRefused,
    /// The caller cancelled the request while it waited in the queue. Nothing was sent. The caller should decide again.
    Cancelled,
}

impl ErrorClass {
    /// Every metric label of a failed request. A cancelled request is not counted, because it was never sent.
    pub const REQUEST_LABELS: [&str; 5] = ["transient", "unauthorized", "rejected", "protocol", "egress_refused"];

    /// The class as the value of a metric's label: one of six values.
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

/// A failed call: its class, and the API's own message (at most 1 KiB, no control characters, no secrets).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    class: ErrorClass,
    message: String,
    retry_after: Option<Duration>,
    is_out_of_budget: bool,
}

impl CallError {
    /// Makes a failure of this class.
    #[must_use]
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, message: sanitize::single_line(&message.into()), retry_after: None, is_out_of_budget: false }
    }

    /// Makes a failure that may disappear with time.
    #[must_use]
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Transient, message)
    }

    /// Makes a failure for an answer that does not follow the contract.
    #[must_use]
    pub fn protocol(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Protocol, message)
    }

    /// Sets the wait that the API requested.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.retry_after = retry_after;
        self
    }

    /// Limits the wait before the next try.
    pub fn limit_retry_after(mut self, longest: Duration) -> Self {
        self.retry_after = self.retry_after.map(|requested| requested.min(longest));
        self
    }

    /// Marks the failure as caused by the request budget: nothing was sent.
    pub fn out_of_budget(mut self) -> Self {
        self.is_out_of_budget = true;
        self
    }

    /// Whether the last try was not sent because the request budget did not admit it in time.
    #[must_use]
    pub fn is_out_of_budget(&self) -> bool {
        self.is_out_of_budget
    }

    /// The kind of failure.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// What happened, for users: the API's own message if there was one.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// How long to wait before the next try, if the API or the request budget requested one.
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
