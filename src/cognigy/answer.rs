//! What an answer means: pure functions from a body to plain data.
//!
//! Nothing here fails on a field that the contract does not name. What it names must have its type, or the whole answer
//! is a [`NotTheContract`]: transient before the submit, unreadable after it.

use serde::Deserialize;
use serde_json::Value;

use super::endpoint::JobId;
use super::words;

/// The most warnings that are kept, and the most bytes of each.
const MAX_WARNINGS: (usize, usize) = (10, 256);

/// The most reasons (validation errors, conflicts) that are kept, and the most bytes of each.
const MAX_REASONS: (usize, usize) = (20, 512);

/// The most bytes of a single word, such as a status.
const MAX_WORD_BYTES: usize = 64;

/// The body is not what the contract says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not what the contract says: {0}")]
pub struct NotTheContract(String);

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, NotTheContract> {
    // A list would fill a struct field by field, in order.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(NotTheContract("not a JSON object".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| NotTheContract(shape_only(&error)))
}

/// Where the error is and of which kind, but not what the answer holds.
fn shape_only(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Data => "a field is missing or has another type",
        serde_json::error::Category::Syntax => "not JSON",
        serde_json::error::Category::Eof => "JSON that ends too early",
        serde_json::error::Category::Io => "unreadable",
    };
    format!("{kind}, at line {} column {}", error.line(), error.column())
}

/// What validation found (section 1).
#[derive(Debug, Clone, PartialEq)]
pub struct Validation {
    /// Whether the snapshot may be submitted; false where the answer does not say.
    pub valid: bool,
    /// At most 10 warnings of 256 bytes.
    pub warnings: Vec<String>,
    /// Why it is not valid: at most 20 reasons of 512 bytes, each one line.
    pub errors: Vec<String>,
    /// The share of the capacity that would be used, where the answer says so.
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

pub(crate) fn read_validation(body: &[u8]) -> Result<Validation, NotTheContract> {
    let body: ValidationBody = parse(body)?;
    Ok(Validation {
        valid: body.valid.unwrap_or(false),
        warnings: lines(&body.warnings, MAX_WARNINGS),
        errors: lines(&body.validation_errors, MAX_REASONS),
        capacity_utilization: body.capacity_utilization.as_f64(),
    })
}

/// What the synthetic trace found (section 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The trace's identifier, where the answer holds one.
    pub trace_id: Option<String>,
    /// `passed`, or anything else.
    pub status: String,
    /// At most 20 conflicts of 512 bytes, each one line.
    pub conflicts: Vec<String>,
}

impl Trace {
    /// Whether the deployment may start: any conflict, or any status but `passed`, stops it.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.status == "passed" && self.conflicts.is_empty()
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

pub(crate) fn read_trace(body: &[u8]) -> Result<Trace, NotTheContract> {
    let body: TraceBody = parse(body)?;
    Ok(Trace {
        trace_id: body.trace_id.as_str().map(word).filter(|id| !id.is_empty()),
        status: word(&body.status),
        conflicts: lines(&body.dependency_conflicts, MAX_REASONS),
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

/// How a job stands (section 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobStatus {
    /// `completed`.
    Completed,
    /// `failed`, `error`, `cancelled` or `canceled`: the job ended badly.
    EndedBadly(String),
    /// `rolled_back`: the platform rolled back by itself.
    RolledBack,
    /// Any other word, at most 64 bytes of it.
    Running(String),
}

#[derive(Deserialize)]
struct StatusBody {
    status: String,
}

/// What the answer to a job's poll means (contract, section 4).
///
/// # Errors
/// [`NotTheContract`] where it has no `status` that is text.
pub fn read_job_status(body: &[u8]) -> Result<JobStatus, NotTheContract> {
    let body: StatusBody = parse(body)?;
    Ok(match body.status.as_str() {
        "completed" => JobStatus::Completed,
        "failed" | "error" | "cancelled" | "canceled" => JobStatus::EndedBadly(body.status),
        "rolled_back" => JobStatus::RolledBack,
        _ => JobStatus::Running(word(&body.status)),
    })
}

/// How an environment is (section 5).
#[derive(Debug, Clone, PartialEq)]
pub enum HealthReading {
    /// `healthy`, with an error rate under the most that is allowed.
    Good {
        /// The error rate.
        error_rate: f64,
    },
    /// Any other status, or an error rate at or over the most that is allowed.
    Bad {
        /// The status, at most 64 bytes of it.
        status: String,
        /// The error rate, where the answer holds one.
        error_rate: Option<f64>,
    },
    /// Neither good nor bad: asked again.
    Unreadable {
        /// Why, for people.
        message: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RateBody {
    error_rate: f64,
}

/// What the answer to a health poll means (contract, section 5). A status that is not `healthy` is bad whatever else the
/// answer holds, also where the rest of it cannot be read.
#[must_use]
pub fn read_health(body: &[u8], max_error_rate: f64) -> HealthReading {
    let status = match parse::<StatusBody>(body) {
        Ok(body) => word(&body.status),
        Err(error) => return HealthReading::Unreadable { message: error.to_string() },
    };
    let error_rate = parse::<RateBody>(body).ok().map(|body| body.error_rate).filter(|rate| rate.is_finite());
    match error_rate {
        error_rate if status != "healthy" => HealthReading::Bad { status, error_rate },
        Some(error_rate) if error_rate >= max_error_rate => HealthReading::Bad { status, error_rate: Some(error_rate) },
        Some(error_rate) if error_rate >= 0.0 => HealthReading::Good { error_rate },
        Some(_) => HealthReading::Unreadable { message: "healthy, but with an error rate below zero".to_owned() },
        None => HealthReading::Unreadable { message: "healthy, but without a numeric errorRate".to_owned() },
    }
}

/// A token, and how long it lives (section 0).
pub(crate) struct GrantedToken {
    pub(crate) access_token: String,
    /// Seconds.
    pub(crate) expires_in: f64,
}

#[derive(Deserialize)]
struct TokenBody {
    access_token: String,
    expires_in: f64,
}

pub(crate) fn read_token(body: &[u8]) -> Result<GrantedToken, NotTheContract> {
    let TokenBody { access_token, expires_in } = parse(body)?;
    let is_header_safe = !access_token.is_empty() && access_token.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_header_safe || !expires_in.is_finite() || expires_in < 0.0 {
        return Err(NotTheContract("the token or its lifetime cannot be used".to_owned()));
    }
    Ok(GrantedToken { access_token, expires_in })
}

/// A list of strings or objects as bounded lines; a single one counts as a list of one, nothing as none.
fn lines(value: &Value, (count, bytes): (usize, usize)) -> Vec<String> {
    let entries = match value {
        Value::Null => return Vec::new(),
        Value::Array(entries) => entries.as_slice(),
        single => std::slice::from_ref(single),
    };
    let shown = |entry: &Value| {
        let line = words::of_value(entry);
        if line.is_empty() { entry.to_string() } else { line }
    };
    entries.iter().take(count).map(|entry| words::cut(&shown(entry), bytes).into_owned()).collect()
}

fn word(text: &str) -> String {
    words::cut(&words::tidy(text), MAX_WORD_BYTES).into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn bad(status: &str, error_rate: Option<f64>) -> HealthReading {
        HealthReading::Bad { status: status.to_owned(), error_rate }
    }

    #[test]
    fn health_is_good_only_if_healthy_and_under_the_rate() {
        let good = |error_rate| HealthReading::Good { error_rate };
        for (body, reading) in [
            (r#"{"status": "healthy", "errorRate": 0.01}"#, good(0.01)),
            (r#"{"status": "healthy", "errorRate": 0}"#, good(0.0)),
            (r#"{"status": "healthy", "errorRate": 0.049999, "extra": [1e999]}"#, good(0.049_999)),
            (r#"{"status": "healthy", "errorRate": 0.05}"#, bad("healthy", Some(0.05))),
            (r#"{"status": "healthy", "errorRate": 1}"#, bad("healthy", Some(1.0))),
            (r#"{"status": "degraded", "errorRate": 0.01}"#, bad("degraded", Some(0.01))),
            (r#"{"status": "degraded"}"#, bad("degraded", None)),
            (r#"{"status": "", "errorRate": 0.01}"#, bad("", Some(0.01))),
            (r#"{"status": "Healthy", "errorRate": 0.01}"#, bad("Healthy", Some(0.01))),
            (r#"{"status": "unhealthy", "errorRate": "high"}"#, bad("unhealthy", None)),
            (r#"{"status": "unhealthy", "errorRate": 1e999}"#, bad("unhealthy", None)),
        ] {
            assert_eq!(read_health(body.as_bytes(), 0.05), reading, "{body}");
        }
    }

    #[test]
    fn health_that_cannot_be_read_is_neither_good_nor_bad() {
        for body in [
            r#"{"status": "healthy"}"#,
            r#"{"status": "healthy", "errorRate": null}"#,
            r#"{"status": "healthy", "errorRate": "0.01"}"#,
            r#"{"status": "healthy", "errorRate": NaN}"#,
            r#"{"status": "healthy", "errorRate": -1}"#,
            r#"{"status": "healthy", "errorRate": 0.01, "errorRate": 0.9}"#,
            r#"{"status": null, "errorRate": 0.9}"#,
            r#"{"status": {"code": "bad"}}"#,
            r#"{"errorRate": 0.9}"#,
            r#"{"status": "unhealthy", "#,
            r#""unhealthy""#,
            r#"["unhealthy"]"#,
            "<html>502</html>",
            "",
        ] {
            assert!(matches!(read_health(body.as_bytes(), 0.05), HealthReading::Unreadable { .. }), "{body}");
        }
    }

    #[test]
    fn only_documented_words_end_a_job() {
        let ended = |word: &str| JobStatus::EndedBadly(word.to_owned());
        let running = |word: &str| JobStatus::Running(word.to_owned());
        for (word, status) in [
            ("completed", JobStatus::Completed),
            ("failed", ended("failed")),
            ("error", ended("error")),
            ("cancelled", ended("cancelled")),
            ("canceled", ended("canceled")),
            ("rolled_back", JobStatus::RolledBack),
            ("queued", running("queued")),
            ("COMPLETED", running("COMPLETED")),
            ("", running("")),
        ] {
            assert_eq!(read_job_status(json!({"status": word}).to_string().as_bytes()).unwrap(), status);
        }
        for body in ["{}", r#"{"status": 3}"#, r#"["completed"]"#, "completed", ""] {
            assert!(read_job_status(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn validation_is_valid_only_if_it_says_so() {
        let report = read_validation(br#"{"valid": true, "warnings": ["a"], "capacityUtilization": 0.42}"#).unwrap();
        assert_eq!((report.valid, report.capacity_utilization), (true, Some(0.42)));
        assert_eq!(report.warnings, ["a"]);
        assert!(!read_validation(b"{}").unwrap().valid);
        assert!(!read_validation(br#"{"valid": null}"#).unwrap().valid);
        for body in [r#"{"valid": "true"}"#, r#"{"valid": 1}"#, "true", ""] {
            assert!(read_validation(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn broken_constraints_are_readable_whether_strings_or_objects() {
        let body = json!({"valid": false, "validationErrors": [
            "memory over the limit",
            {"constraint": "max_concurrent_sessions", "message": "500 is over 200"},
            {"code": "E7", "detail": {"message": "tenant isolation"}},
            {}, 7,
        ]});
        assert_eq!(
            read_validation(body.to_string().as_bytes()).unwrap().errors,
            ["memory over the limit", "max_concurrent_sessions: 500 is over 200", "E7: tenant isolation", "{}", "7"]
        );
    }

    #[test]
    fn warnings_are_few_and_short() {
        let body = json!({"valid": true, "warnings": vec!["ö".repeat(400); 30]});
        let warnings = read_validation(body.to_string().as_bytes()).unwrap().warnings;
        assert_eq!(warnings.len(), 10);
        assert!(warnings.iter().all(|warning| warning.len() <= 256));
    }

    #[test]
    fn a_trace_passes_only_without_a_conflict() {
        let passed = |body: Value| read_trace(body.to_string().as_bytes()).unwrap().passed();
        assert!(passed(
            json!({"traceId": "tr_99x2", "status": "passed", "dependencyConflicts": [], "executionPath": [1]})
        ));
        assert!(passed(json!({"status": "passed"})));
        for conflicts in [json!(["nlp"]), json!([{}]), json!([null]), json!("nlp"), json!({"package": "nlp"})] {
            assert!(!passed(json!({"status": "passed", "dependencyConflicts": conflicts})), "{conflicts}");
        }
        assert!(!passed(json!({"status": "Passed", "dependencyConflicts": []})));
        assert!(read_trace(br#"{"dependencyConflicts": []}"#).is_err());
    }

    #[test]
    fn a_job_id_that_cannot_enter_a_path_is_not_the_contract() {
        assert_eq!(read_job_id(br#"{"jobId": "job_8f3a2c"}"#).unwrap().as_str(), "job_8f3a2c");
        for body in [r#"{"jobId": "../admin"}"#, r#"{"jobId": ".."}"#, r#"{"jobId": ""}"#, r#"{"jobId": 7}"#, "{}", ""]
        {
            assert!(read_job_id(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn what_is_said_about_a_broken_answer_holds_nothing_of_it() {
        let Err(error) = read_token(br#"{"access_token": "s3cret", "expires_in": "s3cret"}"#) else {
            panic!("must fail")
        };
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }

    fn json_like() -> impl Strategy<Value = Vec<u8>> {
        let names =
            prop_oneof![Just("status"), Just("errorRate"), Just("valid"), Just("jobId"), Just("validationErrors")];
        let values = prop_oneof![
            Just("\"healthy\"".to_owned()),
            Just("[[[{\"message\":[]}]]]".to_owned()),
            any::<f64>().prop_map(|number| format!("{number:e}")),
            ".{0,8}".prop_map(|text| Value::from(text).to_string()),
            ".{0,8}",
        ];
        proptest::collection::vec((names, values), 0..4).prop_map(|fields| {
            let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            format!("{{{}}}", fields.join(",")).into_bytes()
        })
    }

    proptest! {
        #[test]
        fn no_answer_whatsoever_panics_a_reader(
            body in prop_oneof![proptest::collection::vec(any::<u8>(), 0..200), json_like()],
            max in any::<f64>(),
        ) {
            let _ = (read_job_status(&body), read_validation(&body), read_trace(&body), read_job_id(&body), read_token(&body).is_ok());
            match read_health(&body, max) {
                HealthReading::Good { error_rate } => prop_assert!(error_rate >= 0.0 && (error_rate < max || max.is_nan())),
                HealthReading::Bad { status, error_rate } => {
                    prop_assert!(status != "healthy" || error_rate.is_some_and(|rate| rate >= max));
                }
                HealthReading::Unreadable { message } => prop_assert!(!message.is_empty()),
            }
        }
    }
}
