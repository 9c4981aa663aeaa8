//! The control planes. A test has one of them for itself while it runs.

use super::CognigyDeployment;
use control_plane::{ControlPlane, Options};
use futures::future::select_all;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions::is_crd_established};
use std::path::PathBuf;
use testkit::client_of;
use tokio::sync::{Mutex, MutexGuard};

const CRD: &str = include_str!("../../../crds/deploy.cognigy.ai_cognigydeployments.yaml");
pub(crate) const CRD_NAME: &str = "cognigydeployments.deploy.cognigy.ai";

/// Tests mostly wait, for outages and for what follows them: with four control planes they take a third of the time that
/// they take with one.
static CLUSTERS: [Mutex<Option<Cluster>>; 4] = [const { Mutex::const_new(None) }; 4];

/// A control plane, and what a test has done to it.
pub(crate) struct Cluster {
    control_plane: ControlPlane,
    is_hurt: bool,
    namespaces: u32,
}

impl Cluster {
    /// The cluster for this test alone, whole and with the CRD in place. Whoever finds none started starts one.
    pub(super) async fn lock() -> MutexGuard<'static, Option<Self>> {
        rustls::crypto::ring::default_provider().install_default().ok();
        let free = CLUSTERS.iter().map(|cluster| Box::pin(cluster.lock()));
        let (mut guard, _, _) = select_all(free).await;
        if guard.is_none() {
            let control_plane = ControlPlane::start(Options::default()).await.unwrap_or_else(|error| panic!("{error}"));
            *guard = Some(Self { control_plane, is_hurt: false, namespaces: 0 });
        }
        let cluster = guard.as_mut().unwrap();
        if cluster.is_hurt {
            // A test that failed in between has left it dead.
            cluster.restart_api_server().await;
        }
        cluster.define_resource().await;
        guard
    }

    /// Puts the CRD in place, and waits until it is served.
    pub(crate) async fn define_resource(&self) {
        let client = self.client().await;
        let definition: CustomResourceDefinition = serde_saphyr::from_str(CRD).unwrap();
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        definitions.patch(CRD_NAME, &PatchParams::apply("tests"), &Patch::Apply(definition)).await.unwrap();
        await_condition(definitions, CRD_NAME, is_crd_established()).await.unwrap();
        let resources: Api<CognigyDeployment> = Api::all(client);
        // Established comes a moment before it is served, and nothing tells of that moment.
        while resources.list(&Default::default()).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
    }

    pub(super) async fn client(&self) -> Client {
        client_of(&self.kubeconfig()).await
    }

    /// The bearer token in the kubeconfig.
    pub(crate) fn admin_token(&self) -> &str {
        self.control_plane.admin_token()
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.control_plane.kubeconfig_path()
    }

    /// Another kubeconfig, with this change of its text.
    pub(crate) fn kubeconfig_with(&self, name: &str, change: impl FnOnce(String) -> String) -> PathBuf {
        let text = std::fs::read_to_string(self.kubeconfig()).unwrap();
        let path = self.folder().join(format!("{name}.kubeconfig"));
        std::fs::write(&path, change(text)).unwrap();
        path
    }

    /// The API server's URL.
    pub(crate) fn server(&self) -> String {
        self.control_plane.server()
    }

    /// The certificate of the authority that signed the API server's.
    pub(crate) fn ca_pem(&self) -> &str {
        self.control_plane.ca_pem()
    }

    /// The folder in which etcd listens.
    pub(crate) fn folder(&self) -> PathBuf {
        self.control_plane.folder().to_owned()
    }

    /// Kills the API server as a crash would.
    pub(crate) fn kill_api_server(&mut self) {
        self.is_hurt = true;
        self.control_plane.kill_api_server();
    }

    /// Starts the API server (again) over the same data.
    pub(crate) async fn restart_api_server(&mut self) {
        self.restart_api_server_with(&[]).await;
        self.is_hurt = false;
    }

    /// The same with these flags, for this test alone.
    pub(crate) async fn restart_api_server_with(&mut self, flags: &[&str]) {
        self.is_hurt = true;
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        self.control_plane.restart_api_server_with(flags).await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// A name that no test has used before.
    pub(super) fn new_namespace(&mut self) -> String {
        self.namespaces += 1;
        format!("bots-{}", self.namespaces)
    }
}
