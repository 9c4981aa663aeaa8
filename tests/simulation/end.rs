//! The end of a run. It is compared between a run with faults and the run without faults.

use std::collections::BTreeMap;

use api::CognigyDeployment;
use api::ConditionType;
use api::condition::ConditionSet;
use api::status::Outcome;
use serde::Deserialize;
use serde_json::Value;

use super::director::Run;
use super::fault::{Fault, Plan};
use super::scenario::{Ending, Scenario, Tolerance, resource};

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The end of each resource that the scenario names.
    pub resources: BTreeMap<&'static str, Ending>,
    /// The condition Ready of each resource that still exists, with its reason.
    pub ready: BTreeMap<&'static str, String>,
    /// The messages that the audit log and the webhook accepted, each once, in order.
    pub messages: Vec<String>,
    /// Whether the operator came to rest.
    pub rests: bool,
}

/// How the run ended.
pub fn of(scenario: &Scenario, run: &Run) -> End {
    let (mut resources, mut ready) = (BTreeMap::new(), BTreeMap::new());
    for (name, _) in &scenario.ends {
        let object = run.kubernetes.object(&resource(name));
        let object = object.and_then(|object| CognigyDeployment::deserialize(object).ok());
        if let Some(text) = object.as_ref().and_then(ready_of) {
            ready.insert(*name, text);
        }
        let outcomes = object.as_ref().map(outcomes).unwrap_or_default();
        resources.insert(*name, Ending { outcomes, runs: runs(run), gone: object.is_none() });
    }
    End { resources, ready, messages: messages(run), rests: run.rests }
}

fn outcomes(object: &CognigyDeployment) -> Vec<Option<Outcome>> {
    let Some(status) = &object.status else { return Vec::new() };
    let past = status.history.iter().rev().map(|past| Some(past.verdict.outcome));
    past.chain(status.attempt.iter().map(|attempt| attempt.outcome())).collect()
}

fn ready_of(object: &CognigyDeployment) -> Option<String> {
    let ready = object.status.as_ref()?.conditions.find(ConditionType::Ready)?;
    Some(format!("{:?} {}", ready.status, ready.reason))
}

fn runs(run: &Run) -> String {
    let environment = run.platform.environments().find(|(id, _)| id.as_str() == "env");
    let snapshot = environment.and_then(|(_, environment)| environment.deployed().configuration_snapshot.clone());
    snapshot.and_then(|snapshot| Some(snapshot["botVersion"].as_str()?.to_owned())).unwrap_or_default()
}

fn messages(run: &Run) -> Vec<String> {
    let audits = run.platform.audit().map(|taken| (taken.idempotency_key.clone(), audit(&taken.record)));
    let webhooks = run.platform.webhooks().map(|taken| (taken.idempotency_key.clone(), webhook(&taken.body)));
    let mut once = BTreeMap::new();
    let mut messages = Vec::new();
    for (key, text) in audits.chain(webhooks) {
        if once.insert(key, ()).is_none() {
            messages.push(text);
        }
    }
    messages
}

fn audit(record: &Value) -> String {
    format!("audit: success {}, with a job {}", record["deploymentSuccess"], !record["jobId"].is_null())
}

fn webhook(body: &Value) -> String {
    format!("webhook: success {}, with a job {}", body["success"], !body["jobId"].is_null())
}

/// The difference between this end and the end of the run without faults, unless the scenario tolerates it.
pub fn difference(scenario: &Scenario, plan: &Plan, expected: &End, end: &End) -> Option<String> {
    if expected == end {
        return None;
    }
    // While no operator ran for a long time, users have acted and deadlines have passed, so the reason may differ.
    let was_away = plan.values().any(|fault| *fault == Fault::CrashForLong);
    let tolerates = if was_away { scenario.tolerates.max(Tolerance::Timing) } else { scenario.tolerates };
    let is_unknown = || end.resources.values().all(|had| had.outcomes == [Some(Outcome::Unknown)] && !had.gone);
    let is_rolled_back = || end.resources.values().all(|had| had.outcomes == [Some(Outcome::RolledBack)] && !had.gone);
    let is_allowed = match tolerates {
        Tolerance::None => false,
        Tolerance::Timing => is_as_good(expected, end),
        Tolerance::Deadline => is_as_good(expected, end) || is_rolled_back(),
        Tolerance::AmbiguousSubmit => is_as_good(expected, end) || is_unknown(),
    };
    (!is_allowed).then(|| format!("it should end as {expected:?}\n    but it ended as {end:?}"))
}

/// Whether the same version runs at the end with the same outcome. The number of attempts may differ.
fn is_as_good(expected: &End, end: &End) -> bool {
    let is_it = |wanted: &Ending, had: &Ending| {
        had.gone == wanted.gone && had.runs == wanted.runs && had.outcomes.last() == wanted.outcomes.last()
    };
    expected.rests == end.rests
        && expected.resources.iter().all(|(name, wanted)| end.resources.get(name).is_some_and(|had| is_it(wanted, had)))
}
