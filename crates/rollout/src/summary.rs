//! The summary of the status: one word for people (phase), and the conditions Ready, Reconciling and Stalled, which tools read
//! as kstatus defines them.
//!
//! The summary repeats what other conditions say. Nothing is decided by it.

use super::after_success;
use super::answer::Obstacle;
use super::apply::gates::all_messages;
use super::conditions::{ConditionUpdate, message_of, set_condition};
use super::deadline::{is_outdated, is_past_deadline, time_until_free};
use super::delivery_summary;
use super::facts::Facts;
use super::memory::Memory;
use super::time::after;
use api::condition::{ConditionSet, ConditionType};
use api::reason::Reason;
use api::status::{Attempt, CognigyDeploymentStatus, Outcome, Phase, Running, Step, Verdict, running};
use jiff::Timestamp;

/// The value of the condition Ready, and of the flag beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ReadySummary {
    /// The environment runs what the spec asks for.
    Ready(String),
    /// The operator is working, or waits for something that comes by itself.
    Reconciling(Reason, String),
    /// A person is needed.
    Stalled(Reason, String),
    /// spec.suspend holds a configuration back.
    Suspended,
}

impl ReadySummary {
    /// An obstacle: Stalled if a person is needed.
    fn blocked_by(obstacle: &Obstacle) -> Self {
        match obstacle.needs_person() {
            true => Self::Stalled(obstacle.reason(), obstacle.message.clone()),
            false => Self::Reconciling(obstacle.reason(), obstacle.message.clone()),
        }
    }
}

/// Writes the summary. Changes nothing if nothing has changed.
pub fn refresh(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, memory: &Memory) {
    after_success::forget_if_unwatched(status, facts);
    let (ready, flag) = match summarize(facts, status, memory) {
        ReadySummary::Ready(message) => {
            (ConditionUpdate::set_true(ConditionType::Ready, Reason::Succeeded, message), None)
        }
        ReadySummary::Reconciling(reason, message) => (
            ConditionUpdate::set_unknown(ConditionType::Ready, reason, message.clone()),
            Some((ConditionType::Reconciling, reason, message)),
        ),
        ReadySummary::Stalled(reason, message) => (
            ConditionUpdate::set_false(ConditionType::Ready, reason, message.clone()),
            Some((ConditionType::Stalled, reason, message)),
        ),
        ReadySummary::Suspended => {
            let message = "suspended with a configuration waiting: set spec.suspend to false to continue";
            (ConditionUpdate::set_false(ConditionType::Ready, Reason::Suspended, message), None)
        }
    };
    set_condition(status, facts, ready);
    let present = flag.as_ref().map(|(condition_type, _, _)| *condition_type);
    for absent in [ConditionType::Reconciling, ConditionType::Stalled] {
        if Some(absent) != present {
            status.conditions.remove_condition(absent);
        }
    }
    if let Some((condition_type, reason, message)) = flag {
        set_condition(status, facts, ConditionUpdate::set_true(condition_type, reason, message));
    }
    delivery_summary::refresh(status, facts);
    status.phase = Some(phase(status.attempt.as_ref()));
    status.running = running_here(status, facts);
    status.observed_generation = facts.generation;
}

/// What the environment runs. It is not known if another resource owns the environment and this one has no rollout in flight.
fn running_here(status: &CognigyDeploymentStatus, facts: &Facts<'_>) -> Option<Running> {
    let is_in_flight = status.attempt.as_ref().is_some_and(Attempt::is_in_flight);
    running(status).filter(|_| is_in_flight || facts.other_owner.is_none())
}

fn summarize(facts: &Facts<'_>, status: &CognigyDeploymentStatus, memory: &Memory) -> ReadySummary {
    let Some(attempt) = &status.attempt else { return before_first_attempt(facts) };
    match attempt.step {
        Step::Pending | Step::Validating => {
            let what = "the environment is asked whether it can run this configuration";
            checking(facts, attempt, memory, Reason::Validating, what)
        }
        Step::Tracing => {
            let what = "the synthetic trace is looking for conflicts";
            checking(facts, attempt, memory, Reason::Tracing, what)
        }
        Step::Submitting => submitting(facts, memory),
        Step::RollingOut => {
            watching(facts, attempt, memory, Reason::RollingOut, message_of(status, ConditionType::RolledOut))
        }
        Step::Monitoring => {
            let job = attempt.job_id().map_or("the job", |job_id| job_id.as_str());
            let message = format!("{job} has completed; the environment's health is watched");
            watching(facts, attempt, memory, Reason::Monitoring, message)
        }
        Step::RollingBack => rolling_back(facts, memory),
        Step::VerifyingRollback | Step::Settled => ended(facts, status, attempt, memory),
    }
}

fn before_first_attempt(facts: &Facts<'_>) -> ReadySummary {
    match &facts.target {
        Err(obstacle) => ReadySummary::blocked_by(obstacle),
        Ok(_) if facts.spec.suspend => ReadySummary::Suspended,
        Ok(_) => ReadySummary::Reconciling(Reason::Pending, "the first attempt is about to start".to_owned()),
    }
}

fn checking(facts: &Facts<'_>, attempt: &Attempt, memory: &Memory, reason: Reason, what: &str) -> ReadySummary {
    let obstacle = facts.target.as_ref().err().or_else(|| memory.obstacle(facts.generation));
    match (obstacle, memory.attempt.slot.position()) {
        (Some(obstacle), _) if obstacle.needs_person() => ReadySummary::blocked_by(obstacle),
        _ if facts.spec.suspend => ReadySummary::Suspended,
        (Some(obstacle), _) => ReadySummary::blocked_by(obstacle),
        (None, Some(position)) => {
            let message = format!("attempt {} waits for the request budget: {position}", attempt.number);
            ReadySummary::Reconciling(Reason::Queued, message)
        }
        (None, None) => gated(attempt)
            .unwrap_or_else(|| ReadySummary::Reconciling(reason, format!("attempt {}: {what}", attempt.number))),
    }
}

/// The summary if a gate is closed. A deployment in `spec.requires` that does not exist needs a person; all other gates open when
/// people or time have done what was agreed.
fn gated(attempt: &Attempt) -> Option<ReadySummary> {
    let closed = &attempt.gates.as_ref()?.closed;
    let reason = closed.first()?.reason;
    let message = format!("attempt {} waits: {}", attempt.number, all_messages(closed));
    Some(match reason {
        Reason::UpstreamNotFound | Reason::UpstreamForbidden | Reason::UpstreamCycle => {
            ReadySummary::Stalled(reason, message)
        }
        _ => ReadySummary::Reconciling(reason, message),
    })
}

fn submitting(facts: &Facts<'_>, memory: &Memory) -> ReadySummary {
    if let Some(why) = memory.attempt.submission.unknown() {
        return ReadySummary::Stalled(Reason::SubmitOutcomeUnknown, why.to_owned());
    }
    if is_past_deadline(facts, memory) {
        let message = "the submit was not answered in time; it is still sent under its key until the key expires";
        return ReadySummary::Stalled(Reason::SubmitOutcomeUnknown, message.to_owned());
    }
    in_flight(facts, memory, Reason::Submitting, "the rollout is being submitted".to_owned())
}

fn watching(facts: &Facts<'_>, attempt: &Attempt, memory: &Memory, reason: Reason, message: String) -> ReadySummary {
    if let Some(no_answer) = no_answer_past_deadline(facts, memory) {
        return no_answer;
    }
    let mut message = format!("{message}{}", deadline(facts, attempt));
    if facts.wants_other_than(&attempt.digest) {
        message.push_str("; a newer configuration waits for its end");
        return in_flight(facts, memory, Reason::NewerConfigurationWaiting, message);
    }
    in_flight(facts, memory, reason, message)
}

/// When there will be a verdict at the latest. The text has fixed times and no ages: each change of it would be a write.
fn deadline(facts: &Facts<'_>, attempt: &Attempt) -> String {
    let Some(from) = attempt.deadline_counts_from() else { return String::new() };
    let time = |moment: Timestamp| moment.strftime("%H:%M:%S").to_string();
    let what = if facts.spec.rollback_policy.auto_trigger { "rolled back" } else { "counts as failed" };
    format!(
        "; submitted at {}, {what} at {} UTC if not healthy by then",
        time(from),
        time(after(from, facts.timeout()))
    )
}

/// The summary if the deadline has passed, and the platform cannot be reached. There is no verdict until it answers, so
/// a person should know.
fn no_answer_past_deadline(facts: &Facts<'_>, memory: &Memory) -> Option<ReadySummary> {
    let obstacle = memory.obstacle(facts.generation).filter(|obstacle| !obstacle.needs_person())?;
    is_past_deadline(facts, memory).then(|| {
        let message = format!(
            "the deadline has passed, but {} could not be asked since then whether the rollout is healthy; its \
             first answer decides: {}",
            facts.platform(),
            obstacle.message
        );
        ReadySummary::Stalled(obstacle.reason(), message)
    })
}

fn rolling_back(facts: &Facts<'_>, memory: &Memory) -> ReadySummary {
    match memory.obstacle(facts.generation) {
        // The obstacle may go away by itself, but a bad release is live: a person should know at once.
        Some(obstacle) => ReadySummary::Stalled(obstacle.reason(), obstacle.message.clone()),
        None => ReadySummary::Reconciling(Reason::RollingBack, "the rollback is being requested".to_owned()),
    }
}

fn in_flight(facts: &Facts<'_>, memory: &Memory, reason: Reason, message: String) -> ReadySummary {
    match memory.obstacle(facts.generation) {
        Some(obstacle) => ReadySummary::blocked_by(obstacle),
        None => ReadySummary::Reconciling(reason, message),
    }
}

fn ended(facts: &Facts<'_>, status: &CognigyDeploymentStatus, attempt: &Attempt, memory: &Memory) -> ReadySummary {
    match &facts.target {
        Err(obstacle) => return ReadySummary::blocked_by(obstacle),
        Ok(target) if target.digest != attempt.digest && facts.spec.suspend => return ReadySummary::Suspended,
        Ok(target) if target.digest != attempt.digest && !time_until_free(facts, attempt, memory).is_zero() => {
            let message = "a newer configuration waits until the deadline of the unanswered submit has passed";
            return ReadySummary::Reconciling(Reason::NewerConfigurationWaiting, message.to_owned());
        }
        // Somebody who waits for the new configuration must not read the outcome of the old one.
        Ok(target) if is_outdated(attempt, target) && !facts.spec.suspend && facts.deleted_at.is_none() => {
            let message = "a newer configuration is about to be deployed";
            return ReadySummary::Reconciling(Reason::NewerConfigurationWaiting, message.to_owned());
        }
        Ok(_) => {}
    }
    match &attempt.verdict {
        Some(verdict) => suspended(facts, verdict_summary(facts, status, attempt, verdict)),
        None => {
            let message = "the status has no verdict for an attempt that has ended: request a retry".to_owned();
            ReadySummary::Stalled(Reason::StatusUnreadable, message)
        }
    }
}

/// Adds the suspension to the summary of an ended attempt, even if no new configuration waits yet.
fn suspended(facts: &Facts<'_>, summary: ReadySummary) -> ReadySummary {
    if !facts.spec.suspend {
        return summary;
    }
    let noted = |message: String| format!("{message}; suspended: nothing new is deployed while spec.suspend is true");
    match summary {
        ReadySummary::Ready(message) => ReadySummary::Ready(noted(message)),
        ReadySummary::Reconciling(reason, message) => ReadySummary::Reconciling(reason, noted(message)),
        ReadySummary::Stalled(reason, message) => ReadySummary::Stalled(reason, noted(message)),
        ReadySummary::Suspended => ReadySummary::Suspended,
    }
}

fn verdict_summary(
    facts: &Facts<'_>,
    status: &CognigyDeploymentStatus,
    attempt: &Attempt,
    verdict: &Verdict,
) -> ReadySummary {
    // A rollback says more about the environment than the outcome before it.
    match &attempt.rollback {
        Some(rollback) if rollback.accepted_at.is_some() => return rolled_back(status),
        Some(rollback) if rollback.refused_at.is_some() => {
            return ReadySummary::Stalled(Reason::RollbackRefused, message_of(status, ConditionType::RolledBack));
        }
        Some(_) | None => {}
    }
    match (verdict.outcome, &facts.other_owner) {
        (Outcome::RolledBack, _) => rolled_back(status),
        (Outcome::Succeeded, _) if attempt.rollback.is_some() => {
            let message =
                format!("a rollback was requested, but the operator gave it up before {} answered", facts.platform());
            ReadySummary::Stalled(Reason::DeletionGraceExpired, message)
        }
        (Outcome::Succeeded, Some(owner)) => ReadySummary::Stalled(Reason::EnvironmentInUse, owner.clone()),
        (Outcome::Succeeded, None) => succeeded(status, attempt),
        (
            Outcome::RollbackFailed | Outcome::Failed | Outcome::Superseded | Outcome::Abandoned | Outcome::Unknown,
            _,
        ) => ReadySummary::Stalled(verdict.reason, failure(status, attempt, verdict)),
    }
}

/// A success holds until health is bad afterwards. Without an answer, the last known state holds.
fn succeeded(status: &CognigyDeploymentStatus, attempt: &Attempt) -> ReadySummary {
    let message = format!("attempt {} succeeded: the environment runs {}", attempt.number, attempt.configuration());
    let healthy = status.conditions.find(ConditionType::Healthy);
    match healthy.map(|healthy| (healthy.reason, &healthy.message)) {
        Some((Reason::UnhealthyAfterSuccess, why)) => {
            ReadySummary::Stalled(Reason::UnhealthyAfterSuccess, format!("{message}, but {why}"))
        }
        Some((Reason::HealthUnknown, _)) => {
            ReadySummary::Ready(format!("{message}; its health is not known now: see the condition Healthy"))
        }
        Some(_) | None => ReadySummary::Ready(message),
    }
}

fn rolled_back(status: &CognigyDeploymentStatus) -> ReadySummary {
    match status.conditions.find(ConditionType::Healthy) {
        Some(healthy) if healthy.reason == Reason::RolledBackUnhealthy => {
            ReadySummary::Stalled(Reason::RolledBackUnhealthy, healthy.message.clone())
        }
        Some(_) | None => {
            let message = message_of(status, ConditionType::RolledBack);
            let what_next = "deploy a corrected configuration, or request a retry";
            ReadySummary::Stalled(Reason::RolledBack, format!("{message}; {what_next}"))
        }
    }
}

/// The message of the condition that says why the attempt ended like this, and what to do next.
fn failure(status: &CognigyDeploymentStatus, attempt: &Attempt, verdict: &Verdict) -> String {
    let source = match verdict.reason {
        Reason::ValidationRefused => Some(ConditionType::Validated),
        Reason::TraceNotPassed => Some(ConditionType::TracePassed),
        Reason::SubmitRejected | Reason::SubmitOutcomeUnknown | Reason::JobFailed | Reason::JobGone => {
            Some(ConditionType::RolledOut)
        }
        Reason::HealthCheckFailed => Some(ConditionType::Healthy),
        Reason::RollbackRefused => Some(ConditionType::RolledBack),
        Reason::Rejected => Some(ConditionType::GatesOpen),
        _ => None,
    };
    let message = source.map(|source| message_of(status, source)).filter(|message| !message.is_empty());
    let message = message.unwrap_or_else(|| match verdict.reason {
        Reason::DeadlineExceeded => {
            let last =
                if attempt.job_completed_at().is_some() { ConditionType::Healthy } else { ConditionType::RolledOut };
            format!("the rollout was not healthy before its deadline; last known state: {}", message_of(status, last))
        }
        Reason::Cancelled => "stopped by request before anything was submitted".to_owned(),
        _ => format!("the attempt ended as {}: {}", verdict.outcome, verdict.reason),
    });
    // Only an attempt with a job can have failed and left its release in place.
    match verdict.outcome == Outcome::Failed && attempt.job.is_some() {
        true => format!(
            "{message}; autoTrigger is off: set the annotation deploy.cognigy.ai/rollback to roll back, or deploy a new \
             configuration"
        ),
        false => message,
    }
}

fn phase(attempt: Option<&Attempt>) -> Phase {
    let Some(attempt) = attempt else { return Phase::Pending };
    if is_gated(attempt) {
        return Phase::Gated;
    }
    match attempt.step {
        Step::Pending => Phase::Pending,
        Step::Validating => Phase::Validating,
        Step::Tracing => Phase::Tracing,
        Step::Submitting => Phase::Submitting,
        Step::RollingOut => Phase::RollingOut,
        Step::Monitoring => Phase::Monitoring,
        Step::RollingBack => Phase::RollingBack,
        Step::VerifyingRollback => Phase::VerifyingRollback,
        Step::Settled => settled_phase(attempt),
    }
}

/// Whether the attempt waits at a closed gate.
fn is_gated(attempt: &Attempt) -> bool {
    attempt.step == Step::Tracing && attempt.gates.as_ref().is_some_and(|gates| !gates.closed.is_empty())
}

fn settled_phase(attempt: &Attempt) -> Phase {
    let is_rolled_back = attempt.rollback.as_ref().is_some_and(|rollback| rollback.accepted_at.is_some());
    match attempt.outcome() {
        Some(_) | None if is_rolled_back => Phase::RolledBack,
        Some(Outcome::Succeeded) => Phase::Succeeded,
        Some(Outcome::RolledBack) => Phase::RolledBack,
        Some(
            Outcome::RollbackFailed | Outcome::Failed | Outcome::Superseded | Outcome::Abandoned | Outcome::Unknown,
        )
        | None => Phase::Failed,
    }
}
