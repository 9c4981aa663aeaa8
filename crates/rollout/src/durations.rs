//! How long jobs take, learned from the looks at them, so that the first looks are not wasted.
//!
//! A look tells little: the job was still running at this age, or it had ended by that one. Jobs that always take the
//! same time are soon looked at once each, about a second after their end.

use super::pace::{Usual, before_margin, margin};
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

/// How many ages are remembered of each kind.
const LATELY: usize = 32;
/// One early end in so many is an exception, which is not looked for.
const EXCEPTIONS: usize = 16;
/// One job in so many, at the least, is looked at earlier, to find out whether others end before they are looked at.
const SELDOM: u32 = 64;
/// One in so many, where jobs take longer now and then: others may end much earlier than they are looked at.
const OFTEN: u32 = 4;
/// The most environments remembered in each of two generations.
const MOST_ENVIRONMENTS: usize = 2048;

/// What the looks at one job told, as ages of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobRun {
    /// It was still running when it was last seen so.
    pub running: Option<Duration>,
    /// It had ended.
    pub ended: Duration,
}

/// What was learned of the jobs of one client; of each environment only what its last job told.
#[derive(Debug)]
pub struct Durations<Environment> {
    /// The age at which the usual job has ended.
    end: Option<Duration>,
    /// Ages at which jobs were seen running, the last of them last.
    running: VecDeque<Duration>,
    /// For each job an age at which it had not ended, the last of them last.
    not_ended: VecDeque<Duration>,
    jobs_since_probe: u32,
    /// One job in so many is looked at earlier: each that was still running then makes it half as many.
    probe_every: u32,
    probe: Option<Environment>,
    environments: Generations<Environment>,
}

impl<Environment> Default for Durations<Environment> {
    fn default() -> Self {
        Self {
            end: None,
            running: VecDeque::new(),
            not_ended: VecDeque::new(),
            jobs_since_probe: 0,
            probe_every: 1,
            probe: None,
            environments: Generations::default(),
        }
    }
}

impl<Environment: Clone + Eq + Hash> Durations<Environment> {
    /// When the job that runs in this environment is likely to have ended; nothing where no job was seen to.
    #[must_use]
    pub fn expect(&self, environment: &Environment) -> Option<Usual> {
        let (end, earliest) = (self.end?, self.earliest()?);
        let is_probe = self.probe.as_ref() == Some(environment);
        let usual = Usual { end, earliest, is_probe };
        Some(match self.environments.get(environment) {
            // Slower than others.
            Some(JobRun { running: Some(running), ended }) if *running >= end => {
                Usual { end: closer(*ended, *running), earliest: *running, is_probe }
            }
            Some(run) => Usual { end: end.min(run.ended), ..usual },
            None => usual,
        })
    }

    /// A job that was not looked at yet may be the one that is looked at earlier. There is one at a time; if it is never
    /// heard of, another one's turn comes.
    pub fn offer_as_probe(&mut self, environment: &Environment) {
        if self.jobs_since_probe >= self.probe_every && self.probe.is_none() {
            self.probe = Some(environment.clone());
        }
    }

    /// Jobs do not end before this age, but for exceptions.
    fn earliest(&self) -> Option<Duration> {
        let mut not_ended: Vec<_> = self.not_ended.iter().copied().collect();
        let index = not_ended.len() / EXCEPTIONS;
        (index < not_ended.len()).then(|| *not_ended.select_nth_unstable(index).1)
    }

    /// Learns from a job that was seen to its end, and may be looked at that often.
    pub fn learn(&mut self, environment: &Environment, run: JobRun, interval: Duration) {
        self.jobs_since_probe = self.jobs_since_probe.saturating_add(1);
        let was_probe = self.probe.as_ref() == Some(environment);
        if was_probe || self.jobs_since_probe >= self.probe_every + SELDOM {
            self.probe = None;
            self.jobs_since_probe = 0;
        }
        let had_ended =
            was_probe && run.running.is_none() && self.end.is_some_and(|end| run.ended + margin(run.ended) < end);
        if had_ended {
            // When others are looked at says nothing of when they end. The next probe looks earlier still.
            self.running.clear();
            self.not_ended.clear();
            self.probe_every = 1;
        } else if was_probe {
            self.probe_every = (2 * self.probe_every).min(SELDOM);
        } else if run.running.is_some() {
            self.probe_every = self.probe_every.min(OFTEN);
        }
        self.end = Some(match (self.end, run.running) {
            _ if had_ended => run.ended,
            (None, None) => self.closer(run.ended),
            (None, Some(_)) => run.ended,
            // The look was too early, and this was soon enough.
            (Some(end), Some(running)) if running >= end => run.ended,
            // But for an exception that had ended early, the look can come earlier.
            (Some(end), None) if self.earliest().is_none_or(|earliest| run.ended > earliest) => {
                end.min(self.closer(run.ended))
            }
            (Some(end), _) => end,
        });
        if let Some(running) = run.running {
            remember(&mut self.running, running);
        }
        // One that had ended by the first look may have ended long before. Were it taken to have ended any later than that
        // look allows for, each look would make the next one later.
        remember(&mut self.not_ended, run.running.unwrap_or_else(|| before_margin(run.ended.saturating_sub(interval))));
        let before = self.environments.get(environment).and_then(|before| before.running);
        let running = run.running.or(before).filter(|running| *running < run.ended);
        self.environments.put(environment, JobRun { running, ..run });
    }

    /// Closer to the end of the usual job than a look that found it done.
    fn closer(&self, ended: Duration) -> Duration {
        let before = self.running.iter().copied().filter(|running| *running < ended);
        closer(ended, before.max().unwrap_or_default())
    }
}

/// A quarter of the way from an age at which the job had ended to one at which it was running, but not all the way.
fn closer(ended: Duration, running: Duration) -> Duration {
    (ended - ended.saturating_sub(running) / 4).max(running + margin(running)).min(ended)
}

fn remember(ages: &mut VecDeque<Duration>, age: Duration) {
    if ages.len() == LATELY {
        ages.pop_front();
    }
    ages.push_back(age);
}

/// A bounded memory: where the young generation is full, it becomes the old one, which is forgotten.
#[derive(Debug)]
struct Generations<Environment> {
    young: HashMap<Environment, JobRun>,
    old: HashMap<Environment, JobRun>,
}

impl<Environment> Default for Generations<Environment> {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }
}

impl<Environment: Clone + Eq + Hash> Generations<Environment> {
    fn get(&self, environment: &Environment) -> Option<&JobRun> {
        self.young.get(environment).or_else(|| self.old.get(environment))
    }

    fn put(&mut self, environment: &Environment, run: JobRun) {
        if self.young.len() >= MOST_ENVIRONMENTS && !self.young.contains_key(environment) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(environment.clone(), run);
    }
}
