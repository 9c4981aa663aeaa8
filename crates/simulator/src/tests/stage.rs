//! A world, a client with a token, and a clock that the test moves.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, request};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::time::after;
use crate::{Reply, Scenario, World};

pub(super) const TOKEN_FORM: &str = "grant_type=client_credentials&client_id=demo&client_secret=demo-secret&\
     scope=deployments%3Awrite+environments%3Aread+jobs%3Aread+validations%3Aexecute+webhooks%3Awrite";

pub(super) struct Stage {
    pub(super) world: World,
    pub(super) now: Timestamp,
    pub(super) token: String,
}

impl Stage {
    pub(super) fn new(scenario: &str) -> Self {
        let world = World::new(Scenario::parse(scenario).unwrap());
        let mut stage = Self { world, now: Timestamp::UNIX_EPOCH, token: String::new() };
        stage.request_token();
        stage
    }

    pub(super) fn request_token(&mut self) {
        let reply = self.ask_for_token_with(TOKEN_FORM);
        self.token = body(&reply)["access_token"].as_str().unwrap_or_default().to_owned();
    }

    pub(super) fn ask_for_token_with(&mut self, form: &'static str) -> Reply {
        let request = Request::post("/oauth/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::from_static(form.as_bytes()));
        self.world.handle(self.now, &request.unwrap())
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        self.now = after(self.now, Duration::from_secs(seconds));
    }

    pub(super) fn request(&self, method: Method, path: &str) -> request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.token))
            .header("accept", "application/json")
    }

    pub(super) fn send(&mut self, request: request::Builder, body: impl Into<Bytes>) -> Reply {
        self.world.handle(self.now, &request.body(body.into()).unwrap())
    }

    pub(super) fn get(&mut self, path: &str) -> Reply {
        let request = self.request(Method::GET, path);
        self.send(request, "")
    }

    pub(super) fn post(&mut self, path: &str, body: &Value) -> Reply {
        let request = self.request(Method::POST, path).header("content-type", "application/json");
        self.send(request, body.to_string())
    }

    pub(super) fn post_keyed(&mut self, path: &str, key: &str, body: &Value) -> Reply {
        let request = self.request(Method::POST, path).header("content-type", "application/json");
        self.send(request.header("idempotency-key", key), body.to_string())
    }

    pub(super) fn submit(&mut self, key: &str) -> Reply {
        self.post_keyed("/api/v2/deployments", key, &submission())
    }

    pub(super) fn submitted_job(&mut self, key: &str) -> String {
        body(&self.submit(key))["jobId"].as_str().unwrap().to_owned()
    }

    pub(super) fn control(&mut self, method: Method, path: &str, body_text: &'static str) -> Value {
        let request = Request::builder().method(method).uri(path);
        let reply = self.send(request, body_text);
        body(&reply)
    }

    pub(super) fn violations(&self) -> Vec<String> {
        self.world.violations().map(|violation| violation.message.clone()).collect()
    }
}

pub(super) fn body(reply: &Reply) -> Value {
    serde_json::from_slice(reply.response.body()).unwrap_or(Value::Null)
}

pub(super) fn status(reply: &Reply) -> u16 {
    reply.response.status().as_u16()
}

pub(super) fn snapshot() -> Value {
    json!({"botVersion": "2.4.1", "nlpEngine": "v3.2", "dialogFlow": "production_v8",
           "integrations": ["salesforce_crm", "sap_erp"]})
}

pub(super) fn validation() -> Value {
    json!({"environmentId": "env_prod_us_01", "configurationSnapshot": snapshot(),
           "capacityConstraints": {"max_concurrent_sessions": 500, "memory_limit_mb": 4096},
           "isolationRules": {"tenantBoundary": "strict", "networkSegment": "production-us-east-1",
                              "resourceQuotaCheck": true}})
}

pub(super) fn trace() -> Value {
    json!({"environmentId": "env_prod_us_01", "configurationSnapshot": snapshot(),
           "traceOptions": {"simulationDepth": 5, "includeDependencyGraph": true, "detectVersionConflicts": true}})
}

pub(super) fn submission() -> Value {
    json!({"environment_id": "env_prod_us_01", "configuration_snapshot": snapshot(),
           "dependency_locks": [{"package_name": "cognigy-nlp-core", "version": "3.2.0", "pinned": true},
                                {"package_name": "dialog-runtime", "version": "2.1.4", "pinned": true}],
           "rollback_policy": {"auto_trigger": true, "health_threshold": 3, "timeout_seconds": 300,
                               "revert_snapshot_id": "snap_prev_stable"},
           "capacity_constraints": {"max_concurrent_sessions": 500, "memory_limit_mb": 4096},
           "webhookCallbackUrl": "https://ci.example.com/hooks/cognigy"})
}

pub(super) fn audit_record() -> Value {
    json!({"timestamp": "2026-01-01T12:00:00.000000+00:00", "jobId": "job_8f3a2c", "deploymentSuccess": true,
           "durationSeconds": 42.5, "auditCategory": "environment_deployment",
           "complianceFlags": {"governanceApproved": true, "dataResidencyCheck": true}})
}

pub(super) fn webhook() -> Value {
    json!({"event": "deployment_complete", "jobId": "job_8f3a2c", "success": true,
           "metrics": {"durationSeconds": 42.5, "validationSuccessRate": 1.0}})
}

/// Sends all requests of a rollout, exactly as the contract writes them; returns the replies in order.
pub(super) fn rollout(stage: &mut Stage) -> Vec<Reply> {
    let mut replies = vec![
        stage.post("/api/v2/environments/env_prod_us_01/validate", &validation()),
        stage.post("/api/v2/validations/synthetic-trace", &trace()),
        stage.submit("key-1"),
    ];
    let job = body(&replies[2])["jobId"].as_str().unwrap_or("none").to_owned();
    stage.pass(15);
    replies.push(stage.get(&format!("/api/v2/jobs/{job}")));
    replies.push(stage.get("/api/v2/environments/env_prod_us_01/health"));
    let reason = json!({"reason": "health_check_failure"});
    replies.push(stage.post_keyed(&format!("/api/v2/deployments/{job}/rollback"), "key-2", &reason));
    replies.push(stage.post_keyed("/api/v2/audit/logs", "key-3", &audit_record()));
    let delivery = Request::post("/webhooks/ci").header("content-type", "application/json");
    replies.push(stage.send(delivery, webhook().to_string()));
    replies
}
