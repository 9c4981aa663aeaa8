//! Copies the release of one manifest into another one, and leaves everything else there byte for byte.
//!
//! The release is the snapshot or the reference to its ConfigMap, the dependency locks, and the version for people: the fields
//! of [`Field`]. The edit is an edit of text, so that comments, line breaks and the order of keys stay. What comes out is read
//! again and compared before anybody gets it.

mod block;
mod edit;
mod layout;
mod member;
mod release;
mod side;
mod text;

pub use release::Field;

use crate::document::Document;
use crate::node::Node;
use crate::plan::snapshot_of;
use crate::problem::Problem;
use crate::read;
use api::spec::ConfigMapKeyReference;
use api::{Digest, VERSION_LABEL};
use side::Side;

/// A file, and the deployment in it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The file, as the user named it.
    pub file: &'a str,
    /// Its text.
    pub text: &'a str,
    /// The name of the deployment, or `NAMESPACE/NAME`. Needed if the file holds several.
    pub name: Option<&'a str>,
    /// The flag that gives the name, for messages.
    pub flag: &'a str,
}

/// A release in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The version, for people. Missing if it has none.
    pub version: Option<String>,
    /// The digest that the operator will compute for the target. Missing if the snapshot is in a ConfigMap, or if the manifest is
    /// not complete.
    pub digest: Option<Digest>,
}

/// The target with the release of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// The text of the target's file. The same as before if there is nothing to do.
    pub text: String,
    /// The fields that differ. Empty if there is nothing to do.
    pub fields: Vec<Field>,
    /// The kind, namespace and name of the target.
    pub object: String,
    /// The target's namespace, if it names one.
    pub namespace: Option<String>,
    /// The target's name, if it has one.
    pub name: Option<String>,
    /// The release of the target before.
    pub before: Shown,
    /// The release of the target now.
    pub after: Shown,
    /// The ConfigMap that holds the snapshot, if the release has one. It is not copied.
    pub config_map: Option<ConfigMapKeyReference>,
}

/// Copies the release of one deployment into another one.
///
/// # Errors
/// What is wrong, and what to write instead. Then nothing may be written.
pub fn promote(from: &Place<'_>, to: &Place<'_>) -> Result<Promotion, Box<Problem>> {
    let sources = read::parts(from.file, from.text)?;
    let targets = read::parts(to.file, to.text)?;
    let (_, source) = side::select(from, &sources)?;
    let (index, target) = side::select(to, &targets)?;
    check_snapshots(&source, &target)?;
    let found = match release::of(source.root) == release::of(target.root) {
        true => edit::Edits::default(),
        false => {
            check_forms(&source, &target)?;
            edit::find(&source, &target)?
        }
    };
    let text = match found.edits.is_empty() {
        true => to.text.to_owned(),
        false => {
            let text = edited(&target, found.edits).ok_or_else(|| changed_more(&target))?;
            verify(&text, index, &source, &target, &targets)?;
            text
        }
    };
    let after = read::parts(to.file, &text)?;
    let after = after.get(index).map_or(target.root, |(_, root)| root);
    let document = document(&target, after);
    Ok(Promotion {
        fields: found.fields,
        object: document.label(),
        namespace: document.namespace().map(str::to_owned),
        name: document.name().map(str::to_owned),
        before: shown(&self::document(&target, target.root)),
        after: shown(&document),
        config_map: document
            .deployment()
            .ok()
            .and_then(|object| Some(object.spec.configuration_snapshot_from?.config_map_key_ref)),
        text,
    })
}

/// The source has a release, and neither file has both forms of a snapshot, which the API server refuses.
fn check_snapshots(source: &Side<'_>, target: &Side<'_>) -> Result<(), Box<Problem>> {
    let forms = |side: &Side<'_>| {
        [Field::Snapshot, Field::SnapshotFrom].into_iter().filter(|field| field.value_in(side.root).is_some()).count()
    };
    let refuse = |side: &Side<'_>, message: &str| {
        let position = side.layout.get("spec").map_or(side.layout.begin, |spec| spec.begin);
        Err(side.refuse(position, "spec", message))
    };
    if forms(source) == 0 {
        return refuse(source, "it has no release: write configurationSnapshot or configurationSnapshotFrom");
    }
    match [source, target].into_iter().find(|side| forms(side) > 1) {
        Some(side) => refuse(side, "it has configurationSnapshot and configurationSnapshotFrom: write one of the two"),
        None => Ok(()),
    }
}

fn check_forms(source: &Side<'_>, target: &Side<'_>) -> Result<(), Box<Problem>> {
    if source.part.is_json != target.part.is_json {
        let form = |side: &Side<'_>| if side.part.is_json { "JSON" } else { "YAML" };
        let message = format!(
            "it is {}, and {} is {}: a release is copied as text, so write both in the same format",
            form(target),
            source.file,
            form(source)
        );
        return Err(target.refuse(target.layout.begin, "", message));
    }
    for side in [source, target] {
        if let Some(position) = text::lone_return(side.part.text) {
            let message =
                "a line ends with a carriage return alone: save the file with the line ends of Unix or Windows";
            return Err(side.refuse(position, "", message));
        }
    }
    Ok(())
}

/// The text of the target's file after the edits.
fn edited(target: &Side<'_>, edits: Vec<text::Edit>) -> Option<String> {
    let part = text::apply(target.part.text, edits)?;
    let before = target.text.get(..target.part.begin)?;
    let after = target.text.get(target.part.begin + target.part.text.len()..)?;
    Some(format!("{before}{part}{after}"))
}

/// Reads the result as kubectl does. Only the release of the target may differ, and it must be the release of the source.
fn verify(
    text: &str,
    index: usize,
    source: &Side<'_>,
    target: &Side<'_>,
    targets: &[(read::Part<'_>, Node)],
) -> Result<(), Box<Problem>> {
    let Ok(results) = read::parts(target.file, text) else { return Err(changed_more(target)) };
    let are_others_same = results.len() == targets.len()
        && results.iter().zip(targets).enumerate().all(|(at, (result, before))| {
            at == index || result.0.text == before.0.text && result.1.json() == before.1.json()
        });
    let is_only_release = results.get(index).is_some_and(|(_, root)| {
        release::rest(root) == release::rest(target.root) && release::of(root) == release::of(source.root)
    });
    match are_others_same && is_only_release {
        true => Ok(()),
        false => Err(changed_more(target)),
    }
}

fn changed_more(target: &Side<'_>) -> Box<Problem> {
    let message = "after the edit, the file would not be the same file with another release, so nothing was written: copy the fields of the release by hand, each key on a line of its own, without text after `|+` or `>+`";
    target.refuse(target.layout.begin, "", message)
}

fn document(side: &Side<'_>, root: &Node) -> Document {
    Document {
        file: side.file.to_owned(),
        number: side.number,
        root: root.clone(),
        doubts: Vec::new(),
        lines_before: side.part.lines_before,
    }
}

fn shown(document: &Document) -> Shown {
    let Ok(object) = document.deployment() else { return Shown { version: None, digest: None } };
    let snapshot = snapshot_of(&object.spec, None);
    let version = match &snapshot {
        Some(snapshot) => object.version_of(snapshot),
        // Without the snapshot, the version is known only if the manifest names it.
        None => {
            let label = object.metadata.labels.as_ref().and_then(|labels| labels.get(VERSION_LABEL));
            object.spec.display_version.as_ref().or(label).cloned()
        }
    };
    Shown { version, digest: snapshot.and_then(|snapshot| Digest::of_deployment(&object.spec, &snapshot).ok()) }
}
