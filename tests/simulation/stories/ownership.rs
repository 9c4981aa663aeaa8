//! Two resources for one environment: which one owns it, and how the other one finds out.

use api::status::{Outcome, Step};
use serde_json::{Value, json};

use crate::scenario::{
    Action, CLIENT_SECRET, Cue, Scenario, Tolerance, create, credentials_in, delete, edit_status, environment,
    list_lacks, operator_down, restore_copy,
};
use Outcome::{Failed, Succeeded};

pub fn all() -> Vec<Scenario> {
    [late_secrets(), refusals(), restored_backups(), other_versions()].concat()
}

/// `web` is older than `zweb`, and waits for a Secret.
fn with_late_secret(name: &'static str) -> Scenario {
    Scenario::new(name, "")
        .creating(|object| object["spec"]["credentialsRef"] = json!({"name": "late"}))
        .at(5, create("zweb", |object| object["spec"]["configurationSnapshot"] = json!({"botVersion": "3"})))
}

fn late_secret() -> Action {
    credentials_in("late", "demo", CLIENT_SECRET)
}

fn late_secrets() -> Vec<Scenario> {
    vec![
        with_late_secret("the Secret of the older resource appears after the younger one has deployed")
            .after(Cue::Written(Step::Settled), 100, late_secret())
            .waiting("web", "3")
            .ending_of("zweb", &[Succeeded], "3", false),
        with_late_secret("the Secret of the older resource appears while the job of the younger one runs")
            .when(Cue::Written(Step::RollingOut), late_secret())
            .waiting("web", "3")
            .ending_of("zweb", &[Succeeded], "3", false),
        with_late_secret("an old list lacks the owner for a while")
            .after(Cue::Written(Step::Settled), 100, list_lacks("zweb"))
            .after(Cue::Written(Step::Settled), 105, late_secret())
            .waiting("web", "3")
            .ending_of("zweb", &[Succeeded], "3", false),
        with_late_secret("the older resource takes over when the younger one that has deployed is deleted")
            .after(Cue::Written(Step::Settled), 100, late_secret())
            .after(Cue::Written(Step::Settled), 300, delete("zweb"))
            .ending_of("web", &[Succeeded], "2", false)
            .ending_of("zweb", &[], "2", true)
            .tolerating(Tolerance::Timing),
    ]
}

fn refusals() -> Vec<Scenario> {
    let younger = || create("zweb", |object| object["spec"]["configurationSnapshot"] = json!({"botVersion": "3"}));
    vec![
        Scenario::new(
            "an older resource that the validation refuses owns nothing",
            "    validationErrors: [tenant isolation]\n",
        )
        .creating(|_| {})
        .after(Cue::Written(Step::Settled), 60, environment("{}"))
        .after(Cue::Written(Step::Settled), 61, younger())
        .ending_of("web", &[Failed], "3", false)
        .ending_of("zweb", &[Succeeded], "3", false),
    ]
}

/// Changes every time in a status that shows when the attempt deployed.
fn deployed_at(object: &mut Value, at: &str) {
    object["status"]["attempt"]["submission"]["intendedAt"] = json!(at);
    if object["status"]["claim"].is_object() {
        object["status"]["claim"]["deployedAt"] = json!(at);
    }
}

fn restored_backups() -> Vec<Scenario> {
    let settled = || Cue::Written(Step::Settled);
    let later = "2099-01-01T00:00:00Z";
    let overtaken = |name| {
        Scenario::new(name, "").creating(|_| {}).after(settled(), 100, operator_down(30)).after(
            settled(),
            110,
            restore_copy("zweb", move |object| deployed_at(object, later)),
        )
    };
    vec![
        Scenario::new("a backup restored beside its original is not ready", "")
            .creating(|_| {})
            .after(settled(), 100, restore_copy("zweb", |_| {}))
            .ending(&[Succeeded], "2")
            .waiting_after("zweb", &[Succeeded], "2"),
        Scenario::new("a backup of a rollout in flight, restored beside its original", "")
            .creating(|_| {})
            .after(Cue::Written(Step::RollingOut), 3, restore_copy("zweb", move |object| deployed_at(object, later)))
            .waiting_after("web", &[Succeeded], "2")
            .ending_of("zweb", &[Succeeded], "2", false)
            .tolerating(Tolerance::Timing),
        overtaken("a resource that did not deploy last is no longer ready after a restart")
            .waiting_after("web", &[Succeeded], "2")
            .ending_of("zweb", &[Succeeded], "2", false),
        overtaken("a resource that did not deploy last deploys again when the owner is deleted")
            .after(settled(), 400, delete("zweb"))
            .ending(&[Succeeded, Succeeded], "2")
            .ending_of("zweb", &[], "2", true)
            .tolerating(Tolerance::Timing),
    ]
}

/// A newer operator has written a step that this version does not know.
fn other_versions() -> Vec<Scenario> {
    let unknown = |status: &mut Value| {
        status["attempt"]["step"] = json!("Simulating");
        if let Some(attempt) = status["attempt"].as_object_mut() {
            attempt.remove("verdict");
        }
    };
    vec![
        with_late_secret("an owner at a step that this version does not know keeps its environment")
            .after(Cue::Written(Step::Settled), 100, edit_status("zweb", "an unknown step", unknown))
            .after(Cue::Written(Step::Settled), 110, operator_down(5))
            .after(Cue::Written(Step::Settled), 200, late_secret())
            .waiting("web", "3"),
    ]
}
