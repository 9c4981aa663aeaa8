//! Reads manifests as kubectl reads them: files, folders and standard input, YAML or JSON, many documents, lists.
//!
//! The digest of what is read here is the digest of what kubectl would send. If kubectl reads a scalar in another way than
//! YAML 1.2, there is a warning. If it would drop something silently, the document is refused.

mod builder;
mod files;
mod json;
mod limits;
mod number;
mod scalar;
mod split;
mod yaml;

pub(crate) use builder::Doubt;
pub use files::{Input, collect};
pub use limits::{DEEPEST, LARGEST_DOCUMENT, LARGEST_FILE, LARGEST_INPUT, MAX_DOCUMENTS, MAX_VALUES};
pub(crate) use number::is_same as is_same_number;

use crate::document::{Document, Manifests};
use crate::node::{Content, Node};
use crate::problem::{Problem, Severity};
use builder::{Builder, Fault};

/// The tree of a JSON text, with its numbers as they are written. `None` if it is beyond the bounds.
pub(crate) fn tree_of_json(text: &str) -> Option<Node> {
    let mut builder = Builder::default();
    json::read_as_written(text, &mut builder).ok()?;
    builder.root
}

/// Reads every document of the inputs, in order. What cannot be read is among the problems; the rest is read all the same.
#[must_use]
pub fn read(inputs: &[Input]) -> Manifests {
    let mut manifests = Manifests::default();
    for input in inputs {
        read_input(input, &mut manifests);
    }
    manifests
}

fn read_input(input: &Input, manifests: &mut Manifests) {
    let chunks = match split::split(without_mark(&input.text)) {
        Ok(chunks) => chunks,
        Err(bad) => {
            manifests.problems.push(bad_separator(&input.name, &bad));
            return;
        }
    };
    let mut number = 0;
    for chunk in chunks {
        for (Part { lines_before, .. }, read) in documents(&chunk) {
            // An empty document has no number: people do not count it.
            let Some(read) = read.transpose() else { continue };
            number += 1;
            if manifests.documents >= MAX_DOCUMENTS {
                let message = format!("there are more than {MAX_DOCUMENTS} documents: read them in several runs");
                manifests.problems.push(Problem::of_file(&input.name, message));
                return;
            }
            manifests.documents += 1;
            match read {
                Ok(Read { root, doubts }) => {
                    let document = Document { file: input.name.clone(), number, root, doubts, lines_before };
                    take(document, manifests);
                }
                Err(fault) => manifests.problems.push(problem(&input.name, number, lines_before, fault)),
            }
        }
    }
}

fn problem(file: &str, number: usize, lines_before: usize, fault: Fault) -> Problem {
    Problem {
        document: Some(number),
        line: fault.line.map(|line| line + lines_before),
        path: fault.path,
        ..Problem::of_file(file, fault.message)
    }
}

struct Read {
    root: Node,
    doubts: Vec<Doubt>,
}

/// The text of one document in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    /// How many lines of the file come before it.
    pub(crate) lines_before: usize,
    /// The byte of the file at which it begins.
    pub(crate) begin: usize,
    pub(crate) text: &'a str,
    /// Whether it is JSON.
    pub(crate) is_json: bool,
}

/// The documents of one part of a file. `Ok(None)` for an empty one.
fn documents<'a>(chunk: &split::Chunk<'a>) -> Vec<(Part<'a>, Result<Option<Read>, Fault>)> {
    let whole = Part { lines_before: chunk.lines_before, begin: chunk.begin, text: chunk.text, is_json: false };
    let read_yaml = || vec![(whole, read_one(chunk.text, yaml::read))];
    if !chunk.text.trim_start().starts_with('{') {
        return read_yaml();
    }
    match json::objects(chunk.text) {
        None => read_yaml(),
        Some(Err(fault)) => vec![(whole, Err(fault))],
        Some(Ok(objects)) => objects
            .into_iter()
            .map(|(begin, text)| {
                let before = chunk.text.get(..begin).unwrap_or_default();
                let lines_before = chunk.lines_before + before.bytes().filter(|byte| *byte == b'\n').count();
                let part = Part { lines_before, begin: chunk.begin + begin, text, is_json: true };
                (part, read_one(text, json::read))
            })
            .collect(),
    }
}

/// Every document of a file, as it is written: lists are not opened, and each kind is kept. Empty documents are left out.
///
/// # Errors
/// The first problem. kubectl would refuse the file.
pub(crate) fn parts<'a>(file: &str, text: &'a str) -> Result<Vec<(Part<'a>, Node)>, Box<Problem>> {
    let skipped = text.len() - without_mark(text).len();
    let mut found = Vec::new();
    for chunk in split::split(without_mark(text)).map_err(|bad| Box::new(bad_separator(file, &bad)))? {
        for (part, read) in documents(&chunk) {
            match read {
                Ok(None) => {}
                Ok(Some(Read { root, .. })) => found.push((Part { begin: part.begin + skipped, ..part }, root)),
                Err(fault) => return Err(Box::new(problem(file, found.len() + 1, part.lines_before, fault))),
            }
        }
    }
    Ok(found)
}

/// The text without a byte order mark, which kubectl skips.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn bad_separator(file: &str, bad: &split::BadSeparator) -> Problem {
    let message =
        "text follows \"---\" on the same line, which kubectl refuses: write the document from the next line on";
    Problem { line: Some(bad.line), ..Problem::of_file(file, message) }
}

fn read_one(text: &str, read: impl Fn(&str, &mut Builder) -> Result<(), Fault>) -> Result<Option<Read>, Fault> {
    if text.len() > LARGEST_DOCUMENT {
        let message = format!(
            "the document has {} bytes; at most {LARGEST_DOCUMENT} are read, and the API server takes fewer: split it",
            text.len()
        );
        return Err(Fault { line: Some(1), path: String::new(), message });
    }
    let mut builder = Builder::default();
    read(text, &mut builder)?;
    let Builder { root, doubts, .. } = builder;
    Ok(root.filter(|root| root.content != Content::Null).map(|root| Read { root, doubts }))
}

/// Sorts a document by its kind. A list is opened, as kubectl opens it.
fn take(document: Document, manifests: &mut Manifests) {
    let kind = document.root.text("kind").unwrap_or_default().to_owned();
    let is_list =
        kind.ends_with("List") && matches!(document.root.get("items"), Some(Node { content: Content::List(_), .. }));
    if is_list {
        open(document, manifests);
        return;
    }
    if kind.is_empty() || document.root.text("apiVersion").is_none() {
        let message = match document.root.content {
            Content::Map(_) => "it has no apiVersion or no kind: write both, as text",
            _ => "it is no object: write apiVersion, kind, metadata and spec",
        };
        manifests.problems.push(document.problem(Severity::Error, "", message));
        return;
    }
    manifests.add(document, &kind);
}

fn open(document: Document, manifests: &mut Manifests) {
    let Document { file, number, root, doubts, lines_before } = document;
    let Content::Map(entries) = root.content else { return };
    let items = entries.into_iter().find(|(key, _)| key == "items");
    let Some((_, Node { content: Content::List(items), .. })) = items else { return };
    for (index, root) in items.into_iter().enumerate() {
        if manifests.documents >= MAX_DOCUMENTS {
            let message = format!("there are more than {MAX_DOCUMENTS} documents: read them in several runs");
            manifests.problems.push(Problem::of_file(&file, message));
            return;
        }
        manifests.documents += 1;
        let prefix = format!("items[{index}]");
        let own = |doubt: &Doubt| {
            let rest = doubt.path.strip_prefix(&prefix)?;
            let rest = rest.strip_prefix('.').unwrap_or(rest);
            (rest.is_empty() || doubt.path[prefix.len()..].starts_with(['.', '[']))
                .then(|| Doubt { path: rest.to_owned(), ..doubt.clone() })
        };
        let doubts = doubts.iter().filter_map(own).collect();
        take(Document { file: file.clone(), number, root, doubts, lines_before }, manifests);
    }
}
