//! What a spec wants deployed, and how two specs differ.

use super::change::{Action, Changes};
use super::{Refused, defaults};
use crate::node::{Content, Node};
use crate::read::tree_of_json;
use api::status::Attempt;
use api::{CognigyDeployment, CognigyDeploymentSpec, Digest, Snapshot, SnapshotProblem};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// The texts that references to ConfigMaps stand for; `None` if a text is not known, or if the spec has no reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// The text that the live object refers to.
    pub live: Option<String>,
    /// The text that the manifest refers to: of the same manifests, or else of the cluster.
    pub desired: Option<String>,
}

/// A part of the configuration. A change of any of them needs a new attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Part {
    /// `spec.environmentId`, which the API server lets nobody change.
    Environment,
    /// The snapshot.
    Snapshot,
    /// `spec.dependencyLocks`.
    Locks,
    /// `spec.capacityConstraints`.
    Capacity,
}

impl Part {
    /// The part in words.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Environment => "the environment",
            Self::Snapshot => "the snapshot",
            Self::Locks => "the dependency locks",
            Self::Capacity => "the capacity",
        }
    }
}

/// The snapshot that a spec wants deployed.
pub(super) struct Wanted {
    pub(super) snapshot: Option<Snapshot>,
    /// Whether the operator waits for another text of the ConfigMap.
    pub(super) is_awaited: bool,
    pub(super) notes: Vec<String>,
}

impl Wanted {
    pub(super) fn of(spec: &CognigyDeploymentSpec, text: Option<&str>) -> Result<Self, SnapshotProblem> {
        let nothing = |is_awaited| Self { snapshot: None, is_awaited, notes: Vec::new() };
        if let Some(snapshot) = &spec.configuration_snapshot {
            return Ok(Self { snapshot: Some(snapshot.clone()), is_awaited: false, notes: snapshot.warnings() });
        }
        let (Some(source), Some(text)) = (&spec.configuration_snapshot_from, text) else { return Ok(nothing(false)) };
        let hash = source.config_map_key_ref.sha256.as_ref();
        if hash.is_some_and(|hash| *hash != hex::encode(Sha256::digest(text))) {
            return Ok(nothing(true));
        }
        let read = Snapshot::from_text(text)?;
        Ok(Self { snapshot: Some(read.snapshot), is_awaited: false, notes: read.warnings })
    }
}

/// What an attempt would be at.
pub(super) struct Target {
    pub(super) digest: Digest,
    pub(super) checks_digest: Digest,
}

impl Target {
    pub(super) fn of(spec: &CognigyDeploymentSpec, snapshot: Option<&Snapshot>) -> Result<Option<Self>, Refused> {
        let Some(snapshot) = snapshot else { return Ok(None) };
        let digest = Digest::of_deployment(spec, snapshot)?;
        Ok(Some(Self { digest, checks_digest: Digest::of_checks(spec) }))
    }

    /// Whether an ended attempt says nothing about this target; the operator's own rule.
    pub(super) fn is_outdated(&self, attempt: &Attempt) -> bool {
        let target = rollout::facts::Target {
            digest: self.digest.clone(),
            // The rule does not look at the release.
            release: self.digest.clone(),
            checks_digest: self.checks_digest.clone(),
            version: None,
        };
        rollout::deadline::is_outdated(attempt, &target)
    }
}

/// Which parts of the configuration differ.
pub(super) fn parts(
    live: &CognigyDeploymentSpec,
    desired: &CognigyDeploymentSpec,
    is_other_snapshot: bool,
) -> Vec<Part> {
    let locks = |spec: &CognigyDeploymentSpec| {
        let mut locks = spec.dependency_locks.clone();
        locks.sort_by(|left, right| left.package_name.cmp(&right.package_name));
        locks
    };
    let differs = [
        (Part::Environment, live.environment_id != desired.environment_id),
        (Part::Snapshot, is_other_snapshot),
        (Part::Locks, locks(live) != locks(desired)),
        (Part::Capacity, live.capacity_constraints != desired.capacity_constraints),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(part, _)| part).collect()
}

/// Whether two specs, whose snapshots are the same, differ only in the version that is shown.
pub(super) fn is_only_shown(live: &CognigyDeploymentSpec, desired: &CognigyDeploymentSpec) -> bool {
    let without = |spec: &CognigyDeploymentSpec| CognigyDeploymentSpec {
        display_version: None,
        configuration_snapshot: None,
        ..spec.clone()
    };
    live.display_version != desired.display_version && without(live) == without(desired)
}

/// Compares everything but the snapshot. A new object is compared with the defaults.
pub(super) fn compare_specs(
    changes: &mut Changes,
    live: Option<&CognigyDeploymentSpec>,
    desired: &CognigyDeploymentSpec,
) {
    let tree = |spec: &CognigyDeploymentSpec| {
        let spec = CognigyDeploymentSpec { configuration_snapshot: None, ..spec.clone() };
        serde_json::to_string(&spec).ok().and_then(|json| tree_of_json(&json))
    };
    let old = match live {
        Some(live) => tree(live),
        None => defaults().as_ref().and_then(tree).map(without_environment),
    };
    changes.compare("", old.as_ref(), tree(desired).as_ref());
}

/// The environment has no default.
fn without_environment(mut node: Node) -> Node {
    if let Content::Map(entries) = &mut node.content {
        entries.retain(|(key, _)| key != "environmentId");
    }
    node
}

/// Compares two snapshots, wherever they are kept. Returns whether the digest tells them apart.
pub(super) fn compare_snapshots(
    changes: &mut Changes,
    spec: &CognigyDeploymentSpec,
    old: Option<&Snapshot>,
    new: Option<&Snapshot>,
    is_new: bool,
) -> bool {
    const PATH: &str = "configurationSnapshot";
    let digest = |snapshot: &Snapshot| Digest::of_deployment(spec, snapshot).ok();
    let (old_digest, new_digest) = (old.and_then(digest), new.and_then(digest));
    if old_digest == new_digest || new.is_none() {
        return false;
    }
    let tree = |snapshot: &Snapshot| tree_of_json(snapshot.text());
    let (old_tree, new_tree) = (old.and_then(tree), new.and_then(tree));
    let before = changes.listed.len() + changes.more;
    match (&old_tree, &new_tree) {
        // Each key of a new snapshot is a line of its own.
        (None, Some(new)) if is_new => {
            let empty = Node { line: 0, content: Content::Map(Vec::new()) };
            changes.compare(PATH, Some(&empty), Some(new));
        }
        (old, new) => changes.compare(PATH, old.as_ref(), new.as_ref()),
    }
    if changes.listed.len() + changes.more == before {
        // The operator tells 1e19 and 10000000000000000000 apart.
        changes.add(PATH, Action::Changed, old_tree.as_ref(), new_tree.as_ref());
    }
    true
}

/// Compares the labels and annotations of the manifest. The cluster may have more, from others.
pub(super) fn compare_metadata(changes: &mut Changes, live: Option<&CognigyDeployment>, desired: &CognigyDeployment) {
    let Some(live) = live else { return };
    type Texts = Option<BTreeMap<String, String>>;
    let mut compare = |field: &str, old: &Texts, new: &Texts| {
        for (name, value) in new.iter().flatten() {
            let old = old.as_ref().and_then(|old| old.get(name));
            if old != Some(value) {
                let node = |text: &String| Node { line: 0, content: Content::Text(text.clone()) };
                let action = if old.is_some() { Action::Changed } else { Action::Added };
                let path = crate::node::join(&format!("metadata.{field}"), name);
                changes.add(&path, action, old.map(node).as_ref(), Some(&node(value)));
            }
        }
    };
    compare("labels", &live.metadata.labels, &desired.metadata.labels);
    compare("annotations", &live.metadata.annotations, &desired.metadata.annotations);
}
