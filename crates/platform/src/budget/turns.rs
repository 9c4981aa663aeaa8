//! Members that take turns.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Members by name, each with something of its own, in the order of their turns. A member that was not there, or that has
/// had its turn, comes after all others.
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

/// What a member has, as far as turns depend on it.
pub(crate) trait Own {
    /// Whether it needs no turn.
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
    /// What the member has, to add to it. It is given a turn where it had none.
    pub(crate) fn own(&mut self, name: &Arc<str>) -> &mut M {
        let member = self.members.entry(name.clone()).or_insert_with(|| {
            self.last_turn += 1;
            self.order.insert(self.last_turn, name.clone());
            Member { turn: self.last_turn, own: M::default() }
        });
        &mut member.own
    }

    /// Takes something of the member whose turn it is.
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

    /// Takes something of a member, whosever turn it is.
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
