//! What a status says about one configuration, for somebody who waits for it: a pipeline, or a person at a terminal.
//!
//! The answer is bound to the configuration's digest. An older configuration that is Ready, or that failed, says nothing about
//! this one.

use crate::condition::{Condition, ConditionSet, ConditionStatus, ConditionType};
use crate::digest::Digest;
use crate::identifier::JobId;
use crate::reason::Reason;
use crate::status::{Attempt, CognigyDeploymentStatus, CountedDecision, Outcome, PastAttempt, Step, Verdict};
use jiff::Timestamp;

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wait {
    /// The end of the attempt, good or bad.
    Verdict,
    /// The condition Ready is True for the configuration.
    Ready,
    /// The platform has accepted the rollout and named its job. How the rollout ends does not matter.
    Submitted,
    /// The rollout has the approvals that it needs. Other gates may still be closed. The status does not know whether approvals are
    /// needed at all, so ask the spec first.
    Approval,
}

/// What the status says about the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The state is not reached yet. No person needs to act.
    Pending {
        /// The present state.
        message: String,
    },
    /// The awaited state is reached.
    Succeeded {
        /// The job that deployed the configuration.
        job_id: Option<JobId>,
        /// When it was reached: the time of the success, or of the submit.
        since: Timestamp,
        /// The state in a sentence.
        message: String,
    },
    /// The attempt has ended badly. The release is not live, or was rolled back.
    Failed {
        /// Why.
        reason: Reason,
        /// Why, and what to do next.
        message: String,
    },
    /// A person must do something. A bad release may be live.
    NeedsPerson {
        /// Why.
        reason: Reason,
        /// Why, and what to do next.
        message: String,
    },
}

/// What the status says about the configuration with this digest.
///
/// The status must describe the resource that asks for this configuration: pass `None` as long as `observedGeneration` is
/// smaller than the generation that asked for it. After a requested retry, pass `None` until `handledRequests.retry` has the
/// value of the request; until then, the status describes the attempt before it.
///
/// `NeedsPerson` is not always the end. The operator tries again after some obstacles, such as a missing Secret.
#[must_use]
pub fn finding(status: Option<&CognigyDeploymentStatus>, digest: &Digest, wait: Wait) -> Finding {
    let Some(status) = status else {
        return Finding::Pending { message: "the operator has not acted on this configuration yet".to_owned() };
    };
    match &status.attempt {
        Some(attempt) if attempt.digest == *digest => of_attempt(status, attempt, wait),
        Some(attempt) => of_another(status, attempt, digest),
        None => blocked(status).unwrap_or_else(|| pending(status)),
    }
}

/// What the status says before the operator has started on what was asked for: the snapshot of the configuration cannot be read,
/// or a requested retry was not handled. `message` describes the present state if nothing needs a person.
#[must_use]
pub fn before_the_start(status: Option<&CognigyDeploymentStatus>, message: String) -> Finding {
    let pending = Finding::Pending { message };
    let Some(status) = status else { return pending };
    let ready = status.conditions.find(ConditionType::Ready);
    match ready.is_some_and(|ready| keeps_from_starting(ready.reason)) {
        true => blocked(status).unwrap_or(pending),
        false => pending,
    }
}

/// What an attempt says that was waited for and is history now, because another configuration has taken its place.
#[must_use]
pub fn past_finding(past: &PastAttempt, wait: Wait) -> Finding {
    let attempt = format!("attempt {} ({})", past.number, past.digest.named(past.version.as_deref()));
    let Verdict { outcome, reason, at, .. } = &past.verdict;
    let is_reached = match wait {
        Wait::Verdict => *outcome == Outcome::Succeeded,
        Wait::Submitted => past.job_id.is_some(),
        // It was submitted, so it was approved before.
        Wait::Approval => past.job_id.is_some() || *outcome == Outcome::Unknown,
        // Another configuration is Ready now, or will be.
        Wait::Ready => false,
    };
    match (is_reached, outcome) {
        (true, _) => Finding::Succeeded {
            job_id: past.job_id.clone(),
            since: *at,
            message: format!("{attempt} ended as {outcome}; another configuration has taken its place since"),
        },
        (false, Outcome::Succeeded) => Finding::Failed {
            reason: Reason::Superseded,
            message: format!("{attempt} succeeded, but another configuration has taken its place"),
        },
        (false, _) => Finding::Failed {
            reason: *reason,
            message: format!("{attempt} ended as {outcome}: {reason}; another configuration has taken its place since"),
        },
    }
}

/// Whether the operator starts no attempt, and handles no retry, because of this.
fn keeps_from_starting(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Suspended
            | Reason::SnapshotNotFound
            | Reason::SnapshotInvalid
            | Reason::SnapshotTooLarge
            | Reason::StatusUnreadable
    )
}

/// The current attempt deploys the configuration.
fn of_attempt(status: &CognigyDeploymentStatus, attempt: &Attempt, wait: Wait) -> Finding {
    if let (Wait::Submitted, Some(job), Some(submission)) = (wait, &attempt.job, &attempt.submission) {
        let since = submission.accepted_at.unwrap_or(submission.intended_at);
        let message = format!("attempt {} was submitted as {}", attempt.number, job.id);
        return Finding::Succeeded { job_id: Some(job.id.clone()), since, message };
    }
    if let (Wait::Approval, Some(approved)) = (wait, approved(attempt)) {
        return approved;
    }
    match &attempt.verdict {
        Some(verdict) => of_verdict(status, attempt, verdict, wait),
        None => blocked(status).unwrap_or_else(|| pending(status)),
    }
}

/// The attempt has its approvals: it was submitted with them, or its gate is open.
fn approved(attempt: &Attempt) -> Option<Finding> {
    let number = attempt.number;
    let approvals: &[CountedDecision] = attempt.gates.as_ref().map_or(&[], |gates| &gates.approvals);
    let names: Vec<&str> = approvals.iter().map(|approval| approval.by.as_str()).collect();
    let by = if names.is_empty() { String::new() } else { format!(", approved by {}", names.join(", ")) };
    if let Some(submission) = &attempt.submission {
        return Some(Finding::Succeeded {
            job_id: attempt.job_id().cloned(),
            since: submission.intended_at,
            message: format!("attempt {number} was submitted{by}"),
        });
    }
    let closed = attempt.gates.as_ref().map_or(&[][..], |gates| &gates.closed);
    // While the checks are repeated, the gates are those of before.
    let is_open = attempt.verdict.is_none()
        && attempt.checks.passed_at().is_some()
        && !closed.iter().any(|gate| gate.reason.is_about_approvals());
    let since = approvals.iter().map(|approval| approval.at).max().filter(|_| is_open)?;
    let waits: Vec<&str> = closed.iter().map(|gate| gate.message.as_str()).collect();
    let rest = if waits.is_empty() { String::new() } else { format!("; it still waits: {}", waits.join("; ")) };
    Some(Finding::Succeeded { job_id: None, since, message: format!("attempt {number} may start{by}{rest}") })
}

fn of_verdict(status: &CognigyDeploymentStatus, attempt: &Attempt, verdict: &Verdict, wait: Wait) -> Finding {
    let reason = verdict.reason;
    // A rollback that came later says more about the environment than the verdict.
    match &attempt.rollback {
        Some(_) if attempt.step == Step::RollingBack => return blocked(status).unwrap_or_else(|| pending(status)),
        Some(rollback) if rollback.accepted_at.is_some() && verdict.outcome != Outcome::RolledBack => {
            return bad(status, attempt, Reason::RolledBack);
        }
        Some(rollback) if rollback.refused_at.is_some() && verdict.outcome != Outcome::RollbackFailed => {
            return needs_person(status, attempt, Reason::RollbackRefused);
        }
        Some(_) | None => {}
    }
    match verdict.outcome {
        Outcome::Succeeded => succeeded(status, attempt, verdict, wait),
        Outcome::RolledBack => bad(status, attempt, reason),
        Outcome::RollbackFailed | Outcome::Unknown => needs_person(status, attempt, reason),
        // If there is a job, the bad release is still live, because autoTrigger is off. A person must decide.
        Outcome::Failed if attempt.job.is_some() => needs_person(status, attempt, reason),
        Outcome::Failed | Outcome::Superseded => bad(status, attempt, reason),
        // The attempt was abandoned after its submit, so nobody watches its rollout any more.
        Outcome::Abandoned if attempt.has_intent() => needs_person(status, attempt, reason),
        Outcome::Abandoned => bad(status, attempt, reason),
    }
}

/// A success holds until another resource owns the environment, or a rollback after it was given up. Health that became bad
/// afterwards takes back Ready, but not the verdict.
fn succeeded(status: &CognigyDeploymentStatus, attempt: &Attempt, verdict: &Verdict, wait: Wait) -> Finding {
    let is_verdict_kept = |stalled: &Finding| {
        let is_later = matches!(stalled, Finding::NeedsPerson { reason: Reason::UnhealthyAfterSuccess, .. });
        is_later && wait != Wait::Ready
    };
    if let Some(stalled) = stalled(status).filter(|stalled| !is_verdict_kept(stalled)) {
        return stalled;
    }
    if wait == Wait::Ready && !status.conditions.is_true(ConditionType::Ready) {
        return pending(status);
    }
    Finding::Succeeded {
        job_id: attempt.job_id().cloned(),
        since: verdict.at,
        message: format!("attempt {} succeeded: the environment runs {}", attempt.number, attempt.configuration()),
    }
}

/// The current attempt deploys another configuration: an older one that must end first, or a newer one.
fn of_another(status: &CognigyDeploymentStatus, attempt: &Attempt, digest: &Digest) -> Finding {
    if attempt.is_in_flight() {
        return waits_for(status, attempt);
    }
    let configuration = attempt.configuration();
    let not_yet = || Finding::Pending {
        message: format!(
            "the operator has not started on this configuration yet; attempt {} is about {configuration}",
            attempt.number
        ),
    };
    match status.conditions.find(ConditionType::Ready).map(|ready| ready.reason) {
        // While the snapshot cannot be read, it is unknown which configuration the spec asks for.
        Some(reason) if keeps_from_starting(reason) => blocked(status).unwrap_or_else(not_yet),
        Some(Reason::NewerConfigurationWaiting | Reason::AwaitingSnapshot) | None => not_yet(),
        // A changed ConfigMap moves no generation, so the status may not know about it yet. It counts only that the current
        // attempt has taken the place of this configuration.
        Some(_) => match status.history.first() {
            Some(past) if past.digest == *digest && past.verdict.outcome == Outcome::Superseded => Finding::Failed {
                reason: Reason::Superseded,
                message: format!(
                    "attempt {} was replaced before its submit: attempt {} is about {configuration}",
                    past.number, attempt.number
                ),
            },
            Some(_) | None => not_yet(),
        },
    }
}

/// An older attempt must end first. If it needs a person, this configuration needs a person as well.
fn waits_for(status: &CognigyDeploymentStatus, older: &Attempt) -> Finding {
    let what = format!("waits for the end of attempt {} ({})", older.number, older.configuration());
    match stalled(status) {
        Some(Finding::NeedsPerson { reason, message }) => {
            Finding::NeedsPerson { reason, message: format!("{what}, which needs a person: {message}") }
        }
        Some(_) | None => Finding::Pending { message: what },
    }
}

/// Stalled or suspended.
fn blocked(status: &CognigyDeploymentStatus) -> Option<Finding> {
    let suspended = || {
        let ready = status.conditions.find(ConditionType::Ready)?;
        (ready.status == ConditionStatus::False && ready.reason == Reason::Suspended).then(|| in_need_of_person(ready))
    };
    stalled(status).or_else(suspended)
}

fn stalled(status: &CognigyDeploymentStatus) -> Option<Finding> {
    let stalled = status.conditions.find(ConditionType::Stalled)?;
    (stalled.status == ConditionStatus::True).then(|| in_need_of_person(stalled))
}

fn in_need_of_person(condition: &Condition) -> Finding {
    Finding::NeedsPerson { reason: condition.reason, message: condition.message.clone() }
}

fn pending(status: &CognigyDeploymentStatus) -> Finding {
    let condition = |condition_type| status.conditions.find(condition_type).map(|found| found.message.clone());
    let message = condition(ConditionType::Reconciling).or_else(|| condition(ConditionType::Ready));
    Finding::Pending { message: message.unwrap_or_else(|| "the attempt is about to start".to_owned()) }
}

fn bad(status: &CognigyDeploymentStatus, attempt: &Attempt, reason: Reason) -> Finding {
    let (reason, message) = explained(status, attempt, reason);
    Finding::Failed { reason, message }
}

fn needs_person(status: &CognigyDeploymentStatus, attempt: &Attempt, reason: Reason) -> Finding {
    let (_, message) = explained(status, attempt, reason);
    Finding::NeedsPerson { reason, message }
}

/// The reason and the message of an end. Stalled explains it best, unless it is about a newer configuration.
fn explained(status: &CognigyDeploymentStatus, attempt: &Attempt, reason: Reason) -> (Reason, String) {
    if let Some(Finding::NeedsPerson { reason: stalled, message }) = stalled(status) {
        let is_unhealthy = stalled == Reason::RolledBackUnhealthy;
        return (if is_unhealthy { stalled } else { reason }, message);
    }
    let ended = match attempt.outcome() {
        Some(outcome) if attempt.step != Step::RollingBack => format!("ended as {outcome}: {reason}"),
        Some(_) | None => format!("ended: {reason}"),
    };
    (reason, format!("attempt {} ({}) {ended}", attempt.number, attempt.configuration()))
}
