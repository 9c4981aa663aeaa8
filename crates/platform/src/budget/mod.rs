//! The request budget. In any sliding minute it sends at most as many requests as the API allows one client. The most
//! important requests go first, and resources of the same priority alternate.
//!
//! `Window` decides when the next request may be sent, and `FairQueue` decides which request it is. Both are plain data.
//! This module connects them to tasks and time. A budget has no task of its own: one waiting task runs the timer for all
//! waiting tasks. When it leaves, another waiting task takes over.

mod allowance;
mod pace;
mod pause;
mod priority;
mod queue;
mod requester;
mod round_robin;
mod usage;
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
use queue::{EntryId, FairQueue, Full};
pub use requester::Requester;
pub use usage::BudgetUsage;
pub use window::WINDOW;
use window::{Lane, Next, Window};

use super::fingerprint::ClientFingerprint;
use super::retry::MAX_RETRY_AFTER;

/// Requests per minute that one client typically has (contract, last section).
pub const TYPICAL_LIMIT: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);

/// The longest time that a request waits in the queue. After that, its caller gets an error and must try again later.
/// This time is longer than a window, so that one full window does not cause the error.
pub const MAX_QUEUE_WAIT: Duration = Duration::from_secs(75);

/// Why the budget did not admit a request. Nothing was sent; the caller tries again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BudgetError {
    /// Too many requests of this priority wait already.
    #[error("too many requests are waiting for the request budget")]
    Full,
    /// The API requested a pause that is longer than a request may wait.
    #[error("the API requested a pause that lasts {} s more", .left.as_secs())]
    Paused {
        /// The remaining time of the pause.
        left: Duration,
    },
    /// The request was not admitted in time.
    #[error("the request budget did not admit the request within {} s", MAX_QUEUE_WAIT.as_secs())]
    Busy,
    /// A request that may not wait came while the budget had no room to spare.
    #[error("the request budget has no room to spare")]
    NoRoom,
    /// Its requester cancelled it while it waited in the queue.
    #[error("the request was cancelled while it waited in the queue")]
    Cancelled,
}

impl BudgetError {
    /// Every value of [`metric_label`](Self::metric_label).
    pub const METRIC_LABELS: [&str; 5] = ["full", "paused", "busy", "no_room", "cancelled"];

    /// The kind of error, as the value of a metric's label.
    #[must_use]
    pub fn metric_label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Paused { .. } => "paused",
            Self::Busy => "busy",
            Self::NoRoom => "no_room",
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
    /// Held by the task that runs the timer.
    timer_lock: tokio::sync::Mutex<()>,
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
    /// Makes a budget of `limit` requests per minute. It spreads the requests carefully in its first minute.
    #[must_use]
    pub fn new(limit: NonZeroU32) -> Arc<Self> {
        let state = State {
            window: Window::new(limit, Instant::now()),
            queue: FairQueue::default(),
            claims: BTreeMap::new(),
            last_claim: 0,
        };
        Arc::new(Self { state: Mutex::new(state), changed: Notify::new(), timer_lock: tokio::sync::Mutex::new(()) })
    }

    /// Waits until a request may be sent. The request counts until a minute after its permit was dropped. Dropping the
    /// future removes the request from the queue. A request that [may not wait](Priority::may_wait) is admitted or
    /// refused at once.
    ///
    /// # Errors
    /// [`BudgetError`] if the request is not admitted within [`MAX_QUEUE_WAIT`], or if it was cancelled.
    pub async fn admit(self: &Arc<Self>, priority: Priority, requester: &Requester) -> Result<Permit, BudgetError> {
        if priority.may_be_cancelled() && requester.is_cancelled() {
            return Err(BudgetError::Cancelled);
        }
        let paused_until = self.state().window.paused_until(Lane::from(priority));
        let left = paused_until.saturating_duration_since(Instant::now());
        if left > MAX_QUEUE_WAIT {
            return Err(BudgetError::Paused { left });
        }
        if !priority.may_wait() {
            return self.admit_if_spare(priority);
        }
        let (sender, receiver) = oneshot::channel();
        let entry = self.state().queue.join(priority, requester, sender).map_err(|Full| BudgetError::Full)?;
        let _leave = LeaveOnDrop { budget: self, entry };
        self.grant();
        self.changed.notify_one();
        let admission = async {
            tokio::select! {
                biased;
                () = requester.cancelled(), if priority.may_be_cancelled() => Err(BudgetError::Cancelled),
                permit = receiver => permit.map_err(|_| BudgetError::Busy),
                never = self.run_timer() => match never {},
            }
        };
        tokio::time::timeout(MAX_QUEUE_WAIT, admission).await.unwrap_or(Err(BudgetError::Busy))
    }

    /// Admits a request if no other request waits, and if rollouts that begin now still have room after it.
    fn admit_if_spare(self: &Arc<Self>, priority: Priority) -> Result<Permit, BudgetError> {
        let (now, lane) = (Instant::now(), Lane::from(priority));
        let mut state = self.state();
        if !state.queue.is_empty() || !state.window.has_spare_place(now, lane) {
            return Err(BudgetError::NoRoom);
        }
        state.window.admit(now, lane);
        drop(state);
        Ok(Permit { budget: self.clone(), lane, admitted: now })
    }

    /// Pauses all requests because the API requested it: rollbacks for at most 10 seconds of each minute, in-flight
    /// requests for at most 2 minutes, all other requests for at most 10 minutes.
    pub fn pause(&self, length: Duration) {
        let now = Instant::now();
        self.state().window.pause(now, now + length.min(MAX_RETRY_AFTER));
        self.changed.notify_one();
    }

    /// Claims that the client may send `limit` requests per minute. The claim counts until it is dropped. If claims differ,
    /// the smallest one counts: a limit that is too low only delays requests, but with a limit that is too high the API
    /// refuses the requests of all users.
    #[must_use = "a dropped claim no longer counts"]
    pub fn claim_limit(self: &Arc<Self>, limit: NonZeroU32) -> LimitClaim {
        let mut state = self.state();
        state.last_claim += 1;
        let number = state.last_claim;
        state.claims.insert(number, limit);
        state.apply_claims();
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
    pub fn count_request_without_permit(&self) {
        let now = Instant::now();
        let mut state = self.state();
        state.window.admit(now, Lane::InFlight);
        state.window.finish(now, Lane::InFlight);
        drop(state);
        self.changed.notify_one();
    }

    /// The current usage of the budget.
    #[must_use]
    pub fn usage(&self) -> BudgetUsage {
        let mut state = self.state();
        let waiting = Priority::ALL.map(|priority| (priority, state.queue.waiting(priority))).into();
        state.window.usage(Instant::now(), waiting)
    }

    fn is_idle(&self) -> bool {
        let mut state = self.state();
        state.queue.is_empty() && state.window.is_idle(Instant::now())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Waits until no other task runs the timer. Then runs it: grants permits as soon as requests may be sent.
    async fn run_timer(self: &Arc<Self>) -> Infallible {
        let _timer = self.timer_lock.lock().await;
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
    /// Sets the limit to the smallest claim. Without a claim, the limit does not change, because there is no user.
    fn apply_claims(&mut self) {
        if let Some(smallest) = self.claims.values().min() {
            self.window.set_limit(Instant::now(), *smallest);
        }
    }
}

/// One user's claim about a client's limit. It counts until it is dropped.
#[derive(Debug)]
pub struct LimitClaim {
    budget: Arc<Budget>,
    number: u64,
}

impl Drop for LimitClaim {
    fn drop(&mut self) {
        let mut state = self.budget.state();
        state.claims.remove(&self.number);
        state.apply_claims();
        drop(state);
        self.budget.changed.notify_one();
    }
}

/// The permission to send one request.
#[derive(Debug)]
#[must_use = "a permit that is dropped counts as a finished request"]
pub struct Permit {
    budget: Arc<Budget>,
    lane: Lane,
    admitted: Instant,
}

impl Permit {
    /// Records that the API answered the request with 429 and requested this pause. In addition to the effect of
    /// [`Budget::pause`], fewer requests are admitted for some minutes afterwards.
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

/// Removes an entry from the queue when it is dropped, so also when the waiting future is dropped.
struct LeaveOnDrop<'a> {
    budget: &'a Budget,
    entry: EntryId,
}

impl Drop for LeaveOnDrop<'_> {
    fn drop(&mut self) {
        self.budget.state().queue.leave(&self.entry);
        self.budget.changed.notify_one();
    }
}

/// The budgets of a process, one for each client of an API.
#[derive(Debug, Default)]
pub struct Budgets {
    shared: Mutex<HashMap<ClientFingerprint, Arc<Budget>>>,
}

impl Budgets {
    /// The budget that all users with this fingerprint share. It starts with the typical limit. A user whose credentials
    /// were accepted may claim another limit.
    pub fn shared(&self, client: ClientFingerprint) -> Arc<Budget> {
        let mut shared = self.shared.lock();
        shared
            .retain(|fingerprint, budget| *fingerprint == client || Arc::strong_count(budget) > 1 || !budget.is_idle());
        shared.entry(client).or_insert_with(|| Budget::new(TYPICAL_LIMIT)).clone()
    }

    /// The usage of each budget. The number of clients is not bounded, so metrics must be sums over all budgets.
    #[must_use]
    pub fn usages(&self) -> Vec<BudgetUsage> {
        let budgets: Vec<_> = self.shared.lock().values().map(Arc::clone).collect();
        budgets.iter().map(|budget| budget.usage()).collect()
    }
}

#[cfg(test)]
mod tests;
