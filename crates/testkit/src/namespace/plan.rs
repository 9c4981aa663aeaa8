//! How a test's namespace is set up.

use super::TestNamespace;
use crate::Cluster;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::PostParams;
use serde_json::json;
use simulator::{Scenario, Server, Tls};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// A builder for a [`TestNamespace`].
#[must_use]
pub struct NamespacePlan<'c> {
    cluster: &'c Cluster,
    binary: PathBuf,
    kubeconfig: PathBuf,
    scenario: String,
    flags: Vec<String>,
    variables: Vec<(String, String)>,
    tls: Option<Tls>,
    without_secret: bool,
    without_operator: bool,
}

impl Cluster {
    /// Plans a namespace in this cluster. `binary` is the operator under test:
    /// `env!("CARGO_BIN_EXE_cognigy-operator")`. It acts as an administrator.
    pub fn plan(&self, binary: &str) -> NamespacePlan<'_> {
        NamespacePlan {
            cluster: self,
            binary: binary.into(),
            kubeconfig: self.kubeconfig(),
            scenario: String::new(),
            flags: Vec::new(),
            variables: Vec::new(),
            tls: None,
            without_secret: false,
            without_operator: false,
        }
    }
}

impl NamespacePlan<'_> {
    /// Gives the operator another kubeconfig.
    pub fn operator_kubeconfig(mut self, kubeconfig: &Path) -> Self {
        self.kubeconfig = kubeconfig.to_owned();
        self
    }

    /// Gives the platform a scenario (YAML).
    pub fn scenario(mut self, scenario: &str) -> Self {
        self.scenario = scenario.to_owned();
        self
    }

    /// Gives the operator more flags. `{url}` stands for the platform's address, `{namespace}` for the namespace.
    pub fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    /// Gives the operator an environment variable. `{url}` and `{namespace}` are replaced as in flags.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Makes the platform serve TLS.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Does not create the Secret.
    pub fn without_secret(mut self) -> Self {
        self.without_secret = true;
        self
    }

    /// Does not start an operator.
    pub fn without_operator(mut self) -> Self {
        self.without_operator = true;
        self
    }

    /// Creates the namespace and the Secret, and starts the platform and the operator.
    pub async fn start(self) -> TestNamespace {
        let (name, client) = (self.cluster.unused_namespace(), self.cluster.client().await);
        // Other tests cover the request budget. A small budget would only delay the requests of the first minute here.
        let scenario = format!("rateLimit: {{requestsPerMinute: 6000}}\n{}", self.scenario);
        let scenario = Scenario::parse(&scenario).unwrap_or_else(|error| panic!("{error}"));
        let platform = Server::bind("127.0.0.1:0".parse().unwrap(), scenario, self.tls).await.unwrap();
        let url = platform.url();
        let resolve = |text: &String| text.replace("{url}", &url).replace("{namespace}", &name);
        let own = ["--namespace", "{namespace}", "--egress-allow", "127.0.0.1"].map(str::to_owned);
        let mut namespace = TestNamespace {
            flags: own.iter().chain(&self.flags).map(resolve).collect(),
            variables: self.variables.iter().map(|(name, value)| (name.clone(), resolve(value))).collect(),
            name: name.clone(),
            client,
            platform,
            binary: self.binary,
            kubeconfig: self.kubeconfig,
            operator: None,
            logs: Mutex::default(),
            environments: Mutex::new(BTreeMap::new()),
        };
        let object: Namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        namespace.cluster_api::<Namespace>().create(&PostParams::default(), &object).await.unwrap();
        if !self.without_secret {
            namespace.put_secret("cognigy-api", namespace.credentials()).await;
        }
        if !self.without_operator {
            namespace.start_operator().await;
        }
        namespace
    }
}
