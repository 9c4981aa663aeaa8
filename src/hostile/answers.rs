//! Answers of Cognigy.AI, of its token endpoint and of webhooks. Each call of the client uses a transport
//! that may give any answer.

use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderValue, Request, Response, StatusCode};
use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;

use super::config;
use super::damage::{bytes_like, text_like};
use api::status::RollbackReason;
use cognigy_deployments::*;
use platform::*;
use rollout::facts::SubmitIdempotency;

const SECRET: &str = "s3cr3t-of-the-client";
const ANSWERS: [&str; 12] = [
    r#"{"valid": true, "warnings": [], "capacityUtilization": 0.42}"#,
    r#"{"valid": false, "validationErrors": ["memory", {"constraint": "sessions", "message": "s3cr3t-of-the-client"}]}"#,
    r#"{"traceId": "tr_99x2", "status": "passed", "dependencyConflicts": [], "executionPath": ["a", {"b": 1}]}"#,
    r#"{"traceId": "tr_99x2", "status": "failed", "dependencyConflicts": [{"package": "a", "message": "b"}]}"#,
    r#"{"jobId": "job_8f3a2c"}"#,
    r#"{"status": "completed"}"#,
    r#"{"status": "rolled_back"}"#,
    r#"{"status": "running: s3cr3t-of-the-client"}"#,
    r#"{"status": "healthy", "errorRate": 0.01}"#,
    r#"{"status": "unhealthy", "errorRate": 0.9}"#,
    r#"{"error": {"code": "E42", "message": "s3cr3t-of-the-client is not known"}}"#,
    "<html><body>502 Bad Gateway: s3cr3t-of-the-client</body></html>",
];
const TOKENS: [&str; 5] = [
    r#"{"access_token": "abcdefgh"}"#,
    r#"{"access_token": "abcdefgh", "expires_in": "3599"}"#,
    r#"{"access_token": "abcdefgh", "expires_in": 3600}"#,
    r#"{"access_token": "abcdefgh", "token_type": "Bearer", "expires_in": 0.5}"#,
    r#"{"error": "invalid_client", "error_description": "s3cr3t-of-the-client"}"#,
];
const WAITS: [&str; 5] = ["0", "7", "86400", "Wed, 21 Oct 2015 07:28:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"];

/// A transport that gives the same answer to every request.
#[derive(Clone, Debug)]
struct Hostile {
    status: u16,
    retry_after: Vec<u8>,
    date: String,
    body: Vec<u8>,
}

fn answer(bodies: &'static [&'static str]) -> impl Strategy<Value = Hostile> {
    let status = prop_oneof![
        5 => Just(200u16),
        1 => 200u16..300,
        3 => prop::sample::select(&[400u16, 401, 403, 404, 409, 422, 429, 500, 503][..]),
        1 => 100u16..=999,
    ];
    (status, bytes_like(&WAITS), text_like(&WAITS), bytes_like(bodies))
        .prop_map(|(status, retry_after, date, body)| Hostile { status, retry_after, date, body })
}

impl Hostile {
    fn response(&self) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(self.body.clone()));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap();
        for (name, value) in [(RETRY_AFTER, self.retry_after.as_slice()), (DATE, self.date.as_bytes())] {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The error class of the status, by the table of the contract. A success whose body violates the contract is a
    /// protocol error.
    fn class(&self) -> ErrorClass {
        match self.status {
            429 | 500..=599 => ErrorClass::Transient,
            401 | 403 => ErrorClass::Unauthorized,
            status @ 400..=499 => ErrorClass::Rejected { status },
            _ => ErrorClass::Protocol,
        }
    }

    /// A field of the body, if the whole body can be parsed. A number that is too large for any type may prevent that.
    fn says(&self, field: &str) -> Option<Value> {
        serde_json::from_slice::<Value>(&self.body).ok().map(|body| body[field].clone())
    }

    /// Whether the field has such a value. Also true if the body cannot be parsed.
    fn may_say(&self, field: &str, is_it: impl Fn(&Value) -> bool) -> bool {
        self.says(field).is_none_or(|value| is_it(&value))
    }
}

/// Answers every request for a token with `token`, and every other request with the other answer.
struct Platform {
    token: Response<Bytes>,
    other: Response<Bytes>,
}

impl Transport for Platform {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let is_token = request.uri().host() == Some("auth.cognigy.ai");
        Box::pin(std::future::ready(Ok(if is_token { self.token.clone() } else { self.other.clone() })))
    }
}

fn client(token: Response<Bytes>, other: Response<Bytes>) -> Client {
    let credentials = Credentials {
        client_id: "operator".to_owned(),
        client_secret: SECRET.to_owned().into(),
        base_url: BaseUrl::public(),
        token_url: TokenUrl::public(),
        ca_pem: None,
        requests_per_minute: NonZeroU32::new(6000),
    };
    let budget = Budget::new(NonZeroU32::new(6000).unwrap());
    let options = ExchangeOptions::new(EgressPolicy::default());
    Client::new(&credentials, Arc::new(Platform { token, other }), options, budget, 7)
}

fn good_token() -> Response<Bytes> {
    Response::new(Bytes::from_static(TOKENS[0].as_bytes()))
}

/// Runs a call in virtual time. It must end within four times the longest wait in the budget.
fn soon<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async { tokio::time::timeout(MAX_QUEUE_WAIT * 4, future).await.expect("the call ends in time") })
}

fn me() -> Requester {
    Requester::new("bots", "me")
}

fn key() -> IdempotencyKey {
    "key-1".parse().unwrap()
}

/// Checks that a text can be shown: short, on one line, and without the secret.
fn fit_to_show(text: &str, most: usize) -> Result<(), TestCaseError> {
    prop_assert!(text.len() <= most, "{} bytes", text.len());
    prop_assert!(!text.chars().any(char::is_control), "{text:?}");
    prop_assert!(!text.contains(SECRET), "{text}");
    Ok(())
}

fn fit(error: &CallError) -> Result<(), TestCaseError> {
    // An hour, and the safety margin that the budget adds.
    prop_assert!(error.retry_after().is_none_or(|wait| wait <= Duration::from_secs(3601)), "{error:?}");
    fit_to_show(error.message(), 1024)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_validation_or_trace_passes_only_if_the_answer_says_so(answer in answer(&ANSWERS)) {
        let client = client(good_token(), answer.response());
        let (environment_id, snapshot) = ("env".parse().unwrap(), RawValue::from_string("{}".to_owned()).unwrap());
        let isolation_rules =
            IsolationRules { tenant_boundary: "strict", network_segment: None, resource_quota_check: true };
        let validate = ValidateRequest {
            environment_id: &environment_id,
            configuration_snapshot: &snapshot,
            capacity_constraints: CapacityConstraints { max_concurrent_sessions: 1, memory_limit_mb: 1 },
            isolation_rules,
        };
        match soon(client.validate(&validate, &me())) {
            Ok(validation) => {
                prop_assert!(answer.is_good());
                prop_assert!(!validation.valid || answer.may_say("valid", |valid| *valid == true), "{validation:?}");
                prop_assert!(validation.warnings.len() <= 10 && validation.errors.len() <= 20);
                validation.warnings.iter().try_for_each(|warning| fit_to_show(warning, 256))?;
                validation.errors.iter().try_for_each(|error| fit_to_show(error, 512))?;
            }
            Err(error) => {
                fit(&error)?;
                prop_assert_eq!(error.class(), answer.class());
            }
        }
        let trace_options =
            TraceOptions { simulation_depth: 1, include_dependency_graph: false, detect_version_conflicts: true };
        let trace = TraceRequest {
            environment_id: &environment_id,
            configuration_snapshot: &snapshot,
            trace_options,
        };
        match soon(client.trace(&trace, &me())) {
            Ok(trace) => {
                let is_none = |list: &Value| list.is_null() || list.as_array().is_some_and(Vec::is_empty);
                let has_none = answer.may_say("dependencyConflicts", is_none);
                let is_passed = answer.may_say("status", |status| status.as_str().is_some_and(|it| it.contains("passed")));
                prop_assert!(answer.is_good() && (!trace.passed() || has_none && is_passed), "{trace:?}");
                trace.conflicts.iter().try_for_each(|conflict| fit_to_show(conflict, 512))?;
                fit_to_show(&trace.status, 64)?;
                fit_to_show(trace.trace_id.as_deref().unwrap_or_default(), 64)?;
            }
            Err(error) => {
                fit(&error)?;
                prop_assert_eq!(error.class(), answer.class());
            }
        }
    }

    #[test]
    fn a_poll_is_a_verdict_only_if_the_answer_says_so(answer in answer(&ANSWERS)) {
        let client = || client(good_token(), answer.response());
        let says = |word: &str| answer.may_say("status", |status| status == word);
        match soon(client().job(&"job_1".parse().unwrap(), &me())) {
            Ok(JobStatus::Completed) => prop_assert!(answer.is_good() && says("completed")),
            Ok(JobStatus::RolledBack) => prop_assert!(answer.is_good() && says("rolled_back")),
            Ok(JobStatus::EndedBadly(word)) => {
                prop_assert!(answer.is_good() && ["failed", "error", "cancelled", "canceled"].contains(&word.as_str()));
            }
            Ok(JobStatus::Running(word)) => fit_to_show(&word, 64)?,
            Err(JobError::NotFound { message }) => {
                prop_assert_eq!(answer.status, 404);
                fit_to_show(&message, 1024)?;
            }
            Err(JobError::Unreadable(error)) => fit(&error)?,
            Err(JobError::NotSent(_)) => prop_assert!(false, "the client says that the request was not sent"),
        }
        // A new client, because the first answer may have requested a pause, and then this request would not be sent.
        match soon(client().health(&"env".parse().unwrap(), 0.05, &me())).unwrap() {
            HealthStatus::Good { error_rate } => {
                prop_assert!(answer.is_good() && (0.0..0.05).contains(&error_rate));
                prop_assert!(answer.may_say("status", |it| it.as_str().is_some_and(|it| it.contains("healthy"))));
                prop_assert!(answer.may_say("errorRate", |rate| rate.as_f64() == Some(error_rate)));
            }
            HealthStatus::Bad { status: word, .. } => {
                prop_assert!(answer.is_good() && answer.may_say("status", Value::is_string));
                fit_to_show(&word, 64)?;
            }
            HealthStatus::Unreadable { message } => fit_to_show(&message, 1024)?,
        }
    }

    #[test]
    fn a_submit_rollback_or_audit_counts_as_accepted_only_if_the_answer_says_so(answer in answer(&ANSWERS)) {
        let client = client(good_token(), answer.response());
        let body = Bytes::from_static(br#"{"webhookCallbackUrl": "https://ci.example.com/hooks"}"#);
        match soon(client.submit(body, &key(), FirstPost::Yes, SubmitIdempotency::Supported, &me())) {
            ApiSubmitAnswer::Accepted(job) => {
                prop_assert!(answer.is_good());
                prop_assert!(answer.may_say("jobId", |id| id == job.as_str()));
            }
            ApiSubmitAnswer::Rejected { status, message } => {
                prop_assert!(status == answer.status && (400..500).contains(&status) && status != 429);
                fit_to_show(&message, 1024)?;
            }
            ApiSubmitAnswer::Transient { error, .. } => fit(&error)?,
            ApiSubmitAnswer::OutcomeUnknown { message } => fit_to_show(&message, 1024)?,
            other => prop_assert!(false, "{other:?}"),
        }
        match soon(client.rollback(&"job_1".parse().unwrap(), &key(), RollbackReason::Manual, &me())) {
            ApiRollbackAnswer::Accepted => prop_assert!([200, 202, 204].contains(&answer.status)),
            ApiRollbackAnswer::Conflict { message } => {
                prop_assert_eq!(answer.status, 409);
                fit_to_show(&message, 1024)?;
            }
            ApiRollbackAnswer::Unauthorized { message } => {
                prop_assert!([401, 403].contains(&answer.status));
                fit_to_show(&message, 1024)?;
            }
            ApiRollbackAnswer::Refused { status, message } => {
                prop_assert!(status == answer.status && (400..500).contains(&status));
                fit_to_show(&message, 1024)?;
            }
            ApiRollbackAnswer::Transient(error) => fit(&error)?,
        }
        let audited = soon(client.audit(Bytes::from_static(b"{}"), &key(), &me()));
        prop_assert_eq!(audited.is_ok(), answer.is_good());
        audited.err().iter().try_for_each(fit)?;
    }

    #[test]
    fn a_token_is_accepted_only_if_it_can_be_sent_in_a_header(token in answer(&TOKENS)) {
        let asked = soon(client(token.response(), Response::new(Bytes::new())).audit(Bytes::new(), &key(), &me()));
        match asked {
            Ok(()) => {
                let can_be_sent = |text: &str| {
                    (1..=16 * 1024).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
                };
                let lives = |life: &Value| {
                    let number = life.as_f64().or_else(|| life.as_str()?.trim().parse().ok());
                    life.is_null() || number.is_some_and(|life| life >= 0.0)
                };
                prop_assert!(token.is_good());
                prop_assert!(token.may_say("access_token", |text| text.as_str().is_some_and(can_be_sent)));
                prop_assert!(token.may_say("expires_in", lives));
            }
            Err(error) => {
                fit(&error)?;
                let of_the_credentials = matches!(token.class(), ErrorClass::Unauthorized | ErrorClass::Rejected { .. });
                prop_assert_eq!(error.class() == ErrorClass::Unauthorized, of_the_credentials);
            }
        }
    }

    #[test]
    fn a_webhook_event_is_delivered_only_if_the_answer_says_so_and_no_message_quotes_the_answer(answer in answer(&ANSWERS)) {
        let platform = Arc::new(Platform { token: good_token(), other: answer.response() });
        let sender = WebhookSender::new(platform, ExchangeOptions::new(EgressPolicy::default()));
        let url = "https://ci.example.com/hooks/s3cr3t-of-the-client".parse().unwrap();
        match soon(sender.deliver(&url, Bytes::from_static(b"{}"), &key())) {
            Ok(()) => prop_assert!(answer.is_good()),
            Err(error) => {
                fit(&error)?;
                prop_assert_eq!(error.class(), answer.class());
                let status = StatusCode::from_u16(answer.status).unwrap();
                prop_assert_eq!(error.message(), format!("webhook at ci.example.com: {status}"));
            }
        }
    }
}
