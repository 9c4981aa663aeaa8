//! The calls of the contract, and what differs between them.

use std::time::Duration;

use super::budget::Priority;

/// One of the contract's calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Call {
    /// Section 0.
    Token,
    /// Section 1.
    Validate,
    /// Section 2.
    Trace,
    /// Section 3.
    Submit,
    /// Section 4.
    Job,
    /// Section 5.
    Health,
    /// Section 6.
    Rollback,
    /// Section 7.
    Audit,
    /// Section 8.
    Webhook,
}

impl Call {
    /// Every call, in the order of the contract's sections.
    pub const ALL: [Self; 9] = [
        Self::Token,
        Self::Validate,
        Self::Trace,
        Self::Submit,
        Self::Job,
        Self::Health,
        Self::Rollback,
        Self::Audit,
        Self::Webhook,
    ];

    /// The call's name, as the value of a metric's label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Validate => "validate",
            Self::Trace => "trace",
            Self::Submit => "submit",
            Self::Job => "job",
            Self::Health => "health",
            Self::Rollback => "rollback",
            Self::Audit => "audit",
            Self::Webhook => "webhook",
        }
    }

    /// How long one request may take.
    pub(crate) fn deadline(self) -> Duration {
        Duration::from_secs(match self {
            Self::Webhook => 10,
            Self::Token => 15,
            _ => 30,
        })
    }

    /// How often one call is tried. A poll comes round again by itself, and so does a delivery to a webhook.
    pub(crate) fn tries(self) -> u32 {
        match self {
            Self::Job | Self::Health | Self::Token | Self::Webhook => 1,
            Self::Validate | Self::Trace | Self::Submit | Self::Rollback | Self::Audit => 3,
        }
    }

    /// How much the call matters where requests are scarce.
    pub(crate) fn priority(self) -> Priority {
        match self {
            Self::Rollback => Priority::Rollback,
            Self::Submit | Self::Token => Priority::Submit,
            Self::Health => Priority::Health,
            Self::Job => Priority::Job,
            Self::Validate => Priority::Start,
            Self::Trace => Priority::Check,
            Self::Audit | Self::Webhook => Priority::Audit,
        }
    }
}

/// Hears of every request that waited for its turn, and of every one that was sent: for metrics.
pub trait CallObserver: Send + Sync + 'static {
    /// One request ended after `elapsed`; `class` is `success` or an [`ErrorClass`](super::ErrorClass) as a label.
    fn observed(&self, call: Call, class: &'static str, elapsed: Duration);

    /// One request got its turn in the budget after `waited`, or was refused one; `outcome` is `admitted` or a
    /// [`BudgetError`](super::BudgetError) as a label. Nobody has to listen.
    fn waited(&self, _priority: Priority, _outcome: &'static str, _waited: Duration) {}
}
