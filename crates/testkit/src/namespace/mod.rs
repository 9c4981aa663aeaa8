//! What one test works with: a namespace, a simulated platform, and operators.

mod operators;
mod plan;
pub(crate) mod platform;

use super::resource::Resource;
use super::sample::Sample;
use super::versions::VersionRecorder;
use super::{DEADLINE, Log, OperatorProcess};
use api::CognigyDeployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::Client;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use simulator::{RequestFilter, Server};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Mutex;
use tokio::time::timeout;

pub use plan::NamespacePlan;

/// A namespace with a simulated platform, the Secret `cognigy-api` that points to it, and operators that watch the
/// namespace.
///
/// When it is dropped, it checks what must hold in every test: the requests kept to the contract, no environment had
/// two jobs at once, and the API server refused nothing to the operator that [`start_operator`](Self::start_operator)
/// started.
pub struct TestNamespace {
    /// The name of the namespace.
    pub name: String,
    /// A client with the rights of an administrator.
    pub client: Client,
    /// The simulated platform.
    pub platform: Server,
    binary: PathBuf,
    kubeconfig: PathBuf,
    flags: Vec<String>,
    variables: Vec<(String, String)>,
    operator: Option<OperatorProcess>,
    /// The logs of all operators so far.
    logs: Mutex<Vec<Log>>,
    /// The environment of each resource that was applied, by the name of the resource.
    environments: Mutex<BTreeMap<String, String>>,
}

impl TestNamespace {
    /// Applies a resource, as `kubectl apply --server-side` does.
    pub async fn apply(&self, sample: Sample) -> Resource<'_> {
        let resource = self.resource(sample.name());
        resource.edit(&sample).await;
        resource
    }

    /// A resource of this namespace. It need not exist.
    #[must_use]
    pub fn resource(&self, name: &str) -> Resource<'_> {
        Resource::new(self, name)
    }

    /// Records every version of a resource that is written from now on.
    pub async fn record_versions(&self, name: &str) -> VersionRecorder {
        VersionRecorder::start(self.resources(), name).await
    }

    /// The values of the Secret `cognigy-api`.
    #[must_use]
    pub fn credentials(&self) -> Value {
        json!({
            "clientId": "demo",
            "clientSecret": "demo-secret",
            "baseUrl": self.platform.url(),
            "tokenUrl": self.platform.token_url(),
            "requestsPerMinute": "6000",
        })
    }

    /// Applies a Secret.
    pub async fn put_secret(&self, name: &str, data: Value) {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
        let apply = PatchParams::apply("tests").force();
        self.api::<Secret>().patch(name, &apply, &Patch::Apply(secret)).await.unwrap();
    }

    /// Deletes a Secret.
    pub async fn delete_secret(&self, name: &str) {
        self.api::<Secret>().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Applies a ConfigMap that the operator watches, with this text as its key `snapshot`.
    pub async fn put_config_map(&self, name: &str, snapshot: &str) {
        self.try_put_config_map(name, snapshot).await.unwrap();
    }

    /// Does the same, and returns the error if the API server refuses it or cannot be reached.
    pub async fn try_put_config_map(&self, name: &str, snapshot: &str) -> Result<(), kube::Error> {
        let metadata = json!({"name": name, "labels": {"deploy.cognigy.ai/watch": "true"}});
        let data = json!({"snapshot": snapshot});
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data});
        let apply = PatchParams::apply("tests").force();
        self.api::<ConfigMap>().patch(name, &apply, &Patch::Apply(map)).await.map(drop)
    }

    /// The CognigyDeployments of this namespace.
    #[must_use]
    pub fn resources(&self) -> Api<CognigyDeployment> {
        self.api()
    }

    /// The CognigyDeployments of this namespace, without our types: a status may hold what they cannot read.
    pub(crate) fn untyped_resources(&self) -> Api<DynamicObject> {
        let resource = ApiResource::erase::<CognigyDeployment>(&());
        Api::namespaced_with(self.client.clone(), &self.name, &resource)
    }

    /// The objects of one kind in this namespace.
    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// The objects of one kind that belong to no namespace.
    #[must_use]
    pub fn cluster_api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::ClusterResourceScope, DynamicType = ()>,
    {
        Api::all(self.client.clone())
    }

    pub(crate) fn remember_environment(&self, sample: &Sample) {
        let environment = sample.environment_id().to_owned();
        self.environments.lock().unwrap().insert(sample.name().to_owned(), environment);
    }

    pub(crate) fn environment_of(&self, resource: &str) -> String {
        let environments = self.environments.lock().unwrap();
        environments.get(resource).unwrap_or_else(|| panic!("{resource} was not applied")).clone()
    }

    /// Everything that helps to find out why something did not happen: statuses, events, requests and logs.
    pub async fn report(&self, missing: &str) -> String {
        let mut text = format!("not within {} s: {missing}\n", DEADLINE.as_secs());
        let list = timeout(DEADLINE / 4, async { self.resources().list(&Default::default()).await }).await;
        for object in list.ok().and_then(Result::ok).into_iter().flatten() {
            let name = object.metadata.name.unwrap_or_default();
            let status = serde_json::to_string_pretty(&object.status).unwrap_or_default();
            writeln!(text, "--- status of {name} (generation {:?}):\n{status}", object.metadata.generation).unwrap();
        }
        writeln!(text, "--- events:").unwrap();
        let events = timeout(DEADLINE / 4, async { self.api::<Event>().list(&Default::default()).await }).await;
        for event in events.ok().and_then(Result::ok).into_iter().flatten() {
            let (kind, reason) = (event.type_.unwrap_or_default(), event.reason.unwrap_or_default());
            let name = event.regarding.and_then(|object| object.name).unwrap_or_default();
            writeln!(text, "  {name}: {kind} {reason}: {}", event.note.unwrap_or_default()).unwrap();
        }
        writeln!(text, "--- requests to the platform:").unwrap();
        self.platform.handle().with(|world| {
            for record in world.requests(&RequestFilter::default()) {
                let (at, call, environment) = (record.received_at, record.call, &record.environment_id);
                let (status, fault, violations) = (record.status, &record.fault, &record.violations);
                writeln!(text, "  {at} {call:?} {environment:?} {status:?} {fault:?} {violations:?}").unwrap();
            }
        });
        self.logs.lock().unwrap().iter().for_each(|log| text.push_str(&log.tail()));
        text
    }
}

impl Drop for TestNamespace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let log = self.operator.as_ref().map(|operator| operator.log().text()).unwrap_or_default();
        let is_refusal =
            |line: &&str| ["system:serviceaccount:", "may not read"].iter().any(|text| line.contains(text));
        let refused = log.lines().find(is_refusal);
        assert_eq!(refused, None, "the operator used a right that the installation does not grant");
        self.platform.handle().with(|world| {
            assert_eq!(world.violations().collect::<Vec<_>>(), Vec::<&_>::new(), "the contract was broken");
            for (id, environment) in world.environments() {
                assert_eq!(environment.overlaps(), [], "{id} had two jobs at once");
            }
        });
    }
}
