//! How a reconcile claims an environment: it requests the environment before the validation, claims it once the
//! validation was accepted, and begins the rollout there.

use super::error::Error;
use super::reconcile::ReconcileRun;
use super::resources::ResourceRegistry;
use super::resources::claims::{ApiEnvironment, Claim, Claimant, Refusal};
use super::watched::{claimant, recorded_claim};
use api::EnvironmentId;
use platform::Connection;
use rollout::admission::ResourceName;
use rollout::answer::Retry;
use rollout::deadline::time_until_free;
use rollout::{Cause, Obstacle, attempt, claim};
use std::sync::Arc;

/// The message to a resource in `namespace` whose environment another resource owns. Resources in other namespaces may
/// belong to other tenants, so the message does not name them.
#[must_use]
pub(super) fn in_use_by(environment: &EnvironmentId, owner: &ResourceName, namespace: &str) -> String {
    let ResourceName { namespace: of_the_owner, name } = owner;
    if **of_the_owner == *namespace {
        return format!(
            "the environment {environment} is deployed by {of_the_owner}/{name}: delete one of the two, or deploy to another \
             environment by another resource"
        );
    }
    format!(
        "the environment {environment} is deployed by a resource in another namespace; ask your platform team, who find it \
         with: kubectl get cognigydeployments -A | grep -wF -- '{environment}'"
    )
}

/// Whether a resource may begin its rollout.
pub(super) enum Begun {
    /// The resource owns the environment.
    Yes,
    /// Another resource owns it.
    InUse(Obstacle),
    /// The credentials now point to another API than the one that accepted the validation. The checks are repeated.
    NotAccepted,
}

impl ReconcileRun<'_> {
    /// Requests the environment, before its validation. If another resource owns it, the obstacle names that resource.
    pub(super) async fn request_environment(&self, session: &Connection) -> Result<Result<(), Obstacle>, Error> {
        let Some(claimant) = self.claimant() else { return Ok(Ok(())) };
        let environment = self.claimed_environment(session);
        loop {
            match self.context.resources.request_environment(&environment, &claimant) {
                Ok(()) => return Ok(Ok(())),
                Err(owner) if self.forget_if_hidden_and_gone(&owner).await? => {}
                Err(owner) => return Ok(Err(self.in_use(&owner))),
            }
        }
    }

    /// Claims the environment, because the API has accepted the validation. If another resource has become its
    /// owner in the meantime, the intent is refused.
    pub(super) fn claim_environment(&mut self, session: &Connection) {
        claim::accept(&mut self.status, &session.origin);
        if let Some(claimant) = self.claimant() {
            self.context.resources.accept_claim(&self.claimed_environment(session), claimant);
        }
    }

    /// Handles a refused validation or refused credentials: releases the claim if nothing was deployed under it.
    pub(super) fn lose_claim(&mut self, session: &Connection) {
        if claim::refuse(&mut self.status, &session.origin) {
            self.context.resources.release_claim(&self.observed.uid);
        }
    }

    /// Begins the rollout, if the resource owns the environment.
    pub(super) async fn begin_rollout(&self, session: &Connection) -> Result<Begun, Error> {
        let Some(claimant) = self.claimant() else { return Ok(Begun::Yes) };
        let environment = self.claimed_environment(session);
        loop {
            match self.context.resources.begin_rollout(&environment, &claimant) {
                Ok(()) => return Ok(Begun::Yes),
                Err(Refusal::NotAccepted) => return Ok(Begun::NotAccepted),
                Err(Refusal::Owned(owner)) if self.forget_if_hidden_and_gone(&owner).await? => {}
                Err(Refusal::Owned(owner)) => return Ok(Begun::InUse(self.in_use(&owner))),
            }
        }
    }

    /// Repeats the checks, because their results are too old, or the checks or the API have changed.
    pub(super) fn validate_again(&mut self) {
        self.change(|status, facts, memory| {
            memory.clear_failures();
            attempt::check_again(status, facts)
        });
    }

    /// Updates the claim from the recorded status.
    pub(super) fn record_claim(&self) {
        let status = &self.status;
        let is_held = status.attempt.as_ref().is_some_and(|attempt| {
            let facts = self.facts(&self.observed.object, self.context.now());
            attempt.is_in_flight() || !time_until_free(&facts, attempt, &self.state.memory).is_zero()
        });
        let Some((environment, recorded)) = recorded_claim(&self.observed.object) else {
            return self.context.resources.clear_in_flight(&self.observed.uid);
        };
        let Some(claimant) = claimant(self.observed.object.as_ref(), Claim { in_flight: is_held, ..recorded }) else {
            return;
        };
        self.context.resources.record_claim(&environment, claimant);
    }

    /// Finds another resource that owns the environment of this resource's attempt. The API server must confirm that
    /// the other resource exists. It may be only in an outdated list, and then a new attempt because of it would deploy
    /// the same configuration twice.
    pub(super) async fn find_other_owner(&mut self) -> Result<(), Error> {
        let stands = self.status.standing_attempt.is_some();
        let attempt = self.status.attempt.as_ref().filter(|attempt| attempt.has_intent() || stands);
        let Some(attempt) = attempt else { return Ok(()) };
        let find = match attempt.is_in_flight() {
            true => ResourceRegistry::other_owner_once_settled,
            false => ResourceRegistry::other_owner,
        };
        self.observed.other_owner = loop {
            match find(&self.context.resources, &self.observed.uid) {
                None => break None,
                Some(owner) if self.context.forget_if_gone(&owner).await? => {}
                Some(owner) => break Some(self.in_use_message(&owner)),
            }
        };
        Ok(())
    }

    fn claimed_environment(&self, session: &Connection) -> Arc<ApiEnvironment> {
        Arc::new(ApiEnvironment {
            origin: session.origin.clone(),
            environment: self.observed.object.spec.environment_id.clone(),
        })
    }

    fn claimant(&self) -> Option<Claimant> {
        claimant(self.observed.object.as_ref(), Claim::ACCEPTED)
    }

    /// Forgets an owner that the watches do not show and that is gone, because somebody removed its finalizer by hand.
    /// Returns whether it is gone.
    async fn forget_if_hidden_and_gone(&self, owner: &Claimant) -> Result<bool, Error> {
        Ok(!self.context.cluster.shows(owner) && self.context.forget_if_gone(owner).await?)
    }

    fn in_use_message(&self, owner: &Claimant) -> String {
        let namespace = self.observed.object.metadata.namespace.as_deref().unwrap_or_default();
        in_use_by(&self.observed.object.spec.environment_id, &owner.resource, namespace)
    }

    /// Only the platform team reads the log, so the log may name the owner.
    fn in_use(&self, owner: &Claimant) -> Obstacle {
        let known = self.state.memory.obstacle(self.observed.generation());
        if known.is_none_or(|known| known.cause != Cause::EnvironmentInUse) {
            let ResourceName { namespace, name } = &owner.resource;
            let environment = &self.observed.object.spec.environment_id;
            tracing::info!(%environment, owner = format!("{namespace}/{name}"), "another resource owns the environment");
        }
        Obstacle::lasting(Cause::EnvironmentInUse, self.in_use_message(owner), Retry::OwnerGone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message_in(namespace: &str) -> String {
        let owner = ResourceName { namespace: "shop".into(), name: "bot".into() };
        in_use_by(&EnvironmentId::new("env_1"), &owner, namespace)
    }

    #[test]
    fn an_owner_is_named_in_its_own_namespace_only() {
        assert!(message_in("shop").contains("env_1 is deployed by shop/bot"), "{}", message_in("shop"));
        let elsewhere = message_in("bank");
        assert!(!elsewhere.contains("shop") && !elsewhere.contains("bot"), "{elsewhere}");
        assert!(elsewhere.contains("kubectl get cognigydeployments -A | grep -wF -- 'env_1'"), "{elsewhere}");
    }
}
