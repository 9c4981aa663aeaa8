//! The chart's values: the comments in `values.yaml` are the only source. The table in the chart's README and the
//! descriptions in its schema are generated from them with `UPDATE_DOCS=1`.

use super::{read, root};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

const VALUES: &str = "charts/cognigy-operator/values.yaml";
const SCHEMA: &str = "charts/cognigy-operator/values.schema.json";
const README: &str = "charts/cognigy-operator/README.md";

const TABLE_BEGINS: &str = "<!-- values -->\n";
const TABLE_ENDS: &str = "<!-- end of values -->\n";

/// A value with its comment in `values.yaml`.
struct Documented {
    /// The keys on the path to it.
    path: Vec<String>,
    comment: String,
    default: Value,
}

#[test]
fn the_table_in_the_readme_matches_the_values() {
    let readme = read(README);
    let (before, rest) = readme.split_once(TABLE_BEGINS).unwrap();
    let (_, after) = rest.split_once(TABLE_ENDS).unwrap();
    let generated = format!("{before}{TABLE_BEGINS}{}{TABLE_ENDS}{after}", table(&values()));
    hold(README, &readme, &generated);
}

#[test]
fn the_schema_describes_every_value_with_its_comment() {
    let text = read(SCHEMA);
    let mut schema: Value = serde_json::from_str(&text).unwrap();
    for Documented { path, comment, .. } in values() {
        let node = path.iter().fold(&mut schema, |node, key| &mut node["properties"][key]);
        let Value::Object(node) = node else { panic!("{SCHEMA} lacks {}", path.join(".")) };
        node.insert("description".to_owned(), Value::String(comment));
    }
    hold(SCHEMA, &text, &format!("{}\n", serde_json::to_string_pretty(&schema).unwrap()));
}

#[test]
fn the_schema_has_exactly_the_existing_values_and_refuses_others() {
    let schema: Value = serde_json::from_str(&read(SCHEMA)).unwrap();
    let values: Value = serde_saphyr::from_str(&read(VALUES)).unwrap();
    let documented: BTreeSet<String> = values_of(&values).iter().map(|value| value.path.join(".")).collect();
    compare(&schema, &values, &mut Vec::new(), &documented);
}

/// Compares the schema with the values, down to the documented values.
fn compare(schema: &Value, values: &Value, path: &mut Vec<String>, documented: &BTreeSet<String>) {
    if documented.contains(&path.join(".")) {
        return;
    }
    let place = format!("{SCHEMA}, at '{}'", path.join("."));
    assert_eq!(schema["additionalProperties"], false, "{place}");
    let known: BTreeSet<&String> =
        schema["properties"].as_object().unwrap().keys().filter(|key| *key != "global").collect();
    let there: BTreeSet<&String> = values.as_object().unwrap().keys().collect();
    assert_eq!(known, there, "{place}");
    for (key, value) in values.as_object().unwrap() {
        path.push(key.clone());
        compare(&schema["properties"][key], value, path, documented);
        path.pop();
    }
}

fn values() -> Vec<Documented> {
    values_of(&serde_saphyr::from_str(&read(VALUES)).unwrap())
}

/// Every value with its comment, which is above its key. A key without a comment is a group; each of its values has a
/// comment.
fn values_of(values: &Value) -> Vec<Documented> {
    let mut found: Vec<Documented> = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut comment = String::new();
    for line in read(VALUES).lines() {
        let text = line.trim_start();
        let depth = (line.len() - text.len()) / 2;
        // Lines below a documented value belong to its default. They are not values of their own.
        if found.last().is_some_and(|last| last.path == path && depth >= path.len()) && !text.is_empty() {
            continue;
        }
        match (text.strip_prefix("# "), text.split_once(':')) {
            (Some(words), _) if comment.is_empty() => comment = words.to_owned(),
            (Some(words), _) => comment = format!("{comment} {words}"),
            (None, Some((key, rest))) => {
                path.truncate(depth);
                path.push(key.to_owned());
                let is_group = comment.is_empty() && rest.is_empty();
                if !is_group {
                    assert!(!comment.is_empty(), "{VALUES}: {} has no comment", path.join("."));
                    let default = path.iter().fold(values, |value, key| &value[key]).clone();
                    found.push(Documented { path: path.clone(), comment: std::mem::take(&mut comment), default });
                }
            }
            // An empty line.
            (None, None) => comment.clear(),
        }
    }
    assert!(found.len() > 50, "too few values were found");
    found
}

fn table(values: &[Documented]) -> String {
    let mut table = "| value | default | meaning |\n|---|---|---|\n".to_owned();
    for Documented { path, comment, default } in values {
        let default = match default {
            Value::String(text) if text.is_empty() => String::new(),
            Value::String(text) => format!("`{text}`"),
            Value::Object(fields) => format!("`{}`", flow(fields)),
            Value::Array(items) if items.iter().any(Value::is_object) => "see `values.yaml`".to_owned(),
            other => format!("`{other}`"),
        };
        table.push_str(&format!("| `{}` | {default} | {comment} |\n", path.join(".")));
    }
    table
}

/// An object in YAML's one-line form.
fn flow(fields: &Map<String, Value>) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|(key, value)| match value {
            Value::Object(inner) => format!("{key}: {}", flow(inner)),
            Value::String(text) => format!("{key}: {text}"),
            other => format!("{key}: {other}"),
        })
        .collect();
    format!("{{{}}}", fields.join(", "))
}

/// Checks that a file equals the generated text. With `UPDATE_DOCS`, writes the text to the file.
fn hold(page: &str, text: &str, generated: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(root().join(page), generated).unwrap();
        return;
    }
    assert!(text == generated, "{page} differs from {VALUES}: run the tests with UPDATE_DOCS=1 and commit the file");
}
