//! Points in time, and durations in scenarios.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A duration, written in scenarios as a number of seconds: `0`, `2.5`, `300`.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Seconds(Duration);

impl Seconds {
    /// A whole number of seconds.
    #[must_use]
    pub const fn whole(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The same duration as a type of the standard library.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl From<Duration> for Seconds {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl TryFrom<f64> for Seconds {
    type Error = String;

    fn try_from(seconds: f64) -> Result<Self, String> {
        Duration::try_from_secs_f64(seconds)
            .map(Self)
            .map_err(|_| format!("{seconds} is not a length of time: write seconds, 0 or more"))
    }
}

impl From<Seconds> for f64 {
    fn from(seconds: Seconds) -> Self {
        seconds.0.as_secs_f64()
    }
}

/// The moment `length` after `start`, or the latest possible moment if that is out of range.
pub(super) fn after(start: Timestamp, length: Duration) -> Timestamp {
    start.checked_add(length).unwrap_or(Timestamp::MAX)
}

/// The time from `then` to `now`; zero if `then` is in the future.
pub(super) fn since(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_numbers_of_0_or_more() {
        let read = |text| serde_json::from_str::<Seconds>(text);
        assert_eq!(read("2.5").unwrap().duration(), Duration::from_millis(2500));
        assert_eq!(read("300").unwrap(), Seconds::whole(300));
        let refusal = read("-1").unwrap_err().to_string();
        assert!(refusal.contains("write seconds, 0 or more"), "{refusal}");
    }

    #[test]
    fn time_arithmetic_saturates() {
        assert_eq!(after(Timestamp::MAX, Duration::from_secs(1)), Timestamp::MAX);
        assert_eq!(since(Timestamp::MIN, Timestamp::MAX), Duration::ZERO);
    }
}
