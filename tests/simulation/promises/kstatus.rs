//! S10: every status that the operator writes follows the conventions of kstatus, so that generic tools can read it.

use serde_json::Value;
use simulator::Call;
use std::collections::BTreeMap;

use super::Broken;
use crate::kstatus::{Reading, conditions, reading};
use crate::record::Record;
use crate::story::{Author, Happening, is_deployment};

pub fn check(record: &Record<'_>, broken: &mut Vec<Broken>) {
    let mut before: BTreeMap<&str, &Value> = BTreeMap::new();
    for (place, entry) in record.run.story.iter().enumerate() {
        let Happening::Changed { by, name, after } = &entry.what else { continue };
        if !is_deployment(name) {
            continue;
        }
        let Some(after) = after else {
            before.remove(name.name.as_str());
            continue;
        };
        let known = before.insert(&name.name, after);
        let is_status = known.is_some_and(|known| known["status"] != after["status"]);
        if is_status && matches!(by, Author::Operator(_)) {
            let wrong = forms(after).into_iter().chain(too_early(record, place, after));
            broken.extend(wrong.map(|how| Broken::new("S10", format!("{how}: {}", after["status"]["conditions"]))));
        }
    }
}

/// The violations of the conventions.
fn forms(object: &Value) -> Vec<String> {
    let status = &object["status"];
    let find = |condition_type: &str| conditions(object).find(|condition| condition["type"] == condition_type);
    let says = |condition_type: &str, value: &str| find(condition_type).is_some_and(|it| it["status"] == value);
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            wrong.push(what.to_owned());
        }
    };

    // A write is conditional on the resource version that the decision was based on, so it is about that generation.
    must(status["observedGeneration"] == object["metadata"]["generation"], "observedGeneration is not the generation");
    must(find("Ready").is_some(), "Ready is missing");
    let (reconciling, stalled) = (find("Reconciling"), find("Stalled"));
    must(reconciling.is_none() || stalled.is_none(), "Reconciling and Stalled are both set");
    for flag in [reconciling, stalled].into_iter().flatten() {
        must(flag["status"] == "True", "Reconciling or Stalled is set, but not True");
    }
    must(
        says("Ready", "Unknown") == reconciling.is_some(),
        "Ready is Unknown without Reconciling, or Reconciling is set and Ready is not Unknown",
    );
    must(stalled.is_none() || says("Ready", "False"), "Stalled is set, but Ready is not False");
    let is_suspended = find("Ready").is_some_and(|ready| ready["reason"] == "Suspended");
    must(
        !says("Ready", "False") || stalled.is_some() != is_suspended,
        "Ready is False, but the resource is neither stalled nor suspended",
    );
    if says("Ready", "True") {
        for good in ["Validated", "TracePassed", "RolledOut"] {
            must(says(good, "True"), &format!("Ready is True without {good}"));
        }
        // After the success, Ready stays True while nobody answers whether the environment is still healthy.
        let is_unknown = find("Healthy").is_some_and(|healthy| healthy["reason"] == "HealthUnknown");
        must(says("Healthy", "True") || is_unknown, "Ready is True without Healthy");
        must(!says("RolledBack", "True"), "Ready is True, but the rollout was rolled back");
    }

    let mut types: Vec<&str> = conditions(object).filter_map(|condition| condition["type"].as_str()).collect();
    let count = types.len();
    types.sort_unstable();
    types.dedup();
    must(types.len() == count, "a condition is set twice");
    for condition in conditions(object) {
        must(condition["lastTransitionTime"].is_string(), "a condition has no lastTransitionTime");
        must(condition["reason"].as_str().is_some_and(is_camel_case), "a reason is not a CamelCase word");
        let seen = condition["observedGeneration"].as_i64();
        must(
            seen.is_some() && seen <= status["observedGeneration"].as_i64(),
            "a condition is about another generation",
        );
    }
    let is_of_now = |condition: &Value| condition["observedGeneration"] == status["observedGeneration"];
    must(
        [find("Ready"), reconciling, stalled].into_iter().flatten().all(is_of_now),
        "Ready, Reconciling or Stalled is about an older generation",
    );
    wrong
}

/// The reasons of failures of a rollout that was tried.
const TRIED: [&str; 7] = [
    "ValidationRefused",
    "TraceNotPassed",
    "SubmitRejected",
    "JobFailed",
    "HealthCheckFailed",
    "DeadlineExceeded",
    "RolledBack",
];

/// Tools stop waiting when a resource is Current or Failed. Before that, the configuration of its spec must have been
/// deployed or tried.
fn too_early(record: &Record<'_>, place: usize, object: &Value) -> Option<String> {
    let wanted = &object["spec"]["configurationSnapshot"];
    let was_asked = |call: Call, field: &str| {
        record.calls(call).any(|request| request.place < place && request.exchange.body[field] == *wanted)
    };
    let ready = conditions(object).find(|condition| condition["type"] == "Ready")?;
    match reading(object) {
        _ if wanted.is_null() => None,
        Reading::Current if !was_asked(Call::Submit, "configuration_snapshot") => {
            Some("it is Current, but the configuration of the spec was never submitted".to_owned())
        }
        Reading::Failed if TRIED.contains(&ready["reason"].as_str()?) => {
            let was_tried = was_asked(Call::Validate, "configurationSnapshot");
            (!was_tried).then(|| "it is Failed, but the configuration of the spec was never tried".to_owned())
        }
        _ => None,
    }
}

fn is_camel_case(word: &str) -> bool {
    word.starts_with(|letter: char| letter.is_ascii_uppercase())
        && word.chars().all(|letter| letter.is_ascii_alphanumeric())
}
