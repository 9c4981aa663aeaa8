//! Admission: which rollouts of one API client may start, and which must wait for a slot.
//!
//! At most as many rollouts are in flight as the request budget can poll, even at their longest intervals. A few waiting
//! rollouts at a time get a slot. In the budget, their validations come after all other requests, so that a rollout starts
//! when the budget is free. Rollbacks, and rollouts in flight, need no slot.
//!
//! This is plain data. The caller passes the time, and carries out what is decided here.

mod fair_queue;
mod slot;

#[cfg(test)]
mod tests;

pub use fair_queue::ResourceName;
use slot::NOTICEABLE;
pub use slot::{AdmissionSlot, QueuePosition};

use super::polling::{self, PollInterval};
use api::spec::Monitoring;
use fair_queue::FairQueue;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::num::NonZeroU32;
use std::time::Duration;

/// The percentage of the budget that polling may use before intervals are stretched.
const POLLING_PERCENT: f64 = 50.0;
/// A rollout whose checks were made before it waited at a gate starts without a validation. The budget does not slow it
/// down, so it starts only while intervals are stretched by at most this factor: 1,000 rollouts behind one window would
/// otherwise be watched so slowly that bad ones are rolled back by their deadline.
const MAX_STRETCH_OF_CHECKED: f64 = 1.5;
/// The percentage of the budget that polling may use at the longest intervals. The rest is kept for rollbacks.
const MAX_POLLING_PERCENT: f64 = 95.0;
/// How many retries that people requested may start in a row while others wait.
const RETRIES_IN_A_ROW: u32 = 3;
/// A rollout that does not use its slot within this time loses it. It gets another one when it requests one.
const SLOT_LIFETIME: Duration = Duration::from_secs(30);
/// After a restart, the rollouts that waited before have this much time to take their positions again.
const RESTART_PAUSE: Duration = Duration::from_secs(2);
/// The maximum number of recent starts over which the rate of starts is measured.
const MEASURED_STARTS: usize = 32;
/// The maximum age of these starts.
const MEASURED_OVER: Duration = Duration::from_secs(300);
/// Fewer starts than this tell nothing about the rate.
const MIN_MEASURED: usize = 4;
/// The shortest and the longest time after which a waiting rollout requests a slot again by itself. The rollout is also
/// requeued when it gets a slot. It requests again earlier to refresh the expected start time, and because a requeue
/// may be lost.
const REQUEST_AGAIN_AFTER: (Duration, Duration) = (NOTICEABLE, Duration::from_secs(600));

/// A request for an admission slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotRequest {
    /// The resource.
    pub resource: ResourceName,
    /// When its attempt started.
    pub since: Timestamp,
    /// Whether a person requested it by annotation.
    pub is_retry: bool,
    /// How often it will be polled.
    pub interval: PollInterval,
    /// Whether its checks were made before, so that it sends no validation.
    pub is_checked: bool,
    /// Whether it waited before, in another process of the operator.
    pub waited_before_restart: bool,
}

/// The answer to a request for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It may start.
    Start,
    /// It waits.
    Wait {
        /// The position in the queue, from 1.
        position: usize,
        /// How many wait.
        of: usize,
        /// How long it will probably wait.
        left: Duration,
        /// When to request a slot again, unless it was requeued before.
        request_again_after: Duration,
    },
}

/// How many rollouts wait, start and are in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AdmissionCounts {
    /// Rollouts that wait for a slot.
    pub waiting: usize,
    /// Rollouts that have a slot, and whose validation is not answered yet.
    pub starting: usize,
    /// Rollouts between their validation and their end, including the verification after a rollback.
    pub in_flight: usize,
    /// The factor by which poll intervals are stretched, 1 or more.
    pub stretch: f64,
}

/// What the platform says about the requests of one API client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRates {
    /// How many requests are allowed in a minute.
    pub per_minute: NonZeroU32,
    /// How many requests a rollout usually needs.
    pub per_rollout: NonZeroU32,
}

impl RequestRates {
    /// The time between two starts if the rollouts use the whole budget.
    fn time_between_starts(self) -> Duration {
        Duration::from_secs(60) * self.per_rollout.get() / self.per_minute.get()
    }
}

/// The rollouts of one API client.
#[derive(Debug)]
pub struct Admission {
    rates: RequestRates,
    waiting: HashMap<ResourceName, Waiting>,
    retries: FairQueue,
    others: FairQueue,
    retries_in_a_row: u32,
    starting: BTreeMap<ResourceName, Starting>,
    in_flight: HashMap<ResourceName, PollInterval>,
    /// For each poll interval, how many rollouts that start or are in flight have it.
    intervals: BTreeMap<PollInterval, usize>,
    stretch: f64,
    /// The uptimes at which the last rollouts started.
    starts: VecDeque<Duration>,
    pauses_until: Option<Duration>,
}

#[derive(Debug)]
struct Waiting {
    since: Timestamp,
    is_retry: bool,
    is_checked: bool,
    interval: PollInterval,
}

#[derive(Debug)]
struct Starting {
    interval: PollInterval,
    granted_at: Duration,
    is_used: bool,
}

impl Admission {
    /// No rollouts yet.
    #[must_use]
    pub fn new(rates: RequestRates) -> Self {
        Self {
            rates,
            waiting: HashMap::new(),
            retries: FairQueue::default(),
            others: FairQueue::default(),
            retries_in_a_row: 0,
            starting: BTreeMap::new(),
            in_flight: HashMap::new(),
            intervals: BTreeMap::new(),
            stretch: 1.0,
            starts: VecDeque::new(),
            pauses_until: None,
        }
    }

    /// Changes how many requests are allowed and needed.
    pub fn set_rates(&mut self, rates: RequestRates) {
        if self.rates != rates {
            self.rates = rates;
            self.update_stretch();
        }
    }

    /// A rollout requests a slot at this uptime.
    pub fn request_slot(&mut self, request: &SlotRequest, now: Duration) -> Answer {
        // The rollout in flight was an earlier attempt of this resource. It has ended.
        if self.in_flight.contains_key(&request.resource) {
            self.leave(&request.resource);
        }
        if let Some(starting) = self.starting.get_mut(&request.resource) {
            starting.is_used = true;
            return Answer::Start;
        }
        self.wait(request, now);
        let position = self.position(request);
        let left = self.time_for(position, now);
        let request_again_after = match self.pauses_until {
            Some(until) if until > now => until - now,
            _ => (left / 2).clamp(REQUEST_AGAIN_AFTER.0, REQUEST_AGAIN_AFTER.1),
        };
        Answer::Wait { position, of: self.waiting.len(), left, request_again_after }
    }

    fn wait(&mut self, request: &SlotRequest, now: Duration) {
        if request.waited_before_restart && self.pauses_until.is_none() && self.is_new() {
            self.pauses_until = Some(now + RESTART_PAUSE);
        }
        let waiting = Waiting {
            since: request.since,
            is_retry: request.is_retry,
            is_checked: request.is_checked,
            interval: request.interval,
        };
        if let Some(before) = self.waiting.insert(request.resource.clone(), waiting) {
            if before.since == request.since && before.is_retry == request.is_retry {
                return;
            }
            self.queue_of(before.is_retry).leave(&request.resource, before.since);
        }
        self.queue_of(request.is_retry).join(&request.resource, request.since);
    }

    fn is_new(&self) -> bool {
        self.starts.is_empty() && self.starting.is_empty()
    }

    fn queue_of(&mut self, is_retry: bool) -> &mut FairQueue {
        if is_retry { &mut self.retries } else { &mut self.others }
    }

    /// Gives free slots to waiting rollouts. The caller requeues the returned resources, which then request a slot again.
    #[must_use]
    pub fn grant_slots(&mut self, now: Duration) -> Vec<ResourceName> {
        self.drop_unused_slots(now);
        let mut granted = Vec::new();
        if self.pauses_until.is_some_and(|until| until > now) {
            return granted;
        }
        while let Some((resource, interval)) = self.next() {
            let removed = if self.is_retry_next() { self.retries.take() } else { self.others.take() };
            debug_assert_eq!(removed.as_ref(), Some(&resource));
            self.retries_in_a_row = if self.waiting.remove(&resource).is_some_and(|waiting| waiting.is_retry) {
                self.retries_in_a_row + 1
            } else {
                0
            };
            self.count(interval);
            self.starting.insert(resource.clone(), Starting { interval, granted_at: now, is_used: false });
            granted.push(resource);
        }
        granted
    }

    /// The next rollout that may start, if any.
    fn next(&self) -> Option<(ResourceName, PollInterval)> {
        let resource = if self.is_retry_next() { self.retries.first() } else { self.others.first() }?;
        let waiting = self.waiting.get(&resource)?;
        let interval = waiting.interval;
        let has_room = self.starting.len() < self.max_starting();
        let is_watched_closely = !waiting.is_checked || self.common_stretch_with(interval) <= MAX_STRETCH_OF_CHECKED;
        (has_room && is_watched_closely && self.can_be_polled(interval)).then_some((resource, interval))
    }

    /// The stretch with one more rollout, if nobody polled more often than by default: a few rollouts that want to be
    /// polled every second must not hold up those of others. The first one is never stretched.
    fn common_stretch_with(&self, interval: PollInterval) -> f64 {
        if self.intervals.is_empty() {
            return 1.0;
        }
        let shortest = Monitoring::default().interval();
        let all = self.in_flight_by_interval().chain([(interval, 1)]);
        polling::stretch(all.map(|(interval, count)| (interval.at_least(shortest), count)), self.polling_share())
    }

    /// How many rollouts in flight have each poll interval.
    fn in_flight_by_interval(&self) -> impl Iterator<Item = (PollInterval, usize)> {
        self.intervals.iter().map(|(interval, count)| (*interval, *count))
    }

    /// How many polls a minute are sent before intervals are stretched.
    fn polling_share(&self) -> f64 {
        f64::from(self.limit()) * POLLING_PERCENT / 100.0
    }

    fn is_retry_next(&self) -> bool {
        let others_wait = self.others.len() > 0;
        self.retries.len() > 0 && !(others_wait && self.retries_in_a_row >= RETRIES_IN_A_ROW)
    }

    fn limit(&self) -> u32 {
        self.rates.per_minute.get()
    }

    /// How many rollouts may wait for the answer to their validation. It is enough to keep the budget busy.
    fn max_starting(&self) -> usize {
        2 + self.limit() as usize / 100
    }

    /// Whether one more rollout can be polled at its longest interval. The first one always can.
    fn can_be_polled(&self, interval: PollInterval) -> bool {
        let demand: f64 =
            self.intervals.iter().map(|(interval, count)| polls_a_minute(*interval) * *count as f64).sum();
        let room = f64::from(self.limit()) * MAX_POLLING_PERCENT / 100.0;
        self.intervals.is_empty() || demand + polls_a_minute(interval) <= room
    }

    fn drop_unused_slots(&mut self, now: Duration) {
        let is_late =
            |starting: &Starting| !starting.is_used && now.saturating_sub(starting.granted_at) >= SLOT_LIFETIME;
        let late: Vec<_> = self
            .starting
            .iter()
            .filter(|(_, starting)| is_late(starting))
            .map(|(resource, _)| resource.clone())
            .collect();
        for resource in late {
            self.leave(&resource);
        }
    }

    /// Its validation was answered, so that it has started.
    pub fn note_started(&mut self, resource: &ResourceName, now: Duration) {
        let Some(starting) = self.starting.remove(resource) else { return };
        self.in_flight.insert(resource.clone(), starting.interval);
        self.starts.retain(|start| now.saturating_sub(*start) < MEASURED_OVER);
        if self.starts.len() == MEASURED_STARTS {
            self.starts.pop_front();
        }
        self.starts.push_back(now);
        self.update_stretch();
    }

    /// It is in flight. It started in this process, or was found in flight after a restart.
    pub fn note_in_flight(&mut self, resource: &ResourceName, interval: PollInterval) {
        if self.in_flight.get(resource) == Some(&interval) {
            return;
        }
        self.leave(resource);
        self.in_flight.insert(resource.clone(), interval);
        self.count(interval);
        self.update_stretch();
    }

    /// It has ended, or needs no slot any more.
    pub fn leave(&mut self, resource: &ResourceName) {
        if let Some(waiting) = self.waiting.remove(resource) {
            self.queue_of(waiting.is_retry).leave(resource, waiting.since);
        }
        if let Some(starting) = self.starting.remove(resource) {
            self.discount(starting.interval);
        }
        if let Some(interval) = self.in_flight.remove(resource) {
            self.discount(interval);
            self.update_stretch();
        }
    }

    fn count(&mut self, interval: PollInterval) {
        *self.intervals.entry(interval).or_default() += 1;
    }

    fn discount(&mut self, interval: PollInterval) {
        if let Some(count) = self.intervals.get_mut(&interval) {
            *count -= 1;
            if *count == 0 {
                self.intervals.remove(&interval);
            }
        }
    }

    fn update_stretch(&mut self) {
        self.stretch = polling::stretch(self.in_flight_by_interval(), self.polling_share());
    }

    /// The position in the queue, from 1.
    fn position(&self, request: &SlotRequest) -> usize {
        let in_a_row = RETRIES_IN_A_ROW as usize;
        let ahead = |queue: &FairQueue| queue.ahead_of(&request.resource, request.since).unwrap_or_default();
        match request.is_retry {
            true => ahead(&self.retries) + (ahead(&self.retries) / in_a_row).min(self.others.len()) + 1,
            false => ahead(&self.others) + ((ahead(&self.others) + 1) * in_a_row).min(self.retries.len()) + 1,
        }
    }

    /// The expected time until `places` rollouts have started, at the recent rate of starts. If there are too few
    /// recent starts, the rate follows from the request rates of the platform.
    fn time_for(&self, places: usize, now: Duration) -> Duration {
        let lately = self.starts.iter().filter(|start| now.saturating_sub(**start) < MEASURED_OVER);
        let measured = lately.clone().count();
        let each = match lately.min() {
            Some(first) if measured >= MIN_MEASURED => {
                now.saturating_sub(*first) / u32::try_from(measured).unwrap_or(1)
            }
            _ => self.rates.time_between_starts(),
        };
        each.saturating_mul(u32::try_from(places).unwrap_or(u32::MAX))
    }

    /// How many rollouts wait, start and are in flight.
    #[must_use]
    pub fn counts(&self) -> AdmissionCounts {
        AdmissionCounts {
            waiting: self.waiting.len(),
            starting: self.starting.len(),
            in_flight: self.in_flight.len(),
            stretch: self.stretch,
        }
    }

    /// The factor by which poll intervals are stretched, 1 or more.
    #[must_use]
    pub fn stretch(&self) -> f64 {
        self.stretch
    }

    /// The poll interval of a rollout in flight.
    #[must_use]
    pub fn interval(&self, resource: &ResourceName) -> Option<PollInterval> {
        self.in_flight.get(resource).copied()
    }

    /// Whether there is no rollout.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.starting.is_empty() && self.in_flight.is_empty()
    }
}

fn polls_a_minute(interval: PollInterval) -> f64 {
    60.0 / interval.longest.as_secs_f64().max(0.001)
}
