//! The control plane that all tests share, with the CRD in place.

use super::account::{self, Right};
use api::CognigyDeployment;
use control_plane::{ControlPlane, Options};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, PostParams};
use kube::runtime::wait::{await_condition, conditions::is_crd_established};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use testkit::client_of;
use tokio::process::Command;
use tokio::sync::OnceCell;

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
static NAMESPACES: AtomicU32 = AtomicU32::new(1);

const CRD_NAME: &str = "cognigydeployments.deploy.cognigy.ai";

/// A control plane, with everything of `deploy/` in it.
pub(crate) struct Cluster {
    control_plane: ControlPlane,
    /// What `kubectl apply` said of it.
    installed: String,
    /// The kubeconfig of the service account that was installed.
    operators: PathBuf,
}

async fn cluster() -> &'static Cluster {
    CLUSTER.get_or_init(|| Cluster::start(Options::default())).await
}

impl Cluster {
    /// One of its own, whose API server has no streaming lists, as those of Kubernetes 1.33 have none.
    pub(crate) async fn without_streaming_lists() -> Self {
        let api_server_flags = vec!["--feature-gates=WatchList=false".to_owned()];
        Self::start(Options { api_server_flags, ..Options::default() }).await
    }

    /// The administrator's client.
    pub(crate) async fn client(&self) -> Client {
        client_of(&self.control_plane.kubeconfig_path()).await
    }

    /// The kubeconfig of a service account, once one of its rights is known.
    pub(crate) async fn kubeconfig_of(&self, namespace: &str, name: &str, right: &Right) -> PathBuf {
        kubeconfig_with(&self.control_plane, namespace, name, right).await
    }

    async fn start(options: Options) -> Self {
        let control_plane = ControlPlane::start(options).await.unwrap_or_else(|error| panic!("{error}"));
        let installed = install(&control_plane.kubeconfig_path()).await;
        let client = client_of(&control_plane.kubeconfig_path()).await;
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        await_condition(definitions, CRD_NAME, is_crd_established()).await.unwrap();
        let resources: Api<CognigyDeployment> = Api::all(client);
        resources.list(&Default::default()).await.unwrap();
        let right = Right {
            group: "deploy.cognigy.ai".to_owned(),
            resource: "cognigydeployments".to_owned(),
            names: Vec::new(),
            verb: "list".to_owned(),
        };
        let operators = kubeconfig_with(&control_plane, "cognigy-system", "cognigy-operator", &right).await;
        Self { control_plane, installed, operators }
    }
}

/// The administrator's kubeconfig of the running control plane; the first caller starts it.
pub(crate) async fn kubeconfig() -> PathBuf {
    cluster().await.control_plane.kubeconfig_path()
}

/// The kubeconfig of the operator as it is installed: its service account's own, with the rights of `deploy/`.
pub(crate) async fn operators_kubeconfig() -> PathBuf {
    cluster().await.operators.clone()
}

/// What `kubectl apply --server-side -k deploy/` said.
pub(crate) async fn installed() -> &'static str {
    &cluster().await.installed
}

/// The kubeconfig of another service account, once one of its rights is known.
pub(crate) async fn kubeconfig_of(namespace: &str, name: &str, right: &Right) -> PathBuf {
    cluster().await.kubeconfig_of(namespace, name, right).await
}

async fn kubeconfig_with(control_plane: &ControlPlane, namespace: &str, name: &str, right: &Right) -> PathBuf {
    let administrator = client_of(&control_plane.kubeconfig_path()).await;
    let path = account::kubeconfig(control_plane, &administrator, namespace, name).await;
    account::until_granted(&client_of(&path).await, namespace, right).await;
    path
}

async fn install(kubeconfig: &Path) -> String {
    let mut kubectl = Command::new("kubectl");
    kubectl.current_dir(env!("CARGO_MANIFEST_DIR")).arg("--kubeconfig").arg(kubeconfig);
    let output =
        kubectl.args(["apply", "--server-side", "-k", "deploy/"]).output().await.expect("kubectl is on the PATH");
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

/// A client of its own for each test: a client lives and dies with the runtime that made it.
pub(crate) async fn client() -> Client {
    cluster().await.client().await
}

/// A namespace that nobody else uses.
pub(crate) async fn namespace(client: &Client) -> String {
    let name = format!("bots-{}", NAMESPACES.fetch_add(1, Ordering::Relaxed));
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    name
}
