//! Reads the API's answers: pure functions from a body to plain data.
//!
//! A field that the contract does not name never causes an error. A field that it names must have the contract's type.
//! Otherwise the whole answer is a [`NotTheContract`]: transient before the submit, unreadable after it.

use serde::Deserialize;
use serde_json::Value;

use platform::JobId;
use platform::Secrets;
use platform::sanitize;

/// The maximum number of warnings that are kept, and the maximum number of bytes of each.
const MAX_WARNINGS: (usize, usize) = (10, 256);

/// The maximum number of reasons (validation errors, conflicts) that are kept, and the maximum number of bytes of each.
const MAX_REASONS: (usize, usize) = (20, 512);

/// The maximum number of bytes of a single value, such as a status.
const MAX_VALUE_BYTES: usize = 64;

/// The values that mean success (sections 2 and 5). They are compared before secrets are removed, so a secret that equals
/// such a value cannot change the result.
const PASSED: &str = "passed";
const HEALTHY: &str = "healthy";

/// The body does not follow the contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer does not follow the API contract: {0}")]
pub struct NotTheContract(String);

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, NotTheContract> {
    // Serde would accept a list for a struct, and fill its fields in order.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(NotTheContract("not a JSON object".to_owned()));
    }
    // Even a field that is not read must be valid text.
    let text = std::str::from_utf8(body).map_err(|_| NotTheContract("not UTF-8".to_owned()))?;
    serde_json::from_str(text).map_err(|error| NotTheContract(kind_and_position(&error)))
}

/// Describes an error by its kind and position, without any content of the answer.
fn kind_and_position(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Data => "a field is missing or has another type",
        serde_json::error::Category::Syntax => "not JSON",
        serde_json::error::Category::Eof => "incomplete JSON",
        serde_json::error::Category::Io => "unreadable",
    };
    format!("{kind}, at line {} column {}", error.line(), error.column())
}

/// The result of the validation (section 1).
#[derive(Debug, Clone, PartialEq)]
pub struct Validation {
    /// Whether the snapshot may be submitted; false if the answer does not say so.
    pub valid: bool,
    /// At most 10 warnings of 256 bytes.
    pub warnings: Vec<String>,
    /// The reasons why it is not valid: at most 20 reasons of 512 bytes, each one line.
    pub errors: Vec<String>,
    /// The share of the capacity that would be used, if the answer contains it.
    pub capacity_utilization: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ValidationBody {
    valid: Option<bool>,
    #[serde(default)]
    warnings: Value,
    #[serde(default)]
    validation_errors: Value,
    #[serde(default)]
    capacity_utilization: Value,
}

pub(crate) fn read_validation(body: &[u8], secrets: &Secrets) -> Result<Validation, NotTheContract> {
    let body: ValidationBody = parse(body)?;
    Ok(Validation {
        valid: body.valid.unwrap_or(false),
        warnings: lines(&body.warnings, MAX_WARNINGS, secrets),
        errors: lines(&body.validation_errors, MAX_REASONS, secrets),
        capacity_utilization: body.capacity_utilization.as_f64(),
    })
}

/// The result of the synthetic trace (section 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The trace's identifier, if the answer contains one.
    pub trace_id: Option<String>,
    /// `passed`, or any other status.
    pub status: String,
    /// At most 20 conflicts of 512 bytes, each one line.
    pub conflicts: Vec<String>,
}

impl Trace {
    /// Whether the deployment may start. Any conflict, and any status except `passed`, prevents it.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.status == PASSED && self.conflicts.is_empty()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TraceBody {
    #[serde(default)]
    trace_id: Value,
    status: String,
    #[serde(default)]
    dependency_conflicts: Value,
}

pub(crate) fn read_trace(body: &[u8], secrets: &Secrets) -> Result<Trace, NotTheContract> {
    let body: TraceBody = parse(body)?;
    let passed = sanitize::single_line(&body.status) == PASSED;
    Ok(Trace {
        trace_id: body.trace_id.as_str().map(|id| short_value(id, secrets)).filter(|id| !id.is_empty()),
        status: if passed { PASSED.to_owned() } else { short_value(&body.status, secrets) },
        conflicts: lines(&body.dependency_conflicts, MAX_REASONS, secrets),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubmitBody {
    job_id: String,
}

pub(crate) fn read_job_id(body: &[u8]) -> Result<JobId, NotTheContract> {
    let body: SubmitBody = parse(body)?;
    body.job_id.parse().map_err(|error| NotTheContract(format!("the jobId {error}")))
}

/// The state of a job (section 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobStatus {
    /// `completed`.
    Completed,
    /// `failed`, `error`, `cancelled` or `canceled`: the job ended without success.
    EndedBadly(String),
    /// `rolled_back`: the platform rolled back without a request.
    RolledBack,
    /// Any other status, cut to 64 bytes.
    Running(String),
}

#[derive(Deserialize)]
struct StatusBody {
    status: String,
}

/// Reads the answer to a job's poll (contract, section 4).
///
/// # Errors
/// [`NotTheContract`] if the answer has no `status` that is text.
pub(crate) fn read_job_status(body: &[u8], secrets: &Secrets) -> Result<JobStatus, NotTheContract> {
    let body: StatusBody = parse(body)?;
    Ok(match body.status.as_str() {
        "completed" => JobStatus::Completed,
        "failed" | "error" | "cancelled" | "canceled" => JobStatus::EndedBadly(body.status),
        "rolled_back" => JobStatus::RolledBack,
        _ => JobStatus::Running(short_value(&body.status, secrets)),
    })
}

/// The health of an environment (section 5).
#[derive(Debug, Clone, PartialEq)]
pub enum HealthStatus {
    /// `healthy`, with an error rate under the allowed maximum.
    Good {
        /// The error rate.
        error_rate: f64,
    },
    /// Any other status, or an error rate at or over the allowed maximum.
    Bad {
        /// The status, cut to 64 bytes.
        status: String,
        /// The error rate, if the answer contains one.
        error_rate: Option<f64>,
    },
    /// Neither good nor bad: poll again.
    Unreadable {
        /// The reason, for users.
        message: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RateBody {
    error_rate: f64,
}

/// Reads the answer to a health poll (contract, section 5). A status other than `healthy` is always bad, even if the
/// rest of the answer cannot be read.
pub(crate) fn read_health(body: &[u8], max_error_rate: f64, secrets: &Secrets) -> HealthStatus {
    let status = match parse::<StatusBody>(body) {
        Ok(body) => body.status,
        Err(error) => return HealthStatus::Unreadable { message: error.to_string() },
    };
    let error_rate = parse::<RateBody>(body).ok().map(|body| body.error_rate).filter(|rate| rate.is_finite());
    match error_rate {
        error_rate if sanitize::single_line(&status) != HEALTHY => {
            HealthStatus::Bad { status: short_value(&status, secrets), error_rate }
        }
        Some(error_rate) if error_rate >= max_error_rate => {
            HealthStatus::Bad { status: HEALTHY.to_owned(), error_rate: Some(error_rate) }
        }
        Some(error_rate) if error_rate >= 0.0 => HealthStatus::Good { error_rate },
        Some(_) => {
            HealthStatus::Unreadable { message: "the status is healthy, but the errorRate is below zero".to_owned() }
        }
        None => {
            HealthStatus::Unreadable { message: "the status is healthy, but there is no numeric errorRate".to_owned() }
        }
    }
}

/// The maximum number of bytes of an access token. HTTP servers accept headers of at most 8 to 16 KiB, so a longer
/// token could not be used.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The lifetime of a token if the answer contains none. RFC 6749, section 5.1, only recommends `expires_in`.
const DEFAULT_LIFETIME_SECONDS: f64 = 300.0;

/// A token and its lifetime (section 0).
pub(crate) struct GrantedToken {
    pub(crate) access_token: String,
    /// Seconds.
    pub(crate) expires_in: f64,
}

#[derive(Deserialize)]
struct TokenBody {
    access_token: String,
    expires_in: Option<Lifetime>,
}

/// Some authorization servers write the number in quotes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lifetime {
    Number(f64),
    Text(String),
}

impl Lifetime {
    fn seconds(&self) -> Option<f64> {
        let seconds = match self {
            Self::Number(seconds) => Some(*seconds),
            Self::Text(text) => text.trim().parse().ok(),
        };
        seconds.filter(|seconds: &f64| seconds.is_finite() && *seconds >= 0.0)
    }
}

pub(crate) fn read_token(body: &[u8]) -> Result<GrantedToken, NotTheContract> {
    let TokenBody { access_token, expires_in } = parse(body)?;
    if access_token.len() > MAX_TOKEN_BYTES {
        let length = access_token.len();
        return Err(NotTheContract(format!(
            "the access_token has {length} bytes, but at most {MAX_TOKEN_BYTES} bytes are allowed"
        )));
    }
    if access_token.is_empty() || !access_token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(NotTheContract("the access_token is empty, or has characters other than visible ASCII".to_owned()));
    }
    let expires_in = expires_in.map_or(Some(DEFAULT_LIFETIME_SECONDS), |lifetime| lifetime.seconds());
    let expires_in =
        expires_in.ok_or_else(|| NotTheContract("expires_in is not a number of seconds, 0 or more".to_owned()))?;
    Ok(GrantedToken { access_token, expires_in })
}

/// A list of strings or objects as bounded lines without secrets. A single value counts as a list of one; a missing
/// value as an empty list.
fn lines(value: &Value, (count, bytes): (usize, usize), secrets: &Secrets) -> Vec<String> {
    let entries = match value {
        Value::Null => return Vec::new(),
        Value::Array(entries) => entries.as_slice(),
        single => std::slice::from_ref(single),
    };
    let shown = |entry: &Value| {
        let line = sanitize::json_message(entry, secrets);
        if line.is_empty() { secrets.redact(&entry.to_string()) } else { line }
    };
    entries.iter().take(count).map(|entry| sanitize::truncate(&shown(entry), bytes).into_owned()).collect()
}

/// One short line. Secrets are removed before the text is truncated, because a truncated secret would not be found.
fn short_value(text: &str, secrets: &Secrets) -> String {
    sanitize::truncate(&sanitize::single_line(&secrets.redact(text)), MAX_VALUE_BYTES).into_owned()
}

#[cfg(test)]
mod tests;
