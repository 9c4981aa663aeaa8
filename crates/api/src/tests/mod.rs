//! The resource: its digest, its rules, its definition and the size of its status.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod conditions;
mod definition;
mod digest;
mod gate_rules;
mod oracle;
mod rules;
mod running;
mod schedules;
mod snapshot;
mod status_size;
mod verdict;
mod version;

use super::CognigyDeployment;
use serde_json::{Value, json};

/// The sample of the design, with every field.
fn sample() -> Value {
    json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1",
        "kind": "CognigyDeployment",
        "metadata": {"name": "customer-service-prod", "namespace": "bots"},
        "spec": {
            "environmentId": "env_prod_us_01",
            "configurationSnapshot": {
                "botVersion": "2.4.1", "nlpEngine": "v3.2", "dialogFlow": "production_v8",
                "integrations": ["salesforce_crm", "sap_erp"]
            },
            "dependencyLocks": [
                {"packageName": "cognigy-nlp-core", "version": "3.2.0", "pinned": true},
                {"packageName": "dialog-runtime", "version": "2.1.4", "pinned": true}
            ],
            "rollbackPolicy": {
                "autoTrigger": true, "healthThreshold": 3, "timeoutSeconds": 300, "revertSnapshotId": "snap_prev_stable"
            },
            "capacityConstraints": {"maxConcurrentSessions": 500, "memoryLimitMb": 4096},
            "isolationRules": {
                "tenantBoundary": "strict", "networkSegment": "production-us-east-1", "resourceQuotaCheck": true
            },
            "traceOptions": {"simulationDepth": 5, "includeDependencyGraph": true, "detectVersionConflicts": true},
            "monitoring": {"intervalSeconds": 15, "maxErrorRate": 0.05, "successThreshold": 1},
            "compliance": {"governanceApproved": true, "dataResidencyCheck": true},
            "credentialsRef": {"name": "cognigy-api"},
            "webhook": {"url": "https://ci.example.com/hooks/cognigy"},
            "suspend": false,
            "deletionPolicy": "Retain",
            "historyLimit": 10
        }
    })
}

/// The sample with a JSON merge patch (RFC 7396) over its spec.
fn sample_with(patch: &Value) -> CognigyDeployment {
    let mut object = sample();
    merge(&mut object["spec"], patch);
    serde_json::from_value(object).unwrap()
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
