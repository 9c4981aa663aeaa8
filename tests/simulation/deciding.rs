//! Actions around gates: people decide, change windows come and go, and the admission policy is installed or missing.

use std::time::Duration;

use api::decision::Verb;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::kubernetes::{DECISIONS, ObjectName, WINDOWS};
use super::scenario::{Action, NAMESPACE, action, resource};
use super::stage::{Signal, Stage};

/// The name of the action that removes the admission policy. The promises look for it.
pub const POLICY_MISSING: &str = "the admission policy is missing";
/// The name of the action that installs it.
pub const POLICY_INSTALLED: &str = "the admission policy is installed";

/// A person who is not asked yet looks again after this time.
const LOOKS_AGAIN: Duration = Duration::from_secs(30);

/// A decision that a person will make.
#[derive(Clone, Copy)]
struct Said {
    verb: Verb,
    by: &'static str,
    /// The plan. The one that the status shows if it is not set.
    plan: Option<&'static str>,
    /// The number of seconds until it expires, if it names an end.
    expires_after: Option<i64>,
    /// How often the person looks again if the operator does not ask yet.
    looks: u32,
}

/// A person decides about the plan of `web`, as soon as the status asks for it.
pub fn decides(by: &'static str, verb: Verb) -> Action {
    say(Said { verb, by, plan: None, expires_after: None, looks: 70 })
}

/// The same, but only if the status asks for it at this moment.
pub fn decides_if_asked(by: &'static str, verb: Verb) -> Action {
    say(Said { verb, by, plan: None, expires_after: None, looks: 0 })
}

/// A person decides about a plan that does not exist.
pub fn decides_about_another_plan(by: &'static str, verb: Verb) -> Action {
    say(Said { verb, by, plan: Some("plan-0123456789abcdef"), expires_after: None, looks: 70 })
}

/// A person makes a decision that expires.
pub fn decides_for(by: &'static str, verb: Verb, seconds: i64) -> Action {
    say(Said { verb, by, plan: None, expires_after: Some(seconds), looks: 70 })
}

fn say(said: Said) -> Action {
    action(format!("{} decides: {}", said.by, said.verb), move |stage| decide(stage, said))
}

fn decide(stage: &mut Stage, said: Said) {
    let Some(web) = stage.kubernetes.object(&resource("web")).cloned() else { return };
    let attempt = &web["status"]["attempt"];
    match attempt["planId"].as_str().filter(|_| is_asked(attempt, said.verb)) {
        Some(plan) => create(stage, said, plan, &web["spec"]["environmentId"]),
        None if said.looks > 0 => {
            let later = say(Said { looks: said.looks - 1, ..said });
            stage.signal(Signal::Later { after: LOOKS_AGAIN, what: Box::new(move |stage| stage.act(&later)) });
        }
        None => {}
    }
}

/// Whether the status asks a person for this decision.
fn is_asked(attempt: &Value, verb: Verb) -> bool {
    let waits = || attempt["gates"]["closed"].as_array().is_some_and(|closed| !closed.is_empty());
    match verb {
        Verb::Approve | Verb::Reject | Verb::Override => attempt["submission"].is_null() && waits(),
        Verb::Rollback => !attempt["submission"].is_null(),
        Verb::Retry => !attempt["verdict"].is_null(),
    }
}

fn create(stage: &mut Stage, said: Said, plan: &str, environment: &Value) {
    let now = stage.time.wall();
    let name = format!("{}-{}-{}", said.by, said.verb.to_string().to_lowercase(), stage.kubernetes.version());
    let expires_at = said.expires_after.map(|seconds| now + SignedDuration::from_secs(seconds));
    let object = json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1",
        "kind": "CognigyDecision",
        "metadata": {},
        "spec": {
            "deployment": "web",
            "environmentId": environment,
            "planId": said.plan.unwrap_or(plan),
            "verb": said.verb,
            "by": said.by,
            "reason": "tested in staging",
            "expiresAt": expires_at,
        },
    });
    stage.kubernetes.create(now, ObjectName::new(DECISIONS, NAMESPACE, &name), object);
}

/// A person deletes their decisions.
pub fn withdraws(by: &'static str) -> Action {
    action(format!("{by} withdraws"), move |stage| {
        let now = stage.time.wall();
        for name in stage.kubernetes.names(DECISIONS) {
            if stage.kubernetes.object(&name).is_some_and(|object| object["spec"]["by"] == by) {
                stage.kubernetes.delete(now, &name);
            }
        }
    })
}

/// A window in which no rollout starts: from now on, for this many seconds.
pub fn freeze(name: &'static str, seconds: i64) -> Action {
    action(format!("the freeze {name} begins, for {seconds} s"), move |stage| {
        let now = stage.time.wall();
        let object = json!({
            "apiVersion": "deploy.cognigy.ai/v1alpha1",
            "kind": "ChangeWindow",
            "metadata": {},
            "spec": {
                "type": "Deny",
                "timeZone": "UTC",
                "once": {"from": now - SignedDuration::from_secs(1), "to": now + SignedDuration::from_secs(seconds)},
                "reason": "the year ends",
            },
        });
        stage.kubernetes.create(now, ObjectName::new(WINDOWS, NAMESPACE, name), object);
    })
}

/// The admission policy is removed.
pub fn policy_missing() -> Action {
    action(POLICY_MISSING, |stage| stage.kubernetes.policy_is_missing = true)
}

/// The admission policy is installed.
pub fn policy_installed() -> Action {
    action(POLICY_INSTALLED, |stage| stage.kubernetes.policy_is_missing = false)
}
