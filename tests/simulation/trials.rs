//! Plays a story once as it is, then once for each fault at each request, and judges every run.

use std::fmt::{self, Display, Write as _};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::director::{Run, run};
use super::end::{self, End};
use super::fault::{Fault, Plan};
use super::promises::{self, Broken};
use super::scenario::Scenario;

/// A run that broke a promise.
pub struct Failure {
    pub scenario: &'static str,
    pub plan: Plan,
    pub broken: Vec<Broken>,
    pub story: String,
}

impl Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "=== {} {}", self.scenario, shown(&self.plan))?;
        for Broken { promise, how } in &self.broken {
            writeln!(formatter, "--- {promise}: {how}")?;
        }
        formatter.write_str(&self.story)
    }
}

/// A plan, in a line.
pub fn shown(plan: &Plan) -> String {
    let faults: Vec<String> = plan.iter().map(|(index, fault)| format!("[{index}] {fault}")).collect();
    if faults.is_empty() { "without faults".to_owned() } else { faults.join(", ") }
}

/// What came of many runs.
#[derive(Default)]
pub struct Report {
    pub runs: usize,
    pub faults: usize,
    pub requests: usize,
    pub failures: Vec<Failure>,
}

impl Report {
    fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.faults += other.faults;
        self.requests += other.requests;
        self.failures.extend(other.failures);
    }

    /// The failures, those with the fewest faults and the shortest stories first.
    pub fn told(&mut self, most: usize) -> String {
        self.failures.sort_by_key(|failure| (failure.plan.len(), failure.story.len()));
        let mut text = String::new();
        for failure in self.failures.iter().take(most) {
            // Writing into a String cannot fail.
            let _ = writeln!(text, "{failure}");
        }
        let _ = writeln!(text, "{} of {} runs broke a promise", self.failures.len(), self.runs);
        for failure in &self.failures {
            let how: Vec<&str> = failure.broken.iter().map(|broken| broken.promise).collect();
            let _ = writeln!(text, "  {} {}: {how:?}", failure.scenario, shown(&failure.plan));
        }
        text
    }
}

/// A scenario, and how it ends without faults.
pub struct Stage {
    pub scenario: Scenario,
    pub expected: End,
    pub requests: usize,
}

/// Plays the scenario without faults.
pub fn rehearse(scenario: &Scenario) -> (Stage, Report) {
    let plan = Plan::new();
    let run = run(scenario, &plan);
    let expected = end::of(scenario, &run);
    let mut broken = promises::broken(scenario, &run);
    for (name, wanted) in &scenario.ends {
        if expected.resources.get(name) != Some(wanted) {
            broken.push(Broken::new("the scenario", format!("should end as {wanted:?}, but ended as {expected:?}")));
        }
    }
    let requests = run.ios.len();
    let mut report = Report { runs: 1, requests, ..Report::default() };
    report.failures.extend(failure(scenario, plan, broken, &run));
    (Stage { scenario: scenario.clone(), expected, requests }, report)
}

/// Plays the scenario with these faults.
pub fn play(stage: &Stage, plan: &Plan) -> (Report, Run) {
    let run = run(&stage.scenario, plan);
    let mut broken = promises::broken(&stage.scenario, &run);
    if let Some(how) = end::difference(&stage.scenario, &stage.expected, &end::of(&stage.scenario, &run)) {
        broken.push(Broken::new("the same end", how));
    }
    let mut report = Report { runs: 1, faults: plan.len(), requests: run.ios.len(), ..Report::default() };
    report.failures.extend(failure(&stage.scenario, plan.clone(), broken, &run));
    (report, run)
}

fn failure(scenario: &Scenario, plan: Plan, broken: Vec<Broken>, run: &Run) -> Option<Failure> {
    let story = || run.story.iter().map(|entry| format!("{entry}\n")).collect();
    (!broken.is_empty()).then(|| Failure { scenario: scenario.name, plan, broken, story: story() })
}

/// Every fault at every request of the scenario.
pub fn every_single_fault(scenario: &Scenario) -> Report {
    let (stage, mut report) = rehearse(scenario);
    if !report.failures.is_empty() {
        return report;
    }
    let ios = run(scenario, &Plan::new()).ios;
    for (index, io) in ios.iter().enumerate() {
        for fault in Fault::ALL.into_iter().filter(|fault| fault.can_hit(io)) {
            report.add(play(&stage, &Plan::from([(index, fault)])).0);
        }
    }
    report
}

/// Does the work for each scenario, on as many threads as the machine has.
pub fn for_all(scenarios: &[Scenario], work: impl Fn(&Scenario) -> Report + Sync) -> Report {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let (next, report) = (AtomicUsize::new(0), Mutex::new(Report::default()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let began = std::time::Instant::now();
                    let done = work(scenario);
                    if std::env::var_os("SIMULATION_TIMES").is_some() {
                        println!(
                            "{:?} {} {} runs {} requests",
                            began.elapsed(),
                            scenario.name,
                            done.runs,
                            done.requests
                        );
                    }
                    report.lock().unwrap_or_else(PoisonError::into_inner).add(done);
                }
            });
        }
    });
    report.into_inner().unwrap_or_else(PoisonError::into_inner)
}
