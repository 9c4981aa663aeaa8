//! The results of a run, one figure in each line, with its target.

use crate::figures::Figures;
use crate::fleet::Ended;
use crate::operator::Kind;
use crate::plan::{Plan, Workload};
use crate::report::Line;
use crate::report::Target::{self, AtLeast, AtMost};
use std::time::Duration;

/// 95 % of the 886 rollouts an hour that a well-tuned ordinary operator reaches with 100 requests a minute.
const ROLLOUTS_AN_HOUR: f64 = 841.0;

/// The figures of rollouts that a change window held back.
pub struct GatedFigures {
    /// Requests to the platform while the window was closed and all checks were made.
    pub requests_while_closed: usize,
    /// Requests to the API server in the same time, without watches.
    pub reads_and_writes_while_closed: u64,
    /// The processor time of the operator in the same time, as a share of it.
    pub processor_share_while_closed: f64,
    /// Submits while the window was closed.
    pub started_while_closed: usize,
    /// From the opening to the first submit.
    pub first_start: Option<Duration>,
    /// From the opening to the last submit.
    pub last_start: Option<Duration>,
}

/// The results of a run.
pub struct Measured {
    /// The figures of a closed window, if there was one.
    pub gated: Option<GatedFigures>,
    /// The figures of the rollouts.
    pub figures: Figures,
    /// How many resources came to rest, and when the last one did. `None` if the run was stopped before.
    pub ended: Option<Ended>,
    /// Virtual time that passed.
    pub virtual_time: Duration,
    /// Real time that passed.
    pub real_time: Duration,
    /// Violations of the contract, and jobs that started in an environment that already had one.
    pub violations: usize,
}

impl Measured {
    /// The heading of the report.
    pub fn heading(&self, plan: &Plan) -> String {
        let [virtual_minutes, real_minutes] =
            [self.virtual_time, self.real_time].map(|length| length.as_secs_f64() / 60.0);
        format!(
            "{} resources, {virtual_minutes:.0} min in {real_minutes:.0} min of real time ({:.0} times as fast)",
            plan.size,
            virtual_minutes / real_minutes
        )
    }

    /// Each figure. The figures of an ordinary operator have no target.
    pub fn lines(&self, plan: &Plan) -> Vec<Line> {
        let figures = &self.figures;
        let is_ours = plan.kind == Kind::Cognigy;
        let ours = |target| if is_ours { target } else { Target::None };
        // The targets are for jobs of one minute. Runs with longer jobs measure how many rollouts can be in flight.
        let is_short = plan.behaviour.job_seconds <= 60;
        let when_short = |target| if is_short { ours(target) } else { Target::None };
        let when_long = |target| if is_short { Target::None } else { ours(target) };
        let limit = f64::from(plan.behaviour.requests_per_minute);
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
            line("job ended -> its end noticed, s, p50", figures.detection.p50, Target::None),
            line("job ended -> its end noticed, s, p99", figures.detection.p99, Target::None),
            line("job ended -> rollback accepted, s, p50", figures.job_to_rollback.p50, when_short(AtMost(33.0))),
            line("job ended -> rollback accepted, s, p99", figures.job_to_rollback.p99, when_short(AtMost(40.0))),
            line("job ended -> rollback accepted, s, most", figures.job_to_rollback.max, Target::None),
            line(
                "last bad answer -> rollback accepted, s, p99",
                figures.health_poll_to_rollback.p99,
                ours(AtMost(1.0)),
            ),
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
            line("violations of the contract", self.violations as f64, ours(AtMost(0.0))),
        ];
        if let Some(gated) = &self.gated {
            let seconds = |at: Option<Duration>| at.map_or(f64::NAN, |at| at.as_secs_f64());
            let closed = gated.reads_and_writes_while_closed as f64;
            lines.extend([
                line("closed: submits", gated.started_while_closed as f64, ours(AtMost(0.0))),
                line("closed: requests to the platform", gated.requests_while_closed as f64, ours(AtMost(0.0))),
                line("closed: requests to the API server", closed, Target::None),
                line("closed: processor, % of a core", gated.processor_share_while_closed * 100.0, Target::None),
                line("opening -> first submit, s", seconds(gated.first_start), Target::None),
                line("opening -> last submit, min", seconds(gated.last_start) / 60.0, Target::None),
            ]);
        }
        if let Workload::Once { give_up, .. } | Workload::Gated { give_up, .. } = plan.workload {
            let resources = self.ended.map_or(0, |ended| ended.resources);
            let last = self.ended.map_or(give_up, |ended| ended.at);
            lines.push(line("came to rest", resources as f64, ours(AtLeast(plan.size as f64))));
            lines.push(line("... the last of them after, min", last.as_secs_f64() / 60.0, Target::None));
        }
        lines
    }
}
