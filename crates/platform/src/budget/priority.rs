//! How much a request matters.

use std::time::Duration;

/// How much a request matters, the most important first.
///
/// The order holds among the rollouts that are under way. What begins another one comes after everything that those under
/// way still need, the last audit record included: where requests are scarce, a new rollout must come out of what the
/// others leave, or they would be begun and not be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// Undo a bad rollout.
    Rollback,
    /// Submit a rollout whose intent is written.
    Submit,
    /// Ask for health.
    Health,
    /// Ask for a job.
    Job,
    /// Trace a configuration that was validated.
    Check,
    /// Deliver an audit record.
    Audit,
    /// Begin a rollout: its validation.
    Start,
}

impl Priority {
    /// Every priority, the most important first.
    pub const ALL: [Self; 7] =
        [Self::Rollback, Self::Submit, Self::Health, Self::Job, Self::Check, Self::Audit, Self::Start];

    /// The priority's name, as the value of a metric's label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rollback => "rollback",
            Self::Submit => "submit",
            Self::Health => "health",
            Self::Job => "job",
            Self::Check => "check",
            Self::Audit => "audit",
            Self::Start => "start",
        }
    }

    /// The longest that a request waits until it is tried again because an answer to it asked for that. A rollback is tried
    /// again in less than a minute, whatever the API asks for.
    #[must_use]
    pub fn longest_retry_after(self) -> Duration {
        Duration::from_secs(match self {
            Self::Rollback => 45,
            Self::Submit | Self::Health | Self::Job => 120,
            Self::Check | Self::Audit | Self::Start => 600,
        })
    }

    /// Whether a request may be taken back while it waits for its turn. A rollback and a submit carry out what is written
    /// down already, and are wanted whatever has changed since.
    #[must_use]
    pub fn may_be_cancelled(self) -> bool {
        !matches!(self, Self::Rollback | Self::Submit)
    }
}
