//! S10: two resources for the same environment are never ready at the same time.

use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::Broken;
use crate::kstatus::conditions;
use crate::kubernetes::{DEPLOYMENTS, ObjectName};
use crate::record::Record;
use crate::story::{Author, Happening, is_deployment};

pub fn check(record: &Record<'_>, broken: &mut Vec<Broken>) {
    let mut present: BTreeMap<&ObjectName, &Arc<Value>> = BTreeMap::new();
    for entry in &record.run.story {
        let Happening::Changed { by, name, after } = &entry.what else { continue };
        if !is_deployment(name) {
            continue;
        }
        let Some(after) = after else {
            present.remove(name);
            continue;
        };
        let was_ready = present.insert(name, after).is_some_and(|before| is_ready(before));
        if matches!(by, Author::Operator(_)) && is_ready(after) && !was_ready {
            let others = present.iter().filter(|(other, object)| **other != name && is_ready(object));
            for (other, _) in
                others.filter(|(_, object)| object["spec"]["environmentId"] == after["spec"]["environmentId"])
            {
                let how =
                    format!("{} becomes ready, although {} is ready in the same environment", name.name, other.name);
                broken.push(Broken::new("S10", how));
            }
        }
    }
    let mut ready: BTreeMap<String, String> = BTreeMap::new();
    for name in record.run.kubernetes.names(DEPLOYMENTS) {
        let Some(object) = record.run.kubernetes.object(&name).filter(|object| is_ready(object)) else { continue };
        if let Some(other) = ready.insert(object["spec"]["environmentId"].to_string(), name.name.clone()) {
            broken.push(Broken::new("S10", format!("at the end {other} and {} are both ready", name.name)));
        }
    }
}

fn is_ready(object: &Value) -> bool {
    conditions(object).any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}
