//! The structural schema of the CRD: types, required and unknown fields, bounds.
//!
//! The API server checks the same. Here each problem also says what to write instead.

use crate::node::{Content, Node, join};
use serde_json::{Map, Value};

/// The words of a schema that are checked here, or that need no check of a spec. A test looks for others in the CRD.
#[cfg(test)]
pub(crate) const KNOWN_WORDS: [&str; 19] = [
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "minItems",
    "minLength",
    "minProperties",
    "nullable",
    "properties",
    "required",
    "title",
    "type",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
];

/// A value that the schema refuses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    pub(crate) path: String,
    pub(crate) message: String,
    /// Whether rules cannot be evaluated on such a value.
    pub(super) is_blocking: bool,
}

/// Everything in a value that the schema refuses, in the order of the text.
pub(super) fn check(node: &Node, schema: &Value, path: &str, found: &mut Vec<Mismatch>) {
    let kind = schema["type"].as_str().unwrap_or_default();
    let is_right = match (&node.content, kind) {
        (Content::Map(entries), "object") => {
            object(entries, schema, path, found);
            true
        }
        (Content::List(items), "array") => {
            list(items, schema, path, found);
            true
        }
        (Content::Text(text), "string") => {
            string(text, schema, path, found);
            true
        }
        (Content::Number(number), "integer" | "number") => {
            numeric(number, kind, schema, path, found);
            true
        }
        (Content::Truth(_), "boolean") => true,
        (_, "") => true,
        (Content::Null, _) => schema["nullable"] == true,
        _ => false,
    };
    if !is_right {
        let is = match &node.content {
            Content::Text(_) if is_confidential(path) => "a text".to_owned(),
            content => what_it_is(content),
        };
        let message = format!("{is} is here; {}", what_to_write(kind, &node.content));
        found.push(Mismatch { path: path.to_owned(), message, is_blocking: true });
    }
}

fn object(entries: &[(String, Node)], schema: &Value, path: &str, found: &mut Vec<Mismatch>) {
    if let Some(least) = schema["minProperties"].as_u64()
        && entries.len() < usize::try_from(least).unwrap_or(usize::MAX)
    {
        let message = format!("it has {} fields; write at least {least}", entries.len());
        found.push(Mismatch { path: path.to_owned(), message, is_blocking: false });
    }
    let empty = Map::new();
    let fields = schema["properties"].as_object().unwrap_or(&empty);
    for (name, value) in entries {
        match fields.get(name) {
            // The API server removes such a null, and then applies the default.
            Some(field) if value.content == Content::Null && field["nullable"] != true => {}
            Some(field) => check(value, field, &join(path, name), found),
            None if schema["x-kubernetes-preserve-unknown-fields"] == true => {}
            None => {
                let message = unknown(name, fields);
                found.push(Mismatch { path: join(path, name), message, is_blocking: false });
            }
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let is_there = entries.iter().any(|(known, value)| known == name && value.content != Content::Null);
        if !is_there {
            let of = fields.get(name).map(first_sentence).unwrap_or_default();
            let message = format!("it is missing; write it. {of}");
            found.push(Mismatch { path: join(path, name), message: message.trim_end().to_owned(), is_blocking: true });
        }
    }
}

fn first_sentence(schema: &Value) -> String {
    let description = schema["description"].as_str().unwrap_or_default().replace('\n', " ");
    let end = description.find(". ").map_or(description.len(), |end| end + 1);
    description.get(..end).unwrap_or_default().to_owned()
}

/// A field that nobody knows, with the field that was probably meant.
pub(crate) fn unknown(name: &str, fields: &Map<String, Value>) -> String {
    let short: String = name.chars().take(60).collect();
    let nearest = fields.keys().map(|known| (distance(&short.to_lowercase(), &known.to_lowercase()), known)).min();
    match nearest {
        Some((distance, known)) if distance <= 2 => format!("there is no such field; write {known}"),
        _ => {
            let known: Vec<&str> = fields.keys().map(String::as_str).collect();
            format!("there is no such field; the fields here are {}", known.join(", "))
        }
    }
}

/// How many letters must be changed, added or removed.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, letter) in left.chars().enumerate() {
        let mut next = vec![index + 1];
        for ((other, replaced), added) in right.iter().zip(&row).zip(row.iter().skip(1)) {
            let here = next.last().copied().unwrap_or_default();
            next.push((replaced + usize::from(letter != *other)).min(added + 1).min(here + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

fn list(items: &[Node], schema: &Value, path: &str, found: &mut Vec<Mismatch>) {
    if let Some(most) = bound(schema, "maxItems")
        && items.len() > most
    {
        let message = format!("it has {} items; at most {most} are allowed", items.len());
        found.push(Mismatch { path: path.to_owned(), message, is_blocking: true });
        return;
    }
    if let Some(least) = bound(schema, "minItems")
        && items.len() < least
    {
        let message = format!("it has {} items; write at least {least}", items.len());
        found.push(Mismatch { path: path.to_owned(), message, is_blocking: false });
    }
    for (index, item) in items.iter().enumerate() {
        check(item, &schema["items"], &format!("{path}[{index}]"), found);
    }
}

fn string(text: &str, schema: &Value, path: &str, found: &mut Vec<Mismatch>) {
    let length = text.chars().count();
    let mut refuse = |message: String, is_blocking: bool| {
        found.push(Mismatch { path: path.to_owned(), message, is_blocking });
    };
    if let Some(most) = bound(schema, "maxLength")
        && length > most
    {
        refuse(format!("it has {length} characters; at most {most} are allowed"), true);
    }
    if let Some(least) = bound(schema, "minLength")
        && length < least
    {
        let what = if length == 0 { "it is empty".to_owned() } else { format!("it has {length} characters") };
        refuse(
            format!("{what}; write at least {least} {}", if least == 1 { "character" } else { "characters" }),
            false,
        );
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.iter().any(|value| value == text)
    {
        let allowed: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        refuse(format!("{} is not known; write {}", shown(text), allowed.join(" or ")), false);
    }
}

fn numeric(number: &str, kind: &str, schema: &Value, path: &str, found: &mut Vec<Mismatch>) {
    let mut refuse = |message: String| found.push(Mismatch { path: path.to_owned(), message, is_blocking: true });
    let integer = number.parse::<i64>();
    match (kind, integer) {
        ("integer", Err(_)) => refuse(format!("{number} is here; write a whole number of at most 64 bits")),
        ("integer", Ok(integer)) if schema["format"] == "int32" && i32::try_from(integer).is_err() => {
            refuse(format!("{number} is here; write a number from {} to {}", i32::MIN, i32::MAX));
        }
        _ => {}
    }
}

fn bound(schema: &Value, word: &str) -> Option<usize> {
    schema[word].as_u64().and_then(|bound| usize::try_from(bound).ok())
}

/// Whether a text in the wrong place may be a secret or the URL of a webhook.
fn is_confidential(path: &str) -> bool {
    ["spec.webhook", "spec.credentialsRef"].iter().any(|field| path.starts_with(field))
}

fn what_it_is(content: &Content) -> String {
    match content {
        Content::Null => "null".to_owned(),
        Content::Truth(truth) => truth.to_string(),
        Content::Number(number) => number.clone(),
        Content::Text(text) => format!("the text {}", shown(text)),
        Content::List(_) => "a list".to_owned(),
        Content::Map(_) => "an object".to_owned(),
    }
}

fn what_to_write(kind: &str, content: &Content) -> &'static str {
    match (kind, content) {
        ("string", Content::Number(_) | Content::Truth(_)) => "write a text: put it in quotes",
        ("string", _) => "write a text",
        ("integer", Content::Text(_)) => "write a whole number, without quotes",
        ("integer", _) => "write a whole number",
        ("number", Content::Text(_)) => "write a number, without quotes",
        ("number", _) => "write a number",
        ("boolean", _) => "write true or false, without quotes",
        ("array", _) => "write a list: each item begins with \"-\"",
        ("object", _) => "write an object: fields with values",
        _ => "write another value",
    }
}

fn shown(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    Value::from(short).to_string()
}
