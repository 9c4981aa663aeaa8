//! One configuration, from its first check to its verdict.

use api::status::Outcome::{Failed, RollbackFailed, RolledBack, Succeeded};
use api::status::Step;
use rollout::Settings;
use serde_json::json;
use std::time::Duration;

use crate::scenario::{CLIENT_SECRET, Cue, Scenario, Tolerance, annotate, environment, faults_removed, webhook_url};

pub fn all() -> Vec<Scenario> {
    vec![
        Scenario::new("success", "").creating(|_| {}).ending(&[Succeeded], "2"),
        Scenario::new("success with a streak of three good answers", "")
            .creating(|object| object["spec"]["monitoring"] = json!({"successThreshold": 3}))
            .ending(&[Succeeded], "2"),
        Scenario::new("rollback by health", "    deploymentsAreUnhealthy: true\n")
            .creating(|_| {})
            .ending(&[RolledBack], "1"),
        Scenario::new("health that was bad for a while", "    deploymentsAreUnhealthy: true\n")
            .creating(|object| {
                object["spec"]["rollbackPolicy"] = json!({"healthThreshold": 10, "timeoutSeconds": 7200})
            })
            .at(70, environment("{}"))
            .ending(&[Succeeded], "2"),
        Scenario::new("health that cannot be read for a while", "    health: {then: unreadable}\n")
            .creating(|_| {})
            .at(70, environment("{}"))
            .ending(&[Succeeded], "2"),
        Scenario::new("rollback by job failure", "    jobOutcome: failed\n")
            .creating(|_| {})
            .ending(&[RolledBack], "1"),
        Scenario::new("rollback of a cancelled job", "    jobOutcome: cancelled\n")
            .creating(|_| {})
            .ending(&[RolledBack], "1"),
        Scenario::new("rollback by deadline", "    jobOutcome: neverEnds\n")
            .creating(|_| {})
            .ending(&[RolledBack], "1"),
        Scenario::new("bad health without autoTrigger", "    deploymentsAreUnhealthy: true\n")
            .creating(|object| object["spec"]["rollbackPolicy"] = json!({"autoTrigger": false, "timeoutSeconds": 120}))
            .ending(&[Failed], "2"),
        Scenario::new("a deadline without autoTrigger", "    jobOutcome: neverEnds\n")
            .creating(|object| object["spec"]["rollbackPolicy"] = json!({"autoTrigger": false, "timeoutSeconds": 60}))
            .ending(&[Failed], "1"),
        Scenario::new(
            "validation refused",
            &format!("    validationErrors: ['memory limit exceeded', 'for {CLIENT_SECRET}']\n"),
        )
            .creating(|_| {})
            .ending(&[Failed], "1"),
        Scenario::new("conflicts found by the trace", "    traceConflicts: [{package: dialog-runtime}]\n")
            .creating(|_| {})
            .ending(&[Failed], "1"),
        Scenario::new(
            "a submit that is refused",
            // The error message quotes the request.
            &format!(
                "    faults: [{{call: submit, times: forever, fault: {{status: {{code: 422, body: '{} {CLIENT_SECRET}'}}}}}}]\n",
                webhook_url()
            ),
        )
        .creating(|_| {})
        .ending(&[Failed], "1")
        .tolerating(Tolerance::AmbiguousSubmit)
        .with_settings(Settings { submit_key_ttl: Duration::from_secs(3600), ..Settings::default() })
        .lasting(Duration::from_secs(2 * 3600)),
        Scenario::new(
            "a platform that rolls back by itself while its job is polled",
            "    jobDurationSeconds: 5\n    platformRollbackAfterSeconds: 5\n",
        )
        .creating(|_| {})
        .ending(&[RolledBack], "1"),
        Scenario::new(
            "a platform that rolls back by itself while health is bad",
            "    deploymentsAreUnhealthy: true\n    platformRollbackAfterSeconds: 20\n",
        )
        .creating(|_| {})
        .ending(&[RolledBack], "1"),
        Scenario::new(
            "a rollback that takes its time",
            "    deploymentsAreUnhealthy: true\n    rollbackDurationSeconds: 40\n",
        )
        .creating(|_| {})
        .ending(&[RolledBack], "1"),
        Scenario::new(
            "a rollback that is refused, and asked for again",
            "    deploymentsAreUnhealthy: true\n    faults: [{call: rollback, times: forever, fault: {status: {code: 422}}}]\n",
        )
        .creating(|_| {})
        .after(Cue::Written(Step::VerifyingRollback), 150, faults_removed())
        .after(Cue::Written(Step::VerifyingRollback), 200, annotate("rollback", "once more"))
        .ending(&[RollbackFailed], "1"),
        Scenario::new(
            "a job that nobody knows any more",
            "    faults: [{call: job, times: forever, fault: {status: {code: 404}}}]\n",
        )
        .creating(|_| {})
        .ending(&[RolledBack], "1"),
    ]
}
