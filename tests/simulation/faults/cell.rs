//! Plays one cell of the table: the fault lasts for some minutes, then the call works again, then a person acts if the
//! table says so.

use std::sync::Arc;
use std::time::Duration;

use api::condition::{ConditionSet, ConditionStatus, ConditionType};
use api::reason::Reason;
use api::status::Outcome;
use serde_json::json;
use simulator::{Call, FaultRule};

use super::kind::Kind;
use crate::director::{Run, run};
use crate::end;
use crate::fault::Plan;
use crate::kubernetes::ObjectName;
use crate::promises;
use crate::record::Record;
use crate::scenario::{Action, NAMESPACE, Scenario, annotate};
use crate::story::Happening;

/// When the call works again, in seconds. By then every call has failed for three minutes, and no deadline has passed.
pub const MENDED_AT: u64 = 240;
/// When a person acts, in seconds. A rollout that continues by itself has ended by then, except for its deliveries.
const PERSON_AT: u64 = 900;
/// How long after the last event of the story the operator may still send requests. No pause is longer than ten
/// minutes.
const REST_WITHIN: Duration = Duration::from_secs(900);
/// The maximum number of requests to the platform in any minute: those of a rollout, and three tries of the call after
/// each of the first, short pauses.
const MAX_A_MINUTE: usize = 20;
/// The maximum number of writes of the resource in a run: seven for a rollout without faults, and a few that show the
/// fault.
const MAX_WRITES: usize = 16;

/// What the conditions show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shows {
    /// The reason of Ready.
    pub ready: Reason,
    /// The state of the resource, as kstatus reads it.
    pub state: KstatusState,
    /// The condition that belongs to the call, if there is one.
    pub story: Option<(ConditionType, ConditionStatus, Reason)>,
}

/// The state of a resource, as kstatus reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KstatusState {
    Ready,
    Reconciling,
    Stalled,
}

/// What a person does once the call works again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Person {
    Retries,
    ChangesTheSecret,
    AsksForTheRollback,
}

/// The observations of one cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What the conditions show after three minutes of the fault.
    pub during: Option<Shows>,
    /// What the conditions show just before a person would act.
    pub after: Option<Shows>,
    /// How the attempts ended, in order.
    pub outcomes: Vec<Option<Outcome>>,
    /// The version that the environment runs at the end.
    pub runs: String,
    /// What the conditions show at the end.
    pub end: Option<Shows>,
    /// Whether the operator came to rest: it sends no more requests, even if the run continues.
    pub rests: bool,
    /// Everything that is wrong: broken promises, requests without a pause, an operator that never rests.
    pub wrong: Vec<String>,
    /// The story, shown if the test fails.
    pub story: String,
}

/// Plays one cell.
pub fn play(call: Call, kind: Kind, person: Option<Person>) -> Seen {
    let scenario = scenario(call, kind, person);
    let run = run(&scenario, &Plan::new());
    let end = end::of(&scenario, &run);
    let ending = end.resources.get("web").cloned().unwrap_or_default();
    let mut wrong: Vec<String> =
        promises::broken(&scenario, &run).iter().map(|broken| format!("{}: {}", broken.promise, broken.how)).collect();
    wrong.extend(excessive_requests(&run, if person.is_some() { PERSON_AT } else { MENDED_AT }, MAX_A_MINUTE));
    Seen {
        during: shown_at(&run, call, Duration::from_secs(MENDED_AT - 1)),
        after: shown_at(&run, call, Duration::from_secs(PERSON_AT - 1)),
        outcomes: ending.outcomes,
        runs: ending.runs,
        end: shown_at(&run, call, Duration::MAX),
        rests: run.rests,
        wrong,
        story: run.story.iter().map(|entry| format!("{entry}\n")).collect(),
    }
}

fn scenario(call: Call, kind: Kind, person: Option<Person>) -> Scenario {
    let environment = if call == Call::Rollback { "    deploymentsAreUnhealthy: true\n" } else { "" };
    let mut scenario = Scenario::new("a fault of the API", environment)
        .at(0, breaks(call, kind))
        .creating(|object| object["spec"]["rollbackPolicy"]["timeoutSeconds"] = json!(600))
        .at(MENDED_AT, faults_removed())
        .ending(&[], "")
        .lasting(Duration::from_secs(2 * 3600));
    scenario.platform.insert_str(
        0,
        "clients: [{clientId: demo, clientSecret: demo-secret}, {clientId: successor, clientSecret: demo-secret}]\n",
    );
    match person {
        None => scenario,
        Some(Person::Retries) => scenario.at(PERSON_AT, annotate("retry", "mended")),
        Some(Person::AsksForTheRollback) => scenario.at(PERSON_AT, annotate("rollback", "mended")),
        Some(Person::ChangesTheSecret) => scenario.at(PERSON_AT, other_client()),
    }
}

/// An action: from now on the call has this fault.
pub fn breaks(call: Call, kind: Kind) -> Action {
    let rule = kind.rule(call).map(|rule| match serde_json::from_value::<FaultRule>(rule) {
        Ok(rule) => rule,
        Err(error) => panic!("{kind:?}: {error}"),
    });
    Action {
        name: format!("{call:?} breaks: {kind:?}"),
        act: Arc::new(move |stage| match rule.clone() {
            Some(rule) => stage.platform.add_fault(rule),
            None => stage.unreachable = Some(call),
        }),
    }
}

/// An action: every call works again.
pub fn faults_removed() -> Action {
    let act = |stage: &mut crate::stage::Stage| {
        stage.platform.clear_faults();
        stage.unreachable = None;
    };
    Action { name: "the call works again".to_owned(), act: Arc::new(act) }
}

/// An action: the Secret names another client of the platform.
fn other_client() -> Action {
    let act = |stage: &mut crate::stage::Stage| {
        stage.kubernetes.edit(&ObjectName::new("secrets", NAMESPACE, "cognigy-api"), |secret| {
            // Base64 of `successor`.
            secret["data"]["clientId"] = json!("c3VjY2Vzc29y");
        });
    };
    Action { name: "the Secret names another client".to_owned(), act: Arc::new(act) }
}

/// What the last write until this time shows.
fn shown_at(run: &Run, call: Call, at: Duration) -> Option<Shows> {
    let record = Record::of(run);
    let write =
        record.writes.iter().rfind(|write| write.at <= at && write.object.metadata.name.as_deref() == Some("web"))?;
    let conditions = &write.status()?.conditions;
    let ready = conditions.find(ConditionType::Ready)?;
    let state = match (ready.status, conditions.is_true(ConditionType::Stalled)) {
        (_, true) => KstatusState::Stalled,
        (ConditionStatus::True, false) => KstatusState::Ready,
        _ => KstatusState::Reconciling,
    };
    let story = condition_of(call).and_then(|condition_type| conditions.find(condition_type));
    let story = story.map(|condition| (condition.condition_type, condition.status, condition.reason));
    Some(Shows { ready: ready.reason, state, story })
}

/// The condition that belongs to a call.
fn condition_of(call: Call) -> Option<ConditionType> {
    match call {
        Call::Token => None,
        Call::Validate => Some(ConditionType::Validated),
        Call::Trace => Some(ConditionType::TracePassed),
        Call::Submit | Call::Job => Some(ConditionType::RolledOut),
        Call::Health => Some(ConditionType::Healthy),
        Call::Rollback => Some(ConditionType::RolledBack),
        Call::Audit | Call::Webhook => Some(ConditionType::Delivered),
    }
}

/// Reports if the operator sends requests to the platform too often or for too long, or writes the resource too often.
pub fn excessive_requests(run: &Run, last_cue: u64, most_a_minute: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    let last_cue = Duration::from_secs(last_cue);
    let sent_times: Vec<Duration> = run
        .story
        .iter()
        .filter(|entry| matches!(&entry.what, Happening::Io { what, .. } if what.contains(" /")))
        .map(|entry| entry.at)
        .collect();
    if let Some(last) = sent_times.last().filter(|last| **last > last_cue + REST_WITHIN) {
        wrong.push(format!("it still sends requests {} s after the start", last.as_secs()));
    }
    let busiest = sent_times
        .iter()
        .map(|from| sent_times.iter().filter(|at| (*from..*from + Duration::from_secs(60)).contains(*at)).count());
    if let Some(most) = busiest.max().filter(|most| *most > most_a_minute) {
        wrong.push(format!("it sends requests without a pause: {most} in a minute"));
    }
    let writes =
        Record::of(run).operator_writes().filter(|write| write.object.metadata.name.as_deref() == Some("web")).count();
    if writes > MAX_WRITES {
        wrong.push(format!("it writes the resource {writes} times"));
    }
    wrong
}
