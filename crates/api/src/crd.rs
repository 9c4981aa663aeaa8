//! The CustomResourceDefinitions that are installed.

use super::change_window::ChangeWindow;
use super::decision::CognigyDecision;
use super::spec::CognigyDeployment;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, ValidationRule,
};
use kube::CustomResourceExt;

/// The definition cannot be written as YAML. No input can cause this; it is a bug in this crate.
#[derive(Debug, thiserror::Error)]
#[error("the CRD cannot be written as YAML: {0}")]
pub struct NotYaml(#[from] serde_saphyr::SerializeError);

/// Only the API server can check a name against its time zone database in a rule, so this rule is not among those that run offline.
/// `getHours` fails if the time zone is not known.
const TIME_ZONE_RULE: &str = "timestamp('2026-01-01T00:00:00Z').getHours(self) >= 0";

/// The definitions.
#[must_use]
pub fn definitions() -> [CustomResourceDefinition; 3] {
    [definition(), decision(), change_window()]
}

/// The definition of CognigyDeployment. A new resource gets a status with `observedGeneration: -1`, so that kstatus does not report it
/// as ready before the operator has seen it.
#[must_use]
pub fn definition() -> CustomResourceDefinition {
    let mut definition = CognigyDeployment::crd();
    for status in properties(&mut definition, &["status"]) {
        status.default = Some(JSON(serde_json::json!({"observedGeneration": -1})));
    }
    definition
}

/// The definition of CognigyDecision.
#[must_use]
pub fn decision() -> CustomResourceDefinition {
    CognigyDecision::crd()
}

/// The definition of ChangeWindow without the rule that only the API server can evaluate.
#[must_use]
pub fn change_window_offline() -> CustomResourceDefinition {
    ChangeWindow::crd()
}

fn change_window() -> CustomResourceDefinition {
    let mut definition = change_window_offline();
    for time_zone in properties(&mut definition, &["spec", "timeZone"]) {
        let rule = ValidationRule {
            rule: TIME_ZONE_RULE.to_owned(),
            message: Some("timeZone must be a name of the time zone database such as Europe/Berlin, or UTC".to_owned()),
            ..ValidationRule::default()
        };
        time_zone.x_kubernetes_validations.get_or_insert_default().push(rule);
    }
    definition
}

/// The schema at this path, in each version.
fn properties<'a>(definition: &'a mut CustomResourceDefinition, path: &[&str]) -> Vec<&'a mut JSONSchemaProps> {
    let schemas = definition.spec.versions.iter_mut();
    let roots = schemas.filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut());
    roots
        .filter_map(|root| path.iter().try_fold(root, |schema, name| schema.properties.as_mut()?.get_mut(*name)))
        .collect()
}

/// All definitions as YAML, for `kubectl apply --server-side -f -`.
///
/// # Errors
/// [`NotYaml`] if a definition cannot be written as YAML.
pub fn yaml() -> Result<String, NotYaml> {
    let documents: Result<Vec<String>, NotYaml> = definitions().iter().map(yaml_of).collect();
    Ok(documents?.join("---\n"))
}

/// One definition as YAML; `crds/` holds the same text.
///
/// # Errors
/// [`NotYaml`] if the definition cannot be written as YAML.
pub fn yaml_of(definition: &CustomResourceDefinition) -> Result<String, NotYaml> {
    Ok(serde_saphyr::to_string(definition)?)
}
