//! The priority of a request.

use std::time::Duration;

/// The priority of a request, the most important first.
///
/// The order applies to the rollouts that are under way. A request that begins a new rollout comes after everything
/// that running rollouts still need, including their last audit record. If requests are scarce, a new rollout may use
/// only the requests that running rollouts leave over. Otherwise rollouts would be begun but never finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// Undo a bad rollout.
    Rollback,
    /// Submit a rollout whose intent is recorded.
    Submit,
    /// Poll an environment's health.
    Health,
    /// Poll a job.
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

    /// The longest wait before a request is tried again, if an answer asked for a wait. A rollback is tried again in
    /// less than a minute, however long a wait the API asks for.
    #[must_use]
    pub fn longest_retry_after(self) -> Duration {
        Duration::from_secs(match self {
            Self::Rollback => 45,
            Self::Submit | Self::Health | Self::Job => 120,
            Self::Check | Self::Audit | Self::Start => 600,
        })
    }

    /// Whether a request may be cancelled while it waits in the queue. A rollback and a submit carry out a decision
    /// that is already recorded, so they are needed even if something has changed since.
    #[must_use]
    pub fn may_be_cancelled(self) -> bool {
        !matches!(self, Self::Rollback | Self::Submit)
    }
}
