//! One run of a fleet: what it is like, and what it came to.

use crate::Failure;
use crate::figures::{Evidence, Figures, last_begins};
use crate::fleet::{Ended, Fleet, People, Policy};
use crate::operator::{Kind, Place, Running};
use crate::platform::{Manners, Platform};
use crate::report::Line;
use crate::report::Target::{self, AtLeast, AtMost};
use crate::rollouts::told_by;
use crate::stage::Stage;
use crate::time::Time;
use cognigy_operator::simulator::RequestFilter;
use std::time::{Duration, Instant};

/// One run of a fleet.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Names it in reports and files.
    pub name: &'static str,
    /// Which operator works.
    pub kind: Kind,
    /// How many resources there are.
    pub size: usize,
    /// What the platform is like.
    pub manners: Manners,
    /// Seconds to a verdict.
    pub timeout_seconds: u32,
    /// What the resources go through.
    pub course: Course,
}

/// What the resources of a run go through.
#[derive(Clone, Copy, Debug)]
pub enum Course {
    /// Another rollout whenever one has ended, so that the fleet is never done.
    Busy {
        /// How long before anything counts.
        warm_up: Duration,
        /// How long it goes on after that.
        measured: Duration,
    },
    /// One rollout each, all asked for before the operator starts.
    Once {
        /// How long before throughput counts.
        warm_up: Duration,
        /// By when all must have ended.
        give_up: Duration,
    },
}

/// What was measured.
pub struct Measured {
    /// What the rollouts come to.
    pub figures: Figures,
    /// How many resources came to rest, and when the last one did, in a run that ends.
    pub ended: Option<Ended>,
    /// Virtual time that passed.
    pub virtual_time: Duration,
    /// Real time that passed.
    pub real_time: Duration,
    /// What the platform found to be against the contract, or one job too many in an environment.
    pub offences: usize,
}

/// How many offences are told one by one.
const OFFENCES_SHOWN: usize = 5;
/// 95 % of the 886 rollouts an hour that a well-tuned ordinary operator makes of 100 requests a minute.
const ROLLOUTS_AN_HOUR: f64 = 841.0;

const MINUTE: Duration = Duration::from_secs(60);

impl Plan {
    /// Every run that can be made; quick ones are not for the record.
    pub fn all(is_quick: bool) -> Vec<Self> {
        let shorter = |length: Duration| if is_quick { length / 6 } else { length };
        let saturated = Self {
            name: "saturated-150",
            kind: Kind::Cognigy,
            size: 150,
            manners: Manners { job_seconds: 60, requests_per_minute: 100 },
            timeout_seconds: 300,
            course: Course::Busy { warm_up: 10 * MINUTE, measured: shorter(120 * MINUTE) },
        };
        let once = |minutes: u32| Course::Once { warm_up: 5 * MINUTE, give_up: minutes * MINUTE };
        vec![
            saturated.clone(),
            Self {
                name: "ordinary-150",
                kind: Kind::Ordinary,
                course: Course::Busy { warm_up: 10 * MINUTE, measured: shorter(60 * MINUTE) },
                ..saturated.clone()
            },
            Self { name: "saturated-1000", size: 1000, course: once(200), ..saturated.clone() },
            Self {
                name: "in-flight",
                size: 200,
                manners: Manners { job_seconds: 600, requests_per_minute: 100 },
                timeout_seconds: 1200,
                course: once(200),
                ..saturated
            },
        ]
    }
}

/// Makes the run.
///
/// # Errors
/// Where something that it needs does not work.
pub async fn measure(stage: &Stage, plan: &Plan) -> Result<Measured, Failure> {
    let began = Instant::now();
    let time = Time::new();
    let fleet = Fleet::of(plan.size);
    let bad = fleet.members.iter().filter(|member| member.is_bad).map(|member| member.environment.as_str());
    let platform = Platform::open(&time, plan.manners.scenario(bad)?).await?;
    let client = stage.client(&time).await?;
    fleet.make(&client, &platform.url, Policy { timeout_seconds: plan.timeout_seconds }).await?;
    let place = Place { kubeconfig: stage.kubeconfig(), time: time.clone(), epoch: platform.epoch, seed: 7 };
    let running = plan.kind.start(&place).await?;
    time.start()?;
    let people = People::new(client, time.clone());
    let course = go_through(plan.course, &people, &time, &running, fleet.members.len()).await;
    let virtual_time = time.now();
    time.end();
    let Taken { ended, counts } = course?;
    let counted = counts;
    let figures = platform.handle.with(|world| {
        let rollouts = told_by(world, platform.epoch, &fleet, Duration::from_secs(plan.manners.job_seconds.into()));
        let namespaces = fleet.members.iter().map(|member| member.namespace + 1).max().unwrap_or_default();
        let begins = last_begins(&rollouts, namespaces);
        let (saturated, contended) = match plan.course {
            Course::Busy { warm_up, .. } => (warm_up..virtual_time, warm_up..virtual_time),
            Course::Once { warm_up, .. } => {
                let [first, last] = [begins.first(), begins.last()].map(|at| at.copied().unwrap_or_default());
                (warm_up..last.max(warm_up + MINUTE), warm_up..first.max(warm_up + MINUTE))
            }
        };
        let arrivals: Vec<Duration> = world
            .requests(&RequestFilter::default())
            .filter(|record| record.status != Some(429))
            .map(|record| Duration::try_from(record.received_at.duration_since(platform.epoch)).unwrap_or_default())
            .collect();
        let evidence = Evidence {
            rollouts: &rollouts,
            saturated,
            contended,
            is_over: ended.is_some_and(|ended| ended.resources == fleet.members.len()),
            traffic: world.traffic().next().map(|(_, traffic)| traffic.clone()).unwrap_or_default(),
            arrivals: &arrivals,
            limit: plan.manners.requests_per_minute,
            counted: counted.from..virtual_time,
            asked: running.counter.asked() - counted.asked,
            processor: counted.processor,
            namespaces,
        };
        evidence.figures()
    });
    let offences = platform.handle.with(|world| {
        for violation in world.violations().take(OFFENCES_SHOWN) {
            eprintln!("against the contract: {} {:?}: {}", violation.sequence, violation.call, violation.message);
        }
        let overlaps: usize = world.environments().map(|(_, environment)| environment.overlaps().len()).sum();
        world.violations().count() + overlaps
    });
    Ok(Measured { figures, ended, virtual_time, real_time: began.elapsed(), offences })
}

struct Taken {
    ended: Option<Ended>,
    counts: Counts,
}

/// What had been used when counting began, and the processor time since then.
struct Counts {
    from: Duration,
    asked: crate::kubernetes::Asked,
    processor: Duration,
}

async fn go_through(
    course: Course,
    people: &People,
    time: &Time,
    running: &Running,
    size: usize,
) -> Result<Taken, Failure> {
    match course {
        Course::Busy { warm_up, measured } => {
            let until = async {
                time.reach(warm_up).await;
                let (from, asked, before) = (time.now(), running.counter.asked(), running.processor.used()?);
                time.reach(warm_up + measured).await;
                let processor = running.processor.used()?.saturating_sub(before);
                Ok::<_, Failure>(Counts { from, asked, processor })
            };
            tokio::select! {
                counts = until => Ok(Taken { ended: None, counts: counts? }),
                ended = people.keep_busy() => Ok(Taken { ended: Some(ended?), counts: Counts::none() }),
            }
        }
        Course::Once { give_up, .. } => {
            let before = running.processor.used()?;
            let ended = tokio::select! {
                ended = people.wait_for(size) => Some(ended?),
                () = time.reach(give_up) => None,
            };
            let processor = running.processor.used()?.saturating_sub(before);
            Ok(Taken { ended, counts: Counts { processor, ..Counts::none() } })
        }
    }
}

impl Counts {
    fn none() -> Self {
        Self { from: Duration::ZERO, asked: crate::kubernetes::Asked::default(), processor: Duration::ZERO }
    }
}

impl Measured {
    /// What kind of a run it was.
    pub fn heading(&self, plan: &Plan) -> String {
        let [virtual_minutes, real_minutes] =
            [self.virtual_time, self.real_time].map(|length| length.as_secs_f64() / 60.0);
        format!(
            "{} resources, {virtual_minutes:.0} min in {real_minutes:.0} min of real time ({:.0} times as fast)",
            plan.size,
            virtual_minutes / real_minutes
        )
    }

    /// Each figure. What an ordinary operator reaches is only told.
    pub fn lines(&self, plan: &Plan) -> Vec<Line> {
        let figures = &self.figures;
        let is_ours = plan.kind == Kind::Cognigy;
        let ours = |target| if is_ours { target } else { Target::None };
        // What is to be reached is said for jobs of a minute; longer ones are for how many can be watched.
        let is_short = plan.manners.job_seconds <= 60;
        let when_short = |target| if is_short { ours(target) } else { Target::None };
        let when_long = |target| if is_short { Target::None } else { ours(target) };
        let limit = f64::from(plan.manners.requests_per_minute);
        let line = |what, measured, target| Line { what, measured, target };
        let mut lines = vec![
            line("rollouts an hour while saturated", figures.rollouts_per_hour, when_short(AtLeast(ROLLOUTS_AN_HOUR))),
            line("window used, % of the limit", figures.window_use * 100.0, when_short(AtLeast(93.0))),
            line("requests", figures.requests as f64, Target::None),
            line("429s", figures.refused as f64, ours(AtMost(0.0))),
            line("most requests in any minute", figures.most_in_any_minute as f64, ours(AtMost(limit))),
            line("requests of a good rollout, mean", figures.good_requests.mean, when_short(AtMost(6.0))),
            line("requests of a good rollout, most", figures.good_requests.max, Target::None),
            line("requests of a bad rollout, mean", figures.bad_requests.mean, when_short(AtMost(10.0))),
            line("requests of a bad rollout, most", figures.bad_requests.max, Target::None),
            line("job ended -> looked at, s, p50", figures.detection.p50, Target::None),
            line("job ended -> looked at, s, p99", figures.detection.p99, Target::None),
            line("job ended -> rollback accepted, s, p50", figures.job_to_rollback.p50, Target::None),
            line("job ended -> rollback accepted, s, p99", figures.job_to_rollback.p99, when_short(AtMost(60.0))),
            line("job ended -> rollback accepted, s, most", figures.job_to_rollback.max, Target::None),
            line("last bad answer -> rollback accepted, s, p99", figures.look_to_rollback.p99, ours(AtMost(1.0))),
            line("rolled back", figures.rolled_back as f64, Target::None),
            line("rolled back by deadline", figures.by_deadline as f64, ours(AtMost(0.0))),
            line("bad, and not rolled back", figures.missed as f64, ours(AtMost(0.0))),
            line("most in flight at once", figures.most_in_flight as f64, when_long(AtLeast(100.0))),
            line("Jain's index over namespaces", figures.jain, when_short(AtLeast(0.99))),
            line("Kubernetes writes for a rollout", figures.writes_per_rollout, Target::None),
            line("events for a rollout", figures.events_per_rollout, Target::None),
            line(
                "processor for a rollout, ms (its clock included)",
                figures.processor_milliseconds_per_rollout,
                Target::None,
            ),
            line("against the contract", self.offences as f64, ours(AtMost(0.0))),
        ];
        if let Course::Once { give_up, .. } = plan.course {
            let resources = self.ended.map_or(0, |ended| ended.resources);
            let last = self.ended.map_or(give_up, |ended| ended.at);
            lines.push(line("came to rest", resources as f64, ours(AtLeast(plan.size as f64))));
            lines.push(line("... the last of them after, min", last.as_secs_f64() / 60.0, Target::None));
        }
        lines
    }
}
