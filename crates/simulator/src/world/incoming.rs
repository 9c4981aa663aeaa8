//! A request, parsed once.

use bytes::Bytes;
use http::{Request, header};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::journal::RequestRecord;
use crate::reply::Reply;
use crate::wire::{self, Body};

/// A parsed request.
pub(super) struct Incoming<'a> {
    pub(super) sequence: u64,
    pub(super) now: Timestamp,
    pub(super) request: &'a Request<Bytes>,
    pub(super) body: Body,
    pub(super) idempotency_key: Option<String>,
}

impl<'a> Incoming<'a> {
    pub(super) fn read(sequence: u64, now: Timestamp, request: &'a Request<Bytes>) -> Self {
        Self {
            sequence,
            now,
            request,
            body: Body::of(request),
            idempotency_key: wire::idempotency_key(request.headers()).map(str::to_owned),
        }
    }

    /// The body, or `null` if it is not JSON.
    pub(super) fn json(&self) -> &Value {
        match &self.body {
            Body::Json(body) => body,
            Body::Nothing | Body::Form(_) => &Value::Null,
        }
    }

    /// The journal's record of the request, from the request and its reply.
    pub(super) fn record(&self, reply: &Reply) -> RequestRecord {
        let uri = self.request.uri();
        let headers = self.request.headers().iter().filter(|(name, _)| *name != header::AUTHORIZATION);
        RequestRecord {
            sequence: self.sequence,
            received_at: self.now,
            call: None,
            method: self.request.method().to_string(),
            path: uri.path_and_query().map_or(uri.path(), |path| path.as_str()).to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
                .collect(),
            authorization: None,
            client_id: None,
            body: self.shown_body(),
            body_bytes: self.request.body().len(),
            body_sha256: hex::encode(Sha256::digest(self.request.body())),
            idempotency_key: self.idempotency_key.clone(),
            environment_id: None,
            job_id: None,
            status: reply.visible_status(),
            delivery: reply.delivery.clone(),
            fault: None,
            repeated: false,
            violations: Vec::new(),
        }
    }

    fn shown_body(&self) -> Option<Value> {
        match &self.body {
            Body::Nothing => None,
            Body::Json(body) => Some(body.clone()),
            Body::Form(fields) => {
                let shown = fields.iter().filter(|(name, _)| *name != "client_secret");
                Some(shown.map(|(name, value)| (name.clone(), json!(value))).collect())
            }
        }
    }
}
