#![allow(clippy::unwrap_used)]

use super::*;
use api::decision::{CognigyDecisionStatus, DecisionState, Verb};
use serde_json::json;

fn web() -> ResourceName {
    ResourceName { namespace: "bots".into(), name: "web".into() }
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
        let reported = gates.decisions.lock().about(&web())[0].record.clone();
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
        assert_eq!(gates.has_urgent_decision(&web()), is_urgent, "{verb} {state:?}");
        gates.observe_decision(&Event::Delete(decision("one", verb, state)));
        assert!(!gates.has_urgent_decision(&web()) && !gates.has_open_decision(&web()));
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
