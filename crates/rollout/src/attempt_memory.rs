//! What this process remembers about one attempt, stage by stage.

use super::admission::AdmissionSlot;
use super::after_success::AfterSuccessMemory;
use super::answer::SubmitAnswer;
use super::durations::JobRun;
use super::time::{Answered, Now, ObservedTime};
use api::status::{Attempt, Step};
use api::{Digest, IdempotencyKey};
use jiff::Timestamp;
use std::time::Duration;

/// The answer to the first health poll must arrive within this time after the job poll was sent. If it arrives later,
/// health may have been bad in between, and the platform may have rolled back.
const AT_ONCE: Duration = Duration::from_secs(5);

/// What this process remembers about one attempt.
#[derive(Clone, Debug, Default)]
pub struct AttemptMemory {
    of: Option<AttemptId>,
    /// The permission to start under the request budget. An attempt that has an intent does not need it.
    pub slot: AdmissionSlot,
    /// The checks.
    pub checks: CheckTimes,
    /// The submit.
    pub submission: SubmissionMemory,
    /// The job.
    pub job: JobMemory,
    /// The polls of the job and of health.
    pub polls: PollMemory,
    /// The health answers.
    pub health: HealthMemory,
    /// The rollback.
    pub rollback: RollbackMemory,
    /// The health answers after the success.
    pub after_success: AfterSuccessMemory,
}

/// Identifies an attempt. The number alone is not enough: it starts again if somebody resets the status, and an attempt
/// whose first record failed may start again with its number and another configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
struct AttemptId {
    number: i64,
    started_at: Timestamp,
    digest: Digest,
}

impl AttemptId {
    fn of(attempt: &Attempt) -> Self {
        Self { number: attempt.number, started_at: attempt.started_at, digest: attempt.digest.clone() }
    }
}

impl AttemptMemory {
    pub(super) fn of(attempt: Option<&Attempt>) -> Self {
        Self { of: attempt.map(AttemptId::of), ..Self::default() }
    }

    pub(super) fn is_of(&self, attempt: Option<&Attempt>) -> bool {
        self.of == attempt.map(AttemptId::of)
    }

    /// Takes note of what the recorded attempt says.
    pub(super) fn observe(&mut self, attempt: &Attempt, now: Now) {
        self.submission.observe(attempt.deadline_counts_from(), now);
        if attempt.health.last_counted_at.is_some() {
            self.health.observe_counted(now);
        }
        self.rollback.observe(attempt, now);
        if attempt.step == Step::Settled {
            self.after_success.observe(now);
        }
    }
}

/// When the checks were made by this process. It is only used to measure how long they took.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckTimes {
    /// The validation.
    pub validation: Option<Answered>,
    /// The synthetic trace.
    pub synthetic_trace: Option<Answered>,
}

/// What this process remembers about the submit.
#[derive(Clone, Debug, Default)]
pub struct SubmissionMemory {
    unsent: Option<IdempotencyKey>,
    answer: Option<SubmitAnswer>,
    unknown: Option<String>,
    body_changed: bool,
    observed: Option<ObservedTime>,
}

impl SubmissionMemory {
    fn observe(&mut self, started_at: Option<Timestamp>, now: Now) {
        if let Some(started_at) = started_at
            && !self.observed.is_some_and(|observed| observed.is_from(started_at))
        {
            self.observed = Some(ObservedTime::new(started_at, now));
        }
    }

    /// This process has just written the intent. `first_key` is the key if nobody can have sent anything under it yet.
    pub fn intend(&mut self, first_key: Option<IdempotencyKey>, now: Now) {
        self.unsent = first_key;
        self.observed = Some(ObservedTime::new(now.wall, now));
    }

    /// When the time for a verdict started.
    #[must_use]
    pub fn observed(&self) -> Option<ObservedTime> {
        self.observed
    }

    pub(super) fn age(&self, now: Now) -> Duration {
        self.observed.map_or(Duration::ZERO, |observed| observed.age(now))
    }

    /// Whether the next POST is the first one under this key, and this process wrote the intent: only then does a refusal
    /// mean that nothing was submitted.
    #[must_use]
    pub fn is_unsent(&self, key: &IdempotencyKey) -> bool {
        self.unsent.as_ref() == Some(key)
    }

    /// Somebody may have sent the submit: from now on a refusal proves nothing.
    pub fn may_be_sent(&mut self) {
        self.unsent = None;
    }

    /// Remembers a conclusive answer until it is recorded. If the record fails, the submit must not be sent again.
    pub fn remember_answer(&mut self, answer: SubmitAnswer) {
        self.answer = Some(answer);
    }

    /// A conclusive answer that may not be recorded yet.
    #[must_use]
    pub fn answer(&self) -> Option<&SubmitAnswer> {
        self.answer.as_ref()
    }

    /// The answer does not tell whether the submit was accepted. Returns whether this is new.
    pub fn set_unknown(&mut self, why: String) -> bool {
        self.unknown.replace(why).is_none()
    }

    /// Why nobody can tell whether the submit was accepted.
    #[must_use]
    pub fn unknown(&self) -> Option<&str> {
        self.unknown.as_deref()
    }

    /// The submit was accepted after all.
    pub fn clear_unknown(&mut self) {
        self.unknown = None;
    }

    /// Sets whether the body of the submit can no longer be built as it was recorded.
    pub fn set_body_changed(&mut self, is_lost: bool) {
        self.body_changed = is_lost;
    }

    /// Whether the body of the submit can no longer be built as it was recorded.
    #[must_use]
    pub fn has_body_changed(&self) -> bool {
        self.body_changed
    }
}

/// What this process remembers about the job.
#[derive(Clone, Debug, Default)]
pub struct JobMemory {
    /// The uptime at which the submit was accepted. The job has been running since then.
    accepted_at: Option<Duration>,
    last_running_age: Option<Duration>,
    finished_run: Option<JobRun>,
    /// The uptime of the first poll that did not find the job.
    missing_at: Option<Duration>,
}

impl JobMemory {
    /// This process has heard that the submit was accepted.
    pub fn accept(&mut self, now: Now) {
        self.accepted_at = Some(now.uptime);
    }

    pub(super) fn age(&self, now: Now) -> Option<Duration> {
        self.accepted_at.map(|accepted_at| now.uptime.saturating_sub(accepted_at))
    }

    /// The job was still running at this age.
    pub fn note_running(&mut self, age: Duration) {
        self.last_running_age = Some(age);
    }

    /// The age at which the job was last seen running by this process.
    #[must_use]
    pub fn last_running_age(&self) -> Option<Duration> {
        self.last_running_age
    }

    /// The job had ended at this age. A job that another process submitted, and that this process has never seen running,
    /// tells nothing about durations: nobody may have polled it for hours.
    pub fn note_ended(&mut self, age: Duration) {
        let was_watched = self.last_running_age.is_some() || self.accepted_at.is_some();
        self.finished_run = was_watched.then_some(JobRun { running: self.last_running_age, ended: age });
    }

    /// What the polls of this job showed about its duration. It is returned once.
    pub fn take_finished_run(&mut self) -> Option<JobRun> {
        self.finished_run.take()
    }

    /// The API does not know the job. Returns the uptime of the first such answer, unless this is the first.
    pub fn note_missing(&mut self, sent_at: Now) -> Option<Duration> {
        let before = self.missing_at;
        self.missing_at.get_or_insert(sent_at.uptime);
        before
    }

    /// The API knows the job, or the poll could not be sent.
    pub fn note_not_missing(&mut self) {
        self.missing_at = None;
    }

    /// Forgets what is only used to adjust the polls.
    pub fn forget_durations(&mut self) {
        self.accepted_at = None;
        self.last_running_age = None;
        self.finished_run = None;
    }
}

/// What this process remembers about its polls of the job and of health.
#[derive(Clone, Debug, Default)]
pub struct PollMemory {
    last_at: Option<Duration>,
    last_answer_was_not_good: bool,
    no_good_answer_at_age: Option<Duration>,
}

impl PollMemory {
    /// The uptime of the last poll.
    #[must_use]
    pub fn last_at(&self) -> Option<Duration> {
        self.last_at
    }

    /// A poll was sent at this moment. `last_answer_was_not_good` says whether its answer was bad or could not be read.
    /// If so, the next poll is not delayed, even if the budget is busy.
    pub fn note(&mut self, sent_at: Now, last_answer_was_not_good: bool) {
        self.last_at = Some(sent_at.uptime);
        self.last_answer_was_not_good = last_answer_was_not_good;
    }

    /// Whether the last answer was bad or could not be read.
    #[must_use]
    pub fn last_answer_was_not_good(&self) -> bool {
        self.last_answer_was_not_good
    }

    /// Sets whether the last answer was bad or could not be read.
    pub fn set_last_answer_was_not_good(&mut self, last_answer_was_not_good: bool) {
        self.last_answer_was_not_good = last_answer_was_not_good;
    }

    /// The next poll is due at once.
    pub fn make_due(&mut self) {
        self.last_at = None;
    }

    pub(super) fn note_no_good_answer(&mut self, age: Duration) {
        self.no_good_answer_at_age = Some(age);
    }

    /// The age of the submit at the time of the last poll that got no good answer.
    #[must_use]
    pub fn no_good_answer_at_age(&self) -> Option<Duration> {
        self.no_good_answer_at_age
    }
}

/// What this process remembers about the health answers.
#[derive(Clone, Debug, Default)]
pub struct HealthMemory {
    counted_at: Option<Duration>,
    undisturbed_until: Option<Duration>,
    must_check_job: bool,
}

impl HealthMemory {
    /// The status says that an answer was counted. The recorded time is from the wall clock, which may have jumped or
    /// may belong to another machine. So this process uses the moment at which it first saw this.
    fn observe_counted(&mut self, now: Now) {
        self.counted_at.get_or_insert(now.uptime);
    }

    /// The uptime at which the request for the last counted answer was sent, but not before the start of this process.
    #[must_use]
    pub fn counted_at(&self) -> Option<Duration> {
        self.counted_at
    }

    /// The answer to a request that was sent at this moment counts.
    pub fn count(&mut self, sent_at: Now) {
        self.counted_at = Some(sent_at.uptime);
    }

    /// A poll that was sent at this moment found that the job has completed.
    pub fn begin_after_job(&mut self, sent_at: Now) {
        self.must_check_job = false;
        self.undisturbed_until = Some(sent_at.uptime + AT_ONCE);
    }

    /// A good answer arrived. Returns true if no bad health can have been missed since the job completed: each answer
    /// was good, and the polls followed each other closely.
    pub fn note_good(&mut self, sent_at: Now, answered_at: Now, interval: Duration) -> bool {
        let undisturbed = self.undisturbed_until.is_some_and(|until| answered_at.uptime <= until);
        // The next poll follows one interval later.
        self.undisturbed_until = undisturbed.then(|| sent_at.uptime + interval.mul_f64(1.5));
        undisturbed
    }

    /// Health was bad, or could not be read.
    pub fn note_disturbed(&mut self) {
        self.undisturbed_until = None;
    }

    /// Health is good, but the platform may have rolled back in between: the job must be checked once before success.
    pub fn require_job_check(&mut self) {
        self.must_check_job = true;
    }

    /// The job was checked.
    pub fn job_checked(&mut self) {
        self.must_check_job = false;
    }

    /// Whether the job must be checked once before success.
    #[must_use]
    pub fn must_check_job(&self) -> bool {
        self.must_check_job
    }
}

/// What this process remembers about the rollback.
#[derive(Clone, Debug, Default)]
pub struct RollbackMemory {
    /// Identifies the rollback. If another rollback begins, the memory of this one is dropped.
    key: Option<IdempotencyKey>,
    verification: Option<ObservedTime>,
    not_healthy_at_age: Option<Duration>,
    cause: Option<String>,
}

impl RollbackMemory {
    fn observe(&mut self, attempt: &Attempt, now: Now) {
        let Some(rollback) = &attempt.rollback else { return };
        if self.key.as_ref() != Some(&rollback.key) {
            *self = Self { key: Some(rollback.key.clone()), ..Self::default() };
        }
        if let (Some(ended_at), None) = (rollback.accepted_at.or(rollback.refused_at), self.verification) {
            self.verification = Some(ObservedTime::new(ended_at, now));
        }
    }

    /// When the rollback was accepted or refused.
    #[must_use]
    pub fn verification(&self) -> Option<ObservedTime> {
        self.verification
    }

    pub(super) fn verification_age(&self, now: Now) -> Duration {
        self.verification.map_or(Duration::ZERO, |verification| verification.age(now))
    }

    /// A poll of health after the rollback got no good answer. It was sent at this moment.
    pub fn note_not_healthy(&mut self, sent_at: Now) {
        self.not_healthy_at_age = Some(self.verification_age(sent_at));
    }

    /// The time from the rollback to the last health poll that got no good answer.
    #[must_use]
    pub fn not_healthy_at_age(&self) -> Option<Duration> {
        self.not_healthy_at_age
    }

    /// Remembers why the rollback is not accepted. Returns whether this cause is new.
    pub fn set_cause(&mut self, cause: String) -> bool {
        let is_new = self.cause.as_ref() != Some(&cause);
        self.cause = Some(cause);
        is_new
    }
}
