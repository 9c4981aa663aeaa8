//! How an attempt starts, is replaced by another one, and ends.

use super::claim;
use super::conditions::{self, ConditionUpdate};
use super::decide::Abandonment;
use super::effects::{Effects, OutboxMessage};
use super::facts::Facts;
use super::gates;
use super::key;
use super::time::between;
use api::PlanId;
use api::condition::{ConditionSet, ConditionStatus, ConditionType};
use api::reason::Reason;
use api::status::{
    Attempt, Checks, CognigyDeploymentStatus, DeliveryKind, Gates, Health, LastSuccessful, Outcome, PastAttempt, Step,
    Verdict,
};
use jiff::Timestamp;
use std::time::Duration;

/// Starts an attempt at the target. The attempt before goes into the history. If it has no verdict, nothing was submitted, and
/// its outcome is Superseded.
pub fn start(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) -> Effects {
    let Ok(target) = &facts.target else { return Effects::none() };
    claim::keep(status);
    let replaced = replaced(status, facts);
    let standing = standing(status, facts);
    let superseded = archive(status, facts);
    let number = status.history.first().map_or(0, |past| past.number).max(superseded.number) + 1;
    let running = gates::running_digest(status);
    let plan_id = PlanId::of(&target.digest, &target.checks_digest, running);
    status.attempt = Some(Attempt {
        number,
        digest: target.digest.clone(),
        version: target.version.clone(),
        release: Some(target.release.clone()),
        plan_id: Some(plan_id),
        generation: facts.generation,
        step: Step::Pending,
        started_at: facts.now.wall,
        queued_at: None,
        checks: Checks::new(target.checks_digest.clone()),
        gates: None,
        submission: None,
        job: None,
        health: Health::default(),
        rollback: None,
        declined: None,
        verdict: None,
    });
    status.standing_attempt = standing;
    conditions::reset_stages(status, facts);
    status.conditions.remove_condition(ConditionType::GatesOpen);
    let started = Effects::normal(
        Reason::AttemptStarted,
        format!("attempt {number} has started, to deploy {}", target.digest.named(target.version.as_deref())),
    );
    superseded.effects.and(replaced).and(started)
}

/// The attempt whose configuration the environment runs when another attempt starts.
fn standing(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) -> Option<Box<Attempt>> {
    let earlier = status.standing_attempt.take();
    let attempt = status.attempt.as_ref().filter(|_| facts.other_owner.is_none())?;
    match attempt.has_intent() {
        true => (claim::claims_to_run(attempt) && attempt.job.is_some()).then(|| Box::new(attempt.clone())),
        false => earlier,
    }
}

/// Makes the standing attempt the current one again, so that it can be rolled back. The attempt that was not submitted goes into
/// the history.
pub fn resume_standing(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) {
    if status.attempt.as_ref().is_some_and(Attempt::has_intent) {
        return;
    }
    let Some(standing) = status.standing_attempt.take() else { return };
    let declined = status.attempt.as_ref().map(|attempt| attempt.digest.clone());
    let _ = archive(status, facts);
    status.history.retain(|past| past.number != standing.number);
    status.conditions.remove_condition(ConditionType::GatesOpen);
    status.attempt = Some(Attempt { declined, ..*standing });
}

/// The standing attempt is replaced now, because its successor is submitted. Its time in health counts until now.
pub fn replace_standing(status: &mut CognigyDeploymentStatus, now: Timestamp) {
    let Some(standing) = status.standing_attempt.take() else { return };
    let Some(attempt) = &status.attempt else { return };
    let waited = i64::try_from(between(attempt.started_at, now).as_secs()).unwrap_or(0);
    if let Some(past) = status.history.iter_mut().find(|past| past.number == standing.number) {
        past.healthy_for_seconds = past.healthy_for_seconds.map(|seconds| seconds.saturating_add(waited));
    }
}

/// The event if another resource has deployed to the environment after the success of this resource. This resource
/// starts another attempt, and waits for the environment.
fn replaced(status: &CognigyDeploymentStatus, facts: &Facts<'_>) -> Effects {
    let attempt = status.attempt.as_ref().filter(|attempt| claim::claims_to_run(attempt));
    match (attempt, &facts.other_owner) {
        (Some(attempt), Some(owner)) => {
            let number = attempt.number;
            let note = format!(
                "{owner}; it deployed there after attempt {number} of this resource; this resource is not \
                 ready any more, and deploys again when it owns the environment"
            );
            Effects::warning(Reason::EnvironmentInUse, note)
        }
        _ => Effects::none(),
    }
}

/// The results of the checks are discarded, because they are too old, or because the checks or the API have changed.
pub fn check_again(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) -> Effects {
    let running = gates::running_digest(status).cloned();
    if is_other_api(status, facts)
        && let Some(plan_id) = status.attempt.as_ref().and_then(|attempt| attempt.plan_id.clone())
    {
        // The plan does not name the API. Nobody has approved to deploy to this one.
        gates::use_up(status, facts, &plan_id);
    }
    let mut is_another_plan = false;
    if let (Some(attempt), Ok(target)) = (&mut status.attempt, &facts.target) {
        attempt.checks = Checks::new(target.checks_digest.clone());
        let plan_id = PlanId::of(&attempt.digest, &target.checks_digest, running.as_ref());
        is_another_plan = attempt.plan_id.replace(plan_id) != attempt.plan_id;
        if is_another_plan {
            // What people decided about the earlier plan says nothing about this one.
            let since = attempt.gates.take().and_then(|gates| gates.since);
            attempt.gates = since.map(|since| Gates { since: Some(since), ..Gates::default() });
        }
        attempt.generation = facts.generation;
        attempt.step = Step::Pending;
    }
    if is_another_plan {
        status.conditions.remove_condition(ConditionType::GatesOpen);
    }
    conditions::reset_stages(status, facts);
    Effects::none()
}

/// Whether the credentials point to another API than the one that has made the checks.
fn is_other_api(status: &CognigyDeploymentStatus, facts: &Facts<'_>) -> bool {
    let checked = status.attempt.as_ref().and_then(|attempt| attempt.checks.api_origin.as_ref());
    checked.zip(facts.credentials_origin.as_ref()).is_some_and(|(checked, now)| checked != now)
}

/// The environment runs the configuration, and is healthy.
pub fn succeed(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) -> Effects {
    let healthy = ConditionUpdate::set_true(ConditionType::Healthy, Reason::HealthGood, "the environment is healthy");
    conditions::set_condition(status, facts, healthy);
    let note = status.attempt.as_ref().map_or_else(String::new, |attempt| {
        format!(
            "attempt {} succeeded: the environment runs {}, and is healthy",
            attempt.number,
            attempt.configuration()
        )
    });
    conclude(status, facts, Outcome::Succeeded, Reason::Succeeded, note)
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
            format!("attempt {number} was replaced by a newer configuration before it was submitted"),
        ),
    };
    // If another resource has deployed there since, the environment was not healthy with this attempt's configuration.
    let healthy_for = healthy_for(status, &attempt, facts.now.wall).filter(|_| facts.other_owner.is_none());
    let healthy_for_seconds = healthy_for.and_then(|healthy| i64::try_from(healthy.as_secs()).ok());
    let superseded = || Verdict { outcome: Outcome::Superseded, reason: Reason::Superseded, at: facts.now.wall };
    let past = PastAttempt {
        number,
        digest: attempt.digest,
        version: attempt.version,
        release: attempt.release,
        healthy_for_seconds,
        job_id: attempt.job.map(|job| job.id),
        started_at: attempt.started_at,
        verdict: attempt.verdict.unwrap_or_else(superseded),
    };
    // An attempt that was rolled back in favour of a newer one has the lower number.
    let place = status.history.partition_point(|newer| newer.number > past.number);
    status.history.insert(place, past);
    status.history.truncate(usize::try_from(facts.spec.history_limit).unwrap_or(0));
    Archived { number, effects }
}

/// For how long the environment has been healthy with this attempt's configuration, by the record of its resource. `None` if the
/// attempt has not succeeded or was rolled back, or if the environment is not healthy.
#[must_use]
pub fn healthy_for(status: &CognigyDeploymentStatus, attempt: &Attempt, now: Timestamp) -> Option<Duration> {
    healthy_since(status, attempt).map(|since| between(since, now))
}

/// Since when the environment has been healthy with this attempt's configuration. `None` as for [`healthy_for`].
#[must_use]
pub fn healthy_since(status: &CognigyDeploymentStatus, attempt: &Attempt) -> Option<Timestamp> {
    let verdict = attempt.verdict.as_ref().filter(|_| claim::claims_to_run(attempt))?;
    let healthy = status.conditions.find(ConditionType::Healthy)?;
    // The condition turns False and True again if health is watched after the success.
    (healthy.status == ConditionStatus::True).then(|| verdict.at.max(healthy.last_transition_time))
}

/// Ends the attempt. A verdict that was recorded is never changed.
pub fn conclude(
    status: &mut CognigyDeploymentStatus,
    facts: &Facts<'_>,
    outcome: Outcome,
    reason: Reason,
    note: impl Into<String>,
) -> Effects {
    let success_rate = validation_success_rate(status);
    conditions::remove_unreached(status);
    if !status.attempt.as_ref().is_some_and(Attempt::has_intent) && reason != Reason::Rejected {
        // Nothing waits at a gate any more.
        status.conditions.remove_condition(ConditionType::GatesOpen);
    }
    let Some(attempt) = &mut status.attempt else { return Effects::none() };
    attempt.step = Step::Settled;
    if attempt.verdict.is_some() {
        return Effects::none();
    }
    let at = facts.now.wall;
    attempt.verdict = Some(Verdict { outcome, reason, at });
    if let (Outcome::Succeeded, Some(job_id)) = (outcome, attempt.job_id()) {
        status.last_successful = Some(LastSuccessful {
            number: attempt.number,
            digest: attempt.digest.clone(),
            version: attempt.version.clone(),
            job_id: job_id.clone(),
            at,
            rolled_back_at: None,
        });
    }
    let note = note.into();
    let event = match outcome {
        Outcome::Succeeded | Outcome::Superseded | Outcome::Abandoned => Effects::normal(reason, note),
        // The reason for the verdict was announced before. This event says that the rollback was accepted.
        Outcome::RolledBack if reason != Reason::RolledBackByPlatform => Effects::warning(Reason::RolledBack, note),
        Outcome::RolledBack | Outcome::RollbackFailed | Outcome::Failed | Outcome::Unknown => {
            Effects::warning(reason, note)
        }
    };
    event.and(Effects { events: Vec::new(), messages: messages(attempt, facts, outcome, success_rate) })
}

/// The audit log gets a record of each rollout that was submitted. The webhook gets every outcome.
fn messages(
    attempt: &Attempt,
    facts: &Facts<'_>,
    outcome: Outcome,
    validation_success_rate: f64,
) -> Vec<OutboxMessage> {
    let at = facts.now.wall;
    let success = outcome == Outcome::Succeeded;
    // Without a job, the outcome Failed after the intent means that the API refused the submit: nothing was submitted.
    let was_rejected = outcome == Outcome::Failed && attempt.job.is_none();
    let submitted_at = attempt.intended_at().filter(|_| !was_rejected);
    let duration_seconds = submitted_at.map_or(0.0, |submitted_at| between(submitted_at, at).as_secs_f64());
    let id = |kind| key::outcome_message(facts.uid, attempt.number, attempt.started_at, kind);
    let audit = submitted_at.map(|_| OutboxMessage::Audit {
        id: id(DeliveryKind::Audit),
        job_id: attempt.job_id().cloned(),
        success,
        duration_seconds,
        compliance: facts.spec.compliance.clone(),
        at,
        api_origin: attempt.api_origin().cloned(),
    });
    let webhook = facts.has_webhook().then(|| OutboxMessage::Webhook {
        id: id(DeliveryKind::Webhook),
        job_id: attempt.job_id().cloned(),
        success,
        duration_seconds,
        validation_success_rate,
        at,
        api_origin: attempt.api_origin().cloned().or_else(|| facts.credentials_origin.clone()),
    });
    audit.into_iter().chain(webhook).collect()
}

/// The share of the checks that passed, of the validation and the trace. 0 if none was made.
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

/// Ends the attempt because its resource is deleted. The event and the log name the job.
pub fn abandon(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>, abandonment: Abandonment) -> Effects {
    if abandonment == Abandonment::BeforeSubmit {
        let note = "deleted before anything was submitted";
        return conclude(status, facts, Outcome::Abandoned, Reason::ResourceDeleted, note);
    }
    let job = status.attempt.as_ref().and_then(|attempt| attempt.job_id());
    let job = job.map_or_else(|| "no job is known".to_owned(), |job| format!("its job is {job}"));
    let note = format!("the resource is removed before its rollout is settled; {job}");
    Effects::warning(Reason::DeletionGraceExpired, note.clone()).and(conclude(
        status,
        facts,
        Outcome::Abandoned,
        Reason::ResourceDeleted,
        note,
    ))
}

/// Nobody will ever know whether the submit was accepted.
pub fn give_up_submit(status: &mut CognigyDeploymentStatus, facts: &Facts<'_>) -> Effects {
    let note = "nobody can tell whether the rollout was submitted, and it is not sent again; look at the environment, then \
                request a retry or deploy a new configuration";
    conditions::set_condition(
        status,
        facts,
        ConditionUpdate::set_unknown(ConditionType::RolledOut, Reason::SubmitOutcomeUnknown, note),
    );
    let effects = conclude(status, facts, Outcome::Unknown, Reason::SubmitOutcomeUnknown, note);
    claim::deploy(status);
    effects
}
