//! What the rollouts of a run come to.

use crate::kubernetes::Asked;
use crate::rollouts::Rollout;
use serde::Serialize;
use simulator::ClientTraffic;
use std::ops::Range;
use std::time::Duration;

/// What a run came to. Times are seconds of virtual time.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Rollouts that ended in the measured time, by the hour.
    pub rollouts_per_hour: f64,
    /// Requests accepted in the measured time, of what the limit allows: 0 to 1.
    pub window_use: f64,
    /// Requests in all.
    pub requests: u64,
    /// Requests refused with 429.
    pub refused: u64,
    /// The most requests that arrived within any 60 seconds.
    pub most_in_any_minute: usize,
    /// Requests of a good rollout.
    pub good_requests: Spread,
    /// Requests of a bad one.
    pub bad_requests: Spread,
    /// From the end of a job to the first look at it afterwards.
    pub detection: Spread,
    /// From the end of a bad rollout's job to its rollback.
    pub job_to_rollback: Spread,
    /// From the last look at a bad rollout's health to its rollback.
    pub look_to_rollback: Spread,
    /// Rollouts that were rolled back.
    pub rolled_back: usize,
    /// Of these, those that were because there was no verdict in time.
    pub by_deadline: usize,
    /// Rollouts in bad environments that ended without a rollback.
    pub missed: usize,
    /// The most rollouts that were watched at once.
    pub most_in_flight: usize,
    /// Jain's index of the rollouts that the namespaces began, as long as each of them had more waiting.
    pub jain: f64,
    /// Writes of resources and their status for a rollout that ended in the measured time.
    pub writes_per_rollout: f64,
    /// Events for such a rollout.
    pub events_per_rollout: f64,
    /// Milliseconds of the operator's thread for such a rollout; it drives the clock as well.
    pub processor_milliseconds_per_rollout: f64,
}

/// How values spread.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Spread {
    /// How many there are.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// Half of them are at most this.
    pub p50: f64,
    /// 99 in 100 are at most this.
    pub p99: f64,
    /// All of them are.
    pub max: f64,
}

impl Spread {
    /// Of these values.
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let Some(&max) = values.last() else { return Self::default() };
        let at = |part: f64| values[((values.len() as f64 * part).ceil() as usize).clamp(1, values.len()) - 1];
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Self { count: values.len(), mean, p50: at(0.5), p99: at(0.99), max }
    }
}

/// What was measured in a run, before anything is made of it.
pub struct Evidence<'e> {
    /// Every rollout.
    pub rollouts: &'e [Rollout],
    /// When the run was under way and had more to do than it could.
    pub saturated: Range<Duration>,
    /// When every namespace had rollouts waiting.
    pub contended: Range<Duration>,
    /// Whether no rollout was to follow those that ended.
    pub is_over: bool,
    /// What the client sent.
    pub traffic: ClientTraffic,
    /// When each request came.
    pub arrivals: &'e [Duration],
    /// Requests a minute that are allowed.
    pub limit: u32,
    /// When what follows was counted.
    pub counted: Range<Duration>,
    /// What was asked of Kubernetes.
    pub asked: Asked,
    /// The processor time of the operator's thread.
    pub processor: Duration,
    /// How many namespaces there are.
    pub namespaces: usize,
}

impl Evidence<'_> {
    /// What it comes to.
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
            look_to_rollback: Spread::of(
                rolled_back()
                    .filter(|(_, rollback)| !rollback.by_deadline)
                    .filter_map(|(rollout, rollback)| Some(seconds(rollout.last_look?, rollback.at))),
            ),
            rolled_back: rolled_back().count(),
            by_deadline: rolled_back().filter(|(_, rollback)| rollback.by_deadline).count(),
            missed: watched.filter(|rollout| rollout.rollback.is_none()).count(),
            most_in_flight: most_at_once(self.rollouts),
            jain: jain(&self.begun_by_namespace()),
            writes_per_rollout: per(self.asked.writes() as f64, counted),
            events_per_rollout: per(self.asked.events as f64, counted),
            processor_milliseconds_per_rollout: per(self.processor.as_secs_f64() * 1000.0, counted),
        }
    }

    fn begun_by_namespace(&self) -> Vec<f64> {
        let begun = |namespace| {
            let is_one = |rollout: &&Rollout| rollout.namespace == namespace && self.contended.contains(&rollout.began);
            self.rollouts.iter().filter(is_one).count() as f64
        };
        (0..self.namespaces).map(begun).collect()
    }
}

/// When the last rollout of a namespace began, the first such namespace first: until then every namespace had some
/// waiting, in a run that began with all there were.
pub fn last_begins(rollouts: &[Rollout], namespaces: usize) -> Vec<Duration> {
    let last =
        |namespace| rollouts.iter().filter(|rollout| rollout.namespace == namespace).map(|rollout| rollout.began).max();
    let mut last: Vec<Duration> = (0..namespaces).filter_map(last).collect();
    last.sort_unstable();
    last
}

/// Of nothing there is nothing for each.
fn per(amount: f64, count: f64) -> f64 {
    if count == 0.0 { 0.0 } else { amount / count }
}

fn seconds(from: Duration, to: Duration) -> f64 {
    to.saturating_sub(from).as_secs_f64()
}

/// 1 where all have the same, 1/n where one has all (R. Jain, D. Chiu, W. Hawe: DEC-TR-301, 1984).
fn jain(shares: &[f64]) -> f64 {
    let (sum, squares) = (shares.iter().sum::<f64>(), shares.iter().map(|share| share * share).sum::<f64>());
    if squares == 0.0 { 0.0 } else { sum * sum / (shares.len() as f64 * squares) }
}

fn most_at_once(rollouts: &[Rollout]) -> usize {
    let mut steps: Vec<(Duration, i64)> = Vec::new();
    for rollout in rollouts {
        if let (Some(from), Some(until)) = (rollout.submitted, rollout.watched_until()) {
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
