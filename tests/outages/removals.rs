//! The namespace or the definition itself is taken away, in the middle of a rollout.

use crate::stage::{CRD_NAME, Call, CognigyDeployment, Outcome, Step, World, json};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions::is_deleted};
use tokio::time::timeout;

/// What the controller-manager does, which is not here: a namespace that is deleted is emptied, all kinds at once.
async fn delete_namespace(world: &World) {
    world.all::<Namespace>().delete(&world.namespace, &DeleteParams::default()).await.unwrap();
    let (all, now) = (ListParams::default(), DeleteParams::default());
    world.own::<Secret>().delete_collection(&now, &all).await.unwrap();
    world.resources().delete_collection(&now, &all).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_namespace_waits_for_the_outcome_of_its_rollouts_although_the_secret_is_gone() {
    let world = World::start().await;
    world.jobs_run();
    let operator = world.operator("alone").await;
    let resource = world.apply("env-namespace").await;
    resource.until_step(Step::RollingOut).await;
    resource.until_asked(Call::Job, 1).await;

    delete_namespace(&world).await;
    let asked = resource.count(Call::Job);
    resource.until_asked(Call::Job, asked + 2).await;
    world.mend();
    resource.until_gone().await;
    // The credentials are still in the operator's memory, and serve to the end.
    resource.assert_one_job_and_all_told(true).await;
    assert!(operator.log().count("panicked") == 0);

    // Nothing is left that would keep the namespace.
    let namespaces = world.all::<Namespace>();
    let mut namespace = namespaces.get(&world.namespace).await.unwrap();
    namespace.spec.as_mut().unwrap().finalizers = None;
    namespaces.replace_subresource("finalize", &world.namespace, &Default::default(), &namespace).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_that_is_deleted_waits_for_its_rollouts_and_can_come_back() {
    let mut world = World::start().await;
    world.jobs_run();
    let _operator = world.operator("alone").await;
    let resource = world.apply("env-definition").await;
    resource.until_asked(Call::Job, 1).await;

    let uid = delete_definition(&world).await;
    resource.until("it is being deleted", |object| object.metadata.deletion_timestamp.is_some()).await;
    world.mend();
    until_undefined(&world, &uid).await;
    resource.assert_one_job_and_all_told(true).await;

    world.cluster().define_resource().await;
    let resource = world.apply("env-definition-again").await;
    resource.until_told(Outcome::Succeeded).await;
    resource.assert_one_job_and_all_told(true).await;
    // What was there before does not come back with it.
    assert_eq!(world.resources().list(&ListParams::default()).await.unwrap().items.len(), 1);
}

/// Deletes the definition; returns its uid.
pub(crate) async fn delete_definition(world: &World) -> String {
    forget_others(world).await;
    let definitions = world.all::<CustomResourceDefinition>();
    let deleted = definitions.delete(CRD_NAME, &DeleteParams::default()).await.unwrap();
    deleted.left().and_then(|definition| definition.metadata.uid).unwrap()
}

/// Waits until the definition with this uid is gone.
pub(crate) async fn until_undefined(world: &World, uid: &str) {
    let gone = await_condition(world.all::<CustomResourceDefinition>(), CRD_NAME, is_deleted(uid));
    assert!(timeout(crate::stage::DEADLINE, gone).await.is_ok(), "{}", world.report("the definition is gone").await);
}

/// What other tests have left behind has no operator any more that would let it go with the definition.
async fn forget_others(world: &World) {
    let everywhere: Api<CognigyDeployment> = Api::all(world.client.clone());
    for object in everywhere.list(&ListParams::default()).await.unwrap() {
        let (name, namespace) = (object.name_any(), object.namespace().unwrap());
        if namespace != world.namespace {
            let others: Api<CognigyDeployment> = Api::namespaced(world.client.clone(), &namespace);
            let without = Patch::Merge(json!({"metadata": {"finalizers": null}}));
            others.patch(&name, &PatchParams::default(), &without).await.unwrap();
        }
    }
}
