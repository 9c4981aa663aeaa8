//! Whatever somebody writes, reading and evaluating end, without a panic.

use std::time::Duration;

use cognigy_operator_change_windows::{Evaluation, Kind, Window, evaluate};
use jiff::Timestamp;
use proptest::prelude::*;

fn any_instant() -> impl Strategy<Value = Timestamp> {
    let seconds = Timestamp::MIN.as_second()..=Timestamp::MAX.as_second();
    (seconds, -999_999_999..=999_999_999_i32)
        .prop_map(|(second, fraction)| Timestamp::new(second, fraction).unwrap_or(Timestamp::MAX))
}

/// Texts that are nearly a schedule get further than random ones.
fn schedule_text() -> impl Strategy<Value = String> {
    let field = "[0-9*/,LW#?H-]{1,6}|\\*|[0-9]{1,2}|(MON|tue|JAN|Dec)([#/L-](FRI|[0-9A-Z]{0,3}))?";
    prop_oneof![".{0,300}", proptest::collection::vec(field, 4..7).prop_map(|fields| fields.join(" "))]
}

fn zone_text() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,80}",
        "[A-Za-z_]{1,12}/[A-Za-z_]{1,12}",
        Just("Europe/Berlin".to_owned()),
        Just("Australia/Lord_Howe".to_owned()),
        Just("Pacific/Apia".to_owned()),
    ]
}

fn check(windows: &[Window], now: Timestamp) {
    for window in windows {
        let activity = window.activity(now);
        assert!(activity.next_change.is_none_or(|change| change > now), "{activity:?}");
        assert!(!window.display(now).is_empty());
    }
    match evaluate(&[windows, windows], now) {
        Evaluation::Open { closes_at, open_until } => {
            assert!(open_until > now || now == Timestamp::MAX);
            assert!(closes_at.is_none_or(|closes_at| closes_at == open_until));
        }
        Evaluation::Closed { opens_at, closed_until, .. } => {
            assert!(closed_until > now || now == Timestamp::MAX);
            assert!(opens_at.is_none_or(|opens_at| opens_at == closed_until));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_and_no_instant_causes_a_panic(
        schedule in schedule_text(),
        zone in zone_text(),
        seconds in prop_oneof![60..2_678_400_u64, any::<u64>()],
        now in any_instant(),
    ) {
        match Window::recurring(Kind::Allow, &schedule, &zone, Duration::from_secs(seconds)) {
            Ok(window) => check(&[window], now),
            Err(why) => prop_assert!(why.to_string().len() < 600),
        }
    }

    #[test]
    fn no_pair_of_instants_causes_a_panic(from in any_instant(), to in any_instant(), now in any_instant()) {
        if let Ok(window) = Window::once(Kind::Deny, from, to, "UTC") {
            check(&[window], now);
        }
    }

    #[test]
    fn good_schedules_at_any_instant_cause_no_panic(
        schedule in "[0-5]?[0-9](/[1-9])? (\\*|[0-9]|[0-9]-1[0-9]/2) (\\*|28|2[0-9]) (\\*|2|1,12) \\*",
        zone in proptest::sample::select(&["UTC", "Pacific/Apia", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"][..]),
        seconds in 60..2_678_400_u64,
        now in any_instant(),
    ) {
        let duration = Duration::from_secs(seconds);
        let window = Window::recurring(Kind::Allow, &schedule, zone, duration);
        prop_assert!(window.is_ok(), "{schedule}: {window:?}");
        let deny = Window::recurring(Kind::Deny, &schedule, "UTC", Duration::from_secs(60));
        check(&[window.unwrap(), deny.unwrap()], now);
    }
}
