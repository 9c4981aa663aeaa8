//! The Secrets and ConfigMaps of a manifest: what the operator uses of them, and what the API server refuses.
//!
//! No problem quotes a value: a text in the wrong place may be a secret.

use crate::document::{Document, SecretDocument};
use crate::node::{Content, Node, join};
use crate::problem::{Problem, Severity};
use crate::validate::{metadata, schema};
use api::spec::is_key;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Base64 as Go decodes it: the last character may have bits that are not used.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

const SECRET_FIELDS: [&str; 7] = ["apiVersion", "kind", "metadata", "data", "stringData", "type", "immutable"];
const CONFIG_MAP_FIELDS: [&str; 6] = ["apiVersion", "kind", "metadata", "data", "binaryData", "immutable"];

/// Reads a Secret. A value with a problem is left out.
pub(crate) fn secret(document: &Document) -> (SecretDocument, Vec<Problem>) {
    let mut problems = fields(document, &SECRET_FIELDS);
    let mut data = BTreeMap::new();
    for (key, value) in entries(document, "data", &mut problems) {
        let decoded = match &value.content {
            // Go skips line breaks.
            Content::Text(text) => BASE64.decode(text.replace(['\r', '\n'], "")).ok(),
            _ => None,
        };
        let message = "it is no base64 text: encode the value, or write it as it is below stringData";
        insert(document, "data", key, decoded.ok_or(message), &mut data, &mut problems);
    }
    for (key, value) in entries(document, "stringData", &mut problems) {
        let text = match &value.content {
            Content::Text(text) => Ok(text.clone().into_bytes()),
            _ => Err("it is no text: write the value in quotes"),
        };
        // As in the API server, it wins over the same key of data.
        insert(document, "stringData", key, text, &mut data, &mut problems);
    }
    (SecretDocument::new(document, data), problems)
}

/// The texts of a ConfigMap. Its `binaryData` is not read, because the operator takes no snapshot from it.
pub(crate) fn config_map(document: &Document) -> (BTreeMap<String, String>, Vec<Problem>) {
    let mut problems = fields(document, &CONFIG_MAP_FIELDS);
    let mut texts = BTreeMap::new();
    for (key, value) in entries(document, "data", &mut problems) {
        let text = match &value.content {
            Content::Text(text) => Ok(text.clone()),
            _ => Err("a ConfigMap holds texts only: write the value in quotes, or as a block that begins with |"),
        };
        insert(document, "data", key, text, &mut texts, &mut problems);
    }
    (texts, problems)
}

/// Fields that the API server does not know, and metadata that it refuses.
fn fields(document: &Document, known: &[&str]) -> Vec<Problem> {
    let mut found = Vec::new();
    metadata::check(&document.root, &mut found);
    let mut problems: Vec<Problem> =
        found.into_iter().map(|mismatch| document.problem(Severity::Error, &mismatch.path, mismatch.message)).collect();
    let Content::Map(entries) = &document.root.content else { return problems };
    let known: Map<String, Value> = known.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    for (name, _) in entries {
        if !known.contains_key(name) {
            problems.push(document.problem(Severity::Error, &join("", name), schema::unknown(name, &known)));
        }
    }
    problems
}

/// The entries of a field that maps keys to values.
fn entries<'d>(document: &'d Document, field: &str, problems: &mut Vec<Problem>) -> &'d [(String, Node)] {
    match document.root.get(field).map(|node| &node.content) {
        Some(Content::Map(entries)) => entries,
        None | Some(Content::Null) => &[],
        Some(_) => {
            problems.push(document.problem(Severity::Error, field, "it is no object: write keys with texts"));
            &[]
        }
    }
}

fn insert<V>(
    document: &Document,
    field: &str,
    key: &str,
    value: Result<V, &str>,
    into: &mut BTreeMap<String, V>,
    problems: &mut Vec<Problem>,
) {
    match value {
        // Such a key may be a value without its key.
        _ if !is_key(key) => {
            let message = "a key has another character than letters, digits, '-', '_' and '.', or more than 253 of them: write a key and a value";
            problems.push(document.problem(Severity::Error, field, message));
        }
        Ok(value) => drop(into.insert(key.to_owned(), value)),
        Err(message) => problems.push(document.problem(Severity::Error, &join(field, key), message)),
    }
}
