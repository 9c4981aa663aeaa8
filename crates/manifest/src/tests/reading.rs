//! A manifest is read as kubectl reads it.

use super::{problems_of, read_text, sample};
use crate::validate::{Rules, validate};
use api::Digest;
use serde_json::{Value, json};

const HEAD: &str = "apiVersion: deploy.cognigy.ai/v1alpha1\nkind: CognigyDeployment\nmetadata: {name: a}\n";

/// What the value of `spec.v` is read as; None if the document is refused.
fn read_value(scalar: &str) -> Option<String> {
    let manifests = read_text(&format!("{HEAD}spec:\n  v: {scalar}\n"));
    let document = manifests.deployments.first()?;
    let json = document.json();
    Some(json.split_once("\"spec\":{\"v\":").unwrap().1.strip_suffix("}}").unwrap().to_owned())
}

#[test]
fn each_scalar_is_what_kubectl_makes_of_it() {
    let table = include_str!("kubectl.txt").lines().filter(|line| !line.starts_with("# "));
    let mut rows = 0;
    for row in table {
        let (scalar, expected) = row.rsplit_once('\t').unwrap();
        let expected = match expected {
            "refused" => None,
            // Go escapes more than JSON demands.
            expected => Some(expected.replace("\\u003c", "<").replace("\\u003e", ">").replace("\\u2028", "\u{2028}")),
        };
        assert_eq!(read_value(scalar), expected, "{scalar}");
        rows += 1;
    }
    assert!(rows > 120, "the table was read");
}

#[test]
fn a_scalar_that_yaml_1_2_reads_in_another_way_is_warned_about() {
    for scalar in [
        "yes",
        "no",
        "on",
        "Off",
        "y",
        "0644",
        "0699",
        "1_000",
        "0b11",
        "0X1f",
        "-0o17",
        "00",
        "123456789012345678901234567890",
    ] {
        let manifests = read_text(&format!("{HEAD}spec:\n  v: {scalar}\n"));
        let doubts = &manifests.deployments[0].doubts;
        assert_eq!(doubts.len(), 1, "{scalar}: {doubts:?}");
        assert_eq!((doubts[0].path.as_str(), doubts[0].line), ("spec.v", 5), "{scalar}");
    }
    for scalar in
        ["true", "False", "12", "-7", "3.10", "1e3", "0x1F", "0o17", "\"yes\"", "text", "2026-01-01", "0", "0.5", "~"]
    {
        let manifests = read_text(&format!("{HEAD}spec:\n  v: {scalar}\n"));
        assert!(manifests.deployments[0].doubts.is_empty(), "{scalar}: {:?}", manifests.deployments[0].doubts);
    }
}

#[test]
fn change_windows_and_decisions_are_validated_by_their_crds() {
    let document =
        |kind: &str| format!("apiVersion: deploy.cognigy.ai/v1alpha1\nkind: {kind}\nmetadata: {{name: a}}\n");
    let manifests = read_text(&format!("{}---\n{}", document("ChangeWindow"), document("CognigyDecision")));
    assert_eq!((manifests.others.len(), manifests.problems.as_slice()), (2, [].as_slice()));
    let problems = validate(&manifests, &Rules::of_the_crd().unwrap());
    let problems: Vec<String> = problems.iter().map(|problem| problem.message.clone()).collect();
    assert_eq!(
        problems,
        [
            "it is missing; write at least type, timeZone and one of recurring and once",
            "it is missing; write at least deployment, planId and verb",
        ]
    );
}

#[test]
fn documents_are_split_where_kubectl_splits_them() {
    let document = |name: &str| format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\n");
    for (text, count) in [
        (format!("{}---\n{}", document("a"), document("b")), 2),
        (format!("---\n{}--- # a comment\n{}---   \n", document("a"), document("b")), 2),
        (format!("# only a comment\n---\n---\n{}", document("a")), 1),
        (format!("{}...\n---\n{}", document("a"), document("b")), 2),
        (format!("\u{feff}{}", document("a")), 1),
        (document("a").replace('\n', "\r\n") + "---\r\n" + &document("b").replace('\n', "\r\n"), 2),
        (r#"{"apiVersion":"v1","kind":"Pod"} {"apiVersion":"v1","kind":"Pod"}"#.to_owned(), 2),
        (format!("{{\"apiVersion\":\"v1\",\"kind\":\"Pod\"}}\n---\n{}", document("b")), 2),
        ("{apiVersion: v1, kind: Pod}".to_owned(), 1),
        (String::new(), 0),
        ("null\n".to_owned(), 0),
    ] {
        let manifests = read_text(&text);
        assert_eq!((manifests.ignored, manifests.problems.as_slice()), (count, [].as_slice()), "{text}");
    }
}

#[test]
fn what_kubectl_would_drop_or_read_in_an_odd_way_is_refused_with_its_place() {
    for (text, says) in [
        (
            "spec: {a: 1, a: 2}",
            "bot.yaml:4: spec.a: the key is there twice; kubectl takes the last one: keep one of the two",
        ),
        ("spec: {1: a, '1': b}", "bot.yaml:4: spec.1: the key is there twice"),
        ("spec: {1.5: a}", "bot.yaml:4: spec: the key \"1.5\" is no text"),
        ("spec: {~: a}", "the key \"~\" is no text"),
        ("spec: {[a]: b}", "a key is a list or a map: write text"),
        ("spec:\n\ta: 1", "it is not YAML"),
        ("spec: {a: .inf}", "bot.yaml:4: spec.a: .inf is a number that JSON does not have"),
        ("spec: {a: !!binary aGk=}", "its tag means nothing in a manifest"),
        ("spec: {a: !foo 12}", "its tag means nothing in a manifest"),
        ("spec: {a: \"x\u{2028}y\"}", "which kubectl reads as a line break"),
        ("...\nspec: {}", "kubectl ignores what follows"),
        ("b: &b {p: 1}\nspec:\n  p: 2\n  <<: *b", "bot.yaml:7: spec: << comes after p"),
        ("spec: {<<: 1}", "<< names no map"),
        ("spec: &a {b: *a}", "an alias stands for what it is itself a part of"),
        ("--- spec", "text follows \"---\" on the same line"),
    ] {
        let problems = problems_of(&format!("{HEAD}{text}\n"));
        assert!(problems.iter().any(|problem| problem.contains(says)), "{text}: {problems:?}");
    }
    for (text, says) in [
        ("%YAML 1.2\n---\napiVersion: v1\nkind: Pod\n", ""),
        (r#"{"apiVersion":"v1","kind":"Pod","a":1,"a":2}"#, "the key is there twice"),
        (r#"{"apiVersion":"v1","kind":"Pod","a":"\ud800"}"#, "half a character"),
        (r#"{"apiVersion":"v1","kind":"Pod"}{"a":,}"#, "it is not JSON"),
        ("kind: Pod\n", "it has no apiVersion or no kind"),
        ("- 1\n", "it is no object"),
    ] {
        let problems = problems_of(text);
        assert!(!problems.is_empty() && problems[0].contains(says), "{text}: {problems:?}");
    }
}

#[test]
fn a_merge_is_what_kubectl_makes_of_it() {
    let manifests = read_text(&format!("{HEAD}b: &b {{p: 1, q: 2}}\nspec:\n  <<: [*b, {{p: 5, z: 1}}]\n  q: 3\n"));
    assert_eq!(manifests.problems, []);
    let object: Value = serde_json::from_str(&manifests.deployments[0].json()).unwrap();
    assert_eq!(object["spec"], json!({"p": 1, "q": 3, "z": 1}));
}

#[test]
fn lists_are_opened_and_other_kinds_are_counted() {
    let text = format!(
        "{}---\n{}---\n{}",
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: deploy.cognigy.ai/v1alpha1\n  kind: CognigyDeployment\n  metadata: {name: a}\n  spec: {v: yes}\n- apiVersion: v1\n  kind: List\n  items:\n  - {apiVersion: v1, kind: ConfigMap, metadata: {name: bot, namespace: bots}, data: {snapshot: '{}'}}\n",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: cognigy-api}\nstringData: {clientSecret: hush}\n",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n",
    );
    let manifests = read_text(&text);
    assert_eq!(manifests.problems, []);
    assert_eq!((manifests.deployments.len(), manifests.config_maps.len(), manifests.ignored), (1, 1, 1));
    assert_eq!(manifests.ignored_kinds.iter().collect::<Vec<_>>(), ["Deployment"]);
    let [secret] = manifests.secrets.as_slice() else { panic!("{manifests:?}") };
    assert_eq!((secret.namespace(), secret.name()), (None, Some("cognigy-api")));
    assert_eq!(secret.data()["clientSecret"], b"hush");
    assert!(!format!("{manifests:?}").contains("hush"), "a Secret shows no value");
    let document = &manifests.deployments[0];
    assert_eq!((document.number(), document.line()), (1, 4));
    assert_eq!(document.doubts[0].path, "spec.v");
}

#[test]
fn bounds_hold_before_memory_is_spent() {
    let laughs = (0..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, level| {
        format!("{text}a{}: &a{} [*a{level}, *a{level}]\n", level + 1, level + 1)
    });
    let deep = format!("a: {}{}\n", "[".repeat(10_000), "]".repeat(10_000));
    let long = format!("a: {}\n", "x".repeat(5 * 1024 * 1024));
    let many = format!("a: [{}]\n", "1,".repeat(600_000));
    let json = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    for (text, says) in [
        (laughs, "use fewer aliases"),
        (deep, "nested more than 160 levels deep"),
        (long, "at most 4194304 are read"),
        (many, "more than 500000 values"),
        (json, "nested more than 160 levels deep"),
    ] {
        let problems = problems_of(&text);
        assert!(problems.len() == 1 && problems[0].contains(says), "{}: {problems:?}", &text[..20]);
    }
}

#[test]
fn the_digest_is_that_of_the_object_that_the_api_server_hands_out() {
    // Left: what the author writes. Right: what kubectl and the API server make of it.
    let written = format!(
        "{HEAD}spec:\n  environmentId: e\n  configurationSnapshot: {{on: yes, mode: 0644, big: 1e19, one: 1.0, u: 18446744073709551615, \"<\": '&'}}\n"
    );
    let stored = json!({"environmentId": "e"});
    let stored = stored.to_string().replace(
        '}',
        r#","configurationSnapshot":{"\u003c":"\u0026","big":10000000000000000000,"mode":420,"one":1,"true":true,"u":18446744073709552000}}"#,
    );
    let stored: api::CognigyDeploymentSpec = serde_json::from_str(&stored).unwrap();
    let manifests = read_text(&written);
    let object = manifests.deployments[0].deployment().unwrap();
    let digest = |spec: &api::CognigyDeploymentSpec| {
        Digest::of_deployment(spec, spec.configuration_snapshot.as_ref().unwrap()).unwrap()
    };
    assert_eq!(digest(&object.spec), digest(&stored));
}

#[test]
fn a_sample_is_the_same_object_in_json_and_in_yaml() {
    let json = serde_json::to_string_pretty(&sample()).unwrap();
    let yaml = serde_saphyr::to_string(&sample()).unwrap();
    let objects = [json, yaml].map(|text| read_text(&text).deployments[0].deployment().unwrap());
    assert_eq!(objects[0], objects[1]);
}
