//! The configuration that the environment should run: the snapshot, from the spec or from a ConfigMap, and its digest.

use super::config_map_cache::{CachedText, ConfigMapCache, ConfigMapKey};
use super::error::{Error, call};
use super::received::{self, ConfigMapData};
use api::snapshot::{MAX_BYTES, MAX_WARNINGS, ReadSnapshot, stored_size};
use api::spec::{ConfigMapKeyReference, ObjectName, is_key};
use api::{CognigyDeployment, Snapshot, SnapshotProblem};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use parking_lot::{Mutex, MutexGuard};
use platform::{not_a_key, not_a_name};
use rollout::answer::Retry;
use rollout::facts::Target;
use rollout::{Cause, Obstacle};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How many ConfigMaps are read at once.
const READ_AT_ONCE: usize = 8;

/// Reads snapshots, and caches those in ConfigMaps.
pub struct Snapshots {
    kubernetes: kube::Client,
    cache: Mutex<ConfigMapCache>,
    /// Limits how many texts are read at once: while a text is read, it takes several times its length in memory.
    read_permits: Semaphore,
}

/// The configuration that the environment should run.
#[derive(Clone, Debug)]
pub struct Desired {
    /// Its digests and its version.
    pub target: Target,
    /// The snapshot itself.
    pub snapshot: Snapshot,
    /// Warnings about values of a YAML text whose type differs from their appearance.
    pub read_warnings: Vec<String>,
}

impl Desired {
    /// Warnings for people, one sentence each. They do not stop the rollout.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.read_warnings.clone();
        warnings.extend(self.snapshot.warnings());
        warnings.truncate(MAX_WARNINGS);
        warnings
    }
}

/// The text in a ConfigMap's key, parsed.
#[derive(Debug)]
pub struct ReadText {
    /// SHA-256 of the text, in hexadecimal.
    pub sha256: String,
    /// The snapshot in it.
    pub snapshot: Result<ReadSnapshot, SnapshotProblem>,
}

impl ReadText {
    /// About how much memory it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.snapshot.as_ref().map_or(0, |read| read.snapshot.text().len())
    }
}

impl Snapshots {
    /// Starts with an empty cache.
    #[must_use]
    pub fn new(kubernetes: kube::Client) -> Self {
        Self { kubernetes, cache: Mutex::default(), read_permits: Semaphore::new(READ_AT_ONCE) }
    }

    /// The configuration that the environment should run.
    ///
    /// # Errors
    /// An [`Obstacle`] with the reason why it is not known. A failure of the API server is an obstacle too, so that the
    /// reconcile continues: a rollout in flight must still be watched and rolled back.
    pub async fn desired(&self, object: &CognigyDeployment, uptime: Duration) -> Result<Desired, Obstacle> {
        let spec = &object.spec;
        match (&spec.configuration_snapshot, &spec.configuration_snapshot_from) {
            (Some(snapshot), _) => fits(object)
                .and_then(|()| target(object, snapshot).map_err(|problem| inline_problem(&problem)))
                .map(|target| Desired { target, snapshot: snapshot.clone(), read_warnings: Vec::new() }),
            (None, Some(source)) => {
                let (namespace, reference) = (object.namespace().unwrap_or_default(), &source.config_map_key_ref);
                match self.in_config_map(&namespace, reference, uptime).await {
                    Ok(read) => read.and_then(|read| desired(object, reference, &read)),
                    Err(error) => Err(unreadable(&reference.name, &error)),
                }
            }
            (None, None) => {
                let message =
                    "the spec has neither configurationSnapshot nor configurationSnapshotFrom: add one of them";
                Err(Obstacle::lasting(Cause::SnapshotNotFound, message, Retry::InputChange))
            }
        }
    }

    async fn in_config_map(
        &self,
        namespace: &str,
        reference: &ConfigMapKeyReference,
        uptime: Duration,
    ) -> Result<Result<Arc<ReadText>, Obstacle>, Error> {
        let name = match name_in(reference) {
            Ok(name) => name,
            Err(obstacle) => return Ok(Err(obstacle)),
        };
        let place =
            ConfigMapKey { namespace: namespace.to_owned(), name: reference.name.clone(), key: reference.key.clone() };
        let cached = || self.lock().get(&place, uptime).filter(|read| is_usable(read, reference)).cloned();
        let read = match cached() {
            Some(text) => Ok(text.read),
            None => {
                // The semaphore is never closed.
                let _permit = self.read_permits.acquire().await;
                // Another reconcile may have read it meanwhile.
                match cached() {
                    Some(text) => Ok(text.read),
                    None => self.read(place.clone(), name, reference, uptime).await?,
                }
            }
        };
        Ok(read.and_then(|read| {
            read.ok_or_else(|| {
                let message =
                    format!("there is no ConfigMap {} with the key {}: create it", reference.name, reference.key);
                Obstacle::lasting(Cause::SnapshotNotFound, message, Retry::SnapshotChange)
            })
        }))
    }

    /// Reads a text. It is parsed only if its hash is the expected one.
    async fn read(
        &self,
        place: ConfigMapKey,
        name: ObjectName<'_>,
        reference: &ConfigMapKeyReference,
        uptime: Duration,
    ) -> Result<Result<Option<Arc<ReadText>>, Obstacle>, Error> {
        let changes = self.lock().changes();
        let get = received::get::<ConfigMap, ConfigMapData>(&self.kubernetes, &place.namespace, name);
        let map = call("read a ConfigMap", get).await?;
        let text = map.and_then(|map| map.data?.remove(&place.key));
        let text = text.map(|text| (sha256(&text), text));
        if let (Some((sha256, _)), Some(wanted)) = (&text, &reference.sha256)
            && sha256 != wanted
        {
            return Ok(Err(awaited(reference, wanted)));
        }
        let read = text.map(|(sha256, text)| Arc::new(ReadText { sha256, snapshot: Snapshot::from_text(&text) }));
        let mut cache = self.lock();
        if cache.changes() == changes {
            cache.put(place, CachedText { at: uptime, read: read.clone() });
        }
        Ok(Ok(read))
    }

    /// Removes the cached texts of a ConfigMap, because it has changed.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.lock().forget(namespace, name);
    }

    fn lock(&self) -> MutexGuard<'_, ConfigMapCache> {
        self.cache.lock()
    }
}

/// Whether a cached text may be used. A text that is missing, or does not have the expected hash, is read again each
/// time.
fn is_usable(text: &CachedText, reference: &ConfigMapKeyReference) -> bool {
    match (&text.read, &reference.sha256) {
        (Some(read), Some(sha256)) => read.sha256 == *sha256,
        (read, None) => read.is_some(),
        (None, Some(_)) => false,
    }
}

/// The ConfigMap's name. It is checked, so that no request is sent with an invalid name.
fn name_in(reference: &ConfigMapKeyReference) -> Result<ObjectName<'_>, Obstacle> {
    let field = |name: &str| format!("spec.configurationSnapshotFrom.configMapKeyRef.{name}");
    let name = ObjectName::of(&reference.name);
    let name = name.ok_or_else(|| not_a_name(&field("name"), &reference.name, Cause::SnapshotNotFound))?;
    if !is_key(&reference.key) {
        return Err(not_a_key(&field("key"), &reference.key, Cause::SnapshotNotFound));
    }
    Ok(name)
}

fn unreadable(name: &str, error: &Error) -> Obstacle {
    let message = format!("the ConfigMap {name} cannot be read: {error}; the operator tries again");
    Obstacle::transient(Cause::AwaitingSnapshot, message, None)
}

fn target(object: &CognigyDeployment, snapshot: &Snapshot) -> Result<Target, SnapshotProblem> {
    Target::of(&object.spec, snapshot, object.version_of(snapshot))
}

/// The target of an inline snapshot, if it can be deployed.
#[must_use]
pub fn written_target(object: &CognigyDeployment) -> Option<Target> {
    let snapshot = object.spec.configuration_snapshot.as_ref()?;
    fits(object).ok().and_then(|()| target(object, snapshot).ok())
}

/// Refuses a spec that is so large that etcd would refuse later writes of its status.
fn fits(object: &CognigyDeployment) -> Result<(), Obstacle> {
    let size = stored_size(&object.spec);
    if size <= MAX_BYTES {
        return Ok(());
    }
    let message = format!(
        "the API server stores the spec in {size} bytes, more than can be stored with its status ({MAX_BYTES}): keep the \
         snapshot in a ConfigMap and name it in configurationSnapshotFrom"
    );
    Err(Obstacle::lasting(Cause::SnapshotTooLarge, message, Retry::InputChange))
}

fn inline_problem(problem: &SnapshotProblem) -> Obstacle {
    let message = format!("configurationSnapshot cannot be deployed: {problem}");
    Obstacle::lasting(Cause::SnapshotInvalid, message, Retry::InputChange)
}

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

fn place_of(reference: &ConfigMapKeyReference) -> String {
    format!("the key {} of ConfigMap {}", reference.key, reference.name)
}

fn awaited(reference: &ConfigMapKeyReference, wanted: &str) -> Obstacle {
    let message = format!("{} does not hold the text with sha256 {wanted} yet; waiting for it", place_of(reference));
    Obstacle::lasting(Cause::AwaitingSnapshot, message, Retry::SnapshotChange)
}

/// The configuration that a text in a ConfigMap contains.
fn desired(
    object: &CognigyDeployment,
    reference: &ConfigMapKeyReference,
    read: &ReadText,
) -> Result<Desired, Obstacle> {
    let place = place_of(reference);
    let read = read.snapshot.clone();
    let desired = read.and_then(|ReadSnapshot { snapshot, warnings }| {
        Ok(Desired { target: target(object, &snapshot)?, snapshot, read_warnings: warnings })
    });
    desired.map_err(|problem| {
        let reason = match &problem {
            SnapshotProblem::TooLarge => Cause::SnapshotTooLarge,
            _ => Cause::SnapshotInvalid,
        };
        Obstacle::lasting(reason, format!("{place} cannot be deployed: {problem}"), Retry::SnapshotChange)
    })
}

#[cfg(test)]
mod tests;
