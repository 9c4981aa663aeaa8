//! What the environment's health means (contract, section 5): during the monitoring, and after a rollback.

use super::job::note_no_good_answer;
use super::rollback;
use crate::answer::HealthAnswer;
use crate::attempt;
use crate::conditions::{Tell, tell};
use crate::decide::is_past_deadline;
use crate::facts::Facts;
use crate::memory::Memory;
use crate::notice::Effects;
use api::condition::ConditionType;
use api::reason::Reason;
use api::status::{Attempt, CognigyDeploymentStatus, Outcome, RollbackReason, Step};

/// What health said to the question that was asked at `facts.asked`.
pub fn health(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    answer: HealthAnswer,
) -> Effects {
    memory.attempt.polled_at = Some(facts.asked.uptime);
    memory.clear_failures();
    let step = status.attempt.as_ref().map(|attempt| attempt.step);
    match (step, answer) {
        (Some(Step::Monitoring), HealthAnswer::Good) => good(status, facts, memory),
        (Some(Step::Monitoring), HealthAnswer::Bad(what)) => bad(status, facts, memory, &what),
        (Some(Step::Monitoring), HealthAnswer::Unreadable(why)) => {
            memory.attempt.undisturbed_until = None;
            memory.attempt.is_in_doubt = true;
            note_no_good_answer(facts, memory);
            tell(status, facts, unreadable(&why));
            Effects::none()
        }
        (Some(Step::VerifyingRollback), answer) => after_rollback(status, facts, memory, answer),
        _ => Effects::none(),
    }
}

fn unreadable(why: &str) -> Tell {
    Tell::unknown(ConditionType::Healthy, Reason::HealthUnreadable, format!("health could not be read: {why}"))
}

fn good(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory) -> Effects {
    memory.attempt.is_in_doubt = false;
    let undisturbed = memory.attempt.undisturbed_until.is_some_and(|until| facts.now.uptime <= until);
    // The next look follows an interval later.
    memory.attempt.undisturbed_until = undisturbed.then(|| facts.asked.uptime + facts.interval().mul_f64(1.5));
    let Some(attempt) = &mut status.attempt else { return Effects::none() };
    // However soon it comes, a good answer breaks a row of bad ones.
    attempt.bad_streak = 0;
    // After the deadline any good answer is what the deadline waits for.
    if !counts(facts, memory) && !is_past_deadline(facts, memory) {
        return Effects::none();
    }
    let wanted = facts.spec.monitoring.success_threshold;
    attempt.good_streak = attempt.good_streak.saturating_add(1);
    count(attempt, facts, memory);
    if attempt.good_streak < wanted && !is_past_deadline(facts, memory) {
        let message = format!("healthy, {} of {wanted} times in a row", attempt.good_streak);
        tell(status, facts, Tell::unknown(ConditionType::Healthy, Reason::HealthGood, message));
        return Effects::none();
    }
    if undisturbed {
        return succeed(status, facts);
    }
    memory.attempt.must_look_at_job = true;
    Effects::none()
}

/// The environment runs the configuration, and is well.
pub(super) fn succeed(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) -> Effects {
    tell(status, facts, Tell::yes(ConditionType::Healthy, Reason::HealthGood, "the environment is healthy"));
    let number = status.attempt.as_ref().map_or(0, |attempt| attempt.number);
    attempt::conclude(
        status,
        facts,
        Outcome::Succeeded,
        Reason::Succeeded,
        format!("attempt {number} succeeded: the environment runs the configuration, and is healthy"),
    )
}

fn bad(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory, what: &str) -> Effects {
    memory.attempt.undisturbed_until = None;
    memory.attempt.is_in_doubt = true;
    note_no_good_answer(facts, memory);
    let Some(attempt) = &mut status.attempt else { return Effects::none() };
    if !counts(facts, memory) {
        return Effects::none();
    }
    let allowed = facts.spec.rollback_policy.health_threshold;
    attempt.bad_streak = attempt.bad_streak.saturating_add(1);
    attempt.good_streak = 0;
    count(attempt, facts, memory);
    let streak = attempt.bad_streak;
    let message = format!("health is bad, {streak} of {allowed} times in a row: {what}");
    tell(status, facts, Tell::no(ConditionType::Healthy, Reason::HealthBad, message.clone()));
    if streak >= allowed {
        let reason = RollbackReason::HealthCheckFailure;
        return rollback::condemn(status, facts, memory, Reason::HealthCheckFailed, reason, message);
    }
    Effects::warning(Reason::HealthBad, message)
}

/// An answer counts if 0.9 of an interval has passed since the last one that did, or since this process first saw that
/// there was one: an edit of the interval or a restart must not speed a verdict up, whatever the wall clock says.
fn counts(facts: &Facts<'_>, memory: &Memory) -> bool {
    let spacing = facts.interval().mul_f64(0.9);
    memory.attempt.counted_at.is_none_or(|at| facts.asked.uptime.saturating_sub(at) >= spacing)
}

fn count(attempt: &mut Attempt, facts: &Facts<'_>, memory: &mut Memory) {
    attempt.last_counted_at = Some(facts.asked.wall);
    memory.attempt.counted_at = Some(facts.asked.uptime);
}

fn after_rollback(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    answer: HealthAnswer,
) -> Effects {
    if answer != HealthAnswer::Good {
        memory.attempt.unwell_at_age = Some(memory.verification_age(facts.asked));
    }
    match answer {
        HealthAnswer::Good => {
            let message = "the environment is healthy after the rollback";
            tell(status, facts, Tell::yes(ConditionType::Healthy, Reason::HealthGood, message));
            if let Some(attempt) = &mut status.attempt {
                attempt.step = Step::Settled;
            }
            Effects::normal(Reason::HealthGood, message)
        }
        HealthAnswer::Bad(what) => {
            let message = format!("health is bad after the rollback: {what}");
            tell(status, facts, Tell::no(ConditionType::Healthy, Reason::HealthBad, message));
            Effects::none()
        }
        HealthAnswer::Unreadable(why) => {
            tell(status, facts, unreadable(&why));
            Effects::none()
        }
    }
}
