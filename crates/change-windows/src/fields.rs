//! Reads one field of a schedule. A field becomes bits, so that asking whether it matches takes one instruction.

use crate::error::{Field, InvalidWindow, quote};

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl Field {
    /// The smallest and the largest value. Sunday is 0 as well as 7.
    const fn range(self) -> (u32, u32) {
        match self {
            Field::Minute => (0, 59),
            Field::Hour => (0, 23),
            Field::DayOfMonth => (1, 31),
            Field::Month => (1, 12),
            Field::DayOfWeek => (0, 7),
        }
    }

    /// Reads the text of this field. Bit n of the result: the value n. Sunday is 0.
    pub(crate) fn read(self, text: &str) -> Result<u64, InvalidWindow> {
        let mut values = 0;
        for item in text.split(',') {
            values |= self.read_item(item).map_err(|reason| InvalidWindow::Field {
                field: self,
                text: quote(item),
                reason,
            })?;
        }
        Ok(values)
    }

    fn read_item(self, item: &str) -> Result<u64, String> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step)?)),
            None => (item, None),
        };
        let (min, max) = self.range();
        // The days of a week are 0 to 6 here: 7 would be Sunday again, after a step from Saturday.
        let largest = if self == Field::DayOfWeek { 6 } else { max };
        let (first, last) = if range == "*" {
            (min, largest)
        } else if let Some((first, last)) = range.split_once('-') {
            if is_number(first) != is_number(last) {
                return Err("write both ends of a range as numbers, or both as names".to_owned());
            }
            (self.value(first)?, self.range_end(last)?)
        } else {
            let first = self.value(range)?;
            (first, if step.is_some() { largest.max(first) } else { first })
        };
        if first > last {
            return Err(format!("a range must ascend; write it as two, such as {first}-{max},{min}-{last}"));
        }
        let values = (first..=last).step_by(step.unwrap_or(1));
        Ok(values.fold(0, |bits, value| bits | 1 << if self == Field::DayOfWeek { value % 7 } else { value }))
    }

    /// The end of a range: a Sunday that ends one is 7, so that "SAT-SUN" is a range.
    fn range_end(self, text: &str) -> Result<u32, String> {
        let end = self.value(text)?;
        Ok(if self == Field::DayOfWeek && text == "SUN" { 7 } else { end })
    }

    fn value(self, text: &str) -> Result<u32, String> {
        let names: &[&str] = match self {
            Field::Month => &MONTHS,
            Field::DayOfWeek => &WEEKDAYS,
            _ => &[],
        };
        let (min, max) = self.range();
        if let Some(position) = names.iter().position(|name| *name == text) {
            return u32::try_from(position).map(|position| position + min).map_err(|error| error.to_string());
        }
        number(text).filter(|value| (min..=max).contains(value)).ok_or_else(|| match self {
            Field::Month => "write 1-12, JAN-DEC in capital letters, or *".to_owned(),
            Field::DayOfWeek => "write 0-7, SUN-SAT in capital letters, or *".to_owned(),
            Field::Minute | Field::Hour | Field::DayOfMonth => format!("write {min}-{max}, or *"),
        })
    }

    fn step(self, text: &str) -> Result<usize, String> {
        let (_, max) = self.range();
        number(text)
            .filter(|step| (1..=max).contains(step))
            .and_then(|step| usize::try_from(step).ok())
            .ok_or_else(|| format!("write a step of 1 to {max} after /"))
    }
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// One or two digits. No field needs more, and a sign is no digit.
fn number(text: &str) -> Option<u32> {
    let digits = (1..=2).contains(&text.len()) && is_number(text);
    digits.then(|| text.parse().ok()).flatten()
}
