//! How kstatus reads an object, by the rules of its library (cli-utils, `pkg/kstatus/status`). Flux and kpt decide only
//! by this reading.

use serde_json::Value;

/// The status of an object for kstatus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reading {
    /// It is being deleted.
    Terminating,
    /// Its controller is working on it, or has not seen it yet.
    InProgress,
    /// It matches its spec.
    Current,
    /// It does not match its spec, and needs a user.
    Failed,
}

/// Reads an object as kstatus does: first the generic fields, then the conditions in their order.
pub fn reading(object: &Value) -> Reading {
    let (metadata, status) = (&object["metadata"], &object["status"]);
    if metadata["deletionTimestamp"].is_string() {
        return Reading::Terminating;
    }
    if status["observedGeneration"].is_number() && status["observedGeneration"] != metadata["generation"] {
        return Reading::InProgress;
    }
    for condition in conditions(object).filter(|condition| condition["status"] == "True") {
        match condition["type"].as_str() {
            Some("Reconciling") => return Reading::InProgress,
            Some("Stalled") => return Reading::Failed,
            _ => {}
        }
    }
    match conditions(object).find(|condition| condition["type"] == "Ready") {
        Some(ready) if ready["status"] == "True" => Reading::Current,
        Some(_) => Reading::InProgress,
        // kstatus does not wait for objects without Ready.
        None => Reading::Current,
    }
}

/// The conditions of an object, in their order.
pub fn conditions(object: &Value) -> impl Iterator<Item = &Value> {
    object["status"]["conditions"].as_array().into_iter().flatten()
}
