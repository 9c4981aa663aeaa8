//! The claims of resources on environments.

use super::ResourceRegistry;
use super::claims::{ApiEnvironment, Certainty, Claimant, Refusal};
use std::sync::Arc;

impl ResourceRegistry {
    /// Notes a claim that the watch shows. Who loses the environment by it is requeued.
    pub fn note_claim(&self, environment: &Arc<ApiEnvironment>, claimant: Claimant, certainty: Certainty) {
        self.change(|kept| {
            let claimant = kept.sharing_uid(claimant);
            kept.claims.note(environment, claimant, certainty)
        });
    }

    /// Whether the resource may ask for the environment's validation. One that may not is requeued when the owner goes.
    ///
    /// # Errors
    /// The owner.
    pub fn request_environment(&self, environment: &Arc<ApiEnvironment>, claimant: &Claimant) -> Result<(), Claimant> {
        let mut kept = self.kept.lock();
        kept.entry(&claimant.uid);
        kept.claims.ask(environment, claimant)
    }

    /// The validation was accepted: the resource claims the environment, and no other one. Those who want its previous
    /// environment are requeued.
    pub fn accept_claim(&self, environment: &Arc<ApiEnvironment>, claimant: Claimant) {
        self.change(|kept| {
            let claimant = kept.sharing_uid(claimant);
            kept.claims.accept(environment, &claimant)
        });
    }

    /// Goes in flight, if the resource owns the environment.
    ///
    /// # Errors
    /// [`Refusal`]
    pub fn begin_rollout(&self, environment: &Arc<ApiEnvironment>, claimant: &Claimant) -> Result<(), Refusal> {
        self.kept.lock().claims.begin(environment, claimant)
    }

    /// Notes the claim that a reconcile has recorded. If the resource owned the environment until now, the new owner is
    /// requeued.
    pub fn record_claim(&self, environment: &Arc<ApiEnvironment>, claimant: Claimant) {
        self.change(|kept| {
            let claimant = kept.sharing_uid(claimant);
            kept.claims.record(environment, claimant)
        });
    }

    /// Notes that a resource has nothing in flight and has recorded no claim: the write was refused.
    pub fn clear_in_flight(&self, uid: &str) {
        self.kept.lock().claims.clear_in_flight(uid);
    }

    /// Releases the claim of a resource that stays. Those who want its environment are requeued.
    pub fn release_claim(&self, uid: &str) {
        self.change(|kept| kept.claims.release(uid));
    }

    /// Requeues those who want the environment of a resource that may be gone. Its claim stays until one of them has asked
    /// the API server: a list from an old cache may lack a resource that is there.
    pub fn requeue_rivals(&self, uid: &str) {
        self.change(|kept| kept.claims.rivals(uid));
    }

    /// The owner of the environment that a resource claims, if that is another resource.
    #[must_use]
    pub fn other_owner(&self, uid: &str) -> Option<Claimant> {
        self.kept.lock().claims.other_owner(uid)
    }

    /// The owner of the environment that a resource claims once nothing is in flight there, if that is another resource.
    /// After an upgrade or from a restored backup two resources may be in flight at once.
    #[must_use]
    pub fn other_owner_once_settled(&self, uid: &str) -> Option<Claimant> {
        self.kept.lock().claims.other_owner_once_settled(uid)
    }
}
