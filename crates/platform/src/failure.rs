//! The failure of a call to the platform.

use rollout::Obstacle;
use rollout::answer::Retry;
use std::time::Duration;

/// A call without a usable answer: the cause, and the message for users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFailure {
    /// The cause.
    pub cause: FailureCause,
    /// The message for users, and the time after which a new try makes sense.
    pub obstacle: Obstacle,
}

/// The cause of a failed call, which tells the operator how to react.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureCause {
    /// The operator cancelled the call while it waited for the request budget: decide again.
    Cancelled,
    /// The request budget did not admit the request. Nothing was sent, and this is not an error of the platform.
    Budget,
    /// The platform refused the credentials: read the Secret again.
    Credentials,
    /// Anything else.
    Other,
}

impl CallFailure {
    /// The minimum wait before the next try, if the platform or the request budget requested one.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.obstacle.retry {
            Retry::Later { at_least } => at_least,
            _ => None,
        }
    }
}
