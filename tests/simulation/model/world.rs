//! The state of the modelled world: the stored resource, the operators' processes, the network and the platform.

use api::status::{Attempt, CognigyDeploymentStatus, Outcome, Step};
use api::{DecisionUid, PlanId};
use jiff::Timestamp;
use rollout::{Memory, Now};
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// Time passes in ticks. A tick is longer than every pause of the operator, and as long as the interval between two
/// polls.
pub(super) const TICK: Duration = Duration::from_secs(300);
/// A rollout must have its verdict this many ticks after its intent.
pub(super) const TIMEOUT: u8 = 2;
/// The platform remembers a key for this many ticks. The operator stops sending two ticks earlier (its margin).
pub(super) const KEY_TTL: u8 = 5;
/// No request is under way for longer than this many ticks. The operator's margin assumes the same.
pub(super) const LATEST: u8 = 2;

/// The time of a tick. The uptime of a process counts from the start of the world, because decisions use only
/// differences of uptimes.
pub(super) fn moment(tick: u8) -> Now {
    let passed = TICK * u32::from(tick);
    let seconds = i64::try_from(passed.as_secs()).unwrap();
    Now { wall: Timestamp::from_second(1_767_225_600 + seconds).unwrap(), uptime: passed }
}

/// A value that is compared and hashed by its debug output, because the core's types do not implement `Hash`. The
/// output is computed once.
pub(super) struct Printed<T> {
    value: Arc<T>,
    print: u64,
}

impl<T: fmt::Debug> Printed<T> {
    pub(super) fn new(value: T) -> Self {
        let print = hash_of(&format!("{value:?}"));
        Self { value: Arc::new(value), print }
    }
}

impl<T> Clone for Printed<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), print: self.print }
    }
}

impl<T> PartialEq for Printed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.print == other.print
    }
}

impl<T> Eq for Printed<T> {}

impl<T> Hash for Printed<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.print.hash(state);
    }
}

impl<T> Deref for Printed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Printed<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(formatter)
    }
}

/// A stable number for a text.
pub(super) fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The recorded status.
pub(super) type Recorded = Printed<CognigyDeploymentStatus>;

/// The requests of the users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct UserRequests {
    /// The configuration was edited once.
    pub(super) edit: bool,
    /// The rollback annotation was set.
    pub(super) rollback: bool,
}

/// An approval is valid for this many ticks.
pub(super) const APPROVAL_LIFE: u8 = 2;

/// An approval, as the API server stores it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct GivenApproval {
    pub(super) number: u8,
    pub(super) plan: PlanId,
    pub(super) made_at: u8,
}

impl GivenApproval {
    pub(super) fn uid(&self) -> DecisionUid {
        DecisionUid::new(format!("approval-{}", self.number))
    }

    pub(super) fn is_valid(&self, plan: Option<&PlanId>, tick: u8) -> bool {
        Some(&self.plan) == plan && tick < self.made_at + APPROVAL_LIFE
    }
}

/// The resource as the API server stores it, or as a process has last seen it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Resource {
    pub(super) user_requests: UserRequests,
    pub(super) status: Recorded,
}

/// A running operator.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Process {
    /// The resource as last seen or written.
    pub(super) view: Resource,
    /// Whether `view` has the stored resource version. The number itself is left out, because
    /// it would make equal states differ.
    pub(super) is_current: bool,
    /// The status with the changes that are not recorded yet.
    pub(super) working: Recorded,
    pub(super) memory: Printed<Memory>,
    /// The key of the submit whose body this process has in memory. Such a body need not be built again from the spec.
    pub(super) body_of: Option<u64>,
    /// Whether it waits for the answer to a call.
    pub(super) is_waiting: bool,
    /// The approvals as its watch has shown them. No write is guarded by them.
    pub(super) approvals: Vec<GivenApproval>,
}

impl Process {
    /// A process that has just started and read the resource.
    pub(super) fn started(resource: &Resource, approvals: &[GivenApproval]) -> Self {
        Self {
            approvals: approvals.to_vec(),
            view: resource.clone(),
            is_current: true,
            working: resource.status.clone(),
            memory: Printed::new(Memory::default()),
            body_of: None,
            is_waiting: false,
        }
    }

    /// Whether it may continue with another view: it waits for no answer and has no unrecorded changes.
    pub(super) fn is_idle(&self) -> bool {
        !self.is_waiting && self.working == self.view.status
    }

    pub(super) fn read(&mut self, resource: &Resource) {
        self.view = resource.clone();
        self.is_current = true;
        self.working = resource.status.clone();
    }

    /// Drops the unrecorded changes of the status. The memory stays.
    pub(super) fn drop_work(&mut self) {
        self.working = self.view.status.clone();
    }
}

/// A call with an effect, under way to the platform.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Request {
    /// The process that still waits for the answer, if there is one.
    pub(super) asker: Option<usize>,
    pub(super) attempt: i64,
    pub(super) sent_at: u8,
    pub(super) call: Call,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Call {
    Submit {
        key: u64,
        /// Whether this is the first POST with this key as far as the sender knows. Then a refusal is a rejection.
        is_first: bool,
        deadline: u8,
    },
    Rollback {
        key: u64,
        job: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    Running,
    Completed,
    Failed,
    RolledBack,
}

/// A job that the platform has started.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Job {
    pub(super) attempt: i64,
    pub(super) deadline: u8,
    pub(super) phase: Phase,
    /// Whether an answer about it was ever bad.
    pub(super) was_bad: bool,
}

/// A key that the platform remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct KeptKey {
    pub(super) key: u64,
    pub(super) job: usize,
    pub(super) forgotten_at: u8,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Platform {
    pub(super) jobs: Vec<Job>,
    pub(super) keys: Vec<KeptKey>,
}

/// How many faults and requests of users may still happen. The limits make the model finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Budget {
    /// A process crashes, and loses its memory.
    pub(super) crashes: u8,
    /// A request or an answer is lost, or an answer is unreadable.
    pub(super) losses: u8,
    /// Time passes although something else could happen, or a process stops waiting for an answer.
    pub(super) delays: u8,
    /// The platform refuses a call with a 4xx.
    pub(super) refusals: u8,
    pub(super) edits: u8,
    pub(super) rollback_requests: u8,
    /// A person approves the plan that waits. Only if an approval is required.
    pub(super) approvals: u8,
    /// A person deletes an approval.
    pub(super) withdrawals: u8,
}

/// The violations so far. They are stored here, because a later state does not show them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Violations {
    pub(super) submit_without_intent: bool,
    pub(super) rollback_without_intent: bool,
    pub(super) rollback_without_cause: bool,
    pub(super) job_too_early: bool,
    pub(super) job_too_late: bool,
    pub(super) verdict_rewritten: bool,
    pub(super) attempt_dropped: bool,
    pub(super) intent_unapproved: bool,
    pub(super) open_gate_unused: bool,
    pub(super) approval_used_twice: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) tick: u8,
    pub(super) resource: Resource,
    /// `None` is a process that does not run.
    pub(super) operators: Vec<Option<Process>>,
    pub(super) network: Vec<Request>,
    pub(super) platform: Platform,
    pub(super) left: Budget,
    pub(super) has_crashed: bool,
    /// The attempts whose intent to submit, or to roll back, was ever recorded.
    pub(super) submit_intents: Vec<i64>,
    pub(super) rollback_intents: Vec<i64>,
    /// The approvals that exist, and how many were ever given.
    pub(super) approvals: Vec<GivenApproval>,
    pub(super) given: u8,
    /// The approvals with which an intent was recorded.
    pub(super) used: Vec<DecisionUid>,
    /// The number of POSTs, if each one gets its own key ([`Mutant::RandomKey`](super::protocol::Mutant::RandomKey)).
    pub(super) posts: u8,
    pub(super) violations: Violations,
}

impl World {
    pub(super) fn attempt(&self) -> Option<&Attempt> {
        self.resource.status.attempt.as_ref()
    }

    /// The recorded outcome of an attempt, current or past.
    pub(super) fn outcome_of(&self, number: i64) -> Option<Outcome> {
        outcome_of(&self.resource.status, number)
    }

    /// The recorded attempt is settled, and nothing is under way.
    pub(super) fn is_settled(&self) -> bool {
        self.network.is_empty() && self.attempt().is_some_and(|attempt| attempt.step == Step::Settled)
    }

    /// Whether the recorded attempt waits at its gate, and whether there is an approval that opens it now.
    pub(super) fn waits_at_gate(&self) -> Option<bool> {
        let attempt = self.attempt()?;
        let is_closed = attempt.gates.as_ref().is_some_and(|gates| !gates.closed.is_empty());
        let waits = is_closed && attempt.submission.is_none() && attempt.verdict.is_none();
        let is_open = |approval: &GivenApproval| approval.is_valid(attempt.plan_id.as_ref(), self.tick);
        waits.then(|| self.approvals.iter().any(is_open))
    }

    /// Replaces the stored status, and notes each violation that this causes.
    pub(super) fn store(&mut self, status: Recorded) {
        let old = &self.resource.status;
        for (number, outcome) in verdicts(old) {
            self.violations.verdict_rewritten |= outcome_of(&status, number) != Some(outcome);
        }
        if let Some(before) = old.attempt.as_ref().filter(|before| before.has_intent() && before.verdict.is_none()) {
            let after = status.attempt.as_ref().filter(|after| after.number == before.number);
            let goes_on = after
                .is_some_and(|after| after.has_intent() && (before.job.is_none() || after.job_id() == before.job_id()));
            let has_ended = outcome_of(&status, before.number).is_some_and(|outcome| outcome != Outcome::Superseded);
            self.violations.attempt_dropped |= !goes_on && !has_ended;
        }
        if let Some(attempt) = status.attempt.as_ref().filter(|attempt| attempt.has_intent())
            && !self.submit_intents.contains(&attempt.number)
        {
            for approval in attempt.gates.iter().flat_map(|gates| &gates.approvals) {
                self.violations.approval_used_twice |= self.used.contains(&approval.uid);
                self.used.push(approval.uid.clone());
            }
        }
        if let Some(attempt) = &status.attempt {
            note(&mut self.submit_intents, attempt.number, attempt.has_intent());
            note(&mut self.rollback_intents, attempt.number, attempt.rollback.is_some());
        }
        self.resource.status = status;
        self.outdate_views();
    }

    /// Sorts the processes and the requests. Their order does not change what can happen, so states that differ only in
    /// this order become equal.
    pub(super) fn order_what_is_alike(&mut self) {
        let is_waited_for = |world: &Self, who: usize| {
            let of = |request: &&Request| request.asker == Some(who);
            world.network.iter().find(of).map(|request| hash_of(&(&request.call, request.sent_at)))
        };
        let order = |world: &Self, who: usize| hash_of(&(&world.operators[who], is_waited_for(world, who)));
        if self.operators.len() == 2 && order(self, 0) > order(self, 1) {
            self.operators.swap(0, 1);
            for request in &mut self.network {
                request.asker = request.asker.map(|who| 1 - who);
            }
        }
        self.network.sort_by_cached_key(hash_of);
    }

    /// The stored resource has a new version.
    pub(super) fn outdate_views(&mut self) {
        for process in self.operators.iter_mut().flatten() {
            process.is_current = false;
        }
    }

    /// A POST of a submit arrives. The answer is the job.
    pub(super) fn start_job(&mut self, key: u64, attempt: i64, deadline: u8) -> usize {
        self.violations.submit_without_intent |= !self.submit_intents.contains(&attempt);
        let tick = self.tick;
        self.platform.keys.retain(|kept| kept.forgotten_at > tick);
        if let Some(kept) = self.platform.keys.iter().find(|kept| kept.key == key) {
            return kept.job;
        }
        for other in &self.platform.jobs {
            let has_ended = tick >= other.deadline || self.outcome_of(other.attempt).is_some();
            self.violations.job_too_early |= other.attempt < attempt && !has_ended;
            self.violations.job_too_late |= other.attempt > attempt;
        }
        let job = self.platform.jobs.len();
        self.platform.jobs.push(Job { attempt, deadline, phase: Phase::Running, was_bad: false });
        self.platform.keys.push(KeptKey { key, job, forgotten_at: tick + KEY_TTL });
        job
    }

    /// A rollback arrives. It is accepted, even if the job was already rolled back.
    pub(super) fn roll_back(&mut self, number: i64, job: usize) {
        let is_requested = self.resource.user_requests.rollback;
        let job = &mut self.platform.jobs[job];
        if job.phase == Phase::RolledBack {
            return;
        }
        self.violations.rollback_without_intent |= !self.rollback_intents.contains(&number);
        self.violations.rollback_without_cause |= !(job.was_bad || is_requested || self.tick >= job.deadline);
        job.phase = Phase::RolledBack;
    }
}

fn note(numbers: &mut Vec<i64>, number: i64, is_so: bool) {
    if is_so && !numbers.contains(&number) {
        numbers.push(number);
    }
}

fn verdicts(status: &CognigyDeploymentStatus) -> impl Iterator<Item = (i64, Outcome)> {
    let past = status.history.iter().map(|past| (past.number, past.verdict.outcome));
    let current = status.attempt.iter().filter_map(|attempt| Some((attempt.number, attempt.outcome()?)));
    past.chain(current)
}

fn outcome_of(status: &CognigyDeploymentStatus, number: i64) -> Option<Outcome> {
    verdicts(status).find(|(of, _)| *of == number).map(|(_, outcome)| outcome)
}
