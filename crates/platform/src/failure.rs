//! The failure of a question to the platform.

use rollout::Obstacle;
use rollout::answer::Retry;
use std::time::Duration;

/// A question that has no answer: the reason, and the message for users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFailure {
    /// The operator's reaction.
    pub cause: FailureCause,
    /// The message for users, and the time after which a new try makes sense.
    pub obstacle: Obstacle,
}

/// The operator's reaction to a question that has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureCause {
    /// The operator cancelled the question while it waited for the request budget: decide again.
    Cancelled,
    /// The request budget had no room: nothing was sent, and nothing is wrong.
    Budget,
    /// The platform refused the credentials: read the Secret again.
    Credentials,
    /// Anything else.
    Other,
}

impl CallFailure {
    /// The minimum wait before the next try, if the platform or the request budget asked for one.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.obstacle.retry {
            Retry::Later { at_least } => at_least,
            _ => None,
        }
    }
}
