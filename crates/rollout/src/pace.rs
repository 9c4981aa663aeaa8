//! How closely a rollout is looked at: never more often than its interval says, less often while the request budget is
//! short, and first when its job is likely to be done.
//!
//! Whatever the load, two things stand: the looks that are left before the deadline are enough for a verdict, and while
//! an answer was bad or could not be read the plain interval rules, so that no load makes a bad verdict slower.

use super::facts::{Facts, interval, timeout};
use super::memory::Memory;
use api::CognigyDeploymentSpec;
use api::status::{Attempt, Step};
use std::time::Duration;

/// How many intervals two looks may be apart, where the resource names no longest interval of its own.
const LONGEST_INTERVALS: u32 = 8;

/// How closely rollouts may be looked at now, and when this one's job is likely to be done. By default as closely as the
/// resource says, with nothing learned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// By how much the intervals are stretched, 1 or more.
    pub stretch: f64,
    /// When a job like this one usually ends.
    pub usual: Option<Usual>,
}

/// When a job usually ends, as its age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usual {
    /// At this age it has ended.
    pub end: Duration,
    /// At this age it is still running, but for exceptions.
    pub earliest: Duration,
    /// This job is looked at once before that: jobs that have become shorter are not found out otherwise.
    pub is_probe: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self { stretch: 1.0, usual: None }
    }
}

/// The least and the most time between two looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rhythm {
    /// The least time.
    pub interval: Duration,
    /// The most, where the request budget is short; not under the least.
    pub longest: Duration,
}

impl Rhythm {
    /// The rhythm of a resource: its longest interval, or eight intervals, but no longer than its deadline allows.
    #[must_use]
    pub fn of(spec: &CognigyDeploymentSpec) -> Self {
        let interval = interval(spec);
        let named = spec.monitoring.max_interval_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let wanted = named.map_or(interval * LONGEST_INTERVALS, Duration::from_secs);
        let allowed = timeout(spec).saturating_sub(verdict_takes(spec));
        Self { interval, longest: wanted.min(allowed).max(interval) }
    }

    fn stretched(self, stretch: f64) -> Duration {
        self.interval.mul_f64(stretch.clamp(1.0, 1e6)).min(self.longest)
    }
}

/// One look at a job, and what the time until the next depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// How often it may be looked at.
    pub rhythm: Rhythm,
    /// The job's age at that look; zero where there was none yet.
    pub age: Duration,
    /// A look that much later still leaves time for a verdict.
    pub room: Duration,
}

impl Look {
    /// The time until the next look at the job.
    #[must_use]
    pub fn at_job(self, pace: Pace) -> Duration {
        let stretched = self.rhythm.stretched(pace.stretch);
        let wanted = match pace.usual {
            Some(usual) if self.age.is_zero() => self.first(usual),
            Some(usual) if usual.end > self.age => (usual.end - self.age).min(stretched),
            // The longer it is overdue, the less likely it is to end just now.
            Some(usual) => ((self.age - usual.end) / 2).max(self.rhythm.interval).min(stretched),
            None => (self.age / 2).max(2 * self.rhythm.interval).min(stretched),
        };
        self.bounded(wanted)
    }

    /// The time until the next look at health.
    #[must_use]
    pub fn at_health(self, pace: Pace) -> Duration {
        self.bounded(self.rhythm.stretched(pace.stretch))
    }

    /// Not before the job is likely to be done, but soon after it may be.
    fn first(self, usual: Usual) -> Duration {
        let end = usual.end.min(usual.earliest + self.rhythm.interval + margin(usual.earliest));
        // An interval earlier, so that the look after it comes when the job is usually done.
        let earlier = end.saturating_sub(self.rhythm.interval);
        if usual.is_probe && earlier >= self.rhythm.interval { earlier } else { end }
    }

    fn bounded(self, wanted: Duration) -> Duration {
        wanted.min(self.room).max(self.rhythm.interval)
    }
}

/// How much later than an age at which jobs still run a look finds them done for certain, but for the odd one.
#[must_use]
pub fn margin(age: Duration) -> Duration {
    Duration::from_secs(1).max(age / 50)
}

/// The age to which its margin adds up to this one.
#[must_use]
pub fn before_margin(age: Duration) -> Duration {
    age.saturating_sub(Duration::from_secs(1).max(age / 51))
}

/// From the look that finds a job done to a bad verdict, and an interval to spare.
fn verdict_takes(spec: &CognigyDeploymentSpec) -> Duration {
    let answers = spec.rollback_policy.health_threshold.max(spec.monitoring.success_threshold);
    interval(spec).saturating_mul(u32::try_from(answers).unwrap_or(1).saturating_add(1))
}

/// The time until the next look at what the attempt's step watches.
#[must_use]
pub fn due_in(facts: &Facts<'_>, attempt: &Attempt, memory: &Memory) -> Duration {
    let Some(polled_at) = memory.attempt.polled_at else {
        return match attempt.step {
            Step::RollingOut => first_look_after_a_restart(facts, memory),
            _ => Duration::ZERO,
        };
    };
    let gap = match attempt.step {
        _ if memory.attempt.is_in_doubt => facts.interval(),
        Step::RollingOut => look(facts, memory, memory.attempt.running_at_age.unwrap_or_default()).at_job(facts.pace),
        Step::Monitoring if attempt.bad_streak == 0 => look(facts, memory, Duration::ZERO).at_health(facts.pace),
        Step::VerifyingRollback => aftermath(facts, memory).at_health(facts.pace),
        _ => facts.interval(),
    };
    (polled_at + gap).saturating_sub(facts.now.uptime)
}

/// The process that knew when the job was last looked at is gone.
fn first_look_after_a_restart(facts: &Facts<'_>, memory: &Memory) -> Duration {
    facts.interval().saturating_sub(memory.submit_age(facts.now))
}

fn look(facts: &Facts<'_>, memory: &Memory, age: Duration) -> Look {
    let verdict_by = facts.timeout().saturating_sub(verdict_takes(facts.spec));
    let room = verdict_by.saturating_sub(age_at_last_look(facts, memory, memory.submit_age(facts.now)));
    Look { rhythm: Rhythm::of(facts.spec), age, room }
}

/// After a rollback only the end of the watch must not be slept through.
fn aftermath(facts: &Facts<'_>, memory: &Memory) -> Look {
    let age = age_at_last_look(facts, memory, memory.verification_age(facts.now));
    Look { rhythm: Rhythm::of(facts.spec), age, room: facts.timeout().saturating_sub(age) }
}

fn age_at_last_look(facts: &Facts<'_>, memory: &Memory, age_now: Duration) -> Duration {
    let since = memory.attempt.polled_at.map_or(Duration::ZERO, |at| facts.now.uptime.saturating_sub(at));
    age_now.saturating_sub(since)
}

/// By how much intervals are stretched so that looks take no more than `share` requests a minute, as far as the longest
/// intervals allow. Each rhythm comes with how many rollouts have it.
#[must_use]
pub fn stretch(rollouts: impl Iterator<Item = (Rhythm, usize)>, share: f64) -> f64 {
    let mut groups: Vec<Group> = rollouts.map(|(rhythm, count)| Group::of(rhythm, count)).collect();
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
        // These cannot be stretched that far; the others have to make up for them.
        stretchable -= group.plain;
        at_longest += group.plain / group.most;
        factor = group.most;
    }
    factor.max(1.0)
}

struct Group {
    /// Looks a minute at the plain interval.
    plain: f64,
    /// How far the interval may be stretched.
    most: f64,
}

impl Group {
    fn of(rhythm: Rhythm, count: usize) -> Self {
        let interval = rhythm.interval.as_secs_f64().max(0.001);
        let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        Self { plain: count * 60.0 / interval, most: (rhythm.longest.as_secs_f64() / interval).max(1.0) }
    }
}
