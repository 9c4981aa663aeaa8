//! The priority of a request.

use std::time::Duration;

/// The priority of a request, the most important first.
///
/// The order favours rollouts that have started. A request that starts a new rollout comes after all requests that the
/// current rollouts need, including their audit records. Otherwise, under contention, rollouts would be started but
/// never finished. Watching what was deployed comes last: no rollout waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// Roll a rollout back.
    Rollback,
    /// Submit a rollout whose intent is recorded.
    Submit,
    /// Poll an environment's health.
    Health,
    /// Poll a job.
    Job,
    /// Trace a validated configuration.
    Check,
    /// Deliver an audit record.
    Audit,
    /// Start a rollout: its validation.
    Start,
    /// Poll the health of an environment whose rollout has succeeded.
    Watch,
}

impl Priority {
    /// Every priority, the most important first.
    pub const ALL: [Self; 8] =
        [Self::Rollback, Self::Submit, Self::Health, Self::Job, Self::Check, Self::Audit, Self::Start, Self::Watch];

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
            Self::Watch => "watch",
        }
    }

    /// The longest wait before a request is tried again if an answer requested a wait. A rollback is tried again within a
    /// minute, even if the API requests a longer wait.
    #[must_use]
    pub fn longest_retry_after(self) -> Duration {
        Duration::from_secs(match self {
            Self::Rollback => 45,
            Self::Submit | Self::Health | Self::Job => 120,
            Self::Check | Self::Audit | Self::Start | Self::Watch => 600,
        })
    }

    /// Whether a request may wait for the budget, and may be sent once more at once after its token was refused. A poll
    /// that watches a success does neither: the next poll comes one interval later.
    #[must_use]
    pub fn may_wait(self) -> bool {
        self != Self::Watch
    }

    /// Whether a request may be cancelled while it waits in the queue. A rollback or a submit executes a decision that is
    /// already recorded, so it is needed even if the resource has changed since.
    #[must_use]
    pub fn may_be_cancelled(self) -> bool {
        !matches!(self, Self::Rollback | Self::Submit)
    }
}
