//! What a journal holds about one deployment: what an API server would store of the resource, without its spec.
//!
//! The spec is not kept, because it may hold the URL of a webhook. A hash of it tells whether the manifest was edited.

use api::{CognigyDeployment, CognigyDeploymentStatus, RETRY_ANNOTATION};
use jiff::Timestamp;
use kube::ResourceExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};

/// The namespace of a manifest that names none.
pub(super) const DEFAULT_NAMESPACE: &str = "default";

/// Which deployment a journal is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Identity {
    pub(super) namespace: String,
    pub(super) name: String,
    /// An environment cannot be edited: another one is another deployment.
    pub(super) environment_id: String,
}

/// What a journal holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub(super) identity: Identity,
    /// Random, so that no other journal has the same: the idempotency keys derive from it.
    pub(super) uid: String,
    pub(super) created_at: Timestamp,
    /// Counts the edits of the spec.
    pub(super) generation: i64,
    /// Counts the writes.
    pub(super) resource_version: u64,
    /// Hash of the spec of this generation.
    pub(super) spec_hash: String,
    /// The retry that was requested last.
    #[serde(default)]
    pub(super) retry: RetryRequest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<CognigyDeploymentStatus>,
}

/// The retry that was requested last: by the manifest's annotation, or by `--retry`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RetryRequest {
    /// The manifest's annotation, as it was last read.
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<String>,
    /// The value that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<String>,
}

impl Identity {
    /// The identity of the deployment that a manifest describes.
    pub(super) fn of(manifest: &CognigyDeployment) -> Self {
        Self {
            namespace: manifest.namespace().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()),
            name: manifest.name_any(),
            environment_id: manifest.spec.environment_id.as_str().to_owned(),
        }
    }
}

impl Record {
    /// The record of a deployment that was never run.
    pub(super) fn new(manifest: &CognigyDeployment, now: Timestamp) -> Self {
        let mut record = Self {
            identity: Identity::of(manifest),
            uid: random_uid(),
            created_at: now,
            generation: 1,
            resource_version: 0,
            spec_hash: String::new(),
            retry: RetryRequest::default(),
            status: None,
        };
        record.spec_hash = record.hash_of_spec(manifest);
        record
    }

    /// Takes in a manifest, which may have been edited, and a request to retry.
    pub(super) fn take_in(&mut self, manifest: &CognigyDeployment, wants_retry: bool) {
        let hash = self.hash_of_spec(manifest);
        if hash != self.spec_hash {
            self.generation += 1;
            self.spec_hash = hash;
        }
        let annotation = manifest.annotations().get(RETRY_ANNOTATION).cloned();
        if annotation.is_some() && annotation != self.retry.manifest {
            self.retry.value.clone_from(&annotation);
        }
        self.retry.manifest = annotation;
        // A request that waits already is enough.
        if wants_retry && !self.retry_waits() {
            self.retry.value = Some(random_uid());
        }
    }

    /// Whether a retry was requested that the status does not know yet.
    pub(super) fn retry_waits(&self) -> bool {
        let handled = self.status.as_ref().and_then(|status| status.handled_requests.as_ref());
        self.retry.value.is_some() && self.retry.value.as_ref() != handled.and_then(|handled| handled.retry.as_ref())
    }

    /// The uid is part of it, so that nobody can look a short spec up by its hash.
    fn hash_of_spec(&self, manifest: &CognigyDeployment) -> String {
        let mut hash = Sha256::new();
        hash.update(self.uid.as_bytes());
        // A spec that was read from JSON can be written as JSON.
        hash.update(serde_json::to_vec(&manifest.spec).unwrap_or_default());
        hex::encode(hash.finalize())
    }
}

/// A random UUID (RFC 9562, version 4). The system seeds each `RandomState`.
fn random_uid() -> String {
    let mut bytes = [0u8; 16];
    for half in bytes.chunks_exact_mut(8) {
        half.copy_from_slice(&RandomState::new().hash_one(0).to_be_bytes());
    }
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut text = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing into a `String` does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use api::status::HandledRequests;
    use serde_json::json;

    fn manifest(retry: Option<&str>, interval: i32) -> CognigyDeployment {
        let mut manifest = json!({
            "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "CognigyDeployment", "metadata": {"name": "bot"},
            "spec": {
                "environmentId": "env", "configurationSnapshot": {"a": 1}, "monitoring": {"intervalSeconds": interval},
            },
        });
        if let Some(retry) = retry {
            manifest["metadata"]["annotations"] = json!({ RETRY_ANNOTATION: retry });
        }
        serde_json::from_value(manifest).unwrap()
    }

    fn handled(record: &mut Record) {
        let handled_requests = Some(HandledRequests { retry: record.retry.value.clone(), rollback: None });
        record.status = Some(CognigyDeploymentStatus { handled_requests, ..CognigyDeploymentStatus::default() });
    }

    #[test]
    fn an_edited_manifest_is_a_new_generation_of_the_same_resource() {
        let mut record = Record::new(&manifest(None, 1), Timestamp::UNIX_EPOCH);
        let uid = record.uid.clone();
        for (interval, generation) in [(1, 1), (2, 2), (2, 2), (1, 3)] {
            record.take_in(&manifest(None, interval), false);
            assert_eq!((record.generation, &record.uid), (generation, &uid));
        }
        assert_eq!(record.identity.namespace, "default");
    }

    #[test]
    fn each_journal_has_a_uid_of_its_own() {
        let uids: std::collections::BTreeSet<_> = (0..1000).map(|_| random_uid()).collect();
        assert_eq!(uids.len(), 1000);
        for uid in uids {
            let lengths: Vec<usize> = uid.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12], "{uid}");
        }
    }

    #[test]
    fn a_retry_is_requested_once_for_each_value_of_the_annotation_and_each_use_of_the_flag() {
        let mut record = Record::new(&manifest(None, 1), Timestamp::UNIX_EPOCH);
        record.take_in(&manifest(None, 1), false);
        assert!(!record.retry_waits());
        record.take_in(&manifest(None, 1), true);
        assert!(record.retry_waits());
        let first = record.retry.value.clone();
        record.take_in(&manifest(None, 1), true);
        assert_eq!(record.retry.value, first, "the first request still waits");
        handled(&mut record);
        record.take_in(&manifest(None, 1), false);
        assert!(!record.retry_waits());
        record.take_in(&manifest(Some("monday"), 1), false);
        assert_eq!(record.retry.value.as_deref(), Some("monday"));
        handled(&mut record);
        record.take_in(&manifest(Some("monday"), 1), true);
        assert!(record.retry_waits());
        handled(&mut record);
        // The annotation is still there. It was handled before the flag was used.
        record.take_in(&manifest(Some("monday"), 1), false);
        assert!(!record.retry_waits());
    }
}
