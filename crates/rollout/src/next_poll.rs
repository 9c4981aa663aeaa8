//! When the next poll of the job or of the environment's health is due.

use super::facts::Facts;
use super::memory::Memory;
use super::polling::{NextPoll, PollInterval, time_for_verdict};
use api::status::{Attempt, Step};
use std::time::Duration;

/// The time until the next poll of the job or of health. The attempt's step says which of them is polled.
#[must_use]
pub fn due_in(facts: &Facts<'_>, attempt: &Attempt, memory: &Memory) -> Duration {
    let Some(polled_at) = memory.attempt.polls.last_at() else {
        return match attempt.step {
            Step::RollingOut => first_after_restart(facts, memory),
            Step::Pending
            | Step::Validating
            | Step::Tracing
            | Step::Submitting
            | Step::Monitoring
            | Step::RollingBack
            | Step::VerifyingRollback
            | Step::Settled => Duration::ZERO,
        };
    };
    let gap =
        if memory.attempt.polls.last_answer_was_not_good() { facts.interval() } else { gap(facts, attempt, memory) };
    (polled_at + gap).saturating_sub(facts.now.uptime)
}

/// The time between two polls while the last answer was good.
fn gap(facts: &Facts<'_>, attempt: &Attempt, memory: &Memory) -> Duration {
    match attempt.step {
        Step::RollingOut => {
            let age = memory.attempt.job.last_running_age().unwrap_or_default();
            next_poll(facts, memory, age).of_job(facts.polling)
        }
        Step::Monitoring if attempt.health.bad_streak == 0 => {
            next_poll(facts, memory, Duration::ZERO).of_health(facts.polling)
        }
        Step::VerifyingRollback => after_rollback(facts, memory).of_health(facts.polling),
        Step::Monitoring
        | Step::Pending
        | Step::Validating
        | Step::Tracing
        | Step::Submitting
        | Step::RollingBack
        | Step::Settled => facts.interval(),
    }
}

/// This process does not know when the job was last polled, because it has just started.
fn first_after_restart(facts: &Facts<'_>, memory: &Memory) -> Duration {
    facts.interval().saturating_sub(memory.submit_age(facts.now))
}

fn next_poll(facts: &Facts<'_>, memory: &Memory, age: Duration) -> NextPoll {
    let verdict_by = facts.timeout().saturating_sub(time_for_verdict(facts.spec));
    let room = verdict_by.saturating_sub(age_at_last_poll(facts, memory, memory.submit_age(facts.now)));
    NextPoll { interval: PollInterval::of(facts.spec), age, room }
}

/// After a rollback, the only limit is that the next poll comes before the end of the verification.
fn after_rollback(facts: &Facts<'_>, memory: &Memory) -> NextPoll {
    let age = age_at_last_poll(facts, memory, memory.verification_age(facts.now));
    NextPoll { interval: PollInterval::of(facts.spec), age, room: facts.timeout().saturating_sub(age) }
}

fn age_at_last_poll(facts: &Facts<'_>, memory: &Memory, age_now: Duration) -> Duration {
    let since = memory.attempt.polls.last_at().map_or(Duration::ZERO, |at| facts.now.uptime.saturating_sub(at));
    age_now.saturating_sub(since)
}
