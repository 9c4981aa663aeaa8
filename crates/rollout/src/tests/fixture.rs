//! Plays a rollout as the controller does: observe the status, decide, send requests, apply the answers, refresh.
//!
//! The test controls the time of both clocks. The answers are scripts; the last line of a script repeats. Every step is
//! checked against the promises in [`super::promises`], so that each test checks them all.

use super::promises::Promises;
use crate::answer::{HealthAnswer, JobAnswer, Retry, RollbackAnswer, SubmitAnswer, TraceAnswer, ValidationAnswer};
use crate::apply::{self, checks, health, job, rollback, submit};
use crate::facts::{Requests, SubmitIdempotency, Target};
use crate::transition::transitions;
use crate::{
    Announcement, Cause, Decision, Effects, Facts, Memory, Notice, Now, Obstacle, PollTuning, Settings, Transition,
    attempt, decide, requests, summary,
};
use api::condition::{Condition, ConditionSet, ConditionType};
use api::identifier::{ApiOrigin, ClientHash, RequestHash};
use api::reason::Reason;
use api::status::{Attempt, CognigyDeploymentStatus, Outcome, Step};
use api::{CognigyDeploymentSpec, Digest, JobId};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// More decisions than any test makes without a wait. A test that reaches this number is in an endless loop.
const MOST_DECISIONS: usize = 100;

pub(super) const INTERVAL: u64 = 15;
pub(super) const TIMEOUT: u64 = 300;
pub(super) const DAY: u64 = 24 * 3600;
pub(super) const PLATFORM: &str = "Example Platform";

/// The controller's knowledge of the resource and of the current time.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) spec: CognigyDeploymentSpec,
    /// The target of the spec, as of its last edit.
    target: Target,
    pub(super) settings: Settings,
    pub(super) requests: Requests,
    pub(super) other_owner: Option<String>,
    pub(super) generation: i64,
    pub(super) deleted_at: Option<Timestamp>,
    pub(super) snapshot_obstacle: Option<Obstacle>,
    pub(super) now: Now,
    pub(super) credentials_origin: Option<ApiOrigin>,
    pub(super) has_default_webhook: bool,
    pub(super) polling: PollTuning,
}

impl Given {
    pub(super) fn facts(&self, asked: Now) -> Facts<'_> {
        Facts {
            uid: "6f2c0f0e",
            generation: self.generation,
            deleted_at: self.deleted_at,
            spec: &self.spec,
            target: self.target(),
            requests: self.requests.clone(),
            other_owner: self.other_owner.clone(),
            settings: &self.settings,
            credentials_origin: self.credentials_origin.clone(),
            has_default_webhook: self.has_default_webhook,
            polling: self.polling,
            asked,
            now: self.now,
        }
    }

    pub(super) fn target(&self) -> Result<Target, Obstacle> {
        self.snapshot_obstacle.clone().map_or_else(|| Ok(self.target.clone()), Err)
    }

    fn pass(&mut self, passed: Duration) {
        self.now.wall += SignedDuration::try_from(passed).unwrap();
        self.now.uptime += passed;
    }
}

/// The answers from outside. The last line of each script repeats.
#[derive(Clone)]
pub(super) struct World {
    pub(super) validation: Vec<Result<ValidationAnswer, Obstacle>>,
    pub(super) trace: Vec<Result<TraceAnswer, Obstacle>>,
    pub(super) submit: Vec<SubmitAnswer>,
    pub(super) job: Vec<JobAnswer>,
    pub(super) health: Vec<HealthAnswer>,
    pub(super) rollback: Vec<RollbackAnswer>,
    /// The obstacle that prevents all requests about job and health.
    pub(super) barrier: Option<Obstacle>,
    /// The API that the credentials point to.
    pub(super) api_origin: ApiOrigin,
    /// Whether the submit's body can no longer be built.
    pub(super) body_is_lost: bool,
    /// How long each answer takes.
    pub(super) latency: Duration,
}

fn next<Answer: Clone>(script: &mut Vec<Answer>) -> Answer {
    if script.len() > 1 { script.remove(0) } else { script.first().expect("a script has a line").clone() }
}

pub(super) struct Rollout {
    pub(super) given: Given,
    pub(super) world: World,
    pub(super) status: CognigyDeploymentStatus,
    pub(super) memory: Memory,
    pub(super) events: Vec<Announcement>,
    pub(super) notices: Vec<Notice>,
    pub(super) asked: Vec<Decision>,
    pub(super) is_released: bool,
    /// The transitions that each record counted.
    pub(super) transitions: Vec<Transition>,
    /// The state that a new process would read after a crash.
    recorded: (CognigyDeploymentStatus, Vec<Notice>),
    promises: Promises,
}

impl Rollout {
    pub(super) fn new() -> Self {
        let spec = sample_spec();
        let now = Now { wall: "2026-01-01T12:00:00Z".parse().unwrap(), uptime: Duration::from_secs(1000) };
        Self {
            given: Given {
                target: target_of(&spec),
                spec,
                settings: settings(),
                requests: Requests::default(),
                other_owner: None,
                generation: 1,
                deleted_at: None,
                snapshot_obstacle: None,
                now,
                credentials_origin: None,
                has_default_webhook: false,
                polling: PollTuning::default(),
            },
            world: World {
                validation: vec![Ok(ValidationAnswer::Passed {
                    warnings: Vec::new(),
                    capacity_utilization: Some(0.42),
                })],
                trace: vec![Ok(trace_answer("passed", &[]))],
                submit: vec![SubmitAnswer::Accepted(JobId::new("job_1"))],
                job: vec![JobAnswer::Completed],
                health: vec![HealthAnswer::Good],
                rollback: vec![RollbackAnswer::Accepted],
                barrier: None,
                api_origin: ApiOrigin::new("https://api.cognigy.ai"),
                body_is_lost: false,
                latency: Duration::ZERO,
            },
            status: CognigyDeploymentStatus::default(),
            memory: Memory::default(),
            events: Vec::new(),
            notices: Vec::new(),
            asked: Vec::new(),
            is_released: false,
            transitions: Vec::new(),
            recorded: (CognigyDeploymentStatus::default(), Vec::new()),
            promises: Promises::default(),
        }
    }

    /// A rollout of the sample resource with these changes.
    pub(super) fn of(change: impl FnOnce(&mut CognigyDeploymentSpec)) -> Self {
        let mut rollout = Self::new();
        change(&mut rollout.given.spec);
        rollout.given.target = target_of(&rollout.given.spec);
        rollout
    }

    /// A rollout that has reached this step on the shortest path.
    pub(super) fn at(step: Step) -> Self {
        Self::of(|_| ()).brought_to(step)
    }

    pub(super) fn brought_to(mut self, step: Step) -> Self {
        if step == Step::Validating {
            self.world.validation.insert(0, Err(unavailable()));
        }
        let job = self.world.job.clone();
        if matches!(step, Step::RollingBack | Step::VerifyingRollback) {
            self.world.job = vec![JobAnswer::EndedBadly("failed".to_owned())];
        }
        self.before(|_, status| status.attempt.as_ref().is_some_and(|attempt| attempt.step == step));
        self.world.job = job;
        self
    }

    // Answers

    pub(super) fn health_says(&mut self, answers: &[HealthAnswer]) -> &mut Self {
        self.world.health = answers.to_vec();
        self
    }

    pub(super) fn job_says(&mut self, answers: &[JobAnswer]) -> &mut Self {
        self.world.job = answers.to_vec();
        self
    }

    pub(super) fn submit_says(&mut self, answers: &[SubmitAnswer]) -> &mut Self {
        self.world.submit = answers.to_vec();
        self
    }

    pub(super) fn rollback_says(&mut self, answers: &[RollbackAnswer]) -> &mut Self {
        self.world.rollback = answers.to_vec();
        self
    }

    // Actions of people and machines

    /// Edits the spec.
    pub(super) fn edit(&mut self, change: impl FnOnce(&mut CognigyDeploymentSpec)) -> &mut Self {
        change(&mut self.given.spec);
        self.given.target = target_of(&self.given.spec);
        self.given.generation += 1;
        self
    }

    /// Edits the configuration in the spec.
    pub(super) fn edit_digest(&mut self, version: &str) -> &mut Self {
        let snapshot = serde_json::from_value(serde_json::json!({"botVersion": version})).unwrap();
        self.edit(|spec| spec.configuration_snapshot = Some(snapshot))
    }

    /// Edits a field of the spec that the checks use.
    pub(super) fn edit_checks(&mut self, segment: &str) -> &mut Self {
        self.edit(|spec| spec.isolation_rules.network_segment = Some(segment.to_owned()))
    }

    pub(super) fn suspend(&mut self, suspended: bool) -> &mut Self {
        self.edit(|spec| spec.suspend = suspended)
    }

    pub(super) fn ask_for_retry(&mut self, value: &str) -> &mut Self {
        self.given.requests.retry = Some(value.to_owned());
        self
    }

    pub(super) fn ask_for_rollback(&mut self, value: &str) -> &mut Self {
        self.given.requests.rollback = Some(value.to_owned());
        self
    }

    pub(super) fn delete(&mut self) -> &mut Self {
        self.given.deleted_at.get_or_insert(self.given.now.wall);
        self
    }

    /// Another process takes over after this down time. Everything was recorded.
    pub(super) fn restart_after(&mut self, seconds: u64) -> &mut Self {
        self.given.pass(Duration::from_secs(seconds));
        self.given.now.uptime = Duration::from_secs(1);
        self.memory = Memory::default();
        self.promises.restarted();
        self
    }

    /// The process dies. Another one takes over without the changes that were not recorded.
    pub(super) fn crash(&mut self) -> &mut Self {
        (self.status, self.notices) = self.recorded.clone();
        self.restart_after(0)
    }

    /// The last write of the status was refused, because somebody else had written the resource. The changes are lost,
    /// but the memory is kept.
    pub(super) fn record_fails(&mut self) -> &mut Self {
        (self.status, self.notices) = self.recorded.clone();
        self
    }

    /// Somebody edits the status by hand: the current status becomes the recorded one.
    pub(super) fn record_by_hand(&mut self) -> &mut Self {
        self.recorded = (self.status.clone(), self.notices.clone());
        self
    }

    /// Only the wall clock jumps.
    pub(super) fn wall_clock_jumps(&mut self, seconds: i64) -> &mut Self {
        self.given.now.wall += SignedDuration::from_secs(seconds);
        self
    }

    /// Time passes without a reconcile.
    pub(super) fn pass(&mut self, seconds: u64) -> &mut Self {
        self.pass_for(Duration::from_secs(seconds))
    }

    pub(super) fn pass_for(&mut self, passed: Duration) -> &mut Self {
        self.given.pass(passed);
        self
    }

    // The controller

    pub(super) fn turn_to(&mut self) {
        self.memory.turn_to(self.status.attempt.as_ref(), self.given.deleted_at, self.given.now);
    }

    /// The next decision.
    pub(super) fn decision(&mut self) -> Decision {
        self.turn_to();
        decide(&self.given.facts(self.given.now), &self.status, &self.memory)
    }

    /// Executes one decision.
    pub(super) fn step(&mut self) -> Decision {
        let decision = self.decision();
        if decision.needs_record(&self.status) {
            self.record();
        }
        let before = self.status.clone();
        let effects = self.carry_out(&decision);
        self.events.extend(effects.announcements);
        self.notices.extend(effects.notices);
        self.turn_to();
        self.refresh();
        if let Decision::Wait(_) = decision {
            self.record();
        } else {
            self.asked.push(decision.clone());
        }
        self.promises.check(&decision, &before, &self.status, &self.given, &self.memory, &self.notices);
        decision
    }

    pub(super) fn refresh(&mut self) {
        summary::refresh(&mut self.status, &self.given.facts(self.given.now), &self.memory);
    }

    fn record(&mut self) {
        let memory = &self.memory.attempt;
        self.transitions.extend(transitions(Some(&self.recorded.0), &self.status, memory, self.given.now.wall));
        self.recorded = (self.status.clone(), self.notices.clone());
    }

    fn carry_out(&mut self, decision: &Decision) -> Effects {
        let asked = self.given.now;
        if is_question(decision) {
            self.given.pass(self.world.latency);
        }
        let facts = self.given.facts(asked);
        let (status, memory, world) = (&mut self.status, &mut self.memory, &mut self.world);
        match decision {
            Decision::NoteRequests => requests::note(status, &facts),
            Decision::HandleRequest(request) => apply::requests::handle(status, &facts, memory, *request),
            Decision::Start => attempt::start(status, &facts),
            Decision::CheckAgain => attempt::check_again(status, &facts),
            Decision::RequestSlot => {
                memory.attempt.slot = memory.attempt.slot.grant();
                Effects::none()
            }
            Decision::Validate => match next(&mut world.validation) {
                Ok(answer) => checks::validation(status, &facts, memory, &world.api_origin, answer),
                Err(obstacle) => apply::block(status, &facts, memory, obstacle),
            },
            Decision::Trace => match next(&mut world.trace) {
                Ok(answer) => checks::trace(status, &facts, memory, &world.api_origin, answer),
                Err(obstacle) => apply::block(status, &facts, memory, obstacle),
            },
            Decision::Intend => {
                let identity = submit::SubmitIdentity {
                    api_origin: world.api_origin.clone(),
                    client_hash: ClientHash::new("a-client"),
                    request_hash: RequestHash::new("a-hash"),
                };
                submit::intend(status, &facts, memory, identity)
            }
            Decision::Submit if world.body_is_lost => submit::body_lost(status, &facts, memory),
            Decision::Submit => submit::submit(status, &facts, memory, next(&mut world.submit)),
            Decision::ApplySubmitAnswer => submit::remembered_answer(status, &facts, memory),
            Decision::GiveUpSubmit => attempt::give_up_submit(status, &facts),
            Decision::AskJob | Decision::AskHealth | Decision::CheckJob if world.barrier.is_some() => {
                let barrier = world.barrier.clone().expect("it is there");
                apply::block(status, &facts, memory, barrier)
            }
            Decision::AskJob => job::job(status, &facts, memory, next(&mut world.job)),
            Decision::CheckJob => job::checked_before_success(status, &facts, memory, &next(&mut world.job)),
            Decision::AskHealth => {
                let answer = next(&mut world.health);
                self.promises.heard(&answer);
                health::health(status, &facts, memory, answer)
            }
            Decision::DeclareTimeout => rollback::declare_timeout(status, &facts, memory),
            Decision::BeginRollback(reason) => rollback::begin(status, &facts, memory, *reason),
            Decision::Rollback => rollback::rollback(status, &facts, memory, next(&mut world.rollback)),
            Decision::Settle => rollback::settle(status, &facts),
            Decision::Abandon(reason) => attempt::abandon(status, &facts, *reason),
            Decision::Release => {
                self.is_released = true;
                Effects::none()
            }
            Decision::Wait(_) => Effects::none(),
        }
    }

    /// Executes all decisions until there is nothing to do now.
    pub(super) fn run(&mut self) -> &mut Self {
        self.run_until_wait();
        self
    }

    fn run_until_wait(&mut self) -> Option<Duration> {
        for _ in 0..MOST_DECISIONS {
            match self.step() {
                Decision::Wait(wait) => return wait,
                Decision::Release => return None,
                _ => {}
            }
        }
        panic!("the rollout is in an endless loop: {:?}", &self.asked[self.asked.len() - 8..]);
    }

    /// Runs for this long, and continues at the end of each wait.
    pub(super) fn run_for(&mut self, seconds: u64) -> &mut Self {
        let end = self.given.now.uptime + Duration::from_secs(seconds);
        loop {
            let wait = self.run_until_wait();
            let left = end.saturating_sub(self.given.now.uptime);
            if left.is_zero() || self.is_released {
                return self;
            }
            self.given.pass(wait.unwrap_or(left).min(left));
        }
    }

    /// Runs until right before this decision or status is reached. That decision is not executed.
    pub(super) fn before(&mut self, reached: impl Fn(&Decision, &CognigyDeploymentStatus) -> bool) -> &mut Self {
        for _ in 0..10_000 {
            let decision = self.decision();
            if reached(&decision, &self.status) {
                return self;
            }
            if let Decision::Wait(wait) = self.step() {
                self.given.pass(wait.expect("the rollout waits for nothing"));
            }
        }
        panic!("never reached; the attempt is {:?}", self.status.attempt);
    }

    pub(super) fn before_decision(&mut self, wanted: &Decision) -> &mut Self {
        self.before(|decision, _| decision == wanted)
    }

    // Observations

    pub(super) fn attempt(&self) -> &Attempt {
        self.status.attempt.as_ref().expect("an attempt has begun")
    }

    pub(super) fn step_now(&self) -> Step {
        self.attempt().step
    }

    pub(super) fn outcome(&self) -> Option<(Outcome, Reason)> {
        self.attempt().verdict.as_ref().map(|verdict| (verdict.outcome, verdict.reason))
    }

    pub(super) fn condition(&self, condition_type: ConditionType) -> &Condition {
        self.status.conditions.find(condition_type).expect("the condition is present")
    }

    pub(super) fn has(&self, condition_type: ConditionType) -> bool {
        self.status.conditions.find(condition_type).is_some()
    }

    /// The status and the reason of a condition, such as `Ready=False/Suspended`.
    pub(super) fn told(&self, condition_type: ConditionType) -> String {
        let condition = self.condition(condition_type);
        format!("{:?}/{}", condition.status, condition.reason)
    }

    pub(super) fn count(&self, decision: &Decision) -> usize {
        self.asked.iter().filter(|asked| *asked == decision).count()
    }

    pub(super) fn warned(&self, reason: Reason) -> usize {
        self.events.iter().filter(|event| event.warning && event.reason == reason).count()
    }

    pub(super) fn announced(&self, reason: Reason) -> usize {
        self.events.iter().filter(|event| event.reason == reason).count()
    }

    /// Success and duration in seconds of each audit record.
    pub(super) fn audits(&self) -> Vec<(bool, f64)> {
        let audit = |notice: &Notice| match notice {
            Notice::Audit { success, duration_seconds, .. } => Some((*success, *duration_seconds)),
            Notice::Webhook { .. } => None,
        };
        self.notices.iter().filter_map(audit).collect()
    }

    /// Success, duration in seconds and validation success rate of each webhook event.
    pub(super) fn webhooks(&self) -> Vec<(bool, f64, f64)> {
        let webhook = |notice: &Notice| match notice {
            Notice::Webhook { success, duration_seconds, validation_success_rate, .. } => {
                Some((*success, *duration_seconds, *validation_success_rate))
            }
            Notice::Audit { .. } => None,
        };
        self.notices.iter().filter_map(webhook).collect()
    }
}

fn is_question(decision: &Decision) -> bool {
    use Decision::{AskHealth, AskJob, CheckJob, Rollback, Submit, Trace, Validate};
    matches!(decision, Validate | Trace | Submit | AskJob | AskHealth | CheckJob | Rollback)
}

fn target_of(spec: &CognigyDeploymentSpec) -> Target {
    let snapshot = spec.configuration_snapshot.clone().unwrap();
    let digest = Digest::of_deployment(spec, &snapshot).unwrap();
    Target { digest, checks_digest: Digest::of_checks(spec), version: snapshot.version() }
}

fn sample_spec() -> CognigyDeploymentSpec {
    serde_json::from_value(serde_json::json!({
        "environmentId": "env_prod_us_01",
        "configurationSnapshot": {"botVersion": "2.4.1", "nlpEngine": "v3.2"},
        "dependencyLocks": [{"packageName": "cognigy-nlp-core", "version": "3.2.0"}],
        "webhook": {"url": "https://ci.example.com/hooks/cognigy"},
    }))
    .unwrap()
}

pub(super) fn trace_answer(status: &str, conflicts: &[&str]) -> TraceAnswer {
    TraceAnswer {
        synthetic_trace_id: Some("tr_99x2".to_owned()),
        has_passed: status == "passed",
        status: status.to_owned(),
        conflicts: conflicts.iter().map(|conflict| (*conflict).to_owned()).collect(),
    }
}

pub(super) fn unavailable() -> Obstacle {
    Obstacle::transient(Cause::ApiUnavailable, "503 Service Unavailable", None)
}

pub(super) fn unauthorized() -> Obstacle {
    Obstacle::lasting(Cause::Unauthorized, "403 Forbidden", Retry::CredentialsChange)
}

pub(super) fn bad() -> HealthAnswer {
    HealthAnswer::Bad("its status is degraded".to_owned())
}

pub(super) fn unreadable() -> HealthAnswer {
    HealthAnswer::Unreadable("503 Service Unavailable".to_owned())
}

pub(super) fn failed_job() -> JobAnswer {
    JobAnswer::EndedBadly("failed".to_owned())
}

pub(super) fn unreadable_job() -> JobAnswer {
    JobAnswer::Unreadable("503 Service Unavailable".to_owned())
}

pub(super) fn settings() -> Settings {
    Settings { platform_name: PLATFORM, ..Settings::default() }
}

pub(super) fn unsupported() -> Settings {
    Settings { submit_idempotency: SubmitIdempotency::Unsupported, ..settings() }
}
