//! One run of a fleet: from an empty API server to the results.

use crate::Failure;
use crate::figures::{Figures, RawMeasurements, last_starts};
use crate::fleet::{Ended, Fleet, Policy, SimulatedUsers};
use crate::kubernetes::RequestCounts;
use crate::measured::Measured;
use crate::operator::{Place, Running};
use crate::plan::{MINUTE, Plan, Workload};
use crate::platform::Platform;
use crate::rollouts::{Rollout, rollouts_of};
use crate::stage::Stage;
use crate::time::Time;
use simulator::{RequestFilter, World};
use std::ops::Range;
use std::time::{Duration, Instant};

/// How many violations are printed.
const MAX_VIOLATIONS_SHOWN: usize = 5;
/// The seed of all random delays of a run.
const SEED: u64 = 7;

/// Runs the plan.
///
/// # Errors
/// If the platform, the operator or the API server fails.
pub async fn measure(stage: &Stage, plan: &Plan) -> Result<Measured, Failure> {
    let started_at = Instant::now();
    let time = Time::new();
    let fleet = Fleet::of(plan.size);
    let bad = fleet.members.iter().filter(|member| member.is_bad).map(|member| member.environment.as_str());
    let platform = Platform::open(&time, plan.behaviour.scenario(bad)?).await?;
    let client = stage.client(&time).await?;
    fleet.make(&client, &platform.url, Policy { timeout_seconds: plan.timeout_seconds }).await?;
    let place = Place { kubeconfig: stage.kubeconfig(), time: time.clone(), epoch: platform.epoch, seed: SEED };
    let running = plan.kind.start(&place).await?;
    time.start()?;
    let users = SimulatedUsers::new(client, time.clone());
    let usage = run_workload(plan, &users, &time, &running).await;
    let virtual_time = time.now();
    time.end();
    let usage = usage?;
    let (figures, violations) =
        platform.handle.with(|world| (figures(plan, &fleet, world, &platform, &usage), violations(world)));
    Ok(Measured { figures, ended: usage.ended, virtual_time, real_time: started_at.elapsed(), violations })
}

/// The resources that a run used, and how it ended.
struct RunUsage {
    /// How it ended; `None` if it was stopped.
    ended: Option<Ended>,
    /// The time in which `counts` and `processor` were counted.
    counted: Range<Duration>,
    counts: RequestCounts,
    processor: Duration,
}

async fn run_workload(
    plan: &Plan,
    users: &SimulatedUsers,
    time: &Time,
    running: &Running,
) -> Result<RunUsage, Failure> {
    let (ended, before) = match plan.workload {
        Workload::Busy { warm_up, measured } => {
            let measurement = async {
                time.reach(warm_up).await;
                let before = Gauge::read(time, running)?;
                time.reach(warm_up + measured).await;
                Ok::<_, Failure>(before)
            };
            tokio::select! {
                before = measurement => (None, before?),
                failure = users.keep_busy() => return Err(failure),
            }
        }
        Workload::Once { give_up, .. } => {
            let before = Gauge::read(time, running)?;
            let ended = tokio::select! {
                ended = users.wait_for(plan.size) => Some(ended?),
                () = time.reach(give_up) => None,
            };
            (ended, before)
        }
    };
    let after = Gauge::read(time, running)?;
    Ok(RunUsage {
        ended,
        counted: before.at..after.at,
        counts: after.counts - before.counts,
        processor: after.processor.saturating_sub(before.processor),
    })
}

/// The counts of an operator at one moment.
struct Gauge {
    at: Duration,
    counts: RequestCounts,
    processor: Duration,
}

impl Gauge {
    fn read(time: &Time, running: &Running) -> Result<Self, Failure> {
        Ok(Self { at: time.now(), counts: running.counter.counts(), processor: running.processor.used()? })
    }
}

fn figures(plan: &Plan, fleet: &Fleet, world: &World, platform: &Platform, usage: &RunUsage) -> Figures {
    let rollouts = rollouts_of(world, platform.epoch, fleet, Duration::from_secs(plan.behaviour.job_seconds.into()));
    let (saturated, contended) = busy_times(plan, fleet, &rollouts, usage.counted.end);
    let arrivals: Vec<Duration> = world
        .requests(&RequestFilter::default())
        .filter(|record| record.status != Some(429))
        .map(|record| platform.since_epoch(record.received_at))
        .collect();
    let raw = RawMeasurements {
        rollouts: &rollouts,
        saturated,
        contended,
        is_over: usage.ended.is_some(),
        traffic: world.traffic().next().map(|(_, traffic)| traffic.clone()).unwrap_or_default(),
        arrivals: &arrivals,
        limit: plan.behaviour.requests_per_minute,
        counted: usage.counted.clone(),
        counts: usage.counts,
        processor: usage.processor,
        namespaces: fleet.namespaces(),
    };
    raw.figures()
}

/// The time in which there was more work than the request limit allowed, and the time in which every namespace had
/// rollouts waiting.
fn busy_times(plan: &Plan, fleet: &Fleet, rollouts: &[Rollout], end: Duration) -> (Range<Duration>, Range<Duration>) {
    match plan.workload {
        Workload::Busy { warm_up, .. } => (warm_up..end, warm_up..end),
        Workload::Once { warm_up, .. } => {
            let starts = last_starts(rollouts, fleet.namespaces());
            let until = |last: Option<&Duration>| last.copied().unwrap_or_default().max(warm_up + MINUTE);
            (warm_up..until(starts.last()), warm_up..until(starts.first()))
        }
    }
}

/// The number of violations of the contract, and of jobs that started in an environment that already had one.
fn violations(world: &World) -> usize {
    for violation in world.violations().take(MAX_VIOLATIONS_SHOWN) {
        eprintln!("violation of the contract: {} {:?}: {}", violation.sequence, violation.call, violation.message);
    }
    let overlaps: usize = world.environments().map(|(_, environment)| environment.overlaps().len()).sum();
    world.violations().count() + overlaps
}
