//! When windows are active: daylight saving time, leap days, ends of months, and instants far away.

use cognigy_operator_change_windows::{Activity, Kind, Window};
use jiff::Timestamp;

use crate::{DAY, HOUR, MINUTE, active_until, at, inactive_until, once, recurring};

/// The first instants at which the window becomes active and inactive, after `from`.
fn changes(window: &Window, from: &str, count: usize) -> Vec<String> {
    let mut now = at(from);
    let mut changes = Vec::new();
    while changes.len() < count {
        let Some(next) = window.activity(now).next_change else { break };
        assert!(next > now, "{next} is not after {now}");
        changes.push(window.display(next));
        now = next;
    }
    changes
}

#[test]
fn a_start_that_clocks_skip_happens_right_after_the_skipped_time() {
    for (zone, schedule, from, start, end) in [
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2027-03-27T12:00:00Z",
            "Sun 2027-03-28 03:00 CEST",
            "Sun 2027-03-28 04:00 CEST",
        ),
        (
            "Europe/Berlin",
            "0 2 * * *",
            "2027-03-27T12:00:00Z",
            "Sun 2027-03-28 03:00 CEST",
            "Sun 2027-03-28 04:00 CEST",
        ),
        (
            "Europe/Berlin",
            "0 3 * * *",
            "2027-03-27T12:00:00Z",
            "Sun 2027-03-28 03:00 CEST",
            "Sun 2027-03-28 04:00 CEST",
        ),
        (
            "America/New_York",
            "59 2 * * *",
            "2027-03-13T12:00:00Z",
            "Sun 2027-03-14 03:00 EDT",
            "Sun 2027-03-14 04:00 EDT",
        ),
        (
            "Australia/Sydney",
            "15 2 * * *",
            "2026-10-03T12:00:00Z",
            "Sun 2026-10-04 03:00 AEDT",
            "Sun 2026-10-04 04:00 AEDT",
        ),
        // Clocks go forward by 30 minutes, from 02:00 to 02:30.
        (
            "Australia/Lord_Howe",
            "10 2 * * *",
            "2026-10-03T12:00:00Z",
            "Sun 2026-10-04 02:30 +11",
            "Sun 2026-10-04 03:30 +11",
        ),
        (
            "Australia/Lord_Howe",
            "40 2 * * *",
            "2026-10-03T12:00:00Z",
            "Sun 2026-10-04 02:40 +11",
            "Sun 2026-10-04 03:40 +11",
        ),
        // Clocks go forward at midnight.
        (
            "Asia/Beirut",
            "0 0 * * SUN",
            "2027-03-27T12:00:00Z",
            "Sun 2027-03-28 01:00 EEST",
            "Sun 2027-03-28 02:00 EEST",
        ),
        // Samoa left out 30 December 2011.
        (
            "Pacific/Apia",
            "0 12 30 12 *",
            "2011-12-29T12:00:00Z",
            "Sat 2011-12-31 00:00 +14",
            "Sat 2011-12-31 01:00 +14",
        ),
    ] {
        let window = recurring(Kind::Allow, schedule, zone, HOUR);
        assert_eq!(changes(&window, from, 2), [start, end], "{schedule} {zone}");
    }
}

#[test]
fn a_start_that_clocks_show_twice_happens_once_at_the_first_instant() {
    for (zone, schedule, from, expected) in [
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2026-10-24T12:00:00Z",
            ["Sun 2026-10-25 02:30 CEST", "Sun 2026-10-25 02:50 CEST", "Mon 2026-10-26 02:30 CET"],
        ),
        (
            "America/New_York",
            "0 1 * * *",
            "2026-10-31T12:00:00Z",
            ["Sun 2026-11-01 01:00 EDT", "Sun 2026-11-01 01:20 EDT", "Mon 2026-11-02 01:00 EST"],
        ),
        (
            "Australia/Sydney",
            "59 2 * * *",
            "2027-04-03T12:00:00Z",
            ["Sun 2027-04-04 02:59 AEDT", "Sun 2027-04-04 02:19 AEST", "Mon 2027-04-05 02:59 AEST"],
        ),
        // Clocks go backward by 30 minutes, from 02:00 to 01:30.
        (
            "Australia/Lord_Howe",
            "45 1 * * *",
            "2027-04-03T12:00:00Z",
            ["Sun 2027-04-04 01:45 +11", "Sun 2027-04-04 01:35 +1030", "Mon 2027-04-05 01:45 +1030"],
        ),
    ] {
        let window = recurring(Kind::Allow, schedule, zone, 20 * MINUTE);
        assert_eq!(changes(&window, from, 3), expected, "{schedule} {zone}");
    }
}

#[test]
fn an_hourly_schedule_does_not_fire_in_the_repeated_hour() {
    let window = recurring(Kind::Deny, "0 * * * *", "Europe/Berlin", HOUR);
    assert_eq!(window.activity(at("2026-10-24T12:00:00Z")), active_until("2026-10-25T01:00:00Z"));
    assert_eq!(window.activity(at("2026-10-25T01:30:00Z")), inactive_until("2026-10-25T02:00:00Z"));
    // A duration that is two hours long has no hole.
    let window = recurring(Kind::Deny, "0 * * * *", "Europe/Berlin", 2 * HOUR);
    assert_eq!(window.activity(at("2026-10-24T12:00:00Z")), Activity { active: true, next_change: None });
}

#[test]
fn a_duration_is_elapsed_time() {
    let window = recurring(Kind::Allow, "0 22 * * *", "Europe/Berlin", 8 * HOUR);
    for (from, end) in [
        ("2027-03-27T22:00:00Z", "Sun 2027-03-28 07:00 CEST"),
        ("2026-10-24T22:00:00Z", "Sun 2026-10-25 05:00 CET"),
        ("2026-12-01T22:00:00Z", "Wed 2026-12-02 06:00 CET"),
    ] {
        assert_eq!(changes(&window, from, 1), [end]);
    }
}

#[test]
fn the_first_instant_belongs_to_a_window_and_the_last_does_not() {
    let recurring = recurring(Kind::Allow, "0 6 4 1 *", "UTC", HOUR);
    let once = once(Kind::Allow, "2027-01-04T06:00:00Z", "2027-01-04T07:00:00Z");
    for window in [&recurring, &once] {
        assert_eq!(window.activity(at("2027-01-04T05:59:59.999999999Z")), inactive_until("2027-01-04T06:00:00Z"));
        assert_eq!(window.activity(at("2027-01-04T06:00:00Z")), active_until("2027-01-04T07:00:00Z"));
        assert_eq!(window.activity(at("2027-01-04T06:59:59.999999999Z")), active_until("2027-01-04T07:00:00Z"));
        assert!(!window.activity(at("2027-01-04T07:00:00Z")).active);
    }
    assert_eq!(once.activity(at("2027-01-04T07:00:00Z")), Activity { active: false, next_change: None });
}

#[test]
fn fractions_of_a_second_count_before_1970_too() {
    let window = recurring(Kind::Allow, "0 6 * * *", "UTC", HOUR);
    assert_eq!(window.activity(at("1969-06-01T05:59:59.5Z")), inactive_until("1969-06-01T06:00:00Z"));
    assert_eq!(window.activity(at("1969-06-01T06:59:59.5Z")), active_until("1969-06-01T07:00:00Z"));
}

#[test]
fn days_that_only_some_months_or_years_have_are_found() {
    for (schedule, from, starts) in [
        ("0 0 31 * *", "2027-01-31T12:00:00Z", ["Wed 2027-03-31 00:00 UTC", "Mon 2027-05-31 00:00 UTC"]),
        ("0 0 29 2 *", "2026-11-01T00:00:00Z", ["Tue 2028-02-29 00:00 UTC", ""]),
        ("0 0 * * 7", "2026-12-01T00:00:00Z", ["Sun 2026-12-06 00:00 UTC", "Sun 2026-12-13 00:00 UTC"]),
        ("0 0 * * SAT-SUN", "2026-12-01T00:00:00Z", ["Sat 2026-12-05 00:00 UTC", "Sun 2026-12-06 00:00 UTC"]),
        ("0 0 * * 5/1", "2026-12-01T00:00:00Z", ["Fri 2026-12-04 00:00 UTC", "Sat 2026-12-05 00:00 UTC"]),
    ] {
        let window = recurring(Kind::Allow, schedule, "UTC", HOUR);
        let found: Vec<String> = changes(&window, from, 3).into_iter().step_by(2).collect();
        let starts: Vec<&str> = starts.into_iter().filter(|start| !start.is_empty()).collect();
        assert_eq!(found, starts, "{schedule}");
    }
}

#[test]
fn nothing_is_found_beyond_two_years() {
    let leap_day = recurring(Kind::Allow, "0 0 29 2 *", "UTC", HOUR);
    assert_eq!(leap_day.activity(at("2028-03-01T00:00:00Z")), Activity { active: false, next_change: None });
    // 1900 and 2100 are no leap years.
    assert_eq!(leap_day.activity(at("2099-01-01T00:00:00Z")), Activity { active: false, next_change: None });
    let far = once(Kind::Allow, "2030-01-01T00:00:00Z", "2030-02-01T00:00:00Z");
    assert_eq!(far.activity(at("2027-01-01T00:00:00Z")), Activity { active: false, next_change: None });
    assert_eq!(far.activity(at("2029-01-01T00:00:00Z")), inactive_until("2030-01-01T00:00:00Z"));
}

#[test]
fn occurrences_that_overlap_or_touch_are_one() {
    let now = at("2026-12-01T10:30:30Z");
    for (schedule, seconds, expected) in [
        ("* * * * *", HOUR, Activity { active: true, next_change: None }),
        ("* * * * *", MINUTE, Activity { active: true, next_change: None }),
        ("0 0 * * *", DAY, Activity { active: true, next_change: None }),
        ("0 0 1 * *", 31 * DAY, Activity { active: true, next_change: None }),
        ("0 0 1 * *", 30 * DAY, active_until("2026-12-31T00:00:00Z")),
        ("0 9-16 * * *", HOUR, active_until("2026-12-01T17:00:00Z")),
        ("0 9-16 * * *", 90 * MINUTE, active_until("2026-12-01T17:30:00Z")),
        ("0 22,23 * * TUE", 26 * HOUR, inactive_until("2026-12-01T22:00:00Z")),
        ("0 12 * * MON-WED", 23 * HOUR, active_until("2026-12-01T11:00:00Z")),
        ("0 12 * * MON-WED", DAY, active_until("2026-12-03T12:00:00Z")),
    ] {
        let window = recurring(Kind::Deny, schedule, "UTC", seconds);
        assert_eq!(window.activity(now), expected, "{schedule}");
    }
}

#[test]
fn instants_far_away_do_not_panic() {
    let windows = [
        recurring(Kind::Allow, "* * * * *", "Europe/Berlin", 31 * DAY),
        recurring(Kind::Allow, "*/2 * * * *", "Australia/Lord_Howe", MINUTE),
        recurring(Kind::Allow, "59 23 31 12 *", "Pacific/Kiritimati", HOUR),
        recurring(Kind::Allow, "0 0 1 1 *", "Pacific/Pago_Pago", 31 * DAY),
        once(Kind::Allow, "2030-01-01T00:00:00Z", "2030-02-01T00:00:00Z"),
        Window::once(Kind::Allow, at("9999-06-01T00:00:00Z"), Timestamp::MAX, "UTC").unwrap(),
        Window::once(Kind::Allow, Timestamp::MIN, at("-009999-06-01T00:00:00Z"), "UTC").unwrap(),
    ];
    let far = [
        Timestamp::MIN,
        Timestamp::MIN + jiff::SignedDuration::from_hours(24 * 20),
        at("1883-11-18T17:00:00Z"),
        Timestamp::UNIX_EPOCH,
        at("9997-12-31T23:59:59Z"),
        Timestamp::MAX - jiff::SignedDuration::from_hours(30),
        Timestamp::MAX,
    ];
    for now in far {
        for window in &windows {
            let activity = window.activity(now);
            assert!(activity.next_change.is_none_or(|change| change > now), "{now} {activity:?}");
            assert!(!window.display(now).is_empty());
        }
    }
    assert!(windows[0].activity(at("9998-01-01T00:00:00Z")).active);
    assert_eq!(
        windows[2].activity(at("9998-01-01T00:00:00Z")),
        inactive_until("9998-12-31T09:59:00Z"),
        "the last year is like the others"
    );
}

#[test]
fn an_instant_is_shown_in_the_zone_of_the_window() {
    let moment = at("2027-01-04T05:00:00Z");
    for (zone, shown) in [
        ("Europe/Berlin", "Mon 2027-01-04 06:00 CET"),
        ("UTC", "Mon 2027-01-04 05:00 UTC"),
        ("America/Sao_Paulo", "Mon 2027-01-04 02:00 -03"),
        ("Asia/Kolkata", "Mon 2027-01-04 10:30 IST"),
    ] {
        assert_eq!(recurring(Kind::Allow, "0 6 * * *", zone, HOUR).display(moment), shown);
    }
    let once = once(Kind::Allow, "2027-01-04T05:00:00Z", "2027-01-04T05:00:30Z");
    assert_eq!(once.display(at("2027-01-04T05:00:30Z")), "Mon 2027-01-04 05:00:30 UTC");
}
