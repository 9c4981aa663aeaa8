//! S8: every attempt that was submitted is audited, or its record is in a Warning and the log. And every outcome is told
//! to the webhook, each message with one body, and with the truth in it.

use std::collections::BTreeMap;

use cognigy_operator::api::Reason;
use cognigy_operator::api::status::{Attempt, DeliveryKind, Outcome};
use cognigy_operator::rollout::key;
use cognigy_operator::simulator::Call;
use serde_json::Value;

use super::Broken;
use crate::record::{Asked, Record};
use crate::scenario::{OPERATORS_WEBHOOK_SECRET, OWN_API, Scenario};
use crate::story::Exchange;

pub fn check(_: &Scenario, record: &Record<'_>, broken: &mut Vec<Broken>) {
    one_body_each(record, broken);
    each_record_where_its_rollout_went(record, broken);
    the_operators_webhook_of_its_own_api(record, broken);
    for ((uid, _), attempt) in record.attempts() {
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

/// An audit record goes to the API that took the rollout.
fn each_record_where_its_rollout_went(record: &Record<'_>, broken: &mut Vec<Broken>) {
    for audit in record.calls(Call::Audit) {
        let job = audit.exchange.body["jobId"].as_str();
        let is_of_job = |exchange: &Exchange| job.is_some() && exchange.job.as_ref().map(|id| id.as_str()) == job;
        let submit = record.calls(Call::Submit).find(|submit| is_of_job(submit.exchange));
        if let Some(submit) = submit.filter(|submit| submit.exchange.server != audit.exchange.server) {
            let (number, to, taken_by) = (audit.exchange.number, &audit.exchange.server, &submit.exchange.server);
            broken
                .push(Broken::new("S8", format!("audit record #{number} went to {to}, but its rollout to {taken_by}")));
        }
    }
}

/// The operator's own webhook is told of what the operator's own API answered, and of nothing else.
fn the_operators_webhook_of_its_own_api(record: &Record<'_>, broken: &mut Vec<Broken>) {
    let told = record.calls(Call::Webhook).filter(|told| told.exchange.path.contains(OPERATORS_WEBHOOK_SECRET));
    for told in told {
        let is_before = |asked: &&Asked<'_>| asked.place < told.place && asked.exchange.call != Some(Call::Webhook);
        let mut strangers = record.asked.iter().filter(is_before).filter(|asked| asked.exchange.server != OWN_API);
        // The token endpoint is another server.
        let stranger = strangers.rfind(|asked| asked.exchange.call != Some(Call::Token));
        if let Some(stranger) = stranger {
            let (number, server) = (told.exchange.number, &stranger.exchange.server);
            broken.push(Broken::new("S9", format!("webhook event #{number} tells the operator's webhook of {server}")));
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
