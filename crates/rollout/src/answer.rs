//! The answers of the outside world, as plain data. The controller translates them, the core interprets them.

use api::{JobId, Reason};
use std::time::Duration;

/// Something that blocks the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// What it is. Decisions look at this.
    pub cause: Cause,
    /// What happened, with the API's own message if there is one, and what to do next. No decision depends on it.
    pub message: String,
    /// When to try again.
    pub retry: Retry,
}

/// What blocks the operator. People see the reason of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The snapshot is not available yet, and the operator waits for it: the ConfigMap does not have the expected text yet,
    /// or cannot be read at the moment.
    AwaitingSnapshot,
    /// There is no snapshot.
    SnapshotNotFound,
    /// The snapshot cannot be deployed.
    SnapshotInvalid,
    /// The snapshot is too large.
    SnapshotTooLarge,
    /// There are no credentials.
    CredentialsNotFound,
    /// The credentials cannot be used.
    CredentialsInvalid,
    /// The URL of the webhook is missing or cannot be used.
    WebhookUrlNotFound,
    /// The API refuses the credentials.
    Unauthorized,
    /// The API refuses the request.
    RequestRejected,
    /// The egress rules do not allow the address.
    EndpointRefused,
    /// The credentials point to another API than the one that has the rollout.
    EndpointChanged,
    /// Another resource owns the environment.
    EnvironmentInUse,
    /// The API cannot be reached, or asks the operator to wait.
    ApiUnavailable,
    /// The API's answer does not follow the contract.
    UnexpectedAnswer,
    /// Nobody can tell yet whether the submit was accepted.
    SubmitOutcomeUnknown,
    /// The rollback is not accepted yet.
    RollbackUnreachable,
    /// The status lacks something that its step needs.
    StatusUnreadable,
}

impl Cause {
    /// The reason that people see in conditions and events.
    #[must_use]
    pub fn reason(self) -> Reason {
        match self {
            Self::AwaitingSnapshot => Reason::AwaitingSnapshot,
            Self::SnapshotNotFound => Reason::SnapshotNotFound,
            Self::SnapshotInvalid => Reason::SnapshotInvalid,
            Self::SnapshotTooLarge => Reason::SnapshotTooLarge,
            Self::CredentialsNotFound => Reason::CredentialsNotFound,
            Self::CredentialsInvalid => Reason::CredentialsInvalid,
            Self::WebhookUrlNotFound => Reason::WebhookUrlNotFound,
            Self::Unauthorized => Reason::Unauthorized,
            Self::RequestRejected => Reason::RequestRejected,
            Self::EndpointRefused => Reason::EndpointRefused,
            Self::EndpointChanged => Reason::EndpointChanged,
            Self::EnvironmentInUse => Reason::EnvironmentInUse,
            Self::ApiUnavailable => Reason::ApiUnavailable,
            Self::UnexpectedAnswer => Reason::UnexpectedAnswer,
            Self::SubmitOutcomeUnknown => Reason::SubmitOutcomeUnknown,
            Self::RollbackUnreachable => Reason::RollbackUnreachable,
            Self::StatusUnreadable => Reason::StatusUnreadable,
        }
    }

    /// Whether this obstacle is an answer of the API, or the lack of an answer.
    #[must_use]
    pub fn is_answer_of_api(self) -> bool {
        match self {
            Self::ApiUnavailable | Self::UnexpectedAnswer | Self::RequestRejected | Self::Unauthorized => true,
            Self::AwaitingSnapshot
            | Self::SnapshotNotFound
            | Self::SnapshotInvalid
            | Self::SnapshotTooLarge
            | Self::CredentialsNotFound
            | Self::CredentialsInvalid
            | Self::WebhookUrlNotFound
            | Self::EndpointRefused
            | Self::EndpointChanged
            | Self::EnvironmentInUse
            | Self::SubmitOutcomeUnknown
            | Self::RollbackUnreachable
            | Self::StatusUnreadable => false,
        }
    }
}

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// By itself, after a growing delay, but not before the time that the API asked for.
    Later {
        /// The least delay that the API asked for.
        at_least: Option<Duration>,
    },
    /// When the Secret or the spec has changed, or a person requests a retry. The Secret is read again every minute.
    CredentialsChange,
    /// When the spec or the Secret has changed, or a person requests a retry.
    InputChange,
    /// When the ConfigMap has changed. It is read again every minute, or as soon as it changes.
    SnapshotChange,
    /// When another resource gives up the environment.
    OwnerGone,
}

impl Obstacle {
    /// An obstacle that may go away by itself.
    #[must_use]
    pub fn transient(cause: Cause, message: impl Into<String>, at_least: Option<Duration>) -> Self {
        Self { cause, message: message.into(), retry: Retry::Later { at_least } }
    }

    /// An obstacle that somebody must remove.
    #[must_use]
    pub fn lasting(cause: Cause, message: impl Into<String>, retry: Retry) -> Self {
        Self { cause, message: message.into(), retry }
    }

    /// The reason that people see in conditions and events.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.cause.reason()
    }

    /// Whether a person is needed (kstatus: Stalled), and not only time (kstatus: Reconciling).
    #[must_use]
    pub fn needs_person(&self) -> bool {
        !self.is_transient() && self.cause != Cause::AwaitingSnapshot
    }

    /// Whether it may go away by itself.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.retry, Retry::Later { .. })
    }
}

/// The validation's answer (contract, section 1).
#[derive(Clone, Debug, PartialEq)]
pub enum ValidationAnswer {
    /// The environment can run the configuration.
    Passed {
        /// What the validation warned of.
        warnings: Vec<String>,
        /// How much of the environment's capacity will be used, from 0 to 1.
        capacity_utilization: Option<f64>,
    },
    /// The environment cannot run the configuration.
    Refused {
        /// The constraints that the configuration breaks.
        errors: Vec<String>,
    },
}

/// The synthetic trace's answer (contract, section 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceAnswer {
    /// The id of the synthetic trace.
    pub synthetic_trace_id: Option<String>,
    /// Whether the platform says that it has passed.
    pub has_passed: bool,
    /// The status, in the platform's own word.
    pub status: String,
    /// The conflicts that were found.
    pub conflicts: Vec<String>,
}

/// The result of one submit call (contract, section 3 and its error table).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmitAnswer {
    /// The rollout was accepted.
    Accepted(JobId),
    /// The first POST was refused. Nothing was submitted.
    Rejected {
        /// The API's own message.
        message: String,
    },
    /// No POST reached the API, or the API refused the credentials. The next POST is still the first one.
    NotSent(Obstacle),
    /// There is no answer yet. The same key is sent again.
    NotYet(Obstacle),
    /// The answer does not tell whether the rollout was accepted.
    Unknown {
        /// Why not.
        message: String,
    },
}

/// The state of the job (contract, section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobAnswer {
    /// It has completed.
    Completed,
    /// It failed or was cancelled. The text is the API's own word for it.
    EndedBadly(String),
    /// The platform rolled it back by itself.
    RolledBack,
    /// It is still running. Every other status means this.
    Running,
    /// The platform does not know the job.
    NotFound,
    /// No answer could be read. The text says why.
    Unreadable(String),
}

/// The environment's health (contract, section 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthAnswer {
    /// Healthy, with an error rate under the limit.
    Good,
    /// Another status, or an error rate at or over the limit. The text says which.
    Bad(String),
    /// Neither good nor bad. The text says why.
    Unreadable(String),
}

/// The result of a rollback call (contract, section 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RollbackAnswer {
    /// It was accepted, or it had already happened.
    Accepted,
    /// It was refused for good. The text is the API's own message.
    Refused(String),
    /// It was not accepted yet. It is requested again.
    NotYet(Obstacle),
}
