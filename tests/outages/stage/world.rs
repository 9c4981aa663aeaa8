//! A test's own world: the control plane for itself, a namespace, operators, and a platform.

use super::{Cluster, CognigyDeployment, DEADLINE, OperatorProcess, Resource, Value, json, operator_command};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, Resource as _};
use serde::de::DeserializeOwned;
use simulator::{FaultRule, RequestFilter, Scenario, Server};
use std::fmt::Write;
use std::path::Path;
use std::sync::Mutex;
use testkit::Log;
use tokio::sync::MutexGuard;
use tokio::time::timeout;

/// A test's own world. While it lives, no other test uses its control plane.
pub(crate) struct World {
    pub(crate) platform: Server,
    pub(crate) client: Client,
    pub(crate) namespace: String,
    logs: Mutex<Vec<Log>>,
    cluster: MutexGuard<'static, Option<Cluster>>,
}

impl World {
    /// A world in which everything goes well, without an operator.
    pub(crate) async fn start() -> Self {
        let mut cluster = Cluster::lock().await;
        let namespace = cluster.as_mut().unwrap().new_namespace();
        let client = cluster.as_ref().unwrap().client().await;
        let scenario = Scenario::parse("rateLimit: {requestsPerMinute: 6000}").unwrap();
        let platform = Server::bind("127.0.0.1:0".parse().unwrap(), scenario, None).await.unwrap();
        let world = Self { platform, client, namespace, logs: Mutex::default(), cluster };
        let created: Namespace = from(json!({"metadata": {"name": world.namespace}}));
        world.all::<Namespace>().create(&PostParams::default(), &created).await.unwrap();
        world.put_secret().await;
        world
    }

    /// The control plane.
    pub(crate) fn cluster(&mut self) -> &mut Cluster {
        self.cluster.as_mut().unwrap()
    }

    /// Starts an operator that is alone.
    pub(crate) async fn operator(&self, name: &str) -> OperatorProcess {
        self.operator_with(name, &self.cluster.as_ref().unwrap().kubeconfig(), &[]).await
    }

    /// Starts a replica that takes part in the election, with these terms.
    pub(crate) async fn replica(&self, name: &str, terms: &[&str]) -> OperatorProcess {
        let replica = self.spawn_replica(name, terms);
        replica.until_running().await;
        replica
    }

    /// The same, without waiting for it to run.
    pub(crate) fn spawn_replica(&self, name: &str, terms: &[&str]) -> OperatorProcess {
        let namespace = format!("--leader-election-namespace={}", self.namespace);
        let flags: Vec<&str> = ["--leader-elect", &namespace].iter().chain(terms).copied().collect();
        self.spawn_operator(name, &self.cluster.as_ref().unwrap().kubeconfig(), &flags)
    }

    pub(crate) async fn operator_with(&self, name: &str, kubeconfig: &Path, flags: &[&str]) -> OperatorProcess {
        let operator = self.spawn_operator(name, kubeconfig, flags);
        operator.until_running().await;
        operator
    }

    /// The same, without waiting for it to run.
    pub(crate) fn spawn_operator(&self, name: &str, kubeconfig: &Path, flags: &[&str]) -> OperatorProcess {
        let mut all = vec![format!("--namespace={}", self.namespace)];
        all.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let operator = operator_command(name, kubeconfig, &all).spawn();
        self.logs.lock().unwrap().push(operator.log().clone());
        operator
    }

    /// Applies a resource whose environment has its name; it is watched every second.
    pub(crate) async fn apply(&self, name: &'static str) -> Resource<'_> {
        self.apply_version(name, "2.4.1").await
    }

    /// The same with another version of the bot.
    pub(crate) async fn apply_version(&self, name: &'static str, bot_version: &str) -> Resource<'_> {
        let sample = sample(name, bot_version, &self.webhook());
        let apply = PatchParams::apply("tests").force();
        self.resources().patch(name, &apply, &Patch::Apply(sample)).await.unwrap();
        self.resource(name)
    }

    /// The webhook that samples name.
    pub(crate) fn webhook(&self) -> String {
        format!("{}/webhooks/ci", self.platform.url())
    }

    /// Creates a resource with this snapshot, JSON text of any depth.
    pub(crate) async fn create(&self, name: &str, snapshot: &str) {
        let body = format!(
            r#"{{"apiVersion":"deploy.cognigy.ai/v1alpha1","kind":"CognigyDeployment","metadata":{{"name":"{name}"}},"spec":{{"environmentId":"{name}","configurationSnapshot":{snapshot},"credentialsRef":{{"name":"cognigy-api"}}}}}}"#
        );
        let path = CognigyDeployment::url_path(&(), Some(&self.namespace));
        let create = kube::core::Request::new(path).create(&PostParams::default(), body.into_bytes()).unwrap();
        self.client.request_text(create).await.unwrap();
    }

    pub(crate) fn resource(&self, name: &'static str) -> Resource<'_> {
        Resource { world: self, name }
    }

    /// Something goes wrong from now on (YAML).
    pub(crate) fn fault(&self, rule: &str) {
        let rule: FaultRule = serde_saphyr::from_str(rule).unwrap();
        self.platform.handle().with(|world| world.add_fault(rule));
    }

    /// Jobs run until [`World::mend`].
    pub(crate) fn jobs_run(&self) {
        self.fault("{call: job, times: forever, fault: {body: {status: running}}}");
    }

    /// Nothing scripted goes wrong any more.
    pub(crate) fn mend(&self) {
        self.platform.handle().with(|world| world.clear_faults());
    }

    pub(crate) fn resources(&self) -> Api<CognigyDeployment> {
        self.own()
    }

    /// Objects of the test's namespace.
    pub(crate) fn own<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Objects of the cluster.
    pub(crate) fn all<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::ClusterResourceScope, DynamicType = ()>,
    {
        Api::all(self.client.clone())
    }

    /// The Secret with the platform's address and credentials.
    pub(crate) async fn put_secret(&self) {
        let data = json!({
            "clientId": "demo",
            "clientSecret": "demo-secret",
            "baseUrl": self.platform.url(),
            "tokenUrl": self.platform.token_url(),
            "requestsPerMinute": "6000",
        });
        let metadata = json!({"name": "cognigy-api"});
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data});
        let apply = PatchParams::apply("tests").force();
        self.own::<Secret>().patch("cognigy-api", &apply, &Patch::Apply(secret)).await.unwrap();
    }

    /// What a person would look at to see why something does not happen.
    pub(crate) async fn report(&self, missing: &str) -> String {
        let mut text = format!("not within {} s: {missing}\n", DEADLINE.as_secs());
        let list = timeout(DEADLINE / 4, async { self.resources().list(&Default::default()).await }).await;
        for object in list.ok().and_then(Result::ok).into_iter().flatten() {
            let status = serde_json::to_string_pretty(&object.status).unwrap_or_default();
            writeln!(text, "--- {:?}:\n{status}", object.metadata.name).unwrap();
        }
        let events = timeout(DEADLINE / 4, async { self.own::<Event>().list(&Default::default()).await }).await;
        for event in events.ok().and_then(Result::ok).into_iter().flatten() {
            writeln!(text, "  {:?} {:?}: {:?}", event.type_, event.reason, event.note).unwrap();
        }
        writeln!(text, "--- the platform was asked:").unwrap();
        self.platform.handle().with(|world| {
            for record in world.requests(&RequestFilter::default()) {
                let (at, call, environment) = (record.received_at, record.call, &record.environment_id);
                writeln!(text, "  {at} {call:?} {environment:?} {:?} {:?}", record.status, record.fault).unwrap();
            }
        });
        self.logs.lock().unwrap().iter().for_each(|log| text.push_str(&log.tail()));
        text
    }
}

/// Whatever a test is about: the operator has kept to the contract, and to one job at a time.
impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.platform.handle().with(|world| {
            assert_eq!(world.violations().collect::<Vec<_>>(), Vec::<&_>::new(), "the contract was broken");
            for (id, environment) in world.environments() {
                assert_eq!(environment.overlaps(), [], "{id} had two jobs at once");
            }
        });
    }
}

/// A resource whose environment has its name; it is watched every second.
pub(crate) fn sample(name: &str, bot_version: &str, webhook: &str) -> Value {
    json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1",
        "kind": "CognigyDeployment",
        "metadata": {"name": name},
        "spec": {
            "environmentId": name,
            "configurationSnapshot": {"botVersion": bot_version},
            "rollbackPolicy": {"healthThreshold": 2, "timeoutSeconds": 300},
            "monitoring": {"intervalSeconds": 1},
            "credentialsRef": {"name": "cognigy-api"},
            "webhook": {"url": webhook},
        },
    })
}

/// An object from what a person would write.
pub(crate) fn from<K: DeserializeOwned>(object: Value) -> K {
    serde_json::from_value(object).unwrap()
}
