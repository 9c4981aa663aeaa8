//! What this process remembers of a resource, and may forget at any time: nothing here decides an outcome that a restart
//! would decide otherwise for the worse.

use super::admission::Turn;
use super::answer::{Obstacle, Retry, SubmitAnswer};
use super::durations::JobRun;
use super::facts::{Now, Sighting};
use api::status::Attempt;
use api::{Digest, IdempotencyKey};
use jiff::Timestamp;
use std::time::Duration;

/// How often something that somebody must mend is looked at again.
pub const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// How long the pause after a failed try is at first; it doubles with each failure.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The longest pause between two tries of a rollback, unless the API asks for a little more: a bad bot is out there.
const LONGEST_ROLLBACK_PAUSE: Duration = Duration::from_secs(30);

/// What this process remembers of a resource.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// What stands in the way, and since which generation.
    pub blocked: Option<Blocked>,
    /// The record of what was to be told last has failed, so that nobody was told.
    told_in_vain: bool,
    /// How often in a row the present call has failed.
    pub failures: u32,
    /// Before this time of the process the failed call is not tried again.
    pub pause_until: Option<Duration>,
    /// When this process first saw that the resource was deleted.
    pub deletion: Option<Sighting>,
    /// The credentials were missing when they were last looked for.
    pub credentials_gone: bool,
    /// What it remembers of the current attempt.
    pub attempt: AttemptMemory,
    /// The attempt that a person asked for last, or asked to be tried again.
    pub asked_for: Option<i64>,
    /// Spreads the tries of a fleet: between 0 and 1, drawn anew for each pause.
    pub jitter: f64,
}

/// An obstacle, and the generation in which it was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// What stands in the way.
    pub obstacle: Obstacle,
    /// The spec's generation at that time; an edit is worth another try.
    pub generation: i64,
}

/// When a question was asked, and when it was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// When it was asked.
    pub asked: Now,
    /// When its answer was there.
    pub answered: Now,
}

impl Answered {
    /// How long the answer took.
    #[must_use]
    pub fn took(self) -> Duration {
        self.answered.uptime.saturating_sub(self.asked.uptime)
    }
}

/// What this process remembers of the current attempt.
#[derive(Clone, Debug, Default)]
pub struct AttemptMemory {
    /// Which attempt: another one starts with an empty memory. The number alone is not enough: it starts again if somebody
    /// resets the status, and an attempt whose first record failed may begin anew, with its number, at another
    /// configuration.
    of: Option<(i64, Timestamp, Digest)>,
    /// When the validation was answered in this process: for how long it took.
    pub validation: Option<Answered>,
    /// When the synthetic trace was answered in this process: for how long it took.
    pub trace: Option<Answered>,
    /// Whether it is its turn to begin; nothing that has begun asks for it.
    pub turn: Turn,
    /// The synthetic trace has passed in this process, so the intent comes next.
    pub trace_passed: bool,
    /// The key of an intent that this process wrote and has not sent yet: only this one POST can be rejected.
    pub unsent: Option<IdempotencyKey>,
    /// The submit's conclusive answer, until it is recorded: a record that failed must not send the submit again.
    pub submit_answer: Option<SubmitAnswer>,
    /// The submit's outcome cannot be told from its answer, and why.
    pub submit_unknown: Option<String>,
    /// The submit's body can no longer be built to the recorded hash.
    pub body_lost: bool,
    /// When this process first saw the intent, or that the rollout was taken late.
    pub submit: Option<Sighting>,
    /// The rollback that is remembered; another one starts anew.
    rollback_key: Option<IdempotencyKey>,
    /// When the verification after the rollback began.
    pub verification: Option<Sighting>,
    /// When the job was taken, in the time of the process; from then on it runs.
    pub taken_at: Option<Duration>,
    /// How old the job was when it was last seen running, in this process.
    pub running_at_age: Option<Duration>,
    /// What the looks at the job have told of how long it takes, until somebody has learned from it.
    pub job_run: Option<JobRun>,
    /// The last answer was bad or could not be read: the next question is not put off.
    pub is_in_doubt: bool,
    /// When the job or health was last asked, in the time of the process.
    pub polled_at: Option<Duration>,
    /// When a health answer last counted, in the time of the process: at the latest when this process began.
    pub counted_at: Option<Duration>,
    /// When the job was first not found.
    pub job_missing_at: Option<Duration>,
    /// How old the submit was when the last question was asked that got no good answer, in this process.
    pub no_good_answer_at_age: Option<Duration>,
    /// How long after the rollback health was asked last without a good answer, in this process.
    pub unwell_at_age: Option<Duration>,
    /// Health is good, but the platform may have rolled back in between: one look at the job before success.
    pub must_look_at_job: bool,
    /// Until when nothing can have happened unseen, in this process, since the job was seen complete: health was not once
    /// bad or unreadable, and the questions followed each other closely.
    pub undisturbed_until: Option<Duration>,
    /// Why the rollback is not accepted, as people were told last.
    pub rollback_cause: Option<String>,
}

impl Memory {
    /// Turns to what is in front of us: the attempt of the status (what was remembered of another one is forgotten) and
    /// the deletion, if there is one.
    pub fn turn_to(&mut self, attempt: Option<&Attempt>, deleted_at: Option<Timestamp>, now: Now) {
        if let (Some(deleted_at), None) = (deleted_at, self.deletion) {
            self.deletion = Some(Sighting::of(deleted_at, now));
        }
        let of = attempt.map(|attempt| (attempt.number, attempt.started_at, attempt.digest.clone()));
        if self.attempt.of != of {
            self.attempt = AttemptMemory { of, ..AttemptMemory::default() };
            self.clear_failures();
        }
        let Some(attempt) = attempt else {
            // The next attempt may have the number of one that a person asked for before the status was reset.
            self.asked_for = None;
            return;
        };
        if let Some(began) = attempt.accepted_at.or(attempt.submitted_at)
            && !self.attempt.submit.is_some_and(|seen| seen.is_of(began))
        {
            self.attempt.submit = Some(Sighting::of(began, now));
        }
        if attempt.last_counted_at.is_some() {
            // When that was, only the wall clock tells, which may have jumped, or be another machine's.
            self.attempt.counted_at.get_or_insert(now.uptime);
        }
        let Some(rollback) = &attempt.rollback else { return };
        if self.attempt.rollback_key.as_ref() != Some(&rollback.key) {
            self.attempt.rollback_key = Some(rollback.key.clone());
            self.attempt.verification = None;
            self.attempt.unwell_at_age = None;
            self.attempt.rollback_cause = None;
        }
        if let (Some(ended_at), None) = (rollback.accepted_at.or(rollback.refused_at), self.attempt.verification) {
            self.attempt.verification = Some(Sighting::of(ended_at, now));
        }
    }

    /// What stands in the way, unless the spec was edited since.
    #[must_use]
    pub fn obstacle(&self, generation: i64) -> Option<&Obstacle> {
        self.blocked.as_ref().filter(|blocked| blocked.generation == generation).map(|blocked| &blocked.obstacle)
    }

    /// Remembers an obstacle, and sets the pause before the next try: a growing one where time may remove it.
    pub fn meet(&mut self, obstacle: Obstacle, generation: i64, now: Now) {
        self.meet_after(self.pause(LONGEST_PAUSE), obstacle, generation, now);
    }

    /// Remembers what kept a question from being sent; it is asked again an interval later, as if it had been.
    pub fn meet_question(&mut self, obstacle: Obstacle, generation: i64, now: Now, interval: Duration) {
        self.meet_after(interval, obstacle, generation, now);
    }

    fn meet_after(&mut self, pause: Duration, obstacle: Obstacle, generation: i64, now: Now) {
        let pause = match obstacle.retry {
            Retry::Later { at_least } => pause.max(at_least.unwrap_or_default()),
            _ => LOOK_AGAIN,
        };
        self.pause_for(pause, now);
        self.show(obstacle, generation);
    }

    /// Remembers an obstacle while the call that met it goes on.
    pub fn show(&mut self, obstacle: Obstacle, generation: i64) {
        self.blocked = Some(Blocked { obstacle, generation });
    }

    /// Sets the pause before a rollback is asked for again. It stays short, whatever pause the API asks for.
    pub fn pause_rollback(&mut self, retry: Retry, now: Now) {
        let pause = match retry {
            Retry::Later { at_least } => {
                self.pause(LONGEST_ROLLBACK_PAUSE).max(at_least.unwrap_or_default()).min(LOOK_AGAIN)
            }
            _ => LOOK_AGAIN,
        };
        self.pause_for(pause, now);
    }

    fn pause_for(&mut self, pause: Duration, now: Now) {
        self.failures = self.failures.saturating_add(1);
        self.pause_until = Some(now.uptime + pause);
    }

    /// Notes that nobody was told, because the record failed: it is told again when it is met again.
    pub fn note_told_in_vain(&mut self) {
        self.told_in_vain = true;
    }

    /// Whether nobody was told last time; it is about to be made up for.
    pub fn take_told_in_vain(&mut self) -> bool {
        std::mem::take(&mut self.told_in_vain)
    }

    /// Forgets the obstacle: the call went through, or is worth another try.
    pub fn clear_failures(&mut self) {
        self.blocked = None;
        self.failures = 0;
        self.pause_until = None;
    }

    /// Whether the pause after a failed try still lasts.
    #[must_use]
    pub fn is_pausing(&self, now: Now) -> bool {
        self.pause_until.is_some_and(|until| until > now.uptime)
    }

    /// Between half and the whole of the doubled pause.
    fn pause(&self, longest: Duration) -> Duration {
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(longest);
        doubled.mul_f64(0.5 + 0.5 * self.jitter.clamp(0.0, 1.0))
    }

    /// The time since the intent was written, or since the rollout was taken late.
    #[must_use]
    pub fn submit_age(&self, now: Now) -> Duration {
        self.attempt.submit.map_or(Duration::ZERO, |sighting| sighting.age(now))
    }

    /// How old the job is: the time since it was taken, or since its intent where another process sent it.
    #[must_use]
    pub fn job_age(&self, now: Now) -> Duration {
        let taken_at = self.attempt.taken_at;
        taken_at.map_or_else(|| self.submit_age(now), |taken_at| now.uptime.saturating_sub(taken_at))
    }

    /// The time since the rollback was accepted or refused.
    #[must_use]
    pub fn verification_age(&self, now: Now) -> Duration {
        self.attempt.verification.map_or(Duration::ZERO, |sighting| sighting.age(now))
    }

    /// The time since the resource was deleted.
    #[must_use]
    pub fn deletion_age(&self, now: Now) -> Duration {
        self.deletion.map_or(Duration::ZERO, |sighting| sighting.age(now))
    }
}
