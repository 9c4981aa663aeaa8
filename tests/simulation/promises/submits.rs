//! S1: an attempt never submits a digest twice. S2: nothing is submitted without validation and trace. S3: no second
//! job starts in an environment before the first one has ended or its deadline has passed. And every request keeps to
//! the contract.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use simulator::Call;

use super::Broken;
use crate::record::{Record, RecordedRequest, Write};

pub fn check(record: &Record<'_>, broken: &mut Vec<Broken>) {
    wire(record, broken);
    once(record, broken);
    intents(record, broken);
    overlaps(record, broken);
    for submit in record.calls(Call::Submit) {
        checked_before(record, submit, broken);
    }
}

fn wire(record: &Record<'_>, broken: &mut Vec<Broken>) {
    for request in &record.requests {
        for violation in &request.exchange.violations {
            broken.push(Broken::new("the contract", format!("request #{}: {violation}", request.exchange.number)));
        }
    }
}

/// Each key has one job and one body.
fn once(record: &Record<'_>, broken: &mut Vec<Broken>) {
    let mut jobs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (_, environment) in record.run.platform.environments() {
        for job in environment.jobs() {
            let key = job.idempotency_key.clone().unwrap_or_default();
            jobs.entry(key).or_default().push(job.id.to_string());
        }
    }
    for (key, jobs) in jobs.iter().filter(|(_, jobs)| jobs.len() > 1) {
        broken.push(Broken::new("S1", format!("one attempt has submitted {} jobs ({jobs:?}) under {key}", jobs.len())));
    }
    let mut bodies: BTreeMap<&str, &str> = BTreeMap::new();
    for submit in record.calls(Call::Submit) {
        let key = submit.exchange.key.as_deref().unwrap_or_default();
        let body = bodies.entry(key).or_insert(&submit.exchange.body_sha256);
        if *body != submit.exchange.body_sha256 {
            broken
                .push(Broken::new("S1", format!("submit #{} has another body under its key", submit.exchange.number)));
        }
    }
}

/// An attempt has one key, which is written before the first submit with it.
fn intents(record: &Record<'_>, broken: &mut Vec<Broken>) {
    let mut keys: BTreeMap<(String, i64), BTreeSet<&str>> = BTreeMap::new();
    for write in &record.writes {
        let Some(attempt) = write.attempt() else { continue };
        if let Some(key) = attempt.idempotency_key() {
            keys.entry((write.uid(), attempt.number)).or_default().insert(key.as_str());
        }
    }
    for (attempt, keys) in keys.iter().filter(|(_, keys)| keys.len() > 1) {
        broken.push(Broken::new("S1", format!("attempt {attempt:?} has had the keys {keys:?}")));
    }
    for submit in record.calls(Call::Submit) {
        let key = submit.exchange.key.as_deref().unwrap_or_default();
        if record.intent(key).is_none_or(|intent| intent.place > submit.place) {
            broken.push(Broken::new(
                "S1",
                format!("submit #{} was sent before its intent was written", submit.exchange.number),
            ));
        }
    }
}

/// Between the start of the attempt and its intent, this snapshot was validated and traced, with the checks that the
/// spec has when the intent is written.
fn checked_before(record: &Record<'_>, submit: &RecordedRequest<'_>, broken: &mut Vec<Broken>) {
    let Some(intent) = submit.exchange.key.as_deref().and_then(|key| record.intent(key)) else { return };
    let Some(start) = start_of(record, intent) else { return };
    let snapshot = &submit.exchange.body["configuration_snapshot"];
    let part = start..intent.place;
    let spec = &intent.object.spec;
    let valid = record.answered(Call::Validate, part.clone()).any(|request| {
        let body = &request.exchange.body;
        request.exchange.answer["valid"] == true
            && body["configurationSnapshot"] == *snapshot
            && body["isolationRules"]["tenantBoundary"] == spec.isolation_rules.tenant_boundary
            && body["capacityConstraints"] == submit.exchange.body["capacity_constraints"]
    });
    let traced = record.answered(Call::Trace, part).any(|request| {
        request.exchange.answer["status"] == "passed"
            && request.exchange.body["configurationSnapshot"] == *snapshot
            && request.exchange.body["traceOptions"]["simulationDepth"] == spec.trace_options.simulation_depth
    });
    for (is_so, what) in [(valid, "validated"), (traced, "traced")] {
        if !is_so {
            broken.push(Broken::new(
                "S2",
                format!("submit #{} was sent, but its snapshot was not {what} before", submit.exchange.number),
            ));
        }
    }
}

/// The place at which the attempt of this write started.
fn start_of(record: &Record<'_>, intent: &Write) -> Option<usize> {
    let attempt = intent.attempt()?;
    let is_it = |write: &&Write| {
        write.uid() == intent.uid()
            && write.attempt().is_some_and(|other| other.number == attempt.number && other.digest == attempt.digest)
    };
    record.writes.iter().find(is_it).map(|write| write.place)
}

fn overlaps(record: &Record<'_>, broken: &mut Vec<Broken>) {
    for (_, environment) in record.run.platform.environments() {
        for overlap in environment.overlaps() {
            let first = environment.job(&overlap.in_flight);
            let key = first.and_then(|job| job.idempotency_key.clone()).unwrap_or_default();
            let deadline =
                record.intent(&key).and_then(|intent| intent.attempt()?.deadline_at()).unwrap_or(Timestamp::MAX);
            let is_undone =
                first.and_then(|job| job.rollback.as_ref()).is_some_and(|rollback| rollback.accepted_at <= overlap.at);
            if overlap.at < deadline && !is_undone {
                let how = format!("{} was submitted while {} was in flight", overlap.submitted, overlap.in_flight);
                broken.push(Broken::new("S3", how));
            }
        }
    }
}
