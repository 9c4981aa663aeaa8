//! A status that somebody removed while a rollout was in flight or messages waited: this process remembers it, and puts back
//! what must not be lost.

use super::notice::Effects;
use api::reason::Reason;
use api::status::{Attempt, CognigyDeploymentStatus, OutboxEntry};

/// A status to write, and what to tell.
#[derive(Clone, Debug, PartialEq)]
pub struct PutBack {
    /// The status, with what was removed.
    pub status: CognigyDeploymentStatus,
    /// What people are told.
    pub effects: Effects,
}

/// Whether something would be lost with this status: a rollout in flight, or messages that nobody has taken.
#[must_use]
pub fn must_not_be_lost(status: &CognigyDeploymentStatus) -> bool {
    status.attempt.as_ref().is_some_and(Attempt::is_in_flight) || !status.outbox.is_empty()
}

/// Decides whether something was removed from the status that this process must put back. `arrived` is the status that the
/// API server has, `remembered` the one that this process last saw or wrote.
///
/// The operator only ever replaces an attempt by a newer one, so a status without any attempt was edited by somebody else. If
/// the rollout was in flight, all of it is put back: a new attempt would submit the configuration a second time, under
/// another key, while the first job may still run. Otherwise the removal stands, but for the messages that wait: every
/// rollout that was submitted is audited.
#[must_use]
pub fn after_removal(
    arrived: Option<&CognigyDeploymentStatus>,
    remembered: Option<&CognigyDeploymentStatus>,
) -> Option<PutBack> {
    let remembered = remembered?;
    if arrived.is_some_and(|arrived| arrived.attempt.is_some()) {
        return None;
    }
    match remembered.attempt.as_ref().filter(|attempt| attempt.is_in_flight()) {
        Some(attempt) => Some(whole(remembered, attempt)),
        None => messages(arrived, remembered),
    }
}

fn whole(remembered: &CognigyDeploymentStatus, attempt: &Attempt) -> PutBack {
    let what = match &attempt.job_id {
        Some(job_id) => job_id.to_string(),
        None => format!("the submit of attempt {}", attempt.number),
    };
    let note = format!(
        "somebody removed the status while {what} was in flight; it was put back: to stop the rollout, set the annotation \
         deploy.cognigy.ai/rollback"
    );
    PutBack { status: remembered.clone(), effects: Effects::warning(Reason::StatusPutBack, note) }
}

fn messages(arrived: Option<&CognigyDeploymentStatus>, remembered: &CognigyDeploymentStatus) -> Option<PutBack> {
    let mut status = arrived.cloned().unwrap_or_default();
    let is_missing = |entry: &&OutboxEntry| status.outbox.iter().all(|present| present.id != entry.id);
    let missing = remembered.outbox.iter().filter(is_missing).count();
    if missing == 0 {
        return None;
    }
    status.outbox.clone_from(&remembered.outbox);
    let note = format!(
        "somebody removed the status while {missing} message(s) waited for the audit log or the webhook to take them; the \
         messages were put back"
    );
    Some(PutBack { status, effects: Effects::warning(Reason::StatusPutBack, note) })
}
