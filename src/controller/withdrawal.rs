//! Takes back what a running reconcile still waits to ask, once the resource has changed under it or the process is to end.
//!
//! Behind a busy request budget a question may wait for a minute. By then nobody may want its answer: the resource was
//! deleted, edited, or is to be rolled back. The runner starts no second reconcile of a resource that has one running, so the
//! running one is told to end, and the next decides anew.

use super::remembered::version;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::watcher::Event;
use platform::Withdrawal;
use rollout::facts::Requests;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The reconciles that run, by the resource's uid, and how each is told that the resource has changed.
#[derive(Debug, Default)]
pub struct Withdrawals {
    running: Mutex<HashMap<String, Running>>,
}

/// What a running reconcile knows of its resource, and the signal that takes its questions back.
#[derive(Debug)]
struct Running {
    version: u64,
    generation: Option<i64>,
    requests: Requests,
    withdrawal: Withdrawal,
}

/// A reconcile's entry, which leaves with it.
#[derive(Debug)]
pub struct Registration<'w> {
    withdrawals: &'w Withdrawals,
    uid: String,
    withdrawal: Withdrawal,
}

impl Withdrawals {
    /// Takes note of a reconcile that begins with the resource as it is here. There is one at a time for each resource.
    #[must_use]
    pub fn begin(&self, resource: &ObjectMeta) -> Registration<'_> {
        let withdrawal = Withdrawal::default();
        let uid = resource.uid.clone().unwrap_or_default();
        let running = Running {
            version: version(resource),
            generation: resource.generation,
            requests: requests(resource),
            withdrawal: withdrawal.clone(),
        };
        self.running().insert(uid.clone(), running);
        Registration { withdrawals: self, uid, withdrawal }
    }

    /// Hears of what the watch shows.
    pub fn heard<K: kube::Resource>(&self, event: &Event<K>) {
        match event {
            Event::Apply(resource) | Event::InitApply(resource) => self.changed(resource.meta()),
            Event::Delete(resource) => self.gone(resource.meta()),
            Event::Init | Event::InitDone => {}
        }
    }

    /// The resource is now as it is here. Only what was decided on matters: the spec and the deletion, which move the
    /// generation, and the requests by annotation; the operator's own writes change none of them.
    fn changed(&self, resource: &ObjectMeta) {
        let Some(uid) = &resource.uid else { return };
        let running = self.running();
        let Some(running) = running.get(uid).filter(|running| version(resource) > running.version) else { return };
        if resource.generation != running.generation || requests(resource) != running.requests {
            running.withdrawal.raise();
        }
    }

    fn gone(&self, resource: &ObjectMeta) {
        let Some(uid) = &resource.uid else { return };
        if let Some(running) = self.running().get(uid) {
            running.withdrawal.raise();
        }
    }

    /// The process is to end: whatever still waits for its turn is the next process's to ask.
    pub fn withdraw_all(&self) {
        for running in self.running().values() {
            running.withdrawal.raise();
        }
    }

    /// A panic elsewhere leaves the map whole: each change is one call.
    fn running(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registration<'_> {
    /// The signal that takes the reconcile's questions back.
    #[must_use]
    pub fn withdrawal(&self) -> Withdrawal {
        self.withdrawal.clone()
    }
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        self.withdrawals.running().remove(&self.uid);
    }
}

fn requests(resource: &ObjectMeta) -> Requests {
    Requests::from_annotations(resource.annotations.as_ref().unwrap_or(const { &BTreeMap::new() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::{RETRY_ANNOTATION, ROLLBACK_ANNOTATION};

    fn resource(version: u64, generation: i64, annotation: Option<(&str, &str)>) -> ObjectMeta {
        ObjectMeta {
            uid: Some("uid".to_owned()),
            resource_version: Some(version.to_string()),
            generation: Some(generation),
            annotations: annotation.map(|(name, value)| BTreeMap::from([(name.to_owned(), value.to_owned())])),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn a_running_reconcile_is_told_of_what_it_would_decide_otherwise_on_and_of_nothing_else() {
        for (what, now, is_told) in [
            ("its own status write", resource(8, 1, None), false),
            ("an annotation of somebody else's", resource(8, 1, Some(("argocd/tracking-id", "1"))), false),
            ("an edit or a deletion", resource(8, 2, None), true),
            ("a request to roll back", resource(8, 1, Some((ROLLBACK_ANNOTATION, "1"))), true),
            ("a request to try again", resource(8, 1, Some((RETRY_ANNOTATION, "1"))), true),
            ("an older state, from a watch that lags behind", resource(6, 0, None), false),
            ("another resource", ObjectMeta { uid: Some("other".to_owned()), ..resource(8, 2, None) }, false),
        ] {
            let withdrawals = Withdrawals::default();
            let registration = withdrawals.begin(&resource(7, 1, None));
            withdrawals.changed(&now);
            assert_eq!(registration.withdrawal().is_raised(), is_told, "{what}");
        }
    }

    #[test]
    fn a_resource_that_is_gone_has_nothing_left_to_ask() {
        let withdrawals = Withdrawals::default();
        let registration = withdrawals.begin(&resource(7, 1, None));
        withdrawals.gone(&resource(8, 1, None));
        assert!(registration.withdrawal().is_raised());
    }

    #[test]
    fn a_process_that_is_to_end_waits_for_no_turn() {
        let withdrawals = Withdrawals::default();
        let others = ["one", "two"].map(|uid| ObjectMeta { uid: Some(uid.to_owned()), ..resource(7, 1, None) });
        let registrations = others.each_ref().map(|other| withdrawals.begin(other));
        withdrawals.withdraw_all();
        assert!(registrations.iter().all(|registration| registration.withdrawal().is_raised()));
    }

    #[test]
    fn the_next_reconcile_starts_with_a_signal_of_its_own() {
        let withdrawals = Withdrawals::default();
        let first = withdrawals.begin(&resource(7, 1, None));
        withdrawals.changed(&resource(8, 2, None));
        drop(first);
        assert!(withdrawals.running().is_empty());
        assert!(!withdrawals.begin(&resource(8, 2, None)).withdrawal().is_raised());
    }
}
