//! A document as a tree that knows its lines.

use serde_json::{Map, Value};

/// A value, and the line at which it begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) content: Content,
}

/// A value as kubectl reads it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    Null,
    Truth(bool),
    /// A JSON number, as kubectl sends it.
    Number(String),
    Text(String),
    List(Vec<Node>),
    /// The entries in their written order. No key is there twice.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Content::Map(entries) = &self.content else { return None };
        entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The text of a key.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match &self.get(key)?.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The line of a path such as `spec.dependencyLocks[0].version`. If the path ends before, because a field is missing, the
    /// line of what is there.
    pub(crate) fn line_of(&self, path: &str) -> usize {
        let mut node = self;
        let mut rest = path;
        while !rest.is_empty() {
            let (step, after) = first_step(rest);
            let next = match (&node.content, step.parse::<usize>()) {
                (Content::List(items), Ok(index)) => items.get(index),
                _ => node.get(step),
            };
            let Some(next) = next else { break };
            (node, rest) = (next, after);
        }
        node.line
    }

    /// Removes nulls, as the API server does or as if they were absent. The nulls of a snapshot are the user's own.
    pub(crate) fn remove_nulls(&mut self) {
        match &mut self.content {
            Content::List(items) => items.iter_mut().for_each(Self::remove_nulls),
            Content::Map(entries) => {
                entries.retain(|(_, value)| value.content != Content::Null);
                let inner = entries.iter_mut().filter(|(key, _)| key != "configurationSnapshot");
                inner.for_each(|(_, value)| value.remove_nulls());
            }
            _ => {}
        }
    }

    /// The JSON text.
    pub(crate) fn json(&self) -> String {
        let mut json = String::new();
        self.write(&mut json);
        json
    }

    // The reader bounds the depth.
    fn write(&self, json: &mut String) {
        match &self.content {
            Content::Null => json.push_str("null"),
            Content::Truth(truth) => json.push_str(if *truth { "true" } else { "false" }),
            Content::Number(number) => json.push_str(number),
            Content::Text(text) => json.push_str(&Value::from(text.as_str()).to_string()),
            Content::List(items) => {
                json.push('[');
                for (index, item) in items.iter().enumerate() {
                    json.push_str(if index == 0 { "" } else { "," });
                    item.write(json);
                }
                json.push(']');
            }
            Content::Map(entries) => {
                json.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    json.push_str(if index == 0 { "" } else { "," });
                    json.push_str(&Value::from(key.as_str()).to_string());
                    json.push(':');
                    value.write(json);
                }
                json.push('}');
            }
        }
    }

    /// The tree of serde_json, which rules are evaluated on.
    pub(crate) fn value(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Truth(truth) => Value::Bool(*truth),
            Content::Number(number) => serde_json::from_str(number).unwrap_or(Value::Null),
            Content::Text(text) => Value::from(text.as_str()),
            Content::List(items) => items.iter().map(Self::value).collect(),
            Content::Map(entries) => {
                Value::Object(entries.iter().map(|(key, value)| (key.clone(), value.value())).collect::<Map<_, _>>())
            }
        }
    }
}

/// Appends a key to a path. A key that is not a word is written in brackets. A key that is a URL is not quoted: it may be the URL
/// of a webhook.
pub(crate) fn join(path: &str, key: &str) -> String {
    if key.contains("://") {
        return format!("{path}[a URL]");
    }
    let is_word =
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'$'));
    match is_word {
        true if path.is_empty() => key.to_owned(),
        true => format!("{path}.{key}"),
        false => format!("{path}[{}]", Value::from(key)),
    }
}

/// The first step of a path, and the rest.
fn first_step(path: &str) -> (&str, &str) {
    let path = path.strip_prefix('.').unwrap_or(path);
    if let Some(quoted) = path.strip_prefix("[\"")
        && let Some((key, rest)) = quoted.split_once("\"]")
    {
        return (key, rest);
    }
    if let Some(index) = path.strip_prefix('[')
        && let Some((index, rest)) = index.split_once(']')
    {
        return (index, rest);
    }
    let end = path.find(['.', '[']).unwrap_or(path.len());
    path.split_at(end)
}
