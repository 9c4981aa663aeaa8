//! Checks the contract's requests strictly: headers, fields, types and fixed values.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use serde_json::Value;

use super::fault::Call;
use super::identifier::EnvironmentId;
use super::reply::Refusal;
use super::route::Route;
use super::shape::{Field, Shape, optional, required};

/// The header that makes a repeated request harmless.
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The body of a request, if it could be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Body {
    /// No body, or one that could not be read.
    #[default]
    Nothing,
    Json(Value),
    Form(BTreeMap<String, String>),
}

impl Body {
    /// Reads the body of a request. An unreadable body becomes `Nothing`, and [`violations`] reports it.
    pub(super) fn of(request: &Request<Bytes>) -> Self {
        if request.body().is_empty() {
            return Self::Nothing;
        }
        if media_type(request.headers()).as_deref() == Some("application/x-www-form-urlencoded") {
            return Self::Form(url::form_urlencoded::parse(request.body()).into_owned().collect());
        }
        serde_json::from_slice(request.body()).map_or(Self::Nothing, Self::Json)
    }

    /// A text in a JSON body or a form.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self {
            Self::Json(body) => body.get(name)?.as_str(),
            Self::Form(fields) => fields.get(name).map(String::as_str),
            Self::Nothing => None,
        }
    }
}

/// All differences between a request and the contract.
pub(super) fn violations(route: &Route, request: &Request<Bytes>, body: &Body) -> Vec<Refusal> {
    let call = route.call();
    let mut found = header_violations(call, request);
    match (call, body) {
        (Call::Token, body) => found.extend(form_violations(body)),
        (Call::Job | Call::Health, _) => {
            if !request.body().is_empty() {
                found.push(unexpected("a GET has no body".to_owned()));
            }
        }
        (_, Body::Json(json)) => {
            found.extend(body_shape(call).violations(json).into_iter().map(unexpected));
            found.extend(path_violation(route, json));
        }
        _ => found.push(unexpected("the body is not JSON".to_owned())),
    }
    // The receiver chooses a webhook's URL, so it may have a query.
    if request.uri().query().is_some() && call != Call::Webhook {
        found.push(unexpected("the calls of the API have no query".to_owned()));
    }
    found
}

fn unexpected(message: String) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "invalid_request", message)
}

fn header_violations(call: Call, request: &Request<Bytes>) -> Vec<Refusal> {
    let headers = request.headers();
    let mut found = Vec::new();
    let expected_type = match call {
        Call::Token => "application/x-www-form-urlencoded",
        _ => "application/json",
    };
    let has_body = !matches!(call, Call::Job | Call::Health);
    if has_body && media_type(headers).as_deref() != Some(expected_type) {
        found.push(Refusal {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            error: "unsupported_media_type",
            message: format!("`Content-Type` is not `{expected_type}`"),
        });
    }
    if !matches!(call, Call::Token | Call::Webhook) && !accepts_json(headers) {
        found.push(Refusal {
            status: StatusCode::NOT_ACCEPTABLE,
            error: "not_acceptable",
            message: "`Accept` is not `application/json`".to_owned(),
        });
    }
    if !matches!(call, Call::Token | Call::Webhook) && !carries_a_token(headers) {
        found.push(Refusal::new(
            StatusCode::UNAUTHORIZED,
            "invalid_token",
            "`Authorization` is not `Bearer` and a token",
        ));
    }
    if matches!(call, Call::Submit | Call::Rollback) && !headers.contains_key(IDEMPOTENCY_KEY) {
        found.push(Refusal {
            status: StatusCode::BAD_REQUEST,
            error: "idempotency_key_missing",
            message: "`Idempotency-Key` is missing".to_owned(),
        });
    }
    if idempotency_key(headers).is_some_and(str::is_empty) {
        found.push(unexpected("`Idempotency-Key` is empty".to_owned()));
    }
    if matches!(call, Call::Token | Call::Webhook) && headers.contains_key(header::AUTHORIZATION) {
        found.push(unexpected("this call has no `Authorization`".to_owned()));
    }
    found
}

/// The idempotency key of a request, if it can be read.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Option<&str> {
    headers.get(IDEMPOTENCY_KEY)?.to_str().ok()
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let content_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let media_type = content_type.split(';').next()?;
    Some(media_type.trim().to_ascii_lowercase())
}

fn carries_a_token(headers: &HeaderMap) -> bool {
    let authorization = headers.get(header::AUTHORIZATION);
    authorization.is_some_and(|value| value.as_bytes().starts_with(b"Bearer "))
}

fn accepts_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.split([',', ';']).any(|part| part.trim() == "application/json"))
}

fn form_violations(body: &Body) -> Vec<Refusal> {
    const FIELDS: [&str; 4] = ["grant_type", "client_id", "client_secret", "scope"];
    let Body::Form(fields) = body else {
        return vec![unexpected("the body is not a form".to_owned())];
    };
    let missing = FIELDS.iter().filter(|name| !fields.contains_key(**name));
    let extra = fields.keys().filter(|name| !FIELDS.contains(&name.as_str()));
    missing
        .map(|name| format!("`{name}` is missing"))
        .chain(extra.map(|name| format!("`{name}` is not a field of this call")))
        .map(unexpected)
        .collect()
}

/// The environment in a validation's body must be the same as in its path.
fn path_violation(route: &Route, body: &Value) -> Option<Refusal> {
    let Route::Validate(in_path) = route else {
        return None;
    };
    let in_body = body.get("environmentId")?.as_str()?;
    (in_body != in_path.as_str()).then(|| unexpected("`environmentId` differs from the one in the path".to_owned()))
}

/// The environment in the body of a request, under either of its two field names.
pub(super) fn named_environment(call: Call, body: &Body) -> Option<EnvironmentId> {
    let field = match call {
        Call::Trace => "environmentId",
        Call::Submit => "environment_id",
        _ => return None,
    };
    body.text(field)?.parse().ok()
}

fn body_shape(call: Call) -> &'static Shape {
    match call {
        Call::Validate => &VALIDATE,
        Call::Trace => &TRACE,
        Call::Submit => &SUBMIT,
        Call::Rollback => &ROLLBACK,
        Call::Audit => &AUDIT,
        Call::Webhook => &WEBHOOK,
        Call::Token | Call::Job | Call::Health => &Shape::Record(&[]),
    }
}

static VALIDATE: Shape = Shape::Record(&[
    required("environmentId", Shape::Text),
    required("configurationSnapshot", Shape::AnyObject),
    required("capacityConstraints", Shape::Record(CAPACITY)),
    required(
        "isolationRules",
        Shape::Record(&[
            required("tenantBoundary", Shape::Text),
            optional("networkSegment", Shape::Text),
            required("resourceQuotaCheck", Shape::Boolean),
        ]),
    ),
]);

const CAPACITY: &[Field] =
    &[required("max_concurrent_sessions", Shape::Count), required("memory_limit_mb", Shape::Count)];

static TRACE: Shape = Shape::Record(&[
    required("environmentId", Shape::Text),
    required("configurationSnapshot", Shape::AnyObject),
    required(
        "traceOptions",
        Shape::Record(&[
            required("simulationDepth", Shape::Count),
            required("includeDependencyGraph", Shape::Boolean),
            required("detectVersionConflicts", Shape::Boolean),
        ]),
    ),
]);

static SUBMIT: Shape = Shape::Record(&[
    required("environment_id", Shape::Text),
    required("configuration_snapshot", Shape::AnyObject),
    required(
        "dependency_locks",
        Shape::List(&Shape::Record(&[
            required("package_name", Shape::Text),
            required("version", Shape::Text),
            required("pinned", Shape::Boolean),
        ])),
    ),
    required(
        "rollback_policy",
        Shape::Record(&[
            required("auto_trigger", Shape::Boolean),
            required("health_threshold", Shape::Count),
            required("timeout_seconds", Shape::Count),
            required("revert_snapshot_id", Shape::Nullable(&Shape::Text)),
        ]),
    ),
    required("capacity_constraints", Shape::Record(CAPACITY)),
    required("webhookCallbackUrl", Shape::Nullable(&Shape::Text)),
]);

static ROLLBACK: Shape = Shape::Record(&[required(
    "reason",
    Shape::OneOf(&["health_check_failure", "deployment_failed", "timeout", "manual", "resource_deleted"]),
)]);

// A submit whose outcome stayed unknown has no job, but it is audited too.
static AUDIT: Shape = Shape::Record(&[
    required("timestamp", Shape::Timestamp),
    required("jobId", Shape::Nullable(&Shape::Text)),
    required("deploymentSuccess", Shape::Boolean),
    required("durationSeconds", Shape::Amount),
    required("auditCategory", Shape::Exactly("environment_deployment")),
    required(
        "complianceFlags",
        Shape::Record(&[
            required("governanceApproved", Shape::Boolean),
            required("dataResidencyCheck", Shape::Boolean),
        ]),
    ),
]);

static WEBHOOK: Shape = Shape::Record(&[
    required("event", Shape::Exactly("deployment_complete")),
    required("jobId", Shape::Nullable(&Shape::Text)),
    required("success", Shape::Boolean),
    required(
        "metrics",
        Shape::Record(&[
            required("durationSeconds", Shape::Amount),
            required("validationSuccessRate", Shape::Fraction),
        ]),
    ),
]);
