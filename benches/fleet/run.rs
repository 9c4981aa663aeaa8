//! One run of a fleet: from an empty API server to the results.

use crate::Failure;
use crate::figures::{Figures, RawMeasurements, last_starts};
use crate::fleet::{Ended, Fleet, Policy, SimulatedUsers};
use crate::kubernetes::RequestCounts;
use crate::measured::{GatedFigures, Measured};
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
    let opens_at = match plan.workload {
        Workload::Gated { opens_at, .. } => platform.epoch.checked_add(opens_at).ok(),
        Workload::Busy { .. } | Workload::Once { .. } => None,
    };
    fleet.make(&client, &platform.url, Policy { timeout_seconds: plan.timeout_seconds, opens_at }).await?;
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
    let gated = usage.closed.zip(opens_at_of(plan)).map(|(closed, opens_at)| {
        platform.handle.with(|world| gated_figures(plan, &fleet, world, &platform, closed, opens_at))
    });
    Ok(Measured { figures, gated, ended: usage.ended, virtual_time, real_time: started_at.elapsed(), violations })
}

/// The resources that a run used, and how it ended.
struct RunUsage {
    /// How it ended; `None` if it was stopped.
    ended: Option<Ended>,
    /// The time in which `counts` and `processor` were counted.
    counted: Range<Duration>,
    counts: RequestCounts,
    processor: Duration,
    /// What the operator used while the window was closed and there was nothing to do.
    closed: Option<ClosedUsage>,
}

/// What an operator used in a stretch of time.
#[derive(Clone)]
struct ClosedUsage {
    time: Range<Duration>,
    counts: RequestCounts,
    processor: Duration,
}

async fn run_workload(
    plan: &Plan,
    users: &SimulatedUsers,
    time: &Time,
    running: &Running,
) -> Result<RunUsage, Failure> {
    let mut closed = None;
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
        Workload::Gated { opens_at, quiet, give_up } => {
            let before = Gauge::read(time, running)?;
            time.reach(opens_at - quiet).await;
            let from = Gauge::read(time, running)?;
            // A second before the window opens.
            time.reach(opens_at - Duration::from_secs(1)).await;
            let to = Gauge::read(time, running)?;
            closed = Some(ClosedUsage {
                time: from.at..to.at,
                counts: to.counts - from.counts,
                processor: to.processor.saturating_sub(from.processor),
            });
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
        closed,
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
        Workload::Gated { opens_at, .. } => (opens_at..end, opens_at..end),
        Workload::Once { warm_up, .. } => {
            let starts = last_starts(rollouts, fleet.namespaces());
            let until = |last: Option<&Duration>| last.copied().unwrap_or_default().max(warm_up + MINUTE);
            (warm_up..until(starts.last()), warm_up..until(starts.first()))
        }
    }
}

fn opens_at_of(plan: &Plan) -> Option<Duration> {
    match plan.workload {
        Workload::Gated { opens_at, .. } => Some(opens_at),
        Workload::Busy { .. } | Workload::Once { .. } => None,
    }
}

fn gated_figures(
    plan: &Plan,
    fleet: &Fleet,
    world: &World,
    platform: &Platform,
    closed: ClosedUsage,
    opens_at: Duration,
) -> GatedFigures {
    let rollouts = rollouts_of(world, platform.epoch, fleet, Duration::from_secs(plan.behaviour.job_seconds.into()));
    let mut starts: Vec<Duration> = rollouts.iter().filter_map(|rollout| rollout.submitted).collect();
    starts.sort();
    let while_closed = world
        .requests(&RequestFilter::default())
        .filter(|record| closed.time.contains(&platform.since_epoch(record.received_at)))
        .count();
    GatedFigures {
        requests_while_closed: while_closed,
        reads_and_writes_while_closed: closed.counts.writes() + closed.counts.events + closed.counts.reads,
        processor_share_while_closed: closed.processor.as_secs_f64()
            / (closed.time.end - closed.time.start).as_secs_f64(),
        started_while_closed: starts.iter().filter(|start| **start < opens_at).count(),
        first_start: starts.first().map(|start| start.saturating_sub(opens_at)),
        last_start: starts.last().map(|start| start.saturating_sub(opens_at)),
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
