//! The request budget: never more requests in any sliding minute than the API allows one client, the most important
//! first, by turns between resources.
//!
//! The decisions are plain data (`Window`: when, by its places, its `Allowance` and its `Pace`; `FairQueue`: who); here
//! they meet tasks and time. No task of its own drives a budget: one of those who wait holds the baton and sleeps for all,
//! and hands it on when it leaves.

mod allowance;
mod hold;
mod pace;
mod priority;
mod queue;
mod reading;
mod requester;
mod turns;
mod window;

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

pub use priority::Priority;
use queue::{FairQueue, Full, Place};
pub use reading::Reading;
pub use requester::Requester;
pub use window::WINDOW;
use window::{Lane, Next, Window};

use super::fingerprint::ClientFingerprint;
use super::retry::MAX_RETRY_AFTER;

/// Requests per minute that one client typically has (contract, last section).
pub const TYPICAL_LIMIT: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);

/// The longest that a request waits for its turn; then its caller is told to come back. Longer than a window, so that
/// one full window makes nobody come back.
pub const PATIENCE: Duration = Duration::from_secs(75);

/// Why a request may not go, now or soon. Nothing was sent; the caller comes back later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BudgetError {
    /// Too many requests of this priority wait already.
    #[error("too many requests wait for the request budget")]
    Full,
    /// The API asked for a pause that is longer than a request waits.
    #[error("the API asked for a pause of {} s more", .left.as_secs())]
    Paused {
        /// What is left of the pause.
        left: Duration,
    },
    /// The turn did not come in time.
    #[error("the request budget had no room within {} s", PATIENCE.as_secs())]
    Busy,
    /// Its requester cancelled it while it waited in the queue.
    #[error("the request was cancelled while it waited in the queue")]
    Cancelled,
}

impl BudgetError {
    /// Every value of [`metric_label`](Self::metric_label).
    pub const METRIC_LABELS: [&str; 4] = ["full", "paused", "busy", "cancelled"];

    /// The kind of error, as the value of a metric's label.
    #[must_use]
    pub fn metric_label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Paused { .. } => "paused",
            Self::Busy => "busy",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The budget of one client of the API, shared by everything that uses it.
#[derive(Debug)]
pub struct Budget {
    state: Mutex<State>,
    /// Told when the one who sleeps for all must look again.
    changed: Notify,
    baton: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    window: Window,
    queue: FairQueue<oneshot::Sender<Permit>>,
    /// What those who use the client say of its limit, each under a number of its own.
    claims: BTreeMap<u64, NonZeroU32>,
    last_claim: u64,
}

impl Budget {
    /// A budget of `limit` requests per minute, which is careful for its first.
    #[must_use]
    pub fn new(limit: NonZeroU32) -> Arc<Self> {
        let state = State {
            window: Window::new(limit, Instant::now()),
            queue: FairQueue::default(),
            claims: BTreeMap::new(),
            last_claim: 0,
        };
        Arc::new(Self { state: Mutex::new(state), changed: Notify::new(), baton: tokio::sync::Mutex::new(()) })
    }

    /// Waits until a request may be made; it counts until a minute after its permit was dropped.
    /// Dropping the future leaves the queue.
    ///
    /// # Errors
    /// [`BudgetError`] where the turn does not come within [`PATIENCE`], will not for certain, or is no longer wanted.
    pub async fn admit(self: &Arc<Self>, priority: Priority, requester: &Requester) -> Result<Permit, BudgetError> {
        if priority.may_be_cancelled() && requester.is_cancelled() {
            return Err(BudgetError::Cancelled);
        }
        let held_until = self.state().window.held_until(Lane::from(priority));
        let left = held_until.saturating_duration_since(Instant::now());
        if left > PATIENCE {
            return Err(BudgetError::Paused { left });
        }
        let (sender, receiver) = oneshot::channel();
        let place = self.state().queue.join(priority, requester, sender).map_err(|Full| BudgetError::Full)?;
        let _leaves = Leave { budget: self, place };
        self.grant();
        self.changed.notify_one();
        let turn = async {
            tokio::select! {
                biased;
                () = requester.cancelled(), if priority.may_be_cancelled() => Err(BudgetError::Cancelled),
                permit = receiver => permit.map_err(|_| BudgetError::Busy),
                never = self.grant_for_all() => match never {},
            }
        };
        tokio::time::timeout(PATIENCE, turn).await.unwrap_or(Err(BudgetError::Busy))
    }

    /// Lets nothing go for a while, because the API said so: rollbacks wait for 10 seconds of a minute at the most, what
    /// is in flight for 2 minutes, everything else for 10.
    pub fn pause(&self, length: Duration) {
        let now = Instant::now();
        self.state().window.pause(now, now + length.min(MAX_RETRY_AFTER));
        self.changed.notify_one();
    }

    /// Somebody who uses the client says how many requests a minute it may make, for as long as the claim is kept. If they
    /// disagree, the smallest number counts: what is not sent is late, what is sent too much is refused to all.
    #[must_use = "a claim that is dropped counts no longer"]
    pub fn claim_limit(self: &Arc<Self>, limit: NonZeroU32) -> LimitClaim {
        let mut state = self.state();
        state.last_claim += 1;
        let number = state.last_claim;
        state.claims.insert(number, limit);
        state.heed_claims();
        drop(state);
        self.changed.notify_one();
        LimitClaim { budget: self.clone(), number }
    }

    /// Requests a minute that the client may make, as far as is known.
    #[must_use]
    pub fn limit(&self) -> NonZeroU32 {
        self.state().window.limit()
    }

    /// Counts a request that was made without a permit.
    pub fn count_one_more(&self) {
        let now = Instant::now();
        let mut state = self.state();
        state.window.admit(now, Lane::InFlight);
        state.window.finish(now, Lane::InFlight);
        drop(state);
        self.changed.notify_one();
    }

    /// How the budget stands.
    #[must_use]
    pub fn reading(&self) -> Reading {
        let mut state = self.state();
        let waiting = Priority::ALL.map(|priority| (priority, state.queue.waiting(priority))).into();
        state.window.reading(Instant::now(), waiting)
    }

    fn is_idle(&self) -> bool {
        let mut state = self.state();
        state.queue.is_empty() && state.window.is_idle(Instant::now())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Holds the baton once it is free, and grants whenever there is something to grant.
    async fn grant_for_all(self: &Arc<Self>) -> Infallible {
        let _baton = self.baton.lock().await;
        loop {
            match self.grant() {
                Some(Next::WaitUntil(at)) => tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = self.changed.notified() => {}
                },
                _ => self.changed.notified().await,
            }
        }
    }

    /// Grants all that may go now; then tells when the first of those left may. `None` where nobody is left.
    fn grant(self: &Arc<Self>) -> Option<Next> {
        let now = Instant::now();
        loop {
            let mut state = self.state();
            let lane = Lane::from(state.queue.first()?);
            match state.window.next(now, lane) {
                Next::Admit => {
                    let waiter = state.queue.take()?;
                    state.window.admit(now, lane);
                    drop(state);
                    // A waiter that has just gone gives the permit back, and that takes the lock again.
                    drop(waiter.send(Permit { budget: self.clone(), lane, admitted: now }));
                }
                wait => return Some(wait),
            }
        }
    }
}

impl State {
    /// Without any claim the limit stays as it was: nobody uses it.
    fn heed_claims(&mut self) {
        if let Some(smallest) = self.claims.values().min() {
            self.window.set_limit(Instant::now(), *smallest);
        }
    }
}

/// What one user of a client says of its limit. Dropped, it counts no longer.
#[derive(Debug)]
pub struct LimitClaim {
    budget: Arc<Budget>,
    number: u64,
}

impl Drop for LimitClaim {
    fn drop(&mut self) {
        let mut state = self.budget.state();
        state.claims.remove(&self.number);
        state.heed_claims();
        drop(state);
        self.budget.changed.notify_one();
    }
}

/// The right to make one request.
#[derive(Debug)]
#[must_use = "a permit that is dropped counts as a finished request"]
pub struct Permit {
    budget: Arc<Budget>,
    lane: Lane,
    admitted: Instant,
}

impl Permit {
    /// The API answered the request with 429, and wants to be left alone for so long: others use this client too. As for
    /// [`Budget::pause`], and fewer requests go for some minutes after it.
    pub fn refused(&self, length: Duration) {
        let now = Instant::now();
        self.budget.state().window.refused(self.admitted, now, now + length.min(MAX_RETRY_AFTER));
        self.budget.changed.notify_one();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.state().window.finish(Instant::now(), self.lane);
        self.budget.changed.notify_one();
    }
}

/// Takes an entry out of the queue when its future ends, however it ends.
struct Leave<'a> {
    budget: &'a Budget,
    place: Place,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.budget.state().queue.leave(&self.place);
        self.budget.changed.notify_one();
    }
}

/// The budgets of a process, one for each client of an API.
#[derive(Debug, Default)]
pub struct Budgets {
    shared: Mutex<HashMap<ClientFingerprint, Arc<Budget>>>,
}

impl Budgets {
    /// The budget that everything with this fingerprint shares. It starts with the typical limit; whoever has been granted a
    /// token has a say in it.
    pub fn shared(&self, client: ClientFingerprint) -> Arc<Budget> {
        let mut shared = self.shared.lock();
        shared
            .retain(|fingerprint, budget| *fingerprint == client || Arc::strong_count(budget) > 1 || !budget.is_idle());
        shared.entry(client).or_insert_with(|| Budget::new(TYPICAL_LIMIT)).clone()
    }

    /// How each budget stands. There are as many as clients, so whoever gives them labels sums them up first.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading> {
        let budgets: Vec<_> = self.shared.lock().values().map(Arc::clone).collect();
        budgets.iter().map(|budget| budget.reading()).collect()
    }
}

#[cfg(test)]
mod tests;
