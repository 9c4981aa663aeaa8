//! How kstatus reads an object, by the rules of its library (cli-utils, `pkg/kstatus/status`). Flux, kpt and `kubectl wait`
//! know no more of a resource than this.

use serde_json::Value;

/// What kstatus says of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reading {
    /// It is being deleted.
    Terminating,
    /// Its controller is at work, or has not seen it yet.
    InProgress,
    /// It is as its spec wants it.
    Current,
    /// It is not, and will not be by itself.
    Failed,
}

/// Reads an object as kstatus does: what is generic first, then the conditions in the order in which they are written.
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
        // Nobody who writes no Ready is waited for.
        None => Reading::Current,
    }
}

/// The conditions of an object, as they are written.
pub fn conditions(object: &Value) -> impl Iterator<Item = &Value> {
    object["status"]["conditions"].as_array().into_iter().flatten()
}
