//! A cron schedule of five fields: on which days it fires, and at which times of such a day.

use jiff::civil::Date;

use crate::error::{Field, InvalidWindow};

/// The longest schedule. The API server refuses a longer one, too.
const LONGEST_SCHEDULE: usize = 128;

/// A schedule that was read. Bit n of a field: the value n.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    minutes: u64,
    hours: u64,
    days_of_month: u64,
    months: u64,
    /// Sunday is 0.
    days_of_week: u64,
}

impl Schedule {
    pub(crate) fn read(text: &str) -> Result<Self, InvalidWindow> {
        if text.len() > LONGEST_SCHEDULE {
            return Err(InvalidWindow::ScheduleTooLong { found: text.len(), allowed: LONGEST_SCHEDULE });
        }
        if text.starts_with(' ') || text.ends_with(' ') {
            return Err(InvalidWindow::OuterSpace);
        }
        let fields: Vec<&str> = text.split(' ').filter(|field| !field.is_empty()).collect();
        let &[minute, hour, day_of_month, month, day_of_week] = fields.as_slice() else {
            return Err(InvalidWindow::FieldCount(fields.len()));
        };
        let schedule = Schedule {
            minutes: Field::Minute.read(minute)?,
            hours: Field::Hour.read(hour)?,
            days_of_month: Field::DayOfMonth.read(day_of_month)?,
            months: Field::Month.read(month)?,
            days_of_week: Field::DayOfWeek.read(day_of_week)?,
        };
        if day_of_month != "*" && day_of_week != "*" {
            return Err(InvalidWindow::Ambiguous);
        }
        if !schedule.can_fire() {
            return Err(InvalidWindow::NeverFires);
        }
        Ok(schedule)
    }

    /// Whether one of its months can have one of its days.
    fn can_fire(&self) -> bool {
        const LONGEST: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        (1..).zip(LONGEST).any(|(month, days)| {
            let exists = u64::MAX >> (63 - days);
            self.months & (1 << month) != 0 && self.days_of_month & exists != 0
        })
    }

    /// Whether it fires on this day. At most one of the two fields restricts the days, so both must match.
    pub(crate) fn fires_on(&self, date: Date) -> bool {
        self.months & (1 << date.month()) != 0
            && self.days_of_month & (1 << date.day()) != 0
            && self.days_of_week & (1 << date.weekday().to_sunday_zero_offset()) != 0
    }

    /// The times of a day at which it fires, as minutes since midnight, ascending. At most 1440.
    pub(crate) fn minutes_of_day(&self) -> impl Iterator<Item = u16> + '_ {
        let hours = (0..24_u16).filter(|hour| self.hours & (1 << hour) != 0);
        hours.flat_map(|hour| {
            (0..60_u16).filter(|minute| self.minutes & (1 << minute) != 0).map(move |minute| hour * 60 + minute)
        })
    }
}
