//! Reads one field of a schedule. A field becomes bits, so that asking whether it matches takes one instruction.

use crate::error::{Field, InvalidWindow, quote};

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// What one field accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// Bit n: the value n. Sunday is 0.
    pub values: u64,
    /// `L` as a day of month.
    pub last_day: bool,
    /// Bit w: the last such weekday of the month.
    pub last_weekdays: u8,
    /// By ordinal, first to fifth: bit w: that weekday of the month.
    pub nth_weekdays: [u8; 5],
}

impl Field {
    /// The smallest and the largest value. Sunday is 0 as well as 7.
    pub(crate) const fn range(self) -> (u32, u32) {
        match self {
            Field::Minute => (0, 59),
            Field::Hour => (0, 23),
            Field::DayOfMonth => (1, 31),
            Field::Month => (1, 12),
            Field::DayOfWeek => (0, 7),
        }
    }

    /// The bits of all values, with Sunday as 0.
    pub(crate) const fn all(self) -> u64 {
        match self {
            Field::DayOfWeek => 0x7f,
            _ => {
                let (min, max) = self.range();
                (u64::MAX >> (63 - max)) & (u64::MAX << min)
            }
        }
    }

    /// Reads the text of this field.
    pub(crate) fn read(self, text: &str) -> Result<Accepted, InvalidWindow> {
        let mut accepted = Accepted::default();
        for item in text.split(',') {
            self.read_item(item, &mut accepted).map_err(|reason| InvalidWindow::Field {
                field: self,
                text: quote(item),
                reason,
            })?;
        }
        Ok(accepted)
    }

    fn read_item(self, item: &str, accepted: &mut Accepted) -> Result<(), String> {
        if self == Field::DayOfMonth && item.eq_ignore_ascii_case("L") {
            accepted.last_day = true;
            return Ok(());
        }
        if self == Field::DayOfWeek {
            if let Some((weekday, ordinal)) = item.split_once('#') {
                let n = self.ordinal(ordinal)?;
                accepted.nth_weekdays[n] |= 1 << (self.value(weekday)? % 7);
                return Ok(());
            }
            if let Some(weekday) = item.strip_suffix(['L', 'l']).filter(|weekday| !weekday.is_empty()) {
                accepted.last_weekdays |= 1 << (self.value(weekday)? % 7);
                return Ok(());
            }
        }
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step)?)),
            None => (item, None),
        };
        let (min, max) = self.range();
        let (first, last) = if range == "*" {
            // The days of a week are 0 to 6 here: 7 would be Sunday again, after a step from Saturday.
            (min, if self == Field::DayOfWeek { 6 } else { max })
        } else if let Some((first, last)) = range.split_once('-') {
            (self.value(first)?, self.range_end(last)?)
        } else {
            let first = self.value(range)?;
            let end = if self == Field::DayOfWeek { 6.max(first) } else { max };
            (first, if step.is_some() { end } else { first })
        };
        if first > last {
            return Err(format!("the range is empty; write it as two, such as {first}-{max},{min}-{last}"));
        }
        for value in (first..=last).step_by(step.unwrap_or(1)) {
            accepted.values |= 1 << if self == Field::DayOfWeek { value % 7 } else { value };
        }
        Ok(())
    }

    /// The end of a range: a Sunday that ends one is 7, so that "SAT-SUN" is a range.
    fn range_end(self, text: &str) -> Result<u32, String> {
        let end = self.value(text)?;
        Ok(if self == Field::DayOfWeek && text.eq_ignore_ascii_case("SUN") { 7 } else { end })
    }

    fn value(self, text: &str) -> Result<u32, String> {
        let names: &[&str] = match self {
            Field::Month => &MONTHS,
            Field::DayOfWeek => &WEEKDAYS,
            _ => &[],
        };
        let (min, max) = self.range();
        if let Some(position) = names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            return u32::try_from(position).map(|position| position + min).map_err(|error| error.to_string());
        }
        number(text).filter(|value| (min..=max).contains(value)).ok_or_else(|| match self {
            Field::Month => "write 1-12, JAN-DEC, or *".to_owned(),
            Field::DayOfWeek => {
                "write 0-7, SUN-SAT, TUE#2 (the second Tuesday), FRIL (the last Friday), or *".to_owned()
            }
            Field::DayOfMonth => "write 1-31, L (the last day), or *".to_owned(),
            Field::Minute | Field::Hour => format!("write {min}-{max}, or *"),
        })
    }

    fn step(self, text: &str) -> Result<usize, String> {
        let (_, max) = self.range();
        number(text)
            .filter(|step| (1..=max).contains(step))
            .and_then(|step| usize::try_from(step).ok())
            .ok_or_else(|| format!("write a step of 1 to {max} after /"))
    }

    /// The index of an ordinal: 0 for the first.
    fn ordinal(self, text: &str) -> Result<usize, String> {
        number(text)
            .filter(|n| (1..=5).contains(n))
            .and_then(|n| usize::try_from(n - 1).ok())
            .ok_or_else(|| "write 1 to 5 after #".to_owned())
    }
}

/// One or two digits. No field needs more, and a sign is no digit.
fn number(text: &str) -> Option<u32> {
    let digits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}
