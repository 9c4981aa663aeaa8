//! Combines windows: whether a rollout may start now, and when that changes.

use jiff::Timestamp;

use crate::window::{Interval, Kind, Window, horizon};

/// How many intervals of windows one evaluation looks at before it stops searching.
///
/// An ordinary calendar opens after a few intervals for each window. Windows that alternate every minute could keep the search
/// busy for a million. The limit keeps one evaluation below the time of a request to the API server.
pub const MAX_INTERVALS: usize = 10_000;

/// Whether a rollout may start, and when that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evaluation {
    /// A rollout may start.
    Open {
        /// When that ends. None if the search found no end.
        closes_at: Option<Timestamp>,
        /// A rollout may start at every instant before this one. It is `closes_at`, or how far the search came. A caller that
        /// evaluates again then misses no closing.
        open_until: Timestamp,
    },
    /// No rollout may start.
    Closed {
        /// What closes: if several do, what closes longest.
        by: Closer,
        /// The first instant at which a rollout may start. None if the search found none.
        opens_at: Option<Timestamp>,
        /// No rollout may start before this instant. It is `opens_at`, or how far the search came. A caller that evaluates again
        /// then misses no opening.
        closed_until: Timestamp,
    },
}

/// What closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closer {
    /// A Deny window is active.
    Deny {
        /// The index of its scope.
        scope: usize,
        /// The index of the window in the scope.
        window: usize,
        /// When it ends. None if it does not end within [`HORIZON`](crate::HORIZON).
        ends_at: Option<Timestamp>,
    },
    /// A scope has Allow windows, and none of them is active.
    OutsideAllow {
        /// The index of the scope.
        scope: usize,
        /// The Allow window that becomes active first. None if none does within [`HORIZON`](crate::HORIZON).
        next: Option<NextAllow>,
    },
}

/// The Allow window of a scope that becomes active first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextAllow {
    /// The index of the window in its scope.
    pub window: usize,
    /// When it becomes active. A Deny window may still be active then.
    pub at: Timestamp,
}

impl Closer {
    /// This closes at least until then. None if it does beyond the horizon.
    fn until(&self) -> Option<Timestamp> {
        match self {
            Closer::Deny { ends_at, .. } => *ends_at,
            Closer::OutsideAllow { next, .. } => next.map(|next| next.at),
        }
    }

    /// The one that closes longer; the first one of two that close equally long.
    fn longer(self, other: Closer) -> Closer {
        let other_is_longer = match (self.until(), other.until()) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(until), Some(other)) => other > until,
        };
        if other_is_longer { other } else { self }
    }
}

/// Whether a rollout may start at this instant.
///
/// Each scope is evaluated alone, and all must be open. A scope is open if no Deny is active, and if it has no Allow or an
/// active one. Without any window everything is open.
pub fn evaluate(scopes: &[&[Window]], now: Timestamp) -> Evaluation {
    evaluate_within(scopes, now, MAX_INTERVALS)
}

/// Evaluates, and stops the search after this many intervals.
fn evaluate_within(scopes: &[&[Window]], now: Timestamp, max_intervals: usize) -> Evaluation {
    let mut search = Search::new(scopes, horizon(now), max_intervals);
    match search.state(now) {
        State::Open { until } => {
            let (closes_at, open_until) = search.first_close(until);
            Evaluation::Open { closes_at, open_until }
        }
        State::Closed { by } => {
            let (opens_at, closed_until) = search.first_opening(by);
            Evaluation::Closed { by, opens_at, closed_until }
        }
    }
}

/// The state at one instant.
enum State {
    /// Open at least until then. None: until the horizon.
    Open { until: Option<Timestamp> },
    /// Closed at least until `by` ends.
    Closed { by: Closer },
}

/// A search forward in time: instants are passed in ascending order.
struct Search<'a> {
    scopes: Vec<Vec<Cursor<'a>>>,
    horizon: Timestamp,
    intervals_left: usize,
}

/// A window, and the interval of it that is active or comes next.
struct Cursor<'a> {
    window: &'a Window,
    next: Option<Interval>,
    has_looked: bool,
}

impl<'a> Search<'a> {
    fn new(scopes: &[&'a [Window]], horizon: Timestamp, max_intervals: usize) -> Self {
        let cursor = |window| Cursor { window, next: None, has_looked: false };
        let scopes = scopes.iter().map(|scope| scope.iter().map(cursor).collect()).collect();
        Search { scopes, horizon, intervals_left: max_intervals }
    }

    /// The first closing, and until when it is certain that nothing closes before.
    fn first_close(&mut self, mut until: Option<Timestamp>) -> (Option<Timestamp>, Timestamp) {
        while let Some(at) = until.filter(|at| *at <= self.horizon) {
            if self.intervals_left == 0 {
                return (None, at);
            }
            match self.state(at) {
                State::Open { until: next } => until = next,
                State::Closed { .. } => return (Some(at), at),
            }
        }
        (None, self.horizon)
    }

    /// The first opening, and until when it is certain that nothing opens before.
    fn first_opening(&mut self, mut by: Closer) -> (Option<Timestamp>, Timestamp) {
        let mut closed_until = self.horizon;
        while let Some(at) = by.until().filter(|at| *at <= self.horizon) {
            if self.intervals_left == 0 {
                closed_until = at;
                break;
            }
            match self.state(at) {
                State::Open { .. } => return (Some(at), at),
                State::Closed { by: next } => by = next,
            }
        }
        (None, closed_until)
    }

    /// The state at an instant. It lasts at least until a later one, so that a search always moves forward.
    fn state(&mut self, at: Timestamp) -> State {
        let mut open_until = None;
        let mut closed_by: Option<Closer> = None;
        for (scope, cursors) in self.scopes.iter_mut().enumerate() {
            for cursor in cursors.iter_mut() {
                if cursor.moves_to(at, self.horizon) {
                    self.intervals_left = self.intervals_left.saturating_sub(1);
                }
            }
            match state_of_scope(scope, cursors, at) {
                State::Open { until } => open_until = earlier(open_until, until),
                State::Closed { by } => closed_by = Some(closed_by.map_or(by, |known| known.longer(by))),
            }
        }
        match closed_by {
            Some(by) => State::Closed { by },
            None => State::Open { until: open_until },
        }
    }
}

fn state_of_scope(scope: usize, cursors: &[Cursor<'_>], at: Timestamp) -> State {
    let mut denied: Option<Closer> = None;
    let mut next_deny = None;
    let mut has_allow = false;
    let mut allowed = false;
    // The last end of an active Allow. None if one of them has no end in sight.
    let mut allowed_until = Some(Timestamp::MIN);
    let mut next_allow: Option<NextAllow> = None;
    for (window, cursor) in cursors.iter().enumerate() {
        let active = cursor.next.filter(|interval| interval.start <= at);
        match (cursor.window.kind(), active, cursor.next) {
            (Kind::Deny, Some(interval), _) => {
                let closer = Closer::Deny { scope, window, ends_at: interval.end };
                denied = Some(denied.map_or(closer, |known| known.longer(closer)));
            }
            (Kind::Deny, None, next) => next_deny = earlier(next_deny, next.map(|interval| interval.start)),
            (Kind::Allow, Some(interval), _) => {
                allowed = true;
                allowed_until = allowed_until.zip(interval.end).map(|(known, end)| known.max(end));
            }
            (Kind::Allow, None, Some(next)) if next_allow.is_none_or(|known| next.start < known.at) => {
                next_allow = Some(NextAllow { window, at: next.start });
            }
            (Kind::Allow, None, _) => {}
        }
        has_allow |= cursor.window.kind() == Kind::Allow;
    }
    match denied {
        Some(by) => State::Closed { by },
        None if has_allow && !allowed => State::Closed { by: Closer::OutsideAllow { scope, next: next_allow } },
        None => State::Open { until: earlier(next_deny, allowed_until.filter(|_| has_allow)) },
    }
}

impl Cursor<'_> {
    /// Looks for the interval that ends after this instant. Returns whether it had to.
    fn moves_to(&mut self, at: Timestamp, horizon: Timestamp) -> bool {
        let is_current = match self.next {
            Some(interval) => interval.end.is_none_or(|end| end > at),
            // Nothing comes after nothing.
            None => self.has_looked,
        };
        if !is_current {
            self.next = self.window.interval(at, horizon);
            self.has_looked = true;
        }
        !is_current
    }
}

/// The earlier one of two instants that may be missing.
fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests;
