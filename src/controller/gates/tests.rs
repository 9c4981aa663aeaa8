#![allow(clippy::unwrap_used)]

use super::observe::can_matter;
use super::*;
use api::decision::{CognigyDecisionStatus, DecisionState, Verb};
use api::{CognigyDeployment, EnvironmentId};
use serde_json::{Value, json};

fn web() -> ResourceName {
    ResourceName { namespace: "bots".into(), name: "web".into() }
}

fn env() -> EnvironmentId {
    EnvironmentId::new("env")
}

/// A decision as the watch shows it.
fn decision(name: &str, verb: Verb, state: Option<DecisionState>) -> WatchedDecision {
    let status = state.map(|state| CognigyDecisionStatus {
        state,
        message: String::new(),
        verified: None,
        at: "2026-01-01T12:00:00Z".parse().unwrap(),
    });
    serde_json::from_value(json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1",
        "kind": "CognigyDecision",
        "metadata": {"name": name, "namespace": "bots", "uid": name, "creationTimestamp": "2026-01-01T12:00:00Z"},
        "spec": {
            "deployment": "web",
            "environmentId": "env",
            "planId": "plan-0123456789abcdef",
            "verb": verb,
            "by": "anna",
            "reason": "tested in staging",
        },
        "status": status,
    }))
    .unwrap()
}

#[test]
fn a_decision_may_still_act_until_it_has_acted_or_expired() {
    let rows = [
        (None, true),
        (Some(DecisionState::Waiting), true),
        // It may be ignored only for want of proof, until this process has reported it with proof.
        (Some(DecisionState::Ignored), true),
        (Some(DecisionState::Acted), false),
        (Some(DecisionState::Expired), false),
    ];
    for (state, is_open) in rows {
        let gates = GateRegistry::new("operator");
        let about = gates.observe_decision(&Event::Apply(decision("one", Verb::Retry, state)));
        assert_eq!((about, gates.has_open_decision(&web())), (Some(web()), is_open), "{state:?}");
        let reported = gates.decisions.lock().about(&web(), &env())[0].record.clone();
        gates.decisions.lock().reported(&web(), &[reported]);
        // The watch shows what the operator has written.
        gates.observe_decision(&Event::Apply(decision("one", Verb::Retry, state)));
        let is_open = is_open && state != Some(DecisionState::Ignored);
        assert_eq!(gates.has_open_decision(&web()), is_open, "{state:?}, reported with proof");
    }
}

#[test]
fn only_a_decision_to_roll_back_that_is_not_dealt_with_is_urgent() {
    let rows = [
        (Verb::Rollback, None, true),
        (Verb::Rollback, Some(DecisionState::Waiting), true),
        (Verb::Rollback, Some(DecisionState::Ignored), false),
        (Verb::Rollback, Some(DecisionState::Acted), false),
        (Verb::Approve, None, false),
    ];
    for (verb, state, is_urgent) in rows {
        let gates = GateRegistry::new("operator");
        gates.observe_decision(&Event::Apply(decision("one", verb, state)));
        assert_eq!(gates.has_urgent_decision(&web(), None), is_urgent, "{verb} {state:?}");
        gates.observe_decision(&Event::Delete(decision("one", verb, state)));
        assert!(!gates.has_urgent_decision(&web(), None) && !gates.has_open_decision(&web()));
    }
}

#[test]
fn a_window_of_the_operators_namespace_applies_everywhere_and_another_one_in_its_own_namespace() {
    let gates = GateRegistry::new("operator");
    let rows =
        [("operator", "bots", true), ("operator", "operator", true), ("bots", "bots", true), ("bots", "shop", false)];
    for (window, resource, applies) in rows {
        assert_eq!(gates.window_applies_in(window, resource), applies, "{window} {resource}");
    }
}
/// A change of this decision, with another content.
fn applied(name: &str, spec: Value, status: Value) -> Event<WatchedDecision> {
    let mut object = json!({
        "metadata": {
            "name": name, "generateName": "approve-", "namespace": "bots", "uid": name,
            "creationTimestamp": "2026-01-01T12:00:00Z",
        },
        "spec": {
            "deployment": "web", "environmentId": "env", "planId": "plan-0123456789abcdef", "verb": "Approve", "by": "anna",
            "reason": "tested in staging",
        },
        "status": status,
    });
    if name.starts_with("named") {
        object["metadata"].as_object_mut().unwrap().remove("generateName");
    }
    for (field, value) in spec.as_object().unwrap() {
        object["spec"][field] = value.clone();
    }
    Event::Apply(serde_json::from_value(object).unwrap())
}

fn status(state: &str) -> Value {
    json!({"state": state, "verified": true, "at": "2026-01-01T12:00:00Z"})
}

fn prunable(gates: &GateRegistry) -> Vec<String> {
    prunable_at(gates, "2026-01-02T12:00:00Z")
}

fn prunable_at(gates: &GateRegistry, now: &str) -> Vec<String> {
    gates.prunable(now.parse().unwrap()).into_iter().map(|(_, record)| record.name.clone()).collect()
}

#[test]
fn decisions_about_another_environment_neither_push_out_those_that_count_nor_delete_them() {
    let gates = GateRegistry::new("operator");
    gates.observe_decision(&applied("0-rollback", json!({"verb": "Rollback"}), Value::Null));
    gates.observe_decision(&applied("0-acted", json!({}), status("Acted")));
    for number in 100..201 {
        let other = applied(&format!("{number}-dev"), json!({"environmentId": "env_dev"}), Value::Null);
        assert_eq!(gates.observe_decision(&other), Some(web()));
    }
    let counted: Vec<String> =
        gates.decisions.lock().about(&web(), &env()).iter().map(|known| known.record.name.clone()).collect();
    assert_eq!(counted, ["0-acted", "0-rollback"]);
    assert!(gates.has_urgent_decision(&web(), Some(&object("env", None))));
    assert!(prunable(&gates).is_empty());
    // A resource at rest does not know its environment. Nothing may hide the decision, so that it is read.
    for number in 100..140 {
        let other = json!({"environmentId": format!("a{number}")});
        gates.observe_decision(&applied(&format!("{number}-a"), other, status("Expired")));
    }
    assert!(gates.has_open_decision(&web()));
    // They get a state, a few at a time.
    let elsewhere = gates.decisions.lock().elsewhere(&web(), &env());
    assert_eq!(elsewhere.len(), 8);
    assert!(elsewhere.iter().all(|known| known.record.environment_id == EnvironmentId::new("env_dev")));
    for known in &elsewhere {
        gates.observe_decision(&applied(&known.record.name, json!({"environmentId": "env_dev"}), status("Expired")));
    }
    assert!(gates.has_open_decision(&web()));
    let next = gates.decisions.lock().elsewhere(&web(), &env());
    assert!(next.len() == 8 && next.iter().all(|known| elsewhere.iter().all(|done| done.record != known.record)));
}

#[test]
fn the_newest_decisions_count_and_come_in_the_order_of_their_creation() {
    let gates = GateRegistry::new("operator");
    for number in 100..150 {
        gates.observe_decision(&applied(&number.to_string(), json!({}), Value::Null));
    }
    let known = gates.decisions.lock().about(&web(), &env());
    let names: Vec<&str> = known.iter().map(|known| known.record.name.as_str()).collect();
    assert_eq!((names.len(), names.first(), names.last()), (32, Some(&"118"), Some(&"149")));
}

#[test]
fn of_too_many_decisions_only_those_are_deleted_that_are_dealt_with_and_have_a_generated_name() {
    let gates = GateRegistry::new("operator");
    let oldest = [
        ("0-acted", status("Acted")),
        ("1-expired", status("Expired")),
        ("2-ignored", status("Ignored")),
        ("3-waiting", status("Waiting")),
        ("4-new", Value::Null),
    ];
    for (name, status) in oldest {
        gates.observe_decision(&applied(name, json!({}), status));
    }
    // Sorts after the others, so that there are 100 newer ones than the oldest six.
    for number in 0..100 {
        gates.observe_decision(&applied(&format!("z{number}"), json!({}), status("Acted")));
    }
    gates.observe_decision(&applied("named", json!({}), status("Acted")));
    assert_eq!(prunable(&gates), ["0-acted", "1-expired", "2-ignored"]);
}

/// The resource, and the plan of its attempt.
fn object(environment: &str, plan: Option<&str>) -> CognigyDeployment {
    let mut object = json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1",
        "kind": "CognigyDeployment",
        "metadata": {"name": "web", "namespace": "bots"},
        "spec": {"environmentId": environment, "configurationSnapshot": {}},
    });
    if let Some(plan) = plan {
        object["status"] = json!({"attempt": {
            "number": 1, "generation": 1, "digest": "v1:x", "step": "Monitoring", "planId": plan,
            "startedAt": "2026-01-01T00:00:00Z", "checks": {"digest": "v1:y"},
        }});
    }
    serde_json::from_value(object).unwrap()
}

#[test]
fn a_decision_interrupts_the_reconcile_of_its_own_environment_and_plan_once() {
    let gates = GateRegistry::new("operator");
    let plan = "plan-0123456789abcdef";
    let rollback = |status| applied("one", json!({"verb": "Rollback"}), status);
    let decided = rollback(Value::Null);
    gates.observe_decision(&decided);
    for (environment, other_plan) in [("env_other", None), ("env_other", Some(plan)), ("env", Some("plan-1"))] {
        let object = object(environment, other_plan);
        assert!(!gates.interrupts(&decided, &object), "{environment} {other_plan:?}");
        assert!(!gates.has_urgent_decision(&web(), Some(&object)), "{environment} {other_plan:?}");
    }
    let this = object("env", Some(plan));
    // Another decision does not interrupt for this one.
    let approval = applied("two", json!({}), Value::Null);
    gates.observe_decision(&approval);
    assert!(!gates.interrupts(&approval, &this));
    assert!(gates.interrupts(&decided, &this));
    let waiting = rollback(status("Waiting"));
    gates.observe_decision(&waiting);
    assert!(!gates.interrupts(&waiting, &this), "it has interrupted already");
    assert!(gates.has_urgent_decision(&web(), Some(&this)));
}

#[test]
fn a_decision_whose_author_is_not_proven_is_not_urgent() {
    let gates = GateRegistry::new("operator");
    gates.observe_decision(&applied("one", json!({"verb": "Reject"}), Value::Null));
    let record = gates.decisions.lock().about(&web(), &env())[0].record.clone();
    gates.decisions.lock().checked(&web(), &[record], false);
    assert!(!gates.has_urgent_decision(&web(), None));
    let known = &gates.decisions.lock().about(&web(), &env())[0];
    assert!(known.is_unproven_unwritten(), "its status must say so before anything acts");
}

#[test]
fn a_decision_that_cannot_be_read_is_reported_once() {
    let gates = GateRegistry::new("operator");
    let unreadable = || applied("one", json!({"verb": "Dance"}), Value::Null);
    assert_eq!(gates.observe_decision(&unreadable()), None);
    let noted = gates.decisions.lock().unreadable();
    let (name, decision) = &noted[0];
    assert_eq!((&*name.name, decision.uid.as_str()), ("one", "one"));
    assert!(decision.problem.contains("Dance"), "{}", decision.problem);
    gates.decisions.lock().reported_unreadable(name);
    // The watch shows the written status.
    gates.observe_decision(&unreadable());
    assert!(gates.decisions.lock().unreadable().is_empty());
    gates.observe_decision(&applied("two", json!({"verb": "Dance"}), Value::Null));
    gates.observe_decision(&applied("two", json!({}), Value::Null));
    assert!(gates.decisions.lock().unreadable().is_empty());
}

#[test]
fn what_is_in_flight_waits_only_for_the_check_of_a_decision_that_ends_or_undoes_it_or_tries_again() {
    let attempt = object("env", Some("plan-0123456789abcdef")).status.unwrap().attempt.unwrap();
    for (verb, expected) in
        [("Approve", false), ("Override", false), ("Rollback", true), ("Reject", true), ("Retry", true)]
    {
        let gates = GateRegistry::new("operator");
        gates.observe_decision(&applied("one", json!({"verb": verb}), Value::Null));
        let known = gates.decisions.lock().about(&web(), &env());
        assert_eq!(can_matter(Some(&attempt), &known), expected, "{verb}");
        assert!(can_matter(None, &known), "{verb}: nothing is in flight");
        gates.observe_decision(&applied("one", json!({"verb": verb}), status("Acted")));
        assert!(!can_matter(Some(&attempt), &gates.decisions.lock().about(&web(), &env())), "{verb} has acted");
    }
}

#[test]
fn no_decision_counts_or_is_kept_for_longer_than_90_days_whatever_end_it_names() {
    let gates = GateRegistry::new("operator");
    let never = json!({"verb": "Rollback", "expiresAt": "9999-01-01T00:00:00Z"});
    gates.observe_decision(&applied("one", never, Value::Null));
    let record = gates.decisions.lock().about(&web(), &env())[0].record.clone();
    assert_eq!(record.expiry(None).to_string(), "2026-04-01T12:00:00Z");
    assert!(prunable_at(&gates, "2026-04-01T12:00:00Z").is_empty());
    assert_eq!(prunable_at(&gates, "2026-04-01T12:00:01Z"), ["one"]);
}
