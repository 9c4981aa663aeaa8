//! An evaluation that stops early still promises nothing false.

#![allow(clippy::unwrap_used)]

use super::{Evaluation, evaluate_within};
use crate::window::{Kind, Window};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use std::time::Duration;

/// 1 December 2026, 10:30 UTC.
const NOW: i64 = 1_796_121_000;

/// Windows that change often, and single ones that begin within a day.
fn window() -> impl Strategy<Value = Window> {
    let kind = || prop_oneof![3 => Just(Kind::Allow), 1 => Just(Kind::Deny)];
    let minute = proptest::sample::select(&["*", "*/2", "1-59/2", "*/3", "0,30", "7"][..]);
    let hour = proptest::sample::select(&["*", "*", "8-17", "*/5"][..]);
    let recurring = (kind(), minute, hour, 1..=4_u64).prop_map(|(kind, minute, hour, minutes)| {
        Window::recurring(kind, &format!("{minute} {hour} * * *"), "UTC", Duration::from_secs(minutes * 60)).unwrap()
    });
    let once = (kind(), -600..1440_i64, 1..600_i64).prop_map(|(kind, begins, minutes)| {
        let from = Timestamp::from_second(NOW + begins * 60).unwrap();
        Window::once(kind, from, from + SignedDuration::from_mins(minutes), "UTC").unwrap()
    });
    prop_oneof![3 => recurring, 1 => once]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_state_is_the_same_at_every_instant_before_the_promised_one(
        scopes in proptest::collection::vec(proptest::collection::vec(window(), 0..5), 2),
        second in 0..60_i64,
        limit in 0..60_usize,
    ) {
        let scopes: Vec<&[Window]> = scopes.iter().map(Vec::as_slice).collect();
        let now = Timestamp::from_second(NOW + second).unwrap();
        let (is_open, found, promised) = match evaluate_within(&scopes, now, limit) {
            Evaluation::Open { closes_at, open_until } => (true, closes_at, open_until),
            Evaluation::Closed { opens_at, closed_until, .. } => (false, opens_at, closed_until),
        };
        prop_assert!(promised > now && promised <= now + crate::HORIZON);
        // The state of one instant needs no search.
        let open_at = |at: Timestamp| matches!(evaluate_within(&scopes, at, 0), Evaluation::Open { .. });
        if let Some(found) = found {
            prop_assert_eq!(found, promised);
            prop_assert_eq!(open_at(found), !is_open);
        }
        // Changes happen at whole minutes, so the last second before one speaks for the minute.
        let minutes = (0..120).map(|minute| Timestamp::from_second(NOW + 59 + minute * 60).unwrap());
        let last = promised - SignedDuration::from_nanos(1);
        for at in minutes.filter(|at| *at < promised).chain([now, last]) {
            prop_assert_eq!(open_at(at), is_open, "{} is before {}", at, promised);
        }
    }
}
