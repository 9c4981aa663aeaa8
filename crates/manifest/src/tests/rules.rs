//! The rules of the CRD, offline.

use super::{problems_of, read_text, sample, sample_with};
use crate::validate::{Rules, schema};
use api::CognigyDeployment;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[derive(Deserialize)]
struct Refused {
    case: String,
    patch: Value,
    says: String,
}

/// The table that the API server is asked about too.
const TABLE: &str = include_str!("../../../api/src/tests/refused.yaml");

fn problems(object: &Value) -> Vec<String> {
    problems_of(&object.to_string())
}

#[test]
fn each_wrong_input_is_refused_offline_with_what_to_write_instead() {
    let table: Vec<Refused> = serde_saphyr::from_str(TABLE).unwrap();
    assert!(table.len() > 30, "the table was read");
    for Refused { case, patch, says } in table {
        let problems = problems(&sample_with(&patch));
        // An empty environment is also too short for the schema, which is checked first.
        let says = if case == "an empty environment" { "spec.environmentId" } else { &says };
        assert!(problems.iter().any(|problem| problem.contains(says)), "{case}: {problems:?}");
    }
}

/// Each rule of the spec's schema, with its message.
fn rules_of(schema: &Value, found: &mut Vec<(String, String)>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        found.push((rule["rule"].as_str().unwrap().to_owned(), rule["message"].as_str().unwrap().to_owned()));
    }
    schema["properties"].as_object().into_iter().flatten().for_each(|(_, field)| rules_of(field, found));
    if schema["items"].is_object() {
        rules_of(&schema["items"], found);
    }
}

#[test]
fn each_rule_of_the_crd_refuses_something_here_and_accepts_the_sample() {
    let mut rules = Vec::new();
    rules_of(&schema_of_the_spec(), &mut rules);
    assert!(rules.len() > 20, "{rules:?}");
    assert_eq!(problems(&sample()), [] as [String; 0]);

    let table: Vec<Refused> = serde_saphyr::from_str(TABLE).unwrap();
    let mut said: Vec<String> = table.iter().flat_map(|row| problems(&sample_with(&row.patch))).collect();
    let old: CognigyDeployment = serde_json::from_value(sample()).unwrap();
    let new = read_text(&sample_with(&json!({"environmentId": "env_other"})).to_string());
    let of_change = Rules::of_the_crd().unwrap().check(&new.deployments[0], Some(&old));
    said.extend(of_change.iter().map(ToString::to_string));
    for (rule, message) in rules {
        assert!(said.iter().any(|problem| problem.contains(&message)), "nothing is refused by {rule}");
    }
    assert!(!said.iter().any(|problem| problem.contains("nsupported")), "a function of a rule is missing: {said:?}");
}

fn schema_of_the_spec() -> Value {
    crate::validate::spec_schema().unwrap()
}

#[test]
fn each_word_of_the_schema_is_one_that_is_checked() {
    fn words(schema: &Value, found: &mut BTreeSet<String>) {
        found.extend(schema.as_object().unwrap().keys().cloned());
        schema["properties"].as_object().into_iter().flatten().for_each(|(_, field)| words(field, found));
        if schema["items"].is_object() {
            words(&schema["items"], found);
        }
    }
    let mut found = BTreeSet::new();
    words(&schema_of_the_spec(), &mut found);
    let unknown: Vec<_> = found.iter().filter(|word| !schema::KNOWN_WORDS.contains(&word.as_str())).collect();
    assert!(unknown.is_empty(), "validate/schema.rs does not check {unknown:?}");

    let definition = serde_json::to_value(api::crd::definition()).unwrap();
    let root = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    assert_eq!(root["x-kubernetes-validations"], Value::Null, "the object as a whole has no rules");
}

#[test]
fn types_and_bounds_of_the_schema_are_refused_at_their_path() {
    for (patch, says) in [
        (
            json!({"rollbackPolicy": {"timeoutSeconds": "300"}}),
            "spec.rollbackPolicy.timeoutSeconds: the text \"300\" is here; write a whole number, without quotes",
        ),
        (
            json!({"monitoring": {"intervalSeconds": 1.5}}),
            "spec.monitoring.intervalSeconds: 1.5 is here; write a whole number",
        ),
        (
            json!({"monitoring": {"intervalSeconds": 3_000_000_000_u64}}),
            "spec.monitoring.intervalSeconds: 3000000000 is here; write a number from",
        ),
        (
            json!({"dependencyLocks": [{"packageName": "core", "version": 3.2}]}),
            "spec.dependencyLocks[0].version: 3.2 is here; write a text: put it in quotes",
        ),
        (
            json!({"dependencyLocks": [{"version": "3.2.0"}]}),
            "spec.dependencyLocks[0].packageName: it is missing; write it. The package's name.",
        ),
        (json!({"dependencyLocks": {"core": "3.2.0"}}), "spec.dependencyLocks: an object is here; write a list"),
        (
            json!({"dependencyLocks": vec![json!({"packageName": "a", "version": "1.0"}); 129]}),
            "spec.dependencyLocks: it has 129 items; at most 128 are allowed",
        ),
        (json!({"environmentId": null}), "spec.environmentId: it is missing"),
        (
            json!({"environmentId": "a".repeat(254)}),
            "spec.environmentId: it has 254 characters; at most 253 are allowed",
        ),
        (json!({"deletionPolicy": "Keep"}), "spec.deletionPolicy: \"Keep\" is not known; write Retain or Rollback"),
        (
            json!({"configurationSnapshot": {"botVersion": null, "integrations": null}}),
            "spec.configurationSnapshot: it has 0 fields; write at least 1",
        ),
        (
            json!({"configurationSnapshot": "text"}),
            "spec.configurationSnapshot: the text \"text\" is here; write an object",
        ),
        (json!({"suspend": "yes"}), "spec.suspend: the text \"yes\" is here; write true or false, without quotes"),
        (json!({"rollbackpolicy": {}}), "spec.rollbackpolicy: there is no such field; write rollbackPolicy"),
        (
            json!({"rollbackPolicy": {"timeout": 3}}),
            "spec.rollbackPolicy.timeout: there is no such field; the fields here are autoTrigger",
        ),
    ] {
        let problems = problems(&sample_with(&patch));
        assert!(problems.len() == 1 && problems[0].contains(says), "{patch}: {problems:?}");
    }
}

#[test]
fn nulls_are_what_the_api_server_makes_of_them() {
    let mut object = sample();
    for field in ["dependencyLocks", "rollbackPolicy", "monitoring", "webhook", "suspend", "historyLimit"] {
        object["spec"][field] = Value::Null;
    }
    assert_eq!(problems(&object), [] as [String; 0]);
    object["spec"]["environmentId"] = Value::Null;
    assert!(problems(&object)[0].contains("spec.environmentId: it is missing"), "{:?}", problems(&object));
}

#[test]
fn metadata_is_what_kubernetes_demands() {
    for (metadata, says) in [
        (json!(null), "metadata: it is missing"),
        (json!({"namespace": "bots"}), "metadata.name: it is missing"),
        (json!({"name": "Customer_Service"}), "metadata.name: write lower-case letters"),
        (json!({"name": 12}), "metadata.name: write a text"),
        (json!({"name": "a", "namespace": "a.b"}), "metadata.namespace: write lower-case letters"),
        (json!({"name": "a", "labels": {"a": 1}}), "metadata.labels.a: write a text: put it in quotes"),
        (json!({"name": "a", "labels": {"a": "b c"}}), "metadata.labels.a: write at most 63 letters"),
        (
            json!({"name": "a", "annotations": {"deploy.cognigy.ai/retry": 1}}),
            "metadata.annotations[\"deploy.cognigy.ai/retry\"]: write a text",
        ),
        (json!({"name": "a", "annotations": {"a b": "x"}}), "metadata.annotations[\"a b\"]: write a name"),
        (
            json!({"name": "a", "annotations": {"a": "x".repeat(300_000)}}),
            "metadata.annotations: the annotations have 300001 bytes",
        ),
        (json!({"name": "a", "lables": {}}), "metadata.lables: there is no such field; write labels"),
    ] {
        let mut object = sample();
        object["metadata"] = metadata.clone();
        let problems = problems(&object);
        assert!(problems.len() == 1 && problems[0].contains(says), "{metadata}: {problems:?}");
    }
    let mut object = sample();
    object["status"] = json!({"phase": "Succeeded"});
    object["metadata"] = json!({"name": "a.b", "labels": {"app.kubernetes.io/version": "2.4.1", "empty": ""},
        "annotations": {"deploy.cognigy.ai/retry": "1"}, "uid": "x", "creationTimestamp": null});
    assert_eq!(problems(&object), [] as [String; 0]);
    object["Spec"] = json!({});
    assert!(problems(&object)[0].contains("Spec: there is no such field; write spec"));
}

#[test]
fn a_kind_or_version_that_is_not_ours_is_named() {
    for (api_version, kind, says) in [
        ("deploy.cognigy.ai/v1", "CognigyDeployment", "apiVersion: write apiVersion: deploy.cognigy.ai/v1alpha1"),
        (
            "deploy.cognigy.ai/v1alpha1",
            "CognigyDeploymnt",
            "kind: deploy.cognigy.ai has no such kind: write kind: CognigyDeployment, CognigyDecision or ChangeWindow",
        ),
        ("deploy.cognigy.ai/v1", "ChangeWindow", "apiVersion: write apiVersion: deploy.cognigy.ai/v1alpha1"),
    ] {
        let mut object = sample();
        (object["apiVersion"], object["kind"]) = (json!(api_version), json!(kind));
        assert!(problems(&object)[0].contains(says), "{:?}", problems(&object));
    }
}

#[test]
fn a_problem_is_printed_with_file_line_and_object() {
    let yaml = "# a comment\napiVersion: v1\nkind: Pod\n---\napiVersion: deploy.cognigy.ai/v1alpha1\nkind: CognigyDeployment\nmetadata:\n  name: prod\n  namespace: bots\nspec:\n  environmentId: e\n  configurationSnapshot: {a: 1}\n  rollbackPolicy:\n    timeoutSeconds: 20\n";
    assert_eq!(
        problems_of(yaml),
        [
            "bot.yaml:11 (document 2, CognigyDeployment bots/prod): spec: rollbackPolicy.healthThreshold × monitoring.intervalSeconds must be at most rollbackPolicy.timeoutSeconds, for example 3 × 15 s = 45 s, at most 300 s: lower the threshold or the interval, or raise the time-out"
        ]
    );
}

#[test]
fn the_snapshot_is_checked_as_the_operator_checks_it() {
    let deep = (0..140).fold(json!(1), |inner, _| json!([inner]));
    let deep = problems(&sample_with(&json!({"configurationSnapshot": {"deep": deep}})));
    assert!(
        deep.len() == 1 && deep[0].contains("spec.configurationSnapshot: the snapshot cannot be deployed: deep"),
        "{deep:?}"
    );
    let large = problems(&sample_with(&json!({"configurationSnapshot": {"a": "<".repeat(200_000)}})));
    assert!(large.len() == 1 && large[0].contains("keep the snapshot in a ConfigMap"), "{large:?}");
    let version = problems(&sample_with(&json!({"configurationSnapshot": {"nlpVersion": 3.1}})));
    assert!(version.len() == 1 && version[0].contains("warning: spec.configurationSnapshot: "), "{version:?}");
}

fn with_config_map(text: &str, reference: &Value) -> Vec<String> {
    let object = sample_with(
        &json!({"configurationSnapshot": null, "configurationSnapshotFrom": {"configMapKeyRef": reference}}),
    );
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bot", "namespace": "bots"}, "data": {"snapshot": text}});
    problems_of(&format!("{object}\n{map}"))
}

#[test]
fn a_snapshot_in_a_config_map_of_the_same_files_is_checked_too() {
    let reference = json!({"name": "bot", "key": "snapshot"});
    assert_eq!(with_config_map("{\"a\": 1}", &reference), [] as [String; 0]);
    for (text, reference, says) in [
        (
            "{\"a\": 1, \"a\": 2}",
            reference.clone(),
            "configMapKeyRef: the snapshot cannot be deployed: the key a is duplicated",
        ),
        ("a: yes", reference.clone(), "warning: spec.configurationSnapshotFrom.configMapKeyRef: "),
        (
            "a: 1",
            json!({"name": "bot", "key": "other"}),
            "configMapKeyRef.key: the ConfigMap bot of these files has no key other",
        ),
        (
            "a: 1",
            json!({"name": "bot", "key": "snapshot", "sha256": "0".repeat(64)}),
            "configMapKeyRef.sha256: the ConfigMap bot of these files holds another text",
        ),
    ] {
        let problems = with_config_map(text, &reference);
        assert!(problems.len() == 1 && problems[0].contains(says), "{text}: {problems:?}");
    }
    assert_eq!(with_config_map("a: 1", &json!({"name": "elsewhere", "key": "snapshot"})), [] as [String; 0]);
}

#[test]
fn an_object_that_is_there_twice_is_refused_and_a_shared_environment_is_warned_about() {
    let mut other = sample();
    other["metadata"]["name"] = json!("other");
    let problems = problems_of(&format!("{}\n{}\n{other}", sample(), sample()));
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems[0].contains("metadata.name: the same object is in bot.yaml:1: keep one of the two"),
        "{problems:?}"
    );
    assert!(
        problems[1].contains("warning: spec.environmentId: the object in bot.yaml:1 names the same environment"),
        "{problems:?}"
    );
}

#[test]
fn the_samples_that_people_copy_are_valid() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/samples");
    let (inputs, unreadable) = crate::read::collect(&[folder], false, &mut std::io::empty());
    assert!(inputs.len() > 3 && unreadable.is_empty(), "{unreadable:?}");
    for input in inputs {
        let manifests = crate::read::read(std::slice::from_ref(&input));
        let problems = crate::validate::validate(&manifests, &Rules::of_the_crd().unwrap());
        assert_eq!(problems, [], "{}", input.name);
    }
}
