//! The slot of a rollout, and its position in the queue while it has none.

use crate::time::{after, between};
use jiff::Timestamp;
use std::fmt;
use std::time::Duration;

/// The shown position is refreshed only if the expected start has moved by this much, and by a quarter of the wait, because
/// each update is an API write.
pub(super) const NOTICEABLE: Duration = Duration::from_secs(180);

/// A position in the queue, as it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuePosition {
    /// The position, from 1.
    pub position: usize,
    /// How many wait.
    pub of: usize,
    /// When it had this position.
    pub seen_at: Timestamp,
    /// When it will probably start.
    pub starts_at: Timestamp,
}

/// The permission of an attempt to start under the request budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AdmissionSlot {
    /// It was not requested, or must be requested again.
    #[default]
    NotRequested,
    /// The attempt waits for it.
    Waiting(QueuePosition),
    /// The attempt may start. If it had to wait, it is shown as waiting until its validation is answered.
    Granted(Option<QueuePosition>),
}

impl AdmissionSlot {
    /// Whether the attempt may start.
    #[must_use]
    pub fn is_granted(self) -> bool {
        matches!(self, Self::Granted(_))
    }

    /// The position that is shown.
    #[must_use]
    pub fn position(self) -> Option<QueuePosition> {
        match self {
            Self::Waiting(position) => Some(position),
            Self::Granted(position) => position,
            Self::NotRequested => None,
        }
    }

    /// The attempt may start.
    #[must_use]
    pub fn grant(self) -> Self {
        Self::Granted(self.position())
    }

    /// The attempt waits at this position. The shown position is kept while the expected start does not change
    /// noticeably. The shown position includes the time at which the attempt had it.
    #[must_use]
    pub fn wait(self, position: usize, of: usize, left: Duration, now: Timestamp) -> Self {
        let new = QueuePosition { position, of, seen_at: now, starts_at: after(now, left) };
        let shown = self.position().filter(|shown| !shown.differs_noticeably(new, left));
        Self::Waiting(shown.unwrap_or(new))
    }

    /// The attempt's validation was answered.
    pub fn has_started(&mut self) {
        if self.is_granted() {
            *self = Self::Granted(None);
        }
    }
}

impl QueuePosition {
    fn differs_noticeably(self, new: Self, left: Duration) -> bool {
        let off = between(self.starts_at, new.starts_at).max(between(new.starts_at, self.starts_at));
        off >= NOTICEABLE.max(left / 4)
    }
}

impl fmt::Display for QueuePosition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [seen_at, starts_at] = [self.seen_at, self.starts_at].map(|moment| moment.strftime("%H:%M"));
        let Self { position, of, .. } = self;
        write!(formatter, "position {position} of {of} at {seen_at}, expected to start at about {starts_at} UTC")
    }
}
