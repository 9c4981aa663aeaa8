//! Scripted faults: the requests that they apply to, and their effect on the answer.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::identifier::EnvironmentId;
use super::reply::{Delivery, Reply, json_response, with_retry_after};
use super::time::Seconds;

/// A call of the contract, with the name that scenarios and the journal use.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Call {
    /// Section 0: `POST /oauth/token`.
    Token,
    /// Section 1: `POST /api/v2/environments/{environmentId}/validate`.
    Validate,
    /// Section 2: `POST /api/v2/validations/synthetic-trace`.
    Trace,
    /// Section 3: `POST /api/v2/deployments`.
    Submit,
    /// Section 4: `GET /api/v2/jobs/{jobId}`.
    Job,
    /// Section 5: `GET /api/v2/environments/{environmentId}/health`.
    Health,
    /// Section 6: `POST /api/v2/deployments/{jobId}/rollback`.
    Rollback,
    /// Section 7: `POST /api/v2/audit/logs`.
    Audit,
    /// Section 8: `POST /webhooks/{name}` (the receiver, not the platform).
    Webhook,
}

/// A fault and the requests that it applies to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FaultRule {
    /// The call.
    pub call: Call,
    /// Only requests that concern this environment; any by default.
    #[serde(default)]
    pub environment: Option<EnvironmentId>,
    /// The first request that the fault applies to, counted from 1 (the default) since the rule was added. Requests
    /// that were refused with 401, 403 or 429 before they reached a fault are not counted.
    #[serde(default = "first")]
    pub nth: NonZeroU32,
    /// To how many consecutive requests the fault applies: a number, or `forever`; 1 by default.
    #[serde(default)]
    pub times: Times,
    /// The effect on these requests.
    pub fault: Fault,
}

const fn first() -> NonZeroU32 {
    NonZeroU32::MIN
}

/// How often a fault happens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Times {
    /// This number of times.
    Count(NonZeroU32),
    /// Every time.
    Forever,
}

impl Default for Times {
    fn default() -> Self {
        Self::Count(NonZeroU32::MIN)
    }
}

impl<'de> Deserialize<'de> for Times {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimesVisitor;

        impl Visitor<'_> for TimesVisitor {
            type Value = Times;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a number of times, 1 or more, or `forever`")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Times, E> {
                u32::try_from(number)
                    .ok()
                    .and_then(NonZeroU32::new)
                    .map(Times::Count)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Times, E> {
                match u64::try_from(number) {
                    Ok(number) => self.visit_u64(number),
                    Err(_) => Err(E::invalid_value(de::Unexpected::Signed(number), &self)),
                }
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Times, E> {
                if text == "forever" {
                    Ok(Times::Forever)
                } else {
                    Err(E::invalid_value(de::Unexpected::Str(text), &self))
                }
            }
        }

        deserializer.deserialize_any(TimesVisitor)
    }
}

/// The fault of one request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Fault {
    /// A status that differs from the status of the honest answer.
    Status {
        /// The status.
        code: Status,
        /// The body; an error in the platform's own format if omitted.
        #[serde(default)]
        body: Option<Value>,
        /// `Retry-After`, in seconds.
        #[serde(default)]
        retry_after_seconds: Option<u64>,
        /// Whether the request takes effect anyway; false by default.
        #[serde(default)]
        effect: bool,
    },
    /// The honest answer after a delay. The request takes effect at once; a repeat with the same idempotency key is
    /// answered with 409 until the first answer is sent.
    Delay {
        /// The delay.
        seconds: Seconds,
    },
    /// The connection ends without an answer and the request has no effect.
    DropBeforeEffect,
    /// The connection ends without an answer but the request takes effect.
    DropAfterEffect,
    /// 200 with this JSON instead of the honest answer; the request takes effect.
    Body(Value),
    /// 200 with bytes that are not JSON (and not UTF-8); the request takes effect.
    Garbage,
    /// 200 with an empty body; the request takes effect.
    Empty,
    /// The honest answer with every value replaced by one of another type; the request takes effect.
    WrongTypes,
    /// The honest answer, cut off; the request takes effect.
    Truncated {
        /// How many bytes of the body arrive; half of it if omitted.
        #[serde(default)]
        bytes: Option<usize>,
    },
    /// The honest answer, in pieces; the request takes effect.
    SlowDrip {
        /// Size of each piece.
        #[serde(default = "one_byte")]
        bytes: NonZeroU32,
        /// Pause before each piece.
        every_seconds: Seconds,
    },
    /// The honest answer, padded; the request takes effect.
    Oversized {
        /// Minimum length of the body.
        bytes: u64,
    },
    /// A redirect; the request has no effect.
    Redirect {
        /// The target.
        location: String,
        /// The status; 302 by default.
        #[serde(default = "found")]
        code: Status,
    },
}

const fn one_byte() -> NonZeroU32 {
    NonZeroU32::MIN
}

fn found() -> Status {
    Status(StatusCode::FOUND)
}

/// A status code, 100 to 599.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u16")]
pub struct Status(StatusCode);

impl TryFrom<u16> for Status {
    type Error = String;

    fn try_from(code: u16) -> Result<Self, String> {
        match StatusCode::from_u16(code) {
            Ok(status) if code < 600 => Ok(Self(status)),
            _ => Err(format!("{code} is not a status code: write 100 to 599")),
        }
    }
}

impl Fault {
    /// The answer, if this fault prevents the request from taking effect. `None` if the request takes effect.
    pub(super) fn answer_without_effect(&self) -> Option<Reply> {
        match self {
            Self::Status { effect: false, .. } => Some(self.apply(Response::default())),
            Self::DropBeforeEffect => {
                Some(Reply { response: Response::default(), delivery: Delivery::DroppedBeforeEffect })
            }
            Self::Redirect { .. } => Some(self.apply(Response::default())),
            _ => None,
        }
    }

    /// The delay of the honest answer.
    pub(super) fn delay(&self) -> Duration {
        match self {
            Self::Delay { seconds } => seconds.duration(),
            _ => Duration::ZERO,
        }
    }

    /// Applies the fault to the honest answer.
    pub(super) fn apply(&self, honest: Response<Bytes>) -> Reply {
        let body_length = honest.body().len();
        match self {
            Self::Status { code, body, retry_after_seconds, .. } => {
                let scripted = json!({"error": "scripted_fault", "message": code.0.to_string()});
                let response = json_response(code.0, body.as_ref().unwrap_or(&scripted));
                Reply::normal(match retry_after_seconds {
                    Some(seconds) => with_retry_after(response, *seconds),
                    None => response,
                })
            }
            Self::Redirect { location, code } => {
                let mut response = Response::new(Bytes::new());
                *response.status_mut() = code.0;
                // If the location is not a valid header value, the redirect has no target.
                if let Ok(location) = HeaderValue::from_str(location) {
                    response.headers_mut().insert(header::LOCATION, location);
                }
                Reply::normal(response)
            }
            Self::Body(body) => Reply::normal(json_response(StatusCode::OK, body)),
            Self::Garbage => Reply::normal(ok_with(Bytes::from_static(b"\xff\xfe<html>\x00502 Bad Gateway"))),
            Self::Empty => Reply::normal(ok_with(Bytes::new())),
            Self::WrongTypes => Reply::normal(with_wrong_types(honest)),
            Self::Delay { seconds } => Reply { response: honest, delivery: Delivery::DelayedBy(seconds.duration()) },
            Self::DropBeforeEffect => Reply { response: honest, delivery: Delivery::DroppedBeforeEffect },
            Self::DropAfterEffect => Reply { response: honest, delivery: Delivery::DroppedAfterEffect },
            Self::Truncated { bytes } => {
                Reply { response: honest, delivery: Delivery::Truncated { bytes: bytes.unwrap_or(body_length / 2) } }
            }
            Self::SlowDrip { bytes, every_seconds } => Reply {
                response: honest,
                delivery: Delivery::SlowDrip {
                    bytes: usize::try_from(bytes.get()).unwrap_or(usize::MAX),
                    every: every_seconds.duration(),
                },
            },
            Self::Oversized { bytes } => Reply { response: honest, delivery: Delivery::Oversized { bytes: *bytes } },
        }
    }

    /// The fault's name, as in scenarios.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Delay { .. } => "delay",
            Self::DropBeforeEffect => "dropBeforeEffect",
            Self::DropAfterEffect => "dropAfterEffect",
            Self::Body(_) => "body",
            Self::Garbage => "garbage",
            Self::Empty => "empty",
            Self::WrongTypes => "wrongTypes",
            Self::Truncated { .. } => "truncated",
            Self::SlowDrip { .. } => "slowDrip",
            Self::Oversized { .. } => "oversized",
            Self::Redirect { .. } => "redirect",
        }
    }
}

fn ok_with(body: Bytes) -> Response<Bytes> {
    let mut response = json_response(StatusCode::OK, &Value::Null);
    *response.body_mut() = body;
    response
}

fn with_wrong_types(honest: Response<Bytes>) -> Response<Bytes> {
    let mistyped = serde_json::from_slice(honest.body()).map_or(json!([]), mistype);
    honest.map(|_| Bytes::from(mistyped.to_string()))
}

/// Keeps the shape of objects and replaces every other value with one of another type.
fn mistype(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, mistype(value))).collect())
        }
        Value::Null => json!(true),
        Value::Bool(_) | Value::Number(_) => Value::String(value.to_string()),
        Value::String(text) => json!(text.len()),
        Value::Array(items) => json!({"items": items.len()}),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn wrong_types_keep_the_fields_and_change_every_value() {
        let honest = json_response(StatusCode::OK, &json!({"status": "healthy", "errorRate": 0.01, "list": [1]}));
        let body = with_wrong_types(honest).into_body();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body, json!({"status": 7, "errorRate": "0.01", "list": {"items": 1}}));
    }
}
