//! Decides when the next request may go: a sliding window over exact times, with a separate lane for rollbacks.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

use super::allowance::{Allowance, percent};
use super::pace::Pace;
use super::pause::Pauses;
use super::{BudgetUsage, Priority};

/// The period over which the API counts requests.
pub const WINDOW: Duration = Duration::from_secs(60);

/// Percentage of the effective limit up to which requests go that may not wait. The rest is free for rollouts that begin now.
const SPARE_PERCENT: u32 = 50;

/// When the next request may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Now.
    Admit,
    /// Not before this time.
    WaitUntil(Instant),
    /// Not before a whole window has passed after a request that is in progress has finished.
    WaitForFinish,
}

/// The lane of a request: which places it may use, and how long the API may pause it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Rollbacks use the places of the reserve first, and then any other place. They are paused for seconds.
    Rollbacks,
    /// In-flight requests use places outside the reserve. They are paused for minutes.
    InFlight,
    /// All other requests use places outside the reserve. They are paused longest.
    Others,
}

impl From<Priority> for Lane {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Rollback => Self::Rollbacks,
            Priority::Submit | Priority::Health | Priority::Job => Self::InFlight,
            Priority::Check | Priority::Audit | Priority::Start | Priority::Watch => Self::Others,
        }
    }
}

/// The requests that the API may count in its current window. This is plain data; the caller passes in the times.
///
/// The operator knows when a request was admitted and when it finished. The API counts the request at an unknown time in
/// between. So a request uses its place from its admission until one window after it *finished*. Then no window of the
/// API contains more requests than the limit, whatever the network does.
///
/// Only rollbacks use the reserve, and a rollback within the reserve takes no place from other requests. After rollbacks
/// have used the whole reserve, other requests leave one more place free, so that the next rollback does not wait
/// either.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    allowance: Allowance,
    pace: Pace,
    pauses: Pauses,
    /// Requests in progress, and finished requests that still count.
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
            Lane::InFlight | Lane::Others => &mut self.others,
        }
    }

    fn all(self) -> u32 {
        self.rollbacks.saturating_add(self.others)
    }
}

impl Window {
    /// Makes a window. It does not know which requests were sent earlier, so it is careful for its first minute.
    #[must_use]
    pub(crate) fn new(limit: NonZeroU32, now: Instant) -> Self {
        Self {
            allowance: Allowance::new(limit),
            pace: Pace::careful(now),
            pauses: Pauses::none(now),
            taken: Places::default(),
            finished: VecDeque::new(),
        }
    }

    /// When a waiting request of this lane may go.
    #[must_use]
    pub(crate) fn next(&mut self, now: Instant, lane: Lane) -> Next {
        self.drop_expired(now);
        let free_at = self.free_at(now, lane);
        if lane != Lane::Rollbacks && free_at != Some(now) {
            self.pace.stalled(free_at.unwrap_or(now));
        }
        let Some(free_at) = free_at else { return Next::WaitForFinish };
        let at = free_at.max(self.pauses.until(lane)).max(self.pace.next_at(lane));
        if at <= now { Next::Admit } else { Next::WaitUntil(at) }
    }

    /// Whether a request may go now that no rollout needs: so few requests count that rollouts which begin now have room.
    #[must_use]
    pub(crate) fn has_spare_place(&mut self, now: Instant, lane: Lane) -> bool {
        self.drop_expired(now);
        let spare = percent(self.allowance.effective(now).get(), SPARE_PERCENT);
        self.taken.all() < spare && self.next(now, lane) == Next::Admit
    }

    /// Counts a request that is sent now. Call it only after [`next`](Self::next) returned [`Next::Admit`].
    pub(crate) fn admit(&mut self, now: Instant, lane: Lane) {
        self.taken.take(lane);
        self.pace.record_sent(now, lane, self.allowance.effective(now));
    }

    /// Counts a request as finished: answered, failed or cancelled.
    pub(crate) fn finish(&mut self, now: Instant, lane: Lane) {
        self.finished.push_back((now, lane));
    }

    /// Pauses every lane until `until`, but no lane longer than its maximum. The window is careful until a minute after the
    /// last pause, because the API's count may differ from ours.
    pub(crate) fn pause(&mut self, now: Instant, until: Instant) {
        self.pauses.extend(now, until);
        self.pace.pause(now, self.pauses.until(Lane::Others));
    }

    /// Records that the API refused a request that was admitted at `admitted`, because the client has sent too many
    /// requests. Pauses, and then allows fewer requests.
    pub(crate) fn refused(&mut self, admitted: Instant, now: Instant, until: Instant) {
        self.pause(now, until);
        self.allowance.refused(admitted, now, self.pauses.until(Lane::Others));
    }

    /// When the pause of a lane ends. The time is in the past if the lane is not paused.
    #[must_use]
    pub(crate) fn paused_until(&self, lane: Lane) -> Instant {
        self.pauses.until(lane)
    }

    /// Requests per minute that the API allows, as configured.
    #[must_use]
    pub(crate) fn limit(&self) -> NonZeroU32 {
        self.allowance.limit()
    }

    /// Changes the allowed number of requests per minute.
    pub(crate) fn set_limit(&mut self, now: Instant, limit: NonZeroU32) {
        if limit != self.allowance.limit() {
            self.allowance.set_limit(limit);
            self.pace.rate_changed(now, self.allowance.effective(now));
        }
    }

    /// The state of the window, together with the waiting requests.
    #[must_use]
    pub(crate) fn usage(&mut self, now: Instant, waiting: BTreeMap<Priority, usize>) -> BudgetUsage {
        self.drop_expired(now);
        let (limit, reserve) = (self.allowance.limit(), self.allowance.reserve());
        BudgetUsage {
            limit,
            effective_limit: self.allowance.effective(now),
            used: self.taken.all(),
            reserve,
            reserve_free: reserve
                .saturating_sub(self.taken.rollbacks)
                .min(limit.get().saturating_sub(self.taken.all())),
            waiting,
            paused_for: self.pauses.until(Lane::Others).saturating_duration_since(now),
        }
    }

    /// Whether the window can be dropped without losing information.
    #[must_use]
    pub(crate) fn is_idle(&mut self, now: Instant) -> bool {
        self.drop_expired(now);
        let is_at_limit = self.allowance.effective(now) == self.allowance.limit();
        self.taken == Places::default() && self.pauses.until(Lane::Others) <= now && is_at_limit
    }

    fn drop_expired(&mut self, now: Instant) {
        while let Some((_, lane)) = self.finished.pop_front_if(|(finished, _)| *finished + WINDOW <= now) {
            self.taken.give_back(lane);
        }
    }

    /// When a place becomes free; `None` if that depends on a request that is still in progress.
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

    /// Whether one more request fits in addition to these. A rollback may use every place of the configured limit, other
    /// requests only those of the effective limit.
    fn fits(&self, taken: Places, now: Instant, lane: Lane) -> bool {
        match lane {
            Lane::Rollbacks => taken.all() < self.allowance.limit().get(),
            Lane::InFlight | Lane::Others => {
                let effective = self.allowance.effective(now).get();
                let kept_for_next = taken.rollbacks.saturating_add(1).min(effective - 1);
                let kept = kept_for_next.max(taken.rollbacks).max(self.allowance.reserve());
                taken.others.saturating_add(kept) < effective
            }
        }
    }
}

#[cfg(test)]
mod tests;
