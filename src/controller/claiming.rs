//! The reconcile's part in who owns an environment: asking for it, claiming it once a validation was accepted, and going in
//! flight there.

use super::error::Error;
use super::ownership::{Claim, Claimant, Claims, Place, Refusal};
use super::reconcile::Round;
use super::watched::{claimant, recorded_claim};
use api::EnvironmentId;
use platform::Connection;
use rollout::admission::ResourceName;
use rollout::answer::Retry;
use rollout::deadline::time_until_free;
use rollout::{Cause, Obstacle, attempt, claim};
use std::sync::Arc;

/// The words that tell a resource in `namespace` that another one owns its environment. Other namespaces may be other
/// tenants': their resources are not named.
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

/// What came of the wish to go in flight.
pub(super) enum Begun {
    /// The environment is this resource's.
    Yes,
    /// Another resource owns it.
    InUse(Obstacle),
    /// What was validated was another API: all is checked again.
    NotAccepted,
}

impl Round<'_> {
    /// Whether the environment's validation may be asked for; what stands in the way is another owner.
    pub(super) async fn may_ask(&self, session: &Connection) -> Result<Result<(), Obstacle>, Error> {
        let Some(claimant) = self.claimant() else { return Ok(Ok(())) };
        let place = self.place(session);
        loop {
            match self.context.claims.ask(&place, &claimant) {
                Ok(()) => return Ok(Ok(())),
                Err(owner) if self.has_gone_unseen(&owner).await? => {}
                Err(owner) => return Ok(Err(self.in_use(&owner))),
            }
        }
    }

    /// The API has accepted the validation: the resource claims the environment. Another resource may own it meanwhile; the
    /// intent finds out.
    pub(super) fn claim_environment(&mut self, session: &Connection) {
        claim::accept(&mut self.status, &session.origin);
        if let Some(claimant) = self.claimant() {
            self.context.rouse(self.context.claims.accept(&self.place(session), &claimant));
        }
    }

    /// The API has refused the validation or the credentials: what was never deployed under is no claim any more.
    pub(super) fn lose_claim(&mut self, session: &Connection) {
        if claim::refuse(&mut self.status, &session.origin) {
            self.context.rouse(self.context.claims.release(&self.uid));
        }
    }

    /// Goes in flight, if the environment is this resource's.
    pub(super) async fn begin_rollout(&self, session: &Connection) -> Result<Begun, Error> {
        let Some(claimant) = self.claimant() else { return Ok(Begun::Yes) };
        let place = self.place(session);
        loop {
            match self.context.claims.begin(&place, &claimant) {
                Ok(()) => return Ok(Begun::Yes),
                Err(Refusal::NotAccepted) => return Ok(Begun::NotAccepted),
                Err(Refusal::Owned(owner)) if self.has_gone_unseen(&owner).await? => {}
                Err(Refusal::Owned(owner)) => return Ok(Begun::InUse(self.in_use(&owner))),
            }
        }
    }

    /// What was validated was another API than the one that the credentials name now.
    pub(super) fn validate_again(&mut self) {
        self.change(|status, facts, memory| {
            memory.clear_failures();
            attempt::check_again(status, facts)
        });
    }

    /// Notes the claim as it is recorded now.
    pub(super) fn renew_claim(&self) {
        let status = &self.status;
        let is_held = status.attempt.as_ref().is_some_and(|attempt| {
            let facts = self.facts(&self.object, self.context.now());
            attempt.is_in_flight() || !time_until_free(&facts, attempt, &self.remembered.memory).is_zero()
        });
        let Some((place, recorded)) = recorded_claim(&self.object) else {
            return self.context.claims.nothing_is_in_flight(&self.uid);
        };
        let Some(claimant) = claimant(self.object.as_ref(), Claim { in_flight: is_held, ..recorded }) else { return };
        self.context.rouse(self.context.claims.record(&place, claimant));
    }

    /// Finds the resource that owns what this one has deployed to, or is deploying to, if that is another one. It is asked for
    /// by its name: to begin anew because of a resource that only an old list shows would deploy twice.
    pub(super) async fn find_other_owner(&mut self) -> Result<(), Error> {
        let Some(attempt) = self.status.attempt.as_ref().filter(|attempt| attempt.has_intent()) else { return Ok(()) };
        let claims = &self.context.claims;
        let find = if attempt.is_in_flight() { Claims::owner_over_once_settled } else { Claims::owner_over };
        self.other_owner = loop {
            match find(claims, &self.uid) {
                None => break None,
                Some(owner) if self.context.drop_if_gone(&owner).await? => {}
                Some(owner) => break Some(self.told_of(&owner)),
            }
        };
        Ok(())
    }

    fn place(&self, session: &Connection) -> Arc<Place> {
        Arc::new(Place { origin: session.origin.clone(), environment: self.object.spec.environment_id.clone() })
    }

    fn claimant(&self) -> Option<Claimant> {
        claimant(self.object.as_ref(), Claim::ACCEPTED)
    }

    /// Whether the owner has gone without a word, its finalizer taken off by hand.
    async fn has_gone_unseen(&self, owner: &Claimant) -> Result<bool, Error> {
        Ok(!self.context.shows(owner) && self.context.drop_if_gone(owner).await?)
    }

    fn told_of(&self, owner: &Claimant) -> String {
        let namespace = self.object.metadata.namespace.as_deref().unwrap_or_default();
        in_use_by(&self.object.spec.environment_id, &owner.who, namespace)
    }

    /// The log is the platform team's, and may name the owner.
    fn in_use(&self, owner: &Claimant) -> Obstacle {
        let known = self.remembered.memory.obstacle(self.generation());
        if known.is_none_or(|known| known.cause != Cause::EnvironmentInUse) {
            let ResourceName { namespace, name } = &owner.who;
            let environment = &self.object.spec.environment_id;
            tracing::info!(%environment, owner = format!("{namespace}/{name}"), "another resource owns the environment");
        }
        Obstacle::lasting(Cause::EnvironmentInUse, self.told_of(owner), Retry::OwnerGone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(namespace: &str) -> String {
        let owner = ResourceName { namespace: "shop".into(), name: "bot".into() };
        in_use_by(&EnvironmentId::new("env_1"), &owner, namespace)
    }

    #[test]
    fn an_owner_is_named_in_its_own_namespace_only() {
        assert!(told("shop").contains("env_1 is deployed by shop/bot"), "{}", told("shop"));
        let elsewhere = told("bank");
        assert!(!elsewhere.contains("shop") && !elsewhere.contains("bot"), "{elsewhere}");
        assert!(elsewhere.contains("kubectl get cognigydeployments -A | grep -wF -- 'env_1'"), "{elsewhere}");
    }
}
