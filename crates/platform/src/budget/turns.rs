//! A round-robin list of members.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Members by name, each with content of its own, in round-robin order. A new member, and a member that was just
/// served, comes after all others.
#[derive(Debug)]
pub(crate) struct Turns<M> {
    members: BTreeMap<Arc<str>, Member<M>>,
    order: BTreeMap<u64, Arc<str>>,
    last_turn: u64,
}

#[derive(Debug)]
struct Member<M> {
    turn: u64,
    own: M,
}

/// The part of a member that the round-robin order depends on.
pub(crate) trait Own {
    /// Whether it is empty, so that the member needs no place in the order.
    fn is_empty(&self) -> bool;
}

impl<M> Default for Turns<M> {
    fn default() -> Self {
        Self { members: BTreeMap::new(), order: BTreeMap::new(), last_turn: 0 }
    }
}

impl<M> Own for Turns<M> {
    fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

impl<M: Own + Default> Turns<M> {
    /// The content of the member, to add to it. The member gets a place in the order if it had none.
    pub(crate) fn own(&mut self, name: &Arc<str>) -> &mut M {
        let member = self.members.entry(name.clone()).or_insert_with(|| {
            self.last_turn += 1;
            self.order.insert(self.last_turn, name.clone());
            Member { turn: self.last_turn, own: M::default() }
        });
        &mut member.own
    }

    /// Takes something from the next member.
    pub(crate) fn take<T>(&mut self, take: impl FnOnce(&mut M) -> Option<T>) -> Option<T> {
        let name = self.order.first_key_value()?.1.clone();
        let taken = self.take_of(&name, take);
        if let Some(member) = self.members.get_mut(&name) {
            self.order.remove(&member.turn);
            self.last_turn += 1;
            member.turn = self.last_turn;
            self.order.insert(member.turn, name);
        }
        taken
    }

    /// Takes something from this member, regardless of the order.
    pub(crate) fn take_of<T>(&mut self, name: &str, take: impl FnOnce(&mut M) -> Option<T>) -> Option<T> {
        let member = self.members.get_mut(name)?;
        let taken = take(&mut member.own);
        if member.own.is_empty() {
            self.order.remove(&member.turn);
            self.members.remove(name);
        }
        taken
    }
}
