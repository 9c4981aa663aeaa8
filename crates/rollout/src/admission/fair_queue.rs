//! The order in which waiting rollouts start: the namespaces take turns, and in each namespace the oldest is first.

use jiff::Timestamp;
use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// A resource by its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceName {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name in there.
    pub name: Arc<str>,
}

/// The waiting rollouts. The cost of each operation grows with the number of namespaces, and hardly with the number of waiting
/// rollouts.
#[derive(Debug, Default)]
pub(super) struct FairQueue {
    namespaces: BTreeMap<Arc<str>, NamespaceQueue>,
    /// The last round that was served. In each round, each namespace has one turn.
    round: u64,
    entries: usize,
}

/// The waiting rollouts of one namespace, the oldest first.
#[derive(Debug)]
struct NamespaceQueue {
    /// The round of the next turn.
    round: u64,
    entries: VecDeque<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    since: Timestamp,
    name: Arc<str>,
}

impl FairQueue {
    /// Joins, behind the rollouts of the same namespace that have waited longer. A namespace that had no waiting
    /// rollout has its turn in the next round, even if it leaves and joins again often.
    pub(super) fn join(&mut self, resource: &ResourceName, since: Timestamp) {
        let next = self.round + 1;
        let queue = self
            .namespaces
            .entry(Arc::clone(&resource.namespace))
            .or_insert_with(|| NamespaceQueue { round: next, entries: VecDeque::new() });
        let entry = Entry { since, name: Arc::clone(&resource.name) };
        if let Err(index) = queue.entries.binary_search(&entry) {
            queue.entries.insert(index, entry);
            self.entries += 1;
        }
    }

    /// Leaves. Does nothing if the rollout does not wait.
    pub(super) fn leave(&mut self, resource: &ResourceName, since: Timestamp) {
        let Some(queue) = self.namespaces.get_mut(&resource.namespace) else { return };
        let Ok(index) = queue.entries.binary_search(&Entry { since, name: Arc::clone(&resource.name) }) else { return };
        queue.entries.remove(index);
        self.entries -= 1;
        if queue.entries.is_empty() {
            self.namespaces.remove(&resource.namespace);
        }
    }

    /// The next rollout.
    pub(super) fn first(&self) -> Option<ResourceName> {
        let heads = self
            .namespaces
            .iter()
            .filter_map(|(namespace, queue)| Some((namespace, queue.round, queue.entries.front()?)));
        let (namespace, _, head) = heads.min_by(|left, right| (left.1, left.2).cmp(&(right.1, right.2)))?;
        Some(ResourceName { namespace: Arc::clone(namespace), name: Arc::clone(&head.name) })
    }

    /// Removes the next rollout, and returns it.
    pub(super) fn take(&mut self) -> Option<ResourceName> {
        let first = self.first()?;
        let queue = self.namespaces.get_mut(&first.namespace)?;
        queue.entries.pop_front();
        self.entries -= 1;
        self.round = queue.round;
        queue.round += 1;
        if queue.entries.is_empty() {
            self.namespaces.remove(&first.namespace);
        }
        Some(first)
    }

    /// How many rollouts go before this one, if nobody joins or leaves.
    pub(super) fn ahead_of(&self, resource: &ResourceName, since: Timestamp) -> Option<usize> {
        let own = self.namespaces.get(&resource.namespace)?;
        let entry = Entry { since, name: Arc::clone(&resource.name) };
        let index = own.entries.binary_search(&entry).ok()?;
        let round = own.round + index as u64;
        let others = self.namespaces.iter().filter(|(namespace, _)| **namespace != resource.namespace);
        Some(index + others.map(|(_, queue)| queue.before(round, &entry)).sum::<usize>())
    }

    /// How many rollouts wait.
    pub(super) fn len(&self) -> usize {
        self.entries
    }
}

impl NamespaceQueue {
    /// How many rollouts of this namespace start before `other`. `other` belongs to another namespace, and its turn is in
    /// `round`.
    fn before(&self, round: u64, other: &Entry) -> usize {
        let Ok(rounds) = usize::try_from(round.saturating_sub(self.round)) else { return self.entries.len() };
        if round < self.round {
            return 0;
        }
        let in_the_same = self.entries.get(rounds).is_some_and(|entry| entry.cmp(other) == Ordering::Less);
        rounds.min(self.entries.len()) + usize::from(in_the_same)
    }
}
