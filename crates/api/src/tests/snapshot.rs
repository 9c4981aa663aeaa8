//! Snapshots as text: parsing, errors and warnings.

use super::sample_with;
use crate::snapshot::{MAX_DEPTH, MAX_WARNING_BYTES, MAX_WARNINGS, Snapshot, SnapshotProblem};
use crate::{CognigyDeployment, Digest};
use serde_json::json;

/// The JSON that a ConfigMap's text becomes.
fn json_of(text: &str) -> String {
    Snapshot::from_text(text).unwrap_or_else(|problem| panic!("{problem}: {text}")).snapshot.text().to_owned()
}

fn refused(text: &str) -> String {
    Snapshot::from_text(text).expect_err(text).to_string()
}

/// A snapshot with this nesting depth.
fn nested(levels: usize) -> String {
    format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels))
}

fn digest(text: &str) -> Result<Digest, SnapshotProblem> {
    let snapshot: Snapshot = serde_json::from_str(text).unwrap();
    Digest::of_deployment(&sample_with(&json!({})).spec, &snapshot)
}

#[test]
fn json_in_a_config_map_is_not_changed() {
    for text in [
        r#"{"b": 1, "a": [1.0, 3.10, 1e3, -0, 1E400], "id": 123456789012345678901234567890, "c": "</\u00e9>"}"#,
        "{\n  \"pi\": 3.14159265358979323846264338327950288,\n  \"tel\": \"0041\"\n}",
    ] {
        assert_eq!(json_of(text), text);
        assert_eq!(json_of(&format!("\n {text} \n")), text);
    }
}

#[test]
fn yaml_in_a_config_map_is_parsed_with_the_core_schema_of_yaml_1_2() {
    for (yaml, json) in [
        ("mode: 0644", r#"{"mode":644}"#),
        ("phone: 0041791234567", r#"{"phone":41791234567}"#),
        ("octal: 0o17\nhex: 0x1F", r#"{"octal":15,"hex":31}"#),
        ("id: 123456789012345678901234567890", r#"{"id":123456789012345678901234567890}"#),
        ("pi: 3.14159265358979323846", r#"{"pi":3.14159265358979323846}"#),
        ("version: 3.10", r#"{"version":3.10}"#),
        ("a: '0644'\nb: \"1.10\"\nc: !!str 12\nd: ! 12", r#"{"a":"0644","b":"1.10","c":"12","d":"12"}"#),
        ("a: !!int '12'\nb: !!float 1\nc: !!null ''\nd: !!bool true", r#"{"a":12,"b":1,"c":null,"d":true}"#),
        ("a: yes\nb: off\nc: true\nd: ~\ne:", r#"{"a":"yes","b":"off","c":true,"d":null,"e":null}"#),
        ("1: one\ntrue: two\n'': three", r#"{"1":"one","true":"two","":"three"}"#),
        ("a: |\n  one\n  two\nb: >-\n  three\n  four", r#"{"a":"one\ntwo\n","b":"three four"}"#),
        ("a: [x, {y: z}, [], {}]\nb:\n- c", r#"{"a":["x",{"y":"z"},[],{}],"b":["c"]}"#),
        ("b: &b {x: 1, y: 2}\nc: {x: 9, <<: *b}", r#"{"b":{"x":1,"y":2},"c":{"x":9,"y":2}}"#),
        ("b: &b {x: 1}\nc: {<<: [*b, {x: 2, z: 3}], y: 4}", r#"{"b":{"x":1},"c":{"y":4,"x":1,"z":3}}"#),
        ("<<: {a: 1}\nb: 2", r#"{"b":2,"a":1}"#),
        ("<<: {a: 1}", r#"{"a":1}"#),
        ("<<:\nb: 2", r#"{"b":2}"#),
        ("a: &a 0644\nb: *a\nc: [*a, *a]", r#"{"a":644,"b":644,"c":[644,644]}"#),
        ("&k key: 1\nother: *k", r#"{"key":1,"other":"key"}"#),
        ("a: &a x\n*a : y", r#"{"a":"x","x":"y"}"#),
        ("at: 2026-01-01T12:00:00Z\nclock: 12:30", r#"{"at":"2026-01-01T12:00:00Z","clock":"12:30"}"#),
        ("# a comment\n---\na: 1 # another\n...\n", r#"{"a":1}"#),
    ] {
        assert_eq!(json_of(yaml), json, "{yaml}");
    }
}

#[test]
fn an_invalid_snapshot_is_refused_with_a_position_and_a_next_step() {
    for (text, problem) in [
        (r#"{"a": 1, "b": [{"c": 1, "d": 2, "c": 3}]}"#, "the key b[0].c is duplicated: keep one of the two"),
        (r#"{"a": 1, "\u0061": 2}"#, "the key a is duplicated: keep one of the two"),
        (r#"{"x": {"y": 1}, "a b": {"": 1, "": 2}}"#, "the key [\"a b\"][\"\"] is duplicated: keep one of the two"),
        ("a: 1\nb: {c: 1, c: 2}", "the key b.c is duplicated: keep one of the two"),
        (
            r#"{"a": ["\ud800"]}"#,
            "a[0] contains an incomplete character (a lone surrogate such as \\ud800): write the whole character",
        ),
        ("a: {? [x] : y}", "a key in a is a list, a mapping or null: write text"),
        ("a: {~: y}", "a key in a is a list, a mapping or null: write text"),
        (
            "a: {<<: 5}",
            "the merge key << in a has a value that is not a mapping: write an alias of a mapping, or a list of such aliases",
        ),
        (
            "a: [1, .inf]",
            "a[1] cannot be written as JSON: .inf is a number that JSON does not have; write it in quotes if it is text",
        ),
        (
            "a: !!int x",
            "a cannot be written as JSON: x is not a valid value for its tag; write it in quotes if it is text",
        ),
        ("a: 1\n---\nb: 2", "it is neither JSON nor YAML: it contains more than one YAML document; write one"),
        ("a: &x [*x]", "it is neither JSON nor YAML: a[0] is an alias of a value that contains the alias itself"),
        ("[1]", "it is not an object; write keys and values"),
        ("just words", "it is not an object; write keys and values"),
        ("", "it is not an object; write keys and values"),
        ("{}", "it is empty; write at least one key"),
        (" { } ", "it is empty; write at least one key"),
    ] {
        assert_eq!(refused(text), problem, "{text}");
    }
    assert!(refused("a: 'x").starts_with("it is neither JSON nor YAML: "), "{}", refused("a: 'x"));
}

#[test]
fn a_snapshot_may_be_126_levels_deep_and_no_deeper() {
    assert!(digest(&nested(124)).is_ok() && digest(&nested(MAX_DEPTH)).is_ok());
    let problem = digest(&nested(MAX_DEPTH + 1)).unwrap_err();
    let SnapshotProblem::TooDeep { path, depth } = &problem else { panic!("{problem}") };
    assert!(path.starts_with("a.a.a.a.") && path.len() <= 120, "{path}");
    assert_eq!(*depth, Some(MAX_DEPTH + 1));
    assert!(
        problem
            .to_string()
            .contains("(the snapshot is 127 levels deep); at most 126 levels of objects and lists can be deployed"),
        "{problem}"
    );
    // Braces inside a string do not count as levels.
    let harmless = format!("{{\"a\": \"{}\\\"{{\"}}", "{[".repeat(200));
    assert!(digest(&harmless).is_ok());
    for levels in [500, 10_000, 400_000] {
        let SnapshotProblem::TooDeep { depth, .. } = digest(&nested(levels)).unwrap_err() else { panic!("{levels}") };
        assert_eq!(depth, Some(levels));
        assert!(matches!(Snapshot::from_text(&nested(levels)), Err(SnapshotProblem::TooDeep { .. })));
    }
    let lists = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert!(digest(&lists(MAX_DEPTH - 1)).is_ok() && digest(&lists(MAX_DEPTH)).is_err());
    let yaml = |levels: usize| format!("a: {}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(Snapshot::from_text(&yaml(MAX_DEPTH - 1)).is_ok());
    assert!(matches!(Snapshot::from_text(&yaml(MAX_DEPTH)), Err(SnapshotProblem::TooDeep { .. })));
    // Each anchor adds one level.
    let mut tower = "a0: &a0 [x]\n".to_owned();
    for level in 1..MAX_DEPTH {
        tower.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    assert!(matches!(Snapshot::from_text(&tower), Err(SnapshotProblem::TooDeep { .. })));
}

#[test]
fn different_numbers_have_different_digests() {
    let texts = [
        "9007199254740993",
        "9007199254740992.0",
        "9007199254740993.0",
        "9007199254740992.5",
        "1e400",
        "1e401",
        "-1e400",
        "0.1",
        "0.1000000000000000055511151231257827",
        "0.10000000000000000555",
        "1e-400",
        "0",
        "\"1e400\"",
        "18446744073709551616",
        "18446744073709551617",
        "18446744073709552000",
        "3.10000000000000000001",
        "3.1",
    ];
    let digests: std::collections::BTreeSet<_> =
        texts.iter().map(|number| digest(&format!("{{\"a\":{number}}}")).unwrap()).collect();
    assert_eq!(digests.len(), texts.len());
}

#[test]
fn a_number_that_looks_like_a_version_causes_a_warning() {
    let warnings = |text: &str| serde_json::from_str::<Snapshot>(text).unwrap().warnings();
    assert_eq!(
        warnings(r#"{"botVersion":3.1,"nlp":{"engines":[{"VERSION":1.25}]}}"#),
        [
            "configurationSnapshot.botVersion is the number 3.1: YAML reads 3.10 as a number and drops the last zero; write \
             \"3.10\" in quotes if it is a version",
            "configurationSnapshot.nlp.engines[0].VERSION is the number 1.25: YAML reads 1.250 as a number and drops the last \
             zero; write \"1.250\" in quotes if it is a version",
        ]
    );
    assert!(warnings(r#"{"version":3.10}"#).iter().all(|warning| warning.contains("write \"3.10\" in quotes")));
    assert_eq!(warnings(r#"{"version":2,"v":"3.1","versions":[3.1],"a":{"version":"3.1"},"rate":0.5}"#), [""; 0]);
    let many: Vec<_> = (0..50).map(|number| format!("\"{}{number}Version\":3.1", "x".repeat(500))).collect();
    let many = warnings(&format!("{{{}}}", many.join(",")));
    assert_eq!(many.len(), MAX_WARNINGS);
    assert!(
        many.iter()
            .all(|warning| warning.len() <= MAX_WARNING_BYTES && warning.starts_with("configurationSnapshot.xxx"))
    );
    assert_eq!(warnings(&nested(500)), [""; 0], "it is not deployed");
}

#[test]
fn a_value_that_yaml_reads_differently_causes_a_warning() {
    let read =
        Snapshot::from_text("phone: 0041791234567\nflows: [{on: yes}]\nport: 8_080\nmode: '0644'\nzero: 0").unwrap();
    assert_eq!(
        read.warnings,
        [
            "configurationSnapshot.phone: 0041791234567 was read as the number 41791234567; write it in quotes if the zeros \
             matter",
            "configurationSnapshot.flows[0].on is the text \"yes\" by the rules of YAML 1.2; YAML 1.1 reads it as true: write \
             true, or \"yes\" in quotes",
            "configurationSnapshot.port is the text \"8_080\" by the rules of YAML 1.2; YAML 1.1 reads it as a number: write a \
             number, or \"8_080\" in quotes",
        ]
    );
    let many = Snapshot::from_text(&format!("a: [{}]", "00, ".repeat(500))).unwrap();
    assert_eq!(many.warnings.len(), MAX_WARNINGS);
}

#[test]
fn a_snapshot_keeps_its_text() {
    let text = r#"{"b":1.50,"a":[9007199254740993,12345678901234567890123]}"#;
    let object = format!(
        r#"{{"apiVersion":"deploy.cognigy.ai/v1alpha1","kind":"CognigyDeployment","metadata":{{"name":"bot"}},"spec":{{"environmentId":"env","configurationSnapshot":{text}}}}}"#
    );
    let object: CognigyDeployment = serde_json::from_str(&object).unwrap();
    let snapshot = object.spec.configuration_snapshot.as_ref().unwrap();
    assert_eq!(snapshot.text(), text);
    assert!(serde_json::to_string(&object).unwrap().contains(text));
    assert!(object.validate_cel().is_ok(), "the rules run offline");
    let value = serde_json::to_value(&object).unwrap();
    assert_eq!(value["spec"]["configurationSnapshot"]["a"][0], 9_007_199_254_740_993_i64);
    let again: CognigyDeployment = serde_json::from_value(value).unwrap();
    assert_eq!(again.spec.environment_id, object.spec.environment_id);
    assert!(!format!("{snapshot:?}").contains("1.5"), "a message never holds a whole snapshot");
    assert!(serde_json::from_str::<Snapshot>("[1]").is_err());
}

#[test]
fn the_version_of_a_snapshot_is_its_bot_version_or_its_version() {
    let long = "9".repeat(65);
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    for (text, version) in [
        (r#"{"botVersion": "2.4.1", "version": "7"}"#.to_owned(), Some("2.4.1")),
        (r#"{"version": "7", "botVersion": 2}"#.to_owned(), Some("7")),
        (r#"{"nlpEngine": "v3.2"}"#.to_owned(), None),
        (r#"{"botVersion": {"botVersion": "2"}}"#.to_owned(), None),
        (r#"{"botVersion": "  "}"#.to_owned(), None),
        (r#"{"botVersion": "2\n1"}"#.to_owned(), None),
        (format!(r#"{{"botVersion": "{long}"}}"#), None),
        (format!(r#"{{"flows": {deep}, "botVersion": "2.4.1"}}"#), Some("2.4.1")),
    ] {
        let snapshot: Snapshot = serde_json::from_str(&text).unwrap();
        assert_eq!(snapshot.version().as_deref(), version, "{text}");
    }
}
