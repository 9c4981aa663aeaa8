//! Times and durations, as kubectl shows them.

use jiff::{SignedDuration, Timestamp};

/// A duration in at most two units, for example `45s`, `3m12s`, `5h`, `12d`.
#[must_use]
pub fn short_duration(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: i64, unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{small_unit}"),
    };
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        _ => format!("{days}d"),
    }
}

/// How long ago a moment was.
#[must_use]
pub fn age(moment: Timestamp, now: Timestamp) -> String {
    short_duration(now.duration_since(moment))
}

/// The time of day in UTC, or date and time if that is another day than today.
#[must_use]
pub fn clock_time(moment: Timestamp, now: Timestamp) -> String {
    let day = |moment: Timestamp| moment.strftime("%Y-%m-%d").to_string();
    let form = if day(moment) == day(now) { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    moment.strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_as_short_as_kubectl_shows_them() {
        let rows = [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (192, "3m12s"),
            (900, "15m"),
            (10_860, "3h1m"),
            (36_000, "10h"),
            (180_000, "2d2h"),
            (900_000, "10d"),
        ];
        for (seconds, text) in rows {
            assert_eq!(short_duration(SignedDuration::from_secs(seconds)), text);
        }
        assert_eq!(short_duration(SignedDuration::from_secs(-5)), "0s", "a clock may be behind");
    }
}
