//! How GitOps tools read the statuses that the operator writes: Argo CD with the health script of `deploy/gitops`, and
//! Flux with the expressions there. Both are compared with kstatus.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod argo_cd;
mod examples;
mod flux;
mod states;

use serde_json::Value;

use super::kstatus::{Reading, conditions, reading};

/// Whether `spec.suspend` holds a rollout back. kstatus has no such state.
fn is_held_back(object: &Value) -> bool {
    let is_seen = object["status"]["observedGeneration"] == object["metadata"]["generation"];
    let mut suspended = conditions(object).filter(|it| it["type"] == "Ready" && it["reason"] == "Suspended");
    is_seen && suspended.next().is_some()
}

/// Whether the rollout waits at a gate, and its operator has seen the present version. For kstatus it is in progress.
fn is_gated(object: &Value) -> bool {
    object["status"]["phase"] == "Gated" && reading(object) == Reading::InProgress && !is_unseen(object)
}

fn is_unseen(object: &Value) -> bool {
    object["status"]["observedGeneration"] != object["metadata"]["generation"]
}

/// Whether the gate waits for people or for time.
fn waits_for_people_or_time(object: &Value) -> bool {
    let waits = ["AwaitingApproval", "ApprovalExpired", "ApproverUnverified", "WindowClosed"];
    let mut reconciling = conditions(object).filter(|it| it["type"] == "Reconciling");
    is_gated(object) && reconciling.any(|it| waits.iter().any(|reason| it["reason"] == *reason))
}

#[test]
#[ignore = "needs Go, which builds Argo CD's Lua: .ci/run runs it"]
fn argo_cd_reads_every_status_like_kstatus_but_shows_resources_that_wait_for_people_or_time_as_suspended() {
    // Argo CD does not run the script for objects that are being deleted.
    let states: Vec<_> = states::all().iter().filter(|state| reading(&state.object) != Reading::Terminating).collect();
    let objects: Vec<&Value> = states.iter().map(|state| state.object.as_ref()).collect();
    for (state, health) in states.iter().zip(argo_cd::assess(&objects)) {
        let expected = match reading(&state.object) {
            _ if is_held_back(&state.object) || waits_for_people_or_time(&state.object) => "Suspended",
            Reading::Current => "Healthy",
            Reading::Failed => "Degraded",
            Reading::InProgress | Reading::Terminating => "Progressing",
        };
        assert_eq!(health.status, expected, "{state}: {health:?}");
        let is_told = conditions(&state.object).all(|it| it["type"] != "Ready" || !health.message.is_empty());
        assert!(is_told, "{state}: {health:?}");
    }
    println!("{} states through the health script", states.len());
}

#[test]
fn flux_reads_every_status_like_kstatus_but_does_not_wait_for_suspended_resources_and_gates() {
    let expressions = flux::Expressions::read();
    for state in states::all() {
        let expected = match reading(&state.object) {
            // Flux uses kstatus, and not the expressions, for objects that are being deleted.
            Reading::Terminating => continue,
            _ if is_held_back(&state.object) => Reading::Failed,
            _ if is_gated(&state.object) => Reading::Current,
            reading => reading,
        };
        assert_eq!(expressions.reading(&state.object), expected, "{state}");
    }
}

#[test]
fn the_statuses_contain_every_kind_of_reading() {
    for wanted in [Reading::Terminating, Reading::InProgress, Reading::Current, Reading::Failed] {
        assert!(states::all().iter().any(|state| reading(&state.object) == wanted), "{wanted:?}");
    }
    assert!(states::all().iter().any(|state| is_held_back(&state.object)));
}
