//! Why a question to the platform has no answer.

use rollout::Obstacle;
use rollout::answer::Retry;
use std::time::Duration;

/// A question that has no answer: why, and what people are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFailure {
    /// What the operator does about it.
    pub cause: FailureCause,
    /// What people are told, and when it is worth trying again.
    pub obstacle: Obstacle,
}

/// What the operator does about a question that has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureCause {
    /// The operator cancelled it while it waited for the request budget: decide again.
    Cancelled,
    /// The request budget had no room: nothing was sent, and nothing is wrong.
    Budget,
    /// The platform refused the credentials: read the Secret again.
    Credentials,
    /// Anything else.
    Other,
}

impl CallFailure {
    /// How long to wait at least before the next try, if the platform or the request budget said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.obstacle.retry {
            Retry::Later { at_least } => at_least,
            _ => None,
        }
    }
}
