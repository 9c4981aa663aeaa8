//! The operator works with any platform. The one here is in memory, and has no HTTP, no tokens, no request budget, and
//! none of the terms of Cognigy.AI.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

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
use rollout::Obstacle;
use rollout::answer::{HealthAnswer, JobAnswer, RollbackAnswer, SubmitAnswer, TraceAnswer, ValidationAnswer};
use rollout::facts::SubmitIdempotency;

use crate::director::run;
use crate::fault::Plan;
use crate::record::Record;
use crate::scenario::Scenario;
use crate::story::Happening;

const NAME: &str = "the platform in memory";

/// A platform in memory: each configuration runs at once, unless a test gives it other answers.
struct InMemory {
    submit: SubmitAnswer,
    job: JobAnswer,
    health: HealthAnswer,
    rollback: RollbackAnswer,
    calls: Mutex<Vec<String>>,
}

impl Default for InMemory {
    fn default() -> Self {
        Self {
            submit: SubmitAnswer::Accepted(JobId::new("job-1")),
            job: JobAnswer::Completed,
            health: HealthAnswer::Good,
            rollback: RollbackAnswer::Accepted,
            calls: Mutex::default(),
        }
    }
}

impl InMemory {
    fn note<T: Send + 'static>(&self, call: impl Into<String>, answer: T) -> BoxFuture<'_, T> {
        self.calls.lock().unwrap_or_else(|error| panic!("{error}")).push(call.into());
        ready(answer).boxed()
    }
}

/// The same platform, as a provider and as a client.
struct Shared(Arc<InMemory>);

impl Provider for Shared {
    fn name(&self) -> &'static str {
        NAME
    }

    fn required_secret_keys(&self) -> &'static [&'static str] {
        &[]
    }

    fn operations(&self) -> &'static [Operation] {
        &[]
    }

    fn submit_rules(&self) -> SubmitRules {
        SubmitRules { idempotency: SubmitIdempotency::Supported, key_ttl: Duration::from_secs(3600) }
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

    fn requests_per_rollout(&self) -> NonZeroU32 {
        NonZeroU32::MIN
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
        self.0.note(call, self.0.submit.clone())
    }

    fn job<'a>(
        &'a self,
        _: &'a platform::JobId,
        _: &'a Requester,
    ) -> BoxFuture<'a, Result<Polled<JobAnswer>, CallFailure>> {
        self.0.note("job", Ok(Polled { answer: self.0.job.clone(), are_credentials_refused: false }))
    }

    fn health<'a>(
        &'a self,
        _: &'a CognigyDeploymentSpec,
        _: &'a Requester,
    ) -> BoxFuture<'a, Result<Polled<HealthAnswer>, CallFailure>> {
        self.0.note("health", Ok(Polled { answer: self.0.health.clone(), are_credentials_refused: false }))
    }

    fn watch_health<'a>(
        &'a self,
        _: &'a CognigyDeploymentSpec,
        _: &'a Requester,
    ) -> BoxFuture<'a, Result<Polled<HealthAnswer>, CallFailure>> {
        self.0.note("watch", Ok(Polled { answer: self.0.health.clone(), are_credentials_refused: false }))
    }

    fn roll_back<'a>(
        &'a self,
        _: &'a platform::JobId,
        _: &'a IdempotencyKey,
        reason: RollbackReason,
        _: &'a Requester,
    ) -> BoxFuture<'a, RollbackAnswer> {
        self.0.note(format!("roll back: {}", reason.as_str()), self.0.rollback.clone())
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
        panic!("a try failed, but this platform never fails: {failed:?}")
    }
}

/// A rollout that was played on the platform in memory.
struct Played {
    outcomes: Vec<Outcome>,
    /// The calls that the platform received.
    calls: Vec<String>,
    /// The messages of the conditions, and the notes of the events.
    messages: BTreeSet<String>,
}

fn play(platform: InMemory) -> Played {
    let platform = Arc::new(platform);
    let mut scenario = Scenario::new("another platform", "").creating(|_| {});
    scenario.setup.provider = Some(Arc::new(Shared(Arc::clone(&platform))));
    let run = run(&scenario, &Plan::new());
    let record = Record::of(&run);
    let outcomes = record.verdicts().iter().map(|judged| judged.verdict.outcome).collect();
    let statuses = record.writes.iter().filter_map(|write| write.object.status.as_ref());
    let conditions = statuses.flat_map(|status| status.conditions.iter().map(|condition| condition.message.clone()));
    let events = run.story.iter().filter_map(|entry| match &entry.what {
        Happening::EventPublished { note, .. } => Some(note.clone()),
        _ => None,
    });
    let messages = conditions.chain(events).collect();
    let calls = platform.calls.lock().unwrap_or_else(|error| panic!("{error}")).clone();
    Played { outcomes, calls, messages }
}

fn unhealthy() -> InMemory {
    InMemory { health: HealthAnswer::Bad("it is unhealthy".to_owned()), ..InMemory::default() }
}

#[test]
fn a_rollout_succeeds_on_a_platform_without_http() {
    let Played { outcomes, calls, .. } = play(InMemory::default());
    assert_eq!(outcomes, [Outcome::Succeeded]);
    assert_eq!(calls, ["validate", "trace", "submit env", "job", "health", "audit success: true"]);
}

#[test]
fn an_unhealthy_environment_is_rolled_back_on_any_platform() {
    let Played { outcomes, calls, .. } = play(unhealthy());
    assert_eq!(outcomes, [Outcome::RolledBack]);
    let rollbacks = calls.iter().filter(|call| call.starts_with("roll back")).collect::<Vec<_>>();
    assert_eq!(rollbacks, ["roll back: health_check_failure"], "{calls:?}");
    assert!(calls.contains(&"audit success: false".to_owned()), "{calls:?}");
}

#[test]
fn conditions_and_events_name_the_platform_that_was_asked_and_no_other() {
    let failed = || JobAnswer::EndedBadly("broken".to_owned());
    let refused = || RollbackAnswer::Refused("it is too old".to_owned());
    let rejected = || SubmitAnswer::Rejected { message: "it is closed".to_owned() };
    let stories = [
        (InMemory::default(), "the platform in memory has accepted the rollout; job-1 is running"),
        (InMemory::default(), "the platform in memory has accepted the rollout; its job is job-1"),
        (
            InMemory { submit: rejected(), ..InMemory::default() },
            "the platform in memory refused the submit, so that nothing was deployed: it is closed",
        ),
        (
            InMemory { job: failed(), ..InMemory::default() },
            "job-1 ended badly: the platform in memory calls it broken",
        ),
        (
            InMemory { job: JobAnswer::NotFound, ..InMemory::default() },
            "the platform in memory no longer knows job-1 (it said so twice, an interval apart)",
        ),
        (
            InMemory { job: JobAnswer::RolledBack, ..InMemory::default() },
            "the platform in memory rolled the job back by itself, to the snapshot before",
        ),
        (unhealthy(), "the platform in memory has accepted the rollback to the snapshot before"),
        (
            InMemory { rollback: refused(), ..unhealthy() },
            "the platform in memory refused the rollback: it is too old; roll back at the platform in memory, or set",
        ),
    ];
    for (platform, expected) in stories {
        let messages = play(platform).messages;
        assert!(messages.iter().any(|message| message.contains(expected)), "{expected:?} is not in {messages:#?}");
        let others: Vec<_> = messages.iter().filter(|message| message.contains("Cognigy.AI")).collect();
        assert!(others.is_empty(), "{others:#?}");
    }
}
