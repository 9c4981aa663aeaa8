//! Finds the call that belongs to a request's path.

use http::Method;

use super::fault::Call;
use super::identifier::{EnvironmentId, JobId};

/// A call, with the identifiers in its path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Route {
    Token,
    Validate(EnvironmentId),
    Trace,
    Submit,
    Job(JobId),
    Health(EnvironmentId),
    Rollback(JobId),
    Audit,
    Webhook(String),
}

/// Why a request does not match a call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum RouteError {
    /// The path does not exist.
    NoSuchPath,
    /// The path exists, but only with this method.
    WrongMethod { allowed: Method },
}

impl Route {
    /// The call for this `method` and `path`.
    pub(super) fn of(method: &Method, path: &str) -> Result<Self, RouteError> {
        let (allowed, route) = Self::at(path).ok_or(RouteError::NoSuchPath)?;
        if *method == allowed { Ok(route) } else { Err(RouteError::WrongMethod { allowed }) }
    }

    fn at(path: &str) -> Option<(Method, Self)> {
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        Some(match segments.as_slice() {
            ["oauth", "token"] => (Method::POST, Self::Token),
            ["api", "v2", "environments", id, "validate"] => (Method::POST, Self::Validate(id.parse().ok()?)),
            ["api", "v2", "environments", id, "health"] => (Method::GET, Self::Health(id.parse().ok()?)),
            ["api", "v2", "validations", "synthetic-trace"] => (Method::POST, Self::Trace),
            ["api", "v2", "deployments"] => (Method::POST, Self::Submit),
            ["api", "v2", "deployments", id, "rollback"] => (Method::POST, Self::Rollback(id.parse().ok()?)),
            ["api", "v2", "jobs", id] => (Method::GET, Self::Job(id.parse().ok()?)),
            ["api", "v2", "audit", "logs"] => (Method::POST, Self::Audit),
            ["webhooks", name @ ..] if name.iter().any(|part| !part.is_empty()) => {
                (Method::POST, Self::Webhook(name.join("/")))
            }
            _ => return None,
        })
    }

    /// The call without the identifiers in its path.
    pub(super) fn call(&self) -> Call {
        match self {
            Self::Token => Call::Token,
            Self::Validate(_) => Call::Validate,
            Self::Trace => Call::Trace,
            Self::Submit => Call::Submit,
            Self::Job(_) => Call::Job,
            Self::Health(_) => Call::Health,
            Self::Rollback(_) => Call::Rollback,
            Self::Audit => Call::Audit,
            Self::Webhook(_) => Call::Webhook,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_paths_of_the_contract_are_calls() {
        let cases = [
            ("POST", "/oauth/token", Some(Call::Token)),
            ("POST", "/api/v2/environments/env_a/validate", Some(Call::Validate)),
            ("POST", "/api/v2/validations/synthetic-trace", Some(Call::Trace)),
            ("POST", "/api/v2/deployments", Some(Call::Submit)),
            ("GET", "/api/v2/jobs/job_1", Some(Call::Job)),
            ("GET", "/api/v2/environments/env_a/health", Some(Call::Health)),
            ("POST", "/api/v2/deployments/job_1/rollback", Some(Call::Rollback)),
            ("POST", "/api/v2/audit/logs", Some(Call::Audit)),
            ("POST", "/webhooks/ci/cognigy", Some(Call::Webhook)),
            ("POST", "/webhooks/", None),
            ("POST", "/api/v2/api/v2/deployments", None),
            ("POST", "/api/v2/deployments/", None),
            ("POST", "//api/v2/deployments", None),
            ("GET", "/api/v2/jobs/..", None),
            ("GET", "/api/v2/jobs/a%2Fb", None),
            ("GET", "/API/v2/jobs/job_1", None),
        ];
        for (method, path, call) in cases {
            let method = method.parse().unwrap_or_default();
            assert_eq!(Route::of(&method, path).ok().map(|route| route.call()), call, "{path}");
        }
    }

    #[test]
    fn a_wrong_method_is_told_the_right_one() {
        let refused = Route::of(&Method::GET, "/api/v2/deployments");
        assert_eq!(refused, Err(RouteError::WrongMethod { allowed: Method::POST }));
    }
}
