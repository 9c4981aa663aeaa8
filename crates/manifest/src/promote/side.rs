//! One of the two deployments: its text, its tree, and the places of its keys.

use super::layout::{self, Place, Shape};
use super::release::Field;
use crate::document::{API_VERSION, KIND};
use crate::node::{Content, Node};
use crate::problem::Problem;
use crate::read::Part;

/// The source or the target.
pub(super) struct Side<'a> {
    pub(super) file: &'a str,
    /// The text of the whole file.
    pub(super) text: &'a str,
    /// The number of the document in its file, from 1.
    pub(super) number: usize,
    pub(super) part: Part<'a>,
    pub(super) root: &'a Node,
    pub(super) layout: Place,
}

const IN_BRACES: &str =
    "it is written in braces: write it in block style, each `key: value` on a line of its own, before you promote";
const MARKED: &str =
    "it has an anchor (&), an alias (*) or a tag (!), which cannot be copied as text: write the value out";

impl Side<'_> {
    /// A problem at a position of the document.
    pub(super) fn refuse(&self, position: usize, path: &str, message: impl Into<String>) -> Box<Problem> {
        let before = self.part.text.get(..position).unwrap_or_default();
        let line = self.part.lines_before + before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        Box::new(Problem {
            document: Some(self.number),
            line: Some(line),
            object: Some(label(self.root)),
            path: path.to_owned(),
            ..Problem::of_file(self.file, message)
        })
    }

    /// A map at the top of the document whose entries can be edited.
    pub(super) fn map(&self, name: &str) -> Result<&Place, Box<Problem>> {
        self.editable(&self.layout, "")?;
        let Some(place) = self.layout.get(name) else {
            return Err(self.refuse(self.layout.begin, name, "it is missing: write it"));
        };
        self.editable(place, name)
    }

    /// The labels.
    pub(super) fn labels(&self) -> Result<&Place, Box<Problem>> {
        const PATH: &str = "metadata.labels";
        let metadata = self.map("metadata")?;
        let Some(place) = metadata.get("labels") else {
            return Err(self.refuse(metadata.begin, PATH, "it is missing: write it"));
        };
        self.editable(place, PATH)
    }

    fn editable<'p>(&self, place: &'p Place, path: &str) -> Result<&'p Place, Box<Problem>> {
        if place.is_marked {
            return Err(self.refuse(place.begin, path, MARKED));
        }
        match &place.shape {
            Shape::Map { is_block, .. } if *is_block == self.part.is_json => {
                Err(self.refuse(place.begin, path, IN_BRACES))
            }
            Shape::Map { entries, .. } if entries.iter().any(|entry| entry.name == "<<") => {
                Err(self.refuse(place.begin, path, "it has a key <<: write its entries out"))
            }
            Shape::Map { .. } => Ok(place),
            _ => Err(self.refuse(place.begin, path, "it is not written as a map: write `key: value` lines below it")),
        }
    }

    /// The place of a field in its map.
    pub(super) fn index_of(&self, map: &Place, field: Field) -> Result<usize, Box<Problem>> {
        let entries = map.entries();
        match entries.iter().position(|entry| entry.name == field.key()) {
            None => Err(self.refuse(map.begin, field.path(), "its place is not known: write it as `key: value`")),
            Some(index) => match entries.get(index).filter(|entry| entry.value.has_marks) {
                Some(entry) => Err(self.refuse(entry.key, field.path(), MARKED)),
                None => Ok(index),
            },
        }
    }
}

/// The deployment of a file that was named, or the only one. With its place among the documents of the file.
pub(super) fn select<'a>(
    place: &super::Place<'a>,
    parts: &'a [(Part<'a>, Node)],
) -> Result<(usize, Side<'a>), Box<Problem>> {
    let ours: Vec<usize> =
        (0..parts.len()).filter(|index| parts.get(*index).is_some_and(|(_, root)| is_ours(root))).collect();
    let root = |index: usize| parts.get(index).map(|(_, root)| root);
    let is_named = |index: &usize| match (place.name, root(*index)) {
        (None, _) => true,
        (Some(name), Some(root)) => names(root).iter().any(|own| own == name),
        (Some(_), None) => false,
    };
    let named: Vec<usize> = ours.iter().copied().filter(is_named).collect();
    let all: Vec<String> = ours.iter().filter_map(|index| Some(names(root(*index)?).last()?.clone())).collect();
    let refuse = |message: String| Err(Box::new(Problem::of_file(place.file, message)));
    let [index] = named.as_slice() else {
        return match (named.len(), place.name, all.is_empty()) {
            (0, _, true) if parts.iter().any(|(_, root)| is_list(root)) => {
                refuse(format!("its {KIND} is in a list: write it as a document of its own, after a line `---`"))
            }
            (0, _, true) => refuse(format!("it has no {KIND} ({API_VERSION}): name the file of one")),
            (0, Some(name), _) => refuse(format!("it has no {KIND} {name}: it has {}", all.join(", "))),
            _ => refuse(format!(
                "it has several: {}; name one with {} NAME or {} NAMESPACE/NAME",
                all.join(", "),
                place.flag,
                place.flag
            )),
        };
    };
    let Some((part, root)) = parts.get(*index) else { return refuse("it cannot be read".to_owned()) };
    let Some(layout) = layout::of(part.text) else {
        return refuse(format!(
            "the places of the fields of {} are not known, so they cannot be edited: write plain YAML in block style",
            label(root)
        ));
    };
    Ok((*index, Side { file: place.file, text: place.text, number: index + 1, part: *part, root, layout }))
}

fn is_ours(root: &Node) -> bool {
    root.text("kind") == Some(KIND) && root.text("apiVersion") == Some(API_VERSION)
}

fn is_list(root: &Node) -> bool {
    let items = root.get("items").map(|items| &items.content);
    matches!(items, Some(Content::List(items)) if items.iter().any(is_ours))
}

/// The name, and the namespace with the name.
fn names(root: &Node) -> Vec<String> {
    let Some(metadata) = root.get("metadata") else { return vec!["one without a name".to_owned()] };
    let name = metadata.text("name").unwrap_or("one without a name");
    let mut names = vec![name.to_owned()];
    names.extend(metadata.text("namespace").map(|namespace| format!("{namespace}/{name}")));
    names
}

fn label(root: &Node) -> String {
    format!("{KIND} {}", names(root).last().map_or("", String::as_str))
}
