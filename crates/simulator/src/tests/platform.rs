//! Tests of the rules against the world itself, in virtual time.

#![allow(clippy::unwrap_used)]

use http::{Method, Request};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::stage::{Stage, body, rollout, status, submission, trace, validation};
use crate::RequestFilter;

const HEALTH: &str = "/api/v2/environments/env_prod_us_01/health";

#[test]
fn the_samples_of_the_contract_get_the_answers_of_the_contract() {
    let mut stage = Stage::new("");
    let replies = rollout(&mut stage);
    let bodies: Vec<Value> = replies.iter().map(body).collect();
    assert_eq!(bodies[0], json!({"valid": true, "warnings": [], "capacityUtilization": 0.42}));
    assert_eq!(bodies[1]["status"], "passed");
    assert_eq!(bodies[1]["dependencyConflicts"], json!([]));
    assert_eq!(bodies[3], json!({"status": "completed"}));
    assert_eq!(bodies[4], json!({"status": "healthy", "errorRate": 0.01}));
    let statuses: Vec<u16> = replies.iter().map(status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 201, 200]);
    assert_eq!(stage.violations(), Vec::<String>::new());
}

#[test]
fn all_requests_can_be_read_in_order_without_secrets() {
    let mut stage = Stage::new("");
    rollout(&mut stage);
    let journal = stage.control(Method::GET, "/simulator/requests", "");
    let calls: Vec<&str> =
        journal["requests"].as_array().unwrap().iter().map(|r| r["call"].as_str().unwrap()).collect();
    let expected = ["token", "validate", "trace", "submit", "job", "health", "rollback", "audit", "webhook"];
    assert_eq!(calls, expected);
    let submit = &journal["requests"][3];
    assert_eq!(submit["body"], submission());
    assert_eq!(submit["environmentId"], "env_prod_us_01");
    assert_eq!(submit["idempotencyKey"], "key-1");
    assert_eq!(submit["authorization"], "valid");
    assert_eq!(submit["jobId"], journal["requests"][4]["jobId"]);
    assert_eq!(journal["requests"][6]["environmentId"], "env_prod_us_01");
    let text = journal.to_string();
    assert!(!text.contains("demo-secret") && !text.contains(&stage.token), "{text}");
}

#[test]
fn the_query_filters_the_journal() {
    let mut stage = Stage::new("");
    rollout(&mut stage);
    let mut count = |query: &str| {
        let journal = stage.control(Method::GET, &format!("/simulator/requests?{query}"), "");
        journal["requests"].as_array().map(Vec::len)
    };
    assert_eq!(count("call=submit"), Some(1));
    // The submit's audit record and webhook name the job, and so also belong to the environment.
    assert_eq!(count("environment=env_prod_us_01"), Some(8));
    assert_eq!(count("job=job_8f3a2c"), Some(5));
    assert_eq!(count("environment=env_prod_us_01&call=health"), Some(1));
    assert_eq!(count("after=7"), Some(2));
    assert_eq!(count("environment=other"), Some(0));
    assert_eq!(count("cal=submit"), None);
    assert_eq!(count("call=submitted"), None);
}

#[test]
fn a_violation_of_the_contract_is_refused_named_and_recorded() {
    let mut wrong_field = submission();
    wrong_field["environmentId"] = json!("env_prod_us_01");
    let mut stage = Stage::new("");
    let refused = stage.post_keyed("/api/v2/deployments", "key", &wrong_field);
    assert_eq!(status(&refused), 400);
    assert_eq!(body(&refused)["message"], "`environmentId` is not a field of this call");
    assert_eq!(stage.violations(), ["`environmentId` is not a field of this call"]);
    assert!(stage.world.environments().next().is_none());
}

#[test]
fn every_violation_has_its_own_answer() {
    let json_type = ("content-type", "application/json");
    let mut stage = Stage::new("");
    let bare =
        |stage: &Stage, path: &str| Request::post(path).header("authorization", format!("Bearer {}", stage.token));
    let mut statuses = Vec::new();

    let without_accept = bare(&stage, "/api/v2/validations/synthetic-trace").header(json_type.0, json_type.1);
    statuses.push(status(&stage.send(without_accept, trace().to_string())));
    let without_content_type = bare(&stage, "/api/v2/validations/synthetic-trace").header("accept", "application/json");
    statuses.push(status(&stage.send(without_content_type, trace().to_string())));
    statuses.push(status(&stage.post("/api/v2/deployments", &submission())));
    statuses.push(status(&stage.post("/api/v2/environments/env_other/validate", &validation())));
    statuses.push(status(&stage.get("/api/v2/nothing")));
    statuses.push(status(&stage.get("/api/v2/deployments")));
    statuses.push(status(&stage.get("/api/v2/jobs/job_none")));
    assert_eq!(statuses, [406, 415, 400, 400, 404, 405, 404]);
    let expected = [
        "`Accept` is not `application/json`",
        "`Content-Type` is not `application/json`",
        "`Idempotency-Key` is missing",
        "`environmentId` differs from the one in the path",
        "GET /api/v2/nothing is not a call of the API",
        "GET /api/v2/deployments is not a call of the API",
    ];
    assert_eq!(stage.violations(), expected);
}

#[test]
fn a_request_needs_a_valid_token() {
    let mut stage = Stage::new("tokenLifetimeSeconds: 60");
    assert_eq!(status(&stage.get(HEALTH)), 200);
    stage.pass(60);
    assert_eq!(body(&stage.get(HEALTH))["message"], "the token has expired");
    stage.request_token();
    assert_eq!(status(&stage.get(HEALTH)), 200);
    stage.control(Method::POST, "/simulator/tokens/revoke", "");
    assert_eq!(body(&stage.get(HEALTH))["message"], "the token was revoked");
    stage.token = "made-up".to_owned();
    assert_eq!(status(&stage.get(HEALTH)), 401);
    assert_eq!(stage.violations(), Vec::<String>::new());
    let bare = Request::get(HEALTH).header("accept", "application/json");
    assert_eq!(status(&stage.send(bare, "")), 401);
    let expected = "`Authorization` is not `Bearer` and a token";
    assert_eq!(stage.violations(), [expected]);
}

#[test]
fn a_missing_scope_and_another_tenants_environment_are_forbidden() {
    let mut stage = Stage::new(
        "{clients: [{clientId: demo, clientSecret: demo-secret, scopes: ['environments:read']}],
          environments: {env_other: {allowedClients: [somebody]}}}",
    );
    assert_eq!(body(&stage.submit("key"))["message"], "the token does not have the scope `deployments:write`");
    assert_eq!(body(&stage.get("/api/v2/environments/env_other/health"))["error"], "other_tenant");
    assert_eq!(status(&stage.get(HEALTH)), 200);
}

#[test]
fn an_unknown_environment_is_created_unless_the_scenario_forbids_it() {
    assert_eq!(status(&Stage::new("").get(HEALTH)), 200);
    assert_eq!(status(&Stage::new("createEnvironments: false").get(HEALTH)), 404);
}

#[test]
fn with_a_status_fault_a_request_takes_effect_only_if_scripted() {
    for (effect, jobs) in [("false", 0), ("true", 1)] {
        let mut stage =
            Stage::new(&format!("faults: [{{call: submit, fault: {{status: {{code: 504, effect: {effect}}}}}}}]"));
        assert_eq!(status(&stage.submit("key")), 504);
        let started: usize = stage.world.environments().map(|(_, environment)| environment.jobs().len()).sum();
        assert_eq!(started, jobs, "effect: {effect}");
    }
}

#[test]
fn faults_and_scripts_can_be_changed_at_run_time() {
    let mut stage = Stage::new("environments: {env_prod_us_01: {health: {then: unhealthy}}}");
    assert_eq!(body(&stage.get(HEALTH))["status"], "unhealthy");
    stage.control(Method::PUT, "/simulator/environments/env_prod_us_01", "{}");
    assert_eq!(body(&stage.get(HEALTH))["status"], "healthy");

    let fault = "{call: health, environment: env_prod_us_01, times: forever, fault: {status: {code: 503, retryAfterSeconds: 7}}}";
    stage.control(Method::POST, "/simulator/faults", fault);
    let unavailable = stage.get(HEALTH);
    assert_eq!((status(&unavailable), &unavailable.response.headers()["retry-after"]), (503, &"7".parse().unwrap()));
    stage.control(Method::DELETE, "/simulator/faults", "");
    assert_eq!(status(&stage.get(HEALTH)), 200);

    let refused = stage.control(Method::POST, "/simulator/faults", "{call: health, fault: explode}");
    assert!(refused["message"].as_str().unwrap().contains("explode"), "{refused}");
}

#[test]
fn a_reset_restarts_the_same_scenario_or_another() {
    let mut stage = Stage::new("environments: {env_a: {}}");
    rollout(&mut stage);
    stage.control(Method::POST, "/simulator/reset", "");
    assert_eq!(stage.world.requests(&RequestFilter::default()).count(), 0);
    assert_eq!(stage.world.environments().count(), 1);
    stage.control(Method::POST, "/simulator/reset", "environments: {env_a: {}, env_b: {}}");
    assert_eq!(stage.world.environments().count(), 2);
}

#[test]
fn a_submit_whose_locks_and_snapshot_conflict_is_refused() {
    let mut stage = Stage::new("");
    let mut conflicting = submission();
    conflicting["dependency_locks"][0]["version"] = json!("4.0.1");
    let refused = stage.post_keyed("/api/v2/deployments", "key", &conflicting);
    assert_eq!((status(&refused), &body(&refused)["error"]), (422, &json!("dependency_conflict")));
}

#[test]
fn more_requests_than_the_limit_are_refused_until_a_slot_is_free() {
    let mut stage = Stage::new("rateLimit: {requestsPerMinute: 2}");
    stage.get(HEALTH);
    stage.pass(10);
    stage.get(HEALTH);
    let refused = stage.get(HEALTH);
    assert_eq!(status(&refused), 429);
    assert_eq!(refused.response.headers()["retry-after"], "50");
    stage.pass(50);
    assert_eq!(status(&stage.get(HEALTH)), 200);
    let (_, traffic) = stage.world.traffic().next().unwrap();
    assert_eq!((traffic.requests, traffic.refused, traffic.most_in_any_minute), (4, 1, 3));
}

#[test]
fn token_requests_are_counted_only_if_the_scenario_enables_it() {
    let mut stage = Stage::new("rateLimit: {requestsPerMinute: 1, countTokenRequests: true}");
    assert_eq!(status(&stage.get(HEALTH)), 429);
    let mut stage = Stage::new("rateLimit: {requestsPerMinute: 1}");
    stage.request_token();
    assert_eq!(status(&stage.get(HEALTH)), 200);
}

#[test]
fn the_audit_log_accepts_one_record_for_each_key() {
    let mut stage = Stage::new("");
    rollout(&mut stage);
    stage.post_keyed("/api/v2/audit/logs", "key-3", &super::stage::audit_record());
    assert_eq!(stage.world.audit().count(), 1);
    assert_eq!(stage.world.webhooks().next().unwrap().name, "ci");
}

#[test]
fn the_webhook_receiver_accepts_any_body_and_records_violations() {
    let mut stage = Stage::new("");
    let delivery = Request::post("/webhooks/ci/cognigy?key=value").header("content-type", "application/json");
    assert_eq!(status(&stage.send(delivery, r#"{"hello": 1}"#)), 200);
    assert_eq!(stage.world.webhooks().next().unwrap().body, json!({"hello": 1}));
    assert!(stage.violations().contains(&"`hello` is not a field of this call".to_owned()));
    assert!(
        !stage.violations().contains(&"the calls of the API have no query".to_owned()),
        "the receiver chooses a webhook's URL"
    );
}

proptest! {
    /// With any mix of calls at any pace, two worlds give the same bytes, and so does a fork.
    #[test]
    fn the_same_requests_at_the_same_times_get_the_same_replies(
        steps in prop::collection::vec((0_u64..40, 0_u8..6), 1..40),
    ) {
        let scenario = "{jobDurationSeconds: 20, rateLimit: {requestsPerMinute: 10},
            faults: [{call: submit, nth: 2, fault: dropAfterEffect}, {call: health, times: 2, fault: wrongTypes}]}";
        let play = |stage: &mut Stage, steps: &[(u64, u8)]| -> Vec<String> {
            steps.iter().map(|(pause, step)| {
                stage.pass(*pause);
                let reply = match step {
                    0 => stage.submit("one"),
                    1 => stage.submit("two"),
                    2 => stage.get(HEALTH),
                    3 => stage.post("/api/v2/validations/synthetic-trace", &trace()),
                    4 => stage.get("/api/v2/jobs/job_8f3a2c"),
                    _ => stage.post_keyed("/api/v2/deployments/job_8f3a2c/rollback", "three", &json!({"reason": "manual"})),
                };
                format!("{reply:?}")
            }).collect()
        };
        let (mut one, mut two) = (Stage::new(scenario), Stage::new(scenario));
        let half = steps.len() / 2;
        let mut first = play(&mut one, &steps[..half]);
        let mut fork = Stage { world: one.world.clone(), now: one.now, token: one.token.clone() };
        let rest = play(&mut one, &steps[half..]);
        prop_assert_eq!(&rest, &play(&mut fork, &steps[half..]));
        first.extend(rest);
        prop_assert_eq!(first, play(&mut two, &steps));
    }
}
