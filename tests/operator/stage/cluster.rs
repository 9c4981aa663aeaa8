//! The control plane that all tests share, with the CRD in place.

use cognigy_operator::api::CognigyDeployment;
use control_plane::{ControlPlane, Options};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::wait::{await_condition, conditions::is_crd_established};
use kube::{Client, Config};
use serde_json::json;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::OnceCell;

static CONTROL_PLANE: OnceCell<ControlPlane> = OnceCell::const_new();
static NAMESPACES: AtomicU32 = AtomicU32::new(1);

const CRD: &str = include_str!("../../../crds/deploy.cognigy.ai_cognigydeployments.yaml");
const CRD_NAME: &str = "cognigydeployments.deploy.cognigy.ai";

/// The administrator's kubeconfig of the running control plane; the first caller starts it.
pub(crate) async fn kubeconfig() -> PathBuf {
    CONTROL_PLANE.get_or_init(start).await.kubeconfig_path()
}

async fn start() -> ControlPlane {
    let control_plane = ControlPlane::start(Options::default()).await.unwrap_or_else(|error| panic!("{error}"));
    let client = client_of(control_plane.kubeconfig_path()).await;
    let definition: CustomResourceDefinition = serde_saphyr::from_str(CRD).unwrap();
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    definitions.patch(CRD_NAME, &PatchParams::apply("tests"), &Patch::Apply(definition)).await.unwrap();
    await_condition(definitions, CRD_NAME, is_crd_established()).await.unwrap();
    let resources: Api<CognigyDeployment> = Api::all(client);
    resources.list(&Default::default()).await.unwrap();
    control_plane
}

/// A client of its own for each test: a client lives and dies with the runtime that made it.
pub(crate) async fn client() -> Client {
    client_of(kubeconfig().await).await
}

async fn client_of(kubeconfig: PathBuf) -> Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// A namespace that nobody else uses.
pub(crate) async fn namespace(client: &Client) -> String {
    let name = format!("bots-{}", NAMESPACES.fetch_add(1, Ordering::Relaxed));
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    name
}
