//! The resources of a run, and the simulated users who change them.

use crate::Failure;
use crate::time::Time;
use api::status::Step;
use api::{ChangeWindow, CognigyDeployment, CognigyDeploymentStatus};
use futures::StreamExt;
use futures::stream;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::pin::pin;
use std::time::Duration;

/// The number of resources in each of four namespaces of unequal size, if there are 150 resources.
const SHARES: [usize; 4] = [60, 50, 30, 10];
/// One in this many environments is bad.
const BAD_IN: usize = 5;
/// How many resources are created at the same time.
const MADE_AT_ONCE: usize = 32;
/// The Secret that every resource names.
const SECRET: &str = "cognigy-api";

/// One resource, and the environment that it deploys to.
#[derive(Clone, Debug)]
pub struct Member {
    /// The index of its namespace, from 0.
    pub namespace: usize,
    /// Its name.
    pub name: String,
    /// Its environment. No other resource has it.
    pub environment: String,
    /// Whether every deployment in this environment is unhealthy.
    pub is_bad: bool,
}

/// The resources of a run.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// Each of them.
    pub members: Vec<Member>,
}

/// The part of the spec that differs between runs.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The time-out of a rollout, in seconds.
    pub timeout_seconds: u32,
    /// When the change window of each namespace opens, if there is one.
    pub opens_at: Option<Timestamp>,
}

impl Fleet {
    /// This many resources, spread over the namespaces. The bad ones are spread over each namespace.
    pub fn of(size: usize) -> Self {
        let total: usize = SHARES.iter().sum();
        let members = (0..SHARES.len()).flat_map(|namespace| {
            let before: usize = SHARES[..namespace].iter().sum();
            let (first, end) = (size * before / total, size * (before + SHARES[namespace]) / total);
            (0..end - first).map(move |number| Member {
                namespace,
                name: format!("bot-{number}"),
                environment: format!("env-{namespace}-{number}"),
                is_bad: number % BAD_IN == BAD_IN / 2,
            })
        });
        Self { members: members.collect() }
    }

    /// The number of namespaces.
    pub fn namespaces(&self) -> usize {
        self.members.iter().map(|member| member.namespace + 1).max().unwrap_or_default()
    }

    /// Creates the namespaces, a Secret for this platform in each of them, and the resources.
    ///
    /// # Errors
    /// If the API server refuses one of them.
    pub async fn make(&self, client: &Client, url: &str, policy: Policy) -> Result<(), Failure> {
        for namespace in 0..self.namespaces() {
            let name = name_of(namespace);
            let object: Namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
            Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &object).await?;
            let credentials = json!({
                "clientId": "demo", "clientSecret": "demo-secret",
                "baseUrl": url, "tokenUrl": format!("{url}/oauth/token"),
            });
            let secret: Secret =
                serde_json::from_value(json!({"metadata": {"name": SECRET}, "stringData": credentials}))?;
            Api::<Secret>::namespaced(client.clone(), &name).create(&PostParams::default(), &secret).await?;
            if let Some(opens_at) = policy.opens_at {
                let once = json!({"from": opens_at - SignedDuration::from_hours(48), "to": opens_at});
                let spec = json!({"type": "Deny", "timeZone": "UTC", "once": once});
                let freeze: ChangeWindow = serde_json::from_value(json!({
                    "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "ChangeWindow", "metadata": {"name": "freeze"}, "spec": spec,
                }))?;
                Api::<ChangeWindow>::namespaced(client.clone(), &name).create(&PostParams::default(), &freeze).await?;
            }
        }
        let mut made = stream::iter(self.members.iter().map(|member| async move {
            let object: CognigyDeployment = serde_json::from_value(manifest(member, policy))?;
            resources(client, &name_of(member.namespace)).create(&PostParams::default(), &object).await?;
            Ok::<(), Failure>(())
        }))
        .buffer_unordered(MADE_AT_ONCE);
        while let Some(result) = made.next().await {
            result?;
        }
        Ok(())
    }
}

/// The simulated users who own the resources.
pub struct SimulatedUsers {
    client: Client,
    time: Time,
}

/// The end of a run.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// The number of resources at rest.
    pub resources: usize,
    /// When the last of them was observed at rest.
    pub at: Duration,
}

impl SimulatedUsers {
    /// Users with this client. They act in real time, and virtual time does not jump while they act.
    pub fn new(client: Client, time: Time) -> Self {
        Self { client, time }
    }

    /// Waits until this many resources are at rest.
    ///
    /// # Errors
    /// If the watch ends.
    pub async fn wait_for(&self, count: usize) -> Result<Ended, Failure> {
        let mut at_rest = BTreeSet::new();
        let mut objects = pin!(self.watch());
        while let Some(object) = objects.next().await {
            let Ok(object) = object else { continue };
            if is_at_rest(&object) && at_rest.insert(object.uid()) && at_rest.len() == count {
                return Ok(Ended { resources: count, at: self.time.now() });
            }
        }
        Err(Failure::Ended("the watch"))
    }

    /// Deploys another version of each resource as soon as it is at rest. Ends only if that fails.
    pub async fn keep_busy(&self) -> Failure {
        let mut edited: HashMap<String, i64> = HashMap::new();
        let mut objects = pin!(self.watch());
        while let Some(object) = objects.next().await {
            let Ok(object) = object else { continue };
            let (uid, generation) = (object.uid().unwrap_or_default(), object.metadata.generation.unwrap_or_default());
            // An event that is older than the last edit causes no other edit.
            let is_news = edited.get(&uid).is_none_or(|edited| *edited < generation);
            if is_news && is_at_rest(&object) {
                edited.insert(uid, generation);
                if let Err(failure) = self.ask_for(&object, generation + 1).await {
                    return failure;
                }
            }
        }
        Failure::Ended("the watch")
    }

    async fn ask_for(&self, object: &CognigyDeployment, version: i64) -> Result<(), Failure> {
        let patch = json!({"spec": {"configurationSnapshot": snapshot(version)}});
        let resources = resources(&self.client, &object.namespace().unwrap_or_default());
        resources.patch(&object.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    fn watch(&self) -> impl futures::Stream<Item = watcher::Result<CognigyDeployment>> + use<> {
        let all: Api<CognigyDeployment> = Api::all(self.client.clone());
        watcher(all, watcher::Config::default()).default_backoff().applied_objects()
    }
}

fn is_at_rest(object: &CognigyDeployment) -> bool {
    let is_settled = |status: &CognigyDeploymentStatus| {
        let attempt = status.attempt.as_ref();
        Some(status.observed_generation) == object.metadata.generation
            && status.outbox.is_empty()
            && attempt.is_some_and(|attempt| attempt.step == Step::Settled)
    };
    object.status.as_ref().is_some_and(is_settled)
}

/// The name of the namespace with this index.
pub fn name_of(namespace: usize) -> String {
    format!("team-{namespace}")
}

fn resources(client: &Client, namespace: &str) -> Api<CognigyDeployment> {
    Api::namespaced(client.clone(), namespace)
}

fn snapshot(version: i64) -> Value {
    json!({"botVersion": format!("2.4.{version}"), "nlpEngine": "v3.2", "integrations": ["salesforce_crm", "sap_erp"]})
}

fn manifest(member: &Member, policy: Policy) -> Value {
    json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1",
        "kind": "CognigyDeployment",
        "metadata": {"name": member.name},
        "spec": {
            "environmentId": member.environment,
            "configurationSnapshot": snapshot(1),
            "dependencyLocks": [{"packageName": "cognigy-nlp-core", "version": "3.2.0"}],
            "rollbackPolicy": {"timeoutSeconds": policy.timeout_seconds},
            "credentialsRef": {"name": SECRET},
        },
    })
}
