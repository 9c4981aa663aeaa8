//! Which windows can be read, and what the messages say about the others.

use std::time::Duration;

use cognigy_operator_change_windows::{InvalidWindow, Kind, Window};
use jiff::Timestamp;

use crate::{DAY, HOUR, at};

fn read(schedule: &str, zone: &str, seconds: u64) -> Result<Window, InvalidWindow> {
    Window::recurring(Kind::Allow, schedule, zone, Duration::from_secs(seconds))
}

#[test]
fn zones_with_a_name_are_read() {
    for name in
        ["Europe/Berlin", "America/Argentina/ComodRivadavia", "America/North_Dakota/New_Salem", "UTC", "Etc/UTC"]
    {
        read("0 6 * * *", name, HOUR).expect(name);
    }
}

#[test]
fn every_city_of_the_bundled_database_is_read() {
    let bundled = jiff::tz::TimeZoneDatabase::bundled();
    let cities: Vec<String> = bundled
        .available()
        .map(|name| name.to_string())
        .filter(|name| name.contains('/') && !name.starts_with("Etc/"))
        .collect();
    assert!(cities.len() > 500, "{}", cities.len());
    for city in cities {
        read("0 6 * * *", &city, HOUR).expect(&city);
    }
}

#[test]
fn other_zones_are_refused_with_a_hint() {
    let long = "Europe/".to_owned() + &"x".repeat(1_000_000);
    for (zone, reason) in [
        ("", "is missing"),
        ("  ", "is missing"),
        ("Local", "depends on the machine"),
        ("local", "depends on the machine"),
        ("+01:00", "is an offset"),
        ("-08", "is an offset"),
        ("01:00", "is an offset"),
        ("UTC+1", "is an offset"),
        ("GMT", "is an offset"),
        ("Etc/GMT-1", "is an offset"),
        ("CET-1CEST", "is not of the form"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "is not of the form"),
        ("utc", "is an offset"),
        ("etc/utc", "is an offset"),
        ("europe/berlin", "is not of the form"),
        ("Europe/BERLIN", "does not exist"),
        ("CET", "is not of the form"),
        ("EST5EDT", "is not of the form"),
        ("Berlin", "is not of the form"),
        ("Europe/Cologne", "does not exist"),
        (" Europe/Berlin", "is not of the form"),
        ("Europe/Berlin\0", "is not of the form"),
        ("../../etc/passwd/x", "is not of the form"),
        ("/etc/localtime", "is not of the form"),
        ("America/Indiana/Knox/Centre", "is not of the form"),
        (long.as_str(), "does not exist"),
    ] {
        let message = read("0 6 * * *", zone, HOUR).expect_err(zone).to_string();
        assert!(message.contains(reason), "{zone:?}: {message}");
        assert!(message.ends_with("write a name such as Europe/Berlin, or UTC"), "{message}");
        assert!(message.len() < 200 && !message.contains('\0'), "{message}");
    }
}

#[test]
fn schedules_of_five_fields_are_read() {
    let minutes: String = (0..43).map(|minute| minute.to_string()).collect::<Vec<_>>().join(",");
    let longest = format!("{minutes} * * * *");
    assert!((120..=128).contains(&longest.len()), "{}", longest.len());
    for schedule in [
        "* * * * *",
        "0 6  *   * MON-FRI",
        "00 06 01 01 *",
        "*/15 8-17/2 * JAN,MAR-MAY *",
        "5/20 * * * 7",
        "0 0 * * SAT-SUN",
        "0 0 15,31 * *",
        "0 0 29 2 *",
        "0 0 31 1-2 *",
        "0 0 * * */2",
        &longest,
    ] {
        read(schedule, "UTC", HOUR).expect(schedule);
    }
}

#[test]
fn other_schedules_are_refused_with_a_hint() {
    let long = "0,".repeat(100_000);
    for (schedule, hint) in [
        ("", "0 fields; write five"),
        ("0 6 * *", "4 fields; write five"),
        ("0 0 6 * * *", "6 fields; write five"),
        ("TZ=UTC 0 6 * * *", "6 fields; write five"),
        ("@daily", "1 fields; write five"),
        ("60 * * * *", "the field minute of the schedule is \"60\": write 0-59, or *"),
        ("-1 * * * *", "write 0-59"),
        ("+1 * * * *", "write 0-59"),
        ("001 * * * *", "write 0-59"),
        ("99999999999999999999 * * * *", "write 0-59"),
        ("H * * * *", "write 0-59"),
        ("1.5 * * * *", "write 0-59"),
        ("٣ * * * *", "write 0-59"),
        ("0 24 * * *", "write 0-23"),
        ("0 22-6 * * *", "a range must ascend; write it as two, such as 22-23,0-6"),
        ("0 6, * * *", "the field hour of the schedule is \"\""),
        ("0 6 0 * *", "write 1-31"),
        ("0 6 32 * *", "write 1-31"),
        ("0 6 ? * MON", "write 1-31"),
        ("0 6 15W * *", "write 1-31"),
        ("0 6 L * *", "write 1-31"),
        ("0 6 * 13 *", "write 1-12"),
        ("0 6 * JANUARY *", "write 1-12"),
        ("0 6 * * 8", "write 0-7"),
        ("0 6 * * L", "write 0-7"),
        ("0 6 * * FRI-MON", "a range must ascend"),
        ("0 6 * * MON#1", "write 0-7"),
        ("0 6 * * FRIL", "write 0-7"),
        ("0 6 * * mon", "write 0-7, SUN-SAT in capital letters, or *"),
        ("0 6 * FOO *", "write 1-12, JAN-DEC in capital letters, or *"),
        ("0 6 * * 1-FRI", "write both ends of a range as numbers, or both as names"),
        (" 0 6 * * *", "begins or ends with a space"),
        ("0 6 * * * ", "begins or ends with a space"),
        ("0\t6 * * * *", "the field minute"),
        ("*/0 * * * *", "write a step of 1 to 59"),
        ("*/60 * * * *", "write a step of 1 to 59"),
        ("*/5/5 * * * *", "write a step of 1 to 59"),
        ("0 6 1 * MON", "ambiguous"),
        ("0 6 */2 * MON", "ambiguous"),
        ("0 6 1-31 * 0-6", "ambiguous"),
        ("0 0 30 2 *", "never fires"),
        ("0 0 31 2,4,6,9,11 *", "never fires"),
        (long.as_str(), "200000 bytes; at most 128"),
    ] {
        let message = read(schedule, "UTC", HOUR).expect_err(schedule).to_string();
        assert!(message.contains(hint), "{schedule:?}: {message}");
        assert!(message.len() < 250, "{message}");
    }
}

#[test]
fn a_duration_is_a_minute_to_31_days() {
    for seconds in [60, 61, HOUR, 31 * DAY] {
        read("0 6 * * *", "UTC", seconds).expect("a good duration");
    }
    for seconds in [0, 59, 31 * DAY + 1, u64::MAX] {
        let message = read("0 6 * * *", "UTC", seconds).expect_err("a bad duration").to_string();
        assert!(message.contains("from 60 (a minute) to 2678400 (31 days)"), "{message}");
    }
    let fraction = Window::recurring(Kind::Deny, "0 6 * * *", "UTC", Duration::from_millis(90_500));
    assert_eq!(fraction, Err(InvalidWindow::Duration { found: "90.5s".to_owned() }));
}

#[test]
fn a_single_window_ends_after_its_start_and_within_366_days() {
    let read = |from: &str, to: &str| Window::once(Kind::Deny, at(from), at(to), "Europe/Berlin");
    read("2026-12-20T00:00:00Z", "2026-12-20T00:00:01Z").expect("a second");
    read("2027-01-01T00:00:00Z", "2028-01-02T00:00:00Z").expect("366 days");
    for (from, to, reason) in [
        ("2026-12-20T00:00:00Z", "2026-12-20T00:00:00Z", "is not after its start"),
        ("2026-12-20T00:00:00Z", "2026-12-19T00:00:00Z", "is not after its start"),
        ("2027-01-01T00:00:00Z", "2028-01-02T00:00:01Z", "longer than 366 days"),
    ] {
        let message = read(from, to).expect_err(to).to_string();
        assert!(message.contains(reason), "{message}");
    }
    Window::once(Kind::Deny, Timestamp::MIN, Timestamp::MAX, "UTC").expect_err("the whole calendar");
    Window::once(Kind::Deny, at("2026-12-20T00:00:00Z"), at("2026-12-21T00:00:00Z"), "").expect_err("no zone");
}

#[test]
fn a_message_shows_no_control_characters_and_only_the_start_of_a_text() {
    let schedule = format!("\u{1b}[31m{} * * * *", "9".repeat(100));
    let message = read(&schedule, "UTC", HOUR).expect_err("a bad minute").to_string();
    assert!(message.contains(r#""\u{1b}[31m999"#), "{message}");
    assert!(message.contains("9…\""), "{message}");
}
