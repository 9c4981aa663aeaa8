//! Manifests: read as kubectl reads them, refused as the API server refuses them, compared with what is live.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod files;
mod gates;
mod objects;
mod pages;
mod plans;
mod promotions;
mod promotions_of_any_text;
mod properties;
mod reading;
mod rendering;
mod rules;

use crate::document::Manifests;
use crate::read::{Input, read};
use crate::validate::{Rules, validate};
use serde_json::{Value, json};

/// A whole deployment.
pub(crate) fn sample() -> Value {
    json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1",
        "kind": "CognigyDeployment",
        "metadata": {"name": "customer-service-prod", "namespace": "bots"},
        "spec": {
            "environmentId": "env_prod_us_01",
            "configurationSnapshot": {"botVersion": "2.4.1", "integrations": ["salesforce_crm", "sap_erp"]},
            "dependencyLocks": [
                {"packageName": "cognigy-nlp-core", "version": "3.2.0", "pinned": true},
                {"packageName": "dialog-runtime", "version": "2.1.4", "pinned": true}
            ],
            "rollbackPolicy": {"autoTrigger": true, "healthThreshold": 3, "timeoutSeconds": 300},
            "monitoring": {"intervalSeconds": 15, "maxErrorRate": 0.05, "successThreshold": 1},
            "credentialsRef": {"name": "cognigy-api"},
            "webhook": {"url": "https://ci.example.com/hooks/cognigy"}
        }
    })
}

/// The sample with a JSON merge patch over its spec.
pub(crate) fn sample_with(patch: &Value) -> Value {
    let mut object = sample();
    merge(&mut object["spec"], patch);
    object
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let target = target.as_object_mut().unwrap();
    for (key, value) in patch {
        match value {
            Value::Null => drop(target.remove(key)),
            value => merge(target.entry(key.clone()).or_insert(Value::Null), value),
        }
    }
}

/// Reads one text.
pub(crate) fn read_text(text: &str) -> Manifests {
    read(&[Input { name: "bot.yaml".to_owned(), text: text.to_owned() }])
}

/// Reads and validates one text; the problems as they are printed.
pub(crate) fn problems_of(text: &str) -> Vec<String> {
    let rules = Rules::of_the_crd().unwrap();
    validate(&read_text(text), &rules).iter().map(ToString::to_string).collect()
}
