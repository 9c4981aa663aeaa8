//! What a change of the status brings with it: events for people, messages for the audit log and the webhook.

use crate::api::spec::Compliance;
use crate::api::{IdempotencyKey, JobId, Reason};
use jiff::Timestamp;

/// Something that a person would want to see in `kubectl describe`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Whether it needs a person.
    pub warning: bool,
    /// What it is.
    pub reason: Reason,
    /// What happened.
    pub note: String,
}

/// Something that the audit log or the CI/CD webhook must be told.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// For the audit log (contract, section 7).
    Audit {
        /// The message's stable id.
        id: IdempotencyKey,
        /// The job; missing where nobody knows whether there is one.
        job_id: Option<JobId>,
        /// Whether the deployment succeeded.
        success: bool,
        /// From the submit to the verdict, in seconds.
        duration_seconds: f64,
        /// What the author attests.
        compliance: Compliance,
        /// When the verdict was known.
        at: Timestamp,
    },
    /// For the CI/CD webhook (contract, section 8).
    Webhook {
        /// The message's stable id.
        id: IdempotencyKey,
        /// The job, where there is one.
        job_id: Option<JobId>,
        /// Whether the deployment succeeded.
        success: bool,
        /// From the submit to the verdict, in seconds; 0 where nothing was submitted.
        duration_seconds: f64,
        /// Checks passed by checks run; 0 where none ran.
        validation_success_rate: f64,
        /// When the outcome was known.
        at: Timestamp,
    },
}

/// All that a change brings with it, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    /// Events.
    pub announcements: Vec<Announcement>,
    /// Messages to deliver; recorded in the same write as the outcome that they speak of.
    pub notices: Vec<Notice>,
}

impl Effects {
    /// Nothing to tell.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// One event.
    #[must_use]
    pub fn normal(reason: Reason, note: impl Into<String>) -> Self {
        Self { announcements: vec![Announcement { warning: false, reason, note: note.into() }], notices: Vec::new() }
    }

    /// One event that needs a person.
    #[must_use]
    pub fn warning(reason: Reason, note: impl Into<String>) -> Self {
        Self { announcements: vec![Announcement { warning: true, reason, note: note.into() }], notices: Vec::new() }
    }

    /// These effects, then those.
    #[must_use]
    pub fn and(mut self, later: Self) -> Self {
        self.announcements.extend(later.announcements);
        self.notices.extend(later.notices);
        self
    }
}
