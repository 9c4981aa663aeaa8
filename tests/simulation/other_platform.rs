//! The operator works with any platform. The one here is in memory, and has no HTTP, no tokens, no request budget, and
//! none of the terms of Cognigy.AI.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use api::CognigyDeploymentSpec;
use api::identifier::{ApiOrigin, JobId};
use api::status::{Outcome, RollbackReason};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use platform::{
    AuditRecord, CallFailure, ClientFingerprint, Configuration, Connection, CredentialsFingerprint, CredentialsSource,
    FailedTry, IdempotencyKey, Operation, Platform, Polled, Provider, Requester, Submit, SubmitRules, WebhookUrl,
};
use rollout::answer::{HealthAnswer, JobAnswer, RollbackAnswer, SubmitAnswer, TraceAnswer, ValidationAnswer};
use rollout::{Obstacle, Settings};

use crate::director::run;
use crate::fault::Plan;
use crate::record::Record;
use crate::scenario::Scenario;

/// A platform in memory: each configuration runs at once.
#[derive(Default)]
struct InMemory {
    is_unhealthy: bool,
    calls: Mutex<Vec<String>>,
}

impl InMemory {
    fn note<T: Send + 'static>(&self, call: impl Into<String>, answer: T) -> BoxFuture<'_, T> {
        self.calls.lock().unwrap_or_else(|error| panic!("{error}")).push(call.into());
        ready(answer).boxed()
    }
}

/// The same platform, as a kind and as a client of it.
struct Shared(Arc<InMemory>);

impl Provider for Shared {
    fn name(&self) -> &'static str {
        "the platform in memory"
    }

    fn required_secret_keys(&self) -> &'static [&'static str] {
        &[]
    }

    fn operations(&self) -> &'static [Operation] {
        &[]
    }

    fn submit_rules(&self) -> SubmitRules {
        SubmitRules::from(&Settings::default())
    }

    fn connect(&self, _: CredentialsSource<'_>) -> Result<Connection, Obstacle> {
        Ok(Connection {
            platform: Arc::new(Shared(Arc::clone(&self.0))),
            origin: ApiOrigin::new("memory:"),
            fingerprint: CredentialsFingerprint::of(&[]),
            client_fingerprint: ClientFingerprint::of(&[]),
        })
    }

    fn retain(&self, _: &dyn Fn(CredentialsFingerprint) -> bool) {}

    fn audit_record(&self, record: &AuditRecord<'_>) -> Bytes {
        format!("success: {}", record.success).into()
    }
}

impl Platform for Shared {
    fn is_proven(&self) -> bool {
        true
    }

    fn requests_per_minute(&self) -> NonZeroU32 {
        NonZeroU32::MAX
    }

    fn validate<'a>(
        &'a self,
        _: Configuration<'a>,
        _: &'a Requester,
    ) -> BoxFuture<'a, Result<ValidationAnswer, CallFailure>> {
        let passed = ValidationAnswer::Passed { warnings: Vec::new(), capacity_utilization: None };
        self.0.note("validate", Ok(passed))
    }

    fn trace<'a>(&'a self, _: Configuration<'a>, _: &'a Requester) -> BoxFuture<'a, Result<TraceAnswer, CallFailure>> {
        let answer = TraceAnswer {
            synthetic_trace_id: None,
            has_passed: true,
            status: "passed".to_owned(),
            conflicts: Vec::new(),
        };
        self.0.note("trace", Ok(answer))
    }

    fn submit_body(&self, configuration: Configuration<'_>, _: Option<&WebhookUrl>) -> Result<Bytes, Obstacle> {
        Ok(configuration.spec.environment_id.as_str().to_owned().into())
    }

    fn submit<'a>(&'a self, submit: Submit<'a>, _: &'a Requester) -> BoxFuture<'a, SubmitAnswer> {
        let call = format!("submit {}", String::from_utf8_lossy(&submit.body));
        self.0.note(call, SubmitAnswer::Accepted(JobId::new("job-1")))
    }

    fn job<'a>(
        &'a self,
        _: &'a platform::JobId,
        _: &'a Requester,
    ) -> BoxFuture<'a, Result<Polled<JobAnswer>, CallFailure>> {
        self.0.note("job", Ok(Polled { answer: JobAnswer::Completed, are_credentials_refused: false }))
    }

    fn health<'a>(
        &'a self,
        _: &'a CognigyDeploymentSpec,
        _: &'a Requester,
    ) -> BoxFuture<'a, Result<Polled<HealthAnswer>, CallFailure>> {
        let answer = match self.0.is_unhealthy {
            true => HealthAnswer::Bad("it is unhealthy".to_owned()),
            false => HealthAnswer::Good,
        };
        self.0.note("health", Ok(Polled { answer, are_credentials_refused: false }))
    }

    fn roll_back<'a>(
        &'a self,
        _: &'a platform::JobId,
        _: &'a IdempotencyKey,
        reason: RollbackReason,
        _: &'a Requester,
    ) -> BoxFuture<'a, RollbackAnswer> {
        self.0.note(format!("roll back: {}", reason.as_str()), RollbackAnswer::Accepted)
    }

    fn audit<'a>(
        &'a self,
        record: Bytes,
        _: &'a IdempotencyKey,
        _: &'a Requester,
    ) -> BoxFuture<'a, Result<(), CallFailure>> {
        self.0.note(format!("audit {}", String::from_utf8_lossy(&record)), Ok(()))
    }

    fn describe(&self, failed: &FailedTry) -> Obstacle {
        panic!("no try fails here: {failed:?}")
    }
}

/// Plays a rollout on the platform in memory. Returns its outcomes and its requests.
fn play(is_unhealthy: bool) -> (Vec<Outcome>, Vec<String>) {
    let platform = Arc::new(InMemory { is_unhealthy, ..InMemory::default() });
    let mut scenario = Scenario::new("another platform", "").creating(|_| {});
    scenario.setup.provider = Some(Arc::new(Shared(Arc::clone(&platform))));
    let run = run(&scenario, &Plan::new());
    let record = Record::of(&run);
    let outcomes = record.verdicts().iter().map(|judged| judged.verdict.outcome).collect();
    let calls = platform.calls.lock().unwrap_or_else(|error| panic!("{error}")).clone();
    (outcomes, calls)
}

#[test]
fn a_rollout_succeeds_on_a_platform_without_http() {
    let (outcomes, calls) = play(false);
    assert_eq!(outcomes, [Outcome::Succeeded]);
    assert_eq!(calls, ["validate", "trace", "submit env", "job", "health", "audit success: true"]);
}

#[test]
fn an_unhealthy_environment_is_rolled_back_on_any_platform() {
    let (outcomes, calls) = play(true);
    assert_eq!(outcomes, [Outcome::RolledBack]);
    let rollbacks = calls.iter().filter(|call| call.starts_with("roll back")).collect::<Vec<_>>();
    assert_eq!(rollbacks, ["roll back: health_check_failure"], "{calls:?}");
    assert!(calls.contains(&"audit success: false".to_owned()), "{calls:?}");
}
