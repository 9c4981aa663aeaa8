//! One run of a fleet: from an empty API server to the results.

use crate::Failure;
use crate::figures::{Evidence, Figures, last_begins};
use crate::fleet::{Ended, Fleet, People, Policy};
use crate::kubernetes::Asked;
use crate::measured::Measured;
use crate::operator::{Place, Running};
use crate::plan::{Course, MINUTE, Plan};
use crate::platform::Platform;
use crate::rollouts::{Rollout, told_by};
use crate::stage::Stage;
use crate::time::Time;
use simulator::{RequestFilter, World};
use std::ops::Range;
use std::time::{Duration, Instant};

/// How many violations are printed.
const OFFENCES_SHOWN: usize = 5;
/// The seed of all random delays of a run.
const SEED: u64 = 7;

/// Runs the plan.
///
/// # Errors
/// If the platform, the operator or the API server fails.
pub async fn measure(stage: &Stage, plan: &Plan) -> Result<Measured, Failure> {
    let began = Instant::now();
    let time = Time::new();
    let fleet = Fleet::of(plan.size);
    let bad = fleet.members.iter().filter(|member| member.is_bad).map(|member| member.environment.as_str());
    let platform = Platform::open(&time, plan.manners.scenario(bad)?).await?;
    let client = stage.client(&time).await?;
    fleet.make(&client, &platform.url, Policy { timeout_seconds: plan.timeout_seconds }).await?;
    let place = Place { kubeconfig: stage.kubeconfig(), time: time.clone(), epoch: platform.epoch, seed: SEED };
    let running = plan.kind.start(&place).await?;
    time.start()?;
    let people = People::new(client, time.clone());
    let passed = go_through(plan, &people, &time, &running).await;
    let virtual_time = time.now();
    time.end();
    let passed = passed?;
    let (figures, offences) =
        platform.handle.with(|world| (figures(plan, &fleet, world, &platform, &passed), offences(world)));
    Ok(Measured { figures, ended: passed.ended, virtual_time, real_time: began.elapsed(), offences })
}

/// The resources that a run used, and how it ended.
struct Passed {
    /// How it ended; `None` if it was stopped.
    ended: Option<Ended>,
    /// The time in which `asked` and `processor` were counted.
    counted: Range<Duration>,
    asked: Asked,
    processor: Duration,
}

async fn go_through(plan: &Plan, people: &People, time: &Time, running: &Running) -> Result<Passed, Failure> {
    let (ended, before) = match plan.course {
        Course::Busy { warm_up, measured } => {
            let course = async {
                time.reach(warm_up).await;
                let before = Gauge::read(time, running)?;
                time.reach(warm_up + measured).await;
                Ok::<_, Failure>(before)
            };
            tokio::select! {
                before = course => (None, before?),
                failure = people.keep_busy() => return Err(failure),
            }
        }
        Course::Once { give_up, .. } => {
            let before = Gauge::read(time, running)?;
            let ended = tokio::select! {
                ended = people.wait_for(plan.size) => Some(ended?),
                () = time.reach(give_up) => None,
            };
            (ended, before)
        }
    };
    let after = Gauge::read(time, running)?;
    Ok(Passed {
        ended,
        counted: before.at..after.at,
        asked: after.asked - before.asked,
        processor: after.processor.saturating_sub(before.processor),
    })
}

/// The counts of an operator at one moment.
struct Gauge {
    at: Duration,
    asked: Asked,
    processor: Duration,
}

impl Gauge {
    fn read(time: &Time, running: &Running) -> Result<Self, Failure> {
        Ok(Self { at: time.now(), asked: running.counter.asked(), processor: running.processor.used()? })
    }
}

fn figures(plan: &Plan, fleet: &Fleet, world: &World, platform: &Platform, passed: &Passed) -> Figures {
    let rollouts = told_by(world, platform.epoch, fleet, Duration::from_secs(plan.manners.job_seconds.into()));
    let (saturated, contended) = busy_times(plan, fleet, &rollouts, passed.counted.end);
    let arrivals: Vec<Duration> = world
        .requests(&RequestFilter::default())
        .filter(|record| record.status != Some(429))
        .map(|record| platform.since_epoch(record.received_at))
        .collect();
    let evidence = Evidence {
        rollouts: &rollouts,
        saturated,
        contended,
        is_over: passed.ended.is_some(),
        traffic: world.traffic().next().map(|(_, traffic)| traffic.clone()).unwrap_or_default(),
        arrivals: &arrivals,
        limit: plan.manners.requests_per_minute,
        counted: passed.counted.clone(),
        asked: passed.asked,
        processor: passed.processor,
        namespaces: fleet.namespaces(),
    };
    evidence.figures()
}

/// The time in which there was more work than the request limit allowed, and the time in which every namespace had
/// rollouts waiting.
fn busy_times(plan: &Plan, fleet: &Fleet, rollouts: &[Rollout], end: Duration) -> (Range<Duration>, Range<Duration>) {
    match plan.course {
        Course::Busy { warm_up, .. } => (warm_up..end, warm_up..end),
        Course::Once { warm_up, .. } => {
            let begins = last_begins(rollouts, fleet.namespaces());
            let until = |last: Option<&Duration>| last.copied().unwrap_or_default().max(warm_up + MINUTE);
            (warm_up..until(begins.last()), warm_up..until(begins.first()))
        }
    }
}

/// The number of violations of the contract, and of jobs that started in an environment that already had one.
fn offences(world: &World) -> usize {
    for violation in world.violations().take(OFFENCES_SHOWN) {
        eprintln!("violation of the contract: {} {:?}: {}", violation.sequence, violation.call, violation.message);
    }
    let overlaps: usize = world.environments().map(|(_, environment)| environment.overlaps().len()).sum();
    world.violations().count() + overlaps
}
