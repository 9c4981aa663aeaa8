//! What a plan says about gates.

use super::plans::{live, object};
use super::{sample, sample_with};
use crate::plan::{Event, GateObjects, GateState, Plan, Texts, WindowObject, WindowState, plan};
use crate::render::{Report, Style, markdown, text};
use api::{CognigyDecision, CognigyDeployment, Digest, PlanId};
use serde_json::{Value, json};

fn planned(live: Option<&CognigyDeployment>, desired: &Value, known: &GateObjects) -> Plan {
    let desired = object(desired);
    plan(live, &desired, &Texts::default(), &[]).unwrap().with_gates(live, &desired, known)
}

fn two_approvals() -> Value {
    sample_with(&json!({"approval": {"required": 2}}))
}

fn approval(plan: &Plan, by: &str, patch: &Value) -> CognigyDecision {
    let mut decision = json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "CognigyDecision", "metadata": {"name": format!("a-{by}")},
        "spec": {"deployment": plan.name, "environmentId": plan.environment_id, "planId": plan.plan_id, "verb": "Approve",
            "by": by, "reason": "r"},
    });
    for (key, value) in patch.as_object().unwrap() {
        match key.as_str() {
            "status" => decision["status"] = value.clone(),
            key => decision["spec"][key] = value.clone(),
        }
    }
    serde_json::from_value(decision).unwrap()
}

fn window(kind: &str, status: &Value, patch: &Value) -> WindowObject {
    let mut object = json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "ChangeWindow",
        "metadata": {"namespace": "ops", "name": "christmas", "generation": 1},
        "spec": {"type": kind, "timeZone": "Europe/Berlin", "reason": "Christmas freeze",
            "once": {"from": "2026-12-19T18:00:00+01:00", "to": "2027-01-04T06:00:00+01:00"}},
        "status": status,
    });
    for (key, value) in patch.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    let window = serde_json::from_value(object).unwrap();
    WindowObject { namespace: "ops".to_owned(), name: "christmas".to_owned(), window: Some(Box::new(window)) }
}

fn status(is_active: bool) -> Value {
    json!({"observedGeneration": 1, "active": is_active, "nextChange": "Mon 2027-01-04 06:00 CET"})
}

fn with_windows(windows: Vec<WindowObject>) -> GateObjects {
    GateObjects { decisions: None, windows: Some(windows) }
}

#[test]
fn a_plan_without_gates_says_nothing_about_them() {
    let plain = plan(None, &object(&sample()), &Texts::default(), &[]).unwrap();
    assert_eq!(planned(None, &sample(), &GateObjects::default()), plain);
}

#[test]
fn the_approvals_of_this_very_plan_are_counted_by_person() {
    let plan = planned(None, &two_approvals(), &GateObjects::default());
    let id = plan.plan_id.clone().unwrap();
    assert!(
        plan.next.message.contains(&format!(
            "After its checks it waits for 2 approvals (`kubectl cognigy approve {} -n bots --plan {id} --reason '…'`)",
            plan.name
        )),
        "{}",
        plan.next.message
    );
    let other = PlanId::of(plan.digest.as_ref().unwrap(), &plan.checks_digest, plan.digest.as_ref());
    let expired = json!({"status": {"state": "Expired", "at": "2026-01-01T00:00:00Z"}});
    let ignored = json!({"status": {"state": "Ignored", "message": "another plan", "at": "2026-01-01T00:00:00Z"}});
    let decisions = vec![
        approval(&plan, "anna", &ignored),
        approval(&plan, "anna", &json!({})),
        approval(&plan, "bert", &expired),
        approval(&plan, "carl", &json!({"planId": other})),
        approval(&plan, "dora", &json!({"verb": "Reject"})),
        approval(&plan, "emil", &json!({"environmentId": "other"})),
    ];
    let known = GateObjects { decisions: Some(decisions), windows: None };
    let plan = planned(None, &two_approvals(), &known);
    assert_eq!(plan.gates.as_ref().unwrap().approval.as_ref().unwrap().given_by, ["anna"]);
    assert!(plan.next.message.contains("waits for 1 approval (") && plan.awaits_approval(), "{}", plan.next.message);
    let excluded = sample_with(&json!({"approval": {"required": 1, "notBy": ["anna"]}}));
    assert!(planned(None, &excluded, &known).awaits_approval(), "spec.approval.notBy");
    let one = sample_with(&json!({"approval": {"required": 1}}));
    let approved = planned(None, &one, &known);
    assert!(!approved.awaits_approval() && !approved.next.message.contains("waits"), "{}", approved.next.message);
}

#[test]
fn windows_that_apply_are_listed_by_their_status_and_only_those_that_close_are_waited_for() {
    let of = |window: WindowObject| planned(None, &sample(), &with_windows(vec![window]));
    let state = |plan: &Plan| plan.gates.as_ref().unwrap().windows[0].state;
    let closed = of(window("Deny", &status(true), &json!({})));
    assert!(
        closed.next.message.ends_with(
            "waits for the change window ops/christmas (Christmas freeze): Deny, active, ends Mon 2027-01-04 06:00 CET"
        ),
        "{}",
        closed.next.message
    );
    for (kind, status, expected, is_closed) in [
        ("Deny", status(false), WindowState::Inactive, false),
        ("Allow", status(true), WindowState::Active, false),
        ("Allow", status(false), WindowState::Inactive, true),
        ("Deny", Value::Null, WindowState::NotEvaluated, false),
        ("Deny", json!({"observedGeneration": 0, "active": true}), WindowState::NotEvaluated, false),
    ] {
        let plan = of(window(kind, &status, &json!({})));
        assert_eq!((state(&plan), plan.next.message.contains("waits")), (expected, is_closed), "{kind} {status}");
    }
    let broken = WindowObject { namespace: "ops".to_owned(), name: "broken".to_owned(), window: None };
    assert!(of(broken).next.message.contains("unreadable"));
    for other in [json!({"environmentIds": ["other"]}), json!({"matchLabels": {"team": "other"}})] {
        assert_eq!(of(window("Deny", &status(true), &other)).gates, None, "{other}");
    }
    let open = vec![window("Allow", &status(false), &json!({})), window("Allow", &status(true), &json!({}))];
    assert!(!planned(None, &sample(), &with_windows(open)).next.message.contains("waits"), "one of two is active");
}

#[test]
fn required_deployments_are_those_of_the_manifest_and_their_state_is_what_the_attempt_has_recorded() {
    let desired = sample_with(
        &json!({"requires": [{"name": "staging", "healthyForSeconds": 600}, {"name": "b", "namespace": "x", "sameRelease": false}]}),
    );
    let plan = planned(None, &desired, &GateObjects::default());
    assert!(
        plan.next.message.contains(
            "waits for the success of bots/staging with the same release, healthy for 600 s and the success of x/b"
        ),
        "{}",
        plan.next.message
    );
    let at_gates = |closed: Value| {
        let mut value = serde_json::to_value(live("Tracing", None)).unwrap();
        value["spec"]["requires"] = desired["spec"]["requires"].clone();
        let digest = value["status"]["attempt"]["digest"].clone();
        let digest: Digest = serde_json::from_value(digest).unwrap();
        let checks = Digest::of_checks(&object(&desired).spec);
        let attempt = &mut value["status"]["attempt"];
        attempt["planId"] = json!(PlanId::of(&digest, &checks, None));
        attempt["checks"]["validation"] = json!({"passedAt": "2026-01-01T12:00:01Z"});
        attempt["checks"]["syntheticTrace"] = json!({"passedAt": "2026-01-01T12:00:02Z"});
        attempt["gates"] = json!({"since": "2026-01-01T12:00:02Z", "closed": closed});
        object(&value)
    };
    let state = |live: &CognigyDeployment| {
        let plan = planned(Some(live), &desired, &GateObjects::default());
        (plan.gates.clone().unwrap().requires.unwrap(), plan.next)
    };
    let closed = json!([{"reason": "AwaitingUpstream", "message": "staging has not deployed it"}]);
    let (requires, next) = state(&at_gates(closed));
    assert_eq!((requires.state, requires.message.as_deref()), (GateState::Closed, Some("staging has not deployed it")));
    assert_eq!(next.event, Event::Nothing);
    assert!(next.message.contains("It waits for the success of bots/staging"), "{}", next.message);
    let window = json!([{"reason": "WindowClosed", "message": "w"}]);
    assert_eq!(state(&at_gates(window)).0.state, GateState::Open);
    assert_eq!(state(&live("Tracing", None)).0.state, GateState::NotEvaluated);
}

#[test]
fn gates_are_rendered_for_people_and_programs() {
    let known = with_windows(vec![window("Deny", &status(true), &json!({"reason": "a\u{1b}[2J|<b>"}))]);
    let desired = sample_with(&json!({"approval": {"required": 2}, "requires": [{"name": "staging"}]}));
    let report = Report { plans: vec![planned(None, &desired, &known)], ..Report::default() };
    let plain = text(&report, Style::Plain);
    for line in [
        "  approvals: 0 of 2\n",
        "  requires: the success of bots/staging with the same release: not evaluated for this plan yet\n",
        "  window: ops/christmas (a\u{fffd}[2J|<b>): Deny, active, ends Mon 2027-01-04 06:00 CET\n",
    ] {
        assert!(plain.contains(line), "{line}: {plain}");
    }
    let comment = markdown(&report);
    assert!(comment.contains("**Needs a person:**") && comment.contains("Gate (approvals): 0 of 2"), "{comment}");
    assert!(!comment.contains("<b>") && !comment.contains('\u{1b}'), "{comment}");
    let json: Value = serde_json::from_str(&report.json().unwrap()).unwrap();
    let gates = &json["plans"][0]["gates"];
    assert_eq!((&gates["approval"]["required"], &gates["requires"]["state"]), (&json!(2), &json!("NotEvaluated")));
    assert_eq!((&gates["windows"][0]["type"], &gates["windows"][0]["state"]), (&json!("Deny"), &json!("Active")));
}

/// The operator's own functions, so that an approval of a printed id is an approval of the attempt.
#[test]
fn the_id_of_a_plan_is_the_one_that_the_operator_computes() {
    for live in [None, Some(live("Settled", Some("Succeeded"))), Some(live("Settled", Some("Failed")))] {
        let desired = sample_with(&json!({"configurationSnapshot": {"botVersion": "3.0.0"}}));
        let plan = planned(live.as_ref(), &desired, &GateObjects::default());
        let spec = &object(&desired).spec;
        let status = live.and_then(|live| live.status).unwrap_or_default();
        let target = rollout::facts::Target::of(spec, spec.configuration_snapshot.as_ref().unwrap(), None).unwrap();
        let attempt = serde_json::from_value(json!({
            "number": 8, "digest": target.digest, "generation": 1, "step": "Pending", "startedAt": "2026-01-01T12:00:00Z",
            "checks": {"digest": target.checks_digest},
        }))
        .unwrap();
        let operators = rollout::gates::plan_id(&attempt, rollout::gates::running_digest(&status));
        assert_eq!(plan.plan_id, Some(operators));
    }
}
