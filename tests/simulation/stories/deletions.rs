//! Deletion, at each step and with both policies.

use api::status::Step;
use serde_json::json;
use simulator::Call;

use crate::scenario::{Cue, Scenario, Tolerance, create, delete, operator_down, remove_object};

pub fn all() -> Vec<Scenario> {
    let retained = [
        ("deleted during the validation", Cue::RequestReceived(Call::Validate, 1), "1"),
        ("deleted during the trace", Cue::RequestReceived(Call::Trace, 1), "1"),
        ("deleted after the intent", Cue::Written(Step::Submitting), "2"),
        ("deleted while the job runs", Cue::Written(Step::RollingOut), "2"),
        ("deleted while health is asked", Cue::RequestReceived(Call::Health, 1), "2"),
        ("deleted after the success", Cue::Written(Step::Settled), "2"),
    ];
    let retained = retained.map(|(name, cue, runs)| {
        Scenario::new(name, "").creating(|_| {}).when(cue, delete("web")).gone(runs).tolerating(Tolerance::Timing)
    });
    let undone = [
        ("deleted after the intent, to be undone", Cue::Written(Step::Submitting), 0),
        ("deleted while the job runs, to be undone", Cue::Written(Step::RollingOut), 0),
        ("deleted after the success, to be undone", Cue::Written(Step::Settled), 60),
    ];
    let undone = undone.map(|(name, cue, seconds)| {
        Scenario::new(name, "")
            .creating(|object| object["spec"]["deletionPolicy"] = json!("Rollback"))
            .after(cue, seconds, delete("web"))
            .gone("1")
    });
    [retained.to_vec(), undone.to_vec(), special()].concat()
}

fn special() -> Vec<Scenario> {
    vec![
        Scenario::new("deleted while it is rolled back", "    deploymentsAreUnhealthy: true\n")
            .creating(|_| {})
            .when(Cue::Written(Step::RollingBack), delete("web"))
            .gone("1"),
        Scenario::new("deleted while its rollback is verified", "    deploymentsAreUnhealthy: true\n    rollbackDurationSeconds: 40\n")
            .creating(|_| {})
            .after(Cue::RequestReceived(Call::Rollback, 1), 5, delete("web"))
            .gone("1"),
        Scenario::new("deleted with its Secret while the job runs", "")
            .creating(|_| {})
            .when(Cue::Written(Step::RollingOut), remove_object("secrets", "cognigy-api"))
            .when(Cue::Written(Step::RollingOut), operator_down(5))
            .when(Cue::Written(Step::RollingOut), delete("web"))
            .gone("2")
            .tolerating(Tolerance::Timing),
        Scenario::new("deleted with a platform that is gone", "    faults: [{call: job, times: forever, fault: dropBeforeEffect}, {call: rollback, times: forever, fault: dropBeforeEffect}, {call: audit, times: forever, fault: dropBeforeEffect}]\n")
            .creating(|_| {})
            .when(Cue::Written(Step::RollingOut), delete("web"))
            .gone("2")
            // A process that starts after the grace period has one more minute. The webhook accepts its message in this
            // minute.
            .tolerating(Tolerance::Timing),
        Scenario::new("deleted and created again with the same name", "")
            .creating(|_| {})
            .when(Cue::Written(Step::RollingOut), delete("web"))
            .after(Cue::Gone, 60, create("web", |object| object["spec"]["configurationSnapshot"] = json!({"botVersion": "3"})))
            .ending(&[api::status::Outcome::Succeeded], "3")
            .tolerating(Tolerance::Timing),
    ]
}
