#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// No secrets: nothing has to be redacted.
fn none() -> Secrets {
    Secrets::default()
}

fn bad(status: &str, error_rate: Option<f64>) -> HealthStatus {
    HealthStatus::Bad { status: status.to_owned(), error_rate }
}

#[test]
fn health_is_good_only_if_healthy_and_under_the_rate() {
    let good = |error_rate| HealthStatus::Good { error_rate };
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
        assert_eq!(read_health(body.as_bytes(), 0.05, &none()), reading, "{body}");
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
        assert!(matches!(read_health(body.as_bytes(), 0.05, &none()), HealthStatus::Unreadable { .. }), "{body}");
    }
}

#[test]
fn only_documented_values_end_a_job() {
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
        assert_eq!(read_job_status(json!({"status": word}).to_string().as_bytes(), &none()).unwrap(), status);
    }
    for body in ["{}", r#"{"status": 3}"#, r#"["completed"]"#, "completed", ""] {
        assert!(read_job_status(body.as_bytes(), &none()).is_err(), "{body}");
    }
}

#[test]
fn a_validation_passes_only_if_it_is_explicitly_valid() {
    let report =
        read_validation(br#"{"valid": true, "warnings": ["a"], "capacityUtilization": 0.42}"#, &none()).unwrap();
    assert_eq!((report.valid, report.capacity_utilization), (true, Some(0.42)));
    assert_eq!(report.warnings, ["a"]);
    assert!(!read_validation(b"{}", &none()).unwrap().valid);
    assert!(!read_validation(br#"{"valid": null}"#, &none()).unwrap().valid);
    for body in [r#"{"valid": "true"}"#, r#"{"valid": 1}"#, "true", ""] {
        assert!(read_validation(body.as_bytes(), &none()).is_err(), "{body}");
    }
}

#[test]
fn validation_errors_may_be_strings_or_objects() {
    let body = json!({"valid": false, "validationErrors": [
        "memory over the limit",
        {"constraint": "max_concurrent_sessions", "message": "500 is over 200"},
        {"code": "E7", "detail": {"message": "tenant isolation"}},
        {}, 7,
    ]});
    assert_eq!(
        read_validation(body.to_string().as_bytes(), &none()).unwrap().errors,
        ["memory over the limit", "max_concurrent_sessions: 500 is over 200", "E7: tenant isolation", "{}", "7"]
    );
}

#[test]
fn warnings_are_few_and_short() {
    let body = json!({"valid": true, "warnings": vec!["ö".repeat(400); 30]});
    let warnings = read_validation(body.to_string().as_bytes(), &none()).unwrap().warnings;
    assert_eq!(warnings.len(), 10);
    assert!(warnings.iter().all(|warning| warning.len() <= 256));
}

#[test]
fn a_trace_passes_only_without_a_conflict() {
    let passed = |body: Value| read_trace(body.to_string().as_bytes(), &none()).unwrap().passed();
    assert!(passed(json!({"traceId": "tr_99x2", "status": "passed", "dependencyConflicts": [], "executionPath": [1]})));
    assert!(passed(json!({"status": "passed"})));
    for conflicts in [json!(["nlp"]), json!([{}]), json!([null]), json!("nlp"), json!({"package": "nlp"})] {
        assert!(!passed(json!({"status": "passed", "dependencyConflicts": conflicts})), "{conflicts}");
    }
    assert!(!passed(json!({"status": "Passed", "dependencyConflicts": []})));
    assert!(read_trace(br#"{"dependencyConflicts": []}"#, &none()).is_err());
}

#[test]
fn a_job_id_that_is_not_one_path_segment_is_an_error() {
    assert_eq!(read_job_id(br#"{"jobId": "job_8f3a2c"}"#).unwrap().as_str(), "job_8f3a2c");
    for body in [r#"{"jobId": "../admin"}"#, r#"{"jobId": ".."}"#, r#"{"jobId": ""}"#, r#"{"jobId": 7}"#, "{}", ""] {
        assert!(read_job_id(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn the_lifetime_of_a_token_is_five_minutes_if_the_answer_has_none() {
    for (life, seconds) in [
        ("", Some(300.0)),
        (r#", "expires_in": null"#, Some(300.0)),
        (r#", "expires_in": 3600"#, Some(3600.0)),
        (r#", "expires_in": 0.5"#, Some(0.5)),
        (r#", "expires_in": "3599""#, Some(3599.0)),
        (r#", "expires_in": " 60 ""#, Some(60.0)),
        (r#", "expires_in": 0"#, Some(0.0)),
        (r#", "expires_in": -1"#, None),
        (r#", "expires_in": "-1""#, None),
        (r#", "expires_in": "an hour""#, None),
        (r#", "expires_in": """#, None),
        (r#", "expires_in": "inf""#, None),
        (r#", "expires_in": "NaN""#, None),
        (r#", "expires_in": true"#, None),
        (r#", "expires_in": [3600]"#, None),
    ] {
        let body = format!(r#"{{"access_token": "abc"{life}}}"#);
        assert_eq!(read_token(body.as_bytes()).ok().map(|token| token.expires_in), seconds, "{body}");
    }
}

#[test]
fn a_token_that_does_not_fit_into_a_header_is_refused_with_a_clear_message() {
    let answer = |token: &str| read_token(json!({"access_token": token}).to_string().as_bytes());
    assert!(answer(&"x".repeat(16 * 1024)).is_ok());
    for (token, says) in [("x".repeat(16 * 1024 + 1), "16384"), ("a b".to_owned(), "ASCII"), (String::new(), "ASCII")] {
        let Err(error) = answer(&token) else { panic!("must fail") };
        assert!(error.to_string().contains("access_token") && error.to_string().contains(says), "{error}");
        assert!(error.to_string().len() < 200, "{error}");
    }
}

#[test]
fn the_error_about_an_invalid_answer_contains_nothing_of_it() {
    let Err(error) = read_token(br#"{"access_token": "s3cret", "expires_in": "s3cret"}"#) else { panic!("must fail") };
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

fn json_like() -> impl Strategy<Value = Vec<u8>> {
    let names = prop_oneof![Just("status"), Just("errorRate"), Just("valid"), Just("jobId"), Just("validationErrors")];
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
    fn no_answer_causes_a_panic(
        body in prop_oneof![proptest::collection::vec(any::<u8>(), 0..200), json_like()],
        max in any::<f64>(),
    ) {
        let _ = (read_job_status(&body, &none()), read_validation(&body, &none()), read_trace(&body, &none()), read_job_id(&body), read_token(&body).is_ok());
        match read_health(&body, max, &none()) {
            HealthStatus::Good { error_rate } => prop_assert!(error_rate >= 0.0 && (error_rate < max || max.is_nan())),
            HealthStatus::Bad { status, error_rate } => {
                prop_assert!(status != "healthy" || error_rate.is_some_and(|rate| rate >= max));
            }
            HealthStatus::Unreadable { message } => prop_assert!(!message.is_empty()),
        }
    }
}

#[test]
fn no_shown_value_contains_a_secret_and_no_secret_changes_a_result() {
    let secrets = Secrets::new(["s3cr3t-s3cr3t", PASSED, HEALTHY]);
    let echo = "no: s3cr3t-s3cr3t";
    let body = |status: &str| {
        let lists = json!({"warnings": [echo], "validationErrors": [{"message": echo}, [[[[[[echo]]]]]]]});
        let mut body = json!({"traceId": echo, "status": status, "dependencyConflicts": [echo], "errorRate": 0.0});
        body.as_object_mut().unwrap().extend(lists.as_object().unwrap().clone());
        body.to_string().into_bytes()
    };
    let echoing = body(echo);
    let shown = [
        format!("{:?}", read_validation(&echoing, &secrets).unwrap()),
        format!("{:?}", read_trace(&echoing, &secrets).unwrap()),
        format!("{:?}", read_job_status(&echoing, &secrets).unwrap()),
        format!("{:?}", read_health(&echoing, 0.05, &secrets)),
    ];
    for shown in shown {
        assert!(shown.contains("no: [redacted]") && !shown.contains("s3cr3t"), "{shown}");
    }
    assert_eq!(read_trace(&body(PASSED), &secrets).unwrap().status, PASSED);
    assert_eq!(read_health(&body(HEALTHY), 0.05, &secrets), HealthStatus::Good { error_rate: 0.0 });
}

#[test]
fn an_answer_with_invalid_utf_8_anywhere_is_not_read() {
    let body = b"{\"status\": \"healthy\", \"errorRate\": 0.01, \"unread\": \"\x80\"}";
    assert!(matches!(read_health(body, 0.05, &none()), HealthStatus::Unreadable { .. }));
    assert!(read_job_status(b"{\"status\": \"completed\", \"\xff\": 1}", &none()).is_err());
}

#[test]
fn a_secret_is_redacted_before_a_line_is_truncated() {
    let secrets = Secrets::new(["s3cr3t-s3cr3t"]);
    for filler in 200..300 {
        let body = json!({"warnings": [format!("{} s3cr3t-s3cr3t", "x".repeat(filler))]}).to_string();
        let warnings = read_validation(body.as_bytes(), &secrets).unwrap().warnings;
        assert!(!warnings[0].contains("s3c"), "{warnings:?}");
    }
}
