//! Decides which request goes next: first by priority; inside one priority round-robin between namespaces; inside one
//! namespace round-robin between resources.

use std::collections::BTreeMap;

use super::round_robin::{Content, RoundRobin};
use super::{Priority, Requester};

/// The identifier of a queue entry, used to remove it.
#[derive(Debug, Clone)]
pub(crate) struct EntryId {
    number: u64,
    priority: Priority,
    requester: Requester,
}

/// The queue is full for this priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// The maximum number of entries of one priority.
const MAX_WAITING: usize = 4096;

/// The waiting entries, each with a payload. The queue is bounded. Removing an entry from any position takes logarithmic
/// time.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    lanes: BTreeMap<Priority, Lane<T>>,
    last_number: u64,
}

/// The entries of one priority.
#[derive(Debug)]
struct Lane<T> {
    namespaces: RoundRobin<RoundRobin<Entries<T>>>,
    length: usize,
}

/// The entries of one resource, in order of arrival.
#[derive(Debug)]
struct Entries<T>(BTreeMap<u64, T>);

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { lanes: BTreeMap::new(), last_number: 0 }
    }
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self { namespaces: RoundRobin::default(), length: 0 }
    }
}

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Content for Entries<T> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> FairQueue<T> {
    /// Adds an entry after the resource's other entries. A resource without entries is added after the other resources of
    /// its namespace, and a namespace without entries after the other namespaces.
    ///
    /// # Errors
    /// [`Full`] if 4096 entries of this priority wait already.
    pub(crate) fn join(&mut self, priority: Priority, requester: &Requester, payload: T) -> Result<EntryId, Full> {
        let lane = self.lanes.entry(priority).or_default();
        if lane.length >= MAX_WAITING {
            return Err(Full);
        }
        lane.length += 1;
        self.last_number += 1;
        let number = self.last_number;
        lane.namespaces.content(requester.namespace()).content(requester.name()).0.insert(number, payload);
        Ok(EntryId { number, priority, requester: requester.without_cancellation() })
    }

    /// The priority of the next entry.
    #[must_use]
    pub(crate) fn first(&self) -> Option<Priority> {
        self.lanes.keys().next().copied()
    }

    /// Removes and returns the next entry.
    pub(crate) fn take(&mut self) -> Option<T> {
        let priority = self.first()?;
        self.take_from(priority, |namespaces| {
            namespaces.take(|resources| resources.take(|entries| entries.0.pop_first().map(|(_, payload)| payload)))
        })
    }

    /// Removes an entry from the queue; does nothing if the entry has already left it.
    pub(crate) fn leave(&mut self, entry: &EntryId) {
        let (namespace, name) = (entry.requester.namespace(), entry.requester.name());
        self.take_from(entry.priority, |namespaces| {
            namespaces
                .take_of(namespace, |resources| resources.take_of(name, |entries| entries.0.remove(&entry.number)))
        });
    }

    fn take_from(
        &mut self,
        priority: Priority,
        take: impl FnOnce(&mut RoundRobin<RoundRobin<Entries<T>>>) -> Option<T>,
    ) -> Option<T> {
        let lane = self.lanes.get_mut(&priority)?;
        let taken = take(&mut lane.namespaces)?;
        lane.length -= 1;
        if lane.length == 0 {
            self.lanes.remove(&priority);
        }
        Some(taken)
    }

    /// The number of waiting entries of a priority.
    #[must_use]
    pub(crate) fn waiting(&self, priority: Priority) -> usize {
        self.lanes.get(&priority).map_or(0, |lane| lane.length)
    }

    /// The total number of waiting entries.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.lanes.values().map(|lane| lane.length).sum()
    }

    /// Whether the queue is empty.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(name: &str) -> Requester {
        Requester::new("namespace", name)
    }

    fn drain<T>(queue: &mut FairQueue<T>) -> Vec<T> {
        std::iter::from_fn(|| queue.take()).collect()
    }

    #[test]
    fn entries_are_taken_by_priority() {
        let mut queue = FairQueue::default();
        for priority in Priority::ALL.iter().rev() {
            queue.join(*priority, &key("a"), *priority).unwrap();
        }
        assert_eq!(drain(&mut queue), Priority::ALL);
    }

    #[test]
    fn resources_alternate_however_many_requests_one_of_them_has() {
        let mut queue = FairQueue::default();
        for (resource, request) in [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("c", "c1"), ("b", "b2")] {
            queue.join(Priority::Job, &key(resource), request).unwrap();
        }
        assert_eq!(drain(&mut queue), ["a1", "b1", "c1", "a2", "b2", "a3"]);
    }

    #[test]
    fn a_namespace_with_500_resources_is_served_as_often_as_a_namespace_with_one() {
        let mut queue = FairQueue::default();
        for resource in 0..500 {
            queue.join(Priority::Health, &Requester::new("large", &resource.to_string()), "large").unwrap();
        }
        for entry in ["small", "small"] {
            queue.join(Priority::Health, &Requester::new("small", "only"), entry).unwrap();
        }
        assert_eq!(drain(&mut queue)[..5], ["large", "small", "large", "small", "large"]);
    }

    #[test]
    fn a_full_priority_does_not_block_other_priorities() {
        let mut queue = FairQueue::default();
        let key = key("a");
        while queue.join(Priority::Check, &key, ()).is_ok() {}
        assert_eq!(queue.len(), MAX_WAITING);
        assert!(queue.join(Priority::Rollback, &key, ()).is_ok());
    }

    /// An entry in the property test below: its priority, namespace, resource and time of arrival.
    type Entry = (Priority, u8, u8, usize);

    /// Whether no member is served a second time before every other member that waited from the start was served once.
    fn is_round_robin(taken: &[Entry], member: impl Fn(&Entry) -> u8) -> bool {
        let mut left: BTreeMap<u8, usize> = BTreeMap::new();
        taken.iter().for_each(|entry| *left.entry(member(entry)).or_default() += 1);
        let mut round = BTreeMap::new();
        taken.iter().all(|entry| {
            if left.iter().all(|(other, left)| *left == 0 || round.contains_key(other)) {
                round.clear();
            }
            *left.entry(member(entry)).or_default() -= 1;
            round.insert(member(entry), ()).is_none()
        })
    }

    proptest! {
        #[test]
        fn remaining_entries_are_taken_once_by_priority_and_round_robin(
            joins in proptest::collection::vec((0usize..8, 0u8..3, 0u8..4, any::<bool>()), 0..200),
        ) {
            let mut queue = FairQueue::default();
            let mut staying: Vec<Entry> = Vec::new();
            let mut leaving = Vec::new();
            for (number, (priority, namespace, resource, leaves)) in joins.into_iter().enumerate() {
                let entry = (Priority::ALL[priority], namespace, resource, number);
                let requester = Requester::new(&namespace.to_string(), &resource.to_string());
                let place = queue.join(entry.0, &requester, entry).unwrap();
                if leaves { leaving.push(place) } else { staying.push(entry) }
            }
            for place in &leaving {
                queue.leave(place);
                queue.leave(place);
            }
            prop_assert_eq!(queue.len(), staying.len());
            let taken = drain(&mut queue);
            prop_assert!(queue.is_empty());
            prop_assert!(taken.is_sorted_by_key(|entry| entry.0));
            for of_one_priority in taken.chunk_by(|one, next| one.0 == next.0) {
                prop_assert!(is_round_robin(of_one_priority, |entry| entry.1), "namespaces: {of_one_priority:?}");
                for namespace in 0..3 {
                    let inside: Vec<Entry> =
                        of_one_priority.iter().filter(|entry| entry.1 == namespace).copied().collect();
                    prop_assert!(is_round_robin(&inside, |entry| entry.2), "resources: {inside:?}");
                    for resource in 0..4 {
                        let own = inside.iter().filter(|entry| entry.2 == resource);
                        prop_assert!(own.is_sorted_by_key(|entry| entry.3), "one resource's own: {inside:?}");
                    }
                }
            }
            let mut sorted = taken.clone();
            sorted.sort_by_key(|entry| entry.3);
            prop_assert_eq!(sorted, staying);
        }
    }
}
