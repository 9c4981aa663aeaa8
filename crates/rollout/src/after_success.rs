//! Watching the environment's health after a success (`spec.monitoring.afterSuccess`): when the next poll is due, and when the
//! success is rolled back.
//!
//! What was counted lives in memory only, so watching writes nothing while nothing changes. A restart begins to count again.

use super::claim;
use super::conditions::{ConditionUpdate, set_condition};
use super::decide::Decision;
use super::facts::Facts;
use super::memory::Memory;
use super::time::Now;
use api::condition::{ConditionSet, ConditionType};
use api::reason::Reason;
use api::spec::{AfterSuccess, OnUnhealthy};
use api::status::{Attempt, CognigyDeploymentStatus, RollbackReason, Step};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// What this process remembers about the health answers after the success.
#[derive(Clone, Debug, Default)]
pub struct AfterSuccessMemory {
    /// When this process first saw that the attempt was settled.
    settled: Option<Now>,
    /// The uptime of the last poll. For a poll that was not sent, it is a little later.
    polled_at: Option<Duration>,
    /// Bad answers in a row. A poll without an answer does not change it.
    bad_streak: u32,
    /// Polls in a row without an answer that could be read.
    unanswered_streak: u32,
}

impl AfterSuccessMemory {
    pub(super) fn observe(&mut self, now: Now) {
        self.settled.get_or_insert(now);
    }

    /// A poll was sent at this moment.
    pub(super) fn note_poll(&mut self, sent_at: Now) {
        self.polled_at = Some(sent_at.uptime);
    }

    /// A poll could not be sent. The next one is due an interval later, and a random part of it more: otherwise polls that find
    /// no room in the budget would come at the same crowded moment again and again.
    pub(super) fn note_unsent(&mut self, now: Now, interval: Duration, jitter: f64) {
        self.polled_at = Some(now.uptime + interval.mul_f64(0.2 * jitter.clamp(0.0, 1.0)));
    }

    pub(super) fn note_good(&mut self) {
        (self.bad_streak, self.unanswered_streak) = (0, 0);
    }

    /// Returns how many answers in a row were bad.
    pub(super) fn note_bad(&mut self) -> u32 {
        self.unanswered_streak = 0;
        self.bad_streak = self.bad_streak.saturating_add(1);
        self.bad_streak
    }

    /// Returns how many polls in a row had no answer.
    pub(super) fn note_unanswered(&mut self) -> u32 {
        self.unanswered_streak = self.unanswered_streak.saturating_add(1);
        self.unanswered_streak
    }
}

/// How the environment of this attempt is watched. `None` if it is not watched: only the success that the environment still runs
/// is watched, and only if the spec says so.
#[must_use]
pub fn policy<'a>(facts: &Facts<'a>, attempt: &Attempt) -> Option<&'a AfterSuccess> {
    let runs = attempt.step == Step::Settled && claim::claims_to_run(attempt) && facts.other_owner.is_none();
    facts.spec.monitoring.after_success.as_ref().filter(|_| runs && facts.deleted_at.is_none())
}

/// Whether the environment of the present attempt is watched.
#[must_use]
pub fn is_watched(status: &CognigyDeploymentStatus, facts: &Facts<'_>) -> bool {
    status.attempt.as_ref().is_some_and(|attempt| policy(facts, attempt).is_some())
}

/// The next decision about a settled attempt with nothing else to do. A rollback makes the attempt one that is not watched, so
/// there is at most one.
#[must_use]
pub fn next(facts: &Facts<'_>, attempt: &Attempt, memory: &Memory) -> Decision {
    let Some(watch) = policy(facts, attempt) else { return Decision::Wait(None) };
    let known = &memory.attempt.after_success;
    if watch.on_unhealthy == OnUnhealthy::Rollback && known.bad_streak >= watch.threshold() {
        return Decision::BeginRollback(RollbackReason::HealthCheckFailure);
    }
    match due_in(facts, memory, watch.interval()) {
        Duration::ZERO => Decision::WatchHealth,
        left => Decision::Wait(Some(left)),
    }
}

fn due_in(facts: &Facts<'_>, memory: &Memory, interval: Duration) -> Duration {
    let known = &memory.attempt.after_success;
    let due_at = match (known.polled_at, known.settled) {
        (Some(polled_at), _) => polled_at + interval,
        (None, Some(settled)) => {
            let turn = settled.uptime + until_turn(facts.uid, settled.wall, interval);
            // The poll that found the success may have been sent just now.
            let is_too_soon = memory.attempt.polls.last_at().is_some_and(|polled_at| turn < polled_at + interval);
            if is_too_soon { turn + interval } else { turn }
        }
        (None, None) => facts.now.uptime + interval,
    };
    due_at.saturating_sub(facts.now.uptime)
}

/// The time until the resource's own moment in the interval. It follows from the uid, so the polls of many resources are spread,
/// and a restart does not make them more frequent.
fn until_turn(uid: &str, wall: Timestamp, interval: Duration) -> Duration {
    let hash: [u8; 32] = Sha256::digest(uid).into();
    let number = hash.iter().take(8).fold(0, |number: u64, byte| (number << 8) | u64::from(*byte));
    let interval = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(1);
    let elapsed = u64::try_from(wall.as_millisecond()).unwrap_or_default() % interval;
    Duration::from_millis((number % interval + interval - elapsed) % interval)
}

/// If health was bad and is not watched any more, because somebody has removed `afterSuccess`, it is not known now.
pub(super) fn forget_if_unwatched(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) {
    let is_off = facts.spec.monitoring.after_success.is_none()
        && status
            .attempt
            .as_ref()
            .is_some_and(|attempt| attempt.step == Step::Settled && claim::claims_to_run(attempt));
    let healthy = status.conditions.find(ConditionType::Healthy);
    if is_off && healthy.is_some_and(|healthy| healthy.reason == Reason::UnhealthyAfterSuccess) {
        let message = "health was bad when it was watched last, and spec.monitoring.afterSuccess was removed since: look at the \
                       environment, or write afterSuccess again";
        set_condition(
            status,
            facts,
            ConditionUpdate::set_unknown(ConditionType::Healthy, Reason::HealthUnknown, message),
        );
    }
}
