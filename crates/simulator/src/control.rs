//! The simulator's own endpoints, below `/simulator/`. They show the received requests and the deployed configurations,
//! and they change the world while it runs.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::environment::Environment;
use super::fault::FaultRule;
use super::identifier::EnvironmentId;
use super::journal::RequestFilter;
use super::reply::{Refusal, json_response};
use super::scenario::Scenario;
use super::script::EnvironmentScript;
use super::time::Seconds;
use super::world::World;

/// How long a request waits for other requests if it contains no `timeoutSeconds`.
const DEFAULT_WAIT: Seconds = Seconds::whole(30);

/// Every endpoint, returned by `GET /simulator`.
const ENDPOINTS: [&str; 11] = [
    "GET /simulator/requests?call=&environment=&job=&after=&waitForCount=&timeoutSeconds=",
    "GET /simulator/violations",
    "GET /simulator/state",
    "GET /simulator/audit",
    "GET /simulator/webhooks",
    "PUT /simulator/environments/{environmentId}",
    "POST /simulator/faults",
    "DELETE /simulator/faults",
    "POST /simulator/tokens/revoke",
    "POST /simulator/reset",
    "GET /simulator",
];

/// Why a control request has no effect: 400, with this message.
#[derive(Debug, thiserror::Error)]
enum ControlError {
    #[error("`{0}` is not a parameter; use call, environment, job, after, waitForCount or timeoutSeconds")]
    UnknownParameter(String),
    #[error("the parameter `{name}` has the invalid value `{value}`")]
    BadParameter { name: &'static str, value: String },
    #[error("the body is not UTF-8")]
    NotText,
    #[error("the body is not a fault: {0}")]
    NotAFault(String),
    #[error(transparent)]
    NotAScenario(#[from] super::scenario::ScenarioError),
    #[error(transparent)]
    NotAnEnvironment(#[from] super::identifier::UnsafeIdentifier),
}

/// The requests that must arrive before the answer is sent.
#[derive(Clone, Debug)]
pub(super) struct Wait {
    pub(super) filter: RequestFilter,
    pub(super) count: usize,
    /// The maximum wait. After it, the answer contains the requests that have arrived until then.
    pub(super) timeout: Duration,
}

/// Whether a path is the simulator's own.
pub(super) fn owns(path: &str) -> bool {
    path == "/simulator" || path.starts_with("/simulator/")
}

/// The requests that this request waits for before it is answered, if any.
pub(super) fn wait_of(request: &Request<Bytes>) -> Option<Wait> {
    if request.method() != Method::GET || request.uri().path() != "/simulator/requests" {
        return None;
    }
    let query = RequestQuery::of(request).ok()?;
    Some(Wait { filter: query.filter, count: query.wait_for_count?.get(), timeout: query.timeout.duration() })
}

/// Answers a control request at once.
pub(super) fn answer(world: &mut World, now: Timestamp, request: &Request<Bytes>) -> Response<Bytes> {
    match dispatch(world, now, request) {
        Ok(response) => response,
        Err(error) => Refusal::new(StatusCode::BAD_REQUEST, "invalid_request", error.to_string()).response(),
    }
}

fn dispatch(world: &mut World, now: Timestamp, request: &Request<Bytes>) -> Result<Response<Bytes>, ControlError> {
    let segments: Vec<&str> = request.uri().path().split('/').skip(2).collect();
    let answered = |body: Value| Ok(json_response(StatusCode::OK, &body));
    let done = || answered(json!({"done": true}));
    match (request.method().as_str(), segments.as_slice()) {
        ("GET", [] | [""]) => answered(json!({"endpoints": ENDPOINTS})),
        ("GET", ["requests"]) => {
            let query = RequestQuery::of(request)?;
            answered(json!({"requests": world.requests(&query.filter).collect::<Vec<_>>()}))
        }
        ("GET", ["violations"]) => answered(json!({"violations": world.violations().collect::<Vec<_>>()})),
        ("GET", ["audit"]) => answered(json!({"audit": world.audit().collect::<Vec<_>>()})),
        ("GET", ["webhooks"]) => answered(json!({"webhooks": world.webhooks().collect::<Vec<_>>()})),
        ("GET", ["state"]) => {
            world.advance(now);
            answered(state(world, now))
        }
        ("PUT", ["environments", id]) => {
            let id: EnvironmentId = id.parse()?;
            let script = EnvironmentScript::parse(text(request)?, &id)?;
            world.replace_script(now, &id, script);
            done()
        }
        ("POST", ["faults"]) => {
            let rule: FaultRule =
                serde_saphyr::from_str(text(request)?).map_err(|error| ControlError::NotAFault(error.to_string()))?;
            world.add_fault(rule);
            done()
        }
        ("DELETE", ["faults"]) => {
            world.clear_faults();
            done()
        }
        ("POST", ["tokens", "revoke"]) => {
            world.revoke_tokens();
            done()
        }
        ("POST", ["reset"]) => {
            let body = text(request)?;
            let scenario = if body.trim().is_empty() { world.scenario().clone() } else { Scenario::parse(body)? };
            *world = World::new(scenario);
            done()
        }
        _ => {
            let (method, path) = (request.method(), request.uri().path());
            let message = format!("{method} {path} does not exist; GET /simulator lists the endpoints");
            Ok(Refusal::new(StatusCode::NOT_FOUND, "no_such_endpoint", message).response())
        }
    }
}

fn text(request: &Request<Bytes>) -> Result<&str, ControlError> {
    std::str::from_utf8(request.body()).map_err(|_| ControlError::NotText)
}

/// The query of `GET /simulator/requests`.
struct RequestQuery {
    filter: RequestFilter,
    wait_for_count: Option<NonZeroUsize>,
    timeout: Seconds,
}

impl RequestQuery {
    fn of(request: &Request<Bytes>) -> Result<Self, ControlError> {
        let text = request.uri().query().unwrap_or_default();
        let mut query = Self { filter: RequestFilter::default(), wait_for_count: None, timeout: DEFAULT_WAIT };
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            let value = Value::String(value.into_owned());
            match name.as_ref() {
                "call" => query.filter.call = Some(parameter("call", value)?),
                "environment" => query.filter.environment = Some(parameter("environment", value)?),
                "job" => query.filter.job = Some(parameter("job", value)?),
                "after" => query.filter.after = Some(parameter("after", number(value))?),
                "waitForCount" => query.wait_for_count = Some(parameter("waitForCount", number(value))?),
                "timeoutSeconds" => query.timeout = parameter("timeoutSeconds", number(value))?,
                other => return Err(ControlError::UnknownParameter(other.to_owned())),
            }
        }
        Ok(query)
    }
}

fn parameter<T: DeserializeOwned>(name: &'static str, value: Value) -> Result<T, ControlError> {
    let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    serde_json::from_value(value).map_err(|_| ControlError::BadParameter { name, value: shown })
}

/// The number in a text, or otherwise the text itself.
fn number(value: Value) -> Value {
    let number = value.as_str().and_then(|text| serde_json::from_str(text).ok());
    number.filter(Value::is_number).unwrap_or(value)
}

fn state(world: &World, now: Timestamp) -> Value {
    let environments: Map<String, Value> = world
        .environments()
        .map(|(id, environment)| (id.to_string(), environment_state(environment, world.scenario(), now)))
        .collect();
    let clients: BTreeMap<_, _> = world.traffic().collect();
    json!({"now": now, "environments": environments, "clients": clients})
}

fn environment_state(environment: &Environment, scenario: &Scenario, now: Timestamp) -> Value {
    let jobs = environment.jobs().iter().map(|job| {
        let mut shown = json!(job);
        shown["status"] = json!(job.status(now));
        shown
    });
    json!({
        "healthy": environment.is_healthy(scenario),
        "deployed": environment.deployed(),
        "capacity": environment.script().capacity,
        "jobs": jobs.collect::<Vec<_>>(),
        "overlaps": environment.overlaps(),
    })
}
