//! Computes the figures of a run from its rollouts.

use crate::kubernetes::RequestCounts;
use crate::rollouts::Rollout;
use serde::Serialize;
use simulator::ClientTraffic;
use std::ops::Range;
use std::time::Duration;

/// The figures of a run. Times are in seconds of virtual time.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Rollouts per hour that ended while the run was saturated.
    pub rollouts_per_hour: f64,
    /// The part of the request limit that accepted requests used while the run was saturated: 0 to 1.
    pub window_use: f64,
    /// The number of all requests.
    pub requests: u64,
    /// Requests refused with 429.
    pub refused: u64,
    /// The most requests that arrived within any 60 seconds.
    pub most_in_any_minute: usize,
    /// Requests of a good rollout.
    pub good_requests: Spread,
    /// Requests of a bad rollout.
    pub bad_requests: Spread,
    /// From the end of a job to the first poll after it.
    pub detection: Spread,
    /// From the end of a bad rollout's job to its rollback.
    pub job_to_rollback: Spread,
    /// From the last health poll of a bad rollout to its rollback.
    pub health_poll_to_rollback: Spread,
    /// Rollouts that were rolled back.
    pub rolled_back: usize,
    /// Rollouts that were rolled back because there was no verdict before the deadline.
    pub by_deadline: usize,
    /// Rollouts in bad environments that ended without a rollback.
    pub missed: usize,
    /// The maximum number of rollouts that were polled at the same time.
    pub most_in_flight: usize,
    /// Jain's fairness index of the rollouts that each namespace started, while every namespace had rollouts waiting.
    pub jain: f64,
    /// Writes of resources and their status, for each rollout that ended while they were counted.
    pub writes_per_rollout: f64,
    /// Events for each such rollout.
    pub events_per_rollout: f64,
    /// Processor time of the operator's thread in milliseconds, for each such rollout. The thread also drives the
    /// clock.
    pub processor_milliseconds_per_rollout: f64,
}

/// The distribution of some values.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Spread {
    /// Their number.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// The median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The maximum.
    pub max: f64,
}

impl Spread {
    /// The distribution of these values.
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let Some(&max) = values.last() else { return Self::default() };
        let at = |part: f64| values[((values.len() as f64 * part).ceil() as usize).clamp(1, values.len()) - 1];
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Self { count: values.len(), mean, p50: at(0.5), p99: at(0.99), max }
    }
}

/// The raw measurements of a run.
pub struct RawMeasurements<'e> {
    /// Every rollout.
    pub rollouts: &'e [Rollout],
    /// The time in which there was more work than the request limit allowed.
    pub saturated: Range<Duration>,
    /// The time in which every namespace had rollouts waiting.
    pub contended: Range<Duration>,
    /// Whether the run is complete, so that no other rollout follows.
    pub is_over: bool,
    /// The requests of the client, as the platform counted them.
    pub traffic: ClientTraffic,
    /// The time of each accepted request.
    pub arrivals: &'e [Duration],
    /// The request limit per minute.
    pub limit: u32,
    /// The time in which `counts` and `processor` were counted.
    pub counted: Range<Duration>,
    /// The requests to the API server.
    pub counts: RequestCounts,
    /// The processor time of the operator's thread.
    pub processor: Duration,
    /// The number of namespaces.
    pub namespaces: usize,
}

impl RawMeasurements<'_> {
    /// Computes the figures.
    pub fn figures(&self) -> Figures {
        let hours = (self.saturated.end - self.saturated.start).as_secs_f64() / 3600.0;
        let ended_in = |time: &Range<Duration>| {
            self.rollouts.iter().filter(|rollout| rollout.audited.is_some_and(|at| time.contains(&at))).count() as f64
        };
        let accepted = self.arrivals.iter().filter(|&at| self.saturated.contains(at)).count() as f64;
        let counted = ended_in(&self.counted);
        let complete = |is_bad| {
            let is_complete = move |rollout: &&Rollout| {
                rollout.is_bad == is_bad && rollout.audited.is_some() && (rollout.is_over || self.is_over)
            };
            Spread::of(self.rollouts.iter().filter(is_complete).map(|rollout| f64::from(rollout.requests)))
        };
        let rolled_back = || self.rollouts.iter().filter_map(|rollout| Some((rollout, rollout.rollback?)));
        let watched = self.rollouts.iter().filter(|rollout| rollout.is_bad && rollout.audited.is_some());
        Figures {
            rollouts_per_hour: ended_in(&self.saturated) / hours,
            window_use: accepted / (hours * 60.0 * f64::from(self.limit)),
            requests: self.traffic.requests,
            refused: self.traffic.refused,
            most_in_any_minute: self.traffic.most_in_any_minute,
            good_requests: complete(false),
            bad_requests: complete(true),
            detection: Spread::of(
                self.rollouts.iter().filter_map(|rollout| Some(seconds(rollout.job_ended?, rollout.noticed?))),
            ),
            job_to_rollback: Spread::of(
                rolled_back().filter_map(|(rollout, rollback)| Some(seconds(rollout.job_ended?, rollback.at))),
            ),
            health_poll_to_rollback: Spread::of(
                rolled_back()
                    .filter(|(_, rollback)| !rollback.by_deadline)
                    .filter_map(|(rollout, rollback)| Some(seconds(rollout.last_health_poll?, rollback.at))),
            ),
            rolled_back: rolled_back().count(),
            by_deadline: rolled_back().filter(|(_, rollback)| rollback.by_deadline).count(),
            missed: watched.filter(|rollout| rollout.rollback.is_none()).count(),
            most_in_flight: most_at_once(self.rollouts),
            jain: jain(&self.begun_by_namespace()),
            writes_per_rollout: per(self.counts.writes() as f64, counted),
            events_per_rollout: per(self.counts.events as f64, counted),
            processor_milliseconds_per_rollout: per(self.processor.as_secs_f64() * 1000.0, counted),
        }
    }

    fn begun_by_namespace(&self) -> Vec<f64> {
        let begun = |namespace| {
            let is_one =
                |rollout: &&Rollout| rollout.namespace == namespace && self.contended.contains(&rollout.started_at);
            self.rollouts.iter().filter(is_one).count() as f64
        };
        (0..self.namespaces).map(begun).collect()
    }
}

/// For each namespace the time at which its last rollout started, in ascending order. In a run that starts with all
/// rollouts, every namespace has rollouts waiting until the first of these times.
pub fn last_starts(rollouts: &[Rollout], namespaces: usize) -> Vec<Duration> {
    let last = |namespace| {
        rollouts.iter().filter(|rollout| rollout.namespace == namespace).map(|rollout| rollout.started_at).max()
    };
    let mut last: Vec<Duration> = (0..namespaces).filter_map(last).collect();
    last.sort_unstable();
    last
}

/// The amount for each one; 0 if the count is 0.
fn per(amount: f64, count: f64) -> f64 {
    if count == 0.0 { 0.0 } else { amount / count }
}

fn seconds(from: Duration, to: Duration) -> f64 {
    to.saturating_sub(from).as_secs_f64()
}

/// Jain's fairness index: 1 if all shares are equal, 1/n if one has everything (R. Jain, D. Chiu, W. Hawe: DEC-TR-301,
/// 1984).
fn jain(shares: &[f64]) -> f64 {
    let (sum, squares) = (shares.iter().sum::<f64>(), shares.iter().map(|share| share * share).sum::<f64>());
    if squares == 0.0 { 0.0 } else { sum * sum / (shares.len() as f64 * squares) }
}

fn most_at_once(rollouts: &[Rollout]) -> usize {
    let mut steps: Vec<(Duration, i64)> = Vec::new();
    for rollout in rollouts {
        if let (Some(from), Some(until)) = (rollout.submitted, rollout.polled_until()) {
            steps.extend([(from, 1), (until, -1)]);
        }
    }
    steps.sort_unstable();
    let at_once = steps.iter().scan(0, |count, (_, step)| {
        *count += step;
        Some(*count)
    });
    usize::try_from(at_once.max().unwrap_or_default()).unwrap_or_default()
}
