//! The resource that tests apply. Its intervals and time-outs are short, so that a test takes seconds.

use serde_json::{Value, json};

/// The environment of [`sample`].
pub const ENVIRONMENT: &str = "env_prod_us_01";

/// A CognigyDeployment to apply.
#[derive(Clone, Debug)]
pub struct Sample {
    name: String,
    annotations: Value,
    spec: Value,
}

/// The resource `bot` for [`ENVIRONMENT`]. It polls every second, rolls back after two bad answers, and has a time-out
/// of one minute.
#[must_use]
pub fn sample() -> Sample {
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
    /// Changes the name of the resource.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// Changes the environment.
    #[must_use]
    pub fn environment(self, environment: &str) -> Self {
        self.with(json!({"environmentId": environment}))
    }

    /// Changes the version of the bot in the snapshot, and so the configuration.
    #[must_use]
    pub fn version(self, version: &str) -> Self {
        self.with(json!({"configurationSnapshot": {"botVersion": version}}))
    }

    /// Changes the number of consecutive bad answers that cause a rollback.
    #[must_use]
    pub fn threshold(self, answers: u32) -> Self {
        self.with(json!({"rollbackPolicy": {"healthThreshold": answers}}))
    }

    /// Changes the number of seconds until the deadline of the verdict.
    #[must_use]
    pub fn timeout(self, seconds: u32) -> Self {
        self.with(json!({"rollbackPolicy": {"timeoutSeconds": seconds}}))
    }

    /// Turns automatic rollbacks off.
    #[must_use]
    pub fn without_auto_trigger(self) -> Self {
        self.with(json!({"rollbackPolicy": {"autoTrigger": false}}))
    }

    /// Sets `suspend`.
    #[must_use]
    pub fn suspend(self, suspend: bool) -> Self {
        self.with(json!({"suspend": suspend}))
    }

    /// Sets the URL of the webhook.
    #[must_use]
    pub fn webhook(self, url: &str) -> Self {
        self.with(json!({"webhook": {"url": url}}))
    }

    /// Takes the snapshot from the key `snapshot` of a ConfigMap.
    #[must_use]
    pub fn snapshot_from(self, config_map: &str) -> Self {
        let reference = json!({"name": config_map, "key": "snapshot"});
        self.with(json!({"configurationSnapshot": null, "configurationSnapshotFrom": {"configMapKeyRef": reference}}))
    }

    /// Adds an annotation.
    #[must_use]
    pub fn annotated(mut self, key: &str, value: &str) -> Self {
        self.annotations[key] = json!(value);
        self
    }

    /// Applies a JSON merge patch (RFC 7396) to the spec.
    #[must_use]
    pub fn with(mut self, patch: Value) -> Self {
        merge(&mut self.spec, patch);
        self
    }

    /// The name of the resource.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole object.
    #[must_use]
    pub fn object(&self) -> Value {
        json!({
            "apiVersion": "deploy.cognigy.ai/v1alpha1",
            "kind": "CognigyDeployment",
            "metadata": {"name": self.name, "annotations": self.annotations},
            "spec": self.spec,
        })
    }

    pub(crate) fn environment_id(&self) -> &str {
        self.spec["environmentId"].as_str().expect("a sample names its environment")
    }
}

/// Applies a JSON merge patch (RFC 7396).
pub fn merge(target: &mut Value, patch: Value) {
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
