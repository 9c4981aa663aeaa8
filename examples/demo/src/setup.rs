//! Sets up what the operator needs: the CRDs, a namespace with Secrets, and a simulated Cognigy.AI.

use crate::cluster::Cluster;
use crate::error::{Error, Trying};
use crate::output::Output;
use crate::preflight::MADE_BY;
use crate::releases::{CREDENTIALS, NAMESPACE, RELEASES, Release, WEBHOOKS};
use api::crd;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ObjectMeta, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, ResourceExt};
use simulator::{Scenario, Server};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

const PLATFORM: &str = include_str!("../platform.yaml");

/// What the operator needs. [`Cluster`] removes the objects in the cluster.
pub struct Setup {
    /// The client of an administrator.
    pub kubernetes: Client,
    /// The simulated Cognigy.AI, which receives the CI/CD webhooks as well.
    pub simulator: Server,
}

impl Setup {
    /// Sets everything up, and prints each step.
    pub async fn prepare(cluster: &Cluster, output: &Output) -> Result<Self, Error> {
        let scenario = Scenario::parse(PLATFORM)
            .map_err(|error| Error::Script { file: "platform.yaml", problem: error.to_string() })?;
        let simulator = Server::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), scenario, None).await?;
        output.print_timed(&format!("a simulated Cognigy.AI is ready: {}", simulator.url()))?;

        let setup = Self { kubernetes: cluster.kubernetes.clone(), simulator };
        for definition in setup.install_definitions().await? {
            output.print_timed(&format!("the CRD {definition} is installed"))?;
        }
        setup.create_secrets().await?;
        output.print_timed(&format!("the namespace {NAMESPACE} has the Secrets that the resources name"))?;
        Ok(setup)
    }

    /// Stops the simulated Cognigy.AI.
    pub async fn stop(self) {
        self.simulator.shutdown().await;
    }

    /// Returns their names.
    async fn install_definitions(&self) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        let definitions: Api<CustomResourceDefinition> = Api::all(self.kubernetes.clone());
        for mut definition in crd::definitions() {
            definition.labels_mut().extend([made_by_the_demo()]);
            definitions.create(&PostParams::default(), &definition).await.trying("accept the CRDs")?;
            await_condition(definitions.clone(), &definition.name_any(), conditions::is_crd_established())
                .await
                .map_err(|error| Error::Kubernetes { what: "serve the CRDs", problem: error.to_string() })?;
            names.push(definition.name_any());
        }
        Ok(names)
    }

    async fn create_secrets(&self) -> Result<(), Error> {
        let namespaces: Api<Namespace> = Api::all(self.kubernetes.clone());
        let mut namespace = Namespace { metadata: named(NAMESPACE), ..Namespace::default() };
        namespace.labels_mut().extend([made_by_the_demo()]);
        namespaces.create(&PostParams::default(), &namespace).await.trying("create the namespace")?;

        let platform = self.simulator.url();
        let credentials = BTreeMap::from([
            ("clientId".to_owned(), "demo".to_owned()),
            ("clientSecret".to_owned(), "demo-secret".to_owned()),
            ("baseUrl".to_owned(), platform.clone()),
            ("tokenUrl".to_owned(), self.simulator.token_url()),
        ]);
        let webhook = |release: &Release| (release.name.to_owned(), format!("{platform}/webhooks/{}", release.name));
        let webhooks = RELEASES.iter().map(webhook).collect();
        let secrets: Api<Secret> = Api::namespaced(self.kubernetes.clone(), NAMESPACE);
        for (name, content) in [(CREDENTIALS, credentials), (WEBHOOKS, webhooks)] {
            let secret = Secret { metadata: named(name), string_data: Some(content), ..Secret::default() };
            secrets.create(&PostParams::default(), &secret).await.trying("accept a Secret")?;
        }
        Ok(())
    }
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }
}

fn made_by_the_demo() -> (String, String) {
    let (label, demo) = MADE_BY;
    (label.to_owned(), demo.to_owned())
}
