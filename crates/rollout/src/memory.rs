//! What this process remembers about one resource. It may be lost at any time: after a restart, some requests are sent
//! again, but no outcome is worse.

use super::answer::{Cause, Obstacle, Retry};
use super::attempt_memory::AttemptMemory;
use super::time::{Now, ObservedTime};
use api::status::Attempt;
use jiff::Timestamp;
use std::time::Duration;

/// How often the operator checks again whether a person has removed an obstacle.
pub const OBSTACLE_CHECK_INTERVAL: Duration = Duration::from_secs(60);
/// The first pause after a failed try. It doubles with each failure.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The longest pause between two tries of a rollback, unless the API asks for a little more: a bad release is live.
const LONGEST_ROLLBACK_PAUSE: Duration = Duration::from_secs(30);

/// What this process remembers about one resource.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The obstacle, and the generation of the spec in which it was met.
    blocked: Option<Blocked>,
    /// The status that held the last event could not be recorded, so that the event was not published.
    event_was_lost: bool,
    /// How often in a row the present call has failed.
    failures: u32,
    /// The uptime before which the failed call is not tried again.
    pause_until: Option<Duration>,
    /// When the resource was deleted.
    deletion: Option<ObservedTime>,
    /// The credentials were missing when the controller last read them.
    pub credentials_gone: bool,
    /// What it remembers about the present attempt.
    pub attempt: AttemptMemory,
    /// The number of the attempt that a person requested, or requested to retry.
    requested_attempt: Option<i64>,
    /// A random number from 0 to 1, drawn again for each reconcile. It spreads the retries of many resources.
    pub jitter: f64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Blocked {
    obstacle: Obstacle,
    /// After an edit of the spec, the obstacle no longer counts, and the operator tries again.
    generation: i64,
}

impl Memory {
    /// Prepares for a decision about this attempt and this deletion. What was remembered about another attempt is forgotten.
    pub fn prepare_for(&mut self, attempt: Option<&Attempt>, deleted_at: Option<Timestamp>, now: Now) {
        if let (Some(deleted_at), None) = (deleted_at, self.deletion) {
            self.deletion = Some(ObservedTime::new(deleted_at, now));
        }
        if !self.attempt.is_of(attempt) {
            self.attempt = AttemptMemory::of(attempt);
            self.clear_failures();
        }
        match attempt {
            Some(attempt) => self.attempt.observe(attempt, now),
            // After a reset of the status, the next attempt may have the same number as an earlier attempt that a
            // person requested.
            None => self.requested_attempt = None,
        }
    }

    /// The obstacle, unless the spec was edited since.
    #[must_use]
    pub fn obstacle(&self, generation: i64) -> Option<&Obstacle> {
        self.blocked.as_ref().filter(|blocked| blocked.generation == generation).map(|blocked| &blocked.obstacle)
    }

    /// Whether this obstacle was met before, in this generation of the spec.
    #[must_use]
    pub fn is_blocked_by(&self, cause: Cause, generation: i64) -> bool {
        self.obstacle(generation).is_some_and(|known| known.cause == cause)
    }

    /// Remembers an obstacle, and sets the pause before the next try. The pause grows if the obstacle may go away by itself.
    pub fn block(&mut self, obstacle: Obstacle, generation: i64, now: Now) {
        self.block_for(self.pause(LONGEST_PAUSE), obstacle, generation, now);
    }

    /// Remembers what prevented a poll from being sent. The poll is due again one interval later, as if it had been sent.
    pub fn block_poll(&mut self, obstacle: Obstacle, generation: i64, now: Now, interval: Duration) {
        self.block_for(interval, obstacle, generation, now);
    }

    fn block_for(&mut self, pause: Duration, obstacle: Obstacle, generation: i64, now: Now) {
        let pause = match obstacle.retry {
            Retry::Later { at_least } => pause.max(at_least.unwrap_or_default()),
            Retry::CredentialsChange | Retry::InputChange | Retry::SnapshotChange | Retry::OwnerGone => {
                OBSTACLE_CHECK_INTERVAL
            }
        };
        self.pause_for(pause, now);
        self.set_obstacle(obstacle, generation);
    }

    /// Remembers an obstacle while the call that met it continues.
    pub fn set_obstacle(&mut self, obstacle: Obstacle, generation: i64) {
        self.blocked = Some(Blocked { obstacle, generation });
    }

    /// Keeps the present obstacle, and treats it as met in this generation. Does nothing if there is none.
    pub fn keep_obstacle(&mut self, generation: i64) -> bool {
        let Some(blocked) = &mut self.blocked else { return false };
        blocked.generation = generation;
        true
    }

    /// Sets the pause before the rollback is requested again. The pause stays short, whatever the API asks for.
    pub fn pause_rollback(&mut self, retry: Retry, now: Now) {
        let pause = match retry {
            Retry::Later { at_least } => {
                self.pause(LONGEST_ROLLBACK_PAUSE).max(at_least.unwrap_or_default()).min(OBSTACLE_CHECK_INTERVAL)
            }
            Retry::CredentialsChange | Retry::InputChange | Retry::SnapshotChange | Retry::OwnerGone => {
                OBSTACLE_CHECK_INTERVAL
            }
        };
        self.pause_for(pause, now);
    }

    fn pause_for(&mut self, pause: Duration, now: Now) {
        self.failures = self.failures.saturating_add(1);
        self.pause_until = Some(now.uptime + pause);
    }

    /// The rest of the pause after a failed try. Zero if there is none.
    #[must_use]
    pub fn pause_left(&self, now: Now) -> Duration {
        self.pause_until.map_or(Duration::ZERO, |until| until.saturating_sub(now.uptime))
    }

    /// The status could not be recorded, so that its events were not published. They are published when they happen again.
    pub fn note_lost_event(&mut self) {
        self.event_was_lost = true;
    }

    /// Whether the last event was not published. The caller publishes it now.
    pub fn take_lost_event(&mut self) -> bool {
        std::mem::take(&mut self.event_was_lost)
    }

    /// Forgets the obstacle: the call went through, or is worth another try.
    pub fn clear_failures(&mut self) {
        self.blocked = None;
        self.failures = 0;
        self.pause_until = None;
    }

    /// Between half and the whole of the doubled pause.
    fn pause(&self, longest: Duration) -> Duration {
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(longest);
        doubled.mul_f64(0.5 + 0.5 * self.jitter.clamp(0.0, 1.0))
    }

    /// A person requested this attempt, or requested to retry it.
    pub fn note_requested(&mut self, attempt: Option<&Attempt>) {
        self.requested_attempt = attempt.map(|attempt| attempt.number);
    }

    /// Whether a person requested this attempt, or requested to retry it.
    #[must_use]
    pub fn is_requested(&self, attempt: &Attempt) -> bool {
        self.requested_attempt == Some(attempt.number)
    }

    /// The time since the intent to submit was written, or since a late submit was accepted.
    #[must_use]
    pub fn submit_age(&self, now: Now) -> Duration {
        self.attempt.submission.age(now)
    }

    /// The time since the job was accepted, or since its intent if another process has submitted it.
    #[must_use]
    pub fn job_age(&self, now: Now) -> Duration {
        self.attempt.job.age(now).unwrap_or_else(|| self.submit_age(now))
    }

    /// The time since the rollback was accepted or refused.
    #[must_use]
    pub fn verification_age(&self, now: Now) -> Duration {
        self.attempt.rollback.verification_age(now)
    }

    /// The time since the resource was deleted.
    #[must_use]
    pub fn deletion_age(&self, now: Now) -> Duration {
        self.deletion.map_or(Duration::ZERO, |deletion| deletion.age(now))
    }

    /// For how long this process has known that the resource was deleted.
    #[must_use]
    pub fn deletion_known_for(&self, now: Now) -> Duration {
        self.deletion.map_or(Duration::ZERO, |deletion| deletion.known_for(now))
    }

    /// A request for the job or for health got no good answer. It was sent at this moment.
    pub fn note_no_good_answer(&mut self, sent_at: Now) {
        let age = self.submit_age(sent_at);
        self.attempt.polls.note_no_good_answer(age);
    }
}
