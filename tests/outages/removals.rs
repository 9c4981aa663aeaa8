//! The namespace or the CRD is deleted during a rollout.

use crate::support::{CRD_NAME, Call, CognigyDeployment, Outage, Outcome, Step, json};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions::is_deleted};
use tokio::time::timeout;

/// Deletes the namespace, and then its objects, as the controller-manager would.
async fn delete_namespace(outage: &Outage) {
    outage.cluster_api::<Namespace>().delete(&outage.name, &DeleteParams::default()).await.unwrap();
    let (all, now) = (ListParams::default(), DeleteParams::default());
    outage.api::<Secret>().delete_collection(&now, &all).await.unwrap();
    outage.resources().delete_collection(&now, &all).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_namespace_waits_for_the_outcome_of_its_rollouts_although_the_secret_is_deleted() {
    let outage = Outage::start().await;
    outage.keep_jobs_running();
    let operator = outage.run_operator("alone").await;
    let resource = outage.deploy("env-namespace").await;
    resource.until_step(Step::RollingOut).await;
    resource.until_requests(Call::Job, 1).await;

    delete_namespace(&outage).await;
    let asked = resource.request_count(Call::Job);
    resource.until_requests(Call::Job, asked + 2).await;
    outage.clear_faults();
    resource.until_gone().await;
    // The operator still has the credentials in memory.
    resource.assert_one_job_and_one_delivery_each(true).await;
    assert!(operator.log().count("panicked") == 0);

    // Nothing is left that prevents the removal of the namespace.
    let namespaces = outage.cluster_api::<Namespace>();
    let mut namespace = namespaces.get(&outage.name).await.unwrap();
    namespace.spec.as_mut().unwrap().finalizers = None;
    namespaces.replace_subresource("finalize", &outage.name, &Default::default(), &namespace).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_crd_waits_for_its_rollouts_and_can_be_installed_again() {
    let mut outage = Outage::start().await;
    outage.keep_jobs_running();
    let _operator = outage.run_operator("alone").await;
    let resource = outage.deploy("env-definition").await;
    resource.until_requests(Call::Job, 1).await;

    let uid = delete_crd(&outage, CRD_NAME).await;
    resource.until("it is being deleted", |object| object.metadata.deletion_timestamp.is_some()).await;
    outage.clear_faults();
    until_crd_is_gone(&outage, CRD_NAME, &uid).await;
    resource.assert_one_job_and_one_delivery_each(true).await;

    outage.cluster().install_crd().await;
    let resource = outage.deploy("env-definition-again").await;
    resource.until_delivered(Outcome::Succeeded).await;
    resource.assert_one_job_and_one_delivery_each(true).await;
    // The earlier resources do not come back.
    assert_eq!(outage.resources().list(&ListParams::default()).await.unwrap().items.len(), 1);
}

/// Deletes the CRD, and returns its uid.
pub(crate) async fn delete_crd(outage: &Outage, name: &str) -> String {
    release_resources_of_other_tests(outage).await;
    let definitions = outage.cluster_api::<CustomResourceDefinition>();
    let deleted = definitions.delete(name, &DeleteParams::default()).await.unwrap();
    deleted.left().and_then(|definition| definition.metadata.uid).unwrap()
}

/// Waits until the CRD with this uid is gone.
pub(crate) async fn until_crd_is_gone(outage: &Outage, name: &str, uid: &str) {
    let gone = await_condition(outage.cluster_api::<CustomResourceDefinition>(), name, is_deleted(uid));
    assert!(timeout(crate::support::DEADLINE, gone).await.is_ok(), "{}", outage.report("the CRD is gone").await);
}

/// Removes the finalizers of resources of earlier tests. No operator runs for them any more, so they would keep the
/// CRD.
async fn release_resources_of_other_tests(outage: &Outage) {
    let everywhere: Api<CognigyDeployment> = Api::all(outage.client.clone());
    for object in everywhere.list(&ListParams::default()).await.unwrap() {
        let (name, namespace) = (object.name_any(), object.namespace().unwrap());
        if namespace != outage.name {
            let others: Api<CognigyDeployment> = Api::namespaced(outage.client.clone(), &namespace);
            let without = Patch::Merge(json!({"metadata": {"finalizers": null}}));
            others.patch(&name, &PatchParams::default(), &without).await.unwrap();
        }
    }
}
