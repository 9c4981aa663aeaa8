//! How long to wait between the tries of one call.

use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use jiff::Timestamp;

/// The shortest wait before a second try (contract, "Errors").
pub const SHORTEST_WAIT: Duration = Duration::from_secs(2);

/// The longest wait inside one call. If the API requests a longer wait, the call fails, and its caller waits.
pub const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The longest wait that an answer may request. A longer one is a mistake or an attack.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// The wait after failed try number `failed` (counted from 1). It doubles from 2 s to 10 s, plus jitter. If the API
/// requests a longer wait, that wait is used. `None` if the requested wait is too long for one call.
pub fn wait(failed: u32, jitter: f64, retry_after: Option<Duration>) -> Option<Duration> {
    let least = SHORTEST_WAIT.saturating_mul(1 << failed.saturating_sub(1).min(8)).min(LONGEST_WAIT);
    let most = least.saturating_mul(2).min(LONGEST_WAIT);
    let wait = least + most.saturating_sub(least).mul_f64(jitter.clamp(0.0, 1.0));
    match retry_after {
        Some(requested) if requested > LONGEST_WAIT => None,
        Some(requested) => Some(wait.max(requested)),
        None => Some(wait),
    }
}

/// The wait that the `Retry-After` header requests, in seconds or as a date: at most an hour. A date is compared with the
/// answer's own `Date`, so that different clocks cause no error. `now` is used if the answer has no `Date`.
pub fn retry_after(headers: &HeaderMap, now: impl FnOnce() -> Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let requested = if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        text.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs)
    } else {
        let until = http_date(text)?;
        let date = headers.get(DATE).and_then(|date| http_date(date.to_str().ok()?));
        let from = date.unwrap_or_else(now);
        Duration::try_from(until.duration_since(from)).unwrap_or(Duration::ZERO)
    };
    Some(requested.min(MAX_RETRY_AFTER))
}

fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked(retry_after_header: &str, date: Option<&str>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after_header.parse().unwrap());
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        retry_after(&headers, || "2015-10-21T07:27:30Z".parse().unwrap())
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let at = "Wed, 21 Oct 2015 07:28:00 GMT";
        assert_eq!(asked("7", None), Some(Duration::from_secs(7)));
        assert_eq!(asked("0", None), Some(Duration::ZERO));
        assert_eq!(asked(at, None), Some(Duration::from_secs(30)), "compared with our clock");
        assert_eq!(
            asked(at, Some("Wed, 21 Oct 2015 07:27:55 GMT")),
            Some(Duration::from_secs(5)),
            "compared with the API's clock"
        );
        assert_eq!(asked(at, Some("Wed, 21 Oct 2015 07:29:00 GMT")), Some(Duration::ZERO), "past");
        assert_eq!(asked("99999999999999999999999", None), Some(MAX_RETRY_AFTER));
        assert_eq!(asked("86400", None), Some(MAX_RETRY_AFTER));
        for garbage in ["", "soon", "-1", "1.5"] {
            assert_eq!(asked(garbage, None), None, "{garbage}");
        }
    }

    #[test]
    fn a_requested_wait_that_is_too_long_for_one_call_ends_the_call() {
        assert_eq!(wait(1, 0.0, Some(Duration::from_secs(11))), None);
        assert_eq!(wait(1, 0.0, Some(Duration::from_secs(10))), Some(Duration::from_secs(10)));
        assert_eq!(wait(2, 0.0, Some(Duration::from_secs(1))), Some(Duration::from_secs(4)));
    }

    proptest! {
        #[test]
        fn every_wait_is_two_to_ten_seconds_and_does_not_shrink(failed in 1u32..40, jitter in 0.0f64..1.0) {
            let this = wait(failed, jitter, None).unwrap();
            prop_assert!((SHORTEST_WAIT..=LONGEST_WAIT).contains(&this));
            prop_assert!(wait(failed + 1, 0.0, None).unwrap() >= wait(failed, 0.0, None).unwrap());
        }
    }
}
