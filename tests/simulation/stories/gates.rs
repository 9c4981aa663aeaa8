//! Approvals, rejections, requests by decision, and change windows.

use api::decision::Verb::{Approve, Override, Reject, Retry, Rollback};
use api::status::Outcome::{Abandoned, Failed, RolledBack, Succeeded, Superseded};
use api::status::Step;
use serde_json::{Value, json};
use simulator::Call;
use std::time::Duration;

use crate::deciding::{
    decides, decides_about_another_plan, decides_for, decides_if_asked, freeze, policy_installed, policy_missing,
    withdraws,
};
use crate::scenario::{Cue, Scenario, Tolerance, delete, deploy, edit, environment, operator_down, remove_object};

/// When the operator has recorded that it waits.
const WAITS: Cue = Cue::Written(Step::Tracing);
const ENDED: Cue = Cue::Written(Step::Settled);

pub fn all() -> Vec<Scenario> {
    [approvals(), endings(), requests(), windows()].concat()
}

/// A story with a resource that so many people must approve.
fn gated(name: &'static str, script: &str, required: i32) -> Scenario {
    let story = Scenario::new(name, script).lasting(Duration::from_secs(3 * 3600));
    story.creating(move |object| require(object, required))
}

fn require(object: &mut Value, required: i32) {
    object["spec"]["approval"] = json!({"required": required, "expiresAfterSeconds": 7200});
}

fn approvals() -> Vec<Scenario> {
    vec![
        gated("two approvals", "", 2)
            .after(WAITS, 30, decides("anna", Approve))
            .after(WAITS, 90, decides("ben", Approve))
            .ending(&[Succeeded], "2"),
        gated("the same person twice, then another one", "", 2)
            .after(WAITS, 30, decides("anna", Approve))
            .after(WAITS, 60, decides("anna", Approve))
            .after(WAITS, 900, decides("ben", Approve))
            .ending(&[Succeeded], "2"),
        gated("an approval of another plan", "", 1)
            .after(WAITS, 30, decides_about_another_plan("anna", Approve))
            .after(WAITS, 600, decides("ben", Approve))
            .ending(&[Succeeded], "2"),
        gated("an approval that expires before the other one comes", "", 2)
            .after(WAITS, 30, decides_for("anna", Approve, 120))
            .after(WAITS, 400, decides("ben", Approve))
            .after(WAITS, 800, decides("carol", Approve))
            .ending(&[Succeeded], "2"),
        gated("an approval that is withdrawn", "", 2)
            .after(WAITS, 30, decides("anna", Approve))
            .after(WAITS, 200, withdraws("anna"))
            .after(WAITS, 400, decides("ben", Approve))
            .after(WAITS, 800, decides("carol", Approve))
            .ending(&[Succeeded], "2")
            .tolerating(Tolerance::Timing),
        gated("approvals that come while no operator runs", "", 2)
            .after(WAITS, 20, operator_down(300))
            .after(WAITS, 30, decides("anna", Approve))
            .after(WAITS, 60, decides("ben", Approve))
            .ending(&[Succeeded], "2"),
        gated("approvals without the admission policy", "", 1)
            .at(0, policy_missing())
            .after(WAITS, 30, decides("anna", Approve))
            .after(WAITS, 900, policy_installed())
            // What was decided before that never counts.
            .after(WAITS, 1200, decides("anna", Approve))
            .ending(&[Succeeded], "2"),
        gated("an approval of checks that are old when it comes", "", 1)
            .after(WAITS, 4000, decides("anna", Approve))
            .ending(&[Succeeded], "2"),
        gated("a newer configuration than the one that waits", "", 2)
            .after(WAITS, 30, decides("anna", Approve))
            .after(WAITS, 60, deploy("3"))
            .after(WAITS, 200, decides("anna", Approve))
            .after(WAITS, 230, decides("ben", Approve))
            .ending(&[Superseded, Succeeded], "3")
            .tolerating(Tolerance::Timing),
        gated("other checks while it waits", "", 1)
            .after(
                WAITS,
                30,
                edit("other checks", |object| object["spec"]["isolationRules"]["tenantBoundary"] = json!("b")),
            )
            .after(WAITS, 200, decides("anna", Approve))
            .ending(&[Succeeded], "2"),
        gated("suspended while it waits", "", 1)
            .after(WAITS, 10, edit("suspended", |object| object["spec"]["suspend"] = json!(true)))
            .after(WAITS, 30, decides("anna", Approve))
            .after(WAITS, 300, edit("resumed", |object| object["spec"]["suspend"] = json!(false)))
            .ending(&[Succeeded], "2"),
        gated("two configurations in turn, each approved", "", 1)
            .after(WAITS, 30, decides("anna", Approve))
            .after(ENDED, 60, deploy("3"))
            .after(ENDED, 300, decides("anna", Approve))
            .ending(&[Succeeded, Succeeded], "3")
            .tolerating(Tolerance::Timing),
    ]
}

fn endings() -> Vec<Scenario> {
    vec![
        gated("rejected", "", 2)
            .after(WAITS, 30, decides("anna", Approve))
            .after(WAITS, 60, decides("ben", Reject))
            .after(WAITS, 90, decides_if_asked("carol", Approve))
            .ending(&[Abandoned], "1"),
        gated("rejected, and tried again by decision", "", 1)
            .after(WAITS, 30, decides("ben", Reject))
            .after(ENDED, 60, decides("ben", Retry))
            .after(ENDED, 300, decides("anna", Approve))
            .ending(&[Abandoned, Succeeded], "2"),
        gated("approved and bad", "    deploymentsAreUnhealthy: true\n", 1)
            .after(WAITS, 30, decides("anna", Approve))
            .ending(&[RolledBack], "1"),
        gated("approved, bad, and tried again", "    deploymentsAreUnhealthy: true\n", 1)
            .after(WAITS, 30, decides("anna", Approve))
            .after(ENDED, 100, environment("{}"))
            .after(ENDED, 130, decides("anna", Retry))
            .after(ENDED, 400, decides("anna", Approve))
            .ending(&[RolledBack, Succeeded], "2"),
        gated("deleted while it waits", "", 1).after(WAITS, 30, delete("web")).gone("1"),
    ]
}

fn requests() -> Vec<Scenario> {
    let story = |name, script| Scenario::new(name, script).lasting(Duration::from_secs(3 * 3600));
    vec![
        story("a rollback by decision while the job runs", "")
            .creating(|_| {})
            .when(Cue::Written(Step::RollingOut), decides("anna", Rollback))
            .ending(&[RolledBack], "1")
            .tolerating(Tolerance::Timing),
        story("a rollback by decision after the success", "")
            .creating(|_| {})
            .after(ENDED, 60, decides("anna", Rollback))
            .ending(&[Succeeded], "1"),
        story("a rollback by decision while the outcome is delivered", "")
            .creating(|_| {})
            .when(Cue::RequestReceived(Call::Audit, 1), decides("anna", Rollback))
            .ending(&[Succeeded], "1"),
        story("a rollback by decision after the last delivery", "")
            .creating(|_| {})
            .when(Cue::RequestReceived(Call::Webhook, 1), decides("anna", Rollback))
            .ending(&[Succeeded], "1"),
        story("a rollback by decision while no operator runs", "")
            .creating(|_| {})
            .after(ENDED, 50, operator_down(300))
            .after(ENDED, 60, decides("anna", Rollback))
            .ending(&[Succeeded], "1"),
        story("a rollback by decision before the admission policy is installed", "")
            .creating(|_| {})
            .at(0, policy_missing())
            .after(ENDED, 60, decides("anna", Rollback))
            .after(ENDED, 600, policy_installed())
            .after(ENDED, 900, decides("anna", Rollback))
            .ending(&[Succeeded], "1"),
        story("a retry by decision after a refusal", "    validationErrors: [full]\n")
            .creating(|_| {})
            .after(ENDED, 60, environment("{}"))
            .after(ENDED, 90, decides("anna", Retry))
            .ending(&[Failed, Succeeded], "2"),
        story("two retries by decision", "")
            .creating(|_| {})
            .after(ENDED, 60, decides("anna", Retry))
            .after(ENDED, 600, decides("ben", Retry))
            .ending(&[Succeeded, Succeeded, Succeeded], "2"),
    ]
}

fn windows() -> Vec<Scenario> {
    let story = |name| Scenario::new(name, "").lasting(Duration::from_secs(3 * 3600)).at(0, freeze("freeze", 1800));
    vec![
        story("a freeze that ends").creating(|_| {}).ending(&[Succeeded], "2"),
        story("a freeze that ends while no operator runs")
            .creating(|_| {})
            .after(WAITS, 60, operator_down(2400))
            .ending(&[Succeeded], "2"),
        story("a freeze that is removed")
            .creating(|_| {})
            .after(WAITS, 600, remove_object(crate::kubernetes::WINDOWS, "freeze"))
            .ending(&[Succeeded], "2"),
        story("a hotfix in a freeze")
            .creating(|_| {})
            .after(WAITS, 60, decides("anna", Override))
            .ending(&[Succeeded], "2"),
        story("a hotfix in a freeze, with an approval")
            .creating(|object| require(object, 1))
            .after(WAITS, 60, decides("anna", Override))
            .after(WAITS, 300, decides("ben", Approve))
            .ending(&[Succeeded], "2"),
        Scenario::new("a freeze that begins while the job runs", "    deploymentsAreUnhealthy: true\n")
            .lasting(Duration::from_secs(3 * 3600))
            .creating(|_| {})
            .when(Cue::Written(Step::RollingOut), freeze("freeze", 7200))
            .ending(&[RolledBack], "1"),
    ]
}
