//! Whatever the two files look like, a promotion changes the release only.

use crate::promote::{Place, promote};
use crate::read;
use proptest::prelude::*;
use serde_json::{Value, json};

/// How a file is written.
#[derive(Clone, Debug)]
struct Style {
    step: usize,
    has_compact_lists: bool,
    has_flow: bool,
    line_break: &'static str,
    comments: Vec<Option<&'static str>>,
    has_last_break: bool,
}

prop_compose! {
    fn style()(
        step in 1..5_usize,
        has_compact_lists in any::<bool>(),
        has_flow in any::<bool>(),
        line_break in prop_oneof![Just("\n"), Just("\r\n")],
        comments in prop::collection::vec(prop::option::of(prop_oneof![Just("# a: b"), Just("#"), Just(""), Just("# - 'x")]), 12),
        has_last_break in any::<bool>(),
    ) -> Style {
        Style { step, has_compact_lists, has_flow, line_break, comments, has_last_break }
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z#: '\"é-]{0,8}".prop_map(Value::from),
        "[a-z# -]{1,4}[a-z]\n( {0,3}[a-z#:-]{1,4}[a-z]\n{0,3}){0,3}[a-z#]{1,3}\n?".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z#]{1,3}", inner, 0..4).prop_map(|fields| json!(fields)),
        ]
    })
}

/// The release of a file; `None` for fields that it does not have.
#[derive(Clone, Debug)]
struct Release {
    version: Option<String>,
    snapshot: Value,
    is_reference: bool,
    locks: Option<Value>,
    label: Option<u8>,
}

prop_compose! {
    fn release()(
        version in prop::option::of("[a-z][a-z #]{0,5}[a-z]"),
        snapshot in prop::collection::btree_map("[a-z]{1,3}", value(), 1..5).prop_map(|fields| json!(fields)),
        is_reference in prop::bool::weighted(0.2),
        locks in prop::option::of(prop::collection::vec(value(), 0..3).prop_map(Value::from)),
        label in prop::option::of(0..9_u8),
    ) -> Release {
        Release { version, snapshot, is_reference, locks, label }
    }
}

struct Writer<'s> {
    style: &'s Style,
    /// Each text, and whether it is a part of the release.
    texts: Vec<(bool, String)>,
    comments: usize,
}

impl Writer<'_> {
    fn line(&mut self, is_release: bool, text: &str) {
        for line in text.split('\n') {
            self.texts.push((is_release, format!("{line}{}", self.style.line_break)));
        }
    }

    /// A place at which a promotion may write a field that the file does not have.
    fn gap(&mut self) {
        self.texts.push((true, String::new()));
    }

    /// A line between fields that may be a comment or blank.
    fn comment(&mut self, indent: usize) {
        let comment = self.style.comments[self.comments % self.style.comments.len()];
        self.comments += 1;
        if let Some(comment) = comment {
            self.line(false, &format!("{}{comment}", " ".repeat(if comment.is_empty() { 0 } else { indent })));
        }
    }

    fn field(&mut self, is_release: bool, key: &str, value: &Value, indent: usize) {
        let mut lines = Vec::new();
        self.write(&format!("{}{key}:", " ".repeat(indent)), value, indent, &mut lines);
        lines.iter().for_each(|line| self.line(is_release, line));
    }

    fn write(&self, head: &str, value: &Value, indent: usize, lines: &mut Vec<String>) {
        let inner = indent + self.style.step;
        match value {
            Value::Object(fields) if !fields.is_empty() && !self.style.has_flow => {
                lines.push(head.to_owned());
                for (key, value) in fields {
                    self.write(&format!("{}{}:", " ".repeat(inner), json!(key)), value, inner, lines);
                }
            }
            Value::Array(items) if !items.is_empty() => {
                lines.push(head.to_owned());
                let at = if self.style.has_compact_lists && !head.ends_with('-') { indent } else { inner };
                for item in items {
                    self.write(&format!("{}-", " ".repeat(at)), item, at, lines);
                }
            }
            Value::String(text) if text.contains('\n') => {
                let chomp = if text.ends_with('\n') { "" } else { "-" };
                lines.push(format!("{head} |{}{chomp}", self.style.step));
                for line in text.trim_end_matches('\n').split('\n') {
                    lines.push(if line.is_empty() { String::new() } else { format!("{}{line}", " ".repeat(inner)) });
                }
            }
            Value::Null => lines.push(head.to_owned()),
            value => lines.push(format!("{head} {value}")),
        }
    }
}

/// A file with two ConfigMaps around a deployment, in pieces.
fn write(release: &Release, style: &Style, name: &str) -> Vec<(bool, String)> {
    let mut writer = Writer { style, texts: Vec::new(), comments: 0 };
    let step = style.step;
    writer.line(false, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---");
    writer.line(false, "apiVersion: deploy.cognigy.ai/v1alpha1");
    writer.comment(0);
    writer.field(false, "kind", &json!("CognigyDeployment"), 0);
    writer.line(false, "metadata:");
    writer.field(false, "name", &json!(name), step);
    writer.field(false, "labels", &Value::Null, step);
    writer.field(false, "team", &json!("a"), 2 * step);
    writer.gap();
    if let Some(label) = release.label {
        writer.field(true, "app.kubernetes.io/version", &json!(label.to_string()), 2 * step);
    }
    writer.comment(step);
    writer.line(false, "spec:");
    writer.comment(step);
    writer.field(false, "environmentId", &json!(name), step);
    writer.gap();
    if let Some(version) = &release.version {
        writer.field(true, "displayVersion", &json!(version), step);
    }
    writer.comment(step);
    writer.comment(0);
    match release.is_reference {
        true => writer.field(
            true,
            "configurationSnapshotFrom",
            &json!({"configMapKeyRef": {"name": "m", "key": "k"}}),
            step,
        ),
        false => writer.field(true, "configurationSnapshot", &release.snapshot, step),
    }
    if let Some(locks) = &release.locks {
        writer.field(true, "dependencyLocks", locks, step);
    }
    writer.comment(step);
    writer.field(false, "capacityConstraints", &json!({"maxConcurrentSessions": name.len()}), step);
    writer.comment(0);
    if style.has_last_break {
        writer.line(false, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}");
    }
    if !style.has_last_break
        && let Some((_, text)) = writer.texts.last_mut()
    {
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
    }
    writer.texts
}

fn joined(texts: &[(bool, String)]) -> String {
    texts.iter().map(|(_, text)| text.as_str()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn only_the_release_changes(
        (from, from_style) in (release(), style()),
        (to, to_style) in (release(), style()),
    ) {
        let (source, target) = (joined(&write(&from, &from_style, "staging")), write(&to, &to_style, "production"));
        let target_text = joined(&target);
        let place = |file, text| Place { file, text, name: None, flag: "--name" };
        let promotion = promote(&place("from", source.as_str()), &place("to", target_text.as_str()));
        let promotion = promotion.map_err(|problem| TestCaseError::fail(format!("{problem}\n{source}\n{target_text}")))?;

        // Every text of the target that is no part of its release is still there, in its place.
        let mut rest = promotion.text.as_str();
        for (number, kept) in target.split(|(is_release, _)| *is_release).map(joined).enumerate() {
            let place = rest.find(&kept).filter(|place| number > 0 || *place == 0);
            let Some(place) = place else {
                return Err(TestCaseError::fail(format!("{kept:?} is gone:\n{target_text}\n=>\n{}", promotion.text)));
            };
            rest = &rest[place + kept.len()..];
        }
        prop_assert_eq!(rest, "");

        // The trees, read independently of the promotion.
        let trees = |text: &str| {
            let parts = read::parts("x", text).unwrap();
            parts.iter().map(|(_, root)| root.value()).collect::<Vec<Value>>()
        };
        let (before, after, source) = (trees(&target_text), trees(&promotion.text), trees(&source));
        prop_assert_eq!(before.len(), after.len());
        for (index, (before, after)) in before.iter().zip(&after).enumerate() {
            let mut expected = before.clone();
            if index == 1 {
                copy(&source[1], &mut expected);
            }
            prop_assert_eq!(without_nothing(expected), without_nothing(after.clone()));
        }
        let again = promote(&place("from", joined(&write(&from, &from_style, "staging")).as_str()), &place("to", promotion.text.as_str())).unwrap();
        prop_assert_eq!((again.text, again.fields.len()), (promotion.text, 0));
    }
}

fn copy(source: &Value, target: &mut Value) {
    for key in ["displayVersion", "configurationSnapshot", "configurationSnapshotFrom", "dependencyLocks"] {
        match source["spec"].get(key) {
            Some(value) => target["spec"][key] = value.clone(),
            None => drop(target["spec"].as_object_mut().unwrap().remove(key)),
        }
    }
    let label = "app.kubernetes.io/version";
    match source["metadata"]["labels"].get(label) {
        Some(value) => target["metadata"]["labels"][label] = value.clone(),
        None => drop(target["metadata"]["labels"].as_object_mut().unwrap().remove(label)),
    }
}

/// No locks and an empty list of locks mean the same.
fn without_nothing(mut object: Value) -> Value {
    if let Some(spec) = object["spec"].as_object_mut() {
        spec.retain(|key, value| key != "dependencyLocks" || value.as_array().is_some_and(|locks| !locks.is_empty()));
    }
    object
}
