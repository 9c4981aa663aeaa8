//! An operator that cannot use the API server logs the cause, and runs once the cause is removed.

use crate::removals::{delete_crd, until_crd_is_gone};
use crate::support::{CRD_NAME, Outage, Outcome, json, object};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;

const WINDOW_CRD_NAME: &str = "changewindows.deploy.cognigy.ai";
const RUNNING: &str = "cognigy-operator is running";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_starts_before_the_api_server_waits_and_logs_the_cause() {
    let mut outage = Outage::start().await;
    let kubeconfig = outage.cluster().kubeconfig();
    let server = outage.cluster().server();
    outage.cluster().kill_api_server();
    let operator = outage.spawn_operator("early", &kubeconfig, &[]);
    operator.until_logged_anywhere(&format!("the API server {server} cannot be reached: Connection refused")).await;
    assert!(operator.log().count(RUNNING) == 0);
    outage.cluster().restart_api_server().await;
    operator.until_logged_anywhere(RUNNING).await;
    outage.deploy("env-early").await.until_delivered(Outcome::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_starts_without_one_of_its_crds_names_it_and_the_command_that_installs_it() {
    let mut outage = Outage::start().await;
    let kubeconfig = outage.cluster().kubeconfig();
    for name in [CRD_NAME, WINDOW_CRD_NAME] {
        let uid = delete_crd(&outage, name).await;
        until_crd_is_gone(&outage, name, &uid).await;
        let plural = name.split('.').next().unwrap();
        let operator = outage.spawn_operator(plural, &kubeconfig, &[]);
        let says = format!(
            "does not serve {plural}: install the CRD {name}, which the operator needs (kubectl apply --server-side -k crds/)"
        );
        operator.until_logged_anywhere(&says).await;
        assert!(operator.log().count(RUNNING) == 0);
        outage.cluster().install_crd().await;
        operator.until_logged_anywhere(RUNNING).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_does_not_trust_the_api_server_logs_the_certificate_error() {
    let mut outage = Outage::start().await;
    let stranger = rcgen::generate_simple_self_signed(vec!["stranger".to_owned()]).unwrap().cert.pem();
    let certificate = outage.cluster().folder().join("stranger.pem");
    std::fs::write(&certificate, stranger).unwrap();
    let kubeconfig = outage.cluster().kubeconfig_with("stranger", |text| {
        let trusted = text.lines().find(|line| line.contains("certificate-authority-data")).unwrap();
        text.replace(trusted, &format!("    certificate-authority: {}", certificate.display()))
    });
    let operator = outage.spawn_operator("distrustful", &kubeconfig, &[]);
    operator.until_logged_anywhere("is not trusted: invalid peer certificate").await;
    assert!(operator.log().count(RUNNING) == 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_without_rights_logs_each_missing_right_once() {
    let mut outage = Outage::start().await;
    let account: ServiceAccount = object(json!({"metadata": {"name": "powerless"}}));
    outage.api::<ServiceAccount>().create(&PostParams::default(), &account).await.unwrap();
    let namespace = outage.name.clone();
    let kubeconfig = outage.cluster().service_account(&namespace, "powerless").await.kubeconfig;
    let operator = outage.spawn_operator("powerless", &kubeconfig, &[]);
    operator.until_logged_anywhere("the operator may not list and watch cognigydeployments: it answered 403:").await;
    operator.until_logged_anywhere("the operator may not list and watch configmaps: it answered 403:").await;
    assert_eq!(operator.log().count("may not list and watch cognigydeployments"), 1);
    assert!(operator.log().count("Status {") == 0 && operator.log().count("ErrorResponse") == 0, "no debug dump");
}
