//! Failures around the operator, and outages of the operator itself.

use std::num::NonZeroU32;
use std::time::Duration;

use api::status::Outcome::{Failed, RolledBack, Succeeded};
use api::status::Step;
use rollout::Settings;
use rollout::facts::SubmitIdempotency;
use serde_json::json;
use simulator::Call;

use crate::scenario::{
    CLIENT_SECRET, Cue, Scenario, Tolerance, breaks, clock_jumps, create, credentials, credentials_at, delete, deploy,
    faults_removed, operator_down, remove_object, tokens_revoked,
};

pub fn all() -> Vec<Scenario> {
    [receivers(), credentials_fail(), platform_fails(), operator_away(), environments_shared()].concat()
}

fn receivers() -> Vec<Scenario> {
    vec![
        Scenario::new("audit log and webhook down for an hour", "")
            .at(0, breaks(r#"{"call": "audit", "times": "forever", "fault": {"status": {"code": 503}}}"#))
            .at(0, breaks(r#"{"call": "webhook", "times": "forever", "fault": "dropBeforeEffect"}"#))
            .creating(|_| {})
            .at(3600, faults_removed())
            .ending(&[Succeeded], "2")
            .lasting(Duration::from_secs(3 * 3600)),
        Scenario::new("the operator's own webhook", "")
            .with_default_webhook()
            .creating(without_webhook)
            .ending(&[Succeeded], "2"),
        Scenario::new("the operator's own webhook, and an API of a tenant's own", "")
            .with_default_webhook()
            .at(0, credentials_at("https://tenant.example"))
            .creating(without_webhook)
            .ending(&[Succeeded], "2"),
        Scenario::new("the operator's own webhook, and a tenant's API that refuses", "    validationErrors: [full]\n")
            .with_default_webhook()
            .at(0, credentials_at("https://tenant.example"))
            .creating(without_webhook)
            .ending(&[Failed], "1"),
        Scenario::new("receivers down, and a new version meanwhile", "")
            .at(0, breaks(r#"{"call": "audit", "times": "forever", "fault": {"status": {"code": 503}}}"#))
            .at(0, breaks(r#"{"call": "webhook", "times": "forever", "fault": "dropAfterEffect"}"#))
            .creating(|_| {})
            .after(Cue::Written(Step::Settled), 60, deploy("3"))
            .at(1800, faults_removed())
            .ending(&[Succeeded, Succeeded], "3")
            .lasting(Duration::from_secs(3 * 3600)),
        Scenario::new("a Secret that points elsewhere before the audit record is taken, and back", "")
            .at(0, breaks(r#"{"call": "audit", "times": "forever", "fault": {"status": {"code": 503}}}"#))
            .creating(|_| {})
            .after(Cue::Written(Step::Settled), 60, credentials_at("https://elsewhere.example"))
            // The restarted operator reads the Secret again.
            .after(Cue::Written(Step::Settled), 61, operator_down(5))
            .at(300, faults_removed())
            .at(7200, credentials(CLIENT_SECRET))
            .ending(&[Succeeded], "2")
            .lasting(Duration::from_secs(4 * 3600)),
        Scenario::new("a Secret that points elsewhere before the audit record is taken, for good", "")
            .at(0, breaks(r#"{"call": "audit", "times": "forever", "fault": {"status": {"code": 503}}}"#))
            .creating(|_| {})
            .after(Cue::Written(Step::Settled), 60, credentials_at("https://elsewhere.example"))
            .after(Cue::Written(Step::Settled), 61, operator_down(5))
            .after(Cue::Written(Step::Settled), 90, deploy("3"))
            .at(300, faults_removed())
            .ending(&[Succeeded, Succeeded], "3")
            .lasting(Duration::from_secs(80 * 3600)),
        Scenario::new("an audit log that never takes anything", "")
            .at(0, breaks(r#"{"call": "audit", "times": "forever", "fault": {"status": {"code": 422}}}"#))
            .creating(|_| {})
            .ending(&[Succeeded], "2")
            .lasting(Duration::from_secs(80 * 3600)),
    ]
}

fn without_webhook(object: &mut serde_json::Value) {
    if let Some(spec) = object["spec"].as_object_mut() {
        spec.remove("webhook");
    }
}

fn credentials_fail() -> Vec<Scenario> {
    let unauthorized = |call: &'static str, times: &'static str| -> &'static str {
        format!("    faults: [{{call: {call}, times: {times}, fault: {{status: {{code: 401}}}}}}]\n").leak()
    };
    vec![
        Scenario::new("tokens revoked while the job runs", "")
            .creating(|_| {})
            .when(Cue::Written(Step::RollingOut), tokens_revoked())
            .ending(&[Succeeded], "2"),
        Scenario::new("401 once at the submit", unauthorized("submit", "1")).creating(|_| {}).ending(&[Succeeded], "2"),
        Scenario::new("401 twice at the validation, until somebody asks", unauthorized("validate", "2"))
            .creating(|_| {})
            .after(Cue::RequestReceived(Call::Validate, 2), 200, crate::scenario::annotate("retry", "now"))
            .ending(&[Succeeded], "2")
            // If the refusal is lost, the rollout has succeeded by then, and the retry repeats it.
            .tolerating(Tolerance::Timing),
        Scenario::new("401 twice at the health", unauthorized("health", "2"))
            .creating(|_| {})
            .ending(&[Succeeded], "2"),
        Scenario::new(
            "401 four times at the rollback",
            &format!("    deploymentsAreUnhealthy: true\n{}", unauthorized("rollback", "4")),
        )
        .creating(|_| {})
        .ending(&[RolledBack], "1"),
        Scenario::new("a wrong client secret that is corrected", "")
            .at(0, credentials("wrong"))
            .creating(|_| {})
            .at(90, credentials(CLIENT_SECRET))
            .ending(&[Succeeded], "2"),
        Scenario::new("a Secret that comes late", "")
            .at(0, remove_object("secrets", "cognigy-api"))
            .creating(|_| {})
            .at(90, credentials(CLIENT_SECRET))
            .ending(&[Succeeded], "2"),
    ]
}

fn platform_fails() -> Vec<Scenario> {
    let unsupported = Settings {
        submit_idempotency: SubmitIdempotency::Unsupported,
        submit_key_ttl: Duration::from_secs(3600),
        ..Settings::default()
    };
    let mut ignorant = Scenario::new("an API that ignores keys", "").creating(|_| {}).ending(&[Succeeded], "2");
    ignorant.platform.insert_str(0, "idempotency: unsupported\n");
    vec![
        Scenario::new("a platform down for five minutes before the submit", "")
            .at(0, breaks(r#"{"call": "validate", "times": "forever", "fault": {"status": {"code": 503}}}"#))
            .creating(|_| {})
            .at(300, faults_removed())
            .ending(&[Succeeded], "2"),
        Scenario::new("submits without an answer for five minutes", "")
            .at(0, breaks(r#"{"call": "submit", "times": "forever", "fault": "dropAfterEffect"}"#))
            .creating(|_| {})
            .at(300, faults_removed())
            .ending(&[Succeeded], "2"),
        Scenario::new("submits that do not get through for five minutes", "")
            .at(0, breaks(r#"{"call": "submit", "times": "forever", "fault": "dropBeforeEffect"}"#))
            .creating(|_| {})
            .at(300, faults_removed())
            .ending(&[Succeeded], "2"),
        Scenario::new(
            "a platform that rolls back while a job's answer is on its way",
            "    deploymentsAreUnhealthy: true\n    platformRollbackAfterSeconds: 20\n    jobDurationSeconds: 1\n    faults: [{call: job, fault: {delay: {seconds: 14}}}]\n",
        )
        .creating(|_| {})
        .ending(&[RolledBack], "1"),
        Scenario::new("a rollback that is unreachable for ten minutes", "    deploymentsAreUnhealthy: true\n")
            .at(0, breaks(r#"{"call": "rollback", "times": "forever", "fault": "dropBeforeEffect"}"#))
            .creating(|_| {})
            .at(700, faults_removed())
            .ending(&[RolledBack], "1"),
        Scenario::new("an hour's pause while the job runs", "")
            .at(0, breaks(r#"{"call": "job", "fault": {"status": {"code": 429, "retryAfterSeconds": 3600}}}"#))
            .creating(|_| {})
            .tolerating(Tolerance::Deadline)
            .ending(&[Succeeded], "2"),
        Scenario::new("an hour's pause while health is watched", "")
            .at(0, breaks(r#"{"call": "health", "fault": {"status": {"code": 503, "retryAfterSeconds": 3600}}}"#))
            .creating(|_| {})
            .tolerating(Tolerance::Deadline)
            .ending(&[Succeeded], "2"),
        Scenario::new("no token until after the deadline", "")
            .creating(|_| {})
            .when(Cue::Written(Step::RollingOut), breaks(r#"{"call": "token", "times": "forever", "fault": {"status": {"code": 503}}}"#))
            .when(Cue::Written(Step::RollingOut), tokens_revoked())
            .after(Cue::Written(Step::RollingOut), 600, faults_removed())
            .tolerating(Tolerance::Deadline)
            .ending(&[Succeeded], "2"),
        Scenario::new("polls that fail until after the deadline", "")
            .at(0, breaks(r#"{"call": "job", "times": "forever", "fault": {"status": {"code": 500}}}"#))
            .creating(|_| {})
            .at(100, faults_removed())
            .tolerating(Tolerance::Deadline)
            .ending(&[Succeeded], "2"),
        ignorant
            .with_settings(unsupported)
            .tolerating(Tolerance::AmbiguousSubmit)
            .lasting(Duration::from_secs(2 * 3600)),
    ]
}

fn operator_away() -> Vec<Scenario> {
    vec![
        Scenario::new("an operator that is down past the deadline", "")
            .creating(|_| {})
            .when(Cue::Written(Step::RollingOut), operator_down(600))
            .ending(&[Succeeded], "2"),
        Scenario::new("an operator that is down past the deadline of a job without end", "    jobOutcome: neverEnds\n")
            .creating(|_| {})
            .when(Cue::Written(Step::RollingOut), operator_down(600))
            .ending(&[RolledBack], "1"),
        Scenario::new("an operator that is down during the submit, past the deadline", "")
            .creating(|_| {})
            .when(Cue::RequestReceived(Call::Submit, 1), operator_down(600))
            .ending(&[Succeeded], "2"),
        Scenario::new("an operator that is down between intent and submit, past the deadline", "")
            .creating(|_| {})
            .when(Cue::Written(Step::Submitting), operator_down(600))
            .ending(&[Succeeded], "2"),
        Scenario::new("a clock that jumps ahead", "")
            .creating(|_| {})
            .when(Cue::Written(Step::RollingOut), clock_jumps(7200))
            .ending(&[Succeeded], "2"),
        Scenario::new("a clock that jumps back while health is bad", "    deploymentsAreUnhealthy: true\n")
            .creating(|_| {})
            .when(Cue::RequestReceived(Call::Health, 2), clock_jumps(-7200))
            .ending(&[RolledBack], "1"),
    ]
}

fn environments_shared() -> Vec<Scenario> {
    let second = || create("zweb", |object| object["spec"]["configurationSnapshot"] = json!({"botVersion": "3"}));
    let mut limited =
        Scenario::new("a platform that allows twelve requests a minute", "").creating(|_| {}).ending(&[Succeeded], "2");
    let limit = NonZeroU32::MIN.saturating_add(11);
    limited.platform.insert_str(0, &format!("rateLimit: {{requestsPerMinute: {limit}}}\n"));
    vec![
        Scenario::new("two resources for one environment", "")
            .creating(|_| {})
            .when(Cue::RequestReceived(Call::Submit, 1), second())
            .ending(&[Succeeded], "2")
            .waiting("zweb", "2"),
        Scenario::new("two resources for one environment, and the owner goes", "")
            .creating(|_| {})
            .when(Cue::RequestReceived(Call::Submit, 1), second())
            .after(Cue::RequestReceived(Call::Submit, 1), 200, delete("web"))
            .ending_of("web", &[], "3", true)
            .ending_of("zweb", &[Succeeded], "3", false)
            .tolerating(Tolerance::Timing),
        limited,
    ]
}
