//! What can be decided, for each state of a deployment.

use super::*;
use serde_json::{Value, json};

const PLAN: &str = "plan-7a2934b468d32a1c";
const OTHER: &str = "plan-0000000000000000";
const NOW: &str = "2026-12-24T12:00:00Z";

fn merge(base: &mut Value, patch: &Value) {
    match (base, patch) {
        (Value::Object(base), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, patch) => *base = patch.clone(),
    }
}

/// A deployment that needs two approvals, with this over an attempt that waits for them.
fn deployment(spec: &Value, attempt: &Value) -> CognigyDeployment {
    let mut whole = json!({
        "number": 3, "digest": "v1:aa", "version": "2.5.0", "planId": PLAN, "generation": 2, "step": "Tracing",
        "startedAt": "2026-12-24T11:00:00Z",
        "checks": {
            "digest": "v1:cc", "validation": {"passedAt": "2026-12-24T11:00:05Z"},
            "syntheticTrace": {"passedAt": "2026-12-24T11:00:10Z"},
        },
        "gates": {
            "since": "2026-12-24T11:00:10Z",
            "closed": [{"reason": "AwaitingApproval", "message": "it has 1 of 2 approvals (anna)"}],
            "approvals": [{"uid": "1", "name": "bot-approve-1", "by": "anna", "at": "2026-12-24T11:30:00Z"}],
        },
    });
    merge(&mut whole, attempt);
    let mut object = json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "CognigyDeployment",
        "metadata": {"namespace": "bots", "name": "bot", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {
            "environmentId": "env_1", "configurationSnapshot": {"botVersion": "2.5.0"}, "approval": {"required": 2},
        },
        "status": {
            "observedGeneration": 2, "attempt": whole,
            "running": {"configuration": "2.4.1", "since": "2026-12-01T00:00:00Z", "attempt": 2},
        },
    });
    merge(&mut object["spec"], spec);
    serde_json::from_str(&object.to_string()).unwrap()
}

fn waiting() -> CognigyDeployment {
    deployment(&json!({}), &json!({}))
}

fn ended() -> CognigyDeployment {
    let verdict = json!({"outcome": "Failed", "reason": "ValidationRefused", "at": "2026-12-24T11:00:05Z"});
    deployment(&json!({}), &json!({"verdict": verdict, "gates": null}))
}

fn in_flight() -> CognigyDeployment {
    let submission = json!({
        "intendedAt": "2026-12-24T11:31:00Z", "deadlineAt": "2026-12-24T11:36:00Z", "apiOrigin": "https://api.cognigy.ai",
        "idempotencyKey": "k", "requestHash": "h", "clientHash": "c",
    });
    deployment(&json!({}), &json!({"submission": submission, "step": "RollingOut"}))
}

fn none() -> CognigyDeployment {
    let mut deployment = waiting();
    deployment.status.as_mut().unwrap().attempt = None;
    deployment
}

fn decide(verb: Verb, deployment: &CognigyDeployment, plan: Option<&str>, me: &str) -> Result<Subject, String> {
    let plan: Option<PlanId> = plan.map(|plan| plan.parse().unwrap());
    let now = NOW.parse().unwrap();
    Question { verb, deployment, plan: plan.as_ref(), me, known: &[], now }.subject()
}

fn refused(verb: Verb, deployment: &CognigyDeployment, plan: Option<&str>) -> String {
    decide(verb, deployment, plan, "bert").unwrap_err()
}

fn fact<'s>(subject: &'s Subject, heading: &str) -> &'s str {
    let found = subject.facts.iter().find(|(name, _)| *name == heading);
    found.map_or_else(|| panic!("no {heading}: {subject:#?}"), |(_, text)| text.as_str())
}

#[test]
fn an_approver_sees_what_would_change_and_who_has_approved() {
    let subject = decide(Verb::Approve, &waiting(), None, "bert").unwrap();
    assert_eq!((subject.plan_id.as_str(), subject.is_ahead), (PLAN, false));
    assert_eq!(fact(&subject, "change"), "2.4.1 → 2.5.0");
    assert_eq!(fact(&subject, "checks"), "passed at 11:00:10 UTC (59m ago)");
    assert_eq!(fact(&subject, "approvals"), "1 of 2: anna");
    assert_eq!(fact(&subject, "waits"), "it has 1 of 2 approvals (anna)");
    assert_eq!(subject.next, "the rollout starts by itself");
    assert!(subject.warnings.is_empty());
}

#[test]
fn what_still_holds_the_rollout_back_after_the_decision_is_said() {
    let next = |spec: Value, closed: Value, verb: Verb| {
        let deployment = deployment(&spec, &json!({"gates": {"closed": closed}}));
        decide(verb, &deployment, None, "bert").unwrap().next
    };
    let approval = json!({"reason": "AwaitingApproval", "message": "m"});
    let window = json!({"reason": "WindowClosed", "message": "m"});
    let three = json!({"approval": {"required": 4}});
    assert_eq!(next(three, json!([approval]), Verb::Approve), "2 more people must approve");
    assert_eq!(next(json!({}), json!([approval, window]), Verb::Approve), "the rollout still waits: WindowClosed");
    assert_eq!(next(json!({}), json!([approval, window]), Verb::Override), "the rollout still waits: AwaitingApproval");
    assert_eq!(next(json!({}), json!([window]), Verb::Override), "the rollout starts by itself");
    assert!(next(json!({}), json!([approval]), Verb::Reject).contains("nothing is submitted"));
}

#[test]
fn another_plan_than_the_present_one_is_refused_with_both_ids() {
    for verb in [Verb::Approve, Verb::Reject, Verb::Override] {
        let message = refused(verb, &waiting(), Some(OTHER));
        assert!(message.contains(PLAN) && message.contains(OTHER), "{message}");
    }
    assert!(decide(Verb::Approve, &waiting(), Some(PLAN), "bert").is_ok());
}

#[test]
fn if_nothing_waits_the_message_says_why() {
    for (deployment, says) in [
        (ended(), "attempt 3 has ended as Failed (ValidationRefused)"),
        (in_flight(), "attempt 3 of bots/bot was submitted at 11:31:00 UTC: it is too late to approve"),
        (none(), "it has made no attempt yet"),
    ] {
        let message = refused(Verb::Approve, &deployment, None);
        assert!(message.contains(says) && message.contains("--plan"), "{message}");
        let message = refused(Verb::Reject, &deployment, Some(PLAN));
        assert!(!message.contains("--plan"), "a rejection ends an attempt: {message}");
    }
}

#[test]
fn a_plan_can_be_approved_before_its_attempt_exists() {
    for deployment in [ended(), in_flight(), none()] {
        let subject = decide(Verb::Approve, &deployment, Some(OTHER), "anna").unwrap();
        assert!(subject.is_ahead && subject.plan_id.as_str() == OTHER, "{subject:?}");
        assert!(subject.warnings[0].contains("kubectl cognigy plan"), "{subject:?}");
    }
    let warnings = decide(Verb::Approve, &in_flight(), Some(OTHER), "anna").unwrap().warnings;
    assert!(warnings.iter().any(|warning| warning.contains("another plan id")), "{warnings:?}");
}

#[test]
fn nobody_approves_twice_or_although_they_must_not() {
    let message = decide(Verb::Approve, &waiting(), None, "anna").unwrap_err();
    assert!(message.contains("bot-approve-1") && message.contains("each person counts once"), "{message}");
    let not_by = deployment(&json!({"approval": {"notBy": ["bert"]}}), &json!({}));
    assert!(refused(Verb::Approve, &not_by, None).contains("notBy"));
    let unneeded = deployment(&json!({"approval": null}), &json!({"gates": null}));
    assert!(refused(Verb::Approve, &unneeded, None).contains("needs no approval"));
    // The operator does not count what was given before, so it must be given again.
    let unverified = json!({"gates": {"closed": [{"reason": "ApproverUnverified", "message": "m"}]}});
    let subject = decide(Verb::Approve, &deployment(&json!({}), &unverified), None, "anna").unwrap();
    assert!(subject.warnings[0].contains("admission policy"), "{subject:?}");
}

#[test]
fn an_approval_that_the_operator_has_not_counted_yet_is_found_by_itself() {
    let decision = |by: &str, made_at: &str, status: Value| -> CognigyDecision {
        serde_json::from_value(json!({
            "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "CognigyDecision",
            "metadata": {"name": "mine", "namespace": "bots", "uid": "u", "creationTimestamp": made_at},
            "spec": {"deployment": "bot", "environmentId": "env_1", "planId": PLAN, "verb": "Approve", "by": by, "reason": "r"},
            "status": status,
        }))
        .unwrap()
    };
    let acted = json!({"state": "Acted", "at": NOW});
    for (decision, is_again) in [
        (decision("bert", "2026-12-24T11:59:00Z", Value::Null), true),
        (decision("carl", "2026-12-24T11:59:00Z", Value::Null), false),
        // It has expired: spec.approval.expiresAfterSeconds is a week.
        (decision("bert", "2026-12-10T11:59:00Z", Value::Null), false),
        (decision("bert", "2025-12-24T11:59:00Z", Value::Null), false),
        (decision("bert", "2026-12-24T11:59:00Z", acted), false),
    ] {
        let deployment = waiting();
        let question = Question {
            verb: Verb::Approve,
            deployment: &deployment,
            plan: None,
            me: "bert",
            known: std::slice::from_ref(&decision),
            now: NOW.parse().unwrap(),
        };
        assert_eq!(question.subject().is_err(), is_again, "{decision:?}");
    }
}

#[test]
fn a_window_is_overridden_only_if_it_is_closed_and_only_once() {
    assert!(refused(Verb::Override, &waiting(), None).contains("nothing to override"));
    let by = json!({"uid": "2", "name": "bot-override-1", "by": "carl", "at": NOW});
    let overridden = deployment(&json!({}), &json!({"gates": {"overriddenBy": by}}));
    assert!(refused(Verb::Override, &overridden, None).contains("carl overrides them already"));
    let unchecked =
        deployment(&json!({}), &json!({"step": "Pending", "checks": {"syntheticTrace": null}, "gates": null}));
    let subject = decide(Verb::Override, &unchecked, None, "bert").unwrap();
    assert_eq!(subject.next, "the checks come first; then it counts");
}

#[test]
fn a_suspension_is_named() {
    let suspended = deployment(&json!({"suspend": true}), &json!({}));
    let subject = decide(Verb::Approve, &suspended, None, "bert").unwrap();
    assert!(subject.warnings[0].contains("is suspended"), "{subject:?}");
    assert!(decide(Verb::Reject, &suspended, None, "bert").is_ok());
}
