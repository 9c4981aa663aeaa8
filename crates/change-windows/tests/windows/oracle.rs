//! Compares random windows over a year with a slow evaluation that steps minute by minute.
//!
//! The slow evaluation is independent: it expands the fields by hand, and it only asks the library of time zones what clocks
//! show at an instant, never at which instant clocks show a time.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use cognigy_operator_change_windows::{Closer, Evaluation, Kind, Window, evaluate};
use jiff::civil::Date;
use jiff::tz::TimeZoneDatabase;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

const DAY: i64 = 1440;
/// 1 August 2026, in minutes since 1970.
const START: i64 = 20_666 * DAY;
/// Days in which windows start before the first instant that is compared.
const LEAD: i64 = 32;
/// Days that are evaluated minute by minute.
const DAYS: i64 = LEAD + 400;
const ZONES: [&str; 7] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Asia/Beirut",
    "Africa/Casablanca",
];

/// For each minute: what clocks show, in minutes since 1970.
static CLOCKS: LazyLock<Mutex<HashMap<&str, &[i64]>>> = LazyLock::new(Mutex::default);

fn clocks(zone: &'static str) -> &'static [i64] {
    CLOCKS.lock().unwrap().entry(zone).or_insert_with(|| {
        let zone = TimeZoneDatabase::bundled().get(zone).unwrap();
        let shown = |minute| minute + i64::from(zone.to_offset(instant(minute)).seconds()) / 60;
        (START..START + DAYS * DAY).map(shown).collect::<Vec<_>>().leak()
    })
}

fn instant(minute: i64) -> Timestamp {
    Timestamp::from_second(minute * 60).unwrap()
}

/// One item of a field, as it is written and as it is expanded.
#[derive(Clone, Debug)]
enum Item {
    All(u32),
    One(u32),
    Range(u32, u32, u32),
}

/// A field: an item is enough to write any list.
type Field = Vec<Item>;

fn write(field: &Field) -> String {
    let item = |item: &Item| match item {
        Item::All(1) => "*".to_owned(),
        Item::All(step) => format!("*/{step}"),
        Item::One(value) => value.to_string(),
        Item::Range(first, last, 1) => format!("{first}-{last}"),
        Item::Range(first, last, step) => format!("{first}-{last}/{step}"),
    };
    field.iter().map(item).collect::<Vec<_>>().join(",")
}

fn accepts(field: &Field, min: u32, value: u32) -> bool {
    field.iter().any(|item| match *item {
        Item::All(step) => (value - min).is_multiple_of(step),
        Item::One(one) => value == one,
        Item::Range(first, last, step) => (first..=last).contains(&value) && (value - first).is_multiple_of(step),
    })
}

/// A window, from which the text and the slow evaluation are made.
#[derive(Clone, Debug)]
enum Spec {
    Recurring { kind: Kind, fields: [Field; 5], zone: &'static str, minutes: i64 },
    Once { kind: Kind, from: i64, minutes: i64 },
}

impl Spec {
    fn window(&self) -> Window {
        match self {
            Spec::Recurring { kind, fields, zone, minutes } => {
                let schedule = fields.iter().map(write).collect::<Vec<_>>().join(" ");
                Window::recurring(*kind, &schedule, zone, Duration::from_secs(*minutes as u64 * 60)).expect(&schedule)
            }
            Spec::Once { kind, from, minutes } => {
                Window::once(*kind, instant(*from), instant(from + minutes), "UTC").unwrap()
            }
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Spec::Recurring { kind, .. } | Spec::Once { kind, .. } => *kind,
        }
    }

    /// For each minute: whether the window is active.
    fn activity(&self) -> Vec<bool> {
        let minutes = START..START + DAYS * DAY;
        match self {
            Spec::Once { from, minutes: length, .. } => {
                minutes.map(|minute| (*from..from + length).contains(&minute)).collect()
            }
            Spec::Recurring { fields: [minute, hour, day, month, weekday], zone, minutes: length, .. } => {
                let clocks = clocks(zone);
                let first_day = clocks[0].div_euclid(DAY) - 1;
                let fires_on: Vec<bool> = (first_day..first_day + DAYS + 3)
                    .map(|number| {
                        let date = Date::constant(1970, 1, 1) + SignedDuration::from_hours(24 * number);
                        accepts(month, 1, date.month() as u32)
                            && accepts(day, 1, date.day() as u32)
                            && accepts(weekday, 0, date.weekday().to_sunday_zero_offset() as u32)
                    })
                    .collect();
                let fires_at: Vec<bool> =
                    (0..DAY as u32).map(|time| accepts(hour, 0, time / 60) && accepts(minute, 0, time % 60)).collect();
                let fires = |shown: i64| {
                    fires_on[(shown.div_euclid(DAY) - first_day) as usize] && fires_at[shown.rem_euclid(DAY) as usize]
                };
                let mut latest_shown = clocks[0] - 1;
                let mut active_until = 0;
                clocks
                    .iter()
                    .zip(minutes)
                    .map(|(shown, minute)| {
                        // Each time fires once: when clocks show it or a later time for the first time.
                        if (latest_shown + 1..=*shown).any(fires) {
                            active_until = minute + length;
                        }
                        latest_shown = latest_shown.max(*shown);
                        minute < active_until
                    })
                    .collect()
            }
        }
    }
}

fn field(min: u32, max: u32) -> BoxedStrategy<Field> {
    let item = prop_oneof![
        3 => (min..=max).prop_map(Item::One),
        1 => (1..=max).prop_map(Item::All),
        2 => (min..=max, min..=max, 1..=max).prop_map(|(one, other, step)| {
            Item::Range(one.min(other), one.max(other), if step % 2 == 0 { 1 } else { step })
        }),
    ];
    prop_oneof![2 => Just(vec![Item::All(1)]), 3 => proptest::collection::vec(item, 1..4)].boxed()
}

/// Fields of which at most one restricts the days.
fn days() -> impl Strategy<Value = (Field, Field)> {
    let all = || vec![Item::All(1)];
    prop_oneof![
        field(1, 28).prop_map(move |day| (day, all())),
        // A day that every month has makes every schedule fire, also together with "30 2".
        (field(1, 31), 1..=28_u32).prop_map(move |(mut day, exists)| {
            day.push(Item::One(exists));
            (day, all())
        }),
        field(0, 6).prop_map(move |weekday| (all(), weekday)),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Allow), Just(Kind::Deny)]
}

fn recurring() -> impl Strategy<Value = Spec> {
    let minutes = prop_oneof![1..=5_i64, 6..=180_i64, 181..=3 * DAY, 1..=31 * DAY];
    let fields = (field(0, 59), field(0, 23), days(), field(1, 12));
    (kind(), fields, proptest::sample::select(&ZONES[..]), minutes).prop_map(
        |(kind, (minute, hour, (day, weekday), month), zone, minutes)| {
            let fields = [minute, hour, day, month, weekday];
            Spec::Recurring { kind, fields, zone, minutes }
        },
    )
}

fn any_window() -> impl Strategy<Value = Spec> {
    let from = START..START + DAYS * DAY;
    prop_oneof![
        12 => recurring(),
        3 => (kind(), from, 1..=366 * DAY).prop_map(|(kind, from, minutes)| Spec::Once { kind, from, minutes }),
    ]
}

/// Minutes to compare at, and a second within each.
fn moments() -> impl Strategy<Value = Vec<(i64, i64)>> {
    proptest::collection::vec((LEAD * DAY..DAYS * DAY, 0..60_i64), 8)
}

/// The next minute at which this is different; None if it is not in the table.
fn next_change(states: &[bool], from: i64) -> Option<Timestamp> {
    let from = from as usize;
    let change = states[from..].iter().position(|state| *state != states[from])?;
    Some(instant(START + (from + change) as i64))
}

/// What was found is what was expected. If nothing was expected, it is not in the table either.
fn agree(found: Option<Timestamp>, expected: Option<Timestamp>) -> bool {
    let end = instant(START + DAYS * DAY);
    found == expected || (expected.is_none() && found.is_none_or(|found| found >= end))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_random_window_is_active_as_the_slow_evaluation_says(spec in recurring(), moments in moments()) {
        let window = spec.window();
        let states = spec.activity();
        for (minute, second) in moments {
            let activity = window.activity(instant(START + minute) + SignedDuration::from_secs(second));
            prop_assert_eq!(activity.active, states[minute as usize], "at {}", instant(START + minute));
            let expected = next_change(&states, minute);
            prop_assert!(agree(activity.next_change, expected), "{} {activity:?} {expected:?}", instant(START + minute));
        }
    }
}

/// The minutes at which a scope is open.
fn is_open(scope: &[(Spec, Vec<bool>)], minute: usize) -> bool {
    let active = |kind| scope.iter().any(|(spec, states)| spec.kind() == kind && states[minute]);
    !active(Kind::Deny) && (active(Kind::Allow) || scope.iter().all(|(spec, _)| spec.kind() == Kind::Deny))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_scopes_open_and_close_as_the_slow_evaluation_says(
        scopes in proptest::collection::vec(proptest::collection::vec(any_window(), 0..4), 2),
        moments in moments(),
    ) {
        let windows: Vec<Vec<Window>> = scopes.iter().map(|scope| scope.iter().map(Spec::window).collect()).collect();
        let windows: Vec<&[Window]> = windows.iter().map(Vec::as_slice).collect();
        let scopes: Vec<Vec<(Spec, Vec<bool>)>> = scopes
            .into_iter()
            .map(|scope| scope.into_iter().map(|spec| (spec.clone(), spec.activity())).collect())
            .collect();
        let open: Vec<bool> =
            (0..(DAYS * DAY) as usize).map(|minute| scopes.iter().all(|scope| is_open(scope, minute))).collect();
        for (minute, second) in moments {
            let now = instant(START + minute) + SignedDuration::from_secs(second);
            let expected = next_change(&open, minute);
            match evaluate(&windows, now) {
                Evaluation::Open { closes_at, open_until } => {
                    prop_assert!(open[minute as usize], "at {now}");
                    prop_assert!(open_until > now);
                    match closes_at {
                        Some(closes_at) => {
                            prop_assert_eq!(closes_at, open_until);
                            prop_assert!(agree(Some(closes_at), expected), "{now} {closes_at} {expected:?}");
                        }
                        None => prop_assert!(expected.is_none_or(|expected| expected >= open_until), "{now} {expected:?}"),
                    }
                }
                Evaluation::Closed { by, opens_at, closed_until } => {
                    prop_assert!(!open[minute as usize], "at {now}");
                    prop_assert!(closed_until > now);
                    match opens_at {
                        Some(opens_at) => {
                            prop_assert_eq!(opens_at, closed_until);
                            prop_assert!(agree(Some(opens_at), expected), "{now} {opens_at} {expected:?}");
                        }
                        None => prop_assert!(expected.is_none_or(|expected| expected >= closed_until), "{now} {expected:?}"),
                    }
                    check_closer(by, &scopes, minute)?;
                }
            }
        }
    }
}

/// What is named does close, until then, and nothing closes longer.
fn check_closer(by: Closer, scopes: &[Vec<(Spec, Vec<bool>)>], minute: i64) -> Result<(), TestCaseError> {
    let never = instant(START + DAYS * DAY);
    let denies = scopes.iter().flatten().filter(|(spec, states)| spec.kind() == Kind::Deny && states[minute as usize]);
    let longest_deny = denies.map(|(_, states)| next_change(states, minute).unwrap_or(never)).max();
    let named = match by {
        Closer::Deny { scope, window, ends_at } => {
            let (spec, states) = &scopes[scope][window];
            prop_assert!(spec.kind() == Kind::Deny && states[minute as usize]);
            prop_assert!(agree(ends_at, next_change(states, minute)));
            ends_at
        }
        Closer::OutsideAllow { scope, next } => {
            let allows = || scopes[scope].iter().filter(|(spec, _)| spec.kind() == Kind::Allow);
            prop_assert!(allows().count() > 0 && allows().all(|(_, states)| !states[minute as usize]));
            let expected = allows().filter_map(|(_, states)| next_change(states, minute)).min();
            prop_assert!(agree(next.map(|next| next.at), expected));
            if let Some(next) = next {
                let (spec, states) = &scopes[scope][next.window];
                prop_assert!(spec.kind() == Kind::Allow && agree(Some(next.at), next_change(states, minute)));
            }
            next.map(|next| next.at)
        }
    };
    prop_assert!(
        longest_deny.is_none_or(|longest| named.is_none_or(|named| named >= longest)),
        "{by:?} {longest_deny:?}"
    );
    Ok(())
}
