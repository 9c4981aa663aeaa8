//! Between the resource's types, the core's answers and the client's types: translation only, no decision.

use api::identifier::ApiOrigin;
use api::identifier::JobId;
use api::reason::Reason;
use api::snapshot::MOST_WARNINGS;
use api::status::RollbackReason;
use api::{CognigyDeploymentSpec, Snapshot};
use cognigy::{self, Call, CallError, ErrorClass, FailedTry};
use rollout::Obstacle;
use rollout::answer::{HealthAnswer, JobAnswer, Retry, SubmitAnswer, TraceAnswer, ValidationAnswer};

/// The validation's request (contract, section 1).
pub fn validate_request<'a>(
    spec: &'a CognigyDeploymentSpec,
    environment: &'a cognigy::EnvironmentId,
    snapshot: &'a Snapshot,
) -> cognigy::ValidateRequest<'a> {
    cognigy::ValidateRequest {
        environment_id: environment,
        configuration_snapshot: snapshot.as_raw(),
        capacity_constraints: capacity(spec),
        isolation_rules: cognigy::IsolationRules {
            tenant_boundary: &spec.isolation_rules.tenant_boundary,
            network_segment: spec.isolation_rules.network_segment.as_deref(),
            resource_quota_check: spec.isolation_rules.resource_quota_check,
        },
    }
}

/// The synthetic trace's request (contract, section 2).
pub fn trace_request<'a>(
    spec: &CognigyDeploymentSpec,
    environment: &'a cognigy::EnvironmentId,
    snapshot: &'a Snapshot,
) -> cognigy::TraceRequest<'a> {
    cognigy::TraceRequest {
        environment_id: environment,
        configuration_snapshot: snapshot.as_raw(),
        trace_options: cognigy::TraceOptions {
            simulation_depth: natural(spec.trace_options.simulation_depth.into()),
            include_dependency_graph: spec.trace_options.include_dependency_graph,
            detect_version_conflicts: spec.trace_options.detect_version_conflicts,
        },
    }
}

/// The submit's request (contract, section 3).
pub fn submit_request<'a>(
    spec: &'a CognigyDeploymentSpec,
    environment: &'a cognigy::EnvironmentId,
    snapshot: &'a Snapshot,
    webhook: Option<&'a cognigy::WebhookUrl>,
) -> cognigy::SubmitRequest<'a> {
    let policy = &spec.rollback_policy;
    cognigy::SubmitRequest {
        environment_id: environment,
        configuration_snapshot: snapshot.as_raw(),
        dependency_locks: spec
            .dependency_locks
            .iter()
            .map(|lock| cognigy::DependencyLock {
                package_name: &lock.package_name,
                version: &lock.version,
                pinned: lock.pinned,
            })
            .collect(),
        rollback_policy: cognigy::RollbackPolicy {
            auto_trigger: policy.auto_trigger,
            health_threshold: natural(policy.health_threshold.into()),
            timeout_seconds: natural(policy.timeout_seconds.into()),
            revert_snapshot_id: policy.revert_snapshot_id.as_deref(),
        },
        capacity_constraints: capacity(spec),
        webhook_callback_url: webhook.map(cognigy::WebhookUrl::expose),
    }
}

fn capacity(spec: &CognigyDeploymentSpec) -> cognigy::CapacityConstraints {
    cognigy::CapacityConstraints {
        max_concurrent_sessions: natural(spec.capacity_constraints.max_concurrent_sessions),
        memory_limit_mb: natural(spec.capacity_constraints.memory_limit_mb),
    }
}

/// The API server lets no negative number in here.
fn natural<T: TryFrom<i64> + Default>(number: i64) -> T {
    T::try_from(number).unwrap_or_default()
}

/// What the validation said, after what the operator itself has to warn of. Where there are more warnings than are kept,
/// half of them are the validation's.
pub fn validation(validation: cognigy::Validation, mut warnings: Vec<String>) -> ValidationAnswer {
    warnings.truncate(MOST_WARNINGS - validation.warnings.len().min(MOST_WARNINGS / 2));
    warnings.extend(validation.warnings);
    match validation.valid {
        true => ValidationAnswer::Passed { warnings, capacity_utilization: validation.capacity_utilization },
        false => ValidationAnswer::Refused { errors: validation.errors },
    }
}

/// What the synthetic trace said.
pub fn trace(trace: cognigy::Trace) -> TraceAnswer {
    TraceAnswer { trace_id: trace.trace_id, status: trace.status, conflicts: trace.conflicts }
}

/// What came of a submit call.
pub fn submit(answer: cognigy::SubmitAnswer) -> SubmitAnswer {
    match answer {
        cognigy::SubmitAnswer::Accepted(job_id) => SubmitAnswer::Accepted(JobId::new(job_id.as_str())),
        cognigy::SubmitAnswer::Rejected { status: _, message } => SubmitAnswer::Rejected { message },
        cognigy::SubmitAnswer::Unauthorized { message, next } => {
            sent(next, Obstacle::lasting(Reason::Unauthorized, message, Retry::CredentialsChange))
        }
        cognigy::SubmitAnswer::StillInProgress { message } => {
            SubmitAnswer::NotYet(Obstacle::transient(Reason::ApiUnavailable, message, None))
        }
        cognigy::SubmitAnswer::Transient { error, next } => sent(next, obstacle(&error)),
        cognigy::SubmitAnswer::OutcomeUnknown { message } => SubmitAnswer::Unknown { message },
    }
}

fn sent(next: cognigy::FirstPost, obstacle: Obstacle) -> SubmitAnswer {
    match next {
        cognigy::FirstPost::Yes => SubmitAnswer::NotSent(obstacle),
        cognigy::FirstPost::No => SubmitAnswer::NotYet(obstacle),
    }
}

/// What the job said.
///
/// # Errors
/// [`cognigy::NotSent`] if it was not asked.
pub fn job(status: Result<cognigy::JobStatus, cognigy::JobError>) -> Result<JobAnswer, cognigy::NotSent> {
    Ok(match status {
        Ok(cognigy::JobStatus::Completed) => JobAnswer::Completed,
        Ok(cognigy::JobStatus::EndedBadly(word)) => JobAnswer::EndedBadly(word),
        Ok(cognigy::JobStatus::RolledBack) => JobAnswer::RolledBack,
        Ok(cognigy::JobStatus::Running(_)) => JobAnswer::Running,
        Err(cognigy::JobError::NotFound { .. }) => JobAnswer::NotFound,
        Err(cognigy::JobError::Unreadable(error)) => JobAnswer::Unreadable(error.message().to_owned()),
        Err(cognigy::JobError::NotSent(not_sent)) => return Err(not_sent),
    })
}

/// What the environment's health said.
pub fn health(reading: cognigy::HealthReading) -> HealthAnswer {
    match reading {
        cognigy::HealthReading::Good { .. } => HealthAnswer::Good,
        cognigy::HealthReading::Bad { status, error_rate } => HealthAnswer::Bad(match error_rate {
            Some(error_rate) => format!("its status is {status}, its error rate {error_rate}"),
            None => format!("its status is {status}"),
        }),
        cognigy::HealthReading::Unreadable { message } => HealthAnswer::Unreadable(message),
    }
}

/// A failed call as an obstacle (contract, "Errors").
pub fn obstacle(error: &CallError) -> Obstacle {
    let message = error.message();
    match error.class() {
        // After a cancelled request the next reconcile decides again, so that this obstacle is never shown.
        ErrorClass::Transient | ErrorClass::Cancelled => Obstacle::transient(
            Reason::ApiUnavailable,
            format!("Cognigy.AI cannot be asked now, and is asked again: {message}"),
            error.retry_after(),
        ),
        ErrorClass::Protocol => Obstacle::transient(
            Reason::UnexpectedAnswer,
            format!("Cognigy.AI answered what makes no sense, and is asked again: {message}"),
            error.retry_after(),
        ),
        ErrorClass::Unauthorized => Obstacle::lasting(
            Reason::Unauthorized,
            format!("Cognigy.AI refuses the credentials or their scopes: {message}; correct the Secret"),
            Retry::CredentialsChange,
        ),
        ErrorClass::Rejected { status: 404 | 405 } => Obstacle::lasting(
            Reason::RequestRejected,
            format!(
                "Cognigy.AI refuses the request: {message}; correct spec.environmentId if it is wrong, or baseUrl in the \
                 Secret (the operator's --base-url if the Secret has none) if the URL is; else ask for a retry"
            ),
            Retry::InputChange,
        ),
        ErrorClass::Rejected { status: _ } => Obstacle::lasting(
            Reason::RequestRejected,
            format!("Cognigy.AI refuses the request: {message}; correct the spec, or ask for a retry"),
            Retry::InputChange,
        ),
        ErrorClass::EgressRefused => Obstacle::lasting(
            Reason::EndpointRefused,
            format!("{message}; allow it with --egress-allow, or correct the Secret"),
            Retry::InputChange,
        ),
    }
}

/// A rollback that failed: what is to be said of it says already that it is tried again.
pub fn rollback_obstacle(error: &CallError) -> Obstacle {
    let reason = match error.class() {
        ErrorClass::Transient | ErrorClass::Cancelled => Reason::ApiUnavailable,
        ErrorClass::Protocol => Reason::UnexpectedAnswer,
        _ => return obstacle(error),
    };
    Obstacle::transient(reason, error.message(), error.retry_after())
}

/// A try that failed, while the call goes on with the next one.
pub fn failed_try(failed: &FailedTry, origin: &ApiOrigin) -> Obstacle {
    let FailedTry { call, number, of, unanswered_for, error, .. } = failed;
    let what = match call {
        // The same as for the call as a whole: it is one cause, and told once.
        Call::Rollback => return rollback_obstacle(error),
        Call::Validate => "validation",
        Call::Trace => "synthetic trace",
        call => call.name(),
    };
    let problem = match unanswered_for {
        Some(waited) => format!("Cognigy.AI ({origin}) did not answer the {what} within {} s", waited.as_secs()),
        None => format!("the {what} failed: {error}"),
    };
    Obstacle::transient(Reason::ApiUnavailable, format!("{problem}; try {} of {of}", number + 1), None)
}

/// The rollback's reason, on the wire.
pub fn rollback_reason(reason: RollbackReason) -> cognigy::RollbackReason {
    match reason {
        RollbackReason::HealthCheckFailure => cognigy::RollbackReason::HealthCheckFailure,
        RollbackReason::DeploymentFailed => cognigy::RollbackReason::DeploymentFailed,
        RollbackReason::Timeout => cognigy::RollbackReason::Timeout,
        RollbackReason::Manual => cognigy::RollbackReason::Manual,
        RollbackReason::ResourceDeleted => cognigy::RollbackReason::ResourceDeleted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A failure's message begins with its status.
    const MESSAGE: &str = "422 Unprocessable Entity: locked for the holidays";

    #[test]
    fn warnings_of_both_sides_are_kept() {
        let many = |who: &str, count: usize| (0..count).map(|number| format!("{who}{number}")).collect::<Vec<_>>();
        for (own, theirs, kept_own) in [(2, 3, 2), (10, 0, 10), (10, 2, 8), (10, 10, 5), (0, 10, 0)] {
            let answer = cognigy::Validation {
                valid: true,
                warnings: many("their", theirs),
                errors: Vec::new(),
                capacity_utilization: None,
            };
            let ValidationAnswer::Passed { warnings, .. } = validation(answer, many("own", own)) else {
                panic!("it has passed")
            };
            assert_eq!(warnings, [many("own", kept_own), many("their", theirs)].concat());
        }
    }

    #[test]
    fn a_refusal_names_its_status_once() {
        let refused = cognigy::SubmitAnswer::Rejected { status: 422, message: MESSAGE.to_owned() };
        assert_eq!(submit(refused), SubmitAnswer::Rejected { message: MESSAGE.to_owned() });
        let error = CallError::new(ErrorClass::Rejected { status: 422 }, MESSAGE);
        assert_eq!(obstacle(&error).message.matches("422").count(), 1, "{}", obstacle(&error).message);
    }

    #[test]
    fn a_place_that_is_not_there_may_be_the_fault_of_the_base_url() {
        for status in [404, 405] {
            let asked = "https://api.example.com/wrong/api/v2/environments/env_1/validate answered 404 Not Found";
            let message = obstacle(&CallError::new(ErrorClass::Rejected { status }, asked)).message;
            assert!(
                message.contains(asked) && message.contains("baseUrl") && message.contains("--base-url"),
                "{message}"
            );
        }
        let message = obstacle(&CallError::new(ErrorClass::Rejected { status: 422 }, MESSAGE)).message;
        assert!(message.contains("correct the spec") && !message.contains("baseUrl"), "{message}");
    }
}
