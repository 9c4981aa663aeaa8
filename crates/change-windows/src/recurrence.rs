//! The occurrences of a schedule in a time zone, each as long as the window's duration.

use jiff::civil::{Date, Time};
use jiff::{SignedDuration, Timestamp};

use crate::schedule::Schedule;
use crate::zone::{Period, SECONDS_OF_DAY, Zone};

/// Instants from `start` until before `end`, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Occurrence {
    pub start: i64,
    pub end: i64,
}

/// Starts of one day that are so close together that their occurrences form one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// The first start, in seconds since midnight.
    first: i64,
    /// The last start, in seconds since midnight.
    last: i64,
}

/// A schedule, a time zone and a duration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recurrence {
    schedule: Schedule,
    zone: Zone,
    duration: i64,
    /// The starts of a day, in minutes since midnight, ascending. At most 1440.
    starts: Vec<u16>,
    /// The runs of a day on which clocks do not change, ascending. At most 720, because starts of one minute apart are one run.
    runs: Vec<Run>,
}

/// Joins occurrences that overlap or touch, until the first one is complete.
struct Joiner {
    horizon: i64,
    current: Option<Occurrence>,
}

impl Joiner {
    /// Takes the next occurrence, by start. Returns whether the first one is complete.
    fn takes(&mut self, next: Occurrence) -> bool {
        if next.start > self.horizon {
            return true;
        }
        match &mut self.current {
            None => {
                self.current = Some(next);
                next.end > self.horizon
            }
            Some(current) if next.start <= current.end => {
                current.end = current.end.max(next.end);
                current.end > self.horizon
            }
            Some(_) => true,
        }
    }
}

impl Recurrence {
    pub(crate) fn new(schedule: Schedule, zone: Zone, duration: i64) -> Self {
        let starts: Vec<u16> = schedule.minutes_of_day().collect();
        let mut runs: Vec<Run> = Vec::new();
        for start in starts.iter().map(|minute| i64::from(*minute) * 60) {
            match runs.last_mut() {
                Some(run) if start - run.last <= duration => run.last = start,
                _ => runs.push(Run { first: start, last: start }),
            }
        }
        Recurrence { schedule, zone, duration, starts, runs }
    }

    /// The first occurrence that ends after `after` and starts by `horizon`, both in seconds. Occurrences that overlap or touch
    /// are joined, but an occurrence that goes beyond the horizon is not followed further.
    ///
    /// The work is limited: it looks at each day from one duration before `after` until the horizon at most once. With 31 days
    /// and two years, these are 764 days. A day costs one step for each of its occurrences that is not over. Nearly all days have
    /// one: starts that are close together are a run, except on the few days on which clocks change.
    pub(crate) fn next(&self, after: i64, horizon: i64) -> Option<Occurrence> {
        let mut joiner = Joiner { horizon, current: None };
        // Whatever is not over after `after` started less than a duration before. One day more is enough for any change of clocks.
        let earliest = Timestamp::from_second(after.saturating_sub(self.duration)).unwrap_or(Timestamp::MIN);
        let date = self.zone.local(earliest).date();
        let mut date = date.yesterday().unwrap_or(date);
        let mut midnight = date.duration_since(Date::constant(1970, 1, 1)).as_secs();
        let mut period = self.zone.period(earliest);
        // A local time is less than two days away from the same time in UTC.
        while midnight <= horizon.saturating_add(2 * SECONDS_OF_DAY) {
            if self.schedule.fires_on(date) && self.day_completes(date, midnight, after, &mut period, &mut joiner) {
                break;
            }
            // The calendar ends with the year 9999.
            let Ok(tomorrow) = date.tomorrow() else { break };
            date = tomorrow;
            midnight += SECONDS_OF_DAY;
        }
        joiner.current
    }

    /// Passes the occurrences of one day that end after `after` to the joiner. Returns whether it needs no more.
    fn day_completes(&self, date: Date, midnight: i64, after: i64, period: &mut Period, joiner: &mut Joiner) -> bool {
        let start_of_day = period.start_of_day(midnight).or_else(|| {
            let start = self.zone.first_instant(date.to_datetime(Time::midnight()))?;
            *period = self.zone.period(Timestamp::from_second(start).ok()?);
            period.start_of_day(midnight)
        });
        match start_of_day {
            Some(start_of_day) => {
                let over = self.runs.partition_point(|run| start_of_day + run.last + self.duration <= after);
                self.runs.iter().skip(over).any(|run| {
                    joiner.takes(Occurrence {
                        start: start_of_day + run.first,
                        end: start_of_day + run.last + self.duration,
                    })
                })
            }
            // Clocks change on this day, so each start is looked up. A later local time never starts earlier.
            None => {
                let over = self.starts.partition_point(|minute| {
                    self.start(date, *minute).is_none_or(|start| start + self.duration <= after)
                });
                self.starts
                    .iter()
                    .skip(over)
                    .filter_map(|minute| self.start(date, *minute))
                    .any(|start| joiner.takes(Occurrence { start, end: start + self.duration }))
            }
        }
    }

    /// When it starts at this minute of this day. None beyond the first and the last instant that can be represented.
    fn start(&self, date: Date, minute: u16) -> Option<i64> {
        let local = date.to_datetime(Time::midnight()).checked_add(SignedDuration::from_mins(minute.into())).ok()?;
        self.zone.first_instant(local)
    }
}
