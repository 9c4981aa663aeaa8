//! A success is watched with at most one request an interval, and is rolled back at most once.

use api::status::{Outcome, RollbackReason, Step};
use std::collections::BTreeMap;
use std::time::Duration;

use super::Broken;
use crate::record::Record;
use crate::story::{Happening, ProcessId};

pub fn check(record: &Record<'_>, broken: &mut Vec<Broken>) {
    intervals(record, broken);
    once(record, broken);
}

/// The interval between two requests of one process, whether or not they reach the platform. A restart begins a new count.
fn intervals(record: &Record<'_>, broken: &mut Vec<Broken>) {
    let mut last: BTreeMap<ProcessId, Duration> = BTreeMap::new();
    for (place, entry) in record.run.story.iter().enumerate() {
        let Happening::Io { process, index, what, .. } = &entry.what else { continue };
        let Some(interval) = interval(record, place).filter(|_| what.ends_with("/health")) else { continue };
        let before = last.insert(*process, entry.at);
        if before.is_some_and(|before| entry.at < before + interval) {
            broken.push(Broken::new("watching", format!("request [{index}] came within {interval:?} of the last one")));
        }
    }
}

/// The interval at which a success is watched at this place of the story. `None` if none is watched, or if several resources
/// exist.
fn interval(record: &Record<'_>, place: usize) -> Option<Duration> {
    let mut newest = BTreeMap::new();
    for write in record.writes.iter().filter(|write| write.place < place) {
        newest.insert(write.uid(), write);
    }
    let write = newest.pop_first().filter(|_| newest.is_empty())?.1;
    let attempt = write.attempt().filter(|attempt| attempt.step == Step::Settled && attempt.rollback.is_none())?;
    let watch = write.object.spec.monitoring.after_success.filter(|_| attempt.outcome() == Some(Outcome::Succeeded));
    watch.map(|watch| watch.interval())
}

/// Each rollback has its own key, and bad health after a success has one.
fn once(record: &Record<'_>, broken: &mut Vec<Broken>) {
    let mut keys: BTreeMap<(String, i64), String> = BTreeMap::new();
    for write in record.operator_writes() {
        let Some(attempt) = write.attempt().filter(|attempt| attempt.outcome() == Some(Outcome::Succeeded)) else {
            continue;
        };
        let is_for_health = |reason| reason == RollbackReason::HealthCheckFailure;
        let Some(rollback) = attempt.rollback.as_ref().filter(|rollback| is_for_health(rollback.reason)) else {
            continue;
        };
        let key = rollback.key.as_str();
        let first = keys.entry((write.uid(), attempt.number)).or_insert_with(|| key.to_owned());
        if first != key {
            broken.push(Broken::new("watching", format!("attempt {} was rolled back twice", attempt.number)));
        }
    }
}
