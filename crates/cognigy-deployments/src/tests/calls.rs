//! Tries, error classes and messages.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::scripted::*;
use crate::*;
use platform::*;
use rollout::facts::SubmitIdempotency;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_transient_failure_is_tried_three_times_with_growing_waits() {
    for reply in
        [Reply::Interrupted, Reply::NotConnected, status(500, ""), status(502, ""), status(503, ""), status(504, "")]
    {
        let api = api([reply.clone(), reply.clone(), reply]);
        assert_eq!(api.audit().await.unwrap_err().class(), ErrorClass::Transient);
        let sent = api.sent();
        assert_eq!(sent.len(), 3);
        let (first, second) = (sent[1].at - sent[0].at, sent[2].at - sent[1].at);
        assert!((seconds(2)..=seconds(4)).contains(&first) && (seconds(4)..=seconds(8)).contains(&second));
    }
}

#[tokio::test(start_paused = true)]
async fn a_later_try_may_succeed() {
    let api = api([Reply::Interrupted, status(200, "")]);
    assert_eq!(api.rollback().await, ApiRollbackAnswer::Accepted);
    assert_eq!(api.sent()[0].headers, api.sent()[1].headers, "the same key");
}

#[tokio::test(start_paused = true)]
async fn a_poll_is_tried_once() {
    let api = api([status(503, "maintenance"), Reply::Interrupted]);
    assert!(matches!(api.job().await, Err(JobError::Unreadable(error)) if error.message().ends_with("maintenance")));
    let reading = api.client.health(&"env".parse().unwrap(), 0.05, &me()).await;
    assert!(matches!(reading, Ok(HealthStatus::Unreadable { .. })));
    assert_eq!(api.sent().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_missing_answer_times_out_after_thirty_seconds() {
    let api = api([Reply::Never]);
    api.is_no_longer_careful().await;
    let started = Instant::now();
    assert!(matches!(api.job().await, Err(JobError::Unreadable(error)) if error.class() == ErrorClass::Transient));
    assert_eq!(started.elapsed(), seconds(30));
}

#[tokio::test(start_paused = true)]
async fn the_call_waits_for_a_short_retry_after_and_returns_a_long_one() {
    let api = api([Reply::RetryAfter(503, "9"), status(200, ""), Reply::RetryAfter(429, "42")]);
    api.is_no_longer_careful().await;
    api.audit().await.unwrap();
    let sent = api.sent();
    assert!(sent[1].at - sent[0].at >= seconds(9));
    api.is_no_longer_careful().await;
    let started = Instant::now();
    assert_eq!(api.audit().await.unwrap_err().retry_after(), Some(seconds(42)));
    assert_eq!(started.elapsed(), Duration::ZERO, "the call itself does not wait");
}

#[tokio::test(start_paused = true)]
async fn a_429_delays_all_requests_that_share_the_budget() {
    let api = api([Reply::RetryAfter(429, "20"), ok(r#"{"status": "completed"}"#)]);
    api.audit().await.unwrap_err();
    let started = Instant::now();
    api.job().await.unwrap();
    assert_eq!(started.elapsed(), seconds(20));
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_is_too_long_to_wait_for_is_returned_at_once() {
    let api = api([Reply::RetryAfter(429, "600")]);
    api.audit().await.unwrap_err();
    let error = api.audit().await.unwrap_err();
    assert_eq!((error.class(), error.retry_after()), (ErrorClass::Transient, Some(seconds(600))));
    assert_eq!(api.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_requested_wait_of_an_hour_is_limited_for_each_priority() {
    let replies = std::iter::repeat_n(Reply::RetryAfter(429, "3600"), 5);
    let api = api(replies);
    api.is_no_longer_careful().await;
    let ApiRollbackAnswer::Transient(error) = api.rollback().await else { panic!("it was not accepted") };
    assert_eq!(error.retry_after(), Some(seconds(45)));
    tokio::time::sleep(seconds(600)).await;
    assert_eq!(api.audit().await.unwrap_err().retry_after(), Some(seconds(600)));
    tokio::time::sleep(seconds(600)).await;
    let Err(JobError::Unreadable(error)) = api.job().await else { panic!("it was answered") };
    assert_eq!(error.retry_after(), Some(seconds(120)));
    assert_eq!(api.sent().len(), 3);
}

/// Polls the job and the health. Returns for each whether the request was sent.
async fn asked(api: &Fixture) -> [bool; 2] {
    let job = api.job().await;
    let environment = "env".parse().unwrap();
    let health = api.client.health(&environment, 0.05, &me()).await;
    [!matches!(job, Err(JobError::NotSent(NotSent::Failed(_)))), !matches!(health, Err(NotSent::Failed(_)))]
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_was_not_sent_is_not_an_answer() {
    let paused = api([]);
    paused.budget.pause(seconds(300));
    assert_eq!(asked(&paused).await, [false, false], "the budget holds the requests back");
    for refusal in [status(401, ""), status(503, ""), ok("<html>"), Reply::NotConnected, Reply::Never] {
        let api = api_with_tokens([refusal.clone(), refusal.clone()], []);
        assert_eq!(asked(&api).await, [false, false], "the token endpoint: {refusal:?}");
        assert!(api.sent().is_empty());
    }
    assert_eq!(asked(&api([Reply::NotConnected, Reply::NotConnected])).await, [false, false], "no connection");
    for failure in [status(500, ""), status(429, ""), status(404, ""), ok("<html>"), Reply::Interrupted, Reply::Never] {
        assert_eq!(asked(&api([failure.clone(), failure.clone()])).await, [true, true], "{failure:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_requests_and_broken_answers_are_not_tried_again() {
    let validate = async |reply: Reply| {
        let api = api([reply]);
        let (environment_id, snapshot) = ("env".parse().unwrap(), RawValue::from_string("{}".to_owned()).unwrap());
        let request = ValidateRequest {
            environment_id: &environment_id,
            configuration_snapshot: &snapshot,
            capacity_constraints: CapacityConstraints { max_concurrent_sessions: 1, memory_limit_mb: 1 },
            isolation_rules: IsolationRules {
                tenant_boundary: "strict",
                network_segment: None,
                resource_quota_check: true,
            },
        };
        api.client.validate(&request, &me()).await.map_err(|error| error.class())
    };
    for rejected in [400, 404, 409, 410, 422] {
        assert_eq!(validate(status(rejected, "")).await, Err(ErrorClass::Rejected { status: rejected }));
    }
    assert_eq!(validate(status(403, "")).await, Err(ErrorClass::Unauthorized));
    for broken in [ok("<html>"), ok("[]"), status(302, ""), Reply::TooLarge(200)] {
        assert_eq!(validate(broken).await, Err(ErrorClass::Protocol));
    }
}

#[tokio::test(start_paused = true)]
async fn the_apis_own_message_is_shown_without_secrets() {
    let echo = r#"{"message": "no\u0007: hunter2&hunter2 hunter2%26hunter2 Bearer tok."}"#;
    let api = api([status(400, echo)]);
    let error = api.audit().await.unwrap_err();
    assert_eq!(
        error.message(),
        "https://api.cognigy.ai answered 400 Bad Request: no : [redacted] [redacted] Bearer [redacted]."
    );
}

#[tokio::test(start_paused = true)]
async fn every_failure_names_the_server() {
    let base = "https://api.example.com:8443/gateway";
    let failures = [
        status(400, ""),
        status(403, "no"),
        status(404, ""),
        status(500, ""),
        status(302, ""),
        ok("<html>"),
        ok("{}"),
        Reply::NotConnected,
        Reply::Interrupted,
        Reply::Never,
        Reply::TooLarge(200),
    ];
    for (failure, call) in
        failures.iter().flat_map(|failure| ["job", "health", "trace", "submit"].map(|call| (failure, call)))
    {
        let api = api(std::iter::repeat_n(failure.clone(), 3));
        let elsewhere = Credentials { base_url: base.parse().unwrap(), ..credentials() };
        let options = ExchangeOptions::new(EgressPolicy::default());
        let client = Client::new(&elsewhere, api.transport.clone(), options, api.budget.clone(), 7);
        let said = match call {
            "job" => format!("{:?}", client.job(&"job_1".parse().unwrap(), &me()).await.unwrap_err()),
            "health" => format!("{:?}", client.health(&"env".parse().unwrap(), 0.5, &me()).await),
            "submit" => {
                let body = Bytes::from_static(b"{}");
                format!("{:?}", client.submit(body, &key(), FirstPost::Yes, SubmitIdempotency::Supported, &me()).await)
            }
            _ => {
                let trace_options = TraceOptions {
                    simulation_depth: 1,
                    include_dependency_graph: true,
                    detect_version_conflicts: true,
                };
                let (environment_id, snapshot) =
                    ("env".parse().unwrap(), RawValue::from_string("{}".to_owned()).unwrap());
                let request =
                    TraceRequest { environment_id: &environment_id, configuration_snapshot: &snapshot, trace_options };
                format!("{:?}", client.trace(&request, &me()).await.unwrap_err())
            }
        };
        assert!(said.contains("https://api.example.com:8443"), "{failure:?} to {call}: {said}");
        // The path is shown only if it may be wrong.
        assert_eq!(said.contains("/gateway/api/v2/"), matches!(failure, Reply::Status(404, _)), "{failure:?}: {said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_the_token_endpoint_names_it() {
    for failure in [status(401, ""), status(503, ""), ok("{}"), Reply::NotConnected, Reply::Never, Reply::TooLarge(200)]
    {
        let api = api_with_tokens([failure.clone(), failure.clone(), failure.clone()], []);
        let error = api.audit().await.unwrap_err();
        assert!(error.message().starts_with("token request: https://auth.cognigy.ai"), "{failure:?}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_only_repeats_the_status_is_omitted() {
    for words in ["", "Internal Server Error", "500 Internal Server Error", r#"{"error": "Internal Server Error"}"#] {
        let api = api(std::iter::repeat_n(status(500, words), 3));
        let error = api.audit().await.unwrap_err();
        assert_eq!(error.message(), "https://api.cognigy.ai answered 500 Internal Server Error", "{words}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_answer_to_a_rollback_has_its_own_result() {
    let answer = async |reply: Reply| api([reply.clone(), reply.clone(), reply]).rollback().await;
    for accepted in [200, 202, 204] {
        assert_eq!(answer(status(accepted, "whatever")).await, ApiRollbackAnswer::Accepted);
    }
    assert_eq!(answer(Reply::TooLarge(200)).await, ApiRollbackAnswer::Accepted);
    assert!(matches!(answer(status(409, "")).await, ApiRollbackAnswer::Conflict { .. }));
    assert!(matches!(answer(status(401, "")).await, ApiRollbackAnswer::Unauthorized { .. }));
    assert!(matches!(answer(status(403, "")).await, ApiRollbackAnswer::Unauthorized { .. }));
    assert!(matches!(answer(status(404, "")).await, ApiRollbackAnswer::Refused { status: 404, .. }));
    for nothing in [status(206, ""), status(302, ""), status(503, ""), Reply::Interrupted, Reply::Never] {
        assert!(matches!(answer(nothing).await, ApiRollbackAnswer::Transient(_)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_job_is_a_distinct_error() {
    let api = api([status(404, r#"{"error": "unknown job"}"#)]);
    let message = "https://api.cognigy.ai/api/v2/jobs/job_8f3a2c answered 404 Not Found: unknown job".to_owned();
    assert_eq!(api.job().await, Err(JobError::NotFound { message }));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_if_the_egress_rules_forbid_it() {
    let scripted = api([]);
    let inside = Credentials { token_url: "http://10.0.0.1/token".parse().unwrap(), ..credentials() };
    let options = ExchangeOptions::new(EgressPolicy::default());
    let client = Client::new(&inside, scripted.transport.clone(), options, scripted.budget.clone(), 7);
    let error = client.audit(Bytes::new(), &key(), &me()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::EgressRefused);
    assert!(scripted.all_sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_failure_of_a_webhook_names_only_its_host() {
    let api = api([status(404, "Cannot POST /hooks/T0ken?key=K3y"), Reply::Never, Reply::TooLarge(200)]);
    let sender =
        WebhookSender::new(api.transport.clone() as Arc<dyn Transport>, ExchangeOptions::new(EgressPolicy::default()));
    let url: WebhookUrl = "https://ci.example.com/hooks/T0ken?key=K3y".parse().unwrap();
    let rejected = sender.deliver(&url, Bytes::new(), &key()).await.unwrap_err();
    assert_eq!(rejected.to_string(), "webhook at ci.example.com: 404 Not Found");
    assert_eq!(rejected.class(), ErrorClass::Rejected { status: 404 });
    let started = Instant::now();
    assert_eq!(sender.deliver(&url, Bytes::new(), &key()).await.unwrap_err().class(), ErrorClass::Transient);
    assert_eq!(started.elapsed(), seconds(10));
    sender.deliver(&url, Bytes::new(), &key()).await.unwrap();
    assert_eq!(format!("{url:?}"), "WebhookUrl(ci.example.com, ..)");
}

#[derive(Default)]
struct Observed(Mutex<Vec<(&'static str, &'static str, Duration)>>);

impl RequestObserver for Observed {
    fn observed(&self, operation: &Operation, class: &'static str, elapsed: Duration) {
        self.0.lock().unwrap().push((operation.name, class, elapsed));
    }
}

#[tokio::test(start_paused = true)]
async fn every_request_is_observed_with_its_class() {
    let scripted = api([status(422, ""), Reply::Slowly(seconds(3), 200, r#"{"status": "queued"}"#.to_owned())]);
    let observed = Arc::new(Observed::default());
    let options = ExchangeOptions { observer: Some(observed.clone()), ..ExchangeOptions::new(EgressPolicy::default()) };
    let client = Client::new(&credentials(), scripted.transport.clone(), options, scripted.budget.clone(), 7);
    client.audit(Bytes::new(), &key(), &me()).await.unwrap_err();
    client.job(&"j".parse().unwrap(), &me()).await.unwrap();
    assert_eq!(
        *observed.0.lock().unwrap(),
        [("token", "success", Duration::ZERO), ("audit", "rejected", Duration::ZERO), ("job", "success", seconds(3)),]
    );
}

#[tokio::test(start_paused = true)]
async fn a_429_lowers_the_effective_limit_and_a_503_does_not() {
    for (answer, effective) in [(Reply::RetryAfter(429, "20"), 50), (Reply::RetryAfter(503, "20"), 100)] {
        let api = api([answer]);
        api.audit().await.unwrap_err();
        let reading = api.budget.usage();
        assert_eq!((reading.effective_limit.get(), reading.paused_for), (effective, seconds(20)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_try_is_reported_while_the_call_continues() {
    let api = api([Reply::Never, status(503, ""), ok(r#"{"traceId": "tr_1", "status": "passed"}"#)]);
    api.is_no_longer_careful().await;
    let (sender, mut reports) = tokio::sync::mpsc::unbounded_channel();
    let (environment_id, snapshot) = ("env".parse().unwrap(), RawValue::from_string("{}".to_owned()).unwrap());
    let trace_options =
        TraceOptions { simulation_depth: 1, include_dependency_graph: true, detect_version_conflicts: true };
    let request = TraceRequest { environment_id: &environment_id, configuration_snapshot: &snapshot, trace_options };
    let requester = me().reporting_to(sender);
    let mut call = std::pin::pin!(api.client.trace(&request, &requester));

    for (number, unanswered_for) in [(1, Some(seconds(30))), (2, None)] {
        let failed = tokio::select! {
            biased;
            Some(failed) = reports.recv() => failed,
            _ = &mut call => panic!("the call continues"),
        };
        assert_eq!((failed.operation, failed.number, failed.of), (operations::TRACE, number, 3));
        assert_eq!((failed.unanswered_for, failed.error.class()), (unanswered_for, ErrorClass::Transient));
        assert_eq!(api.sent().len(), usize::try_from(number).unwrap(), "before the next try");
    }
    assert!(call.await.unwrap().passed());
    assert!(reports.try_recv().is_err(), "a successful try is not reported");
}
