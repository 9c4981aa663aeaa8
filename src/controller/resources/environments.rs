//! The claims of resources on environments.

use super::ResourceRegistry;
use super::claims::{ApiEnvironment, Certainty, Claimant, Refusal};
use std::sync::Arc;

impl ResourceRegistry {
    /// Notes a claim that the watch shows. A resource that loses the environment because of it is requeued.
    pub fn note_claim(&self, environment: &Arc<ApiEnvironment>, claimant: Claimant, certainty: Certainty) {
        self.change(|inner| {
            let claimant = inner.sharing_uid(claimant);
            inner.claims.note(environment, claimant, certainty)
        });
    }

    /// Requests the environment before its validation. A resource that is refused is requeued when the owner releases
    /// it.
    ///
    /// # Errors
    /// The owner.
    pub fn request_environment(&self, environment: &Arc<ApiEnvironment>, claimant: &Claimant) -> Result<(), Claimant> {
        let mut inner = self.inner.lock();
        inner.entry(&claimant.uid);
        inner.claims.request(environment, claimant)
    }

    /// Claims the environment after an accepted validation, and releases the previous one. The resources that want the
    /// previous environment are requeued.
    pub fn accept_claim(&self, environment: &Arc<ApiEnvironment>, claimant: Claimant) {
        self.change(|inner| {
            let claimant = inner.sharing_uid(claimant);
            inner.claims.accept(environment, &claimant)
        });
    }

    /// Marks the resource's rollout as in flight, if the resource owns the environment.
    ///
    /// # Errors
    /// [`Refusal`]
    pub fn begin_rollout(&self, environment: &Arc<ApiEnvironment>, claimant: &Claimant) -> Result<(), Refusal> {
        self.inner.lock().claims.begin(environment, claimant)
    }

    /// Notes the claim that a reconcile has recorded. If the resource owned the environment until now, the new owner is
    /// requeued.
    pub fn record_claim(&self, environment: &Arc<ApiEnvironment>, claimant: Claimant) {
        self.change(|inner| {
            let claimant = inner.sharing_uid(claimant);
            inner.claims.record(environment, claimant)
        });
    }

    /// Notes that a resource has nothing in flight and has recorded no claim, because the write was refused.
    pub fn clear_in_flight(&self, uid: &str) {
        self.inner.lock().claims.clear_in_flight(uid);
    }

    /// Releases the claim of a resource that still exists. The resources that want its environment are requeued.
    pub fn release_claim(&self, uid: &str) {
        self.change(|inner| inner.claims.release(uid));
    }

    /// Requeues the resources that want the environment of a resource that may be gone. Its claim stays until the API
    /// server has confirmed that it is gone: a list from an old cache may lack a resource that exists.
    pub fn requeue_rivals(&self, uid: &str) {
        self.change(|inner| inner.claims.rivals(uid));
    }

    /// The owner of the environment that a resource claims, if that is another resource.
    #[must_use]
    pub fn other_owner(&self, uid: &str) -> Option<Claimant> {
        self.inner.lock().claims.other_owner(uid)
    }

    /// The owner of the environment that a resource claims once nothing is in flight there, if that is another
    /// resource. After an upgrade or from a restored backup two resources may be in flight at once.
    #[must_use]
    pub fn other_owner_once_settled(&self, uid: &str) -> Option<Claimant> {
        self.inner.lock().claims.other_owner_once_settled(uid)
    }
}
