//! The CustomResourceDefinition that is installed.

use super::spec::CognigyDeployment;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSON};
use kube::CustomResourceExt;

/// The definition cannot be written as YAML. No input can cause this; it is a bug in this crate.
#[derive(Debug, thiserror::Error)]
#[error("the CRD cannot be written as YAML: {0}")]
pub struct NotYaml(#[from] serde_saphyr::SerializeError);

/// The generated definition. A new resource gets a status with `observedGeneration: -1`, so that kstatus does not report it as
/// ready before the operator has seen it.
#[must_use]
pub fn definition() -> CustomResourceDefinition {
    let mut definition = CognigyDeployment::crd();
    for version in &mut definition.spec.versions {
        let status = version
            .schema
            .as_mut()
            .and_then(|schema| schema.open_api_v3_schema.as_mut())
            .and_then(|root| root.properties.as_mut())
            .and_then(|properties| properties.get_mut("status"));
        if let Some(status) = status {
            status.default = Some(JSON(serde_json::json!({"observedGeneration": -1})));
        }
    }
    definition
}

/// The definition as YAML, for `kubectl apply --server-side -f -`; `crds/` holds the same text.
///
/// # Errors
/// [`NotYaml`] if the definition cannot be written as YAML.
pub fn yaml() -> Result<String, NotYaml> {
    Ok(serde_saphyr::to_string(&definition())?)
}
