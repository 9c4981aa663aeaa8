//! What the operator needs around it: a Kubernetes API server, a Cognigy.AI, the CRD, and a namespace with Secrets.

use crate::cast::{CAST, NAMESPACE, Role};
use crate::error::{Error, Trying};
use crate::narrator::Narrator;
use api::crd;
use control_plane::ControlPlane;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ObjectMeta, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, ResourceExt};
use simulator::{Scenario, Server};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

const PLATFORM: &str = include_str!("platform.yaml");

/// The stage. It is gone when it is dropped or the process ends.
pub struct Stage {
    /// The client of an administrator.
    pub kubernetes: Client,
    /// The simulated Cognigy.AI, which receives the CI/CD webhooks as well.
    pub simulator: Server,
    control_plane: ControlPlane,
}

impl Stage {
    /// Sets everything up, and says so.
    pub async fn set(narrator: &Narrator) -> Result<Self, Error> {
        narrator
            .say("starting a Kubernetes API server (where there is none to start yet, it is built once: minutes)")?;
        let control_plane = ControlPlane::start(control_plane::Options::default()).await?;
        let kubernetes = connect(&control_plane).await?;
        narrator.say(&format!("the API server is ready: {}", control_plane.server()))?;

        let scenario = Scenario::parse(PLATFORM)
            .map_err(|error| Error::Script { file: "platform.yaml", problem: error.to_string() })?;
        let simulator = Server::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), scenario, None).await?;
        narrator.say(&format!("a simulated Cognigy.AI is ready: {}", simulator.url()))?;

        let stage = Self { kubernetes, simulator, control_plane };
        stage.install_definition().await?;
        narrator.say("the CRD cognigydeployments.deploy.cognigy.ai is installed")?;
        stage.furnish().await?;
        narrator.say(&format!("the namespace {NAMESPACE} has the Secrets that the resources name"))?;
        Ok(stage)
    }

    /// The kubeconfig, for the operator and for whoever wants to look around.
    pub fn kubeconfig(&self) -> PathBuf {
        self.control_plane.kubeconfig_path()
    }

    /// Ends everything on the stage.
    pub async fn strike(self) {
        self.simulator.shutdown().await;
        self.control_plane.stop();
    }

    async fn install_definition(&self) -> Result<(), Error> {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.kubernetes.clone());
        let definition = crd::definition();
        definitions.create(&PostParams::default(), &definition).await.trying("take the CRD")?;
        await_condition(definitions, &definition.name_any(), conditions::is_crd_established())
            .await
            .map_err(|error| Error::Kubernetes { what: "serve the CRD", problem: error.to_string() })?;
        Ok(())
    }

    async fn furnish(&self) -> Result<(), Error> {
        let namespaces: Api<Namespace> = Api::all(self.kubernetes.clone());
        let namespace = Namespace { metadata: named(NAMESPACE), ..Namespace::default() };
        namespaces.create(&PostParams::default(), &namespace).await.trying("make the namespace")?;

        let platform = self.simulator.url();
        let credentials = BTreeMap::from([
            ("clientId".to_owned(), "demo".to_owned()),
            ("clientSecret".to_owned(), "demo-secret".to_owned()),
            ("baseUrl".to_owned(), platform.clone()),
            ("tokenUrl".to_owned(), self.simulator.token_url()),
        ]);
        let webhook = |role: &Role| (role.name.to_owned(), format!("{platform}/webhooks/{}", role.name));
        let webhooks = CAST.iter().map(webhook).collect();
        let secrets: Api<Secret> = Api::namespaced(self.kubernetes.clone(), NAMESPACE);
        for (name, content) in [("cognigy-api", credentials), ("ci-webhooks", webhooks)] {
            let secret = Secret { metadata: named(name), string_data: Some(content), ..Secret::default() };
            secrets.create(&PostParams::default(), &secret).await.trying("take a Secret")?;
        }
        Ok(())
    }
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }
}

async fn connect(control_plane: &ControlPlane) -> Result<Client, Error> {
    let unusable = |problem: String| Error::Kubernetes { what: "give a usable kubeconfig", problem };
    let kubeconfig =
        Kubeconfig::read_from(control_plane.kubeconfig_path()).map_err(|error| unusable(error.to_string()))?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(|error| unusable(error.to_string()))?;
    Client::try_from(config).map_err(|error| unusable(error.to_string()))
}
