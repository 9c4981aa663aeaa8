//! Plays a story once as it is, then once for each fault at each request, and judges every run.

use std::fmt::{self, Display, Write as _};
use std::ops::Range;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::director::{Run, run};
use super::end::{self, End};
use super::fault::{Fault, Io, Plan};
use super::promises::{self, Broken};
use super::scenario::Scenario;

/// A run that broke a promise.
pub struct Failure {
    pub scenario: &'static str,
    /// The seed that it was drawn from.
    pub seed: Option<u64>,
    pub plan: Plan,
    pub broken: Vec<Broken>,
    pub story: String,
}

impl Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "=== {}", self.name())?;
        for Broken { promise, how } in &self.broken {
            writeln!(formatter, "--- {promise}: {how}")?;
        }
        formatter.write_str(&self.story)
    }
}

impl Failure {
    fn name(&self) -> String {
        let seed = self.seed.map(|seed| format!(" (seed {seed})")).unwrap_or_default();
        format!("{}{seed} {}", self.scenario, shown(&self.plan))
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
    /// Adds what came of other runs. A story that was told already, because two plans shrink to the same, is not told again.
    fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.faults += other.faults;
        self.requests += other.requests;
        for failure in other.failures {
            if self.failures.iter().all(|told| told.name() != failure.name()) {
                self.failures.push(failure);
            }
        }
    }

    /// The failures, those with the fewest faults and the shortest stories first.
    pub fn told(&mut self, most: usize) -> String {
        self.failures.sort_by_key(|failure| (failure.plan.len(), failure.story.len()));
        let mut text = String::new();
        for failure in self.failures.iter().take(most) {
            // Writing into a String cannot fail.
            let _ = writeln!(text, "{failure}");
        }
        let _ = writeln!(text, "{} stories in {} runs broke a promise", self.failures.len(), self.runs);
        for failure in &self.failures {
            let how: Vec<&str> = failure.broken.iter().map(|broken| broken.promise).collect();
            let _ = writeln!(text, "  {}: {how:?}", failure.name());
        }
        text
    }
}

/// A scenario, and how it ends without faults.
pub struct Stage {
    pub scenario: Scenario,
    pub expected: End,
    pub ios: Vec<Io>,
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
    report.failures.extend(failed(scenario, &plan, broken, &run));
    (Stage { scenario: scenario.clone(), expected, ios: run.ios }, report)
}

/// Plays the scenario with these faults.
pub fn play(stage: &Stage, plan: &Plan) -> (Report, Run) {
    let run = run(&stage.scenario, plan);
    let mut broken = promises::broken(&stage.scenario, &run);
    if let Some(how) = end::difference(&stage.scenario, plan, &stage.expected, &end::of(&stage.scenario, &run)) {
        broken.push(Broken::new("the same end", how));
    }
    let mut report = Report { runs: 1, faults: plan.len(), requests: run.ios.len(), ..Report::default() };
    report.failures.extend(failed(&stage.scenario, plan, broken, &run));
    (report, run)
}

/// Plays the scenario with these faults; where a promise is broken, only the faults that it takes are told.
fn play_to_tell(stage: &Stage, plan: &Plan) -> Report {
    let (mut report, _) = play(stage, plan);
    if !report.failures.is_empty() {
        let shortest = shortest(plan.clone(), |plan| !play(stage, plan).0.failures.is_empty());
        report.failures = play(stage, &shortest).0.failures;
    }
    report
}

/// The plan without the faults that it fails without as well.
pub fn shortest(mut plan: Plan, fails: impl Fn(&Plan) -> bool) -> Plan {
    let without = |plan: &Plan, index: &usize| {
        let mut shorter = plan.clone();
        shorter.remove(index);
        shorter
    };
    while let Some(shorter) = plan.keys().map(|index| without(&plan, index)).find(|shorter| fails(shorter)) {
        plan = shorter;
    }
    plan
}

/// A run that broke promises, as it is told.
pub fn failure(scenario: &Scenario, plan: Plan, broken: Vec<Broken>, run: &Run) -> Failure {
    let story = run.story.iter().map(|entry| format!("{entry}\n")).collect();
    Failure { scenario: scenario.name, seed: None, plan, broken, story }
}

fn failed(scenario: &Scenario, plan: &Plan, broken: Vec<Broken>, run: &Run) -> Option<Failure> {
    (!broken.is_empty()).then(|| failure(scenario, plan.clone(), broken, run))
}

/// One story with one plan.
pub struct Trial<'s> {
    stage: &'s Stage,
    plan: Plan,
}

/// Rehearses every scenario; those that fail already are reported, and not played with faults.
pub fn rehearse_all(scenarios: &[Scenario]) -> (Vec<Stage>, Report) {
    let stages = Mutex::new(Vec::new());
    let report = for_all(scenarios, |scenario| {
        let (stage, report) = rehearse(scenario);
        if report.failures.is_empty() {
            stages.lock().unwrap_or_else(PoisonError::into_inner).push(stage);
        }
        report
    });
    (stages.into_inner().unwrap_or_else(PoisonError::into_inner), report)
}

/// How many of a story's first requests, and of its last ones, are hit. In between a long story repeats itself.
const FIRST: usize = 60;
const LAST: usize = 12;

/// Every fault at every request of every scenario, or one in `share` of them, spread over all.
pub fn every_single_fault(scenarios: &[Scenario], share: usize) -> Report {
    let (stages, mut report) = rehearse_all(scenarios);
    let trials: Vec<Trial<'_>> = stages.iter().flat_map(every_place).step_by(share).collect();
    report.add(for_all(&trials, |trial| play(trial.stage, &trial.plan).0));
    report
}

fn every_place(stage: &Stage) -> impl Iterator<Item = Trial<'_>> {
    let end = stage.ios.len();
    let first = FIRST.min(end);
    singles(stage, 0..first).chain(singles(stage, first.max(end.saturating_sub(LAST))..end))
}

/// Every fault at each of these requests.
fn singles(stage: &Stage, places: Range<usize>) -> impl Iterator<Item = Trial<'_>> {
    let ios = stage.ios.iter().enumerate().skip(places.start).take(places.len());
    ios.flat_map(move |(index, io)| {
        let faults = Fault::ALL.into_iter().filter(|fault| fault.can_hit(io));
        faults.map(move |fault| Trial { stage, plan: Plan::from([(index, fault)]) })
    })
}

/// Each pair of faults of which the first hits a request near one whose path ends so, and the second one of the next
/// few requests of what follows; or about one in `share` of these pairs, spread over all of them.
pub fn every_pair_near(scenarios: &[Scenario], path: &str, share: usize) -> Report {
    const BEFORE: usize = 2;
    const AFTER: usize = 2;
    /// About how many pairs have the same first fault.
    const ALIKE: usize = 60;
    let (stages, mut report) = rehearse_all(scenarios);
    let mut firsts = Vec::new();
    for stage in &stages {
        let Some(place) = stage.ios.iter().position(|io| io.what.ends_with(path)) else { continue };
        firsts.extend(singles(stage, place.saturating_sub(BEFORE)..place + AFTER));
    }
    let firsts: Vec<(usize, Trial<'_>)> = firsts.into_iter().step_by(share.div_ceil(ALIKE)).enumerate().collect();
    let share = share.min(ALIKE);
    report.add(for_all(&firsts, |(number, first)| every_pair_after(first, number % share, share)));
    report
}

/// Each pair of this fault and another one soon after it; or one in `share` of them, from that one on.
fn every_pair_after(first: &Trial<'_>, from: usize, share: usize) -> Report {
    const NEXT: usize = 7;
    let (mut report, run) = play(first.stage, &first.plan);
    let Some(hit) = first.plan.keys().next().copied() else { return report };
    let places = run.ios.iter().enumerate().skip(hit + 1).take(NEXT);
    let pairs = places.flat_map(|(index, io)| {
        Fault::ALL.into_iter().filter(|fault| fault.can_hit(io)).map(move |fault| (index, fault))
    });
    for (index, fault) in pairs.skip(from).step_by(share) {
        let mut plan = first.plan.clone();
        plan.insert(index, fault);
        report.add(play_to_tell(first.stage, &plan));
    }
    report
}

/// Plays the scenario once for each write of its resource, with somebody else ahead of that write: no question is put to
/// the platform more often than without.
pub fn every_write_overtaken(scenario: &Scenario) -> Report {
    let (stage, mut report) = rehearse(scenario);
    let asked = questions(&stage.ios);
    for (index, io) in stage.ios.iter().enumerate().filter(|(_, io)| Fault::Conflict.can_hit(io)) {
        let plan = Plan::from([(index, Fault::Conflict)]);
        let (played, run) = play(&stage, &plan);
        report.add(played);
        let again = questions(&run.ios);
        if again != asked {
            let how = format!("{} overtaken: asked {again:?}, and otherwise {asked:?}", io.what);
            report.failures.extend(failed(scenario, &plan, vec![Broken::new("no question twice", how)], &run));
        }
    }
    report
}

/// What the platform was asked; its paths begin at its root, unlike those of Kubernetes.
fn questions(ios: &[Io]) -> Vec<&str> {
    ios.iter().map(|io| io.what.as_str()).filter(|what| what.contains(" /")).collect()
}

/// Does the work for each of these, on as many threads as the machine has.
pub fn for_all<T: Sync>(all: &[T], work: impl Fn(&T) -> Report + Sync) -> Report {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let (next, report) = (AtomicUsize::new(0), Mutex::new(Report::default()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let done = work(one);
                    for failure in &done.failures {
                        println!("a promise was broken: {}", failure.name());
                    }
                    report.lock().unwrap_or_else(PoisonError::into_inner).add(done);
                }
            });
        }
    });
    report.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_plan_is_told_without_the_faults_that_it_fails_without() {
    let faults = [(3, Fault::CrashAfter), (5, Fault::Refused), (9, Fault::Conflict)];
    let plan_of =
        |places: &[usize]| -> Plan { faults.into_iter().filter(|(place, _)| places.contains(place)).collect() };
    for needed in [&[3][..], &[9], &[3, 9], &[3, 5, 9], &[]] {
        let fails = |plan: &Plan| needed.iter().all(|place| plan.contains_key(place));
        assert_eq!(shortest(plan_of(&[3, 5, 9]), fails), plan_of(needed));
    }
}
