//! Changes of users during a rollout.

use api::status::Outcome::{Failed, RolledBack, Succeeded, Superseded};
use api::status::Step;
use serde_json::json;
use simulator::Call;

use crate::scenario::{
    Cue, Scenario, Tolerance, config_map, delete, deploy, deploy_snapshot, edit, environment, take_from_config_map,
};

pub fn all() -> Vec<Scenario> {
    [before_the_job(), with_a_job(), too_deep(), of_any_size(), suspended(), from_config_maps()].concat()
}

fn before_the_job() -> Vec<Scenario> {
    vec![
        Scenario::new("a new version during the validation", "")
            .creating(|_| {})
            .when(Cue::RequestReceived(Call::Validate, 1), deploy("3"))
            .ending(&[Superseded, Succeeded], "3")
            .tolerating(Tolerance::Timing),
        Scenario::new("a new version during the trace", "")
            .creating(|_| {})
            .when(Cue::RequestReceived(Call::Trace, 1), deploy("3"))
            .ending(&[Superseded, Succeeded], "3")
            .tolerating(Tolerance::Timing),
        Scenario::new("other checks during the trace", "")
            .creating(|_| {})
            .when(
                Cue::RequestReceived(Call::Trace, 1),
                edit("other isolation rules", |object| {
                    object["spec"]["isolationRules"]["tenantBoundary"] = json!("relaxed");
                }),
            )
            .ending(&[Succeeded], "2"),
        Scenario::new("other checks after a refusal", "    isolation: {tenantBoundary: relaxed}\n")
            .creating(|_| {})
            .at(
                100,
                edit("other isolation rules", |object| {
                    object["spec"]["isolationRules"]["tenantBoundary"] = json!("relaxed");
                }),
            )
            .ending(&[Failed, Succeeded], "2"),
    ]
}

/// The rollout in flight continues after any edit.
fn too_deep() -> Vec<Scenario> {
    let snapshot = || (0..130).fold(json!({"botVersion": "3"}), |inner, _| json!({"next": inner}));
    vec![
        Scenario::new(
            "a snapshot that is too deep while the job of a bad one runs",
            "    deploymentsAreUnhealthy: true\n",
        )
        .creating(|_| {})
        .when(Cue::Written(Step::RollingOut), deploy_snapshot("too deep", snapshot()))
        .ending(&[RolledBack], "1"),
        Scenario::new("a snapshot that is too deep, and then one that is not", "")
            .creating(|_| {})
            .when(Cue::Written(Step::Settled), deploy_snapshot("too deep", snapshot()))
            .after(Cue::Written(Step::Settled), 200, deploy("4"))
            .ending(&[Succeeded, Succeeded], "4"),
        Scenario::new("deleted with a snapshot that is too deep while the job runs", "")
            .creating(|_| {})
            .when(Cue::Written(Step::RollingOut), deploy_snapshot("too deep", snapshot()))
            .after(Cue::Written(Step::RollingOut), 1, delete("web"))
            .gone("2")
            .tolerating(Tolerance::Timing),
    ]
}

/// The status must fit into the maximum size of an object, with any snapshot.
fn of_any_size() -> Vec<Scenario> {
    let snapshot = |bytes: usize| json!({"botVersion": "3", "flow": "x".repeat(bytes)});
    vec![
        Scenario::new("the largest snapshot that is deployed", "    deploymentsAreUnhealthy: true\n")
            .creating(move |object| object["spec"]["configurationSnapshot"] = snapshot(1024 * 1024 - 2048))
            .ending(&[RolledBack], "1"),
        Scenario::new("a snapshot that is too large to be deployed", "")
            .creating(|_| {})
            .after(Cue::Written(Step::Settled), 60, deploy_snapshot("a large one", snapshot(1024 * 1024)))
            .after(Cue::Written(Step::Settled), 120, deploy("4"))
            .ending(&[Succeeded, Succeeded], "4")
            .tolerating(Tolerance::Timing),
    ]
}

fn with_a_job() -> Vec<Scenario> {
    vec![
        Scenario::new("a new version after the intent", "")
            .creating(|_| {})
            .when(Cue::Written(Step::Submitting), deploy("3"))
            .ending(&[Succeeded, Succeeded], "3")
            .tolerating(Tolerance::Timing),
        Scenario::new("a new version during the submit", "")
            .creating(|_| {})
            .when(Cue::RequestReceived(Call::Submit, 1), deploy("3"))
            .ending(&[Succeeded, Succeeded], "3")
            .tolerating(Tolerance::Timing),
        Scenario::new("a new version while the job runs", "")
            .creating(|_| {})
            .when(Cue::Written(Step::RollingOut), deploy("3"))
            .ending(&[Succeeded, Succeeded], "3"),
        Scenario::new("a new version while the old one is rolled back", "    badSnapshots: [{botVersion: '2'}]\n")
            .creating(|_| {})
            .when(Cue::Written(Step::RollingBack), deploy("3"))
            .ending(&[RolledBack, Succeeded], "3"),
        Scenario::new("a new version after a success", "")
            .creating(|_| {})
            .after(Cue::Written(Step::Settled), 60, deploy("3"))
            .ending(&[Succeeded, Succeeded], "3"),
        Scenario::new("a corrected version after a rollback", "    badSnapshots: [{botVersion: '2'}]\n")
            .creating(|_| {})
            .after(Cue::Written(Step::RollingBack), 60, deploy("3"))
            .ending(&[RolledBack, Succeeded], "3"),
        Scenario::new("a threshold that is raised while health is bad", "    deploymentsAreUnhealthy: true\n")
            .creating(|_| {})
            .when(
                Cue::RequestReceived(Call::Health, 2),
                edit("another threshold", |object| object["spec"]["rollbackPolicy"]["healthThreshold"] = json!(5)),
            )
            .ending(&[RolledBack], "1"),
        Scenario::new("a webhook that is taken out while the job runs", "")
            .creating(|_| {})
            .when(
                Cue::Written(Step::RollingOut),
                edit("no webhook", |object| {
                    object["spec"].as_object_mut().map(|spec| spec.remove("webhook"));
                }),
            )
            .ending(&[Succeeded], "2"),
    ]
}

fn suspended() -> Vec<Scenario> {
    let suspend =
        |on: bool| edit(if on { "suspended" } else { "resumed" }, move |object| object["spec"]["suspend"] = json!(on));
    vec![
        Scenario::new("suspended from the beginning", "")
            .creating(|object| object["spec"]["suspend"] = json!(true))
            .at(120, suspend(false))
            .ending(&[Succeeded], "2"),
        Scenario::new("suspended during the trace", "")
            .creating(|_| {})
            .when(Cue::RequestReceived(Call::Trace, 1), suspend(true))
            .after(Cue::RequestReceived(Call::Trace, 1), 120, suspend(false))
            .ending(&[Succeeded], "2"),
        Scenario::new("suspended while the job runs, and bad", "    deploymentsAreUnhealthy: true\n")
            .creating(|_| {})
            .when(Cue::Written(Step::RollingOut), suspend(true))
            .ending(&[RolledBack], "1"),
    ]
}

fn from_config_maps() -> Vec<Scenario> {
    vec![
        Scenario::new("a snapshot in a ConfigMap that comes later", "")
            .creating(take_from_config_map)
            .at(30, config_map("bot", r#"{"botVersion": "2"}"#))
            .ending(&[Succeeded], "2"),
        Scenario::new("a ConfigMap that changes while the job runs", "")
            .at(0, config_map("bot", r#"{"botVersion": "2"}"#))
            .creating(take_from_config_map)
            .when(Cue::Written(Step::RollingOut), config_map("bot", "botVersion: '3'"))
            .ending(&[Succeeded, Succeeded], "3"),
        Scenario::new("an environment that is mended after a refusal", "    validationErrors: [full]\n")
            .creating(|_| {})
            .at(60, environment("{}"))
            .at(90, deploy("3"))
            .ending(&[Failed, Succeeded], "3"),
    ]
}
