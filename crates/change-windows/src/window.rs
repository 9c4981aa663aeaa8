//! One window, and when it is active.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::error::InvalidWindow;
use crate::recurrence::Recurrence;
use crate::schedule::Schedule;
use crate::zone::Zone;

/// How far ahead a search looks: two years, one of them a leap year.
pub const HORIZON: SignedDuration = SignedDuration::from_hours(731 * 24);

/// The shortest duration of a recurring window: schedules count in minutes.
pub const SHORTEST_DURATION: Duration = Duration::from_secs(60);

/// The longest duration of a recurring window: the longest month.
pub const LONGEST_DURATION: Duration = Duration::from_secs(31 * 24 * 3600);

/// The longest window that happens once: a leap year.
pub const LONGEST_SINGLE_WINDOW: SignedDuration = SignedDuration::from_hours(366 * 24);

/// What an active window does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Rollouts may start while one of the Allow windows is active, and only then.
    Allow,
    /// No rollout may start while the window is active, whatever is allowed.
    Deny,
}

/// A change window.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    kind: Kind,
    zone: Zone,
    times: Times,
}

#[derive(Clone, Debug, PartialEq)]
enum Times {
    Recurring(Recurrence),
    Once { from: Timestamp, to: Timestamp },
}

/// Whether a window is active, and until when that stays so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activity {
    /// Whether the window is active.
    pub active: bool,
    /// The next instant at which this changes. None if it does not change within [`HORIZON`].
    pub next_change: Option<Timestamp>,
}

/// Instants from `start` until before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interval {
    pub start: Timestamp,
    /// None if it goes beyond the horizon of the search.
    pub end: Option<Timestamp>,
}

impl Window {
    /// A window that becomes active whenever the schedule fires in the time zone, and stays active for the duration.
    ///
    /// The duration is elapsed time. The documentation of the crate says how schedules are written and what happens if clocks
    /// change.
    pub fn recurring(kind: Kind, schedule: &str, time_zone: &str, duration: Duration) -> Result<Self, InvalidWindow> {
        let zone = Zone::read(time_zone)?;
        let schedule = Schedule::read(schedule)?;
        let whole = duration.subsec_nanos() == 0 && (SHORTEST_DURATION..=LONGEST_DURATION).contains(&duration);
        let seconds = i64::try_from(duration.as_secs()).ok().filter(|_| whole);
        let seconds = seconds.ok_or_else(|| InvalidWindow::Duration { found: format!("{duration:?}") })?;
        Ok(Window { kind, zone: zone.clone(), times: Times::Recurring(Recurrence::new(schedule, zone, seconds)) })
    }

    /// A window that is active once, from an instant until another one. The time zone is only for [`Window::display`].
    pub fn once(kind: Kind, from: Timestamp, to: Timestamp, time_zone: &str) -> Result<Self, InvalidWindow> {
        let zone = Zone::read(time_zone)?;
        if to <= from {
            return Err(InvalidWindow::EndNotAfterStart { from, to });
        }
        if from.duration_until(to) > LONGEST_SINGLE_WINDOW {
            return Err(InvalidWindow::SingleTooLong { from, to });
        }
        Ok(Window { kind, zone, times: Times::Once { from, to } })
    }

    /// Whether it allows or denies.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it is active at this instant, and when that changes.
    pub fn activity(&self, now: Timestamp) -> Activity {
        match self.interval(now, horizon(now)) {
            Some(Interval { start, end }) if start <= now => Activity { active: true, next_change: end },
            next => Activity { active: false, next_change: next.map(|interval| interval.start) },
        }
    }

    /// An instant as people in the window's time zone write it, such as "Mon 2027-01-04 06:00 CET".
    pub fn display(&self, at: Timestamp) -> String {
        self.zone.display(at)
    }

    /// The first interval that ends after `now` and starts by `horizon`. Touching intervals are one.
    pub(crate) fn interval(&self, now: Timestamp, horizon: Timestamp) -> Option<Interval> {
        let (start, end) = match &self.times {
            Times::Recurring(recurrence) => {
                // Occurrences start and end at whole seconds, so a fraction of the present second makes no difference.
                let next = recurrence.next(whole_second(now), whole_second(horizon))?;
                (from_second(next.start), from_second(next.end))
            }
            Times::Once { from, to } => (*from, *to),
        };
        let end_in_sight = (end <= horizon).then_some(end);
        (end > now && start <= horizon).then_some(Interval { start, end: end_in_sight })
    }
}

/// The end of a search that starts now.
pub(crate) fn horizon(now: Timestamp) -> Timestamp {
    now.checked_add(HORIZON).unwrap_or(Timestamp::MAX)
}

/// The last whole second that is not after this instant.
fn whole_second(at: Timestamp) -> i64 {
    if at.subsec_nanosecond() < 0 { at.as_second() - 1 } else { at.as_second() }
}

fn from_second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(if second < 0 { Timestamp::MIN } else { Timestamp::MAX })
}
