//! The snapshot of a deployment: written in it, or in a ConfigMap of the same manifests.

use crate::document::{ConfigMaps, Document};
use api::snapshot::{MAX_BYTES, ReadSnapshot, stored_size};
use api::spec::ConfigMapKeyReference;
use api::{CognigyDeployment, Digest, Snapshot};
use sha2::{Digest as _, Sha256};

/// Something to say about the snapshot of a deployment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) path: &'static str,
    pub(super) message: String,
    pub(super) is_error: bool,
}

const WRITTEN: &str = "spec.configurationSnapshot";
const REFERENCE: &str = "spec.configurationSnapshotFrom.configMapKeyRef";
const HASH: &str = "spec.configurationSnapshotFrom.configMapKeyRef.sha256";
const KEY: &str = "spec.configurationSnapshotFrom.configMapKeyRef.key";

/// Everything that the operator would say about the snapshot.
pub(super) fn check(document: &Document, object: &CognigyDeployment, maps: &ConfigMaps) -> Vec<Finding> {
    let error = |path, message| vec![Finding { path, message, is_error: true }];
    let warnings = |path, warnings: Vec<String>| {
        warnings.into_iter().map(|message| Finding { path, message, is_error: false }).collect()
    };
    if let Some(snapshot) = &object.spec.configuration_snapshot {
        let size = stored_size(&object.spec);
        return match Digest::of_deployment(&object.spec, snapshot) {
            Err(problem) => error(WRITTEN, format!("the snapshot cannot be deployed: {problem}")),
            Ok(_) if size > MAX_BYTES => error(
                WRITTEN,
                format!(
                    "the API server stores the spec in {size} bytes, more than the operator deploys ({MAX_BYTES}): keep the snapshot in a ConfigMap and name it in configurationSnapshotFrom"
                ),
            ),
            Ok(_) => warnings(WRITTEN, snapshot.warnings()),
        };
    }
    let Some(source) = &object.spec.configuration_snapshot_from else { return Vec::new() };
    let reference = &source.config_map_key_ref;
    match text_of(maps, document.namespace(), reference) {
        Held::Elsewhere => Vec::new(),
        Held::WithoutKey => {
            error(KEY, format!("the ConfigMap {} of these files has no key {}", reference.name, reference.key))
        }
        Held::Text(text) => {
            let hash = hex::encode(Sha256::digest(text));
            if reference.sha256.as_ref().is_some_and(|wanted| *wanted != hash) {
                return error(
                    HASH,
                    format!(
                        "the ConfigMap {} of these files holds another text, so that the operator would wait for ever: write {hash}",
                        reference.name
                    ),
                );
            }
            match Snapshot::from_text(text) {
                Ok(ReadSnapshot { snapshot, warnings: of_text }) => {
                    let mut all = of_text;
                    all.extend(snapshot.warnings());
                    all.dedup();
                    match Digest::of_deployment(&object.spec, &snapshot) {
                        Ok(_) => warnings(REFERENCE, all),
                        Err(problem) => error(REFERENCE, format!("the snapshot cannot be deployed: {problem}")),
                    }
                }
                Err(problem) => error(REFERENCE, format!("the snapshot cannot be deployed: {problem}")),
            }
        }
    }
}

/// Where the text of a reference is.
#[derive(Debug, PartialEq, Eq)]
pub enum Held<'a> {
    /// In the manifests.
    Text(&'a str),
    /// The ConfigMap is in the manifests, and does not have the key.
    WithoutKey,
    /// Not in the manifests.
    Elsewhere,
}

/// The text that a reference names, if the manifests hold its ConfigMap. A ConfigMap without a namespace belongs to any.
#[must_use]
pub fn text_of<'a>(maps: &'a ConfigMaps, namespace: Option<&str>, reference: &ConfigMapKeyReference) -> Held<'a> {
    let of = |namespace: Option<&str>| maps.get(&(namespace.map(str::to_owned), reference.name.clone()));
    match of(namespace).or_else(|| of(None)) {
        None => Held::Elsewhere,
        Some(texts) => texts.get(&reference.key).map_or(Held::WithoutKey, |text| Held::Text(text)),
    }
}
