//! How windows combine: Deny wins, and scopes only tighten.

use cognigy_operator_change_windows::{Closer, Evaluation, HORIZON, Kind, NextAllow, Window, evaluate};

use crate::{DAY, HOUR, MINUTE, at, once, recurring};

const NOW: &str = "2026-12-01T10:30:00Z";

fn open_until(closes_at: &str) -> Evaluation {
    Evaluation::Open { closes_at: Some(at(closes_at)), open_until: at(closes_at) }
}

fn closed(by: Closer, opens_at: &str) -> Evaluation {
    Evaluation::Closed { by, opens_at: Some(at(opens_at)), closed_until: at(opens_at) }
}

fn deny(scope: usize, window: usize, ends_at: &str) -> Closer {
    Closer::Deny { scope, window, ends_at: Some(at(ends_at)) }
}

fn outside(scope: usize, window: usize, opens: &str) -> Closer {
    Closer::OutsideAllow { scope, next: Some(NextAllow { window, at: at(opens) }) }
}

/// Active from one hour of 1 December until another one.
fn on_that_day(kind: Kind, from: u8, to: u8) -> Window {
    once(kind, &format!("2026-12-01T{from:02}:00:00Z"), &format!("2026-12-01T{to:02}:00:00Z"))
}

#[test]
fn without_windows_everything_is_open() {
    let open = Evaluation::Open { closes_at: None, open_until: at(NOW) + HORIZON };
    assert_eq!(evaluate(&[], at(NOW)), open);
    assert_eq!(evaluate(&[&[], &[]], at(NOW)), open);
}

#[test]
fn one_active_allow_is_enough_and_the_last_one_closes() {
    use Kind::Allow;
    let windows =
        [on_that_day(Allow, 9, 12), on_that_day(Allow, 11, 14), on_that_day(Allow, 14, 15), on_that_day(Allow, 16, 17)];
    assert_eq!(evaluate(&[&windows], at(NOW)), open_until("2026-12-01T15:00:00Z"));
    assert_eq!(
        evaluate(&[&windows], at("2026-12-01T15:00:00Z")),
        closed(outside(0, 3, "2026-12-01T16:00:00Z"), "2026-12-01T16:00:00Z")
    );
    assert_eq!(
        evaluate(&[&windows], at("2026-12-01T17:00:00Z")),
        Evaluation::Closed {
            by: Closer::OutsideAllow { scope: 0, next: None },
            opens_at: None,
            closed_until: at("2028-12-01T17:00:00Z"),
        }
    );
}

#[test]
fn deny_wins() {
    let windows = [on_that_day(Kind::Allow, 9, 14), on_that_day(Kind::Deny, 10, 11), on_that_day(Kind::Deny, 10, 12)];
    assert_eq!(evaluate(&[&windows], at("2026-12-01T09:00:00Z")), open_until("2026-12-01T10:00:00Z"));
    assert_eq!(evaluate(&[&windows], at(NOW)), closed(deny(0, 2, "2026-12-01T12:00:00Z"), "2026-12-01T12:00:00Z"));
    assert_eq!(evaluate(&[&windows], at("2026-12-01T12:00:00Z")), open_until("2026-12-01T14:00:00Z"));
}

#[test]
fn an_opening_is_an_allow_without_a_deny() {
    // A freeze from 20 December until 4 January, in Berlin; rollouts on Tuesdays and Thursdays at night.
    let freeze =
        Window::once(Kind::Deny, at("2026-12-20T00:00:00+01:00"), at("2027-01-04T06:00:00+01:00"), "Europe/Berlin")
            .unwrap();
    let nights = recurring(Kind::Allow, "0 22 * * TUE,THU", "Europe/Berlin", 4 * HOUR);
    assert_eq!(
        evaluate(&[std::slice::from_ref(&freeze), &[nights]], at("2026-12-22T22:30:00+01:00")),
        closed(deny(0, 0, "2027-01-04T06:00:00+01:00"), "2027-01-05T22:00:00+01:00")
    );
    assert_eq!(freeze.display(at("2027-01-04T05:00:00Z")), "Mon 2027-01-04 06:00 CET");
}

#[test]
fn a_scope_can_only_tighten() {
    use Kind::{Allow, Deny};
    let open = [on_that_day(Allow, 9, 18)];
    let closed_by_deny = [on_that_day(Deny, 9, 12)];
    let closed_by_allow = [on_that_day(Allow, 13, 15)];
    for (scopes, expected) in [
        ([&open[..], &[]], open_until("2026-12-01T18:00:00Z")),
        ([&closed_by_deny, &open], closed(deny(0, 0, "2026-12-01T12:00:00Z"), "2026-12-01T12:00:00Z")),
        ([&open, &closed_by_deny], closed(deny(1, 0, "2026-12-01T12:00:00Z"), "2026-12-01T12:00:00Z")),
        // An Allow of one scope does not open the other one.
        ([&closed_by_allow, &open], closed(outside(0, 0, "2026-12-01T13:00:00Z"), "2026-12-01T13:00:00Z")),
        ([&open, &closed_by_allow], closed(outside(1, 0, "2026-12-01T13:00:00Z"), "2026-12-01T13:00:00Z")),
        // What closes longest is named.
        ([&closed_by_allow, &closed_by_deny], closed(outside(0, 0, "2026-12-01T13:00:00Z"), "2026-12-01T13:00:00Z")),
    ] {
        assert_eq!(evaluate(&scopes, at(NOW)), expected, "{scopes:?}");
    }
}

#[test]
fn a_deny_without_an_end_closes_longest_and_an_allow_that_is_over_opens_nothing() {
    let denied_always = || recurring(Kind::Deny, "* * * * *", "UTC", MINUTE);
    let over = || once(Kind::Allow, "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z");
    let allowed = on_that_day(Kind::Allow, 9, 18);
    let denied_for_ever = Evaluation::Closed {
        by: Closer::Deny { scope: 0, window: 1, ends_at: None },
        opens_at: None,
        closed_until: at("2028-12-01T10:30:00Z"),
    };
    assert_eq!(evaluate(&[&[allowed.clone(), denied_always()]], at(NOW)), denied_for_ever);
    // Of two that deny, the one without an end closes longer. Of two that deny equally long, the first one is named.
    let denied = || on_that_day(Kind::Deny, 9, 18);
    assert_eq!(evaluate(&[&[denied(), denied_always(), denied_always()]], at(NOW)), denied_for_ever);
    assert_eq!(evaluate(&[&[denied(), denied_always(), denied()], &[denied()]], at(NOW)), denied_for_ever);
    let first = closed(deny(0, 0, "2026-12-01T18:00:00Z"), "2026-12-01T18:00:00Z");
    assert_eq!(evaluate(&[&[denied(), denied()], &[denied()]], at(NOW)), first);
    assert_eq!(
        evaluate(&[&[over()], std::slice::from_ref(&allowed)], at(NOW)),
        Evaluation::Closed {
            by: Closer::OutsideAllow { scope: 0, next: None },
            opens_at: None,
            closed_until: at("2028-12-01T10:30:00Z"),
        }
    );
    assert_eq!(
        evaluate(&[&[over(), allowed]], at(NOW)),
        open_until("2026-12-01T18:00:00Z"),
        "another Allow still opens"
    );
}

#[test]
fn an_opening_of_one_instant_that_another_scope_denies_is_skipped() {
    // The scopes are open at the same time only on a Friday that is the 13th.
    let thirteenth = [recurring(Kind::Allow, "0 0 13 * *", "UTC", DAY)];
    let friday = [recurring(Kind::Allow, "0 0 * * FRI", "UTC", DAY)];
    let Evaluation::Closed { opens_at, .. } = evaluate(&[&thirteenth, &friday], at(NOW)) else { panic!("it is open") };
    assert_eq!(opens_at, Some(at("2027-08-13T00:00:00Z")));
}

#[test]
fn a_search_that_stops_says_until_when_it_is_closed() {
    // Every minute is denied or not allowed: there is no opening, and a million intervals.
    let windows =
        [recurring(Kind::Allow, "*/2 * * * *", "UTC", MINUTE), recurring(Kind::Deny, "*/2 * * * *", "UTC", MINUTE)];
    let Evaluation::Closed { opens_at: None, closed_until, .. } = evaluate(&[&windows], at(NOW)) else {
        panic!("it opens")
    };
    assert!(closed_until > at("2026-12-04T00:00:00Z"), "{closed_until}");
    // The opening is found by a caller that evaluates again then.
    let mut later = windows.to_vec();
    later.push(once(Kind::Deny, NOW, "2027-02-01T00:00:00Z"));
    later[1] = recurring(Kind::Deny, "*/2 * * 1-2,12 *", "UTC", MINUTE);
    let mut now = at(NOW);
    let mut evaluations = 0;
    let opens_at = loop {
        evaluations += 1;
        match evaluate(&[&later], now) {
            Evaluation::Closed { opens_at: Some(opens_at), .. } => break opens_at,
            Evaluation::Closed { closed_until, .. } if closed_until > now && evaluations < 100 => now = closed_until,
            other => panic!("{now} {other:?}"),
        }
    };
    assert_eq!(opens_at, at("2027-03-01T00:00:00Z"));
    assert!(evaluations > 1);
}

#[test]
fn a_search_that_stops_says_until_when_it_is_open() {
    // 64 windows keep it open minute after minute, and use the intervals up before the Deny begins.
    let half = |schedule: &'static str| (0..32).map(move |_| recurring(Kind::Allow, schedule, "UTC", MINUTE));
    let alternating: Vec<Window> = half("*/2 * * * *").chain(half("1-59/2 * * * *")).collect();
    let freeze = [once(Kind::Deny, "2026-12-01T16:30:00Z", "2026-12-02T00:00:00Z")];
    let Evaluation::Open { closes_at: None, open_until } = evaluate(&[&freeze, &alternating], at(NOW)) else {
        panic!("the end is found, or it is closed")
    };
    assert!(open_until > at("2026-12-01T14:30:00Z"), "{open_until}");
    assert!(open_until < at("2026-12-01T16:30:00Z"), "{open_until} is in the freeze");
    assert_eq!(evaluate(&[&freeze, &alternating], open_until), crate::combining::open_until("2026-12-01T16:30:00Z"));
}
