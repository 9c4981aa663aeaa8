//! Admission: which rollouts of one client of the API begin, and which wait for their turn.
//!
//! No more are in flight than the request budget can watch, even at their longest intervals. Of those who wait, a
//! handful at a time is called to begin. Their validations wait in the budget behind everything else, so that a rollout
//! begins when the budget has nothing better to do. Rollbacks, and what is in flight already, never ask.
//!
//! Plain data, driven by the times it is given; the controller carries out what is decided here.

mod place;
mod turns;

#[cfg(test)]
mod tests;

use place::WORTH_TELLING;
pub use place::{Place, Turn};
pub use turns::ResourceName;

use super::pace::{self, Rhythm};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;
use turns::Turns;

/// Of a hundred requests, how many may be spent on watching what is in flight before intervals are stretched.
const WATCHING_PERCENT: f64 = 50.0;
/// Of a hundred requests, how many watching may take at the longest intervals; the others are kept for rollbacks.
const MOST_WATCHING_PERCENT: f64 = 95.0;
/// How many retries that people asked for may go in a row while others wait.
const RETRIES_IN_A_ROW: u32 = 3;
/// A rollout that was called and does not come within this time has lost its turn, and gets another one when it asks.
const COMES_WITHIN: Duration = Duration::from_secs(30);
/// After a restart, how long those who waited before are given to take their places again.
const GATHERING: Duration = Duration::from_secs(2);
/// How many requests a rollout is taken to need before any was seen.
const TYPICAL_REQUESTS: f64 = 7.0;
/// Over how many starts, and how long at most, the rate of starts is measured.
const MEASURED_STARTS: usize = 32;
const MEASURED_OVER: Duration = Duration::from_secs(300);
/// Fewer starts than these say nothing of the rate.
const FEWEST_MEASURED: usize = 4;
/// The least and the most time after which one that waits asks again by itself. It is called when its turn comes, and asks
/// to be told anew when that will be, which sooner would hardly be worth telling; and since a call may be lost.
const ASKS_AGAIN: (Duration, Duration) = (WORTH_TELLING, Duration::from_secs(600));

/// A rollout that asks for its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The resource.
    pub who: ResourceName,
    /// When its attempt began.
    pub since: Timestamp,
    /// Whether a person asked for it by annotation.
    pub is_retry: bool,
    /// How often it will be looked at.
    pub rhythm: Rhythm,
    /// Whether it waited before, under another process.
    pub is_back: bool,
}

/// What a rollout that asked is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It may begin.
    Begin,
    /// It waits.
    Wait {
        /// The place in the queue, from 1.
        place: usize,
        /// How many wait.
        of: usize,
        /// How long it is likely to wait.
        left: Duration,
        /// When to ask again, if it was not called until then.
        ask_again: Duration,
    },
}

/// How many wait, begin and are in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Rollouts that wait for their turn.
    pub waiting: usize,
    /// Rollouts that may begin and whose validation is not answered yet.
    pub starting: usize,
    /// Rollouts between their validation and their end, the watch after a rollback included.
    pub in_flight: usize,
    /// By how much the intervals between looks are stretched, 1 or more.
    pub stretch: f64,
}

/// The rollouts of one client.
#[derive(Debug)]
pub struct Admission {
    /// Requests a minute.
    limit: u32,
    waiting: HashMap<ResourceName, Waiting>,
    retries: Turns,
    others: Turns,
    retries_in_a_row: u32,
    starting: BTreeMap<ResourceName, Starting>,
    in_flight: HashMap<ResourceName, Rhythm>,
    /// How many of those that start or are in flight have which rhythm.
    rhythms: BTreeMap<Rhythm, usize>,
    stretch: f64,
    /// When rollouts began lately, in the time of the process.
    starts: VecDeque<Duration>,
    gathers_until: Option<Duration>,
}

#[derive(Debug)]
struct Waiting {
    since: Timestamp,
    is_retry: bool,
    rhythm: Rhythm,
}

#[derive(Debug)]
struct Starting {
    rhythm: Rhythm,
    called_at: Duration,
    has_come: bool,
}

impl Admission {
    /// Nobody yet, under that many requests a minute.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self {
            limit,
            waiting: HashMap::new(),
            retries: Turns::default(),
            others: Turns::default(),
            retries_in_a_row: 0,
            starting: BTreeMap::new(),
            in_flight: HashMap::new(),
            rhythms: BTreeMap::new(),
            stretch: 1.0,
            starts: VecDeque::new(),
            gathers_until: None,
        }
    }

    /// Changes how many requests a minute are allowed.
    pub fn set_limit(&mut self, limit: u32) {
        if self.limit != limit {
            self.limit = limit;
            self.stretch_anew();
        }
    }

    /// A rollout asks for its turn, at that time of the process.
    pub fn ask(&mut self, ticket: &Ticket, now: Duration) -> Answer {
        // What it had in flight was another attempt.
        if self.in_flight.contains_key(&ticket.who) {
            self.leave(&ticket.who);
        }
        if let Some(starting) = self.starting.get_mut(&ticket.who) {
            starting.has_come = true;
            return Answer::Begin;
        }
        self.wait(ticket, now);
        let place = self.place(ticket);
        let left = self.time_for(place, now);
        let ask_again = match self.gathers_until {
            Some(until) if until > now => until - now,
            _ => (left / 2).clamp(ASKS_AGAIN.0, ASKS_AGAIN.1),
        };
        Answer::Wait { place, of: self.waiting.len(), left, ask_again }
    }

    fn wait(&mut self, ticket: &Ticket, now: Duration) {
        if ticket.is_back && self.gathers_until.is_none() && self.is_new() {
            self.gathers_until = Some(now + GATHERING);
        }
        let waiting = Waiting { since: ticket.since, is_retry: ticket.is_retry, rhythm: ticket.rhythm };
        if let Some(before) = self.waiting.insert(ticket.who.clone(), waiting) {
            if before.since == ticket.since && before.is_retry == ticket.is_retry {
                return;
            }
            self.turns(before.is_retry).leave(&ticket.who, before.since);
        }
        self.turns(ticket.is_retry).join(&ticket.who, ticket.since);
    }

    fn is_new(&self) -> bool {
        self.starts.is_empty() && self.starting.is_empty()
    }

    fn turns(&mut self, is_retry: bool) -> &mut Turns {
        if is_retry { &mut self.retries } else { &mut self.others }
    }

    /// Calls those whose turn it is; each of them is to ask.
    #[must_use]
    pub fn call(&mut self, now: Duration) -> Vec<ResourceName> {
        self.forget_the_late(now);
        let mut called = Vec::new();
        if self.gathers_until.is_some_and(|until| until > now) {
            return called;
        }
        while let Some((who, rhythm)) = self.next() {
            let goes_by_turn = if self.is_a_retrys_turn() { self.retries.take() } else { self.others.take() };
            debug_assert_eq!(goes_by_turn.as_ref(), Some(&who));
            self.retries_in_a_row = if self.waiting.remove(&who).is_some_and(|waiting| waiting.is_retry) {
                self.retries_in_a_row + 1
            } else {
                0
            };
            self.count(rhythm);
            self.starting.insert(who.clone(), Starting { rhythm, called_at: now, has_come: false });
            called.push(who);
        }
        called
    }

    /// The next that may go, if any may.
    fn next(&self) -> Option<(ResourceName, Rhythm)> {
        let who = if self.is_a_retrys_turn() { self.retries.first() } else { self.others.first() }?;
        let rhythm = self.waiting.get(&who)?.rhythm;
        let has_room = self.starting.len() < self.handful();
        (has_room && self.can_be_watched(rhythm)).then_some((who, rhythm))
    }

    fn is_a_retrys_turn(&self) -> bool {
        let others_wait = self.others.len() > 0;
        self.retries.len() > 0 && !(others_wait && self.retries_in_a_row >= RETRIES_IN_A_ROW)
    }

    /// How many may wait for the answer to their validation: enough that the budget is never without one.
    fn handful(&self) -> usize {
        2 + self.limit as usize / 100
    }

    /// Whether one more can be watched at its longest interval. Where there is none, it can.
    fn can_be_watched(&self, rhythm: Rhythm) -> bool {
        let demand: f64 = self.rhythms.iter().map(|(rhythm, count)| looks_a_minute(*rhythm) * *count as f64).sum();
        let room = f64::from(self.limit) * MOST_WATCHING_PERCENT / 100.0;
        self.rhythms.is_empty() || demand + looks_a_minute(rhythm) <= room
    }

    fn forget_the_late(&mut self, now: Duration) {
        let is_late =
            |starting: &Starting| !starting.has_come && now.saturating_sub(starting.called_at) >= COMES_WITHIN;
        let late: Vec<_> =
            self.starting.iter().filter(|(_, starting)| is_late(starting)).map(|(who, _)| who.clone()).collect();
        for who in late {
            self.leave(&who);
        }
    }

    /// Its validation was answered: it has begun.
    pub fn begun(&mut self, who: &ResourceName, now: Duration) {
        let Some(starting) = self.starting.remove(who) else { return };
        self.in_flight.insert(who.clone(), starting.rhythm);
        self.starts.retain(|start| now.saturating_sub(*start) < MEASURED_OVER);
        if self.starts.len() == MEASURED_STARTS {
            self.starts.pop_front();
        }
        self.starts.push_back(now);
        self.stretch_anew();
    }

    /// It is in flight: begun here, or found so after a restart.
    pub fn watch(&mut self, who: &ResourceName, rhythm: Rhythm) {
        if self.in_flight.get(who) == Some(&rhythm) {
            return;
        }
        self.leave(who);
        self.in_flight.insert(who.clone(), rhythm);
        self.count(rhythm);
        self.stretch_anew();
    }

    /// It has ended, or wants nothing any more.
    pub fn leave(&mut self, who: &ResourceName) {
        if let Some(waiting) = self.waiting.remove(who) {
            self.turns(waiting.is_retry).leave(who, waiting.since);
        }
        if let Some(starting) = self.starting.remove(who) {
            self.discount(starting.rhythm);
        }
        if let Some(rhythm) = self.in_flight.remove(who) {
            self.discount(rhythm);
            self.stretch_anew();
        }
    }

    fn count(&mut self, rhythm: Rhythm) {
        *self.rhythms.entry(rhythm).or_default() += 1;
    }

    fn discount(&mut self, rhythm: Rhythm) {
        if let Some(count) = self.rhythms.get_mut(&rhythm) {
            *count -= 1;
            if *count == 0 {
                self.rhythms.remove(&rhythm);
            }
        }
    }

    fn stretch_anew(&mut self) {
        let share = f64::from(self.limit) * WATCHING_PERCENT / 100.0;
        self.stretch = pace::stretch(self.rhythms.iter().map(|(rhythm, count)| (*rhythm, *count)), share);
    }

    /// The place in the queue, from 1.
    fn place(&self, ticket: &Ticket) -> usize {
        let in_a_row = RETRIES_IN_A_ROW as usize;
        let ahead = |turns: &Turns| turns.ahead_of(&ticket.who, ticket.since).unwrap_or_default();
        match ticket.is_retry {
            true => ahead(&self.retries) + (ahead(&self.retries) / in_a_row).min(self.others.len()) + 1,
            false => ahead(&self.others) + ((ahead(&self.others) + 1) * in_a_row).min(self.retries.len()) + 1,
        }
    }

    /// How long it takes until that many have begun, at the rate of late.
    fn time_for(&self, places: usize, now: Duration) -> Duration {
        let lately = self.starts.iter().filter(|start| now.saturating_sub(**start) < MEASURED_OVER);
        let measured = lately.clone().count();
        let each = match lately.min() {
            Some(first) if measured >= FEWEST_MEASURED => {
                now.saturating_sub(*first) / u32::try_from(measured).unwrap_or(1)
            }
            _ => Duration::from_secs_f64(60.0 * TYPICAL_REQUESTS / f64::from(self.limit.max(1))),
        };
        each.saturating_mul(u32::try_from(places).unwrap_or(u32::MAX))
    }

    /// How many wait, begin and are in flight.
    #[must_use]
    pub fn reading(&self) -> Reading {
        Reading {
            waiting: self.waiting.len(),
            starting: self.starting.len(),
            in_flight: self.in_flight.len(),
            stretch: self.stretch,
        }
    }

    /// By how much intervals are stretched, 1 or more.
    #[must_use]
    pub fn stretch(&self) -> f64 {
        self.stretch
    }

    /// The rhythm of what is in flight.
    #[must_use]
    pub fn rhythm(&self, who: &ResourceName) -> Option<Rhythm> {
        self.in_flight.get(who).copied()
    }

    /// Whether there is nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.starting.is_empty() && self.in_flight.is_empty()
    }
}

fn looks_a_minute(rhythm: Rhythm) -> f64 {
    60.0 / rhythm.longest.as_secs_f64().max(0.001)
}
