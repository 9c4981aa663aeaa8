//! The metadata of an object: what the API server demands of names, labels and annotations.

use super::schema::{Mismatch, unknown};
use crate::node::{Content, Node, join};
use api::spec::ObjectName;
use serde_json::{Map, Value};

/// The fields of metadata that kubectl knows.
const FIELDS: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The longest label value, and the longest name of a namespace.
const LONGEST_LABEL: usize = 63;

/// How many bytes the annotations of an object may have.
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// Everything in the metadata that the API server refuses.
pub(crate) fn check(root: &Node, found: &mut Vec<Mismatch>) {
    let mut refuse = |path: String, message: String| found.push(Mismatch { path, message, is_blocking: false });
    let Some(Node { content: Content::Map(entries), .. }) = root.get("metadata") else {
        refuse("metadata".to_owned(), "it is missing; write metadata with a name".to_owned());
        return;
    };
    let known: Map<String, Value> = FIELDS.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    let mut has_name = false;
    for (name, value) in entries {
        let path = join("metadata", name);
        match (name.as_str(), &value.content) {
            ("name", Content::Text(text)) => {
                has_name = true;
                if ObjectName::of(text).is_none() {
                    refuse(path, "write lower-case letters, digits, '-' and '.', with a letter or digit before and after each '.', at most 253 characters, for example customer-service-prod".to_owned());
                }
            }
            ("namespace", Content::Text(text)) if !is_dns_label(text) => {
                refuse(path, "write lower-case letters, digits and '-', with a letter or digit at both ends, at most 63 characters, for example bots".to_owned());
            }
            ("namespace", Content::Text(_)) | (_, Content::Null) => {}
            ("name" | "namespace", _) => {
                has_name = true;
                refuse(path, "write a text: put it in quotes".to_owned());
            }
            ("labels", Content::Map(labels)) => check_texts(labels, &path, true, &mut refuse),
            ("annotations", Content::Map(annotations)) => check_texts(annotations, &path, false, &mut refuse),
            ("labels" | "annotations", _) => refuse(path, "write an object: names with texts".to_owned()),
            (name, _) if !FIELDS.contains(&name) => refuse(path, unknown(name, &known)),
            _ => {}
        }
    }
    if !has_name {
        refuse("metadata.name".to_owned(), "it is missing; write a name, for example customer-service-prod".to_owned());
    }
}

fn check_texts(entries: &[(String, Node)], path: &str, are_labels: bool, refuse: &mut impl FnMut(String, String)) {
    let mut bytes = 0;
    for (name, value) in entries {
        let place = join(path, name);
        if !is_qualified(name) {
            refuse(place.clone(), "write a name of letters, digits, '-', '_' and '.', at most 63 characters, if needed after a DNS name and '/', for example example.com/team".to_owned());
        }
        match &value.content {
            Content::Text(text) if are_labels && !is_label_value(text) => {
                refuse(
                    place,
                    "write at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends"
                        .to_owned(),
                );
            }
            Content::Text(text) => bytes += name.len() + text.len(),
            _ => refuse(place, "write a text: put it in quotes".to_owned()),
        }
    }
    if !are_labels && bytes > MAX_ANNOTATIONS {
        refuse(path.to_owned(), format!("the annotations have {bytes} bytes; at most {MAX_ANNOTATIONS} are allowed"));
    }
}

fn is_dns_label(text: &str) -> bool {
    text.len() <= LONGEST_LABEL && !text.contains('.') && ObjectName::of(text).is_some()
}

fn is_qualified(name: &str) -> bool {
    let (is_prefix_valid, name) = match name.split_once('/') {
        Some((prefix, name)) => (ObjectName::of(&prefix.to_lowercase()).is_some(), name),
        None => (true, name),
    };
    is_prefix_valid && !name.is_empty() && is_label_value(name)
}

fn is_label_value(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_end = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    text.len() <= LONGEST_LABEL
        && is_end(bytes.first())
        && is_end(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}
