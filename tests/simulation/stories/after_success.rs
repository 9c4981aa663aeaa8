//! Health becomes bad after the success.

use api::condition::ConditionSet;
use api::status::Outcome::Succeeded;
use api::status::Step;
use api::{ConditionType, Reason};
use serde_json::{Value, json};
use simulator::Call;

use crate::director::run;
use crate::fault::Plan;
use crate::record::Record;
use crate::scenario::{
    Action, CLIENT_SECRET, Cue, Scenario, breaks, create, credentials, edit, environment, faults_removed, remove_object,
};
use crate::story::Happening;

/// The operator watches the success from here on, in seconds after it.
const SETTLED: Cue = Cue::Written(Step::Settled);

fn watched(on_unhealthy: &'static str) -> impl Fn(&mut Value) + Send + Sync + 'static {
    move |object| {
        let watch = json!({"intervalSeconds": 60, "healthThreshold": 2, "onUnhealthy": on_unhealthy});
        object["spec"]["monitoring"] = json!({"afterSuccess": watch});
    }
}

/// A watched resource never rests, so each story that does not end in a rollback switches watching off.
fn switched_off() -> Action {
    edit("it is not watched any more", |object| {
        object["spec"]["monitoring"]["afterSuccess"] = Value::Null;
    })
}

fn bad_for_a_while() -> Scenario {
    Scenario::new("health is bad for a while after the success", "")
        .creating(watched("Report"))
        .after(SETTLED, 100, environment("health: {then: unhealthy}"))
        .after(SETTLED, 500, environment("{}"))
        .after(SETTLED, 1000, switched_off())
        .ending(&[Succeeded], "2")
}

fn rolled_back() -> Scenario {
    Scenario::new("health becomes bad after the success, and it is rolled back", "")
        .creating(watched("Rollback"))
        .after(SETTLED, 100, environment("deploymentsAreUnhealthy: true"))
        .ending(&[Succeeded], "1")
}

fn without_a_secret() -> Scenario {
    Scenario::new("the Secret is gone for a while after the success", "")
        .creating(watched("Rollback"))
        .after(SETTLED, 100, remove_object("secrets", "cognigy-api"))
        .after(SETTLED, 120, crate::scenario::operator_down(5))
        .after(SETTLED, 600, credentials(CLIENT_SECRET))
        .after(SETTLED, 1000, switched_off())
        .ending(&[Succeeded], "2")
}

fn without_answers() -> Scenario {
    Scenario::new("no health answer can be read after the success", "")
        .creating(watched("Rollback"))
        .after(SETTLED, 100, breaks(r#"{"call": "health", "times": "forever", "fault": {"status": {"code": 503}}}"#))
        .after(SETTLED, 600, faults_removed())
        .after(SETTLED, 1000, switched_off())
        .ending(&[Succeeded], "2")
}

/// The other resource is older, and its validation is accepted only once `web` has deployed. It does not own the environment, so
/// it waits, and bad health of what `web` deployed is undone by `web` alone.
fn with_another_resource() -> Scenario {
    Scenario::new("another resource waits for an environment that becomes unhealthy after the success", "")
        .creating(watched("Rollback"))
        .after(SETTLED, 60, create("other", watched("Rollback")))
        .after(SETTLED, 100, environment("deploymentsAreUnhealthy: true"))
        .ending(&[Succeeded], "1")
}

pub fn all() -> Vec<Scenario> {
    vec![bad_for_a_while(), rolled_back(), without_a_secret(), without_answers(), with_another_resource()]
}

/// The states of a condition in the written statuses, one after the other, as `False UnhealthyAfterSuccess`.
fn states(record: &Record<'_>, condition_type: ConditionType) -> Vec<String> {
    let statuses = record.operator_writes().filter(|write| write.attempt().is_some_and(|it| it.verdict.is_some()));
    let found = statuses.filter_map(|write| write.status()?.conditions.find(condition_type));
    let mut states: Vec<_> = found.map(|it| format!("{:?} {}", it.status, it.reason)).collect();
    states.dedup();
    states
}

fn warnings(record: &Record<'_>, wanted: Reason) -> usize {
    let is_it = |what: &Happening| matches!(what, Happening::EventPublished { warning: true, reason, .. } if *reason == wanted.as_str());
    record.run.story.iter().filter(|entry| is_it(&entry.what)).count()
}

#[test]
fn bad_health_after_a_success_takes_back_ready_until_the_first_good_answer() {
    let run = run(&bad_for_a_while(), &Plan::new());
    let record = Record::of(&run);
    let ready = states(&record, ConditionType::Ready);
    assert_eq!(ready, ["True Succeeded", "False UnhealthyAfterSuccess", "True Succeeded"]);
    assert_eq!(warnings(&record, Reason::UnhealthyAfterSuccess), 1);
    assert_eq!(record.calls(Call::Rollback).count(), 0);
    let polls = record.calls(Call::Health).count();
    assert!((15..=18).contains(&polls), "one for the success, and one a minute for 1000 s: {polls}");
    let changes =
        record.operator_writes().filter(|write| write.attempt_before().is_some_and(|it| it.verdict.is_some()));
    let changes = changes.count();
    // Two deliveries in one or two writes, bad, good, and the edit.
    assert!(changes <= 5, "watching writes only what changes, but there were {changes} writes");
}

#[test]
fn bad_health_after_a_success_is_rolled_back_once_if_the_spec_says_so() {
    let run = run(&rolled_back(), &Plan::new());
    let record = Record::of(&run);
    let states = states(&record, ConditionType::Ready);
    assert_eq!(states.last().map(String::as_str), Some("False RolledBack"), "{states:?}");
    assert_eq!(record.calls(Call::Rollback).count(), 1);
    let told: Vec<_> = run.platform.webhooks().map(|webhook| webhook.body["success"].clone()).collect();
    assert_eq!(told, [true, false]);
}

#[test]
fn without_answers_after_a_success_health_is_unknown_and_ready_stays() {
    for scenario in [without_a_secret(), without_answers()] {
        let run = run(&scenario, &Plan::new());
        let record = Record::of(&run);
        assert_eq!(states(&record, ConditionType::Ready), ["True Succeeded"], "{}", scenario.name);
        let healthy = states(&record, ConditionType::Healthy);
        assert_eq!(healthy, ["True HealthGood", "Unknown HealthUnknown", "True HealthGood"], "{}", scenario.name);
        assert_eq!(record.calls(Call::Rollback).count(), 0, "{}", scenario.name);
    }
}
