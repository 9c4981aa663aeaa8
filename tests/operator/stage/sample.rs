//! The resource that tests apply: small time-outs, so that a test takes seconds.

use super::ENVIRONMENT;
use serde_json::{Value, json};

/// A resource to apply, in the words of the test.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    name: String,
    annotations: Value,
    spec: Value,
}

/// The sample: looks every second, rolls back after two bad answers, and gives up after a minute.
pub(crate) fn sample() -> Sample {
    Sample {
        name: "bot".to_owned(),
        annotations: json!({}),
        spec: json!({
            "environmentId": ENVIRONMENT,
            "configurationSnapshot": {"botVersion": "2.4.1", "nlpEngine": "v3.2", "integrations": ["sap_erp"]},
            "dependencyLocks": [{"packageName": "cognigy-nlp-core", "version": "3.2.0"}],
            "rollbackPolicy": {"healthThreshold": 2, "timeoutSeconds": 60},
            "monitoring": {"intervalSeconds": 1},
            "compliance": {"governanceApproved": true, "dataResidencyCheck": false},
            "credentialsRef": {"name": "cognigy-api"},
        }),
    }
}

impl Sample {
    /// Under another name.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// For another environment.
    pub(crate) fn environment(self, environment: &str) -> Self {
        self.with(json!({"environmentId": environment}))
    }

    /// With another version of the bot: another configuration.
    pub(crate) fn version(self, version: &str) -> Self {
        self.with(json!({"configurationSnapshot": {"botVersion": version}}))
    }

    /// With so many bad answers in a row to a rollback.
    pub(crate) fn threshold(self, answers: u32) -> Self {
        self.with(json!({"rollbackPolicy": {"healthThreshold": answers}}))
    }

    /// With so many seconds to a verdict.
    pub(crate) fn timeout(self, seconds: u32) -> Self {
        self.with(json!({"rollbackPolicy": {"timeoutSeconds": seconds}}))
    }

    /// Without a rollback unless a person asks for it.
    pub(crate) fn without_auto_trigger(self) -> Self {
        self.with(json!({"rollbackPolicy": {"autoTrigger": false}}))
    }

    /// Held back, or not.
    pub(crate) fn suspend(self, suspend: bool) -> Self {
        self.with(json!({"suspend": suspend}))
    }

    /// With a webhook.
    pub(crate) fn webhook(self, url: &str) -> Self {
        self.with(json!({"webhook": {"url": url}}))
    }

    /// With its snapshot in a ConfigMap's key `snapshot`.
    pub(crate) fn snapshot_from(self, config_map: &str) -> Self {
        let reference = json!({"name": config_map, "key": "snapshot"});
        self.with(json!({"configurationSnapshot": null, "configurationSnapshotFrom": {"configMapKeyRef": reference}}))
    }

    /// With an annotation.
    pub(crate) fn annotated(mut self, key: &str, value: &str) -> Self {
        self.annotations[key] = json!(value);
        self
    }

    /// With a JSON merge patch (RFC 7396) over its spec.
    pub(crate) fn with(mut self, patch: Value) -> Self {
        merge(&mut self.spec, patch);
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The object as it is applied.
    pub(crate) fn object(&self) -> Value {
        json!({
            "apiVersion": "deploy.cognigy.ai/v1alpha1",
            "kind": "CognigyDeployment",
            "metadata": {"name": self.name, "annotations": self.annotations},
            "spec": self.spec,
        })
    }
}

fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        match value {
            Value::Null => drop(target.as_object_mut().unwrap().remove(&key)),
            value => merge(&mut target[key.as_str()], value),
        }
    }
}
