//! Removes the demo's objects from a cluster of the user.

use crate::access::Access;
use crate::error::{Error, Trying};
use crate::preflight::{self, Maker};
use crate::releases::NAMESPACE;
use api::{CognigyDeployment, crd};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::fmt::Debug;
use std::time::Duration;
use tokio::time::timeout;

/// The longest time that a deleted object may take to disappear.
const GONE_WITHIN: Duration = Duration::from_secs(60);

/// Removes the demo's resources, its namespace and its CRDs. Returns one line for each step. All CRDs stay if somebody else has
/// resources of one of them by now, because an operator needs all of them.
///
/// It prints nothing: a closed output must not stop the removal.
pub async fn remove_everything(kubernetes: &Client, access: &Access) -> Result<Vec<String>, Error> {
    let mut done = Vec::new();
    let namespaces: Api<Namespace> = Api::all(kubernetes.clone());
    if let Some(namespace) = made_by_the_demo(&namespaces, NAMESPACE).await? {
        remove_resources(kubernetes).await?;
        remove(&namespaces, "namespace", &namespace, access).await?;
        done.push(format!("the namespace {NAMESPACE} is removed, with everything in it"));
    }

    let definitions: Api<CustomResourceDefinition> = Api::all(kubernetes.clone());
    let mut ours = Vec::new();
    for definition in crd::definitions() {
        ours.extend(made_by_the_demo(&definitions, &definition.name_any()).await?);
    }
    if ours.is_empty() {
        return Ok(done);
    }
    let users = preflight::elsewhere(kubernetes).await?;
    if !users.is_empty() {
        let names: Vec<String> = ours.iter().map(ResourceExt::name_any).collect();
        done.push(format!(
            "these CRDs stay, because somebody else has resources of the operator here ({}): {}",
            users.join(", "),
            names.join(", ")
        ));
        return Ok(done);
    }
    for definition in &ours {
        remove(&definitions, "crd", definition, access).await?;
        done.push(format!("the CRD {} is removed", definition.name_any()));
    }
    Ok(done)
}

/// The object of this name, unless somebody else made it.
async fn made_by_the_demo<K>(objects: &Api<K>, name: &str) -> Result<Option<K>, Error>
where
    K: Resource + Clone + Debug + DeserializeOwned,
{
    let found = objects.get_opt(name).await.trying("look for the objects of the demo")?;
    Ok(found.filter(|object| preflight::maker(Some(object)) == Maker::Demo))
}

/// Deletes the deployments; the other resources have no finalizer and go with the namespace. Their finalizers are removed first, because the operator has stopped. Nothing is lost, because their
/// Cognigy.AI is a simulated one.
async fn remove_resources(kubernetes: &Client) -> Result<(), Error> {
    let resource = ApiResource::erase::<CognigyDeployment>(&());
    let resources: Api<DynamicObject> = Api::namespaced_with(kubernetes.clone(), NAMESPACE, &resource);
    let listed = resources.list(&ListParams::default()).await;
    for object in if_there(listed).trying("list the demo's resources")?.map(|list| list.items).unwrap_or_default() {
        let name = object.name_any();
        let without_finalizers = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        let patched = resources.patch(&name, &PatchParams::default(), &without_finalizers).await;
        if_there(patched).trying("remove the finalizer of a resource")?;
        if_there(resources.delete(&name, &DeleteParams::default()).await).trying("delete a resource")?;
    }
    Ok(())
}

/// Deletes an object and waits until it is gone.
async fn remove<K>(objects: &Api<K>, kind: &str, object: &K, access: &Access) -> Result<(), Error>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let name = &object.name_any();
    if_there(objects.delete(name, &DeleteParams::default()).await).trying("delete the objects of the demo")?;
    let uid = object.uid().unwrap_or_default();
    match timeout(GONE_WITHIN, await_condition(objects.clone(), name, conditions::is_deleted(&uid))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(Error::Kubernetes { what: "tell whether an object is gone", problem: error.to_string() }),
        Err(_) => Err(Error::NotGone {
            what: format!("{kind} {name}"),
            waited: GONE_WITHIN,
            look: format!("{} get {kind} {name} -o yaml", access.kubectl()),
        }),
    }
}

/// The answer, unless the object is not there.
fn if_there<T>(answer: kube::Result<T>) -> kube::Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(kube::Error::Api(answer)) if answer.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}
