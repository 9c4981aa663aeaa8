//! The kinds of faults, and the rule that makes the simulated platform show each of them.

use serde_json::{Value, json};
use simulator::Call;

/// The `Retry-After` of a 429, in seconds: six times the deadline of the rollouts in the table.
const RETRY_AFTER: u64 = 3600;

/// One way in which a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    NoConnection,
    Reset,
    AnswerLost,
    TimeOut,
    SlowDrip,
    Truncated,
    Empty,
    NotJson,
    WrongTypes,
    MissingFields,
    TwoGibibytes,
    Redirect,
    BadRequest,
    UnauthorizedOnce,
    UnauthorizedTwice,
    Forbidden,
    NotFound,
    Conflict,
    Unprocessable,
    TooManyRequests,
    TooManyRequestsWithRetryAfter,
    ServerError,
    BadGateway,
    Unavailable,
    GatewayTimeout,
    WrongValue,
}

impl Kind {
    pub const ALL: [Self; 26] = [
        Self::NoConnection,
        Self::Reset,
        Self::AnswerLost,
        Self::TimeOut,
        Self::SlowDrip,
        Self::Truncated,
        Self::Empty,
        Self::NotJson,
        Self::WrongTypes,
        Self::MissingFields,
        Self::TwoGibibytes,
        Self::Redirect,
        Self::BadRequest,
        Self::UnauthorizedOnce,
        Self::UnauthorizedTwice,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::Unprocessable,
        Self::TooManyRequests,
        Self::TooManyRequestsWithRetryAfter,
        Self::ServerError,
        Self::BadGateway,
        Self::Unavailable,
        Self::GatewayTimeout,
        Self::WrongValue,
    ];

    /// The fault in words, for the page.
    pub fn words(self, call: Call) -> String {
        match self {
            Self::NoConnection => "no connection".to_owned(),
            Self::Reset => "connection reset before the request took effect".to_owned(),
            Self::AnswerLost => "connection reset after the request took effect".to_owned(),
            Self::TimeOut => "no answer in time".to_owned(),
            Self::SlowDrip => "an answer that arrives very slowly, byte by byte".to_owned(),
            Self::Truncated => "an answer that breaks off in the middle".to_owned(),
            Self::Empty => "200 without a body".to_owned(),
            Self::NotJson => "200 with a body that is not JSON".to_owned(),
            Self::WrongTypes => "200 with every value of the wrong type".to_owned(),
            Self::MissingFields => "200 with `{}`".to_owned(),
            Self::TwoGibibytes => "200 with a body of 2 GiB".to_owned(),
            Self::Redirect => "302".to_owned(),
            Self::UnauthorizedOnce => "401 once".to_owned(),
            Self::UnauthorizedTwice => "401 twice".to_owned(),
            Self::TooManyRequestsWithRetryAfter => "429 with `Retry-After` of an hour".to_owned(),
            Self::WrongValue => format!("200 with `{}`", wrong_value(call)),
            Self::BadRequest => "400".to_owned(),
            Self::Forbidden => "403".to_owned(),
            Self::NotFound => "404".to_owned(),
            Self::Conflict => "409".to_owned(),
            Self::Unprocessable => "422".to_owned(),
            Self::TooManyRequests => "429".to_owned(),
            Self::ServerError => "500".to_owned(),
            Self::BadGateway => "502".to_owned(),
            Self::Unavailable => "503".to_owned(),
            Self::GatewayTimeout => "504".to_owned(),
        }
    }

    /// The rule for the platform. `None` if the request does not reach the platform.
    pub fn rule(self, call: Call) -> Option<Value> {
        let status = |code: u16| json!({"status": {"code": code}});
        let (times, fault) = match self {
            Self::NoConnection => return None,
            Self::Reset => (None, json!("dropBeforeEffect")),
            Self::AnswerLost => (None, json!("dropAfterEffect")),
            Self::TimeOut => (None, json!({"delay": {"seconds": 40}})),
            Self::SlowDrip => (None, json!({"slowDrip": {"bytes": 1, "everySeconds": 5}})),
            Self::Truncated => (None, json!({"truncated": {}})),
            Self::Empty => (None, json!("empty")),
            Self::NotJson => (None, json!("garbage")),
            Self::WrongTypes => (None, json!("wrongTypes")),
            Self::MissingFields => (None, json!({"body": {}})),
            Self::TwoGibibytes => (None, json!({"oversized": {"bytes": 2_u64 << 30}})),
            Self::Redirect => (None, json!({"redirect": {"location": "https://elsewhere.example/"}})),
            Self::BadRequest => (None, status(400)),
            Self::UnauthorizedOnce => (Some(1), status(401)),
            Self::UnauthorizedTwice => (Some(2), status(401)),
            Self::Forbidden => (None, status(403)),
            Self::NotFound => (None, status(404)),
            Self::Conflict => (None, status(409)),
            Self::Unprocessable => (None, status(422)),
            Self::TooManyRequests => (None, status(429)),
            Self::TooManyRequestsWithRetryAfter => {
                (None, json!({"status": {"code": 429, "retryAfterSeconds": RETRY_AFTER}}))
            }
            Self::ServerError => (None, status(500)),
            Self::BadGateway => (None, status(502)),
            Self::Unavailable => (None, status(503)),
            Self::GatewayTimeout => (None, status(504)),
            Self::WrongValue => (None, json!({"body": wrong_value(call)})),
        };
        let times = times.map_or(json!("forever"), |times: u32| json!(times));
        Some(json!({"call": call, "times": times, "fault": fault}))
    }
}

/// An answer of the right shape, with a value that the contract does not know or that is not true.
fn wrong_value(call: Call) -> Value {
    match call {
        Call::Token => json!({"access_token": "worthless", "expires_in": 3600}),
        Call::Validate => json!({"valid": false, "status": "ok"}),
        Call::Trace => json!({"traceId": "tr_1", "status": "succeeded", "dependencyConflicts": []}),
        Call::Submit => json!({"jobId": "../environments", "status": "completed"}),
        Call::Job => json!({"status": "done"}),
        Call::Health => json!({"status": "OK", "errorRate": 0.0}),
        Call::Rollback | Call::Audit | Call::Webhook => json!({"status": "failed"}),
    }
}

/// Whether a request to this path belongs to this call.
pub fn is(call: Call, path: &str) -> bool {
    match call {
        Call::Token => path.ends_with("/oauth/token"),
        Call::Validate => path.ends_with("/validate"),
        Call::Trace => path.ends_with("/synthetic-trace"),
        Call::Submit => path.ends_with("/deployments"),
        Call::Job => path.contains("/jobs/"),
        Call::Health => path.ends_with("/health"),
        Call::Rollback => path.ends_with("/rollback"),
        Call::Audit => path.ends_with("/audit/logs"),
        Call::Webhook => path.contains("/webhooks/"),
    }
}
