//! Requests by annotation, and resources that are restored from a backup.

use api::status::Outcome::{Abandoned, Failed, RolledBack, Succeeded};
use api::status::Step;
use serde_json::json;
use simulator::Call;

use crate::scenario::{Cue, Scenario, Tolerance, annotate, create, environment};

pub fn all() -> Vec<Scenario> {
    [retries(), rollbacks(), restored()].concat()
}

fn retries() -> Vec<Scenario> {
    vec![
        Scenario::new("a retry after a refusal", "    validationErrors: [full]\n")
            .creating(|_| {})
            .at(60, environment("{}"))
            .at(90, annotate("retry", "once"))
            .ending(&[Failed, Succeeded], "2"),
        Scenario::new("a retry after a rollback", "    deploymentsAreUnhealthy: true\n")
            .creating(|_| {})
            .after(Cue::Written(Step::Settled), 30, environment("{}"))
            .after(Cue::Written(Step::Settled), 60, annotate("retry", "once"))
            .ending(&[RolledBack, Succeeded], "2"),
        Scenario::new("a retry of a success", "")
            .creating(|_| {})
            .after(Cue::Written(Step::Settled), 60, annotate("retry", "once"))
            .ending(&[Succeeded, Succeeded], "2"),
        Scenario::new("a retry while the job runs", "")
            .creating(|_| {})
            .when(Cue::Written(Step::RollingOut), annotate("retry", "once"))
            .ending(&[Succeeded], "2"),
    ]
}

fn rollbacks() -> Vec<Scenario> {
    vec![
        Scenario::new("a rollback that is asked for during the trace", "")
            .creating(|_| {})
            .when(Cue::RequestReceived(Call::Trace, 1), annotate("rollback", "stop"))
            .ending(&[Abandoned], "1")
            .tolerating(Tolerance::Timing),
        Scenario::new("a rollback that is asked for after the intent", "")
            .creating(|_| {})
            .when(Cue::Written(Step::Submitting), annotate("rollback", "stop"))
            .ending(&[RolledBack], "1"),
        Scenario::new("a rollback that is asked for during the submit", "")
            .creating(|_| {})
            .when(Cue::RequestReceived(Call::Submit, 1), annotate("rollback", "stop"))
            .ending(&[RolledBack], "1"),
        Scenario::new("a rollback that is asked for while the job runs", "")
            .creating(|_| {})
            .when(Cue::Written(Step::RollingOut), annotate("rollback", "stop"))
            .ending(&[RolledBack], "1"),
        Scenario::new("a rollback that is asked for after the success", "")
            .creating(|_| {})
            .after(Cue::Written(Step::Settled), 60, annotate("rollback", "undo"))
            .ending(&[Succeeded], "1"),
        Scenario::new("a rollback without autoTrigger, by a person", "    deploymentsAreUnhealthy: true\n")
            .creating(|object| object["spec"]["rollbackPolicy"] = json!({"autoTrigger": false, "timeoutSeconds": 120}))
            .after(Cue::Written(Step::Settled), 60, annotate("rollback", "undo"))
            .ending(&[Failed], "1"),
    ]
}

fn restored() -> Vec<Scenario> {
    let requests = || json!({"deploy.cognigy.ai/retry": "old", "deploy.cognigy.ai/rollback": "old"});
    vec![
        Scenario::new("restored without its status, with old requests", "")
            .creating(move |object| object["metadata"]["annotations"] = requests())
            .ending(&[Succeeded], "2"),
        Scenario::new("created again with old requests", "")
            .creating(move |object| object["metadata"]["annotations"] = requests())
            .when(Cue::Written(Step::RollingOut), crate::scenario::delete("web"))
            .after(
                Cue::Gone,
                60,
                create("web", move |object| {
                    object["metadata"]["annotations"] = requests();
                    object["spec"]["configurationSnapshot"] = json!({"botVersion": "3"});
                }),
            )
            .ending(&[Succeeded], "3")
            .tolerating(Tolerance::Timing),
    ]
}
