//! The life of an attempt: how it starts, makes way, and ends.

use super::claim;
use super::conditions::{self, Tell};
use super::facts::{Facts, between};
use super::key;
use super::notice::{Effects, Notice};
use api::condition::{ConditionSet, ConditionStatus, ConditionType};
use api::reason::Reason;
use api::status::{
    Attempt, CognigyDeploymentStatus, DeliveryKind, LastSuccessful, Outcome, PastAttempt, Step, Verdict,
};

/// Begins an attempt at the target. The one before goes into the history; where it had no verdict yet, the newer
/// configuration has taken its place before anything was submitted.
pub fn start(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) -> Effects {
    let Ok(target) = &facts.target else { return Effects::none() };
    claim::keep(status);
    let replaced = replaced(status, facts);
    let superseded = archive(status, facts);
    let number = status.history.first().map_or(0, |past| past.number).max(superseded.number) + 1;
    status.attempt = Some(Attempt {
        number,
        digest: target.digest.clone(),
        checks_digest: target.checks_digest.clone(),
        generation: facts.generation,
        step: Step::Pending,
        api_origin: None,
        client_hash: None,
        request_hash: None,
        idempotency_key: None,
        job_id: None,
        started_at: facts.now.wall,
        submitted_at: None,
        accepted_at: None,
        deadline_at: None,
        job_completed_at: None,
        bad_streak: 0,
        good_streak: 0,
        last_counted_at: None,
        verdict: None,
        rollback: None,
        trace_id: None,
        warnings: Vec::new(),
        capacity_utilization: None,
    });
    conditions::reset_story(status, facts);
    let started = Effects::normal(
        Reason::AttemptStarted,
        format!("attempt {number} at configuration {} has begun", target.digest.short()),
    );
    superseded.effects.and(replaced).and(started)
}

/// Another resource has deployed over a success, which therefore begins again, and waits for the environment.
fn replaced(status: &CognigyDeploymentStatus, facts: &Facts<'_>) -> Effects {
    let attempt = status.attempt.as_ref().filter(|attempt| claim::says_that_it_runs(attempt));
    match (attempt, &facts.other_owner) {
        (Some(attempt), Some(owner)) => {
            let number = attempt.number;
            let note = format!(
                "{owner}; it deployed there after attempt {number} of this resource, which is not ready any more and \
                 deploys again when it owns the environment"
            );
            Effects::warning(Reason::EnvironmentInUse, note)
        }
        _ => Effects::none(),
    }
}

/// What the attempt is checked against has changed before its submit.
pub fn check_again(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) -> Effects {
    if let (Some(attempt), Ok(target)) = (&mut status.attempt, &facts.target) {
        attempt.checks_digest = target.checks_digest.clone();
        attempt.generation = facts.generation;
        attempt.step = Step::Pending;
    }
    conditions::reset_story(status, facts);
    Effects::none()
}

struct Archived {
    number: i64,
    effects: Effects,
}

fn archive(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) -> Archived {
    let Some(attempt) = status.attempt.take() else { return Archived { number: 0, effects: Effects::none() } };
    let number = attempt.number;
    let effects = match attempt.verdict {
        Some(_) => Effects::none(),
        None => Effects::normal(
            Reason::Superseded,
            format!("attempt {number} made way for a newer configuration before it was submitted"),
        ),
    };
    let superseded = || Verdict { outcome: Outcome::Superseded, reason: Reason::Superseded, at: facts.now.wall };
    status.history.insert(
        0,
        PastAttempt {
            number,
            digest: attempt.digest,
            job_id: attempt.job_id,
            started_at: attempt.started_at,
            verdict: attempt.verdict.unwrap_or_else(superseded),
        },
    );
    status.history.truncate(usize::try_from(facts.spec.history_limit).unwrap_or(0));
    Archived { number, effects }
}

/// Ends the attempt. A verdict that is there already stays: an outcome once recorded is never rewritten.
pub fn conclude(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    outcome: Outcome,
    reason: Reason,
    note: impl Into<String>,
) -> Effects {
    let success_rate = validation_success_rate(status);
    let Some(attempt) = &mut status.attempt else { return Effects::none() };
    attempt.step = Step::Settled;
    if attempt.verdict.is_some() {
        return Effects::none();
    }
    let at = facts.now.wall;
    attempt.verdict = Some(Verdict { outcome, reason, at });
    if let (Outcome::Succeeded, Some(job_id)) = (outcome, &attempt.job_id) {
        status.last_successful =
            Some(LastSuccessful { number: attempt.number, digest: attempt.digest.clone(), job_id: job_id.clone(), at });
    }
    let note = note.into();
    let event = match outcome {
        Outcome::Succeeded | Outcome::Superseded | Outcome::Abandoned => Effects::normal(reason, note),
        // The verdict's own reason was announced before; that the rollback was accepted is another thing to tell.
        Outcome::RolledBack if reason != Reason::RolledBackByPlatform => Effects::warning(Reason::RolledBack, note),
        Outcome::RolledBack | Outcome::RollbackFailed | Outcome::Failed | Outcome::Unknown => {
            Effects::warning(reason, note)
        }
    };
    event.and(Effects { announcements: Vec::new(), notices: notices(attempt, facts, outcome, reason, success_rate) })
}

/// The audit log is told of every rollout that was submitted, the webhook of every outcome.
fn notices(
    attempt: &Attempt,
    facts: &Facts<'_>,
    outcome: Outcome,
    reason: Reason,
    validation_success_rate: f64,
) -> Vec<Notice> {
    let at = facts.now.wall;
    let success = outcome == Outcome::Succeeded;
    let submitted_at = attempt.submitted_at.filter(|_| reason != Reason::SubmitRejected);
    let duration_seconds = submitted_at.map_or(0.0, |submitted_at| between(submitted_at, at).as_secs_f64());
    let id = |kind| key::outcome_message(facts.uid, attempt.number, attempt.started_at, kind);
    let audit = submitted_at.map(|_| Notice::Audit {
        id: id(DeliveryKind::Audit),
        job_id: attempt.job_id.clone(),
        success,
        duration_seconds,
        compliance: facts.spec.compliance.clone(),
        at,
        api_origin: attempt.api_origin.clone(),
    });
    let webhook = facts.has_webhook().then(|| Notice::Webhook {
        id: id(DeliveryKind::Webhook),
        job_id: attempt.job_id.clone(),
        success,
        duration_seconds,
        validation_success_rate,
        at,
        api_origin: attempt.api_origin.clone().or_else(|| facts.credentials_origin.clone()),
    });
    audit.into_iter().chain(webhook).collect()
}

/// Checks passed by checks run, of validation and trace; 0 where none ran.
#[must_use]
pub fn validation_success_rate(status: &CognigyDeploymentStatus) -> f64 {
    let checks = [ConditionType::Validated, ConditionType::TracePassed];
    let (mut run, mut passed) = (0.0, 0.0);
    for condition in checks.into_iter().filter_map(|check| status.conditions.find(check)) {
        run += f64::from(u8::from(condition.status != ConditionStatus::Unknown));
        passed += f64::from(u8::from(condition.status == ConditionStatus::True));
    }
    if run > 0.0 { passed / run } else { 0.0 }
}

/// Ends the attempt because the resource goes; who looks for the job later finds it in the event and the log.
pub fn abandon(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, reason: Reason) -> Effects {
    let job = status.attempt.as_ref().and_then(|attempt| attempt.job_id.as_ref());
    let job = job.map_or_else(|| "no job is known".to_owned(), |job| format!("its job is {job}"));
    if reason != Reason::DeletionGraceExpired {
        return conclude(status, facts, Outcome::Abandoned, reason, "deleted before anything was submitted");
    }
    let note = format!("the resource goes before its rollout is settled; {job}");
    Effects::warning(reason, note.clone()).and(conclude(
        status,
        facts,
        Outcome::Abandoned,
        Reason::ResourceDeleted,
        note,
    ))
}

/// Nobody will ever know whether the submit was accepted.
pub fn give_up_submit(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) -> Effects {
    let note = "nobody can say whether the rollout was submitted, and it is not sent again; look at the environment, then \
                ask for a retry or deploy a new configuration";
    conditions::tell(status, facts, Tell::unknown(ConditionType::RolledOut, Reason::SubmitOutcomeUnknown, note));
    let effects = conclude(status, facts, Outcome::Unknown, Reason::SubmitOutcomeUnknown, note);
    claim::deploy(status);
    effects
}
