//! The journal: all received requests, in order, for later queries.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::fault::Call;
use super::identifier::{ClientId, EnvironmentId, JobId};
use super::reply::Delivery;
use super::token::Authorization;

/// One request as it arrived, and its result.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestRecord {
    /// Its position in the order of arrival, from 1.
    pub sequence: u64,
    /// When it arrived.
    pub received_at: Timestamp,
    /// The call; none if the path or method belongs to no call.
    pub call: Option<Call>,
    /// The method.
    pub method: String,
    /// The path, with the query.
    pub path: String,
    /// The headers, except `Authorization`.
    pub headers: BTreeMap<String, String>,
    /// The result of checking `Authorization`; none if the call needs none.
    pub authorization: Option<Authorization>,
    /// The client that sent it.
    pub client_id: Option<ClientId>,
    /// The body if it is JSON or a form (without the client's secret).
    pub body: Option<Value>,
    /// The body's length in bytes.
    pub body_bytes: usize,
    /// The body's SHA-256 in hexadecimal digits: repeats can be compared byte by byte.
    pub body_sha256: String,
    /// The idempotency key.
    pub idempotency_key: Option<String>,
    /// The environment it concerns.
    pub environment_id: Option<EnvironmentId>,
    /// The job it concerns; for a submit, the job that it started (even if the answer was lost).
    pub job_id: Option<JobId>,
    /// The status of the answer; none if the connection ended without one.
    pub status: Option<u16>,
    /// How the answer was sent.
    pub delivery: Delivery,
    /// The scripted fault that applied to it.
    pub fault: Option<&'static str>,
    /// Whether it was answered with the first answer to its idempotency key.
    pub repeated: bool,
    /// The differences from the contract.
    pub violations: Vec<String>,
}

/// A difference of a request from the contract.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Violation {
    /// The request's position in the order of arrival.
    pub sequence: u64,
    /// The call.
    pub call: Option<Call>,
    /// The difference from the contract.
    pub message: String,
}

/// A record that the audit log accepted.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRecord {
    /// The request's position in the order of arrival.
    pub sequence: u64,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Its idempotency key.
    pub idempotency_key: Option<String>,
    /// The record itself.
    pub record: Value,
}

/// A webhook that was received.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookDelivery {
    /// The request's position in the order of arrival.
    pub sequence: u64,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Its path below `/webhooks/`.
    pub name: String,
    /// Its idempotency key.
    pub idempotency_key: Option<String>,
    /// The body if it is JSON.
    pub body: Value,
}

/// Selects requests from the journal. All given conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct RequestFilter {
    /// Only this call.
    pub call: Option<Call>,
    /// Only those that concern this environment.
    pub environment: Option<EnvironmentId>,
    /// Only those that concern this job.
    pub job: Option<JobId>,
    /// Only requests that arrived after the one with this position in the order.
    pub after: Option<u64>,
}

impl RequestFilter {
    /// Whether the filter matches `record`.
    #[must_use]
    pub fn matches(&self, record: &RequestRecord) -> bool {
        self.call.is_none_or(|call| record.call == Some(call))
            && (self.environment.is_none() || self.environment == record.environment_id)
            && (self.job.is_none() || self.job == record.job_id)
            && self.after.is_none_or(|sequence| record.sequence > sequence)
    }
}

/// All requests that the platform received.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    limit: usize,
    received: u64,
    pub(super) requests: VecDeque<RequestRecord>,
    pub(super) violations: VecDeque<Violation>,
    pub(super) audit: VecDeque<AuditRecord>,
    pub(super) webhooks: VecDeque<WebhookDelivery>,
}

impl Journal {
    /// An empty journal that keeps at most `limit` entries of each kind.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            received: 0,
            requests: VecDeque::new(),
            violations: VecDeque::new(),
            audit: VecDeque::new(),
            webhooks: VecDeque::new(),
        }
    }

    /// The position in the order of the request that arrives now.
    pub(super) fn next_sequence(&mut self) -> u64 {
        self.received += 1;
        self.received
    }

    pub(super) fn note_request(&mut self, record: RequestRecord) {
        for message in &record.violations {
            let violation = Violation { sequence: record.sequence, call: record.call, message: message.clone() };
            keep(&mut self.violations, violation, self.limit);
        }
        keep(&mut self.requests, record, self.limit);
    }

    pub(super) fn note_audit(&mut self, record: AuditRecord) {
        keep(&mut self.audit, record, self.limit);
    }

    pub(super) fn note_webhook(&mut self, delivery: WebhookDelivery) {
        keep(&mut self.webhooks, delivery, self.limit);
    }
}

fn keep<T>(records: &mut VecDeque<T>, record: T, limit: usize) {
    records.push_back(record);
    while records.len() > limit {
        records.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_records_are_removed_first() {
        let mut records = VecDeque::new();
        for number in 0..5 {
            keep(&mut records, number, 3);
        }
        assert_eq!(records, [2, 3, 4]);
    }
}
