//! One environment, one owner.
//!
//! Two resources that deploy to the same environment of the same API would undo each other for ever. One of them owns it, in
//! this order:
//!
//! 1. one with a rollout in flight there,
//! 2. the one that deployed there last,
//! 3. of those whose validation was accepted there, the oldest; of the same second, the first by namespace and name.
//!
//! So an owner that has deployed keeps the environment until it is deleted, or gives it up because another API has accepted
//! its validation. A refused token or a refused validation claims nothing.
//!
//! The claims live in memory. Each is noted from the status that the watch shows ([`rollout::claim`]) before anything
//! is submitted, so that a restart comes to the same owners.

use api::EnvironmentId;
use api::identifier::ApiOrigin;
use jiff::Timestamp;
use rollout::admission::ResourceName;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An environment of an API.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
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
    pub who: ResourceName,
    /// When it was created.
    pub created_at: Timestamp,
    /// The resource version that this was read from; 0 if it is not a number.
    pub version: u64,
    /// What it claims the environment by.
    pub claim: Claim,
}

/// What a resource claims an environment by, besides an accepted validation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// It has a rollout in flight there.
    pub in_flight: bool,
    /// When it deployed there last.
    pub deployed_at: Option<Timestamp>,
}

impl Claim {
    /// A validation was accepted, and nothing else.
    pub const ACCEPTED: Self = Self { in_flight: false, deployed_at: None };

    fn or(self, other: Self) -> Self {
        Self { in_flight: self.in_flight || other.in_flight, deployed_at: self.deployed_at.max(other.deployed_at) }
    }
}

impl Claimant {
    /// The smallest of those who claim an environment owns it. The uid only tells a resource from its predecessor of the same
    /// name.
    fn rank(&self) -> impl Ord {
        let Claim { in_flight, deployed_at } = self.claim;
        (!in_flight, Reverse(deployed_at), self.created_at, &self.who.namespace, &self.who.name, &self.uid)
    }

    fn outranks(&self, other: &Self) -> bool {
        self.uid != other.uid && self.rank() < other.rank()
    }
}

/// How far a claim that the watch shows is to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// A reconcile follows, or runs: it knows better if this process has claimed more meanwhile.
    Provisional,
    /// Nothing follows: the claim is as shown.
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

/// Who claims what.
#[derive(Debug, Default)]
pub struct Claims {
    register: Mutex<Register>,
}

impl Claims {
    /// Notes a claim that the watch shows. The answer is who does not own the environment by that, and may not know: the
    /// owner until now, or the resource itself.
    #[must_use]
    pub fn note(&self, place: &Arc<Place>, claimant: Claimant, certainty: Certainty) -> Vec<ResourceName> {
        let mut register = self.lock();
        let mut claimant = claimant;
        if let Some(known) = register.find(&claimant.uid) {
            if known.version >= claimant.version && claimant.version > 0 {
                return Vec::new();
            }
            if certainty == Certainty::Provisional && register.place_of.get(&claimant.uid) == Some(place) {
                let known = register.find(&claimant.uid).map(|known| known.claim).unwrap_or_default();
                claimant.claim = claimant.claim.or(known);
            }
        }
        let before = register.owner(place).cloned();
        let this = claimant.clone();
        let _ = register.put(place, claimant);
        let Some(owner) = register.owner(place) else { return Vec::new() };
        let losers = before.into_iter().chain([this]).filter(|loser| loser.uid != owner.uid);
        losers.map(|loser| loser.who).collect()
    }

    /// Whether the resource may ask for the environment's validation. One that may not is told when the owner goes.
    ///
    /// # Errors
    /// The owner.
    pub fn ask(&self, place: &Arc<Place>, claimant: &Claimant) -> Result<(), Claimant> {
        let mut register = self.lock();
        let known = register.at(place).iter().find(|known| known.uid == claimant.uid);
        let as_it_would_be = Claimant { claim: known.map(|known| known.claim).unwrap_or_default(), ..claimant.clone() };
        match register.stronger(place, &as_it_would_be) {
            Some(owner) => {
                let waiter = (Arc::clone(place), claimant.who.clone());
                register.waiting.insert(Arc::clone(&claimant.uid), waiter);
                Err(owner)
            }
            None => {
                register.waiting.remove(&claimant.uid);
                Ok(())
            }
        }
    }

    /// The validation was accepted: the resource claims the environment, and no other one. The answer is who wants what it
    /// had before.
    #[must_use]
    pub fn accept(&self, place: &Arc<Place>, claimant: &Claimant) -> Vec<ResourceName> {
        let mut register = self.lock();
        let known = register.at(place).iter().find(|known| known.uid == claimant.uid);
        let claim = known.map(|known| known.claim).unwrap_or_default();
        register.put(place, Claimant { claim, ..claimant.clone() })
    }

    /// Goes in flight, if the resource owns the environment. It is judged as one that is not in flight yet: one that is
    /// comes first, however young.
    ///
    /// # Errors
    /// [`Refusal`]
    pub fn begin(&self, place: &Arc<Place>, claimant: &Claimant) -> Result<(), Refusal> {
        let mut register = self.lock();
        let known = register.at(place).iter().find(|known| known.uid == claimant.uid);
        let known = known.ok_or(Refusal::NotAccepted)?.clone();
        if let Some(owner) = register.stronger(place, &known) {
            return Err(Refusal::Owned(owner));
        }
        let claim = Claim { in_flight: true, ..known.claim };
        let _ = register.put(place, Claimant { claim, ..claimant.clone() });
        Ok(())
    }

    /// Notes the claim that a reconcile has recorded. The answer is the owner, if the resource owned the environment until
    /// now.
    #[must_use]
    pub fn record(&self, place: &Arc<Place>, claimant: Claimant) -> Vec<ResourceName> {
        let mut register = self.lock();
        let owned = register.owner(place).is_some_and(|owner| owner.uid == claimant.uid);
        let uid = Arc::clone(&claimant.uid);
        let mut woken = register.put(place, claimant);
        let owner = register.owner(place).filter(|owner| owned && owner.uid != uid);
        woken.extend(owner.map(|owner| owner.who.clone()));
        woken
    }

    /// Notes that a resource has nothing in flight and has recorded no claim: what it wanted to record was refused.
    pub fn nothing_is_in_flight(&self, uid: &str) {
        if let Some(claimant) = self.lock().find(uid) {
            claimant.claim.in_flight = false;
        }
    }

    /// Who else claims what a resource claims, or waits for it.
    #[must_use]
    pub fn rivals(&self, uid: &str) -> Vec<ResourceName> {
        let register = self.lock();
        register.place_of.get(uid).map(|place| register.interested(place, uid)).unwrap_or_default()
    }

    /// Withdraws the claim of a resource; the answer is who else wants what it had.
    #[must_use]
    pub fn release(&self, uid: &str) -> Vec<ResourceName> {
        let mut register = self.lock();
        register.waiting.remove(uid);
        register.remove(uid)
    }

    /// The owner of what a resource claims, if that is another one.
    #[must_use]
    pub fn owner_over(&self, uid: &str) -> Option<Claimant> {
        let register = self.lock();
        let owner = register.owner(register.place_of.get(uid)?)?;
        (&*owner.uid != uid).then(|| owner.clone())
    }

    /// The owner of what a resource claims once nothing is in flight there, if that is another one. After an upgrade or from a
    /// restored backup two may be in flight at once.
    #[must_use]
    pub fn owner_over_once_settled(&self, uid: &str) -> Option<Claimant> {
        let register = self.lock();
        let claimants = register.at(register.place_of.get(uid)?);
        let settled = claimants.iter().map(|known| {
            let claim = Claim { in_flight: false, ..known.claim };
            Claimant { claim, ..known.clone() }
        });
        settled.min_by(|left, right| left.rank().cmp(&right.rank())).filter(|owner| &*owner.uid != uid)
    }

    /// The resources that claim what another one owns.
    #[must_use]
    pub fn losers(&self) -> Vec<ResourceName> {
        let register = self.lock();
        let contested = register.claimants.iter().filter(|(_, claimants)| claimants.len() > 1);
        let losers = contested.flat_map(|(place, claimants)| {
            let owner = register.owner(place).map(|owner| &owner.uid);
            claimants.iter().filter(move |claimant| Some(&claimant.uid) != owner)
        });
        losers.map(|loser| loser.who.clone()).collect()
    }

    /// The claimants that are not there, as far as `is_there` knows.
    #[must_use]
    pub fn missing(&self, is_there: impl Fn(&str) -> bool) -> Vec<Claimant> {
        let mut register = self.lock();
        register.waiting.retain(|uid, _| is_there(uid));
        register.claimants.values().flatten().filter(|claimant| !is_there(&claimant.uid)).cloned().collect()
    }

    /// A panic elsewhere leaves the claims whole: each change is one call.
    fn lock(&self) -> MutexGuard<'_, Register> {
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The claims from both sides. A resource claims one place at a time. There is an entry for each resource that ever
/// deployed, so the two sides share what they can, and a place has room for no more claimants than it has.
#[derive(Debug, Default)]
struct Register {
    claimants: HashMap<Arc<Place>, Vec<Claimant>>,
    place_of: HashMap<Arc<str>, Arc<Place>>,
    /// Resources that wait for an environment, without a claim on it.
    waiting: HashMap<Arc<str>, (Arc<Place>, ResourceName)>,
}

impl Register {
    fn at(&self, place: &Place) -> &[Claimant] {
        self.claimants.get(place).map(Vec::as_slice).unwrap_or_default()
    }

    fn owner(&self, place: &Place) -> Option<&Claimant> {
        self.at(place).iter().min_by(|left, right| left.rank().cmp(&right.rank()))
    }

    /// The owner, if it comes before this claimant.
    fn stronger(&self, place: &Place, claimant: &Claimant) -> Option<Claimant> {
        self.owner(place).filter(|owner| owner.outranks(claimant)).cloned()
    }

    fn find(&mut self, uid: &str) -> Option<&mut Claimant> {
        let claimants = self.claimants.get_mut(self.place_of.get(uid)?)?;
        claimants.iter_mut().find(|claimant| &*claimant.uid == uid)
    }

    /// Puts a claimant at a place, and takes it away from where it was; the answer is who wants that.
    fn put(&mut self, place: &Arc<Place>, claimant: Claimant) -> Vec<ResourceName> {
        self.waiting.remove(&claimant.uid);
        let moves = self.place_of.get(&claimant.uid).is_some_and(|present| present != place);
        let freed = if moves { self.remove(&claimant.uid) } else { Vec::new() };
        if let Some(present) = self.find(&claimant.uid) {
            *present = claimant;
            return freed;
        }
        self.place_of.insert(Arc::clone(&claimant.uid), Arc::clone(place));
        let claimants = self.claimants.entry(Arc::clone(place)).or_default();
        claimants.reserve_exact(1);
        claimants.push(claimant);
        freed
    }

    /// Takes a claimant away; the answer is who else claims its place or waits for it.
    fn remove(&mut self, uid: &str) -> Vec<ResourceName> {
        let Some(place) = self.place_of.remove(uid) else { return Vec::new() };
        let Some(claimants) = self.claimants.get_mut(&place) else { return Vec::new() };
        claimants.retain(|claimant| &*claimant.uid != uid);
        if claimants.is_empty() {
            self.claimants.remove(&place);
        }
        self.interested(&place, uid)
    }

    fn interested(&self, place: &Arc<Place>, uid: &str) -> Vec<ResourceName> {
        let claimants = self.at(place).iter().filter(|claimant| &*claimant.uid != uid);
        let waiting = self.waiting.values().filter(|(wanted, _)| wanted == place);
        claimants.map(|claimant| &claimant.who).chain(waiting.map(|(_, who)| who)).cloned().collect()
    }
}

#[cfg(test)]
mod tests;
