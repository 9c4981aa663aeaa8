//! Differences between two values, by JSON path and not by line.

use crate::node::{Content, Node, join};
use crate::read::is_same_number;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How many changes of one object are listed.
pub const MAX_CHANGES: usize = 500;

/// The longest value that is shown, in characters.
pub const LONGEST_VALUE: usize = 160;

/// The fields by which the items of a list are recognized, in this order.
const KEYS: [&str; 3] = ["packageName", "id", "name"];

/// Shown in place of a value that may be secret.
const HIDDEN: &str = "(hidden)";

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The path of the value below `spec`, such as `dependencyLocks[core].version`, or below `metadata`.
    pub path: String,
    /// What happens to the value.
    pub action: Action,
    /// The live value as JSON, shortened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// The value of the manifest as JSON, shortened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

/// What happens to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Action {
    /// Only the manifest has it.
    Added,
    /// Only the live object has it.
    Removed,
    /// Both have it, with different values.
    Changed,
    /// A list has the same items in another order.
    Reordered,
}

/// The differences that were found.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) listed: Vec<Change>,
    /// How many more there are.
    pub(super) more: usize,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    pub(super) fn add(&mut self, path: &str, action: Action, old: Option<&Node>, new: Option<&Node>) {
        if self.listed.len() >= MAX_CHANGES {
            self.more += 1;
            return;
        }
        let is_hidden = is_secret(path);
        let show = |node: &Node| if is_hidden { HIDDEN.to_owned() } else { shown(node) };
        self.listed.push(Change { path: path.to_owned(), action, old: old.map(show), new: new.map(show) });
    }

    /// Compares two values.
    pub(super) fn compare(&mut self, path: &str, old: Option<&Node>, new: Option<&Node>) {
        match (old, new) {
            (None, None) => {}
            (Some(old), None) => self.add(path, Action::Removed, Some(old), None),
            (None, Some(new)) => self.add(path, Action::Added, None, Some(new)),
            (Some(old), Some(new)) => self.compare_values(path, old, new),
        }
    }

    fn compare_values(&mut self, path: &str, old: &Node, new: &Node) {
        match (&old.content, &new.content) {
            (Content::Map(before), Content::Map(after)) => {
                let before: BTreeMap<_, _> = before.iter().map(|(key, value)| (key, value)).collect();
                let after: BTreeMap<_, _> = after.iter().map(|(key, value)| (key, value)).collect();
                let keys: BTreeSet<_> = before.keys().chain(after.keys()).copied().collect();
                for key in keys {
                    self.compare(&join(path, key), before.get(key).copied(), after.get(key).copied());
                }
            }
            (Content::List(before), Content::List(after)) => self.compare_lists(path, before, after),
            _ if is_same(old, new) => {}
            _ => self.add(path, Action::Changed, Some(old), Some(new)),
        }
    }

    fn compare_lists(&mut self, path: &str, before: &[Node], after: &[Node]) {
        let keyed = KEYS.iter().find_map(|key| Some((by_key(before, key)?, by_key(after, key)?)));
        let Some((before, after)) = keyed else {
            for index in 0..before.len().max(after.len()) {
                self.compare(&format!("{path}[{index}]"), before.get(index), after.get(index));
            }
            return;
        };
        let find = |items: &[(String, Node)], name: &str| {
            items.iter().find(|(known, _)| known == name).map(|(_, node)| node.clone())
        };
        for (name, old) in &before {
            self.compare(&format!("{path}[{name}]"), Some(old), find(&after, name).as_ref());
        }
        for (name, new) in &after {
            if find(&before, name).is_none() {
                self.compare(&format!("{path}[{name}]"), None, Some(new));
            }
        }
        let kept = |items: &[(String, Node)], others: &[(String, Node)]| -> Vec<String> {
            items.iter().filter(|(name, _)| find(others, name).is_some()).map(|(name, _)| name.clone()).collect()
        };
        // The order of locks means nothing.
        if kept(&before, &after) != kept(&after, &before) && path != "dependencyLocks" {
            self.add(path, Action::Reordered, None, None);
        }
    }
}

/// The items by their key, if each has one of its own. An empty list has none to contradict.
fn by_key(items: &[Node], key: &str) -> Option<Vec<(String, Node)>> {
    let named: Option<Vec<_>> =
        items.iter().map(|item| item.text(key).map(|name| (name.to_owned(), item.clone()))).collect();
    let named = named?;
    let names: BTreeSet<_> = named.iter().map(|(name, _)| name).collect();
    (names.len() == named.len()).then_some(named)
}

/// Numbers are compared as values: 1.0 is 1.
fn is_same(old: &Node, new: &Node) -> bool {
    match (&old.content, &new.content) {
        (Content::Number(old), Content::Number(new)) => is_same_number(old, new),
        (old, new) => old == new,
    }
}

/// Whether a value is not shown. A manifest should hold no secrets; if it does, they must not reach a pull request.
fn is_secret(path: &str) -> bool {
    let last = path.rsplit(['.', '[']).next().unwrap_or_default().to_ascii_lowercase();
    let last: String = last.chars().filter(char::is_ascii_alphanumeric).collect();
    path == "webhook.url"
        || ["secret", "password", "passwd", "token", "apikey", "privatekey", "credential"]
            .iter()
            .any(|word| last.ends_with(word))
}

/// A value as JSON, shortened. Secrets inside it are hidden.
fn shown(node: &Node) -> String {
    let json = without_secrets(node).json();
    let length = json.chars().count();
    if length <= LONGEST_VALUE {
        return json;
    }
    let head: String = json.chars().take(LONGEST_VALUE - 40).collect();
    format!("{head}… ({length} characters)")
}

fn without_secrets(node: &Node) -> Node {
    let content = match &node.content {
        Content::Map(entries) => Content::Map(
            entries
                .iter()
                .map(|(key, value)| match is_secret(key) {
                    true => (key.clone(), Node { line: 0, content: Content::Text(HIDDEN.to_owned()) }),
                    false => (key.clone(), without_secrets(value)),
                })
                .collect(),
        ),
        Content::List(items) => Content::List(items.iter().map(without_secrets).collect()),
        other => other.clone(),
    };
    Node { line: node.line, content }
}
