//! How long jobs take. The operator learns it from its polls, so that the first poll of a job is not wasted.
//!
//! A poll only shows that the job was still running at some age, or that it had ended before that age. If jobs always take
//! the same time, each is soon polled only once, about a second after its end.
//!
//! What this brings, measured by `cargo bench --bench fleet -- saturated-150 --quick` (two runs with learning, two without;
//! every job takes 60 seconds, which is the best case): 852 to 864 rollouts an hour instead of 681 to 699, and 33 seconds from
//! the end of a job to its rollback (p50) instead of 39 to 42. docs/performance.md has the table.

use super::polling::{ExpectedDuration, before_margin, margin};
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

/// How many recent ages of each kind are remembered.
const RECENT_AGES: usize = 32;
/// One in this many jobs may end early without an effect on the times of polls.
const EXCEPTIONS: usize = 16;
/// The longest distance between two probes, in jobs. A probe is a job that is polled earlier, to find out whether jobs end
/// before they are polled.
const MAX_PROBE_DISTANCE: u32 = 64;
/// The longest distance between two probes if some jobs take longer: the others may end long before they are polled.
const PROBE_DISTANCE_IF_SLOWER: u32 = 4;
/// How many environments are remembered at most, in each of two generations.
const MAX_ENVIRONMENTS: usize = 2048;

/// What the polls of one job showed, as ages of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobRun {
    /// The last age at which it was seen running.
    pub running: Option<Duration>,
    /// The first age at which it was seen ended.
    pub ended: Duration,
}

/// What was learned about the jobs of one API client. For each environment, only its last job is remembered.
#[derive(Debug)]
pub struct Durations<Environment> {
    /// The age at which the usual job has ended.
    end: Option<Duration>,
    /// Ages at which jobs were seen running, the latest job last.
    running: VecDeque<Duration>,
    /// For each job, an age at which it had not ended. The latest job is last.
    not_ended: VecDeque<Duration>,
    jobs_since_probe: u32,
    /// The distance between two probes, in jobs. It doubles with each probe that was found running.
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
    /// When the job that runs in this environment is likely to have ended. `None` if no job was seen to its end yet.
    #[must_use]
    pub fn expect(&self, environment: &Environment) -> Option<ExpectedDuration> {
        let (end, earliest) = (self.end?, self.earliest()?);
        let is_probe = self.probe.as_ref() == Some(environment);
        let usual = ExpectedDuration { end, earliest, is_probe };
        Some(match self.environments.get(environment) {
            // Jobs in this environment are slower than others.
            Some(JobRun { running: Some(running), ended }) if *running >= end => {
                ExpectedDuration { end: closer(*ended, *running), earliest: *running, is_probe }
            }
            Some(run) => ExpectedDuration { end: end.min(run.ended), ..usual },
            None => usual,
        })
    }

    /// Makes the job in this environment the probe, if a probe is due. The job must not have been polled yet. There is
    /// only one probe at a time. If its end is never seen, another job becomes the probe later.
    pub fn offer_as_probe(&mut self, environment: &Environment) {
        if self.jobs_since_probe >= self.probe_every && self.probe.is_none() {
            self.probe = Some(environment.clone());
        }
    }

    /// Jobs almost never end before this age.
    fn earliest(&self) -> Option<Duration> {
        let mut not_ended: Vec<_> = self.not_ended.iter().copied().collect();
        let index = not_ended.len() / EXCEPTIONS;
        (index < not_ended.len()).then(|| *not_ended.select_nth_unstable(index).1)
    }

    /// Learns from a job that was seen to its end. `interval` is the shortest time between two polls of it.
    pub fn learn(&mut self, environment: &Environment, run: JobRun, interval: Duration) {
        self.jobs_since_probe = self.jobs_since_probe.saturating_add(1);
        let was_probe = self.probe.as_ref() == Some(environment);
        if was_probe || self.jobs_since_probe >= self.probe_every + MAX_PROBE_DISTANCE {
            self.probe = None;
            self.jobs_since_probe = 0;
        }
        let had_ended =
            was_probe && run.running.is_none() && self.end.is_some_and(|end| run.ended + margin(run.ended) < end);
        if had_ended {
            // The probe shows that jobs end before the usual first poll. So the earlier ages say nothing about the end
            // of jobs. The next probe is polled even earlier.
            self.running.clear();
            self.not_ended.clear();
            self.probe_every = 1;
        } else if was_probe {
            self.probe_every = (2 * self.probe_every).min(MAX_PROBE_DISTANCE);
        } else if run.running.is_some() {
            self.probe_every = self.probe_every.min(PROBE_DISTANCE_IF_SLOWER);
        }
        self.end = Some(match (self.end, run.running) {
            _ if had_ended => run.ended,
            (None, None) => self.closer(run.ended),
            (None, Some(_)) => run.ended,
            // The first poll was too early. The age at which this job was seen ended is the new expectation.
            (Some(end), Some(running)) if running >= end => run.ended,
            // The first poll can come earlier, unless this job was an exception that ended early.
            (Some(end), None) if self.earliest().is_none_or(|earliest| run.ended > earliest) => {
                end.min(self.closer(run.ended))
            }
            (Some(end), _) => end,
        });
        if let Some(running) = run.running {
            remember(&mut self.running, running);
        }
        // A job that had ended at the first poll may have ended long before. Assume the earliest possible end; otherwise each
        // poll would make the next one later.
        remember(&mut self.not_ended, run.running.unwrap_or_else(|| before_margin(run.ended.saturating_sub(interval))));
        let before = self.environments.get(environment).and_then(|before| before.running);
        let running = run.running.or(before).filter(|running| *running < run.ended);
        self.environments.put(environment, JobRun { running, ..run });
    }

    /// An age that is probably closer to the real end than `ended`, an age at which a job had ended.
    fn closer(&self, ended: Duration) -> Duration {
        let before = self.running.iter().copied().filter(|running| *running < ended);
        closer(ended, before.max().unwrap_or_default())
    }
}

/// Goes a quarter of the way from an age at which the job had ended to an age at which it was running, but never all the way.
fn closer(ended: Duration, running: Duration) -> Duration {
    (ended - ended.saturating_sub(running) / 4).max(running + margin(running)).min(ended)
}

fn remember(ages: &mut VecDeque<Duration>, age: Duration) {
    if ages.len() == RECENT_AGES {
        ages.pop_front();
    }
    ages.push_back(age);
}

/// A bounded memory. When the young generation is full, it replaces the old generation, which is forgotten.
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
        if self.young.len() >= MAX_ENVIRONMENTS && !self.young.contains_key(environment) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(environment.clone(), run);
    }
}
