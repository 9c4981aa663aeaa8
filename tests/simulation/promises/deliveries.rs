//! S8: every submitted attempt is audited, or its record is in a Warning event and in the log. Every outcome is sent to
//! the webhook. Each message has one body, which is true. The log has each audit record once, as it was recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use api::Reason;
use api::status::{Attempt, DeliveryKind, Outcome};
use cognigy_operator::delivery::outbox;
use rollout::key;
use serde_json::Value;
use simulator::Call;

use super::Broken;
use crate::record::{AttemptName, Record, RecordedRequest, Write};
use crate::scenario::{OPERATORS_WEBHOOK_SECRET, OWN_API, Scenario};
use crate::story::{Entry, Exchange, Happening, is_deployment};

/// The minimum time for which a message is kept (contract, section 7).
const KEPT_FOR: Duration = Duration::from_secs(72 * 3600);

/// The log message about each audit record.
const LOGGED: &str = "an audit record was written";

pub fn check(_: &Scenario, record: &Record<'_>, broken: &mut Vec<Broken>) {
    one_body_each(record, broken);
    logged_as_recorded(record, broken);
    each_record_where_its_rollout_went(record, broken);
    the_operators_webhook_of_its_own_api(record, broken);
    // An outcome from a restored backup was delivered by the operator that recorded it.
    let is_restored = |write: &&Write| write.same_attempt().is_some_and(|(before, _)| before.verdict.is_some());
    let own: BTreeSet<AttemptName> = record
        .operator_writes()
        .filter(|write| !is_restored(write))
        .filter_map(|write| Some((write.uid(), write.attempt()?.number)))
        .collect();
    for ((uid, number), attempt) in record.attempts() {
        if !own.contains(&(uid.clone(), number)) {
            continue;
        }
        audited(record, &uid, &attempt, broken);
    }
}

fn one_body_each(record: &Record<'_>, broken: &mut Vec<Broken>) {
    let mut bodies: BTreeMap<&str, &Value> = BTreeMap::new();
    for request in record.calls(Call::Audit).chain(record.calls(Call::Webhook)) {
        let Some(key) = request.exchange.key.as_deref() else {
            broken.push(Broken::new("S8", format!("message #{} has no id", request.exchange.number)));
            continue;
        };
        let body = bodies.entry(key).or_insert(&request.exchange.body);
        if **body != request.exchange.body {
            broken
                .push(Broken::new("S8", format!("message #{} has another body under its id", request.exchange.number)));
        }
    }
}

/// Each log line shows a record as it was recorded, and no process logs a record twice. A new process logs the records
/// that it finds, because the process before it may have crashed before the log line. A process that has removed a
/// resource and forgotten it may log again, if its watch still shows an older state.
fn logged_as_recorded(record: &Record<'_>, broken: &mut Vec<Broken>) {
    let outboxes = record.writes.iter().filter_map(Write::status).flat_map(|status| &status.outbox);
    let recorded: BTreeMap<&str, &str> = outboxes.map(|entry| (entry.id.as_str(), entry.body.as_str())).collect();
    let forgets = |entry: &&Entry| match &entry.what {
        Happening::Started(_) | Happening::ListedOld(_) => true,
        Happening::Changed { name, after, .. } => is_deployment(name) && after.is_none(),
        _ => false,
    };
    let most = record.run.story.iter().filter(forgets).count();
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for line in record.run.log.lines().filter(|line| line.contains(LOGGED)) {
        let Some((id, body)) = line.split_once(" id=").and_then(|(_, rest)| rest.split_once(" record=")) else {
            broken.push(Broken::new("S8", format!("a line about an audit record has no id or record: {line}")));
            continue;
        };
        if recorded.get(id) != Some(&body) {
            broken
                .push(Broken::new("S8", format!("the log shows a record that differs from the recorded one: {line}")));
        }
        // A resource that was restored from a backup of another one holds the same records.
        let resource = line.split_once(" resource=").and_then(|(_, rest)| rest.split(' ').next());
        let count = counts.entry((resource.unwrap_or_default(), id)).or_default();
        *count += 1;
        if *count > most {
            broken.push(Broken::new("S8", format!("a process logged a record more than once: {line}")));
        }
    }
    let logged: BTreeSet<&str> = counts.into_keys().map(|(_, id)| id).collect();
    for request in record.calls(Call::Audit) {
        if request.exchange.key.as_deref().is_none_or(|id| !logged.contains(id)) {
            broken.push(Broken::new("S8", format!("audit record #{} is not in the log", request.exchange.number)));
        }
    }
}

/// An audit record is sent to the API that accepted the rollout.
fn each_record_where_its_rollout_went(record: &Record<'_>, broken: &mut Vec<Broken>) {
    for audit in record.calls(Call::Audit) {
        let job = audit.exchange.body["jobId"].as_str();
        let is_of_job = |exchange: &Exchange| job.is_some() && exchange.job.as_ref().map(|id| id.as_str()) == job;
        let submit = record.calls(Call::Submit).find(|submit| is_of_job(submit.exchange));
        if let Some(submit) = submit.filter(|submit| submit.exchange.server != audit.exchange.server) {
            let (number, to, taken_by) = (audit.exchange.number, &audit.exchange.server, &submit.exchange.server);
            broken.push(Broken::new(
                "S8",
                format!("audit record #{number} was sent to {to}, but {taken_by} accepted its rollout"),
            ));
        }
    }
}

/// The default webhook gets events only about rollouts at the operator's own API.
fn the_operators_webhook_of_its_own_api(record: &Record<'_>, broken: &mut Vec<Broken>) {
    let events = record.calls(Call::Webhook).filter(|event| event.exchange.path.contains(OPERATORS_WEBHOOK_SECRET));
    for event in events {
        let is_before = |request: &&RecordedRequest<'_>| {
            request.place < event.place && request.exchange.call != Some(Call::Webhook)
        };
        let mut strangers =
            record.requests.iter().filter(is_before).filter(|request| request.exchange.server != OWN_API);
        // The token endpoint is another server.
        let stranger = strangers.rfind(|request| request.exchange.call != Some(Call::Token));
        if let Some(stranger) = stranger {
            let (number, server) = (event.exchange.number, &stranger.exchange.server);
            broken.push(Broken::new(
                "S9",
                format!("webhook event #{number} informs the operator's webhook about a rollout at {server}"),
            ));
        }
    }
}

fn audited(record: &Record<'_>, uid: &str, attempt: &Attempt, broken: &mut Vec<Broken>) {
    let Some(verdict) = &attempt.verdict else { return };
    if attempt.intended_at().is_none() || verdict.reason == Reason::SubmitRejected || !record.run.rests {
        return;
    }
    let id = key::outcome_message(uid, attempt.number, attempt.started_at, DeliveryKind::Audit);
    let taken = record.run.platform.audit().find(|taken| taken.idempotency_key.as_deref() == Some(id.as_str()));
    match taken {
        Some(taken) => {
            let success = verdict.outcome == Outcome::Succeeded;
            let job = attempt.job_id().map_or(Value::Null, |job| Value::from(job.as_str()));
            if taken.record["deploymentSuccess"] != success || taken.record["jobId"] != job {
                broken.push(Broken::new(
                    "S8",
                    format!("the audit record of attempt {} is wrong: {}", attempt.number, taken.record),
                ));
            }
        }
        None if may_be_given_up(record, id.as_str()) => {}
        None => broken.push(Broken::new("S8", format!("attempt {} was submitted and never audited", attempt.number))),
    }
}

/// Whether the log has this record as given up for a valid reason: 72 hours have passed since it was recorded, the
/// resource was deleted, or the outbox was full.
fn may_be_given_up(record: &Record<'_>, id: &str) -> bool {
    let Some(line) = record.run.log.lines().find(|line| line.contains("given up: ") && line.contains(id)) else {
        return false;
    };
    let holds =
        |write: &&Write| write.status().is_some_and(|status| status.outbox.iter().any(|entry| entry.id.as_str() == id));
    let (Some(first), Some(last)) = (record.writes.iter().find(holds), record.writes.iter().rev().find(holds)) else {
        return false;
    };
    if line.contains("the resource is deleted") {
        return last.object.metadata.deletion_timestamp.is_some();
    }
    if line.contains("the outbox is full") {
        return last.status().is_some_and(|status| status.outbox.len() >= outbox::MOST);
    }
    let dropped = record.writes.iter().find(|write| write.place > last.place && write.uid() == last.uid());
    dropped.is_some_and(|dropped| dropped.at.saturating_sub(first.at) >= KEPT_FOR)
}
