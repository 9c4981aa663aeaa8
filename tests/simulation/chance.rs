//! Random stories from a seed: users edit, suspend, request, delete and create again, Secrets rotate, the platform
//! fails and is repaired, the operator crashes. At the end everything works again, and the resource must be ready.

use std::time::Duration;

use api::decision::Verb;
use api::status::Outcome;
use rollout::Settings;
use serde_json::{Value, json};

use super::deciding::{decides, decides_if_asked, policy_installed, policy_missing, withdraws};
use super::director::{Run, run};
use super::end;
use super::fault::{Fault, Plan};
use super::promises::{self, Broken};
use super::scenario::{
    Action, CLIENT_SECRET, Cue, Planned, Scenario, Tolerance, annotate, breaks, clock_jumps, config_map, create,
    credentials, delete, deploy, deploy_from_config_map, deploy_snapshot, edit, environment, faults_removed,
    operator_down, remove_object, tokens_revoked, watch_lost,
};
use super::stage::{WatchLoss, WatchReturn};
use super::trials::{self, Failure, Report, failure};

/// The time at which all faults are removed.
const FAULTS_END_AT: u64 = 900;
/// The time at which earlier deletions and the longest outage of the operator are over, and the last version is
/// deployed.
const REST: u64 = 4000;
/// The version that must run at the end.
const LAST: &str = "last";

/// A story and its faults.
#[derive(Clone)]
pub struct Drawn {
    pub seed: u64,
    pub scenario: Scenario,
    pub plan: Plan,
}

/// Draws the story of a seed.
pub fn draw(seed: u64) -> Drawn {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut scenario = Scenario::new("a story drawn from a seed", "    badSnapshots: [{bad: true}]\n").creating(|_| {});
    scenario.setup.seed = seed;
    scenario.setup.watch_lag = Duration::from_millis(random.u64(5..4000));
    scenario.horizon = Duration::from_secs(4 * 3600);
    // A deletion that waits for the platform must be over when all faults are removed.
    scenario.setup.settings = Settings { deletion_grace: Duration::from_secs(300), ..Settings::default() };
    for _ in 0..random.usize(1..9) {
        let at = random.u64(0..FAULTS_END_AT - 300);
        scenario = scenario.at(at, action(&mut random));
    }
    scenario = without_faults(scenario);
    let plan =
        (0..random.usize(0..5)).map(|_| (random.usize(0..90), Fault::ALL[random.usize(0..Fault::ALL.len())])).collect();
    Drawn { seed, scenario, plan }
}

/// Removes all faults, and deploys a version that was not deployed before.
fn without_faults(scenario: Scenario) -> Scenario {
    scenario
        .at(FAULTS_END_AT, faults_removed())
        .at(FAULTS_END_AT, environment("{}"))
        .at(FAULTS_END_AT, credentials(CLIENT_SECRET))
        .at(FAULTS_END_AT, policy_installed())
        .at(FAULTS_END_AT, delete("zweb"))
        .at(REST, create("web", |object| object["spec"]["configurationSnapshot"] = json!({"botVersion": LAST})))
        .at(REST, edit("nothing is suspended", |object| object["spec"]["suspend"] = json!(false)))
        .at(REST, edit("it needs no approval", without_approval))
        .at(REST, deploy(LAST))
        .tolerating(Tolerance::Timing)
}

fn action(random: &mut fastrand::Rng) -> Action {
    let number = random.u32(2..6);
    match random.u32(0..36) {
        0..=3 => deploy(number),
        4 => deploy_snapshot(&format!("bad version {number}"), json!({"botVersion": number.to_string(), "bad": true})),
        5 => edit("suspended", |object| object["spec"]["suspend"] = json!(true)),
        6 => edit("resumed", |object| object["spec"]["suspend"] = json!(false)),
        7 => annotate("retry", number),
        8 => annotate("rollback", number),
        9 => delete("web"),
        10 => create("web", move |object| {
            object["spec"]["configurationSnapshot"] = json!({"botVersion": number.to_string()});
            object["spec"]["deletionPolicy"] = json!("Rollback");
        }),
        11 => edit("other thresholds", move |object| {
            object["spec"]["rollbackPolicy"]["healthThreshold"] = json!(number);
            object["spec"]["monitoring"]["intervalSeconds"] = json!(20);
        }),
        12 => edit("other checks", move |object| {
            object["spec"]["isolationRules"]["tenantBoundary"] = json!(format!("b{number}"))
        }),
        13 => credentials("wrong"),
        14 => credentials(CLIENT_SECRET),
        15 => remove_object("secrets", "cognigy-api"),
        16 => tokens_revoked(),
        17 => operator_down(u64::from(number) * 20),
        18 => deploy_from_config_map(),
        19 => config_map("bot", format!("botVersion: '{number}'")),
        20 => remove_object("configmaps", "bot"),
        21 => clock_jumps(if random.bool() { 1800 } else { -1800 }),
        22 | 23 => watch_lost(WatchLoss {
            silent: Duration::from_millis(random.u64(0..20_000)),
            then: match random.u64(0..4) {
                0 => WatchReturn::Resumes,
                versions_old => WatchReturn::Lists {
                    versions_old: versions_old - 1,
                    ends_after: Duration::from_millis(random.u64(0..10_000)),
                    stays_behind: Duration::ZERO,
                },
            },
        }),
        24..=26 => trouble(random),
        27 => other_owner(random),
        _ => gate(random),
    }
}

/// People decide, or what they must decide about changes.
fn gate(random: &mut fastrand::Rng) -> Action {
    const PEOPLE: [&str; 3] = ["anna", "ben", "carol"];
    let by = PEOPLE[random.usize(0..PEOPLE.len())];
    match random.u32(0..12) {
        0 | 1 => edit("it needs approvals", |object| object["spec"]["approval"] = json!({"required": 2})),
        2 => edit("it needs no approval", without_approval),
        3..=5 => decides(by, Verb::Approve),
        6 => decides_if_asked(by, Verb::Reject),
        7 => decides_if_asked(by, Verb::Rollback),
        8 => decides_if_asked(by, Verb::Retry),
        9 => withdraws(by),
        10 => policy_missing(),
        _ => policy_installed(),
    }
}

fn without_approval(object: &mut Value) {
    if let Some(spec) = object["spec"].as_object_mut() {
        spec.remove("approval");
    }
}

/// Another resource for the same environment comes or goes.
fn other_owner(random: &mut fastrand::Rng) -> Action {
    match random.u32(0..3) {
        0 => delete("zweb"),
        version => create("zweb", move |object| {
            object["spec"]["configurationSnapshot"] = json!({"botVersion": format!("other {version}")});
        }),
    }
}

fn trouble(random: &mut fastrand::Rng) -> Action {
    const TROUBLES: [&str; 10] = [
        r#"{"call": "submit", "times": 3, "fault": "dropAfterEffect"}"#,
        r#"{"call": "submit", "times": 4, "fault": "dropBeforeEffect"}"#,
        r#"{"call": "submit", "fault": {"status": {"code": 422}}}"#,
        r#"{"call": "job", "times": 4, "fault": {"status": {"code": 500}}}"#,
        r#"{"call": "health", "times": 3, "fault": "garbage"}"#,
        r#"{"call": "rollback", "times": 5, "fault": {"status": {"code": 503}}}"#,
        r#"{"call": "rollback", "times": 2, "fault": "dropAfterEffect"}"#,
        r#"{"call": "audit", "times": 9, "fault": {"status": {"code": 500}}}"#,
        r#"{"call": "webhook", "times": 9, "fault": "dropAfterEffect"}"#,
        r#"{"call": "validate", "times": 2, "fault": {"status": {"code": 429, "retryAfterSeconds": 20}}}"#,
    ];
    const SCRIPTS: [&str; 5] = [
        "{jobOutcome: failed}",
        "{jobOutcome: neverEnds}",
        "{deploymentsAreUnhealthy: true}",
        "{validationErrors: [full]}",
        "{deploymentsAreUnhealthy: true, platformRollbackAfterSeconds: 25}",
    ];
    match random.usize(0..TROUBLES.len() + SCRIPTS.len()) {
        trouble if trouble < TROUBLES.len() => breaks(TROUBLES[trouble]),
        script => environment(SCRIPTS[script - TROUBLES.len()]),
    }
}

/// Plays the story, and returns the promises that it broke.
pub fn judge(drawn: &Drawn) -> (Vec<Broken>, Run) {
    let run = run(&drawn.scenario, &drawn.plan);
    let mut broken = promises::broken(&drawn.scenario, &run);
    let mut named = drawn.scenario.clone();
    named.ends = vec![("web", super::scenario::Ending::default())];
    let end = end::of(&named, &run);
    let web = &end.resources["web"];
    if web.outcomes.last() != Some(&Some(Outcome::Succeeded)) || web.runs != LAST || !end.rests {
        broken.push(Broken::new("a good end", format!("all faults were removed, but the run ended as {end:?}")));
    }
    (broken, run)
}

/// Plays the story of a seed. If it breaks a promise, the report has the shortest story that does.
pub fn play(seed: u64) -> Report {
    let drawn = draw(seed);
    let (broken, run) = judge(&drawn);
    let mut report = Report { runs: 1, faults: drawn.plan.len(), requests: run.ios.len(), ..Report::default() };
    if !broken.is_empty() {
        report.failures.push(failure_of(shortest(drawn)));
    }
    report
}

/// Removes the faults and then the actions that are not needed to break the promise.
fn shortest(mut drawn: Drawn) -> Drawn {
    let fails = |drawn: &Drawn| !judge(drawn).0.is_empty();
    drawn.plan = trials::shortest(drawn.plan.clone(), |plan| fails(&Drawn { plan: plan.clone(), ..drawn.clone() }));
    while let Some(shorter) = without_one_act(&drawn).into_iter().find(fails) {
        drawn = shorter;
    }
    drawn
}

fn without_one_act(drawn: &Drawn) -> Vec<Drawn> {
    let may_go = |planned: &Planned| {
        planned.cue == Cue::Start && planned.delay > Duration::ZERO && planned.delay.as_secs() < FAULTS_END_AT
    };
    let places =
        drawn.scenario.planned.iter().enumerate().filter(|(_, planned)| may_go(planned)).map(|(place, _)| place);
    let without = |place| {
        let mut shorter = drawn.clone();
        shorter.scenario.planned.remove(place);
        shorter
    };
    places.map(without).collect()
}

fn failure_of(drawn: Drawn) -> Failure {
    let (broken, run) = judge(&drawn);
    let mut failure = failure(&drawn.scenario, drawn.plan.clone(), broken, &run);
    failure.seed = Some(drawn.seed);
    failure
}
