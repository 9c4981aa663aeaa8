//! Repeats under one idempotency key, and answers that were lost.

#![allow(clippy::unwrap_used)]

use http::Method;
use serde_json::Value;

use super::stage::{Stage, body, status, submission};
use crate::{Call, Delivery, RequestFilter};

#[test]
fn a_repeat_with_the_same_key_gets_the_first_answer_and_no_second_job() {
    let mut stage = Stage::new("");
    let first = stage.submit("key");
    let repeat = stage.submit("key");
    assert_eq!(body(&first), body(&repeat));
    assert_ne!(body(&first), body(&stage.submit("another key")));
    let (_, environment) = stage.world.environments().next().unwrap();
    assert_eq!(environment.jobs().len(), 2);
    let submits = RequestFilter { call: Some(Call::Submit), ..RequestFilter::default() };
    let repeated: Vec<bool> = stage.world.requests(&submits).map(|record| record.repeated).collect();
    assert_eq!(repeated, [false, true, false]);
}

#[test]
fn a_repeat_with_another_body_is_refused() {
    let mut stage = Stage::new("");
    stage.submit("key");
    let mut other = submission();
    other["webhookCallbackUrl"] = Value::Null;
    let refused = stage.post_keyed("/api/v2/deployments", "key", &other);
    assert_eq!(status(&refused), 422);
}

#[test]
fn a_repeat_is_a_conflict_while_the_first_request_is_processed() {
    let mut stage = Stage::new("faults: [{call: submit, fault: {delay: {seconds: 40}}}]");
    let first = stage.submit("key");
    assert_eq!(first.delivery, Delivery::DelayedBy(std::time::Duration::from_secs(40)));
    stage.pass(30);
    assert_eq!(status(&stage.submit("key")), 409);
    stage.pass(10);
    assert_eq!(body(&stage.submit("key")), body(&first));
}

#[test]
fn a_key_is_forgotten_after_its_lifetime() {
    let mut stage = Stage::new("{idempotencyKeyLifetimeSeconds: 100, tokenLifetimeSeconds: 1000}");
    let first = stage.submit("key");
    stage.pass(100);
    assert_ne!(body(&first), body(&stage.submit("key")));
}

#[test]
fn a_platform_that_ignores_keys_starts_a_second_job() {
    let mut stage = Stage::new("{idempotency: unsupported, jobDurationSeconds: 60}");
    assert_ne!(stage.submitted_job("key"), stage.submitted_job("key"));
    let state = stage.control(Method::GET, "/simulator/state", "");
    assert_eq!(state["environments"]["env_prod_us_01"]["overlaps"].as_array().unwrap().len(), 1);
}

#[test]
fn after_a_lost_answer_the_repeat_returns_the_started_job() {
    let mut stage = Stage::new("faults: [{call: submit, fault: dropAfterEffect}]");
    let lost = stage.submit("key");
    assert_eq!(lost.delivery, Delivery::DroppedAfterEffect);
    let job = stage.submitted_job("key");
    let submits = RequestFilter { call: Some(Call::Submit), ..RequestFilter::default() };
    let records: Vec<_> = stage.world.requests(&submits).collect();
    assert_eq!((records[0].status, records[1].status), (None, Some(200)));
    assert!(records.iter().all(|record| record.job_id.as_ref().unwrap().as_str() == job));
}

#[test]
fn a_request_that_is_dropped_before_its_effect_has_no_effect() {
    let mut stage = Stage::new("environments: {env_prod_us_01: {faults: [{call: submit, fault: dropBeforeEffect}]}}");
    assert_eq!(stage.submit("key").delivery, Delivery::DroppedBeforeEffect);
    let jobs =
        |stage: &Stage| stage.world.environments().map(|(_, environment)| environment.jobs().len()).sum::<usize>();
    assert_eq!(jobs(&stage), 0);
    stage.submit("key");
    assert_eq!(jobs(&stage), 1);
}
