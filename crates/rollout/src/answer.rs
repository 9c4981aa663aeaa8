//! What the world answered, as plain data: the controller translates, the core interprets.

use api::{JobId, Reason};
use std::time::Duration;

/// Something that keeps the operator from going on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// Why.
    pub reason: Reason,
    /// What happened, in the API's own words where it has said something, and what to do next.
    pub message: String,
    /// When it is worth trying again.
    pub retry: Retry,
}

/// When it is worth trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// By itself, after a growing delay, and not before the time that the API asked for.
    Later {
        /// The least delay that the API asked for.
        at_least: Option<Duration>,
    },
    /// Once the Secret has changed, the spec has, or a person asks for it; the Secret is looked at every minute.
    CredentialsChange,
    /// Once the spec or the Secret has changed, or a person asks for it.
    InputChange,
    /// Once the ConfigMap has changed; it is looked at every minute or as it changes.
    SnapshotChange,
    /// Once another resource lets go of the environment.
    OwnerGone,
}

impl Obstacle {
    /// An obstacle that time may remove.
    #[must_use]
    pub fn transient(reason: Reason, message: impl Into<String>, at_least: Option<Duration>) -> Self {
        Self { reason, message: message.into(), retry: Retry::Later { at_least } }
    }

    /// An obstacle that somebody must remove.
    #[must_use]
    pub fn lasting(reason: Reason, message: impl Into<String>, retry: Retry) -> Self {
        Self { reason, message: message.into(), retry }
    }

    /// Whether a person is needed (kstatus: Stalled), and not only time (kstatus: Reconciling).
    #[must_use]
    pub fn stalls(&self) -> bool {
        !matches!(self.retry, Retry::Later { .. }) && self.reason != Reason::AwaitingSnapshot
    }
}

/// The validation's answer (contract, section 1).
#[derive(Clone, Debug, PartialEq)]
pub enum ValidationAnswer {
    /// The environment can take the configuration.
    Passed {
        /// What it warned of.
        warnings: Vec<String>,
        /// How full the environment will be, 0 to 1.
        capacity_utilization: Option<f64>,
    },
    /// It cannot, and these constraints say why.
    Refused {
        /// The constraints that are broken.
        errors: Vec<String>,
    },
}

/// The synthetic trace's answer (contract, section 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceAnswer {
    /// The trace's id.
    pub trace_id: Option<String>,
    /// The status in the API's word.
    pub status: String,
    /// The conflicts found.
    pub conflicts: Vec<String>,
}

/// What came of one submit call (contract, section 3 and its error table).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmitAnswer {
    /// The rollout was accepted.
    Accepted(JobId),
    /// The first POST was refused: nothing is out.
    Rejected {
        /// The API's own words.
        message: String,
    },
    /// Nothing has left for the API, or it was turned away at the door: the next POST is still the first.
    NotSent(Obstacle),
    /// No answer, or not yet one: the same key is sent again.
    NotYet(Obstacle),
    /// Whether it was accepted cannot be told from this.
    Unknown {
        /// What makes it so.
        message: String,
    },
}

/// What the job said (contract, section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobAnswer {
    /// It has completed.
    Completed,
    /// It ended badly, in the API's word.
    EndedBadly(String),
    /// The platform rolled it back by itself.
    RolledBack,
    /// Anything else is still running.
    Running,
    /// 404: it may be gone.
    NotFound,
    /// No answer, or one that makes no sense.
    Unreadable(String),
}

/// What the environment's health said (contract, section 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthAnswer {
    /// Healthy, with an error rate under the limit.
    Good,
    /// Another status, or an error rate at or over the limit; and which.
    Bad(String),
    /// Neither good nor bad; and why.
    Unreadable(String),
}

/// What came of a rollback call (contract, section 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RollbackAnswer {
    /// It was accepted, or had happened already.
    Accepted,
    /// It was refused for good, in the API's own words.
    Refused(String),
    /// It was not taken yet: it is asked again.
    NotYet(Obstacle),
}
