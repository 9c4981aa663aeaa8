//! What the environment should run: the snapshot, written in the resource or kept in a ConfigMap, and its digest.

use super::error::{Error, call};
use super::texts::{Text, TextPlace, Texts};
use crate::api::reason::Reason;
use crate::api::spec::ConfigMapKeyReference;
use crate::api::{CognigyDeployment, CognigyDeploymentSpec, Digest, Snapshot};
use crate::rollout::Obstacle;
use crate::rollout::answer::Retry;
use crate::rollout::facts::Target;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt};
use sha2::{Digest as _, Sha256};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The largest resource, in bytes, that can still be stored together with its status; no snapshot is larger.
const LARGEST: usize = 1024 * 1024;

/// The snapshots in ConfigMaps, as they were last read.
pub struct Snapshots {
    kubernetes: kube::Client,
    read: Mutex<Texts>,
}

/// What the environment should run, and the snapshot that says so.
#[derive(Clone, Debug)]
pub struct Desired {
    /// The hashes.
    pub target: Target,
    /// The snapshot itself.
    pub snapshot: Arc<Snapshot>,
}

impl Snapshots {
    /// Nothing read yet.
    #[must_use]
    pub fn new(kubernetes: kube::Client) -> Self {
        Self { kubernetes, read: Mutex::default() }
    }

    /// What the environment should run.
    ///
    /// # Errors
    /// An [`Obstacle`] says why that is not known. An API server that fails is one as well: what is in flight must be
    /// watched and rolled back all the same.
    pub async fn desired(&self, object: &CognigyDeployment, uptime: Duration) -> Result<Desired, Obstacle> {
        let spec = &object.spec;
        let snapshot = match (&spec.configuration_snapshot, &spec.configuration_snapshot_from) {
            (Some(snapshot), _) => fits(object).map(|()| snapshot.clone()),
            (None, Some(source)) => {
                let namespace = object.namespace().unwrap_or_default();
                let read = self.in_config_map(&namespace, &source.config_map_key_ref, uptime).await;
                read.unwrap_or_else(|error| Err(unreadable(&source.config_map_key_ref.name, &error)))
            }
            (None, None) => {
                let message = "there is neither configurationSnapshot nor configurationSnapshotFrom: write one of them";
                Err(Obstacle::lasting(Reason::SnapshotNotFound, message, Retry::InputChange))
            }
        };
        snapshot.map(|snapshot| desired(spec, snapshot))
    }

    async fn in_config_map(
        &self,
        namespace: &str,
        reference: &ConfigMapKeyReference,
        uptime: Duration,
    ) -> Result<Result<Snapshot, Obstacle>, Error> {
        let place =
            TextPlace { namespace: namespace.to_owned(), name: reference.name.clone(), key: reference.key.clone() };
        let believed = self.lock().get(&place, uptime).filter(|read| is_believed(read, reference)).cloned();
        let text = match believed {
            Some(read) => read.text,
            None => self.read(place, uptime).await?,
        };
        Ok(match text {
            Some(text) => parse(&text, reference),
            None => Err(Obstacle::lasting(
                Reason::SnapshotNotFound,
                format!("there is no ConfigMap {} with the key {}: create it", reference.name, reference.key),
                Retry::SnapshotChange,
            )),
        })
    }

    async fn read(&self, place: TextPlace, uptime: Duration) -> Result<Option<Arc<str>>, Error> {
        let maps: Api<ConfigMap> = Api::namespaced(self.kubernetes.clone(), &place.namespace);
        let changes = self.lock().changes();
        let map = call("read a ConfigMap", maps.get_opt(&place.name)).await?;
        let text = map.and_then(|map| map.data?.remove(&place.key)).map(Arc::from);
        let mut texts = self.lock();
        if texts.changes() == changes {
            texts.put(place, Text { at: uptime, text: text.clone() });
        }
        Ok(text)
    }

    /// A watched ConfigMap has changed: what was read of it is no longer believed.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.lock().forget(namespace, name);
    }

    /// A panic elsewhere leaves it whole: nothing that is done under the lock can panic.
    fn lock(&self) -> MutexGuard<'_, Texts> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A text that is missing, or is not the one that is waited for, is looked for each time.
fn is_believed(read: &Text, reference: &ConfigMapKeyReference) -> bool {
    match (&read.text, &reference.sha256) {
        (Some(text), Some(sha256)) => hash(text) == *sha256,
        (text, None) => text.is_some(),
        (None, Some(_)) => false,
    }
}

fn unreadable(name: &str, error: &Error) -> Obstacle {
    let message = format!("the ConfigMap {name} cannot be read now, and is read again: {error}");
    Obstacle::transient(Reason::AwaitingSnapshot, message, None)
}

fn hash(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

fn desired(spec: &CognigyDeploymentSpec, snapshot: Snapshot) -> Desired {
    Desired { target: target(spec, &snapshot), snapshot: Arc::new(snapshot) }
}

fn target(spec: &CognigyDeploymentSpec, snapshot: &Snapshot) -> Target {
    Target { digest: Digest::of_deployment(spec, snapshot), checks_digest: Digest::of_checks(spec) }
}

/// What the environment should run, where that is written in the resource itself, and can be deployed.
#[must_use]
pub fn written_target(object: &CognigyDeployment) -> Option<Target> {
    let snapshot = object.spec.configuration_snapshot.as_ref()?;
    fits(object).ok().map(|()| target(&object.spec, snapshot))
}

/// Status writes into a larger object would fail in etcd just when they matter.
fn fits(object: &CognigyDeployment) -> Result<(), Obstacle> {
    let size = serde_json::to_vec(&object.spec).map_or(0, |bytes| bytes.len());
    if size <= LARGEST {
        return Ok(());
    }
    let message = format!(
        "the spec is {size} bytes long, more than can be stored with its status ({LARGEST}): keep the snapshot in a \
         ConfigMap and name it in configurationSnapshotFrom"
    );
    Err(Obstacle::lasting(Reason::SnapshotTooLarge, message, Retry::InputChange))
}

fn parse(text: &str, reference: &ConfigMapKeyReference) -> Result<Snapshot, Obstacle> {
    let place = format!("the key {} of ConfigMap {}", reference.key, reference.name);
    if let Some(wanted) = reference.sha256.as_ref().filter(|wanted| hash(text) != **wanted) {
        let message = format!("{place} does not hold the text with sha256 {wanted} yet; waiting for it");
        return Err(Obstacle::lasting(Reason::AwaitingSnapshot, message, Retry::SnapshotChange));
    }
    let invalid = |problem: &str| {
        let message = format!("{place} cannot be deployed: {problem}");
        Obstacle::lasting(Reason::SnapshotInvalid, message, Retry::SnapshotChange)
    };
    let value: serde_json::Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(_) => serde_saphyr::from_str_with_options(text, yaml())
            .map_err(|error| invalid(&format!("it is neither JSON nor YAML: {}", first_line(&error.to_string()))))?,
    };
    match value {
        serde_json::Value::Object(map) if map.is_empty() => Err(invalid("it is empty")),
        serde_json::Value::Object(map) => match serde_json::to_vec(&map).map_or(0, |bytes| bytes.len()) {
            0..=LARGEST => Ok(map.into()),
            size => {
                let message = format!(
                    "{place} stands for {size} bytes once it is written out, more than {LARGEST}: use fewer aliases"
                );
                Err(Obstacle::lasting(Reason::SnapshotTooLarge, message, Retry::SnapshotChange))
            }
        },
        _ => Err(invalid("it is not an object; write keys and values")),
    }
}

/// How YAML is read: its aliases may stand for some MiB at most, whatever a few lines of them multiply to.
fn yaml() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_aliases: 256, max_recorded_anchor_bytes: 64 * 1024 },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 100_000 },
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
