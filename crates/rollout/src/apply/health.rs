//! What the environment's health means during the monitoring, and after a rollback (contract, section 5).

use super::rollback;
use crate::answer::HealthAnswer;
use crate::attempt;
use crate::conditions::{ConditionUpdate, set_condition};
use crate::deadline::is_past_deadline;
use crate::effects::Effects;
use crate::facts::Facts;
use crate::memory::Memory;
use api::condition::ConditionType;
use api::reason::Reason;
use api::status::{Attempt, CognigyDeploymentStatus, RollbackReason, Step};

/// Health was polled at `facts.sent_at`, and has answered now.
pub fn health(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    answer: HealthAnswer,
) -> Effects {
    memory.attempt.polls.note(facts.sent_at, memory.attempt.polls.last_answer_was_not_good());
    memory.clear_failures();
    let step = status.attempt.as_ref().map(|attempt| attempt.step);
    match (step, answer) {
        (Some(Step::Monitoring), HealthAnswer::Good) => good(status, facts, memory),
        (Some(Step::Monitoring), HealthAnswer::Bad(what)) => bad(status, facts, memory, &what),
        (Some(Step::Monitoring), HealthAnswer::Unreadable(why)) => {
            disturbed(facts, memory);
            set_condition(status, facts, unreadable(&why));
            Effects::none()
        }
        (Some(Step::VerifyingRollback), answer) => after_rollback(status, facts, memory, answer),
        (
            Some(
                Step::Pending
                | Step::Validating
                | Step::Tracing
                | Step::Submitting
                | Step::RollingOut
                | Step::RollingBack
                | Step::Settled,
            )
            | None,
            _,
        ) => Effects::none(),
    }
}

/// Health was bad or could not be read: the platform may roll back by itself, and the deadline still runs.
fn disturbed(facts: &Facts<'_>, memory: &mut Memory) {
    memory.attempt.health.note_disturbed();
    memory.attempt.polls.set_last_answer_was_not_good(true);
    memory.note_no_good_answer(facts.sent_at);
}

fn unreadable(why: &str) -> ConditionUpdate {
    ConditionUpdate::set_unknown(
        ConditionType::Healthy,
        Reason::HealthUnreadable,
        format!("health could not be read: {why}"),
    )
}

fn good(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory) -> Effects {
    memory.attempt.polls.set_last_answer_was_not_good(false);
    let undisturbed = memory.attempt.health.note_good(facts.sent_at, facts.now, facts.interval());
    let Some(attempt) = &mut status.attempt else { return Effects::none() };
    // A good answer ends a row of bad answers, even if it comes too soon to count.
    attempt.health.bad_streak = 0;
    // After the deadline, any good answer is a success.
    if !counts(facts, memory) && !is_past_deadline(facts, memory) {
        return Effects::none();
    }
    let wanted = facts.spec.monitoring.success_threshold;
    attempt.health.good_streak = attempt.health.good_streak.saturating_add(1);
    count(attempt, facts, memory);
    if attempt.health.good_streak < wanted && !is_past_deadline(facts, memory) {
        let message = format!("healthy, {} of {wanted} times in a row", attempt.health.good_streak);
        set_condition(status, facts, ConditionUpdate::set_unknown(ConditionType::Healthy, Reason::HealthGood, message));
        return Effects::none();
    }
    if undisturbed {
        return attempt::succeed(status, facts);
    }
    memory.attempt.health.require_job_check();
    Effects::none()
}

fn bad(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &mut Memory, what: &str) -> Effects {
    disturbed(facts, memory);
    let Some(attempt) = &mut status.attempt else { return Effects::none() };
    if !counts(facts, memory) {
        return Effects::none();
    }
    let allowed = facts.spec.rollback_policy.health_threshold;
    attempt.health.bad_streak = attempt.health.bad_streak.saturating_add(1);
    attempt.health.good_streak = 0;
    count(attempt, facts, memory);
    let streak = attempt.health.bad_streak;
    let message = format!("health is bad, {streak} of {allowed} times in a row: {what}");
    set_condition(
        status,
        facts,
        ConditionUpdate::set_false(ConditionType::Healthy, Reason::HealthBad, message.clone()),
    );
    if streak >= allowed {
        let reason = RollbackReason::HealthCheckFailure;
        return rollback::react_to_failure(status, facts, memory, Reason::HealthCheckFailed, reason, message);
    }
    Effects::warning(Reason::HealthBad, message)
}

/// An answer counts if 0.9 of an interval has passed since the last counted answer. After a restart, this time begins
/// when the process first sees in the status that an answer was counted. So polls in quick succession, a restart or a
/// jump of the wall clock cannot cause an earlier verdict.
fn counts(facts: &Facts<'_>, memory: &Memory) -> bool {
    let spacing = facts.interval().mul_f64(0.9);
    memory.attempt.health.counted_at().is_none_or(|at| facts.sent_at.uptime.saturating_sub(at) >= spacing)
}

fn count(attempt: &mut Attempt, facts: &Facts<'_>, memory: &mut Memory) {
    attempt.health.last_counted_at = Some(facts.sent_at.wall);
    memory.attempt.health.count(facts.sent_at);
}

fn after_rollback(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    memory: &mut Memory,
    answer: HealthAnswer,
) -> Effects {
    if answer != HealthAnswer::Good {
        memory.attempt.rollback.note_not_healthy(facts.sent_at);
    }
    match answer {
        HealthAnswer::Good => {
            let message = "the environment is healthy after the rollback";
            set_condition(
                status,
                facts,
                ConditionUpdate::set_true(ConditionType::Healthy, Reason::HealthGood, message),
            );
            if let Some(attempt) = &mut status.attempt {
                attempt.step = Step::Settled;
            }
            Effects::normal(Reason::HealthGood, message)
        }
        HealthAnswer::Bad(what) => {
            let message = format!("health is bad after the rollback: {what}");
            set_condition(
                status,
                facts,
                ConditionUpdate::set_false(ConditionType::Healthy, Reason::HealthBad, message),
            );
            Effects::none()
        }
        HealthAnswer::Unreadable(why) => {
            set_condition(status, facts, unreadable(&why));
            Effects::none()
        }
    }
}
