//! An operator that cannot reach the API server says why, in words, and runs once that is mended.

use crate::removals::{delete_definition, until_undefined};
use crate::stage::{Outcome, World, from, json};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;

const RUNNING: &str = "cognigy-operator is running";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_starts_before_the_api_server_waits_for_it_and_says_so() {
    let mut world = World::start().await;
    let kubeconfig = world.cluster().kubeconfig();
    let server = world.cluster().server();
    world.cluster().kill_api_server();
    let operator = world.spawn_operator("early", &kubeconfig, &[]);
    operator.until_logged_anywhere(&format!("the API server {server} cannot be reached: Connection refused")).await;
    assert!(operator.log().count(RUNNING) == 0);
    world.cluster().restart_api_server().await;
    operator.until_logged_anywhere(RUNNING).await;
    world.apply("env-early").await.until_told(Outcome::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_starts_before_its_definition_names_the_command_that_installs_it() {
    let mut world = World::start().await;
    let kubeconfig = world.cluster().kubeconfig();
    let uid = delete_definition(&world).await;
    until_undefined(&world, &uid).await;
    let operator = world.spawn_operator("undefined", &kubeconfig, &[]);
    operator.until_logged_anywhere("does not serve cognigydeployments: install the CRD (kubectl apply").await;
    assert!(operator.log().count(RUNNING) == 0);
    world.cluster().define_resource().await;
    operator.until_logged_anywhere(RUNNING).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_does_not_trust_the_api_server_names_its_certificate() {
    let mut world = World::start().await;
    let stranger = rcgen::generate_simple_self_signed(vec!["stranger".to_owned()]).unwrap().cert.pem();
    let certificate = world.cluster().folder().join("stranger.pem");
    std::fs::write(&certificate, stranger).unwrap();
    let kubeconfig = world.cluster().kubeconfig_with("stranger", |text| {
        let trusted = text.lines().find(|line| line.contains("certificate-authority-data")).unwrap();
        text.replace(trusted, &format!("    certificate-authority: {}", certificate.display()))
    });
    let operator = world.spawn_operator("distrustful", &kubeconfig, &[]);
    operator.until_logged_anywhere("is not trusted: invalid peer certificate").await;
    assert!(operator.log().count(RUNNING) == 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_without_rights_names_the_right_that_it_lacks_and_once() {
    let mut world = World::start().await;
    let created: ServiceAccount = from(json!({"metadata": {"name": "powerless"}}));
    let accounts = world.own::<ServiceAccount>();
    accounts.create(&PostParams::default(), &created).await.unwrap();
    let request = from(json!({"spec": {"audiences": ["https://kubernetes.default.svc"]}}));
    let token = accounts.create_token_request("powerless", &PostParams::default(), &request).await.unwrap();
    let token = token.status.unwrap().token;
    let cluster = &*world.cluster();
    let kubeconfig = cluster.kubeconfig_with("powerless", |text| text.replace(cluster.admin_token(), &token));
    let operator = world.spawn_operator("powerless", &kubeconfig, &[]);
    operator.until_logged_anywhere("the operator may not list and watch cognigydeployments: it answered 403:").await;
    operator.until_logged_anywhere("the operator may not list and watch configmaps: it answered 403:").await;
    assert_eq!(operator.log().count("may not list and watch cognigydeployments"), 1);
    assert!(operator.log().count("Status {") == 0 && operator.log().count("ErrorResponse") == 0, "no debug dump");
}
