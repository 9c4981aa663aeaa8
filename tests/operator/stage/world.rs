//! The world of one test.

use super::chronicle::Chronicle;
use super::resource::Resource;
use super::sample::Sample;
use super::{DEADLINE, OperatorProcess, cluster, operator_command};
use api::CognigyDeployment;
use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Client;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::{Value, json};
use simulator::{Scenario, Server, Tls};
use std::fmt::Write;
use std::path::PathBuf;
use std::pin::pin;
use tokio::time::timeout;

/// A namespace, a simulated platform, a Secret that points to it, and an operator that watches the namespace.
pub(crate) struct World {
    pub(crate) namespace: String,
    pub(crate) client: Client,
    pub(crate) platform: Server,
    flags: Vec<String>,
    variables: Vec<(String, String)>,
    operator: Option<OperatorProcess>,
}

/// How a world is to be.
#[derive(Default)]
pub(crate) struct Plan {
    scenario: String,
    flags: Vec<String>,
    variables: Vec<(String, String)>,
    tls: Option<Tls>,
    without_secret: bool,
    without_operator: bool,
}

impl Plan {
    /// With a platform like this (a scenario's YAML).
    pub(crate) fn scenario(mut self, scenario: &str) -> Self {
        self.scenario = scenario.to_owned();
        self
    }

    /// With more flags for the operator. `{url}` stands for the platform's address.
    pub(crate) fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    /// With an environment variable for the operator. `{url}` stands for the platform's address.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a platform that speaks TLS.
    pub(crate) fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Without the Secret.
    pub(crate) fn without_secret(mut self) -> Self {
        self.without_secret = true;
        self
    }

    /// Without an operator, for now.
    pub(crate) fn without_operator(mut self) -> Self {
        self.without_operator = true;
        self
    }

    pub(crate) async fn start(self) -> World {
        let client = cluster::client().await;
        let namespace = cluster::namespace(&client).await;
        // The budget has tests of its own; here it would only spread the first minute's requests.
        let scenario = format!("rateLimit: {{requestsPerMinute: 6000}}\n{}", self.scenario);
        let scenario = Scenario::parse(&scenario).unwrap_or_else(|error| panic!("{error}"));
        let platform = Server::bind("127.0.0.1:0".parse().unwrap(), scenario, self.tls).await.unwrap();
        let url = platform.url();
        let resolve = |text: &String| text.replace("{url}", &url).replace("{namespace}", &namespace);
        let own = ["--namespace", "{namespace}", "--egress-allow", "127.0.0.1"].map(str::to_owned);
        let flags = own.iter().chain(&self.flags).map(resolve).collect();
        let variables = self.variables.iter().map(|(name, value)| (name.clone(), resolve(value))).collect();
        let mut world = World { namespace, client, platform, flags, variables, operator: None };
        if !self.without_secret {
            world.secret("cognigy-api", world.credentials()).await;
        }
        if !self.without_operator {
            world.start_operator().await;
        }
        world
    }
}

impl World {
    /// A world in which everything goes well.
    pub(crate) async fn start() -> Self {
        Self::plan().start().await
    }

    /// A world in which the sample's environment is like this (YAML).
    pub(crate) async fn with_environment(script: &str) -> Self {
        Self::plan().scenario(&format!("environments: {{env_prod_us_01: {{{script}}}}}")).start().await
    }

    /// A world in which jobs run until [`let_jobs_end`](Self::let_jobs_end), in an environment like this (YAML).
    pub(crate) async fn with_running_jobs(script: &str) -> Self {
        let running = "faults: [{call: job, times: forever, fault: {body: {status: running}}}]";
        let environment = format!("environments: {{env_prod_us_01: {{{script}}}}}");
        Self::plan().scenario(&format!("{running}\n{environment}")).start().await
    }

    pub(crate) fn plan() -> Plan {
        Plan::default()
    }

    /// What the Secret holds.
    pub(crate) fn credentials(&self) -> Value {
        json!({
            "clientId": "demo",
            "clientSecret": "demo-secret",
            "baseUrl": self.platform.url(),
            "tokenUrl": self.platform.token_url(),
            "requestsPerMinute": "6000",
        })
    }

    pub(crate) async fn secret(&self, name: &str, data: Value) {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let metadata = json!({"name": name});
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data});
        secrets.patch(name, &PatchParams::apply("tests").force(), &Patch::Apply(secret)).await.unwrap();
    }

    pub(crate) async fn delete_secret(&self, name: &str) {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        secrets.delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// A ConfigMap that is watched, with this text as its key `snapshot`.
    pub(crate) async fn config_map(&self, name: &str, snapshot: &str) {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let metadata = json!({"name": name, "labels": {"deploy.cognigy.ai/watch": "true"}});
        let data = json!({"snapshot": snapshot});
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data});
        maps.patch(name, &PatchParams::apply("tests").force(), &Patch::Apply(map)).await.unwrap();
    }

    /// Applies a resource, as `kubectl apply --server-side` does.
    pub(crate) async fn apply(&self, sample: Sample) -> Resource<'_> {
        let resource = self.resource(sample.name());
        resource.edit(&sample).await;
        resource
    }

    /// Records every version of a resource from now on.
    pub(crate) async fn chronicle(&self, name: &str) -> Chronicle {
        Chronicle::begin(self.resources(), name).await
    }

    pub(crate) fn resource(&self, name: &str) -> Resource<'_> {
        Resource::new(self, name)
    }

    pub(crate) fn resources(&self) -> Api<CognigyDeployment> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Writes into the status, as another version of the operator would.
    pub(crate) async fn patch_status(&self, name: &str, patch: Value) {
        self.raws().patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// A resource as it is stored, whatever its status holds.
    pub(crate) async fn raw(&self, name: &str) -> Value {
        serde_json::to_value(self.raws().get(name).await.unwrap()).unwrap()
    }

    fn raws(&self) -> Api<DynamicObject> {
        let resource = ApiResource::erase::<CognigyDeployment>(&());
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    pub(crate) async fn kubeconfig(&self) -> PathBuf {
        cluster::kubeconfig().await
    }

    pub(crate) fn operator(&self) -> &OperatorProcess {
        self.operator.as_ref().expect("the operator runs")
    }

    /// Starts an operator as the first one was started.
    pub(crate) async fn start_operator(&mut self) {
        let kubeconfig = cluster::operators_kubeconfig().await;
        self.operator = Some(operator_command(&kubeconfig, &self.flags, &self.variables).start().await);
    }

    /// Ends the operator as a crash would.
    pub(crate) async fn kill_operator(&mut self) {
        self.take_operator().kill().await;
    }

    pub(crate) fn take_operator(&mut self) -> OperatorProcess {
        self.operator.take().expect("the operator runs")
    }

    /// What a person would look at to see why something does not happen.
    pub(crate) async fn report(&self, missing: &str) -> String {
        let mut text = format!("not within {} s: {missing}\n", DEADLINE.as_secs());
        let list = timeout(DEADLINE, async { self.resources().list(&Default::default()).await }).await;
        for object in list.ok().and_then(Result::ok).into_iter().flatten() {
            let name = object.metadata.name.clone().unwrap_or_default();
            let status = serde_json::to_string_pretty(&object.status).unwrap_or_default();
            writeln!(text, "--- status of {name} (generation {:?}):\n{status}", object.metadata.generation).unwrap();
            for event in self.resource(&name).events().await {
                let (kind, reason) = (event.type_.unwrap_or_default(), event.reason.unwrap_or_default());
                writeln!(text, "  {kind} {reason}: {}", event.note.unwrap_or_default()).unwrap();
            }
        }
        writeln!(text, "--- the platform was asked:").unwrap();
        for record in self.journal() {
            let (at, call, status) = (record.received_at, record.call, record.status);
            writeln!(text, "  {at} {call:?} {status:?} {:?} {:?}", record.fault, record.violations).unwrap();
        }
        match &self.operator {
            Some(operator) => write!(text, "--- the operator's log:\n{}", operator.log().tail()).unwrap(),
            None => writeln!(text, "--- no operator runs").unwrap(),
        }
        text
    }
}

/// Whatever a test is about: the operator has kept to the contract, to one job at a time, and to its rights.
impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let log = self.operator.as_ref().map(|operator| operator.log().text()).unwrap_or_default();
        let tells_of_a_refusal =
            |line: &&str| ["system:serviceaccount:", "may not read"].iter().any(|words| line.contains(words));
        let refused = log.lines().find(tells_of_a_refusal);
        assert_eq!(refused, None, "the API server refused something that the installation does not grant");
        self.platform.handle().with(|world| {
            assert_eq!(world.violations().collect::<Vec<_>>(), Vec::<&_>::new(), "the contract was broken");
            for (id, environment) in world.environments() {
                assert_eq!(environment.overlaps(), [], "{id} had two jobs at once");
            }
        });
    }
}

/// The first object that is as wanted, there already or still to come.
pub(super) async fn first<K>(api: Api<K>, which: watcher::Config, is_it: impl Fn(&K) -> bool) -> K
where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let mut objects = pin!(watcher(api, which).default_backoff().touched_objects());
    loop {
        match objects.next().await {
            Some(Ok(object)) if is_it(&object) => return object,
            Some(_) => {}
            None => panic!("the watch has ended"),
        }
    }
}
