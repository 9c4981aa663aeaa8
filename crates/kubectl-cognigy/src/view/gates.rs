//! The gates between the checks and the submit, as the operator has recorded them.

use super::stages::{Progress, Stage};
use crate::output::{age, clock_time, short_duration};
use api::condition::{ConditionSet, ConditionType};
use api::spec::Approval;
use api::status::{Attempt, ClosedGate, CognigyDeploymentStatus, Gates};
use api::{CognigyDeployment, Reason};
use jiff::Timestamp;
use serde::Serialize;

/// The name of the stage.
const NAME: &str = "gates";

/// One gate. docs/by-hand.md documents these fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GateLine {
    /// upstream, approval or window.
    pub name: &'static str,
    /// Whether it is open.
    pub progress: Progress,
    /// The reason, if it is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it opens by itself, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<Timestamp>,
    /// The details.
    pub detail: String,
}

/// How many people must approve the current attempt, and who has. docs/by-hand.md documents these fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Approvals {
    /// How many people must approve.
    pub required: usize,
    /// Who has approved.
    pub by: Vec<String>,
}

/// The approvals of the current attempt, if it needs any.
#[must_use]
pub fn approvals(deployment: &CognigyDeployment) -> Option<Approvals> {
    let required = deployment.spec.approval.as_ref()?.people();
    let gates = deployment.status.as_ref().and_then(|status| status.attempt.as_ref()?.gates.as_ref());
    let by = gates.map_or_else(Vec::new, |gates| gates.approvals.iter().map(|approval| approval.by.clone()).collect());
    Some(Approvals { required, by })
}

/// How many of the required people have approved, and who.
#[must_use]
pub fn of_required(required: usize, gates: Option<&Gates>) -> String {
    let approvals = gates.map_or(&[][..], |gates| &gates.approvals);
    let names: Vec<&str> = approvals.iter().map(|approval| approval.by.as_str()).collect();
    match names.is_empty() {
        true => format!("0 of {required}"),
        false => format!("{} of {required}: {}", names.len(), names.join(", ")),
    }
}

/// The stage. `None` if the attempt met no gate and none is expected.
#[must_use]
pub fn stage(
    deployment: &CognigyDeployment,
    status: &CognigyDeploymentStatus,
    attempt: &Attempt,
    now: Timestamp,
) -> Option<Stage> {
    let gates = attempt.gates.as_ref();
    let is_expected = deployment.spec.approval.is_some() || !deployment.spec.requires.is_empty();
    if gates.is_none() && !is_expected {
        return None;
    }
    let since = gates.and_then(|gates| gates.since);
    let lines = lines(deployment.spec.approval.as_ref(), attempt, now);
    let closed = gates.map_or(0, |gates| gates.closed.len());
    let stage = |progress, at, detail: String| Some(Stage { name: NAME, progress, at, detail, gates: lines.clone() });
    if let Some(submission) = &attempt.submission {
        let waited =
            since.map(|since| format!("after {}", short_duration(submission.intended_at.duration_since(since))));
        return stage(
            Progress::Done,
            Some(submission.intended_at),
            format!("open {}", waited.unwrap_or_default()).trim().to_owned(),
        );
    }
    if attempt.verdict.is_some() {
        let rejected =
            status.conditions.find(ConditionType::GatesOpen).filter(|found| found.reason == Reason::Rejected);
        return match rejected {
            Some(rejected) => Some(Stage {
                name: NAME,
                progress: Progress::Failed,
                at: Some(rejected.last_transition_time),
                detail: rejected.message.clone(),
                gates: Vec::new(),
            }),
            None => Some(Stage {
                name: NAME,
                progress: Progress::Skipped,
                at: None,
                detail: "not passed".to_owned(),
                gates: Vec::new(),
            }),
        };
    }
    match (attempt.checks.passed_at(), closed) {
        (None, _) => stage(Progress::Waiting, None, String::new()),
        (Some(_), 0) if gates.is_some() => stage(Progress::Done, since, "open".to_owned()),
        (Some(_), 0) => stage(Progress::Active, None, "the operator evaluates them".to_owned()),
        (Some(_), closed) => {
            let waits = since.map(|since| format!(", waits for {}", age(since, now))).unwrap_or_default();
            stage(Progress::Active, since, format!("{closed} closed{waits}"))
        }
    }
}

/// One line for each gate that is closed, that people had to open, or that is still to come.
fn lines(approval: Option<&Approval>, attempt: &Attempt, now: Timestamp) -> Vec<GateLine> {
    let gates = attempt.gates.as_ref();
    let closed = gates.map_or(&[][..], |gates| &gates.closed);
    let mut lines: Vec<GateLine> = closed.iter().map(|gate| closed_line(gate, approval, gates, now)).collect();
    let is_approval_closed = closed.iter().any(|gate| gate.reason.is_about_approvals());
    let has_approvals = gates.is_some_and(|gates| !gates.approvals.is_empty());
    if !is_approval_closed && (approval.is_some() || has_approvals) {
        let given = gates.map_or(0, |gates| gates.approvals.len());
        let required = approval.map_or(given, Approval::people);
        // Before the checks have passed, the operator has counted nothing.
        let progress = if has_approvals { Progress::Done } else { Progress::Waiting };
        lines.push(open_line("approval", progress, of_required(required, gates)));
    }
    if let Some(decision) = gates.and_then(|gates| gates.overridden_by.as_ref()) {
        let detail = format!(
            "overridden by {} at {} UTC, with the decision {}",
            decision.by,
            clock_time(decision.at, now),
            decision.name
        );
        lines.push(open_line("window", Progress::Done, detail));
    }
    lines
}

fn open_line(name: &'static str, progress: Progress, detail: String) -> GateLine {
    GateLine { name, progress, reason: None, opens_at: None, detail }
}

fn closed_line(gate: &ClosedGate, approval: Option<&Approval>, gates: Option<&Gates>, now: Timestamp) -> GateLine {
    let name = match gate.reason {
        reason if reason.is_about_approvals() => "approval",
        reason if reason.is_about_upstream() => "upstream",
        _ => "window",
    };
    let count = approval.filter(|_| name == "approval").map(|approval| of_required(approval.people(), gates));
    let opens = gate.opens_at.map(|at| {
        let left = at.duration_since(now);
        match left.is_positive() {
            true => format!("opens in {} ({} UTC)", short_duration(left), clock_time(at, now)),
            false => format!("was to open at {} UTC", clock_time(at, now)),
        }
    });
    let detail: Vec<String> = count.into_iter().chain(opens).chain([gate.message.clone()]).collect();
    GateLine {
        name,
        progress: Progress::Active,
        reason: Some(gate.reason.to_string()),
        opens_at: gate.opens_at,
        detail: detail.join("; "),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: &str = "2026-12-24T12:00:00Z";

    fn deployment(approval: &Value, attempt: &Value) -> CognigyDeployment {
        let mut whole = json!({
            "number": 3, "digest": "v1:aa", "generation": 2, "step": "Tracing", "startedAt": "2026-12-24T11:00:00Z",
            "checks": {
                "digest": "v1:cc", "validation": {"passedAt": "2026-12-24T11:00:05Z"},
                "syntheticTrace": {"passedAt": "2026-12-24T11:00:10Z"},
            },
        });
        for (key, value) in attempt.as_object().unwrap() {
            whole[key] = value.clone();
        }
        let object = json!({
            "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "CognigyDeployment",
            "metadata": {"namespace": "bots", "name": "bot"},
            "spec": {"environmentId": "env_1", "configurationSnapshot": {"a": 1}, "approval": approval},
            "status": {"observedGeneration": 2, "attempt": whole},
        });
        serde_json::from_str(&object.to_string()).unwrap()
    }

    fn of(approval: &Value, attempt: &Value) -> Option<Stage> {
        let deployment = deployment(approval, attempt);
        let status = deployment.status.as_ref().unwrap();
        stage(&deployment, status, status.attempt.as_ref().unwrap(), NOW.parse().unwrap())
    }

    fn approval(by: &str) -> Value {
        json!({"uid": by, "name": format!("approve-{by}"), "by": by, "at": "2026-12-24T11:30:00Z"})
    }

    fn two() -> Value {
        json!({"required": 2})
    }

    #[test]
    fn each_closed_gate_has_a_line_with_what_is_missing_and_when_it_opens() {
        let gates = json!({
            "since": "2026-12-24T11:00:10Z", "approvals": [approval("anna")],
            "closed": [
                {"reason": "AwaitingUpstream", "message": "staging has not deployed it"},
                {"reason": "AwaitingApproval", "message": "approve it"},
                {"reason": "WindowClosed", "message": "the freeze", "opensAt": "2027-01-04T05:00:00Z"},
            ],
        });
        let stage = of(&two(), &json!({"gates": gates})).unwrap();
        assert_eq!((stage.progress, stage.detail.as_str()), (Progress::Active, "3 closed, waits for 59m"));
        let lines: Vec<(&str, &str)> = stage.gates.iter().map(|gate| (gate.name, gate.detail.as_str())).collect();
        let expected = [
            ("upstream", "staging has not deployed it"),
            ("approval", "1 of 2: anna; approve it"),
            ("window", "opens in 10d (2027-01-04 05:00:00 UTC); the freeze"),
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_people_have_opened_is_shown_with_their_names() {
        let gates = json!({
            "since": "2026-12-24T11:00:10Z", "approvals": [approval("anna"), approval("bert")],
            "overriddenBy": approval("carl"),
        });
        let submission = json!({
            "intendedAt": "2026-12-24T11:30:10Z", "deadlineAt": "2026-12-24T11:36:00Z", "apiOrigin": "https://api.cognigy.ai",
            "idempotencyKey": "k", "requestHash": "h", "clientHash": "c",
        });
        let stage = of(&two(), &json!({"gates": gates, "submission": submission, "step": "RollingOut"})).unwrap();
        assert_eq!((stage.progress, stage.detail.as_str()), (Progress::Done, "open after 30m"));
        assert_eq!(stage.gates[0].detail, "2 of 2: anna, bert");
        assert_eq!(stage.gates[1].detail, "overridden by carl at 11:30:00 UTC, with the decision approve-carl");
    }

    #[test]
    fn before_the_checks_have_passed_the_gates_wait_and_without_gates_there_is_no_stage() {
        let unchecked = json!({"step": "Validating", "checks": {"digest": "v1:cc"}});
        let stage = of(&two(), &unchecked).unwrap();
        assert_eq!((stage.progress, stage.gates[0].progress), (Progress::Waiting, Progress::Waiting));
        assert_eq!(stage.gates[0].detail, "0 of 2");
        assert_eq!(of(&Value::Null, &unchecked), None);
    }

    #[test]
    fn a_rejection_is_shown_with_its_words() {
        let verdict = json!({"outcome": "Abandoned", "reason": "Rejected", "at": NOW});
        let mut deployment = deployment(&two(), &json!({"verdict": verdict, "step": "Settled"}));
        let condition = json!([{"type": "GatesOpen", "status": "False", "observedGeneration": 2, "reason": "Rejected",
            "lastTransitionTime": NOW, "message": "rejected by anna: wrong greeting"}]);
        let status = deployment.status.as_mut().unwrap();
        status.conditions = serde_json::from_value(condition).unwrap();
        let status = deployment.status.as_ref().unwrap();
        let stage = stage(&deployment, status, status.attempt.as_ref().unwrap(), NOW.parse().unwrap()).unwrap();
        assert_eq!((stage.progress, stage.detail.as_str()), (Progress::Failed, "rejected by anna: wrong greeting"));
    }
}
