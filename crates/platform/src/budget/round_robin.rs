//! A round-robin list of members.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Members by name, each with content, in round-robin order. A new member and a member that was just served come after
/// all others.
#[derive(Debug)]
pub(crate) struct RoundRobin<M> {
    members: BTreeMap<Arc<str>, Member<M>>,
    order: BTreeMap<u64, Arc<str>>,
    last_position: u64,
}

#[derive(Debug)]
struct Member<M> {
    position: u64,
    content: M,
}

/// The content of a member. A member with empty content is removed.
pub(crate) trait Content {
    /// Whether the content is empty.
    fn is_empty(&self) -> bool;
}

impl<M> Default for RoundRobin<M> {
    fn default() -> Self {
        Self { members: BTreeMap::new(), order: BTreeMap::new(), last_position: 0 }
    }
}

impl<M> Content for RoundRobin<M> {
    fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

impl<M: Content + Default> RoundRobin<M> {
    /// The content of this member. A new member is added at the end of the order. The caller must not leave the content
    /// empty.
    pub(crate) fn content(&mut self, name: &Arc<str>) -> &mut M {
        let member = self.members.entry(name.clone()).or_insert_with(|| {
            self.last_position += 1;
            self.order.insert(self.last_position, name.clone());
            Member { position: self.last_position, content: M::default() }
        });
        &mut member.content
    }

    /// Takes something from the next member.
    pub(crate) fn take<T>(&mut self, take: impl FnOnce(&mut M) -> Option<T>) -> Option<T> {
        let name = self.order.first_key_value()?.1.clone();
        let taken = self.take_of(&name, take);
        if let Some(member) = self.members.get_mut(&name) {
            self.order.remove(&member.position);
            self.last_position += 1;
            member.position = self.last_position;
            self.order.insert(member.position, name);
        }
        taken
    }

    /// Takes something from this member, regardless of the order.
    pub(crate) fn take_of<T>(&mut self, name: &str, take: impl FnOnce(&mut M) -> Option<T>) -> Option<T> {
        let member = self.members.get_mut(name)?;
        let taken = take(&mut member.content);
        if member.content.is_empty() {
            self.order.remove(&member.position);
            self.members.remove(name);
        }
        taken
    }
}
