//! What a rollout that waits is told of its place, and when it is worth telling again.

use crate::facts::{after, between};
use jiff::Timestamp;
use std::fmt;
use std::time::Duration;

/// A start that is expected that much earlier or later than told is told again, where it is also a quarter of the wait.
pub(super) const WORTH_TELLING: Duration = Duration::from_secs(180);

/// A place in the queue, as it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The place, from 1.
    pub place: usize,
    /// How many wait.
    pub of: usize,
    /// When that was so.
    pub seen_at: Timestamp,
    /// When it is likely to start.
    pub starts_at: Timestamp,
}

/// Whether it is an attempt's turn to begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    /// It has not asked, or must ask again.
    #[default]
    NotAsked,
    /// It waits.
    Waits(Place),
    /// It may begin; whoever waited is shown as waiting until its validation is answered.
    Begins(Option<Place>),
}

impl Turn {
    /// Whether it may begin.
    #[must_use]
    pub fn is_here(self) -> bool {
        matches!(self, Self::Begins(_))
    }

    /// What it was told of its place.
    #[must_use]
    pub fn place(self) -> Option<Place> {
        match self {
            Self::Waits(place) => Some(place),
            Self::Begins(place) => place,
            Self::NotAsked => None,
        }
    }

    /// It may begin.
    #[must_use]
    pub fn begin(self) -> Self {
        Self::Begins(self.place())
    }

    /// It waits, at this place. What was told stands while the start is expected when it was: each telling is a write, and
    /// a place is told with the time at which it was held.
    #[must_use]
    pub fn wait(self, place: usize, of: usize, left: Duration, now: Timestamp) -> Self {
        let new = Place { place, of, seen_at: now, starts_at: after(now, left) };
        let told = self.place().filter(|told| !told.is_worth_replacing(new, left));
        Self::Waits(told.unwrap_or(new))
    }

    /// Its validation was answered.
    pub fn has_begun(&mut self) {
        if self.is_here() {
            *self = Self::Begins(None);
        }
    }
}

impl Place {
    fn is_worth_replacing(self, new: Self, left: Duration) -> bool {
        let off = between(self.starts_at, new.starts_at).max(between(new.starts_at, self.starts_at));
        off >= WORTH_TELLING.max(left / 4)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [seen_at, starts_at] = [self.seen_at, self.starts_at].map(|moment| moment.strftime("%H:%M"));
        let Self { place, of, .. } = self;
        write!(formatter, "place {place} of {of} at {seen_at}, expected to start at about {starts_at} UTC")
    }
}
