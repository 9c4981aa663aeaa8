//! `docs/fields.md` is generated from the CRD, so that it agrees with `kubectl explain` and with the checks of the API
//! server.

use super::root;
use api::{FINALIZER, RETRY_ANNOTATION, ROLLBACK_ANNOTATION, SUSPENDED_BY_ANNOTATION, VERSION_LABEL, WATCH_LABEL, crd};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;

const PAGE: &str = "docs/fields.md";

const HEAD: &str = "\
# Fields of a CognigyDeployment

This page is generated from the CRD. `UPDATE_DOCS=1 cargo test --lib documents::fields` writes it again. `kubectl explain
cognigydeployment.spec --recursive` lists the same fields. A field without a default is optional, unless it is marked as
required. The API server checks all rules, so a server-side dry run finds mistakes before anything happens.

An edit has one of these effects:

- If `configurationSnapshot`, `dependencyLocks` or `capacityConstraints` change, the configuration is new. A new attempt
  starts.
- If `isolationRules` or `traceOptions` change, the checks are made again for an attempt that was not submitted yet or
  that failed its checks.
- `displayVersion` and the label `app.kubernetes.io/version` are only shown. An edit of them starts nothing. An attempt
  keeps the version that it had when it started, so the next attempt shows the new one.
- All other edits affect the current attempt, and start no new one.

The operator passes on a snapshot as it is written, each number to its last digit. A snapshot may be 126 levels deep.
[Snapshots](operations.md#snapshots) describes how YAML is read, and what changes before the operator receives it: for
example, kubectl's client-side apply removes nulls from a `configurationSnapshot`, and server-side apply keeps them.
";

#[test]
fn the_page_matches_the_crd() {
    let generated = page();
    let path = root().join(PAGE);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == generated, "{PAGE} differs from the CRD: run this test with UPDATE_DOCS=1 and commit the page");
}

/// The keywords of a schema that the page covers, in its own sentences or in the descriptions and rules.
const COVERED_KEYWORDS: [&str; 15] = [
    "type",
    "format",
    "description",
    "default",
    "enum",
    "required",
    "properties",
    "items",
    "minLength",
    "maxLength",
    "maxItems",
    "minProperties",
    "nullable",
    "x-kubernetes-validations",
    "x-kubernetes-preserve-unknown-fields",
];

/// How server-side apply merges: lists and the snapshot as a whole, conditions by their type.
const MERGE: [&str; 3] = ["x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"];

#[test]
fn the_page_covers_every_keyword_of_the_schema() {
    let version = version();
    let fields = &version["schema"]["openAPIV3Schema"]["properties"];
    let mut words = BTreeSet::new();
    ["spec", "status"].iter().for_each(|part| gather(&fields[part], &mut words));
    let known: BTreeSet<&str> = COVERED_KEYWORDS.into_iter().chain(MERGE).collect();
    assert_eq!(
        words.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        known,
        "left: the keywords of the schema; right: the covered ones"
    );
}

/// Collects the keywords of a schema and of the schemas in it.
fn gather(schema: &Value, words: &mut BTreeSet<String>) {
    for (word, value) in schema.as_object().into_iter().flatten() {
        words.insert(word.clone());
        match word.as_str() {
            "properties" => value.as_object().into_iter().flatten().for_each(|(_, field)| gather(field, words)),
            "items" => gather(value, words),
            _ => {}
        }
    }
}

/// The only version in the definition.
fn version() -> Value {
    let mut definition = serde_json::to_value(crd::definition()).unwrap();
    let Value::Array(mut versions) = definition["spec"]["versions"].take() else {
        panic!("the definition has no versions")
    };
    assert_eq!(versions.len(), 1);
    versions.remove(0)
}

fn page() -> String {
    let version = version();
    let properties = &version["schema"]["openAPIV3Schema"]["properties"];
    let mut page = HEAD.to_owned();
    add_names(&mut page);
    add_columns(&mut page, &version["additionalPrinterColumns"]);
    for part in ["spec", "status"] {
        describe(&mut page, part, &properties[part]);
    }
    page
}

/// The names in a resource's metadata that the operator uses.
fn add_names(page: &mut String) {
    let names = [
        (RETRY_ANNOTATION, "annotation", "any new value requests another attempt"),
        (ROLLBACK_ANNOTATION, "annotation", "any new value requests a rollback"),
        (SUSPENDED_BY_ANNOTATION, "annotation", "who suspended the resource with `kubectl cognigy`, when and why"),
        (VERSION_LABEL, "label", "the version of the configuration for people, if `spec.displayVersion` is not set"),
        (FINALIZER, "finalizer", "the operator's own: holds a deleted resource until its rollout is settled"),
        (
            WATCH_LABEL,
            "label of a ConfigMap",
            "with the value `true`, the operator notices a change of the snapshot in it at once",
        ),
    ];
    writeln!(page, "\n## metadata\n\n[Operations](operations.md#requests-by-annotation) explains the annotations.")
        .unwrap();
    writeln!(page, "\n| name | what it is | meaning |\n|---|---|---|").unwrap();
    for (name, what, meaning) in names {
        writeln!(page, "| `{name}` | {what} | {meaning} |").unwrap();
    }
}

/// The columns of `kubectl get`.
fn add_columns(page: &mut String, columns: &Value) {
    writeln!(page, "\n## Columns of kubectl get\n\n| column | shown | from | meaning |\n|---|---|---|---|").unwrap();
    for column in columns.as_array().unwrap() {
        let text = |field: &str| column[field].as_str().unwrap_or_default();
        let shown = if column["priority"].as_i64().unwrap_or_default() == 0 { "always" } else { "with `-o wide`" };
        let name = text("name").to_uppercase();
        writeln!(page, "| {name} | {shown} | `{}` | {} |", text("jsonPath"), text("description")).unwrap();
    }
}

/// Writes one table for an object, then tables for the objects in it.
fn describe(page: &mut String, path: &str, schema: &Value) {
    writeln!(page, "\n## {path}\n\n{}", sentence(&schema["description"])).unwrap();
    for rule in rules(schema) {
        writeln!(page, "\nRule: {rule}.").unwrap();
    }
    writeln!(page, "\n| field | type | default | meaning |\n|---|---|---|---|").unwrap();
    let fields: Vec<(&String, &Value)> = schema["properties"].as_object().unwrap().iter().collect();
    for (name, field) in &fields {
        let required =
            schema["required"].as_array().is_some_and(|required| required.contains(&Value::from(name.as_str())));
        let default = if required { "required".to_owned() } else { default(field) };
        writeln!(page, "| `{name}` | {} | {default} | {} |", kind(field), meaning(field)).unwrap();
    }
    for (name, field) in fields {
        match (field["properties"].is_object(), field["items"]["properties"].is_object()) {
            (true, _) => describe(page, &format!("{path}.{name}"), field),
            (_, true) => describe(page, &format!("{path}.{name}[]"), &field["items"]),
            _ => {}
        }
    }
}

fn kind(field: &Value) -> String {
    match (field["type"].as_str().unwrap_or("any"), field["format"].as_str()) {
        ("string", Some("date-time")) => "time".to_owned(),
        ("array", _) => format!("list of {}s", field["items"]["type"].as_str().unwrap_or("value")),
        (kind, _) => kind.to_owned(),
    }
}

/// The default of a field. An object that may be left out has the defaults of its fields.
fn default(field: &Value) -> String {
    match &field["default"] {
        Value::Null => String::new(),
        Value::Object(_) => "see below".to_owned(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::String(text) if text.is_empty() => String::new(),
        Value::String(text) => format!("`{text}`"),
        value => format!("`{value}`"),
    }
}

fn meaning(field: &Value) -> String {
    let mut meaning = sentence(&field["description"]);
    if let Some(words) = field["enum"].as_array() {
        let words: Vec<String> = words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
        write!(meaning, " One of {}.", words.join(", ")).unwrap();
    }
    match (field["minLength"].as_u64(), field["maxLength"].as_u64()) {
        (Some(least), Some(most)) => write!(meaning, " {least} to {most} characters.").unwrap(),
        (None, Some(most)) => write!(meaning, " At most {most} characters.").unwrap(),
        _ => {}
    }
    let is_described_below = field["properties"].is_object();
    for rule in rules(field).into_iter().filter(|_| !is_described_below) {
        write!(meaning, " Rule: {rule}.").unwrap();
    }
    meaning.replace('|', "\\|")
}

/// The API server's messages for the broken rules.
fn rules(schema: &Value) -> Vec<String> {
    let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    rules.map(|rule| rule["message"].as_str().unwrap().to_owned()).collect()
}

fn sentence(description: &Value) -> String {
    description.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}
