//! The CRD as it is installed.

use super::spec::CognigyDeployment;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSON};
use kube::CustomResourceExt;

/// The generated definition. A status that nobody has written yet begins with `observedGeneration: -1`; without that,
/// kstatus would take a resource that the operator has not seen for one that is ready.
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
