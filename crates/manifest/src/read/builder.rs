//! Builds the tree of a document from events, within bounds.

use super::limits::{DEEPEST, MAX_TEXT, MAX_VALUES, MAX_WARNINGS};
use crate::node::{Content, Node, join};
use std::collections::HashSet;

/// What is wrong with a document, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The line in the text that was read, from 1, if it is known.
    pub(super) line: Option<usize>,
    pub(super) path: String,
    pub(super) message: String,
}

/// Something that may not mean what its author meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Doubt {
    pub(crate) line: usize,
    pub(crate) path: String,
    pub(crate) message: String,
}

/// A list or map that has begun.
struct Open {
    line: usize,
    anchor: usize,
    kind: Kind,
}

enum Kind {
    List(Vec<Node>),
    Map {
        entries: Vec<(String, Node)>,
        /// The keys that the map has itself.
        own: HashSet<String>,
        /// The keys that it has only from a `<<`.
        merged: HashSet<String>,
        key: Option<Key>,
    },
}

enum Key {
    Name(String),
    /// A `<<` at this line.
    Merge(usize),
}

/// The state of building one document.
#[derive(Default)]
pub(super) struct Builder {
    open: Vec<Open>,
    pub(super) root: Option<Node>,
    pub(super) doubts: Vec<Doubt>,
    values: usize,
    text: usize,
}

impl Builder {
    pub(super) fn begin_list(&mut self, line: usize, anchor: usize) -> Result<(), Fault> {
        self.begin(Open { line, anchor, kind: Kind::List(Vec::new()) })
    }

    pub(super) fn begin_map(&mut self, line: usize, anchor: usize) -> Result<(), Fault> {
        let kind = Kind::Map { entries: Vec::new(), own: HashSet::new(), merged: HashSet::new(), key: None };
        self.begin(Open { line, anchor, kind })
    }

    fn begin(&mut self, open: Open) -> Result<(), Fault> {
        if self.open.len() >= DEEPEST {
            return Err(self.fault(open.line, too_deep()));
        }
        if self.expects_key() {
            return Err(self.fault(open.line, "a key is a list or a map: write text".to_owned()));
        }
        self.count(open.line, 0)?;
        self.open.push(open);
        Ok(())
    }

    /// Ends the innermost list or map. Returns its anchor and a copy, if it has an anchor.
    pub(super) fn end(&mut self) -> Result<Option<(usize, Node)>, Fault> {
        let Some(Open { line, anchor, kind }) = self.open.pop() else { return Ok(None) };
        let content = match kind {
            Kind::List(items) => Content::List(items),
            Kind::Map { entries, .. } => Content::Map(entries),
        };
        let node = Node { line, content };
        let copy = (anchor > 0).then(|| (anchor, node.clone()));
        if let Some((_, copy)) = &copy {
            self.count_copy(copy)?;
        }
        self.put(node)?;
        Ok(copy)
    }

    /// Whether the next value is a key.
    pub(super) fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { kind: Kind::Map { key: None, .. }, .. }))
    }

    /// The next key.
    pub(super) fn key(&mut self, line: usize, name: String) -> Result<(), Fault> {
        self.count(line, name.len())?;
        let Some(Open { kind: Kind::Map { own, key, .. }, .. }) = self.open.last_mut() else { return Ok(()) };
        let is_new = own.insert(name.clone());
        *key = Some(Key::Name(name));
        match is_new {
            true => Ok(()),
            false => {
                Err(self
                    .fault(line, "the key is there twice; kubectl takes the last one: keep one of the two".to_owned()))
            }
        }
    }

    /// The next key is a `<<`.
    pub(super) fn merge_key(&mut self, line: usize) {
        if let Some(Open { kind: Kind::Map { key, .. }, .. }) = self.open.last_mut() {
            *key = Some(Key::Merge(line));
        }
    }

    /// The next value, if it is no list and no map, or if it was built already.
    pub(super) fn value(&mut self, line: usize, content: Content) -> Result<(), Fault> {
        let bytes = match &content {
            Content::Text(text) | Content::Number(text) => text.len(),
            _ => 0,
        };
        self.count(line, bytes)?;
        self.put(Node { line, content })
    }

    /// A copy of what an anchor names.
    pub(super) fn copy(&mut self, node: Node) -> Result<(), Fault> {
        if self.open.len() + depth(&node) > DEEPEST {
            return Err(self.fault(node.line, too_deep()));
        }
        self.count_copy(&node)?;
        self.put(node)
    }

    fn put(&mut self, node: Node) -> Result<(), Fault> {
        let line = node.line;
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open { kind: Kind::List(items), .. }) => items.push(node),
            Some(Open { kind: Kind::Map { entries, merged, key, .. }, .. }) => match key.take() {
                Some(Key::Name(name)) => {
                    // The map's own key wins over the one from a `<<` before it.
                    let known = merged.remove(&name).then(|| entries.iter_mut().find(|(known, _)| *known == name));
                    match known.flatten() {
                        Some((_, value)) => *value = node,
                        None => entries.push((name, node)),
                    }
                }
                Some(Key::Merge(line)) => return self.merge(node, line),
                None => return Err(self.fault(line, "a value has no key".to_owned())),
            },
        }
        Ok(())
    }

    /// Adds the entries of a `<<`. kubectl lets a `<<` win over keys before it, YAML lets the map's own keys win: that is refused.
    fn merge(&mut self, node: Node, line: usize) -> Result<(), Fault> {
        let maps = match node.content {
            Content::Map(entries) => vec![entries],
            Content::List(items) => {
                let mut maps = Vec::new();
                for item in items {
                    let Content::Map(entries) = item.content else { return Err(self.no_map(line)) };
                    maps.push(entries);
                }
                maps
            }
            _ => return Err(self.no_map(line)),
        };
        let Some(Open { kind: Kind::Map { entries, own, merged, .. }, .. }) = self.open.last_mut() else {
            return Ok(());
        };
        let mut added = HashSet::new();
        let mut overridden = None;
        for (name, value) in maps.into_iter().flatten() {
            if own.contains(&name) || merged.contains(&name) {
                overridden.get_or_insert(name);
            } else if added.insert(name.clone()) {
                entries.push((name, value));
            }
        }
        merged.extend(added);
        match overridden {
            None => Ok(()),
            Some(name) => {
                let message = format!(
                    "<< comes after {name}, which it has too; kubectl lets the later one win, other tools the key: write << first"
                );
                Err(self.fault(line, message))
            }
        }
    }

    fn no_map(&self, line: usize) -> Fault {
        self.fault(line, "<< names no map: write the name of a map, or a list of such names".to_owned())
    }

    /// Notes a doubt about the value or key that comes next.
    pub(super) fn doubt(&mut self, line: usize, message: String) {
        if self.doubts.len() < MAX_WARNINGS {
            let path = self.path();
            self.doubts.push(Doubt { line, path, message });
        }
    }

    fn count_copy(&mut self, node: &Node) -> Result<(), Fault> {
        match &node.content {
            Content::Text(text) | Content::Number(text) => self.count(node.line, text.len()),
            Content::Null | Content::Truth(_) => self.count(node.line, 0),
            Content::List(items) => {
                self.count(node.line, 0)?;
                items.iter().try_for_each(|item| self.count_copy(item))
            }
            Content::Map(entries) => {
                self.count(node.line, 0)?;
                entries.iter().try_for_each(|(key, value)| {
                    self.count(value.line, key.len())?;
                    self.count_copy(value)
                })
            }
        }
    }

    fn count(&mut self, line: usize, bytes: usize) -> Result<(), Fault> {
        self.values += 1;
        self.text += bytes;
        match self.values > MAX_VALUES || self.text > MAX_TEXT {
            false => Ok(()),
            true => Err(self.fault(line, format!("the document has more than {MAX_VALUES} values or {MAX_TEXT} bytes of text once its aliases are written out: split it, or use fewer aliases"))),
        }
    }

    /// A fault at the value or key that comes next.
    pub(super) fn fault(&self, line: usize, message: String) -> Fault {
        Fault { line: Some(line), path: self.path(), message }
    }

    fn path(&self) -> String {
        self.open.iter().fold(String::new(), |path, open| match &open.kind {
            Kind::List(items) => format!("{path}[{}]", items.len()),
            Kind::Map { key: Some(Key::Name(name)), .. } => join(&path, name),
            Kind::Map { .. } => path,
        })
    }
}

pub(super) fn too_deep() -> String {
    format!("objects and lists are nested more than {DEEPEST} levels deep: flatten the manifest")
}

fn depth(node: &Node) -> usize {
    match &node.content {
        Content::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Content::Map(entries) => 1 + entries.iter().map(|(_, value)| depth(value)).max().unwrap_or(0),
        _ => 0,
    }
}
