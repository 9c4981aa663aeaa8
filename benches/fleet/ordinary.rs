//! An ordinary operator, to compare with: it combines the usual parts well.
//!
//! All rollouts share one token bucket in the order of their requests. Each rollout is polled again 15 s after its last
//! poll. The status is written when it has changed.

use crate::Failure;
use crate::fleet::name_of;
use crate::operator::{Place, Work};
use api::CognigyDeployment;
use bytes::Bytes;
use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use platform::Transport;
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The time between two polls.
const INTERVAL: Duration = Duration::from_secs(15);
/// The requests per minute, and the size of a burst.
const LIMIT: f64 = 100.0;
/// How many bad answers in a row cause a rollback.
const THRESHOLD: i32 = 3;

/// Why a reconcile failed.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("Kubernetes: {0}")]
    Kubernetes(#[from] kube::Error),
    #[error("Cognigy.AI: {0}")]
    Platform(String),
}

struct Shared {
    client: Client,
    transport: Arc<dyn Transport>,
    bucket: Bucket,
    base_url: String,
    token: Mutex<Option<(String, Instant)>>,
    epoch: Timestamp,
    started: Instant,
}

/// A bucket that is refilled evenly and holds the tokens of one minute at most. Requests take tokens in order.
struct Bucket {
    state: Mutex<(f64, Instant)>,
}

impl Bucket {
    async fn take(&self) {
        // The waiting request keeps the lock. tokio's lock is fair, so all others wait in order.
        let mut state = self.state.lock().await;
        loop {
            let now = Instant::now();
            let (tokens, since) = *state;
            let tokens = (tokens + (now - since).as_secs_f64() * LIMIT / 60.0).min(LIMIT);
            if tokens >= 1.0 {
                *state = (tokens - 1.0, now);
                return;
            }
            *state = (tokens, now);
            tokio::time::sleep(Duration::from_secs_f64((1.0 - tokens) * 60.0 / LIMIT)).await;
        }
    }
}

/// Prepares an ordinary operator.
///
/// # Errors
/// If the Secret cannot be read, or the network cannot be made.
pub async fn run(place: &Place, client: Client, stopped: CancellationToken) -> Result<Work, Failure> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &name_of(0));
    let data = secrets.get("cognigy-api").await?.data.unwrap_or_default();
    let base_url = data.get("baseUrl").map(|url| String::from_utf8_lossy(&url.0).into_owned()).unwrap_or_default();
    let started = Instant::now();
    let shared = Arc::new(Shared {
        transport: place.network()?,
        bucket: Bucket { state: Mutex::new((LIMIT, started)) },
        base_url,
        token: Mutex::default(),
        epoch: place.epoch,
        started,
        client: client.clone(),
    });
    let work = Controller::new(Api::<CognigyDeployment>::all(client), watcher::Config::default())
        .run(reconcile, |_, _, _| Action::requeue(INTERVAL), shared)
        .for_each(|_| async {});
    Ok(Box::pin(async move {
        tokio::select! {
            () = work => {}
            () = stopped.cancelled() => {}
        }
    }))
}

async fn reconcile(object: Arc<CognigyDeployment>, shared: Arc<Shared>) -> Result<Action, Trouble> {
    // The cache may be older than the last write.
    let object = shared.resources(&object).get(&object.name_any()).await?;
    let generation = object.metadata.generation.unwrap_or_default();
    let attempt = object.status.as_ref().and_then(|status| status.attempt.clone());
    let attempt = attempt.map(|attempt| json!(attempt)).filter(|attempt| attempt["generation"] == generation);
    let Some(attempt) = attempt else { return shared.begin(&object, generation).await };
    match attempt["step"].as_str() {
        Some("RollingOut") => shared.look_at_job(&object, attempt).await,
        Some("Monitoring") => shared.look_at_health(&object, attempt).await,
        _ => Ok(Action::await_change()),
    }
}

impl Shared {
    async fn begin(&self, object: &CognigyDeployment, generation: i64) -> Result<Action, Trouble> {
        let environment = object.spec.environment_id.as_str();
        let snapshot = json!(object.spec)["configurationSnapshot"].clone();
        let capacity = json!({"max_concurrent_sessions": 500, "memory_limit_mb": 4096});
        let locks = json!([{"package_name": "cognigy-nlp-core", "version": "3.2.0", "pinned": true}]);
        let validation = json!({
            "environmentId": environment,
            "configurationSnapshot": snapshot,
            "capacityConstraints": capacity,
            "isolationRules": {"tenantBoundary": "strict", "resourceQuotaCheck": true},
        });
        self.post(&format!("/environments/{environment}/validate"), &validation).await?;
        let trace = json!({
            "environmentId": environment,
            "configurationSnapshot": snapshot,
            "traceOptions": {"simulationDepth": 5, "includeDependencyGraph": true, "detectVersionConflicts": true},
        });
        self.post("/validations/synthetic-trace", &trace).await?;
        let timeout = object.spec.rollback_policy.timeout_seconds;
        let policy = json!({
            "auto_trigger": true,
            "health_threshold": THRESHOLD,
            "timeout_seconds": timeout,
            "revert_snapshot_id": null,
        });
        let submit = json!({
            "environment_id": environment,
            "configuration_snapshot": snapshot,
            "dependency_locks": locks,
            "rollback_policy": policy,
            "capacity_constraints": capacity,
            "webhookCallbackUrl": null,
        });
        let job = self.post("/deployments", &submit).await?["jobId"].clone();
        let digest = format!("v1:{}", "0".repeat(64));
        let now = self.now();
        let attempt = json!({
            "number": generation, "generation": generation, "digest": digest, "checks": {"digest": digest},
            "step": "RollingOut", "startedAt": now, "job": {"id": job}, "submission": {
                "intendedAt": now, "deadlineAt": now, "apiOrigin": "", "idempotencyKey": "", "requestHash": "",
                "clientHash": "",
            },
        });
        self.write(object, attempt, "RollingOut").await?;
        Ok(Action::requeue(INTERVAL))
    }

    async fn look_at_job(&self, object: &CognigyDeployment, mut attempt: Value) -> Result<Action, Trouble> {
        let job = self.get(&format!("/jobs/{}", text(&attempt["job"], "id"))).await?;
        if job["status"] == "completed" {
            attempt["step"] = json!("Monitoring");
            self.write(object, attempt.clone(), "Monitoring").await?;
            return self.look_at_health(object, attempt).await;
        }
        self.go_on_until_deadline(object, attempt).await
    }

    async fn look_at_health(&self, object: &CognigyDeployment, mut attempt: Value) -> Result<Action, Trouble> {
        let health = self.get(&format!("/environments/{}/health", object.spec.environment_id.as_str())).await?;
        if health["status"] == "healthy" {
            return self.end(object, attempt, true).await;
        }
        let streak = attempt["health"]["badStreak"].as_i64().unwrap_or_default() + 1;
        attempt["health"]["badStreak"] = json!(streak);
        if streak >= i64::from(THRESHOLD) {
            return self.roll_back(object, attempt, "health_check_failure").await;
        }
        self.write(object, attempt.clone(), "Monitoring").await?;
        self.go_on_until_deadline(object, attempt).await
    }

    async fn go_on_until_deadline(&self, object: &CognigyDeployment, attempt: Value) -> Result<Action, Trouble> {
        let submitted: Option<Timestamp> = serde_json::from_value(attempt["submission"]["intendedAt"].clone()).ok();
        let passed = submitted.map_or(0, |submitted| self.now().duration_since(submitted).as_secs());
        if passed >= i64::from(object.spec.rollback_policy.timeout_seconds) {
            return self.roll_back(object, attempt, "timeout").await;
        }
        Ok(Action::requeue(INTERVAL))
    }

    async fn roll_back(&self, object: &CognigyDeployment, attempt: Value, reason: &str) -> Result<Action, Trouble> {
        let path = format!("/deployments/{}/rollback", text(&attempt["job"], "id"));
        self.post(&path, &json!({"reason": reason})).await?;
        self.end(object, attempt, false).await
    }

    async fn end(&self, object: &CognigyDeployment, mut attempt: Value, success: bool) -> Result<Action, Trouble> {
        let record = json!({
            "timestamp": self.now().strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string(),
            "jobId": attempt["jobId"],
            "deploymentSuccess": success,
            "durationSeconds": 0.0,
            "auditCategory": "environment_deployment",
            "complianceFlags": {"governanceApproved": false, "dataResidencyCheck": false},
        });
        self.post("/audit/logs", &record).await?;
        attempt["step"] = json!("Settled");
        self.write(object, attempt, if success { "Succeeded" } else { "RolledBack" }).await?;
        Ok(Action::await_change())
    }

    async fn write(&self, object: &CognigyDeployment, attempt: Value, phase: &str) -> Result<(), Trouble> {
        let status = json!({"status": {
            "observedGeneration": attempt["generation"],
            "phase": phase,
            "attempt": attempt,
        }});
        let resources = self.resources(object);
        resources.patch_status(&object.name_any(), &PatchParams::default(), &Patch::Merge(status)).await?;
        Ok(())
    }

    fn resources(&self, object: &CognigyDeployment) -> Api<CognigyDeployment> {
        Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default())
    }

    fn now(&self) -> Timestamp {
        self.epoch.checked_add(self.started.elapsed()).unwrap_or(Timestamp::MAX)
    }

    async fn get(&self, path: &str) -> Result<Value, Trouble> {
        self.call(path, None).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, Trouble> {
        self.call(path, Some(body)).await
    }

    async fn call(&self, path: &str, body: Option<&Value>) -> Result<Value, Trouble> {
        let token = self.token().await?;
        let request = http::Request::builder()
            .method(if body.is_some() { "POST" } else { "GET" })
            .uri(format!("{}/api/v2{path}", self.base_url))
            .header("authorization", format!("Bearer {token}"))
            .header("accept", "application/json")
            .header("content-type", "application/json");
        let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        // A repeat of the same request has the same key.
        let mut key = DefaultHasher::new();
        (path, &body).hash(&mut key);
        let request = request.header("idempotency-key", format!("{:016x}", key.finish()));
        self.bucket.take().await;
        self.send(request, body).await
    }

    async fn token(&self) -> Result<String, Trouble> {
        let mut token = self.token.lock().await;
        if let Some((token, until)) = &*token
            && Instant::now() < *until
        {
            return Ok(token.clone());
        }
        let form = "grant_type=client_credentials&client_id=demo&client_secret=demo-secret\
                    &scope=deployments%3Awrite%20environments%3Aread%20jobs%3Aread%20validations%3Aexecute%20webhooks%3Awrite";
        let request = http::Request::post(format!("{}/oauth/token", self.base_url))
            .header("accept", "application/json")
            .header("content-type", "application/x-www-form-urlencoded");
        self.bucket.take().await;
        let answer = self.send(request, form.into()).await?;
        let fresh = text(&answer, "access_token").to_owned();
        *token = Some((fresh.clone(), Instant::now() + Duration::from_secs(3300)));
        Ok(fresh)
    }

    async fn send(&self, request: http::request::Builder, body: Bytes) -> Result<Value, Trouble> {
        let request = request.body(body).map_err(|error| Trouble::Platform(error.to_string()))?;
        let answer = self.transport.send(request).await.map_err(|error| Trouble::Platform(error.to_string()))?;
        if !answer.status().is_success() {
            return Err(Trouble::Platform(answer.status().to_string()));
        }
        serde_json::from_slice(answer.body()).map_err(|error| Trouble::Platform(error.to_string()))
    }
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}
