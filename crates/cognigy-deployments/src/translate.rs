//! Converts between the operator's types and the API's types. It makes no decisions.

use super::answer;
use super::client::{JobError, NotSent};
use super::operations;
use super::request::{
    CapacityConstraints, DependencyLock, IsolationRules, RollbackPolicy, SubmitRequest, TraceOptions, TraceRequest,
    ValidateRequest,
};
use super::submit::ApiSubmitAnswer;
use api::CognigyDeploymentSpec;
use api::identifier::{ApiOrigin, JobId};
use platform::{
    CallError, CallFailure, Configuration, EnvironmentId, ErrorClass, FailedTry, FailureCause, FirstPost, WebhookUrl,
};
use rollout::answer::{HealthAnswer, JobAnswer, Retry, SubmitAnswer, TraceAnswer, ValidationAnswer};
use rollout::{Cause, Obstacle};

/// The validation's request (contract, section 1).
pub fn validate_request<'a>(configuration: Configuration<'a>, environment: &'a EnvironmentId) -> ValidateRequest<'a> {
    let Configuration { spec, snapshot } = configuration;
    ValidateRequest {
        environment_id: environment,
        configuration_snapshot: snapshot.as_raw(),
        capacity_constraints: capacity(spec),
        isolation_rules: IsolationRules {
            tenant_boundary: &spec.isolation_rules.tenant_boundary,
            network_segment: spec.isolation_rules.network_segment.as_deref(),
            resource_quota_check: spec.isolation_rules.resource_quota_check,
        },
    }
}

/// The synthetic trace's request (contract, section 2).
pub fn trace_request<'a>(configuration: Configuration<'a>, environment: &'a EnvironmentId) -> TraceRequest<'a> {
    let Configuration { spec, snapshot } = configuration;
    TraceRequest {
        environment_id: environment,
        configuration_snapshot: snapshot.as_raw(),
        trace_options: TraceOptions {
            simulation_depth: unsigned(spec.trace_options.simulation_depth.into()),
            include_dependency_graph: spec.trace_options.include_dependency_graph,
            detect_version_conflicts: spec.trace_options.detect_version_conflicts,
        },
    }
}

/// The submit's request (contract, section 3).
pub fn submit_request<'a>(
    configuration: Configuration<'a>,
    environment: &'a EnvironmentId,
    callback: Option<&'a WebhookUrl>,
) -> SubmitRequest<'a> {
    let Configuration { spec, snapshot } = configuration;
    let policy = &spec.rollback_policy;
    SubmitRequest {
        environment_id: environment,
        configuration_snapshot: snapshot.as_raw(),
        dependency_locks: spec
            .dependency_locks
            .iter()
            .map(|lock| DependencyLock {
                package_name: &lock.package_name,
                version: &lock.version,
                pinned: lock.pinned,
            })
            .collect(),
        rollback_policy: RollbackPolicy {
            auto_trigger: policy.auto_trigger,
            health_threshold: unsigned(policy.health_threshold.into()),
            timeout_seconds: unsigned(policy.timeout_seconds.into()),
            revert_snapshot_id: policy.revert_snapshot_id.as_deref(),
        },
        capacity_constraints: capacity(spec),
        webhook_callback_url: callback.map(WebhookUrl::expose),
    }
}

fn capacity(spec: &CognigyDeploymentSpec) -> CapacityConstraints {
    CapacityConstraints {
        max_concurrent_sessions: unsigned(spec.capacity_constraints.max_concurrent_sessions),
        memory_limit_mb: unsigned(spec.capacity_constraints.memory_limit_mb),
    }
}

/// Converts a number that the CRD requires to be positive.
fn unsigned<T: TryFrom<i64> + Default>(number: i64) -> T {
    T::try_from(number).unwrap_or_default()
}

/// The answer to the validation.
pub fn validation(validation: answer::Validation) -> ValidationAnswer {
    let answer::Validation { valid, warnings, errors, capacity_utilization } = validation;
    match valid {
        true => ValidationAnswer::Passed { warnings, capacity_utilization },
        false => ValidationAnswer::Refused { errors },
    }
}

/// The result of the synthetic trace.
pub fn trace(trace: answer::Trace) -> TraceAnswer {
    let has_passed = trace.passed();
    TraceAnswer { synthetic_trace_id: trace.trace_id, has_passed, status: trace.status, conflicts: trace.conflicts }
}

/// The result of a submit call.
pub fn submit(answer: ApiSubmitAnswer) -> SubmitAnswer {
    match answer {
        ApiSubmitAnswer::Accepted(job_id) => SubmitAnswer::Accepted(JobId::new(job_id.as_str())),
        ApiSubmitAnswer::Rejected { status: _, message } => SubmitAnswer::Rejected { message },
        ApiSubmitAnswer::Unauthorized { message, next } => {
            sent(next, Obstacle::lasting(Cause::Unauthorized, message, Retry::CredentialsChange))
        }
        ApiSubmitAnswer::StillInProgress { message } => {
            SubmitAnswer::NotYet(Obstacle::transient(Cause::ApiUnavailable, message, None))
        }
        ApiSubmitAnswer::Transient { error, next } => sent(next, obstacle(&error)),
        ApiSubmitAnswer::OutcomeUnknown { message } => SubmitAnswer::Unknown { message },
    }
}

fn sent(next: FirstPost, obstacle: Obstacle) -> SubmitAnswer {
    match next {
        FirstPost::Yes => SubmitAnswer::NotSent(obstacle),
        FirstPost::No => SubmitAnswer::NotYet(obstacle),
    }
}

/// The state of the job.
///
/// # Errors
/// [`NotSent`] if the request was not sent.
pub fn job(status: Result<answer::JobStatus, JobError>) -> Result<JobAnswer, NotSent> {
    Ok(match status {
        Ok(answer::JobStatus::Completed) => JobAnswer::Completed,
        Ok(answer::JobStatus::EndedBadly(word)) => JobAnswer::EndedBadly(word),
        Ok(answer::JobStatus::RolledBack) => JobAnswer::RolledBack,
        Ok(answer::JobStatus::Running(_)) => JobAnswer::Running,
        Err(JobError::NotFound { .. }) => JobAnswer::NotFound,
        Err(JobError::Unreadable(error)) => JobAnswer::Unreadable(error.message().to_owned()),
        Err(JobError::NotSent(not_sent)) => return Err(not_sent),
    })
}

/// The environment's health.
pub fn health(status: answer::HealthStatus) -> HealthAnswer {
    match status {
        answer::HealthStatus::Good { .. } => HealthAnswer::Good,
        answer::HealthStatus::Bad { status, error_rate } => HealthAnswer::Bad(match error_rate {
            Some(error_rate) => format!("its status is {status}, its error rate {error_rate}"),
            None => format!("its status is {status}"),
        }),
        answer::HealthStatus::Unreadable { message } => HealthAnswer::Unreadable(message),
    }
}

/// A failed call as an obstacle (contract, "Errors").
pub fn obstacle(error: &CallError) -> Obstacle {
    let message = error.message();
    match error.class() {
        // After a cancelled request the operator decides again, so this obstacle is never shown.
        ErrorClass::Transient | ErrorClass::Cancelled => Obstacle::transient(
            Cause::ApiUnavailable,
            format!("the request to Cognigy.AI failed, and the operator tries again: {message}"),
            error.retry_after(),
        ),
        ErrorClass::Protocol => Obstacle::transient(
            Cause::UnexpectedAnswer,
            format!("Cognigy.AI gave an unexpected answer, and the operator tries again: {message}"),
            error.retry_after(),
        ),
        ErrorClass::Unauthorized => Obstacle::lasting(
            Cause::Unauthorized,
            format!("Cognigy.AI refuses the credentials or their scopes: {message}; correct the Secret"),
            Retry::CredentialsChange,
        ),
        ErrorClass::Rejected { status: 404 | 405 } => Obstacle::lasting(
            Cause::RequestRejected,
            format!(
                "Cognigy.AI refuses the request: {message}; if spec.environmentId is wrong, correct it; if the URL is wrong, \
                 correct baseUrl in the Secret (or the operator's --base-url, if the Secret has none); otherwise request a \
                 retry (annotation deploy.cognigy.ai/retry)"
            ),
            Retry::InputChange,
        ),
        ErrorClass::Rejected { status: _ } => Obstacle::lasting(
            Cause::RequestRejected,
            format!(
                "Cognigy.AI refuses the request: {message}; correct the spec, or request a retry (annotation \
                 deploy.cognigy.ai/retry)"
            ),
            Retry::InputChange,
        ),
        ErrorClass::EgressRefused => Obstacle::lasting(
            Cause::EndpointRefused,
            format!("{message}; allow it with --egress-allow, or correct the Secret"),
            Retry::InputChange,
        ),
    }
}

/// A rollback that failed. The caller's message already says that the operator tries again.
pub fn rollback_obstacle(error: &CallError) -> Obstacle {
    let cause = match error.class() {
        ErrorClass::Transient | ErrorClass::Cancelled => Cause::ApiUnavailable,
        ErrorClass::Protocol => Cause::UnexpectedAnswer,
        _ => return obstacle(error),
    };
    Obstacle::transient(cause, error.message(), error.retry_after())
}

/// A failed try of a call that continues with the next try.
pub fn failed_try(failed: &FailedTry, origin: &ApiOrigin) -> Obstacle {
    let FailedTry { operation, number, of, unanswered_for, error, .. } = failed;
    if *operation == operations::ROLLBACK {
        // Use the same message as for the whole call: there is one cause, and it is reported once.
        return rollback_obstacle(error);
    }
    let title = operation.title;
    let problem = match unanswered_for {
        Some(waited) => format!("Cognigy.AI ({origin}) did not answer the {title} within {} s", waited.as_secs()),
        None => format!("the {title} failed: {error}"),
    };
    Obstacle::transient(Cause::ApiUnavailable, format!("{problem}; try {} of {of}", number + 1), None)
}

/// A failed call.
pub fn failure(error: &CallError) -> CallFailure {
    CallFailure { cause: cause(error), obstacle: obstacle(error) }
}

/// A delivery that failed, with the API's own message.
pub fn delivery_failure(error: &CallError) -> CallFailure {
    let obstacle = Obstacle::transient(Cause::ApiUnavailable, error.message(), error.retry_after());
    CallFailure { cause: cause(error), obstacle }
}

/// A call that cannot be sent at all.
pub fn unsent(obstacle: Obstacle) -> CallFailure {
    CallFailure { cause: FailureCause::Other, obstacle }
}

/// A call that was cancelled before it was sent.
pub fn cancelled() -> CallFailure {
    let message = "the request was cancelled while it waited for the request budget";
    let obstacle = Obstacle::transient(Cause::ApiUnavailable, message, None);
    CallFailure { cause: FailureCause::Cancelled, obstacle }
}

fn cause(error: &CallError) -> FailureCause {
    match error.class() {
        ErrorClass::Cancelled => FailureCause::Cancelled,
        ErrorClass::Unauthorized => FailureCause::Credentials,
        _ if error.is_out_of_budget() => FailureCause::Budget,
        ErrorClass::Transient | ErrorClass::Protocol | ErrorClass::Rejected { .. } | ErrorClass::EgressRefused => {
            FailureCause::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A failure's message begins with its status.
    const MESSAGE: &str = "422 Unprocessable Entity: locked for the holidays";

    #[test]
    fn a_refusal_contains_its_status_once() {
        let refused = ApiSubmitAnswer::Rejected { status: 422, message: MESSAGE.to_owned() };
        assert_eq!(submit(refused), SubmitAnswer::Rejected { message: MESSAGE.to_owned() });
        let error = CallError::new(ErrorClass::Rejected { status: 422 }, MESSAGE);
        assert_eq!(obstacle(&error).message.matches("422").count(), 1, "{}", obstacle(&error).message);
    }

    #[test]
    fn a_404_or_405_mentions_the_base_url() {
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
