//! Chooses the resource to reconcile next: fair between namespaces, rollouts in flight before those that are not
//! submitted, and these before successes that are watched.
//!
//! A reconcile holds a slot while it waits for an answer. An API that never answers holds it for minutes. So no
//! namespace may hold more than its share, and a namespace with few slots gets one even if all shared slots are taken.
//! While a resource waits for a slot, it needs memory only for its name.
//!
//! The queue is plain data, with time as a parameter, so the simulation runs the same queue.

use rollout::admission::ResourceName;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

/// How urgent a reconcile is; the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// A rollout is in flight, or the resource is being deleted: a verdict, a rollback or a person waits for it.
    InFlight,
    /// Nothing was submitted yet, or there is nothing to do.
    NotSubmitted,
    /// The success is watched, and there is nothing else to do. An API that does not answer must not delay rollouts.
    Watched,
}

impl Urgency {
    const ALL: [Self; COUNT] = [Self::InFlight, Self::NotSubmitted, Self::Watched];

    /// How many reconciles of this urgency may run at once for one namespace.
    fn of_one_namespace(self) -> usize {
        match self {
            // This is more than the request budget of one client can poll.
            Self::InFlight => 256,
            // Admission lets only a few rollouts of each client start at once.
            Self::NotSubmitted => 32,
            Self::Watched => 16,
        }
    }

    /// How many of the shared slots reconciles of this urgency may take.
    fn of_shared_slots(self) -> usize {
        match self {
            Self::InFlight => SHARED_SLOTS,
            Self::NotSubmitted => 256,
            Self::Watched => 128,
        }
    }

    /// How many of its own slots a namespace may use for reconciles of this urgency. Half of them are kept for rollouts
    /// in flight.
    fn of_own_slots(self) -> usize {
        match self {
            Self::InFlight => OWN_SLOTS,
            Self::NotSubmitted => OWN_SLOTS / 2,
            Self::Watched => 1,
        }
    }
}

/// The number of urgencies.
const COUNT: usize = 3;

/// How many reconciles run at once. Each takes some 50 KB while it waits for an answer, connection included.
const SHARED_SLOTS: usize = 768;
/// How many reconciles a namespace may always run, regardless of other namespaces.
const OWN_SLOTS: usize = 8;
/// How many reconciles run at once in total, including the namespaces' own slots.
const ALL_SLOTS: usize = 2048;

/// The waiting and the running reconciles.
#[derive(Debug, Default)]
pub struct ReconcileQueue {
    /// When each waiting resource is due.
    due_at: HashMap<ResourceName, Duration>,
    /// The same entries, the earliest first.
    by_time: BTreeSet<(Duration, ResourceName)>,
    /// The resources that are due, by urgency and namespace, in the order in which they became due.
    ready: [NamespaceQueues; COUNT],
    /// The urgency of each resource that is due.
    urgencies: HashMap<ResourceName, Urgency>,
    running: HashMap<ResourceName, Urgency>,
    /// Resources that became due while their reconcile runs. They are reconciled again right after it.
    again: HashSet<ResourceName>,
    slots: Slots,
}

/// The queues of one urgency, by namespace.
#[derive(Debug, Default)]
struct NamespaceQueues {
    waiting: BTreeMap<Arc<str>, VecDeque<ResourceName>>,
    /// The namespace that was served last: the next one comes after it.
    last: Option<Arc<str>>,
}

/// The number of running reconciles.
#[derive(Debug, Default)]
struct Slots {
    by_namespace: HashMap<Arc<str>, [usize; COUNT]>,
    of_urgency: [usize; COUNT],
}

impl ReconcileQueue {
    /// Adds a resource to reconcile at that time. If it is already waiting, the earlier time counts.
    pub fn add(&mut self, resource: ResourceName, at: Duration) {
        match self.due_at.get(&resource) {
            Some(present) if *present <= at => return,
            Some(present) => drop(self.by_time.remove(&(*present, resource.clone()))),
            None => {}
        }
        self.due_at.insert(resource.clone(), at);
        self.by_time.insert((at, resource));
    }

    /// When the next resource becomes due.
    #[must_use]
    pub fn next_at(&self) -> Option<Duration> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes the resource to reconcile now, if one is due and has a slot. It counts as running until
    /// [`finish`](Self::finish).
    pub fn take(&mut self, now: Duration, urgency_of: impl Fn(&ResourceName) -> Urgency) -> Option<ResourceName> {
        self.make_ready(now, urgency_of);
        let (resource, urgency) = Urgency::ALL.into_iter().find_map(|urgency| {
            let slots = &self.slots;
            let resource = self.ready[urgency as usize].take(|namespace| slots.has_room(namespace, urgency))?;
            Some((resource, urgency))
        })?;
        self.urgencies.remove(&resource);
        self.slots.occupy(&resource.namespace, urgency);
        self.running.insert(resource.clone(), urgency);
        Some(resource)
    }

    /// A reconcile has ended; its slot is free.
    pub fn finish(&mut self, resource: &ResourceName, now: Duration) {
        if let Some(urgency) = self.running.remove(resource) {
            self.slots.free(&resource.namespace, urgency);
        }
        if self.again.remove(resource) {
            self.add(resource.clone(), now);
        }
    }

    /// Moves resources that have become due to their namespace's queue. A resource whose reconcile runs is run again
    /// afterwards.
    fn make_ready(&mut self, now: Duration, urgency_of: impl Fn(&ResourceName) -> Urgency) {
        while self.next_at().is_some_and(|at| at <= now) {
            let Some((_, resource)) = self.by_time.pop_first() else { return };
            self.due_at.remove(&resource);
            if self.running.contains_key(&resource) {
                self.again.insert(resource);
                continue;
            }
            let urgency = urgency_of(&resource);
            match self.urgencies.get(&resource) {
                // It already waits for a slot, at the same or a higher urgency.
                Some(present) if *present <= urgency => continue,
                Some(present) => self.ready[*present as usize].remove(&resource),
                None => {}
            }
            self.urgencies.insert(resource.clone(), urgency);
            self.ready[urgency as usize].put(resource);
        }
    }
}

impl NamespaceQueues {
    fn put(&mut self, resource: ResourceName) {
        self.waiting.entry(Arc::clone(&resource.namespace)).or_default().push_back(resource);
    }

    /// Takes the first resource of the next namespace that has room.
    fn take(&mut self, has_room: impl Fn(&Arc<str>) -> bool) -> Option<ResourceName> {
        let after = self.last.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let upto = self.last.clone().map_or(Bound::Unbounded, Bound::Included);
        let mut later = self.waiting.range((after, Bound::Unbounded));
        let mut earlier = self.waiting.range((Bound::Unbounded, upto));
        let is_next = |(namespace, _): &(&Arc<str>, &VecDeque<ResourceName>)| has_room(namespace);
        let namespace =
            later.find(is_next).or_else(|| earlier.find(is_next)).map(|(namespace, _)| Arc::clone(namespace))?;
        let queue = self.waiting.get_mut(&namespace)?;
        let resource = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&namespace);
        }
        self.last = Some(namespace);
        resource
    }

    fn remove(&mut self, resource: &ResourceName) {
        let Some(queue) = self.waiting.get_mut(&resource.namespace) else { return };
        queue.retain(|waiting| waiting != resource);
        if queue.is_empty() {
            self.waiting.remove(&resource.namespace);
        }
    }
}

impl Slots {
    fn has_room(&self, namespace: &Arc<str>, urgency: Urgency) -> bool {
        let held = self.by_namespace.get(namespace).copied().unwrap_or_default();
        let all: usize = self.of_urgency.iter().sum();
        let own = held.iter().sum::<usize>() < urgency.of_own_slots() && all < ALL_SLOTS;
        let is_shared = all < SHARED_SLOTS && self.of_urgency[urgency as usize] < urgency.of_shared_slots();
        own || (is_shared && held[urgency as usize] < urgency.of_one_namespace())
    }

    fn occupy(&mut self, namespace: &Arc<str>, urgency: Urgency) {
        self.by_namespace.entry(Arc::clone(namespace)).or_default()[urgency as usize] += 1;
        self.of_urgency[urgency as usize] += 1;
    }

    fn free(&mut self, namespace: &Arc<str>, urgency: Urgency) {
        self.of_urgency[urgency as usize] -= 1;
        if let Some(held) = self.by_namespace.get_mut(namespace) {
            held[urgency as usize] -= 1;
            if held.iter().sum::<usize>() == 0 {
                self.by_namespace.remove(namespace);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(60);

    fn resource(namespace: &str, name: impl ToString) -> ResourceName {
        ResourceName { namespace: namespace.into(), name: name.to_string().into() }
    }

    /// The beginning of a resource's name says how urgent it is.
    fn urgency(resource: &ResourceName) -> Urgency {
        match resource.name.split('-').next() {
            Some("flying") => Urgency::InFlight,
            Some("watched") => Urgency::Watched,
            _ => Urgency::NotSubmitted,
        }
    }

    fn add_many(queue: &mut ReconcileQueue, namespace: &str, prefix: &str, count: usize) {
        (0..count).for_each(|number| queue.add(resource(namespace, format!("{prefix}-{number}")), NOW));
    }

    /// Takes resources until there are no more slots. None of the reconciles ends.
    fn take_all(queue: &mut ReconcileQueue) -> Vec<ResourceName> {
        std::iter::from_fn(|| queue.take(NOW, urgency)).collect()
    }

    fn of(taken: &[ResourceName], namespace: &str) -> usize {
        taken.iter().filter(|resource| &*resource.namespace == namespace).count()
    }

    #[test]
    fn a_resource_that_was_added_twice_is_taken_once_at_the_earlier_time() {
        let mut queue = ReconcileQueue::default();
        queue.add(resource("bots", "a"), Duration::from_secs(9));
        queue.add(resource("bots", "a"), Duration::from_secs(5));
        queue.add(resource("bots", "a"), Duration::from_secs(7));
        assert_eq!(queue.next_at(), Some(Duration::from_secs(5)));
        assert_eq!(queue.take(Duration::from_secs(4), urgency), None);
        assert_eq!(queue.take(Duration::from_secs(5), urgency), Some(resource("bots", "a")));
        assert_eq!((queue.take(Duration::from_secs(99), urgency), queue.next_at()), (None, None));
    }

    #[test]
    fn a_resource_never_runs_twice_at_once_and_is_run_again_if_it_was_triggered_meanwhile() {
        let mut queue = ReconcileQueue::default();
        queue.add(resource("bots", "a"), NOW);
        let running = queue.take(NOW, urgency);
        assert_eq!(running, Some(resource("bots", "a")));
        for _ in 0..3 {
            queue.add(resource("bots", "a"), NOW);
            assert_eq!(queue.take(NOW, urgency), None);
        }
        queue.finish(&resource("bots", "a"), NOW);
        assert!(queue.running.is_empty());
        assert_eq!(queue.take(NOW, urgency), Some(resource("bots", "a")));
        queue.finish(&resource("bots", "a"), NOW);
        assert_eq!(queue.take(NOW, urgency), None);
    }

    #[test]
    fn namespaces_take_turns_and_each_keeps_the_order_of_its_resources() {
        let mut queue = ReconcileQueue::default();
        add_many(&mut queue, "many", "a", 3);
        add_many(&mut queue, "few", "b", 1);
        add_many(&mut queue, "other", "c", 2);
        let order: Vec<String> = take_all(&mut queue).iter().map(|resource| resource.name.to_string()).collect();
        assert_eq!(order, ["b-0", "a-0", "c-0", "a-1", "c-1", "a-2"]);
    }

    #[test]
    fn rollouts_in_flight_go_before_rollouts_that_are_not_submitted() {
        let mut queue = ReconcileQueue::default();
        add_many(&mut queue, "bots", "waiting", 3);
        add_many(&mut queue, "bots", "flying", 2);
        assert!(take_all(&mut queue)[..2].iter().all(|resource| urgency(resource) == Urgency::InFlight));
    }

    #[test]
    fn watched_successes_that_hang_leave_slots_to_rollouts() {
        let mut queue = ReconcileQueue::default();
        for namespace in 0..100 {
            add_many(&mut queue, &format!("greedy-{namespace}"), "watched", 300);
        }
        let held = take_all(&mut queue).len();
        assert_eq!(held, Urgency::Watched.of_shared_slots());
        add_many(&mut queue, "greedy-0", "waiting", 300);
        assert_eq!(take_all(&mut queue).len(), 32);
        add_many(&mut queue, "modest", "watched", 3);
        assert_eq!(of(&take_all(&mut queue), "modest"), 1, "each namespace can always watch one");
    }

    #[test]
    fn a_resource_that_becomes_urgent_while_it_waits_for_a_slot_goes_first() {
        let mut queue = ReconcileQueue::default();
        add_many(&mut queue, "bots", "waiting", 40);
        assert_eq!(take_all(&mut queue).len(), 32);
        let is_urgent = |resource: &ResourceName| match &*resource.name {
            "waiting-39" => Urgency::InFlight,
            _ => Urgency::NotSubmitted,
        };
        queue.add(resource("bots", "waiting-39"), NOW);
        assert_eq!(queue.take(NOW, is_urgent), Some(resource("bots", "waiting-39")));
        assert_eq!(queue.take(NOW, is_urgent), None);
    }

    #[test]
    fn one_namespace_with_many_resources_leaves_slots_to_others() {
        for (prefix, most) in [("watched", 16), ("waiting", 32), ("flying", 256)] {
            let mut queue = ReconcileQueue::default();
            add_many(&mut queue, "greedy", prefix, 3000);
            assert_eq!(take_all(&mut queue).len(), most);
            add_many(&mut queue, "modest", "waiting", 5);
            add_many(&mut queue, "modest", "flying", 5);
            assert_eq!(of(&take_all(&mut queue), "modest"), 10);
        }
    }

    #[test]
    fn a_namespace_keeps_its_own_slots_even_if_other_namespaces_hold_all_shared_slots() {
        let mut queue = ReconcileQueue::default();
        for number in 0..100 {
            add_many(&mut queue, &format!("greedy-{number}"), "flying", 300);
            add_many(&mut queue, &format!("greedy-{number}"), "waiting", 300);
        }
        let held = take_all(&mut queue).len();
        assert!((SHARED_SLOTS..=ALL_SLOTS).contains(&held), "{held}");
        add_many(&mut queue, "modest", "waiting", 9);
        assert_eq!(of(&take_all(&mut queue), "modest"), OWN_SLOTS / 2);
        add_many(&mut queue, "modest", "flying", 9);
        assert_eq!(of(&take_all(&mut queue), "modest"), OWN_SLOTS / 2, "the other half is kept for rollouts in flight");
    }

    #[test]
    fn a_free_slot_goes_to_a_waiting_resource() {
        let mut queue = ReconcileQueue::default();
        add_many(&mut queue, "greedy", "waiting", 33);
        let taken = take_all(&mut queue);
        assert_eq!(queue.take(NOW, urgency), None);
        queue.finish(&taken[0], NOW);
        assert!(queue.take(NOW, urgency).is_some());
        assert_eq!(queue.take(NOW, urgency), None);
    }
}
