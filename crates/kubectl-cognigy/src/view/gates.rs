//! The gates between the checks and the submit, as the operator has recorded them.

use super::stages::{Progress, Stage};
use crate::output::{age, clock_time, short_duration};
use api::condition::{ConditionSet, ConditionType};
use api::spec::Approval;
use api::status::{Attempt, ClosedGate, Gates};
use api::{CognigyDeployment, Reason};
use jiff::Timestamp;
use serde::Serialize;

/// The name of the stage.
pub const NAME: &str = "gates";

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
pub fn stage(deployment: &CognigyDeployment, now: Timestamp) -> Option<Stage> {
    let status = deployment.status.as_ref()?;
    let attempt = status.attempt.as_ref()?;
    let gates = attempt.gates.as_ref();
    let is_expected = deployment.spec.approval.is_some() || !deployment.spec.requires.is_empty();
    if gates.is_none() && !is_expected {
        return None;
    }
    let since = gates.and_then(|gates| gates.since);
    let stage = |progress, at, detail: String| Some(Stage { name: NAME, progress, at, detail });
    if let Some(submission) = &attempt.submission {
        let waited = since.map(|since| submission.intended_at.duration_since(since));
        let detail =
            waited.map_or_else(|| "open".to_owned(), |waited| format!("open after {}", short_duration(waited)));
        return stage(Progress::Done, Some(submission.intended_at), detail);
    }
    if attempt.verdict.is_some() {
        let found = status.conditions.find(ConditionType::GatesOpen);
        return match found.filter(|found| found.reason == Reason::Rejected) {
            Some(rejected) => stage(Progress::Failed, Some(rejected.last_transition_time), rejected.message.clone()),
            None => stage(Progress::Skipped, None, "not passed".to_owned()),
        };
    }
    match (attempt.checks.passed_at(), gates.map(|gates| gates.closed.len())) {
        (None, _) => stage(Progress::Waiting, None, String::new()),
        (Some(_), None) => stage(Progress::Active, None, "the operator evaluates them".to_owned()),
        (Some(_), Some(0)) => stage(Progress::Done, since, "open".to_owned()),
        (Some(_), Some(closed)) => {
            let waits = since.map(|since| format!(", waits for {}", age(since, now))).unwrap_or_default();
            stage(Progress::Active, since, format!("{closed} closed{waits}"))
        }
    }
}

/// One line for each gate that is closed, that people had to open, or that is still to come. Empty if the attempt ended before its
/// submit.
#[must_use]
pub fn lines(deployment: &CognigyDeployment, now: Timestamp) -> Vec<GateLine> {
    let attempt = deployment.status.as_ref().and_then(|status| status.attempt.as_ref());
    let is_shown = |attempt: &&Attempt| attempt.has_intent() || attempt.verdict.is_none();
    let Some(attempt) = attempt.filter(is_shown) else { return Vec::new() };
    let approval = deployment.spec.approval.as_ref();
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

    fn of(approval: &Value, attempt: &Value) -> Option<(Stage, Vec<GateLine>)> {
        let deployment = deployment(approval, attempt);
        let now = NOW.parse().unwrap();
        Some((stage(&deployment, now)?, lines(&deployment, now)))
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
        let (stage, lines) = of(&two(), &json!({"gates": gates})).unwrap();
        assert_eq!((stage.progress, stage.detail.as_str()), (Progress::Active, "3 closed, waits for 59m"));
        let lines: Vec<(&str, &str)> = lines.iter().map(|gate| (gate.name, gate.detail.as_str())).collect();
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
        let (stage, lines) =
            of(&two(), &json!({"gates": gates, "submission": submission, "step": "RollingOut"})).unwrap();
        assert_eq!((stage.progress, stage.detail.as_str()), (Progress::Done, "open after 30m"));
        assert_eq!(lines[0].detail, "2 of 2: anna, bert");
        assert_eq!(lines[1].detail, "overridden by carl at 11:30:00 UTC, with the decision approve-carl");
    }

    #[test]
    fn before_the_checks_have_passed_the_gates_wait_and_without_gates_there_is_no_stage() {
        let unchecked = json!({"step": "Validating", "checks": {"digest": "v1:cc"}});
        let (stage, lines) = of(&two(), &unchecked).unwrap();
        assert_eq!((stage.progress, lines[0].progress), (Progress::Waiting, Progress::Waiting));
        assert_eq!(lines[0].detail, "0 of 2");
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
        let now = NOW.parse().unwrap();
        let stage = stage(&deployment, now).unwrap();
        assert_eq!(lines(&deployment, now), [], "nobody waits for anything any more");
        assert_eq!((stage.progress, stage.detail.as_str()), (Progress::Failed, "rejected by anna: wrong greeting"));
    }
}
