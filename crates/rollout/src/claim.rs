//! The claim on an environment, as the status records it. Only an accepted validation makes one.

use api::EnvironmentClaim;
use api::identifier::ApiOrigin;
use api::status::{Attempt, CognigyDeploymentStatus, Outcome};
use jiff::Timestamp;
use std::cmp::Reverse;

/// The recorded claim. If the field is missing, because somebody edited the status, the attempt has the same information.
#[must_use]
pub fn recorded(status: &CognigyDeploymentStatus) -> Option<EnvironmentClaim> {
    status.claim.clone().or_else(|| of_attempt(status.attempt.as_ref()?))
}

/// An attempt with an intent was validated by the API that its submission names.
fn of_attempt(attempt: &Attempt) -> Option<EnvironmentClaim> {
    let deployed_at = attempt.intended_at().filter(|_| may_have_deployed(attempt));
    Some(EnvironmentClaim { api_origin: attempt.api_origin()?.clone(), deployed_at })
}

/// Whether the rollout of this attempt has reached the environment, or may have.
fn may_have_deployed(attempt: &Attempt) -> bool {
    attempt.job.is_some() || attempt.outcome() == Some(Outcome::Unknown)
}

/// Whether a rollout of this resource may be in progress, as far as the status says. Nobody else may deploy meanwhile. An
/// attempt with the outcome Unknown counts, because its rollout may run until its deadline.
#[must_use]
pub fn is_in_flight(status: &CognigyDeploymentStatus) -> bool {
    let attempt = status.attempt.as_ref();
    attempt.is_some_and(|attempt| attempt.is_in_flight() || attempt.outcome() == Some(Outcome::Unknown))
}

/// The order of the claims on one environment: a rollout in flight, then the latest deployment, then the oldest resource, then
/// the name. The smallest owns the environment.
pub fn rank<'a>(
    in_flight: bool,
    deployed_at: Option<Timestamp>,
    created_at: Option<Timestamp>,
    namespace: &'a str,
    name: &'a str,
) -> impl Ord + use<'a> {
    (!in_flight, Reverse(deployed_at), created_at, namespace, name)
}

/// This API has accepted a validation. A claim at another API is given up.
pub fn accept(status: &mut CognigyDeploymentStatus, api_origin: &ApiOrigin) {
    let known = recorded(status).filter(|claim| claim.api_origin == *api_origin);
    let new = || EnvironmentClaim { api_origin: api_origin.clone(), deployed_at: None };
    status.claim = Some(known.unwrap_or_else(new));
}

/// This API has refused the validation or the credentials. A claim without a deployment is withdrawn. Returns whether it was.
pub fn refuse(status: &mut CognigyDeploymentStatus, api_origin: &ApiOrigin) -> bool {
    let is_unproven = |claim: &EnvironmentClaim| claim.deployed_at.is_none() && claim.api_origin == *api_origin;
    let is_withdrawn = recorded(status).as_ref().is_some_and(is_unproven);
    if is_withdrawn {
        status.claim = None;
    }
    is_withdrawn
}

/// The rollout of the present attempt reached the environment, or may have.
pub fn deploy(status: &mut CognigyDeploymentStatus) {
    if let Some(claim) = status.attempt.as_ref().and_then(of_attempt) {
        status.claim = Some(claim);
    }
}

/// Keeps the claim when the next attempt replaces the present one.
pub fn keep(status: &mut CognigyDeploymentStatus) {
    status.claim = recorded(status);
}

/// Whether the environment runs what this attempt deployed, as far as the attempt itself says.
#[must_use]
pub fn claims_to_run(attempt: &Attempt) -> bool {
    attempt.outcome() == Some(Outcome::Succeeded) && attempt.rollback.is_none()
}
