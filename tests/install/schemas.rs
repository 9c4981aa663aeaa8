//! kubeconform with the schemas of the test's API server, so that nothing is downloaded and the version is the tested
//! one.

use crate::manifest::{Manifest, OVERLAYS, sets_of_values};
use crate::monitoring;
use crate::support::{Answer, CHART, Cluster, ask, tools};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;
use tokio::sync::OnceCell;
use tokio::time::timeout;

/// The groups and versions of everything that is installed.
const GROUPS: [&str; 9] = [
    "api/v1",
    "apis/apps/v1",
    "apis/policy/v1",
    "apis/networking.k8s.io/v1",
    "apis/rbac.authorization.k8s.io/v1",
    "apis/admissionregistration.k8s.io/v1",
    "apis/apiextensions.k8s.io/v1",
    "apis/coordination.k8s.io/v1",
    monitoring::GROUP,
];

const PUBLISHED_WITHIN: Duration = Duration::from_secs(60);

static FOLDER: OnceCell<PathBuf> = OnceCell::const_new();

#[tokio::test]
async fn the_objects_of_the_chart_match_the_schemas() {
    for file in sets_of_values() {
        check(&file, &Manifest::of_values(&file).await).await;
    }
}

#[tokio::test]
async fn the_objects_of_kustomize_match_the_schemas() {
    for folder in OVERLAYS {
        check(folder, &Manifest::of_folder(folder).await).await;
    }
}

#[tokio::test]
async fn an_unknown_field_is_found() {
    for (field, misspelt) in [
        ("replicas", "replica"),
        ("readOnlyRootFilesystem", "readonlyRootFilesystem"),
        ("scrapeTimeout", "scrapeTimeOut"),
        ("annotations:\n        description", "annotation:\n        description"),
    ] {
        let text = Manifest::of_values(&format!("{CHART}/ci/ha.yaml")).await.text;
        assert!(text.contains(field), "{field}");
        let text = text.replace(field, misspelt);
        let misspelt = misspelt.split(':').next().unwrap();
        let answer = conform(&text).await;
        assert!(!answer.is_success && answer.output.contains(misspelt), "{}", answer.output);
    }
}

async fn check(what: &str, manifest: &Manifest) {
    let answer = conform(&manifest.text).await;
    assert!(answer.is_success, "{what}: {}{}", answer.output, answer.error);
    let summary: Value = serde_json::from_str(&answer.output).unwrap();
    assert_eq!(summary["summary"]["skipped"], 0, "{what}");
    assert_eq!(summary["summary"]["valid"], manifest.objects.len(), "{what}");
}

async fn conform(text: &str) -> Answer {
    let folder = FOLDER.get_or_init(write_schemas).await;
    let mut kubeconform = Command::new(tools().await.kubeconform());
    kubeconform
        .args(["-strict", "-summary", "-output", "json"])
        .args(["-schema-location", folder.join("{{.ResourceKind}}{{.KindSuffix}}.json").to_str().unwrap()]);
    ask(kubeconform, text).await
}

/// Writes a schema for each kind of the groups, with the file name that kubeconform expects.
async fn write_schemas() -> PathBuf {
    let cluster = Cluster::shared().await;
    let folder = cluster.folder().join("schemas");
    std::fs::create_dir_all(&folder).unwrap();
    for group in GROUPS {
        let document = published(cluster, group).await;
        let document = document.replace("#/components/schemas/", "#/definitions/");
        let mut document: Value = serde_json::from_str(&document).unwrap();
        let Value::Object(mut definitions) = document["components"]["schemas"].take() else { panic!("{group}") };
        definitions.values_mut().for_each(close);
        write_kinds(&folder, group, &definitions);
    }
    folder
}

/// The schemas of a group. The API server publishes them a moment after a CRD is established, and there is no event for
/// it.
async fn published(cluster: &Cluster, group: &str) -> String {
    let path = format!("/openapi/v3/{group}");
    let published = async {
        loop {
            let answer = cluster.kubectl(&["get", "--raw", &path], "").await;
            if answer.is_success {
                return answer.output;
            }
        }
    };
    timeout(PUBLISHED_WITHIN, published).await.unwrap_or_else(|_| panic!("{path} is not published"))
}

fn write_kinds(folder: &Path, group: &str, definitions: &Map<String, Value>) {
    let (path, version) = group.rsplit_once('/').unwrap();
    // The core group has no name and its own path.
    let group = path.strip_prefix("apis/").unwrap_or_default();
    for (name, schema) in definitions {
        let kinds = schema["x-kubernetes-group-version-kind"].as_array().map(Vec::as_slice).unwrap_or_default();
        for kind in kinds.iter().filter(|kind| kind["group"] == group && kind["version"] == version) {
            let kind = kind["kind"].as_str().unwrap().to_lowercase();
            let suffix = match group.split('.').next() {
                Some("") | None => version.to_owned(),
                Some(first) => format!("{first}-{version}"),
            };
            let schema = json!({"$ref": format!("#/definitions/{name}"), "definitions": definitions});
            std::fs::write(folder.join(format!("{kind}-{suffix}.json")), schema.to_string()).unwrap();
        }
    }
}

/// Forbids unknown fields in every object with named fields, as the API server's strict decoding does.
fn close(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    let open =
        fields.contains_key("additionalProperties") || fields.contains_key("x-kubernetes-preserve-unknown-fields");
    if fields.contains_key("properties") && !open {
        fields.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    for (word, inner) in fields {
        match (word.as_str(), inner) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(close),
            ("items" | "additionalProperties", inner) => close(inner),
            _ => {}
        }
    }
}
