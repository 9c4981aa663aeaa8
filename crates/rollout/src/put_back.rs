//! What happens if somebody removes the status while a rollout is in flight or messages wait. This process remembers the
//! status, and restores what must not be lost.

use super::effects::Effects;
use api::reason::Reason;
use api::status::{Attempt, CognigyDeploymentStatus, OutboxEntry};

/// A status to write, and its effects.
#[derive(Clone, Debug, PartialEq)]
pub struct PutBack {
    /// The status with the restored parts.
    pub status: CognigyDeploymentStatus,
    /// The event for people.
    pub effects: Effects,
}

/// Whether this status must not be lost, because a rollout is in flight or messages wait for their receiver.
#[must_use]
pub fn must_not_be_lost(status: &CognigyDeploymentStatus) -> bool {
    status.attempt.as_ref().is_some_and(Attempt::is_in_flight) || !status.outbox.is_empty()
}

/// Decides whether something was removed from the status that this process must restore. `arrived` is the status that the API
/// server has. `remembered` is the status that this process last saw or wrote.
///
/// The operator never removes an attempt without a new one. So somebody else has edited a status that has no attempt. If the
/// rollout was in flight, the whole status is restored: a new attempt would submit the configuration a second time, under
/// another key, while the first job may still be running. Otherwise only the waiting messages are restored, because every
/// submitted rollout must be audited.
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
    let what = match attempt.job_id() {
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
