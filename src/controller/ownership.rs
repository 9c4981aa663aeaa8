//! One environment, one owner.
//!
//! Two resources that deploy to the same environment of the same API would undo each other for ever. The first of them
//! by this order owns it: an attempt in flight, the older creation, the smaller uid. The claims live in memory and are
//! rebuilt from a complete list before anything is submitted; a resource claims only once its credentials were accepted,
//! so that nobody can block an environment that is not his.

use crate::api::EnvironmentId;
use crate::api::identifier::ApiOrigin;
use jiff::Timestamp;
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

/// A resource that wants an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// The resource's uid.
    pub uid: Arc<str>,
    /// The resource's namespace.
    pub namespace: String,
    /// The resource's name.
    pub name: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// How strong its claim is.
    pub claim: Claim,
}

/// How strong a claim is, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// It has an attempt in flight.
    InFlight,
    /// Its credentials were accepted.
    Accepted,
    /// It asks, with credentials that nobody has accepted yet: it stands in nobody's way.
    Asking,
}

impl Claimant {
    /// The smallest of those who own anything owns the environment.
    fn rank(&self) -> (bool, Timestamp, &str) {
        (self.claim != Claim::InFlight, self.created_at, &self.uid)
    }

    fn outranks(&self, other: &Self) -> bool {
        self.claim != Claim::Asking && self.uid != other.uid && self.rank() < other.rank()
    }
}

/// Who claims what.
#[derive(Debug, Default)]
pub struct Claims {
    register: Mutex<Register>,
}

impl Claims {
    /// Notes a claim that was recorded before this process began; whether it owns the environment is told when it asks.
    pub fn note(&self, place: &Arc<Place>, claimant: Claimant) {
        self.lock().put(place, claimant);
    }

    /// Claims an environment, or renews the claim; credentials once accepted stay so. Who asks to go in flight is judged
    /// as one that is not yet: whoever is already goes first, however young.
    ///
    /// # Errors
    /// The claimant that owns it, where that is another one.
    pub fn claim(&self, place: &Arc<Place>, mut claimant: Claimant) -> Result<(), Claimant> {
        let mut register = self.lock();
        let wanted = claimant.claim;
        let present = register.at(place).iter().find(|present| present.uid == claimant.uid);
        let present = present.map_or(Claim::Asking, |present| present.claim);
        claimant.claim = wanted.max(Claim::Accepted).min(present);
        register.put(place, claimant.clone());
        let stronger = register.at(place).iter().filter(|other| other.outranks(&claimant));
        if let Some(owner) = stronger.min_by(|left, right| left.rank().cmp(&right.rank())) {
            return Err(owner.clone());
        }
        claimant.claim = wanted.min(present);
        register.put(place, claimant);
        Ok(())
    }

    /// Notes whether a claimant has an attempt in flight.
    pub fn renew(&self, uid: &str, in_flight: bool) {
        if let Some(claimant) = self.lock().find(uid) {
            claimant.claim = match (in_flight, claimant.claim) {
                (true, _) => Claim::InFlight,
                (false, Claim::InFlight) => Claim::Accepted,
                (false, claim) => claim,
            };
        }
    }

    /// Takes back the claim of a resource; the answer is who else wants what it had.
    pub fn release(&self, uid: &str) -> Vec<Claimant> {
        self.lock().remove(uid)
    }

    /// Takes back the claims of resources that are no longer there.
    pub fn retain(&self, is_there: impl Fn(&str) -> bool) {
        let mut register = self.lock();
        let gone: Vec<_> = register.place_of.keys().filter(|uid| !is_there(uid)).cloned().collect();
        for uid in gone {
            register.remove(&uid);
        }
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
    /// In the order in which they came.
    claimants: HashMap<Arc<Place>, Vec<Claimant>>,
    place_of: HashMap<Arc<str>, Arc<Place>>,
}

impl Register {
    fn at(&self, place: &Place) -> &[Claimant] {
        self.claimants.get(place).map(Vec::as_slice).unwrap_or_default()
    }

    fn find(&mut self, uid: &str) -> Option<&mut Claimant> {
        let claimants = self.claimants.get_mut(self.place_of.get(uid)?)?;
        claimants.iter_mut().find(|claimant| &*claimant.uid == uid)
    }

    /// Puts a claimant at a place, and takes it away from where it was.
    fn put(&mut self, place: &Arc<Place>, claimant: Claimant) {
        if self.place_of.get(&claimant.uid).is_some_and(|present| present != place) {
            self.remove(&claimant.uid);
        }
        if let Some(present) = self.find(&claimant.uid) {
            *present = claimant;
            return;
        }
        self.place_of.insert(Arc::clone(&claimant.uid), Arc::clone(place));
        let claimants = self.claimants.entry(Arc::clone(place)).or_default();
        claimants.reserve_exact(1);
        claimants.push(claimant);
    }

    /// Takes a claimant away; the answer is who stays at its place.
    fn remove(&mut self, uid: &str) -> Vec<Claimant> {
        let Some(place) = self.place_of.remove(uid) else { return Vec::new() };
        let Some(claimants) = self.claimants.get_mut(&place) else { return Vec::new() };
        claimants.retain(|claimant| &*claimant.uid != uid);
        let others = claimants.clone();
        if others.is_empty() {
            self.claimants.remove(&place);
        }
        others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Arc<Place> {
        place_of("env")
    }

    fn place_of(environment: &str) -> Arc<Place> {
        Arc::new(Place { origin: ApiOrigin::new("https://api"), environment: EnvironmentId::new(environment) })
    }

    fn claimant(uid: &str, created: i64, claim: Claim) -> Claimant {
        let created_at = Timestamp::from_second(created).unwrap_or_default();
        Claimant { uid: uid.into(), namespace: "bots".to_owned(), name: uid.to_owned(), created_at, claim }
    }

    #[test]
    fn the_older_resource_owns_the_environment() {
        let claims = Claims::default();
        assert_eq!(claims.claim(&place(), claimant("young", 2, Claim::Accepted)), Ok(()));
        assert_eq!(claims.claim(&place(), claimant("old", 1, Claim::Accepted)), Ok(()));
        assert_eq!(
            claims.claim(&place(), claimant("young", 2, Claim::Accepted)),
            Err(claimant("old", 1, Claim::Accepted))
        );
    }

    #[test]
    fn the_older_resource_does_not_join_a_younger_one_that_is_in_flight() {
        let claims = Claims::default();
        assert_eq!(claims.claim(&place(), claimant("old", 1, Claim::Asking)), Ok(()));
        assert_eq!(claims.claim(&place(), claimant("young", 2, Claim::InFlight)), Ok(()));
        for _ in 0..2 {
            let refused = claims.claim(&place(), claimant("old", 1, Claim::InFlight));
            assert_eq!(refused, Err(claimant("young", 2, Claim::InFlight)));
        }
        claims.renew("young", false);
        assert_eq!(claims.claim(&place(), claimant("old", 1, Claim::InFlight)), Ok(()));
    }

    #[test]
    fn an_attempt_in_flight_comes_before_age_and_age_before_the_uid() {
        let claims = Claims::default();
        assert_eq!(claims.claim(&place(), claimant("young", 2, Claim::InFlight)), Ok(()));
        assert_eq!(
            claims.claim(&place(), claimant("old", 1, Claim::Accepted)),
            Err(claimant("young", 2, Claim::InFlight))
        );
        assert_eq!(claims.release("young"), [claimant("old", 1, Claim::Accepted)]);
        assert_eq!(
            claims.claim(&place(), claimant("z-of-the-same-age", 1, Claim::Accepted)),
            Err(claimant("old", 1, Claim::Accepted))
        );
        assert_eq!(claims.claim(&place(), claimant("a-of-the-same-age", 1, Claim::Accepted)), Ok(()));
    }

    #[test]
    fn who_only_asks_stands_in_nobodys_way_and_is_told_when_the_owner_goes() {
        let claims = Claims::default();
        assert_eq!(claims.claim(&place(), claimant("intruder", 1, Claim::Asking)), Ok(()));
        assert_eq!(claims.claim(&place(), claimant("owner", 2, Claim::Accepted)), Ok(()));
        claims.renew("intruder", false);
        assert_eq!(claims.claim(&place(), claimant("owner", 2, Claim::Accepted)), Ok(()));
        let late = claimant("late", 3, Claim::Asking);
        assert_eq!(claims.claim(&place(), late.clone()), Err(claimant("owner", 2, Claim::Accepted)));
        assert_eq!(claims.release("owner"), [claimant("intruder", 1, Claim::Asking), late]);
    }

    #[test]
    fn credentials_once_accepted_stay_so() {
        let claims = Claims::default();
        assert_eq!(claims.claim(&place(), claimant("owner", 1, Claim::Accepted)), Ok(()));
        assert_eq!(claims.claim(&place(), claimant("owner", 1, Claim::Asking)), Ok(()));
        let owner = claimant("owner", 1, Claim::Accepted);
        assert_eq!(claims.claim(&place(), claimant("next", 2, Claim::Accepted)), Err(owner));
    }

    #[test]
    fn the_next_takes_over_when_the_owner_is_gone_or_has_moved_elsewhere() {
        let claims = Claims::default();
        let elsewhere = place_of("other");
        assert_eq!(claims.claim(&place(), claimant("owner", 1, Claim::Accepted)), Ok(()));
        assert!(claims.claim(&place(), claimant("next", 2, Claim::Accepted)).is_err());
        assert_eq!(claims.claim(&elsewhere, claimant("owner", 1, Claim::Accepted)), Ok(()));
        assert_eq!(claims.claim(&place(), claimant("next", 2, Claim::Accepted)), Ok(()));
        claims.retain(|uid| uid == "third");
        assert_eq!(claims.claim(&place(), claimant("third", 3, Claim::Accepted)), Ok(()));
    }
}
