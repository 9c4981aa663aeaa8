//! Reading CognigyDeployments.

use crate::connection::Connection;
use crate::exit::Failure;
use api::CognigyDeployment;
use kube::ResourceExt;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::core::Status;

/// How many objects are read with one request.
const PAGE: u32 = 500;

/// A deployment, or the reason why it could not be read. A deployment that cannot be read does not hide the others.
pub struct Listed {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The object, or the problem in words.
    pub deployment: Result<Box<CognigyDeployment>, String>,
}

/// One deployment.
///
/// # Errors
/// [`Failure::NotFound`] with what to look at, or another failure of the request.
pub async fn get(connection: &Connection, name: &str) -> Result<CognigyDeployment, Failure> {
    // The answer is parsed directly into this type, so a snapshot keeps its numbers exactly as they were written.
    let api: Api<CognigyDeployment> = Api::namespaced(connection.client.clone(), &connection.namespace);
    api.get(name).await.map_err(|error| of_get(connection, name, error))
}

/// Explains why a deployment could not be read.
#[must_use]
pub fn of_get(connection: &Connection, name: &str, error: kube::Error) -> Failure {
    let namespace = &connection.namespace;
    match error {
        kube::Error::Api(status) if status.code == 404 && names_an_object(&status) => Failure::NotFound(format!(
            "there is no cognigydeployment {name} in the namespace {namespace}; `kubectl cognigy list -A` shows all"
        )),
        kube::Error::Api(status) if status.code == 404 => no_such_kind(),
        kube::Error::SerdeError(problem) => Failure::Refused(format!(
            "cognigydeployment {namespace}/{name} cannot be read by this version of the plugin: {problem}"
        )),
        error => Failure::of_request(&format!("get cognigydeployment {namespace}/{name}"), error),
    }
}

/// The API server names the object if it knows the kind.
fn names_an_object(status: &Status) -> bool {
    status.details.as_ref().is_some_and(|details| !details.name.is_empty())
}

fn no_such_kind() -> Failure {
    Failure::NotFound("this cluster has no CognigyDeployments: install the operator first (docs/install.md)".to_owned())
}

/// The deployments of one namespace or of all, by namespace and name. They come without their snapshots, which nobody who
/// lists needs: a fleet of large snapshots would fill the memory.
///
/// # Errors
/// The request failed.
pub async fn list(
    connection: &Connection,
    all_namespaces: bool,
    selector: Option<&str>,
) -> Result<Vec<Listed>, Failure> {
    let client = connection.client.clone();
    let api: Api<DynamicObject> = match all_namespaces {
        true => Api::all_with(client, &kind()),
        false => Api::namespaced_with(client, &connection.namespace, &kind()),
    };
    let mut parameters = ListParams::default().limit(PAGE);
    parameters.label_selector = selector.map(str::to_owned);
    let mut listed = Vec::new();
    loop {
        let page = match api.list(&parameters).await {
            Ok(page) => page,
            Err(kube::Error::Api(status)) if status.code == 404 => return Err(no_such_kind()),
            Err(error) => {
                let place = if all_namespaces { "in all namespaces" } else { "in this namespace" };
                return Err(Failure::of_request(&format!("list cognigydeployments {place}"), error));
            }
        };
        listed.extend(page.items.into_iter().map(|object| Listed {
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            deployment: parse(object).map(Box::new),
        }));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters.continue_token = Some(token),
            None => break,
        }
    }
    listed.sort_by(|one, other| (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name)));
    Ok(listed)
}

/// The kind, for requests whose objects may not be readable.
#[must_use]
pub fn kind() -> ApiResource {
    ApiResource::erase::<CognigyDeployment>(&())
}

fn parse(mut object: DynamicObject) -> Result<CognigyDeployment, String> {
    if let Some(spec) = object.data.get_mut("spec").and_then(serde_json::Value::as_object_mut) {
        spec.remove("configurationSnapshot");
    }
    let value = serde_json::to_value(object).map_err(|error| error.to_string())?;
    serde_json::from_str(&value.to_string()).map_err(|error| error.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_listed_deployment_does_not_keep_its_snapshot_in_memory() {
        let object = json!({
            "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "CognigyDeployment",
            "metadata": {"namespace": "bots", "name": "bot"},
            "spec": {
                "environmentId": "env_1", "configurationSnapshot": {"botVersion": "1"},
                "rollbackPolicy": {"healthThreshold": 3},
            },
        });
        let deployment = parse(serde_json::from_value(object).unwrap()).unwrap();
        assert!(deployment.spec.configuration_snapshot.is_none());
        assert_eq!(deployment.spec.environment_id.as_str(), "env_1");
    }
}
