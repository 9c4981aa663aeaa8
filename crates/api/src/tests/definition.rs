//! The installed CRD files are the ones that the types generate.

use crate::crd;
use serde_json::{Value, json};

/// The folders of the definitions: the project's, and the chart's copy.
const FOLDERS: [&str; 2] = [
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../crds"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/cognigy-operator/files"),
];

fn definition() -> Value {
    serde_json::to_value(crd::definition()).unwrap()
}

fn schema() -> Value {
    definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

#[test]
fn the_files_that_are_installed_are_what_the_types_generate() {
    for definition in crd::definitions() {
        let generated = crd::yaml_of(&definition).unwrap();
        for folder in FOLDERS {
            let file = format!("{folder}/deploy.cognigy.ai_{}.yaml", definition.spec.names.plural);
            if std::env::var_os("UPDATE_CRDS").is_some() {
                std::fs::create_dir_all(folder).unwrap();
                std::fs::write(&file, &generated).unwrap();
            }
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            assert!(
                text == generated,
                "{file} differs from the types: run this test with UPDATE_CRDS=1 and commit the file"
            );
        }
    }
}

#[test]
fn the_yaml_reads_back_as_the_definition() {
    for definition in crd::definitions() {
        let read: Value = serde_saphyr::from_str(&crd::yaml_of(&definition).unwrap()).unwrap();
        assert_eq!(read, serde_json::to_value(&definition).unwrap());
    }
    assert_eq!(crd::yaml().unwrap().matches("kind: CustomResourceDefinition").count(), 3);
}

#[test]
fn a_resource_that_nobody_has_reconciled_is_not_ready() {
    assert_eq!(schema()["properties"]["status"]["default"], json!({"observedGeneration": -1}));
}

#[test]
fn get_prints_the_columns_of_the_design() {
    let version = definition()["spec"]["versions"][0].clone();
    let columns: Vec<(String, i64)> = version["additionalPrinterColumns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| (column["name"].as_str().unwrap().to_owned(), column["priority"].as_i64().unwrap_or(0)))
        .collect();
    let columns: Vec<(&str, i64)> = columns.iter().map(|(name, priority)| (name.as_str(), *priority)).collect();
    let expected = [
        ("Environment", 0),
        ("Ready", 0),
        ("Phase", 0),
        ("Runs", 0),
        ("Since", 0),
        ("Reason", 0),
        ("Age", 0),
        ("Job", 1),
        ("Attempt", 1),
        ("Version", 1),
        ("Suspended", 1),
        ("Message", 1),
    ];
    assert_eq!(columns, expected);
}

#[test]
fn names_are_those_of_the_design() {
    let spec = definition()["spec"].clone();
    assert_eq!(spec["group"], "deploy.cognigy.ai");
    assert_eq!(spec["scope"], "Namespaced");
    assert_eq!(spec["names"]["plural"], "cognigydeployments");
    assert_eq!(spec["names"]["shortNames"], json!(["cgd"]));
    assert_eq!(spec["names"]["categories"], json!(["cognigy"]));
    assert_eq!(spec["versions"][0]["name"], "v1alpha1");
    assert_eq!(spec["versions"][0]["subresources"], json!({"status": {}}));
}

#[test]
fn what_must_not_be_merged_is_atomic() {
    let spec = schema()["properties"]["spec"]["properties"].clone();
    assert_eq!(spec["dependencyLocks"]["x-kubernetes-list-type"], "atomic");
    assert_eq!(spec["configurationSnapshot"]["x-kubernetes-map-type"], "atomic");
    assert_eq!(spec["configurationSnapshot"]["x-kubernetes-preserve-unknown-fields"], true);
    assert_eq!(spec["configurationSnapshot"]["minProperties"], 1);
    let status = schema()["properties"]["status"]["properties"].clone();
    assert_eq!(status["conditions"]["x-kubernetes-list-type"], "map");
    assert_eq!(status["conditions"]["x-kubernetes-list-map-keys"], json!(["type"]));
    for list in ["history", "outbox"] {
        assert_eq!(status[list]["x-kubernetes-list-type"], "atomic", "{list}");
    }
    let warnings = "/attempt/properties/checks/properties/validation/properties/warnings/x-kubernetes-list-type";
    assert_eq!(status.pointer(warnings), Some(&json!("atomic")));
}

#[test]
fn every_field_explains_itself() {
    let mut unexplained = Vec::new();
    for definition in crd::definitions() {
        let definition = serde_json::to_value(&definition).unwrap();
        let properties = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
        for part in ["spec", "status"] {
            explain(&properties[part], &format!("{kind}.{part}"), &mut unexplained);
        }
    }
    assert!(unexplained.is_empty(), "`kubectl explain` would say nothing about {unexplained:?}");
}

fn explain(schema: &Value, path: &str, unexplained: &mut Vec<String>) {
    if let Some(items) = schema.get("items") {
        explain(items, path, unexplained);
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if field["description"].as_str().is_none_or(str::is_empty) {
            unexplained.push(path.clone());
        }
        explain(field, &path, unexplained);
    }
}
