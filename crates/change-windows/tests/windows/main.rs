//! Tests of change windows, by topic. Tables fix the rules, and [`oracle`] compares random windows with a slow evaluation.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod clocks;
mod combining;
mod hostile;
mod oracle;
mod reading;

use std::time::Duration;

use cognigy_operator_change_windows::{Activity, Kind, Window};
use jiff::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// An instant, from a text with an offset.
fn at(text: &str) -> Timestamp {
    text.parse().expect(text)
}

fn recurring(kind: Kind, schedule: &str, zone: &str, seconds: u64) -> Window {
    Window::recurring(kind, schedule, zone, Duration::from_secs(seconds)).expect(schedule)
}

fn once(kind: Kind, from: &str, to: &str) -> Window {
    Window::once(kind, at(from), at(to), "UTC").expect(from)
}

fn active_until(change: &str) -> Activity {
    Activity { active: true, next_change: Some(at(change)) }
}

fn inactive_until(change: &str) -> Activity {
    Activity { active: false, next_change: Some(at(change)) }
}
