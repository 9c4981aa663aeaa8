//! Who goes next: by priority, and inside one priority by turns between resources.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::{Priority, Requester};

/// A resource: its namespace and its name.
type Key = (Arc<str>, Arc<str>);

/// A place in the queue, by which an entry leaves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    number: u64,
    priority: Priority,
}

/// The queue is full for this priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// The most entries of one priority.
const MAX_WAITING: usize = 4096;

/// Entries that wait, each with a payload. Bounded; an entry may leave from any place.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    lanes: BTreeMap<Priority, Lane<T>>,
    numbers: u64,
}

/// The entries of one priority: each resource's own, and the order in which resources have their turns.
#[derive(Debug)]
struct Lane<T> {
    waiting: BTreeMap<Key, VecDeque<(u64, T)>>,
    turns: VecDeque<Key>,
    entries: usize,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { lanes: BTreeMap::new(), numbers: 0 }
    }
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), turns: VecDeque::new(), entries: 0 }
    }
}

impl<T> FairQueue<T> {
    /// Joins behind the resource's own entries; a resource that had none has its turn after all others.
    ///
    /// # Errors
    /// [`Full`] where 4096 entries of this priority wait already.
    pub(crate) fn join(&mut self, priority: Priority, requester: &Requester, payload: T) -> Result<Place, Full> {
        let lane = self.lanes.entry(priority).or_default();
        if lane.entries >= MAX_WAITING {
            return Err(Full);
        }
        self.numbers += 1;
        lane.entries += 1;
        let resource = (requester.namespace().clone(), requester.name().clone());
        match lane.waiting.get_mut(&resource) {
            Some(own) => own.push_back((self.numbers, payload)),
            None => {
                lane.turns.push_back(resource.clone());
                lane.waiting.insert(resource.clone(), VecDeque::from([(self.numbers, payload)]));
            }
        }
        Ok(Place { number: self.numbers, priority })
    }

    /// The priority of the entry that goes next.
    #[must_use]
    pub(crate) fn first(&self) -> Option<Priority> {
        self.lanes.keys().next().copied()
    }

    /// Takes the entry that goes next.
    pub(crate) fn take(&mut self) -> Option<T> {
        let mut first = self.lanes.first_entry()?;
        let lane = first.get_mut();
        let resource = lane.turns.pop_front()?;
        let own = lane.waiting.get_mut(&resource)?;
        let taken = own.pop_front();
        if own.is_empty() {
            lane.waiting.remove(&resource);
        } else {
            lane.turns.push_back(resource);
        }
        lane.entries -= 1;
        if lane.entries == 0 {
            first.remove();
        }
        taken.map(|(_, payload)| payload)
    }

    /// Leaves the queue; nothing happens where the entry was taken before.
    pub(crate) fn leave(&mut self, place: Place) {
        let Some(lane) = self.lanes.get_mut(&place.priority) else { return };
        let own = |entries: &VecDeque<(u64, T)>| entries.iter().position(|(number, _)| *number == place.number);
        let found = lane.waiting.iter().find_map(|(resource, entries)| Some((resource.clone(), own(entries)?)));
        let Some((resource, index)) = found else { return };
        if let Some(entries) = lane.waiting.get_mut(&resource) {
            entries.remove(index);
            if entries.is_empty() {
                lane.waiting.remove(&resource);
                lane.turns.retain(|turn| *turn != resource);
            }
        }
        lane.entries -= 1;
        if lane.entries == 0 {
            self.lanes.remove(&place.priority);
        }
    }

    /// How many entries of a priority wait.
    #[must_use]
    pub(crate) fn waiting(&self, priority: Priority) -> usize {
        self.lanes.get(&priority).map_or(0, |lane| lane.entries)
    }

    /// Whether nothing waits.
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

    fn len<T>(queue: &FairQueue<T>) -> usize {
        Priority::ALL.iter().map(|priority| queue.waiting(*priority)).sum()
    }

    fn drain<T>(queue: &mut FairQueue<T>) -> Vec<T> {
        std::iter::from_fn(|| queue.take()).collect()
    }

    #[test]
    fn a_rollback_overtakes_everything_and_a_new_rollout_nothing() {
        let mut queue = FairQueue::default();
        for priority in Priority::ALL.iter().rev() {
            queue.join(*priority, &key("a"), *priority).unwrap();
        }
        assert_eq!(drain(&mut queue), Priority::ALL);
    }

    #[test]
    fn resources_take_turns_however_many_requests_one_of_them_has() {
        let mut queue = FairQueue::default();
        for (resource, request) in [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("c", "c1"), ("b", "b2")] {
            queue.join(Priority::Job, &key(resource), request).unwrap();
        }
        assert_eq!(drain(&mut queue), ["a1", "b1", "c1", "a2", "b2", "a3"]);
    }

    #[test]
    fn a_full_priority_refuses_and_leaves_the_others_open() {
        let mut queue = FairQueue::default();
        let key = key("a");
        while queue.join(Priority::Check, &key, ()).is_ok() {}
        assert_eq!(len(&queue), MAX_WAITING);
        assert!(queue.join(Priority::Rollback, &key, ()).is_ok());
    }

    proptest! {
        #[test]
        fn who_stays_is_taken_once_by_priority_and_no_resource_waits_two_rounds(
            joins in proptest::collection::vec((0usize..7, 0u8..5, any::<bool>()), 0..200),
        ) {
            let mut queue = FairQueue::default();
            let mut staying: Vec<(Priority, u8, usize)> = Vec::new();
            let mut leaving = Vec::new();
            for (number, (priority, resource, leaves)) in joins.into_iter().enumerate() {
                let entry = (Priority::ALL[priority], resource, number);
                let place = queue.join(entry.0, &key(&resource.to_string()), entry).unwrap();
                if leaves { leaving.push(place) } else { staying.push(entry) }
            }
            for place in leaving {
                queue.leave(place);
                queue.leave(place);
            }
            prop_assert_eq!(len(&queue), staying.len());
            let taken = drain(&mut queue);
            prop_assert!(queue.is_empty());
            prop_assert!(taken.is_sorted_by_key(|entry| entry.0));
            for pair in taken.windows(2) {
                let another_waits = staying.iter().any(|other| other.0 == pair[0].0 && other.1 != pair[0].1
                    && taken.iter().position(|entry| entry == other) > taken.iter().position(|entry| entry == &pair[0]));
                prop_assert!(!another_waits || pair[0].0 != pair[1].0 || pair[0].1 != pair[1].1, "one resource twice in a row");
            }
            let mut sorted = taken.clone();
            sorted.sort_by_key(|entry| entry.2);
            prop_assert_eq!(sorted, staying);
        }
    }
}
