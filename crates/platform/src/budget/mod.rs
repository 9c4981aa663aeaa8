//! The request budget. In any sliding minute it sends at most as many requests as the API allows one client. The most
//! important requests go first, and resources of the same priority alternate.
//!
//! The decisions are plain data: `Window` decides when (by its places, its `Allowance` and its `Pace`), and `FairQueue`
//! decides which request. This module connects them to tasks and time. A budget has no task of its own: one waiting
//! task runs the timer for all waiters, and passes this job on when it leaves.

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

/// The longest time that a request waits in the queue. After that its caller gets an error and must try again later. It
/// is longer than a window, so that one full window does not cause this error.
pub const PATIENCE: Duration = Duration::from_secs(75);

/// Why a request may not go now or soon. Nothing was sent; the caller tries again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BudgetError {
    /// Too many requests of this priority wait already.
    #[error("too many requests wait for the request budget")]
    Full,
    /// The API asked for a pause that is longer than a request waits.
    #[error("the API asked for a pause of {} s more", .left.as_secs())]
    Paused {
        /// The remaining time of the pause.
        left: Duration,
    },
    /// The request did not leave the queue in time.
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

/// The budget of one client of the API. All users of the client share it.
#[derive(Debug)]
pub struct Budget {
    state: Mutex<State>,
    /// Notified when the task that runs the timer must check again.
    changed: Notify,
    baton: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    window: Window,
    queue: FairQueue<oneshot::Sender<Permit>>,
    /// The limits that the users of the client claim, each under its own number.
    claims: BTreeMap<u64, NonZeroU32>,
    last_claim: u64,
}

impl Budget {
    /// Makes a budget of `limit` requests per minute, which is careful in its first minute.
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

    /// Waits until a request may be sent. The request counts until a minute after its permit was dropped. Dropping the
    /// future removes the request from the queue.
    ///
    /// # Errors
    /// [`BudgetError`] if the request cannot go within [`PATIENCE`], or if it was cancelled.
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

    /// Pauses all requests because the API asked for it: rollbacks for at most 10 seconds of each minute, in-flight
    /// requests for at most 2 minutes, all other requests for at most 10 minutes.
    pub fn pause(&self, length: Duration) {
        let now = Instant::now();
        self.state().window.pause(now, now + length.min(MAX_RETRY_AFTER));
        self.changed.notify_one();
    }

    /// A user of the client claims how many requests per minute the client may send. The claim counts until it is
    /// dropped. If claims differ, the smallest counts: a limit that is too low only delays requests, but if it is too
    /// high the API refuses all users.
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

    /// Requests per minute that the client may send, according to the claims.
    #[must_use]
    pub fn limit(&self) -> NonZeroU32 {
        self.state().window.limit()
    }

    /// Counts a request that was sent without a permit.
    pub fn count_one_more(&self) {
        let now = Instant::now();
        let mut state = self.state();
        state.window.admit(now, Lane::InFlight);
        state.window.finish(now, Lane::InFlight);
        drop(state);
        self.changed.notify_one();
    }

    /// The state of the budget.
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

    /// Waits for the baton; the task that holds it grants permits as soon as requests may go.
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

    /// Grants all permits that may be granted now; then returns when the next one may be granted. `None` if no request
    /// waits.
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
                    // A waiter that has just left returns its permit, which takes the lock again.
                    drop(waiter.send(Permit { budget: self.clone(), lane, admitted: now }));
                }
                wait => return Some(wait),
            }
        }
    }
}

impl State {
    /// If there is no claim, the limit stays as it was, because nobody uses it.
    fn heed_claims(&mut self) {
        if let Some(smallest) = self.claims.values().min() {
            self.window.set_limit(Instant::now(), *smallest);
        }
    }
}

/// One user's claim about a client's limit. A dropped claim no longer counts.
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
    /// The API answered the request with 429 and asks for this pause, because others use the client too. The effect is
    /// that of [`Budget::pause`], and in addition fewer requests are sent for some minutes afterwards.
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

/// Removes an entry from the queue when its future ends, for whatever reason.
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
    /// The budget that all users with this fingerprint share. It starts with the typical limit; each user that was
    /// granted a token may claim another limit.
    pub fn shared(&self, client: ClientFingerprint) -> Arc<Budget> {
        let mut shared = self.shared.lock();
        shared
            .retain(|fingerprint, budget| *fingerprint == client || Arc::strong_count(budget) > 1 || !budget.is_idle());
        shared.entry(client).or_insert_with(|| Budget::new(TYPICAL_LIMIT)).clone()
    }

    /// The state of each budget. There are as many as clients, so the caller sums them up before it exports them with
    /// labels.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading> {
        let budgets: Vec<_> = self.shared.lock().values().map(Arc::clone).collect();
        budgets.iter().map(|budget| budget.reading()).collect()
    }
}

#[cfg(test)]
mod tests;
