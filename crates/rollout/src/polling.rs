//! How often a rollout is polled: never more often than its interval says, less often while the request budget is short, and
//! for the first time when its job is likely to have ended.
//!
//! Two rules hold under any load. The polls before the deadline are enough for a verdict. And while an answer was bad or could
//! not be read, the plain interval holds, so that no load delays a bad verdict.

use api::CognigyDeploymentSpec;
use std::time::Duration;

/// The longest time between two polls, in intervals, if the resource does not name one.
const LONGEST_INTERVALS: u32 = 8;

/// What adjusts the polls of one rollout: how busy the request budget is, and how long its job is likely to take. By default
/// the polls are as frequent as the resource says, and nothing is known of the job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PollTuning {
    /// The factor by which the intervals are stretched, 1 or more.
    pub stretch: f64,
    /// How long the job is likely to take, if that is known.
    pub expected: Option<ExpectedDuration>,
}

/// How long a job is likely to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedDuration {
    /// At this age it has usually ended.
    pub end: Duration,
    /// At this age it is almost always still running.
    pub earliest: Duration,
    /// This job is polled once before that age. Without such probes nobody would find out that jobs have become shorter.
    pub is_probe: bool,
}

impl Default for PollTuning {
    fn default() -> Self {
        Self { stretch: 1.0, expected: None }
    }
}

/// The shortest and the longest time between two polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PollInterval {
    /// The shortest time.
    pub shortest: Duration,
    /// The longest time, while the request budget is short. It is never below the shortest.
    pub longest: Duration,
}

impl PollInterval {
    /// The poll interval of a resource. The longest time is what the resource says, or eight intervals, but not more than its
    /// deadline allows.
    #[must_use]
    pub fn of(spec: &CognigyDeploymentSpec) -> Self {
        let shortest = spec.monitoring.interval();
        let named = spec.monitoring.max_interval_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let wanted = named.map_or(shortest * LONGEST_INTERVALS, Duration::from_secs);
        let allowed = spec.rollback_policy.timeout().saturating_sub(time_for_verdict(spec));
        Self { shortest, longest: wanted.min(allowed).max(shortest) }
    }

    /// The same interval, but not shorter than this.
    #[must_use]
    pub fn at_least(self, shortest: Duration) -> Self {
        Self { shortest: self.shortest.max(shortest), longest: self.longest.max(shortest) }
    }

    fn stretched(self, stretch: f64) -> Duration {
        self.shortest.mul_f64(stretch.clamp(1.0, 1e6)).min(self.longest)
    }
}

/// What the time until the next poll depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextPoll {
    /// How often it may be polled.
    pub interval: PollInterval,
    /// The job's age at the last poll that found it running. Zero if there was none.
    pub age: Duration,
    /// The longest time between the last poll and the next one that still leaves time for a verdict.
    pub room: Duration,
}

impl NextPoll {
    /// The time from the last poll to the next poll of the job.
    #[must_use]
    pub fn of_job(self, tuning: PollTuning) -> Duration {
        let stretched = self.interval.stretched(tuning.stretch);
        let wanted = match tuning.expected {
            Some(expected) if self.age.is_zero() => self.first(expected),
            Some(expected) if expected.end > self.age => (expected.end - self.age).min(stretched),
            // The longer the job is overdue, the less likely it is to end just now.
            Some(expected) => ((self.age - expected.end) / 2).max(self.interval.shortest).min(stretched),
            None => (self.age / 2).max(2 * self.interval.shortest).min(stretched),
        };
        self.bounded(wanted)
    }

    /// The time from the last poll to the next poll of health.
    #[must_use]
    pub fn of_health(self, tuning: PollTuning) -> Duration {
        self.bounded(self.interval.stretched(tuning.stretch))
    }

    /// The first poll comes when the job has usually ended, but at most about one interval after the age at which jobs
    /// begin to end.
    fn first(self, expected: ExpectedDuration) -> Duration {
        let end = expected.end.min(expected.earliest + self.interval.shortest + margin(expected.earliest));
        // A probe comes one interval earlier, so that the poll after it comes when the job has usually ended.
        let earlier = end.saturating_sub(self.interval.shortest);
        if expected.is_probe && earlier >= self.interval.shortest { earlier } else { end }
    }

    fn bounded(self, wanted: Duration) -> Duration {
        wanted.min(self.room).max(self.interval.shortest)
    }
}

/// If a job is expected to end at this age, a poll this much later almost always finds it ended.
#[must_use]
pub fn margin(age: Duration) -> Duration {
    Duration::from_secs(1).max(age / 50)
}

/// The reverse of [`margin`]: this age is the returned age plus its margin.
#[must_use]
pub fn before_margin(age: Duration) -> Duration {
    age.saturating_sub(Duration::from_secs(1).max(age / 51))
}

/// The time from the poll that finds the job completed to a verdict, and one interval to spare.
#[must_use]
pub fn time_for_verdict(spec: &CognigyDeploymentSpec) -> Duration {
    let answers = spec.rollback_policy.health_threshold.max(spec.monitoring.success_threshold);
    spec.monitoring.interval().saturating_mul(u32::try_from(answers).unwrap_or(1).saturating_add(1))
}

/// The factor that stretches the intervals so far that all polls take at most `share` requests a minute. The longest
/// intervals limit it. `rollouts` says how many rollouts have each poll interval.
#[must_use]
pub fn stretch(rollouts: impl Iterator<Item = (PollInterval, usize)>, share: f64) -> f64 {
    let mut groups: Vec<Group> = rollouts.map(|(interval, count)| Group::of(interval, count)).collect();
    groups.sort_by(|left, right| left.most.total_cmp(&right.most));
    let mut stretchable: f64 = groups.iter().map(|group| group.plain).sum();
    let mut at_longest = 0.0;
    let mut factor = 1.0;
    for group in &groups {
        let left = share - at_longest;
        factor = if left > 0.0 { stretchable / left } else { f64::INFINITY };
        if factor <= group.most {
            return factor.max(1.0);
        }
        // This group cannot be stretched that far. The others must make up for it.
        stretchable -= group.plain;
        at_longest += group.plain / group.most;
        factor = group.most;
    }
    factor.max(1.0)
}

struct Group {
    /// Polls a minute at the plain interval.
    plain: f64,
    /// The largest factor by which the interval may be stretched.
    most: f64,
}

impl Group {
    fn of(interval: PollInterval, count: usize) -> Self {
        let shortest = interval.shortest.as_secs_f64().max(0.001);
        let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        Self { plain: count * 60.0 / shortest, most: (interval.longest.as_secs_f64() / shortest).max(1.0) }
    }
}
