//! S8: every attempt that was submitted is audited, or its record is in a Warning and the log. And every outcome is told
//! to the webhook, each message with one body, and with the truth in it.

use std::collections::{BTreeMap, BTreeSet};

use cognigy_operator::api::Reason;
use cognigy_operator::api::status::{Attempt, DeliveryKind, Outcome};
use cognigy_operator::rollout::key;
use cognigy_operator::simulator::Call;
use serde_json::Value;

use super::Broken;
use crate::record::{AttemptName, Record, Write};
use crate::scenario::Scenario;

pub fn check(_: &Scenario, record: &Record<'_>, broken: &mut Vec<Broken>) {
    one_body_each(record, broken);
    // An outcome that came with a restored backup was told where it was recorded.
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
    for asked in record.calls(Call::Audit).chain(record.calls(Call::Webhook)) {
        let Some(key) = asked.exchange.key.as_deref() else {
            broken.push(Broken::new("S8", format!("message #{} has no id", asked.exchange.number)));
            continue;
        };
        let body = bodies.entry(key).or_insert(&asked.exchange.body);
        if **body != asked.exchange.body {
            broken.push(Broken::new("S8", format!("message #{} has another body under its id", asked.exchange.number)));
        }
    }
}

fn audited(record: &Record<'_>, uid: &str, attempt: &Attempt, broken: &mut Vec<Broken>) {
    let Some(verdict) = &attempt.verdict else { return };
    if attempt.submitted_at.is_none() || verdict.reason == Reason::SubmitRejected || !record.run.rests {
        return;
    }
    let id = key::outcome_message(uid, attempt.number, DeliveryKind::Audit);
    let taken = record.run.platform.audit().find(|taken| taken.idempotency_key.as_deref() == Some(id.as_str()));
    match taken {
        Some(taken) => {
            let success = verdict.outcome == Outcome::Succeeded;
            let job = attempt.job_id.as_ref().map_or(Value::Null, |job| Value::from(job.as_str()));
            if taken.record["deploymentSuccess"] != success || taken.record["jobId"] != job {
                broken.push(Broken::new("S8", format!("the audit of attempt {} is {}", attempt.number, taken.record)));
            }
        }
        None if record.run.log.contains(id.as_str()) && record.run.log.contains("given up") => {}
        None => broken.push(Broken::new("S8", format!("attempt {} was submitted and never audited", attempt.number))),
    }
}
