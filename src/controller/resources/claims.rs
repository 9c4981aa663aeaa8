//! One environment, one owner.
//!
//! Two resources that deploy to the same environment of the same API would overwrite each other forever. So only one of
//! them owns the environment:
//!
//! 1. a resource with a rollout in flight there;
//! 2. if there is none, the resource that deployed there last;
//! 3. if there is none, the oldest of the resources whose validation was accepted there. If several were created in the same
//!    second, the first by namespace and name.
//!
//! So an owner that has deployed keeps the environment until it is deleted, or until another API accepts its
//! validation. A refused token or a refused validation makes no claim.
//!
//! All claims are read from the statuses that the watch shows ([`rollout::claim`]) before anything is submitted, so
//! that a restart finds the same owners.

use api::EnvironmentId;
use api::identifier::ApiOrigin;
use jiff::Timestamp;
use rollout::admission::ResourceName;
use rollout::claim;
use std::collections::HashMap;
use std::sync::Arc;

/// An environment of an API.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ApiEnvironment {
    /// The API.
    pub origin: ApiOrigin,
    /// The environment.
    pub environment: EnvironmentId,
}

/// A resource that claims an environment, or wants to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// The resource's uid.
    pub uid: Arc<str>,
    /// The resource's name.
    pub resource: ResourceName,
    /// When it was created.
    pub created_at: Timestamp,
    /// The resource version that this was read from; 0 if it is not a number.
    pub version: u64,
    /// The grounds of its claim.
    pub claim: Claim,
}

/// The grounds of a claim on an environment, besides an accepted validation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// It has a rollout in flight there.
    pub in_flight: bool,
    /// When it last deployed there.
    pub deployed_at: Option<Timestamp>,
}

impl Claim {
    /// The claim of a resource with an accepted validation and nothing else.
    pub const ACCEPTED: Self = Self { in_flight: false, deployed_at: None };

    fn or(self, other: Self) -> Self {
        Self { in_flight: self.in_flight || other.in_flight, deployed_at: self.deployed_at.max(other.deployed_at) }
    }
}

impl Claimant {
    /// The claimant with the smallest rank owns the environment. The uid only distinguishes a resource from an earlier
    /// one with the same name.
    fn rank(&self) -> impl Ord {
        let Claim { in_flight, deployed_at } = self.claim;
        let ResourceName { namespace, name } = &self.resource;
        (claim::rank(in_flight, deployed_at, Some(self.created_at), namespace, name), &self.uid)
    }

    fn outranks(&self, other: &Self) -> bool {
        self.uid != other.uid && self.rank() < other.rank()
    }
}

/// Whether a claim that the watch shows is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// A reconcile runs or follows. This process may already know more about the claim than the watch shows.
    Provisional,
    /// No reconcile follows. The watch shows the whole claim.
    Final,
}

/// Why a resource may not go in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another resource owns the environment.
    Owned(Claimant),
    /// No validation was accepted for the environment at this API.
    NotAccepted,
}

/// All claims, by environment and by resource. A resource claims one environment at a time. There is a claim for each
/// resource that ever deployed. To save memory, the maps share their keys, and the lists of claimants have no spare
/// capacity.
#[derive(Debug, Default)]
pub(super) struct Claims {
    claimants: HashMap<Arc<ApiEnvironment>, Vec<Claimant>>,
    environment_of: HashMap<Arc<str>, Arc<ApiEnvironment>>,
    /// Resources that wait for an environment, without a claim on it.
    waiting: HashMap<Arc<str>, (Arc<ApiEnvironment>, ResourceName)>,
}

impl Claims {
    /// Notes a claim that the watch shows. Returns the resources that do not own the environment and may not know it
    /// yet: the previous owner, or the resource itself.
    #[must_use]
    pub fn note(
        &mut self,
        environment: &Arc<ApiEnvironment>,
        claimant: Claimant,
        certainty: Certainty,
    ) -> Vec<ResourceName> {
        let mut claimant = claimant;
        if let Some(known) = self.get(&claimant.uid) {
            if known.version >= claimant.version && claimant.version > 0 {
                return Vec::new();
            }
            if certainty == Certainty::Provisional && self.environment_of.get(&claimant.uid) == Some(environment) {
                claimant.claim = claimant.claim.or(known.claim);
            }
        }
        let before = self.owner(environment).cloned();
        let this = claimant.clone();
        let _ = self.put(environment, claimant);
        let Some(owner) = self.owner(environment) else { return Vec::new() };
        let losers = before.into_iter().chain([this]).filter(|loser| loser.uid != owner.uid);
        losers.map(|loser| loser.resource).collect()
    }

    /// Requests the environment before its validation. A resource that is refused waits until the owner releases it.
    ///
    /// # Errors
    /// The owner.
    pub fn request(&mut self, environment: &Arc<ApiEnvironment>, claimant: &Claimant) -> Result<(), Claimant> {
        let requested = Claimant { claim: self.claim_on(environment, &claimant.uid), ..claimant.clone() };
        match self.stronger(environment, &requested) {
            Some(owner) => {
                let waiter = (Arc::clone(environment), claimant.resource.clone());
                self.waiting.insert(Arc::clone(&claimant.uid), waiter);
                Err(owner)
            }
            None => {
                self.waiting.remove(&claimant.uid);
                Ok(())
            }
        }
    }

    /// Claims the environment after an accepted validation, and releases the previous one. Returns the resources that
    /// want the previous environment.
    #[must_use]
    pub fn accept(&mut self, environment: &Arc<ApiEnvironment>, claimant: &Claimant) -> Vec<ResourceName> {
        let claim = self.claim_on(environment, &claimant.uid);
        self.put(environment, Claimant { claim, ..claimant.clone() })
    }

    /// Marks the resource's rollout as in flight, if the resource owns the environment. An in-flight claim beats a new
    /// one, regardless of age.
    ///
    /// # Errors
    /// [`Refusal`]
    pub fn begin(&mut self, environment: &Arc<ApiEnvironment>, claimant: &Claimant) -> Result<(), Refusal> {
        let known = self.claimant(environment, &claimant.uid).ok_or(Refusal::NotAccepted)?.clone();
        if let Some(owner) = self.stronger(environment, &known) {
            return Err(Refusal::Owned(owner));
        }
        let claim = Claim { in_flight: true, ..known.claim };
        let _ = self.put(environment, Claimant { claim, ..claimant.clone() });
        Ok(())
    }

    /// Notes the claim that a reconcile has recorded. Returns the new owner if the resource has just lost the
    /// environment, and the resources that want its previous environment.
    #[must_use]
    pub fn record(&mut self, environment: &Arc<ApiEnvironment>, claimant: Claimant) -> Vec<ResourceName> {
        let owned = self.owner(environment).is_some_and(|owner| owner.uid == claimant.uid);
        let uid = Arc::clone(&claimant.uid);
        let mut requeued = self.put(environment, claimant);
        let owner = self.owner(environment).filter(|owner| owned && owner.uid != uid);
        requeued.extend(owner.map(|owner| owner.resource.clone()));
        requeued
    }

    /// Notes that a resource has nothing in flight and has recorded no claim, because the write was refused.
    pub fn clear_in_flight(&mut self, uid: &str) {
        if let Some(claimant) = self.find(uid) {
            claimant.claim.in_flight = false;
        }
    }

    /// The other resources that claim the environment of this one, or wait for it.
    #[must_use]
    pub fn rivals(&self, uid: &str) -> Vec<ResourceName> {
        self.environment_of.get(uid).map(|environment| self.interested(environment, uid)).unwrap_or_default()
    }

    /// Releases the claim of a resource. Returns the resources that want its environment.
    #[must_use]
    pub fn release(&mut self, uid: &str) -> Vec<ResourceName> {
        self.waiting.remove(uid);
        self.remove(uid)
    }

    /// The owner of the environment that a resource claims, if that is another resource.
    #[must_use]
    pub fn other_owner(&self, uid: &str) -> Option<Claimant> {
        let owner = self.owner(self.environment_of.get(uid)?)?;
        (&*owner.uid != uid).then(|| owner.clone())
    }

    /// The same, once nothing is in flight in that environment.
    #[must_use]
    pub fn other_owner_once_settled(&self, uid: &str) -> Option<Claimant> {
        let claimants = self.at(self.environment_of.get(uid)?);
        let settled = claimants.iter().map(|known| {
            let claim = Claim { in_flight: false, ..known.claim };
            Claimant { claim, ..known.clone() }
        });
        settled.min_by(|left, right| left.rank().cmp(&right.rank())).filter(|owner| &*owner.uid != uid)
    }

    /// The claim of a resource.
    pub fn get(&self, uid: &str) -> Option<&Claimant> {
        self.claimant(self.environment_of.get(uid)?, uid)
    }

    fn claimant(&self, environment: &ApiEnvironment, uid: &str) -> Option<&Claimant> {
        self.at(environment).iter().find(|claimant| &*claimant.uid == uid)
    }

    /// The claim of a resource on this environment. It is empty if the resource does not claim the environment.
    fn claim_on(&self, environment: &ApiEnvironment, uid: &str) -> Claim {
        self.claimant(environment, uid).map(|claimant| claimant.claim).unwrap_or_default()
    }

    fn at(&self, environment: &ApiEnvironment) -> &[Claimant] {
        self.claimants.get(environment).map(Vec::as_slice).unwrap_or_default()
    }

    fn owner(&self, environment: &ApiEnvironment) -> Option<&Claimant> {
        self.at(environment).iter().min_by(|left, right| left.rank().cmp(&right.rank()))
    }

    /// The owner, if it comes before this claimant.
    fn stronger(&self, environment: &ApiEnvironment, claimant: &Claimant) -> Option<Claimant> {
        self.owner(environment).filter(|owner| owner.outranks(claimant)).cloned()
    }

    fn find(&mut self, uid: &str) -> Option<&mut Claimant> {
        let claimants = self.claimants.get_mut(self.environment_of.get(uid)?)?;
        claimants.iter_mut().find(|claimant| &*claimant.uid == uid)
    }

    /// Claims an environment for a resource, and releases the previous one. Returns the resources that want the
    /// previous one.
    fn put(&mut self, environment: &Arc<ApiEnvironment>, claimant: Claimant) -> Vec<ResourceName> {
        self.waiting.remove(&claimant.uid);
        let moves = self.environment_of.get(&claimant.uid).is_some_and(|present| present != environment);
        let freed = if moves { self.remove(&claimant.uid) } else { Vec::new() };
        if let Some(present) = self.find(&claimant.uid) {
            *present = claimant;
            return freed;
        }
        self.environment_of.insert(Arc::clone(&claimant.uid), Arc::clone(environment));
        let claimants = self.claimants.entry(Arc::clone(environment)).or_default();
        claimants.reserve_exact(1);
        claimants.push(claimant);
        freed
    }

    /// Removes a claim. Returns the resources that want its environment.
    fn remove(&mut self, uid: &str) -> Vec<ResourceName> {
        let Some(environment) = self.environment_of.remove(uid) else { return Vec::new() };
        let Some(claimants) = self.claimants.get_mut(&environment) else { return Vec::new() };
        claimants.retain(|claimant| &*claimant.uid != uid);
        if claimants.is_empty() {
            self.claimants.remove(&environment);
        }
        self.interested(&environment, uid)
    }

    fn interested(&self, environment: &Arc<ApiEnvironment>, uid: &str) -> Vec<ResourceName> {
        let claimants = self.at(environment).iter().filter(|claimant| &*claimant.uid != uid);
        let waiting = self.waiting.values().filter(|(wanted, _)| wanted == environment);
        claimants.map(|claimant| &claimant.resource).chain(waiting.map(|(_, resource)| resource)).cloned().collect()
    }
}

#[cfg(test)]
mod tests;
