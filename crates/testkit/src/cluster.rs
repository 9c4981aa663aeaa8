//! A control plane that tests install the operator in.

use super::client::client_as;
use super::client_of;
use super::service_account::{self, Right, ServiceAccountAccess};
use api::{ChangeWindow, CognigyDecision, CognigyDeployment};
use control_plane::{ControlPlane, Options};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions::is_crd_established};
use kube::{Client, ResourceExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::process::Command;

/// The name of the CRD.
pub const CRD_NAME: &str = "cognigydeployments.deploy.cognigy.ai";

/// The folder of the project.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A running control plane.
pub struct Cluster {
    control_plane: ControlPlane,
    /// Whether a test has killed the API server or restarted it with other flags.
    is_changed: bool,
    namespaces: AtomicU32,
}

impl Cluster {
    /// Starts a control plane with nothing installed.
    pub async fn start(api_server_flags: &[&str]) -> Self {
        let api_server_flags = api_server_flags.iter().map(|flag| (*flag).to_owned()).collect();
        let options = Options { api_server_flags, ..Options::default() };
        let control_plane = ControlPlane::start(options).await.unwrap_or_else(|error| panic!("{error}"));
        Self { control_plane, is_changed: false, namespaces: AtomicU32::new(0) }
    }

    /// Applies `deploy/` with kubectl, and waits until the CRD is served. Returns the output of kubectl.
    pub async fn install(&self) -> String {
        let mut kubectl = Command::new("kubectl");
        kubectl.current_dir(ROOT).arg("--kubeconfig").arg(self.kubeconfig());
        let output =
            kubectl.args(["apply", "--server-side", "-k", "deploy/"]).output().await.expect("kubectl is on the PATH");
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{text}");
        self.until_crd_is_served().await;
        text
    }

    /// Applies the CRDs, and waits until they are served.
    pub async fn install_crd(&self) {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client().await);
        for definition in api::crd::definitions() {
            let name = definition.name_any();
            definitions.patch(&name, &PatchParams::apply("tests"), &Patch::Apply(definition)).await.unwrap();
        }
        self.until_crd_is_served().await;
    }

    async fn until_crd_is_served(&self) {
        let client = self.client().await;
        for definition in api::crd::definitions() {
            let definitions = Api::<CustomResourceDefinition>::all(client.clone());
            await_condition(definitions, &definition.name_any(), is_crd_established()).await.unwrap();
        }
        // The API server sets Established a moment before it serves a kind. There is no event for that moment.
        let is_served = async || {
            Api::<CognigyDeployment>::all(client.clone()).list(&ListParams::default()).await.is_ok()
                && Api::<CognigyDecision>::all(client.clone()).list(&ListParams::default()).await.is_ok()
                && Api::<ChangeWindow>::all(client.clone()).list(&ListParams::default()).await.is_ok()
        };
        while !is_served().await {
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// A client with the rights of an administrator.
    pub async fn client(&self) -> Client {
        client_of(&self.kubeconfig()).await
    }

    /// A client that acts as this user, with the rights that roles grant to the user.
    pub async fn client_as(&self, user: &str) -> Client {
        client_as(&self.kubeconfig(), user).await
    }

    /// The kubeconfig of an administrator.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.control_plane.kubeconfig_path()
    }

    /// Writes a changed copy of the administrator's kubeconfig, and returns its path.
    pub fn kubeconfig_with(&self, name: &str, change: impl FnOnce(String) -> String) -> PathBuf {
        let text = std::fs::read_to_string(self.kubeconfig()).unwrap();
        let path = self.folder().join(format!("{name}.kubeconfig"));
        std::fs::write(&path, change(text)).unwrap();
        path
    }

    /// A token and a kubeconfig for a service account that exists.
    pub async fn service_account(&self, namespace: &str, name: &str) -> ServiceAccountAccess {
        service_account::access(&self.control_plane, &self.client().await, namespace, name).await
    }

    /// The kubeconfig of a service account that exists. Waits until the API server grants the account this right.
    pub async fn service_account_with(&self, namespace: &str, name: &str, right: &Right) -> PathBuf {
        let kubeconfig = self.service_account(namespace, name).await.kubeconfig;
        service_account::until_granted(&client_of(&kubeconfig).await, namespace, right).await;
        kubeconfig
    }

    /// The URL of the API server.
    #[must_use]
    pub fn server(&self) -> String {
        self.control_plane.server()
    }

    /// The certificate (PEM) of the authority that signed the API server's certificate.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.control_plane.ca_pem()
    }

    /// The folder of the control plane. It holds etcd's socket, `etcd.sock`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.control_plane.folder()
    }

    /// Kills the API server, which simulates a crash.
    pub fn kill_api_server(&mut self) {
        self.is_changed = true;
        self.control_plane.kill_api_server();
    }

    /// Starts the API server without additional flags and with the same data. If it is running, it is killed first.
    pub async fn restart_api_server(&mut self) {
        self.restart_api_server_with(&[]).await;
        self.is_changed = false;
    }

    /// Does the same with additional flags, until the next restart.
    pub async fn restart_api_server_with(&mut self, flags: &[&str]) {
        self.is_changed = true;
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        self.control_plane.restart_api_server_with(flags).await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Restarts the API server if an earlier test has left it dead or with other flags.
    pub async fn restore(&mut self) {
        if self.is_changed {
            self.restart_api_server().await;
        }
    }

    /// A name for a namespace that no other test in this cluster uses.
    pub(crate) fn unused_namespace(&self) -> String {
        format!("bots-{}", self.namespaces.fetch_add(1, Ordering::Relaxed) + 1)
    }
}
