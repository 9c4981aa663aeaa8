//! A cron schedule of five fields: on which days it fires, and at which times of such a day.

use jiff::civil::Date;

use crate::error::{Field, InvalidWindow};
use crate::fields::Accepted;

/// The longest schedule. A list of all 60 minutes has 169 bytes.
const LONGEST_SCHEDULE: usize = 256;

/// A schedule that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    minutes: u64,
    hours: u64,
    months: u64,
    day_of_month: Accepted,
    day_of_week: Accepted,
}

impl Schedule {
    pub(crate) fn read(text: &str) -> Result<Self, InvalidWindow> {
        if text.len() > LONGEST_SCHEDULE {
            return Err(InvalidWindow::ScheduleTooLong { found: text.len(), allowed: LONGEST_SCHEDULE });
        }
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let &[minute, hour, day_of_month, month, day_of_week] = fields.as_slice() else {
            return Err(InvalidWindow::FieldCount(fields.len()));
        };
        let schedule = Schedule {
            minutes: Field::Minute.read(minute)?.values,
            hours: Field::Hour.read(hour)?.values,
            months: Field::Month.read(month)?.values,
            day_of_month: Field::DayOfMonth.read(day_of_month)?,
            day_of_week: Field::DayOfWeek.read(day_of_week)?,
        };
        let restricts_day_of_month = schedule.day_of_month.values != Field::DayOfMonth.all();
        let restricts_day_of_week = schedule.day_of_week.values != Field::DayOfWeek.all();
        if restricts_day_of_month && restricts_day_of_week {
            return Err(InvalidWindow::Ambiguous);
        }
        if !schedule.can_fire() {
            return Err(InvalidWindow::NeverFires);
        }
        Ok(schedule)
    }

    /// Whether one of its months can have one of its days. Every weekday, the fifth ones too, occurs in every month
    /// sooner or later, because 29 February falls on each weekday.
    fn can_fire(&self) -> bool {
        const LONGEST: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        (1..).zip(LONGEST).any(|(month, days)| {
            let exists = u64::MAX >> (63 - days);
            self.months & (1 << month) != 0 && (self.day_of_month.last_day || self.day_of_month.values & exists != 0)
        })
    }

    /// Whether it fires on this day. At most one of the two fields restricts the days, so both must match.
    pub(crate) fn fires_on(&self, date: Date) -> bool {
        let (month, day) = (date.month(), date.day());
        if self.months & (1 << month) == 0 {
            return false;
        }
        let to_last = date.days_in_month() - day;
        let day_matches = self.day_of_month.values & (1 << day) != 0 || (self.day_of_month.last_day && to_last == 0);
        let weekday = 1_u8 << date.weekday().to_sunday_zero_offset();
        // The index fits: a day is 1 to 31.
        let nth = self.day_of_week.nth_weekdays.get(usize::from(day.unsigned_abs() - 1) / 7).copied().unwrap_or(0);
        let weekday_matches = self.day_of_week.values & u64::from(weekday) != 0
            || nth & weekday != 0
            || (to_last < 7 && self.day_of_week.last_weekdays & weekday != 0);
        day_matches && weekday_matches
    }

    /// The times of a day at which it fires, as minutes since midnight, ascending. At most 1440.
    pub(crate) fn minutes_of_day(&self) -> impl Iterator<Item = u16> + '_ {
        let hours = (0..24_u16).filter(|hour| self.hours & (1 << hour) != 0);
        hours.flat_map(|hour| {
            (0..60_u16).filter(|minute| self.minutes & (1 << minute) != 0).map(move |minute| hour * 60 + minute)
        })
    }
}
