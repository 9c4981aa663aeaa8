//! A status that somebody removed in the middle of a rollout: this process remembers it, and puts it back.

use super::notice::Effects;
use crate::api::reason::Reason;
use crate::api::status::{Attempt, CognigyDeploymentStatus};

/// A status to write again, and what to tell.
#[derive(Clone, Debug, PartialEq)]
pub struct PutBack {
    /// The status as this process remembers it.
    pub status: CognigyDeploymentStatus,
    /// What people are told.
    pub effects: Effects,
}

/// Decides whether a status was removed that this process must put back. `arrived` is the status that the API server has,
/// `remembered` the one that this process last saw or wrote.
///
/// If the rollout was in flight, a new attempt would submit the configuration a second time, under another key, while the
/// first job may still run. The operator only ever replaces an attempt by a newer one, so a status without any attempt was
/// edited by somebody else.
#[must_use]
pub fn removed_in_flight(
    arrived: Option<&CognigyDeploymentStatus>,
    remembered: Option<&CognigyDeploymentStatus>,
) -> Option<PutBack> {
    let status = remembered?;
    let attempt = status.attempt.as_ref().filter(|attempt| attempt.is_in_flight())?;
    if arrived.is_some_and(|arrived| arrived.attempt.is_some()) {
        return None;
    }
    let note = format!(
        "somebody removed the status while {} was in flight; it was put back: to stop the rollout, set the annotation \
         deploy.cognigy.ai/rollback",
        in_flight(attempt)
    );
    Some(PutBack { status: status.clone(), effects: Effects::warning(Reason::StatusPutBack, note) })
}

fn in_flight(attempt: &Attempt) -> String {
    match &attempt.job_id {
        Some(job_id) => job_id.to_string(),
        None => format!("the submit of attempt {}", attempt.number),
    }
}
