//! The API server accepts a schedule or a time zone if and only if the operator can read it. Otherwise a window that was accepted would
//! close everything to which it applies.

use crate::ChangeWindow;
use change_windows::{InvalidWindow, Kind, Window};
use proptest::prelude::*;
use serde_json::json;
use std::time::Duration;

/// Whether the rules accept a window. The schema limits the length of a schedule, so the caller does.
fn is_accepted(schedule: &str, time_zone: &str) -> Result<(), String> {
    let object: ChangeWindow = serde_json::from_value(json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "ChangeWindow", "metadata": {"name": "one", "namespace": "bots"},
        "spec": {"type": "Deny", "timeZone": time_zone, "recurring": {"schedule": schedule, "durationSeconds": 3600}},
    }))
    .unwrap();
    object.validate_cel().map_err(|error| error.to_string())
}

/// Compares the two. Only the operator knows how many days a month has.
fn compare(schedule: &str, time_zone: &str) -> Result<(), String> {
    let read = Window::recurring(Kind::Deny, schedule, time_zone, Duration::from_secs(3600));
    match (is_accepted(schedule, time_zone), read) {
        (Ok(()), Ok(_) | Err(InvalidWindow::NeverFires)) | (Err(_), Err(_)) => Ok(()),
        (Ok(()), Err(why)) => Err(format!("{schedule:?} in {time_zone:?} is accepted, and cannot be read: {why}")),
        (Err(why), Ok(_)) => Err(format!("{schedule:?} in {time_zone:?} can be read, and is refused: {why}")),
    }
}

const NAMES: [&str; 24] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC", "SUN", "MON", "TUE", "WED",
    "THU", "FRI", "SAT", "FOO", "mon", "Jan", "L", "?",
];

/// An item of a field, nearly always good for the field with this largest value.
fn item(largest: u32) -> BoxedStrategy<String> {
    let number = || prop_oneof![12 => (1..=largest).boxed(), 1 => Just(0).boxed(), 1 => (0..100_u32).boxed()];
    let value = move || {
        let written = (number(), 0..8_u8)
            .prop_map(|(number, zero)| if zero == 0 { format!("0{number}") } else { number.to_string() });
        let names = match largest {
            12 => &NAMES[..12],
            7 => &NAMES[12..19],
            _ => &NAMES[19..],
        };
        let names = prop_oneof![9 => proptest::sample::select(names), 1 => proptest::sample::select(&NAMES[..])];
        let weight = if largest == 12 || largest == 7 { 10 } else { 1 };
        prop_oneof![20 => written, weight => names.prop_map(str::to_owned)]
    };
    let range = prop_oneof![
        2 => Just("*".to_owned()),
        3 => value(),
        3 => (value(), value()).prop_map(|(first, last)| format!("{first}-{last}")),
    ];
    let step = prop_oneof![4 => Just(String::new()), 1 => number().prop_map(|step| format!("/{step}"))];
    let good = (range, step).prop_map(|(range, step)| range + &step);
    prop_oneof![40 => good, 1 => "[0-9A-Z*/,#-]{0,5}"].boxed()
}

fn field(largest: u32) -> BoxedStrategy<String> {
    let list = proptest::collection::vec(item(largest), 1..3).prop_map(|items| items.join(","));
    prop_oneof![Just("*".to_owned()), list].boxed()
}

fn schedule() -> impl Strategy<Value = String> {
    let days = prop_oneof![
        4 => field(31).prop_map(|day| (day, "*".to_owned())),
        4 => field(7).prop_map(|weekday| ("*".to_owned(), weekday)),
        1 => (field(31), field(7)),
    ];
    let space = prop_oneof![30 => Just(" "), 2 => Just("  "), 1 => Just("\t"), 1 => Just("\u{a0}"), 1 => Just(" * ")];
    let outer = || prop_oneof![30 => Just(""), 1 => Just(" "), 1 => Just("\n")];
    (outer(), field(59), space, field(23), days, field(12), outer()).prop_map(
        |(before, minute, space, hour, (day, weekday), month, after)| {
            format!("{before}{minute}{space}{hour} {day} {month} {weekday}{after}")
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_schedule_is_accepted_if_and_only_if_the_operator_can_read_it(schedule in schedule()) {
        prop_assume!(schedule.len() <= 128);
        compare(&schedule, "UTC").map_err(TestCaseError::fail)?;
    }

    /// None of these has the form of a name that the database does not have: only the API server and the operator know the database.
    #[test]
    fn a_time_zone_is_accepted_if_and_only_if_the_operator_can_read_it(
        zone in prop_oneof![
            "(Etc/|UTC|GMT|Etc/GMT|Etc/UTC)[+-]?[0-9]{0,2}",
            "[A-Z]{1,4}[0-9+-]{0,2}",
            "[a-z]{1,6}/[A-Z][a-z]{1,5}",
            "(Europe/Berlin|America/Argentina/Buenos_Aires|Etc/UTC|America/Port-au-Prince)[ /:+,]{0,2}",
            ".{0,12}",
        ],
    ) {
        compare("0 9 * * *", &zone).map_err(TestCaseError::fail)?;
    }
}

#[test]
fn each_range_of_two_values_is_accepted_if_and_only_if_the_operator_can_read_it() {
    let ranges = |names: &[&str]| -> Vec<String> {
        let pair = |first: &&str| names.iter().map(|last| format!("{first}-{last}")).collect::<Vec<_>>();
        names.iter().flat_map(pair).collect()
    };
    let minutes: Vec<String> =
        (0..60).step_by(3).chain([1, 9, 10, 11, 19, 20, 59]).map(|minute| minute.to_string()).collect();
    let minutes: Vec<&str> = minutes.iter().map(String::as_str).collect();
    for range in ranges(&minutes) {
        compare(&format!("{range} * * * *"), "UTC").unwrap();
    }
    for range in ranges(&NAMES[..12]) {
        compare(&format!("0 0 * {range} *"), "UTC").unwrap();
    }
    for range in ranges(&NAMES[12..19]) {
        compare(&format!("0 0 * * {range}"), "UTC").unwrap();
    }
}

#[test]
fn each_city_of_the_database_is_accepted() {
    let database = jiff::tz::TimeZoneDatabase::bundled();
    let cities: Vec<String> =
        database.available().map(|name| name.to_string()).filter(|name| name.contains('/')).collect();
    assert!(cities.len() > 400, "{}", cities.len());
    for city in cities {
        compare("0 9 * * *", &city).unwrap();
    }
}
