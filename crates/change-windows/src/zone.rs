//! Named time zones, from the database that is part of the program.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

use crate::error::{InvalidWindow, quote};

/// The longest name of a time zone. The database's longest one has 32 bytes.
const LONGEST_ZONE: usize = 64;

/// A time zone that was named.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Zone(TimeZone);

/// A period without a change of the clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Period {
    /// Seconds that its clocks are ahead of UTC.
    offset: i64,
    /// The first local second that only this period has, as if it were UTC.
    from: i64,
    /// The local second at which it ends, as if it were UTC.
    until: i64,
}

impl Period {
    /// The instant at which this local day starts, if the whole day lies in the period. `midnight` is as if it were UTC.
    pub(crate) fn start_of_day(&self, midnight: i64) -> Option<i64> {
        (self.from <= midnight && midnight.saturating_add(SECONDS_OF_DAY) <= self.until)
            .then(|| midnight.saturating_sub(self.offset))
    }
}

/// The seconds of a day on which clocks do not change.
pub(crate) const SECONDS_OF_DAY: i64 = 86_400;

impl Zone {
    pub(crate) fn read(name: &str) -> Result<Self, InvalidWindow> {
        if name.trim().is_empty() {
            return Err(InvalidWindow::ZoneMissing);
        }
        if ["local", "localtime", "system", "posixrules", "factory"].iter().any(|word| name.eq_ignore_ascii_case(word))
        {
            return Err(InvalidWindow::ZoneOfMachine(quote(name)));
        }
        if name == "UTC" || name == "Etc/UTC" {
            return Ok(Zone(TimeZone::UTC));
        }
        // Etc/GMT+1 is an offset too, and an hour behind UTC, not ahead. UTC+1 and GMT+1 are offsets with a prefix.
        let has_prefix = ["UTC", "GMT", "Etc/"]
            .iter()
            .any(|prefix| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)));
        let first = name.as_bytes().first().copied().unwrap_or_default();
        if matches!(first, b'+' | b'-' | b'0'..=b'9') || name.contains(':') || has_prefix {
            return Err(InvalidWindow::ZoneIsOffset(quote(name)));
        }
        if name.len() > LONGEST_ZONE {
            return Err(InvalidWindow::ZoneUnknown(quote(name)));
        }
        if !is_area_and_city(name) {
            return Err(InvalidWindow::ZoneIsAbbreviation(quote(name)));
        }
        let zone = TimeZoneDatabase::bundled().get(name).ok();
        // The database ignores case, the API server does not.
        let exact = zone.filter(|zone| zone.iana_name() == Some(name));
        exact.map(Zone).ok_or_else(|| InvalidWindow::ZoneUnknown(quote(name)))
    }

    /// An instant as people in this zone write it. Seconds are shown only if there are any.
    pub(crate) fn display(&self, at: Timestamp) -> String {
        let zoned = at.to_zoned(self.0.clone());
        let format = if zoned.second() == 0 { "%a %Y-%m-%d %H:%M %Z" } else { "%a %Y-%m-%d %H:%M:%S %Z" };
        zoned.strftime(format).to_string()
    }

    pub(crate) fn local(&self, at: Timestamp) -> DateTime {
        self.0.to_datetime(at)
    }

    /// When clocks first show this time, in seconds. If they skip it: when they skip it.
    pub(crate) fn first_instant(&self, local: DateTime) -> Option<i64> {
        let at = match self.0.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
                offset.to_timestamp(local).ok()?
            }
            AmbiguousOffset::Gap { before, .. } => {
                // By the clocks as they were before, this instant is not before the change, and the change is the last one.
                let after_change = before.to_timestamp(local).ok()?;
                self.last_change(after_change)?
            }
        };
        Some(at.as_second())
    }

    /// The period that an instant is in.
    pub(crate) fn period(&self, at: Timestamp) -> Period {
        let offset = i64::from(self.0.to_offset(at).seconds());
        let from = self.last_change(at).map_or(i64::MIN, |change| {
            let before = i64::from(self.0.to_offset(add(change, -1)).seconds());
            // If clocks went backward, the first part of the period repeats what they showed before.
            change.as_second() + offset.max(before)
        });
        let until = self.0.following(at).next().map_or(i64::MAX, |change| change.timestamp().as_second() + offset);
        Period { offset, from, until }
    }

    /// The last change of the clocks that is not after this instant.
    fn last_change(&self, at: Timestamp) -> Option<Timestamp> {
        // The iterator leaves out the instant at which it starts.
        self.0.preceding(add(at, 1)).next().map(|change| change.timestamp())
    }
}

fn add(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(if seconds < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

/// Whether the name has the form of Europe/Berlin or America/Argentina/Buenos_Aires.
fn is_area_and_city(name: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_uppercase())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    (2..=3).contains(&name.split('/').count()) && name.split('/').all(is_part)
}
