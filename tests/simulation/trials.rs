//! Plays a story once without faults, then once for each fault at each request, and checks every run.

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
    /// The seed of the story, if it is random.
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

/// A plan in one line.
pub fn shown(plan: &Plan) -> String {
    let faults: Vec<String> = plan.iter().map(|(index, fault)| format!("[{index}] {fault}")).collect();
    if faults.is_empty() { "without faults".to_owned() } else { faults.join(", ") }
}

/// The results of many runs.
#[derive(Default)]
pub struct Report {
    pub runs: usize,
    pub faults: usize,
    pub requests: usize,
    pub failures: Vec<Failure>,
}

impl Report {
    /// Adds the results of other runs. If two plans shrink to the same story, it is reported once.
    fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.faults += other.faults;
        self.requests += other.requests;
        for failure in other.failures {
            if self.failures.iter().all(|known| known.name() != failure.name()) {
                self.failures.push(failure);
            }
        }
    }

    /// The failures as text. Those with the fewest faults and the shortest stories come first.
    pub fn summary(&mut self, most: usize) -> String {
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

/// A scenario that was played without faults, and how it ended.
pub struct Rehearsal {
    pub scenario: Scenario,
    pub expected: End,
    pub ios: Vec<Io>,
}

/// Plays the scenario without faults.
pub fn rehearse(scenario: &Scenario) -> (Rehearsal, Report) {
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
    (Rehearsal { scenario: scenario.clone(), expected, ios: run.ios }, report)
}

/// Plays the scenario with these faults.
pub fn play(rehearsal: &Rehearsal, plan: &Plan) -> (Report, Run) {
    let run = run(&rehearsal.scenario, plan);
    let mut broken = promises::broken(&rehearsal.scenario, &run);
    if let Some(how) =
        end::difference(&rehearsal.scenario, plan, &rehearsal.expected, &end::of(&rehearsal.scenario, &run))
    {
        broken.push(Broken::new("the same end", how));
    }
    let mut report = Report { runs: 1, faults: plan.len(), requests: run.ios.len(), ..Report::default() };
    report.failures.extend(failed(&rehearsal.scenario, plan, broken, &run));
    (report, run)
}

/// Plays the scenario with these faults. If a promise is broken, the report contains only the necessary faults.
fn play_and_shrink(rehearsal: &Rehearsal, plan: &Plan) -> Report {
    let (mut report, _) = play(rehearsal, plan);
    if !report.failures.is_empty() {
        let shortest = shortest(plan.clone(), |plan| !play(rehearsal, plan).0.failures.is_empty());
        report.failures = play(rehearsal, &shortest).0.failures;
    }
    report
}

/// The plan without the faults that the failure does not need.
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

/// The report of a run that broke promises.
pub fn failure(scenario: &Scenario, plan: Plan, broken: Vec<Broken>, run: &Run) -> Failure {
    let story = run.story.iter().map(|entry| format!("{entry}\n")).collect();
    Failure { scenario: scenario.name, seed: None, plan, broken, story }
}

fn failed(scenario: &Scenario, plan: &Plan, broken: Vec<Broken>, run: &Run) -> Option<Failure> {
    (!broken.is_empty()).then(|| failure(scenario, plan.clone(), broken, run))
}

/// One story with one plan.
pub struct Trial<'s> {
    rehearsal: &'s Rehearsal,
    plan: Plan,
}

/// Plays every scenario without faults. A scenario that fails is reported and left out.
pub fn rehearse_all(scenarios: &[Scenario]) -> (Vec<Rehearsal>, Report) {
    let rehearsals = Mutex::new(Vec::new());
    let report = for_all(scenarios, |scenario| {
        let (rehearsal, report) = rehearse(scenario);
        if report.failures.is_empty() {
            rehearsals.lock().unwrap_or_else(PoisonError::into_inner).push(rehearsal);
        }
        report
    });
    (rehearsals.into_inner().unwrap_or_else(PoisonError::into_inner), report)
}

/// How many of the first and of the last requests of a story are hit by faults. In between, a long story repeats
/// itself.
const FIRST: usize = 60;
const LAST: usize = 12;

/// Every fault at every request of every scenario, or one in `share` of them, spread over all.
pub fn every_single_fault(scenarios: &[Scenario], share: usize) -> Report {
    let (rehearsals, mut report) = rehearse_all(scenarios);
    let trials: Vec<Trial<'_>> = rehearsals.iter().flat_map(every_place).step_by(share).collect();
    report.add(for_all(&trials, |trial| play(trial.rehearsal, &trial.plan).0));
    report
}

fn every_place(rehearsal: &Rehearsal) -> impl Iterator<Item = Trial<'_>> {
    let end = rehearsal.ios.len();
    let first = FIRST.min(end);
    singles(rehearsal, 0..first).chain(singles(rehearsal, first.max(end.saturating_sub(LAST))..end))
}

/// Every fault at each of these requests.
fn singles(rehearsal: &Rehearsal, places: Range<usize>) -> impl Iterator<Item = Trial<'_>> {
    let ios = rehearsal.ios.iter().enumerate().skip(places.start).take(places.len());
    ios.flat_map(move |(index, io)| {
        let faults = Fault::ALL.into_iter().filter(|fault| fault.can_hit(io));
        faults.map(move |fault| Trial { rehearsal, plan: Plan::from([(index, fault)]) })
    })
}

/// Pairs of faults. The first one hits a request near a request with this path, and the second one hits one of the next
/// few requests. About one in `share` of these pairs is tried, spread over all.
pub fn every_pair_near(scenarios: &[Scenario], path: &str, share: usize) -> Report {
    const BEFORE: usize = 2;
    const AFTER: usize = 2;
    /// The approximate number of pairs with the same first fault.
    const ALIKE: usize = 60;
    let (rehearsals, mut report) = rehearse_all(scenarios);
    let mut firsts = Vec::new();
    for rehearsal in &rehearsals {
        let Some(place) = rehearsal.ios.iter().position(|io| io.what.ends_with(path)) else { continue };
        firsts.extend(singles(rehearsal, place.saturating_sub(BEFORE)..place + AFTER));
    }
    let firsts: Vec<(usize, Trial<'_>)> = firsts.into_iter().step_by(share.div_ceil(ALIKE)).enumerate().collect();
    let share = share.min(ALIKE);
    report.add(for_all(&firsts, |(number, first)| every_pair_after(first, number % share, share)));
    report
}

/// Pairs of this fault and another one soon after it: one in `share` of them, beginning with the pair `from`.
fn every_pair_after(first: &Trial<'_>, from: usize, share: usize) -> Report {
    const NEXT: usize = 7;
    let (mut report, run) = play(first.rehearsal, &first.plan);
    let Some(hit) = first.plan.keys().next().copied() else { return report };
    let places = run.ios.iter().enumerate().skip(hit + 1).take(NEXT);
    let pairs = places.flat_map(|(index, io)| {
        Fault::ALL.into_iter().filter(|fault| fault.can_hit(io)).map(move |fault| (index, fault))
    });
    for (index, fault) in pairs.skip(from).step_by(share) {
        let mut plan = first.plan.clone();
        plan.insert(index, fault);
        report.add(play_and_shrink(first.rehearsal, &plan));
    }
    report
}

/// Plays the scenario once for each write of its resource. Each time, another client writes just before this write. The
/// operator must not send more requests to the platform than without the conflict.
pub fn every_write_overtaken(scenario: &Scenario) -> Report {
    let (rehearsal, mut report) = rehearse(scenario);
    let expected = questions(&rehearsal.ios);
    for (index, io) in rehearsal.ios.iter().enumerate().filter(|(_, io)| Fault::Conflict.can_hit(io)) {
        let plan = Plan::from([(index, Fault::Conflict)]);
        let (played, run) = play(&rehearsal, &plan);
        report.add(played);
        let again = questions(&run.ios);
        if again != expected {
            let how =
                format!("a conflict at {}: the requests are {again:?}, but without the conflict {expected:?}", io.what);
            report.failures.extend(failed(scenario, &plan, vec![Broken::new("no additional request", how)], &run));
        }
    }
    report
}

/// The requests to the platform. Their paths begin with a slash, unlike those of requests to Kubernetes.
fn questions(ios: &[Io]) -> Vec<&str> {
    ios.iter().map(|io| io.what.as_str()).filter(|what| what.contains(" /")).collect()
}

/// Does the work for each item, on as many threads as the machine has.
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
fn a_reported_plan_contains_only_the_necessary_faults() {
    let faults = [(3, Fault::CrashAfter), (5, Fault::Refused), (9, Fault::Conflict)];
    let plan_of =
        |places: &[usize]| -> Plan { faults.into_iter().filter(|(place, _)| places.contains(place)).collect() };
    for needed in [&[3][..], &[9], &[3, 9], &[3, 5, 9], &[]] {
        let fails = |plan: &Plan| needed.iter().all(|place| plan.contains_key(place));
        assert_eq!(shortest(plan_of(&[3, 5, 9]), fails), plan_of(needed));
    }
}
