//! The status stays within its size limit, whatever Cognigy.AI and its users write.

use super::sample_with;
use crate::condition::{Condition, ConditionSet, ConditionStatus, ConditionType, MESSAGE_LIMIT};
use crate::identifier::{ApiOrigin, ClientHash, DecisionHash, RequestHash};
use crate::reason::Reason;
use crate::status::{
    ActedDecision, Attempt, Checks, ClosedGate, CognigyDeploymentStatus, CountedDecision, DeliveryKind, Gates,
    HandledRequests, Health, Job, JobFailure, LastSuccessful, OutboxEntry, Outcome, PastAttempt, Phase, RanBefore,
    Rollback, RollbackReason, Running, Step, Submission, SyntheticTrace, Validation, Verdict,
};
use crate::{DecisionUid, Digest, EnvironmentClaim, IdempotencyKey, JobId, PlanId};
use jiff::Timestamp;
use serde_json::json;

const BOUND: usize = 96 * 1024;

fn largest_gates(at: Timestamp) -> Gates {
    let decision =
        CountedDecision { uid: DecisionUid::new("f".repeat(36)), name: "x".repeat(253), by: "x".repeat(253), at };
    let closed = ClosedGate { reason: Reason::ApproverUnverified, message: "x".repeat(512), opens_at: Some(at) };
    Gates {
        since: Some(at),
        closed: vec![closed; 3],
        approvals: vec![decision.clone(); 5],
        overridden_by: Some(decision),
    }
}

fn largest(job_id: &JobId) -> CognigyDeploymentStatus {
    let at: Timestamp = "2026-01-01T12:00:00.123456789Z".parse().unwrap();
    let spec = sample_with(&json!({})).spec;
    let digest = Digest::of_deployment(&spec, &spec.configuration_snapshot.clone().unwrap()).unwrap();
    let release = digest.clone();
    let key = IdempotencyKey::new("f".repeat(64));
    let verdict = Verdict { outcome: Outcome::RollbackFailed, reason: Reason::NewerConfigurationWaiting, at };
    let body = json!({
        "timestamp": "2026-01-01T12:00:00.000000+00:00", "jobId": job_id, "deploymentSuccess": false,
        "durationSeconds": 86_399.123_456, "auditCategory": "environment_deployment",
        "complianceFlags": {"governanceApproved": false, "dataResidencyCheck": false}
    });
    let mut conditions = Vec::new();
    let types = ConditionType::STAGES.into_iter().chain([ConditionType::Ready, ConditionType::Stalled]);
    for condition_type in types {
        conditions.set_condition(Condition {
            condition_type,
            status: ConditionStatus::Unknown,
            observed_generation: i64::MAX,
            last_transition_time: at,
            reason: Reason::NewerConfigurationWaiting,
            message: "x".repeat(2 * MESSAGE_LIMIT),
        });
    }
    let attempt = Attempt {
        number: i64::MAX,
        digest: digest.clone(),
        version: Some("x".repeat(64)),
        release: Some(digest.clone()),
        plan_id: Some(PlanId::of(&digest, &digest, None)),
        generation: i64::MAX,
        step: Step::VerifyingRollback,
        started_at: at,
        queued_at: Some(at),
        checks: Checks {
            digest: digest.clone(),
            api_origin: Some(ApiOrigin::new("x".repeat(256))),
            validation: Some(Validation {
                passed_at: at,
                warnings: vec!["x".repeat(256); 10],
                capacity_utilization: Some(0.123_456_789),
            }),
            synthetic_trace: Some(SyntheticTrace { id: Some("x".repeat(256)), passed_at: Some(at) }),
        },
        gates: Some(largest_gates(at)),
        submission: Some(Submission {
            intended_at: at,
            deadline_at: at,
            accepted_at: Some(at),
            api_origin: ApiOrigin::new("x".repeat(256)),
            revert_snapshot_id: Some("x".repeat(253)),
            idempotency_key: key.clone(),
            request_hash: RequestHash::new("f".repeat(64)),
            client_hash: ClientHash::new("f".repeat(64)),
        }),
        job: Some(Job { id: job_id.clone(), completed_at: Some(at), failure: Some(JobFailure::EndedBadly) }),
        health: Health { bad_streak: 100, good_streak: 100, last_counted_at: Some(at) },
        rollback: Some(Rollback {
            key: key.clone(),
            reason: RollbackReason::HealthCheckFailure,
            requested_at: at,
            accepted_at: Some(at),
            refused_at: Some(at),
            verify_until: Some(at),
        }),
        declined: Some(digest.clone()),
        verdict: Some(verdict.clone()),
    };
    CognigyDeploymentStatus {
        observed_generation: i64::MAX,
        phase: Some(Phase::VerifyingRollback),
        conditions,
        attempt: Some(attempt.clone()),
        standing_attempt: Some(Box::new(attempt)),
        claim: Some(EnvironmentClaim { api_origin: ApiOrigin::new("x".repeat(256)), deployed_at: Some(at) }),
        running: Some(Running {
            configuration: "x".repeat(338),
            since: at,
            attempt: i64::MAX,
            before: Some(RanBefore { configuration: "x".repeat(270), since: at, attempt: i64::MAX }),
        }),
        last_successful: Some(LastSuccessful {
            number: i64::MAX,
            digest: digest.clone(),
            version: Some("x".repeat(64)),
            job_id: job_id.clone(),
            at,
            rolled_back_at: Some(at),
        }),
        history: vec![
            PastAttempt {
                number: i64::MAX,
                digest,
                version: Some("x".repeat(64)),
                release: Some(release),
                healthy_for_seconds: Some(i64::MAX),
                job_id: Some(job_id.clone()),
                started_at: at,
                verdict
            };
            50
        ],
        handled_requests: Some(HandledRequests { retry: Some("x".repeat(256)), rollback: Some("x".repeat(256)) }),
        acted_decisions: vec![
            ActedDecision {
                uid: DecisionUid::new("f".repeat(36)),
                hash: Some(DecisionHash::new("f".repeat(16))),
                made_at: at
            };
            32
        ],
        decisions_ignored_until: Some(at),
        outbox: vec![
            OutboxEntry {
                id: key,
                kind: DeliveryKind::Audit,
                body: body.to_string(),
                created_at: at,
                api_origin: Some(ApiOrigin::new("x".repeat(64))),
            };
            40
        ],
    }
}

#[test]
fn the_largest_status_with_uuid_jobs_stays_within_its_limit() {
    let size = serde_json::to_vec(&largest(&JobId::new("job_0b6f9e0a-7f4b-4a35-9d55-6b0a5a1d2c3e"))).unwrap().len();
    assert!(size <= BOUND, "{size} bytes");
}

/// The contract allows ids of 256 characters, and a message of the API may consist of quotation marks, which are escaped.
#[test]
fn with_the_longest_ids_and_messages_the_oldest_history_is_removed() {
    let mut status = largest(&JobId::new("j".repeat(256)));
    for condition in &mut status.conditions {
        condition.message = "\"".repeat(MESSAGE_LIMIT);
    }
    status.limit_size();
    let size = serde_json::to_vec(&status).unwrap().len();
    assert!(size <= BOUND, "{size} bytes");
    assert!(status.history.len() > 10, "{} past attempts are left", status.history.len());
    // The longest base URLs make it larger again.
    for entry in &mut status.outbox {
        entry.api_origin = Some(ApiOrigin::new("x".repeat(320)));
    }
    status.limit_size();
    let size = serde_json::to_vec(&status).unwrap().len();
    assert!(size <= BOUND, "{size} bytes");
}

#[test]
fn a_status_is_unchanged_after_a_round_trip_through_json() {
    let status = largest(&JobId::new("job_8f3a2c"));
    let written = serde_json::to_value(&status).unwrap();
    assert_eq!(serde_json::from_value::<CognigyDeploymentStatus>(written).unwrap(), status);
}

#[test]
fn a_status_that_nobody_has_written_reads_as_unobserved() {
    for text in ["{}", r#"{"observedGeneration": -1}"#] {
        let status: CognigyDeploymentStatus = serde_json::from_str(text).unwrap();
        assert_eq!(status, CognigyDeploymentStatus::default());
    }
}
