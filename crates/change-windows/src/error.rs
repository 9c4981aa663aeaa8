//! Why a window cannot be read. Each message says what to write instead.

use std::fmt;

/// One of the five fields of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// 0-59.
    Minute,
    /// 0-23.
    Hour,
    /// 1-31.
    DayOfMonth,
    /// 1-12 or JAN-DEC.
    Month,
    /// 0-7 or SUN-SAT.
    DayOfWeek,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Field::Minute => "minute",
            Field::Hour => "hour",
            Field::DayOfMonth => "day of month",
            Field::Month => "month",
            Field::DayOfWeek => "day of week",
        })
    }
}

/// Why a window cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWindow {
    /// No time zone.
    #[error("the time zone is missing; write a name such as Europe/Berlin, or UTC")]
    ZoneMissing,
    /// The time zone of whichever machine evaluates it.
    #[error("time zone {0} depends on the machine; write a name such as Europe/Berlin, or UTC")]
    ZoneOfMachine(String),
    /// An offset knows no daylight saving time.
    #[error(
        "time zone {0} is an offset, which ignores daylight saving time; write a name such as Europe/Berlin, or UTC"
    )]
    ZoneIsOffset(String),
    /// An abbreviation, an old alias, or in small letters: EST, CET, Japan, europe/berlin.
    #[error("time zone {0} is not of the form Area/City; write a name such as Europe/Berlin, or UTC")]
    ZoneIsAbbreviation(String),
    /// Not in the database of time zones.
    #[error("time zone {0} does not exist; write a name such as Europe/Berlin, or UTC")]
    ZoneUnknown(String),
    /// The schedule is too long.
    #[error("the schedule has {found} bytes; at most {allowed} are allowed: write several windows instead")]
    ScheduleTooLong {
        /// How long it is.
        found: usize,
        /// How long it may be.
        allowed: usize,
    },
    /// The schedule begins or ends with a space.
    #[error("the schedule begins or ends with a space; remove it")]
    OuterSpace,
    /// The schedule does not have five fields.
    #[error(
        "the schedule has {0} fields; write five, with spaces between them: minute, hour, day of month, month, day of week (example: \"0 6 * * MON-FRI\")"
    )]
    FieldCount(usize),
    /// A field cannot be read.
    #[error("the field {field} of the schedule is {text}: {reason}")]
    Field {
        /// Which field.
        field: Field,
        /// The part that cannot be read, quoted.
        text: String,
        /// Why, and what to write.
        reason: String,
    },
    /// Cron fires if either matches; many people expect that both must.
    #[error(
        "the schedule restricts the day of month and the day of week, which is ambiguous; write * for one of them, and use two windows if you need both"
    )]
    Ambiguous,
    /// No calendar has such a day.
    #[error("the schedule never fires: none of its months has such a day; correct the day of month or the month")]
    NeverFires,
    /// The duration is not allowed.
    #[error("the duration is {found}; write whole seconds, from 60 (a minute) to 2678400 (31 days)")]
    Duration {
        /// The duration, with its unit.
        found: String,
    },
    /// The end is not after the start.
    #[error("the window ends at {to}, which is not after its start at {from}; correct one of them")]
    EndNotAfterStart {
        /// When it starts.
        from: jiff::Timestamp,
        /// When it ends.
        to: jiff::Timestamp,
    },
    /// The window is too long.
    #[error(
        "the window lasts longer than 366 days, from {from} to {to}; end it earlier, and renew it if it is still needed"
    )]
    SingleTooLong {
        /// When it starts.
        from: jiff::Timestamp,
        /// When it ends.
        to: jiff::Timestamp,
    },
}

/// The text in quotes, without control characters and not too long: somebody else wrote it, and it goes into a message.
pub(crate) fn quote(text: &str) -> String {
    const SHOWN: usize = 40;
    let mut quoted = String::from('"');
    quoted.extend(text.chars().take(SHOWN).flat_map(char::escape_debug));
    if text.chars().nth(SHOWN).is_some() {
        quoted.push('…');
    }
    quoted.push('"');
    quoted
}
