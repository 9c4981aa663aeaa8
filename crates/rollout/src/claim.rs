//! The claim on an environment, as the status records it. Only an accepted validation makes one.

use api::EnvironmentClaim;
use api::identifier::ApiOrigin;
use api::status::{Attempt, CognigyDeploymentStatus, Outcome};

/// The recorded claim. A status without the field was written by an older version; its attempt tells the same.
#[must_use]
pub fn recorded(status: &CognigyDeploymentStatus) -> Option<EnvironmentClaim> {
    status.claim.clone().or_else(|| of_attempt(status.attempt.as_ref()?))
}

/// An attempt with an intent was validated before by the API that the intent names.
fn of_attempt(attempt: &Attempt) -> Option<EnvironmentClaim> {
    let deployed_at = attempt.submitted_at.filter(|_| may_have_deployed(attempt));
    Some(EnvironmentClaim { api_origin: attempt.api_origin.clone()?, deployed_at })
}

/// Whether the rollout of this attempt came into the environment, or nobody can say that it did not.
fn may_have_deployed(attempt: &Attempt) -> bool {
    attempt.job_id.is_some() || attempt.outcome() == Some(Outcome::Unknown)
}

/// Whether a rollout of this resource may be under way, by what is recorded: nobody else may deploy meanwhile. An attempt
/// with the outcome Unknown counts, because its rollout may run until its deadline.
#[must_use]
pub fn is_in_flight(status: &CognigyDeploymentStatus) -> bool {
    let attempt = status.attempt.as_ref();
    attempt.is_some_and(|attempt| attempt.is_in_flight() || attempt.outcome() == Some(Outcome::Unknown))
}

/// That API has accepted a validation. A claim at another API is given up.
pub fn accept(status: &mut CognigyDeploymentStatus, api_origin: &ApiOrigin) {
    let known = recorded(status).filter(|claim| claim.api_origin == *api_origin);
    let new = || EnvironmentClaim { api_origin: api_origin.clone(), deployed_at: None };
    status.claim = Some(known.unwrap_or_else(new));
}

/// The API has refused the validation or the credentials. A claim that nothing was deployed under is withdrawn; the answer
/// is whether it was.
pub fn refuse(status: &mut CognigyDeploymentStatus, api_origin: &ApiOrigin) -> bool {
    let is_unproven = |claim: &EnvironmentClaim| claim.deployed_at.is_none() && claim.api_origin == *api_origin;
    let is_withdrawn = recorded(status).as_ref().is_some_and(is_unproven);
    if is_withdrawn {
        status.claim = None;
    }
    is_withdrawn
}

/// The rollout of the present attempt came into the environment, or may have.
pub fn deploy(status: &mut CognigyDeploymentStatus) {
    if let Some(claim) = status.attempt.as_ref().and_then(of_attempt) {
        status.claim = Some(claim);
    }
}

/// Keeps the claim when the present attempt makes way for the next one.
pub fn keep(status: &mut CognigyDeploymentStatus) {
    status.claim = recorded(status);
}

/// Whether the environment runs what this resource deployed, as far as its own attempt tells.
#[must_use]
pub fn says_that_it_runs(attempt: &Attempt) -> bool {
    attempt.outcome() == Some(Outcome::Succeeded) && attempt.rollback.is_none()
}
