//! How many requests fit now: a sliding window over exact times, with a lane of its own for rollbacks.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

use super::allowance::Allowance;
use super::pace::Pace;
use super::{Priority, Reading};

/// The time over which the API counts requests.
pub const WINDOW: Duration = Duration::from_secs(60);

/// When the next request may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// At once.
    Admit,
    /// Not before this time.
    WaitUntil(Instant),
    /// Not before a request that is under way has finished, and a window's length has passed since.
    WaitForFinish,
}

/// Which places a request takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// The reserve first, and then any.
    Rollbacks,
    /// What is not reserved.
    Others,
}

impl From<Priority> for Lane {
    fn from(priority: Priority) -> Self {
        if priority == Priority::Rollback { Self::Rollbacks } else { Self::Others }
    }
}

/// The requests that the API may count against us, as plain data driven by the times it is given.
///
/// We see when a request is admitted and when it finished; the API counts it some time in between. So a request takes
/// its place from its admission until a window's length after it *finished*: then no window of the API's holds more
/// than the limit, whatever the network did.
///
/// The places of the reserve are apart: others leave them free, and the rollbacks in them take nothing from others. Only
/// a rollback beyond the reserve takes a place that others could have had.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    allowance: Allowance,
    pace: Pace,
    paused_until: Instant,
    /// Requests under way and those that still count.
    taken: Places,
    finished: VecDeque<(Instant, Lane)>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Places {
    rollbacks: u32,
    others: u32,
}

impl Places {
    fn take(&mut self, lane: Lane) {
        let places = self.of(lane);
        *places = places.saturating_add(1);
    }

    fn give_back(&mut self, lane: Lane) {
        let places = self.of(lane);
        *places = places.saturating_sub(1);
    }

    fn of(&mut self, lane: Lane) -> &mut u32 {
        match lane {
            Lane::Rollbacks => &mut self.rollbacks,
            Lane::Others => &mut self.others,
        }
    }

    fn all(self) -> u32 {
        self.rollbacks.saturating_add(self.others)
    }
}

impl Window {
    /// A window that knows nothing of the requests made before it, and so is careful for its first minute.
    #[must_use]
    pub(crate) fn new(limit: NonZeroU32, now: Instant) -> Self {
        Self {
            allowance: Allowance::new(limit),
            pace: Pace::careful(now),
            paused_until: now,
            taken: Places::default(),
            finished: VecDeque::new(),
        }
    }

    /// When a request of this lane may go, for which somebody waits.
    #[must_use]
    pub(crate) fn next(&mut self, now: Instant, lane: Lane) -> Next {
        self.forget_counted_out(now);
        let free_at = self.free_at(now, lane);
        if lane == Lane::Others && free_at != Some(now) {
            self.pace.stalled(free_at.unwrap_or(now));
        }
        let Some(free_at) = free_at else { return Next::WaitForFinish };
        let at = free_at.max(self.paused_until).max(self.pace.next_at(lane));
        if at <= now { Next::Admit } else { Next::WaitUntil(at) }
    }

    /// Counts a request that goes now. Only after [`next`](Self::next) said [`Next::Admit`].
    pub(crate) fn admit(&mut self, now: Instant, lane: Lane) {
        self.taken.take(lane);
        self.pace.went(now, lane, self.allowance.effective(now));
    }

    /// Counts a request as finished: answered, failed or given up.
    pub(crate) fn finish(&mut self, now: Instant, lane: Lane) {
        self.finished.push_back((now, lane));
    }

    /// Lets nothing go before `until`, and is careful for a minute after it: the API's count is not ours.
    pub(crate) fn pause(&mut self, now: Instant, until: Instant) {
        self.paused_until = self.paused_until.max(until);
        self.pace.pause(now, self.paused_until);
    }

    /// The API refused a request that was admitted at `admitted`: it has counted enough requests of this client. Pauses, and
    /// goes on with fewer.
    pub(crate) fn refused(&mut self, admitted: Instant, now: Instant, until: Instant) {
        self.pause(now, until);
        self.allowance.refused(admitted, now, self.paused_until);
    }

    /// When the pause ends; past, where there is none.
    #[must_use]
    pub(crate) fn paused_until(&self) -> Instant {
        self.paused_until
    }

    /// Changes how many requests a minute are allowed.
    pub(crate) fn set_limit(&mut self, now: Instant, limit: NonZeroU32) {
        if limit != self.allowance.limit() {
            self.allowance.set_limit(limit);
            self.pace.rate_changed(now, self.allowance.effective(now));
        }
    }

    /// How it stands, with those who wait.
    #[must_use]
    pub(crate) fn reading(&mut self, now: Instant, waiting: BTreeMap<Priority, usize>) -> Reading {
        self.forget_counted_out(now);
        let (limit, reserve) = (self.allowance.limit(), self.allowance.reserve());
        Reading {
            limit,
            effective_limit: self.allowance.effective(now),
            used: self.taken.all(),
            reserve,
            reserve_free: reserve
                .saturating_sub(self.taken.rollbacks)
                .min(limit.get().saturating_sub(self.taken.all())),
            waiting,
            paused_for: self.paused_until.saturating_duration_since(now),
        }
    }

    /// Whether forgetting this window would lose anything.
    #[must_use]
    pub(crate) fn is_idle(&mut self, now: Instant) -> bool {
        self.forget_counted_out(now);
        let is_whole = self.allowance.effective(now) == self.allowance.limit();
        self.taken == Places::default() && self.paused_until <= now && is_whole
    }

    fn forget_counted_out(&mut self, now: Instant) {
        while let Some((_, lane)) = self.finished.pop_front_if(|(finished, _)| *finished + WINDOW <= now) {
            self.taken.give_back(lane);
        }
    }

    /// When there is a place; `None` where that takes a request that is still under way.
    fn free_at(&self, now: Instant, lane: Lane) -> Option<Instant> {
        let mut taken = self.taken;
        if self.fits(taken, now, lane) {
            return Some(now);
        }
        for &(finished, of) in &self.finished {
            taken.give_back(of);
            if self.fits(taken, now, lane) {
                return Some(finished + WINDOW);
            }
        }
        None
    }

    /// Whether one more request fits beside these. Somebody else's use of the client slows a rollback less than all others:
    /// it may take any place under the limit itself.
    fn fits(&self, taken: Places, now: Instant, lane: Lane) -> bool {
        match lane {
            Lane::Rollbacks => taken.all() < self.allowance.limit().get(),
            Lane::Others => {
                let kept = taken.rollbacks.max(self.allowance.reserve());
                taken.others.saturating_add(kept) < self.allowance.effective(now).get()
            }
        }
    }
}

#[cfg(test)]
mod tests;
