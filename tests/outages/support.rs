//! Control planes that tests damage. Each test has one for itself while it runs.

use futures::future::select_all;
use serde::de::DeserializeOwned;
use std::ops::Deref;
use testkit::{Cluster, Sample, TestNamespace, sample};
use tokio::sync::{Mutex, MutexGuard};

pub(crate) use api::CognigyDeployment;
pub(crate) use api::status::{Outcome, Step};
pub(crate) use serde_json::{Value, json};
pub(crate) use simulator::Call;
pub(crate) use testkit::{CRD_NAME, DEADLINE, OperatorProcess, Resource, Signal, StatusExt, client_of};

/// The operator under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_cognigy-operator");

/// The flags of a leader election with a short lease, so that no test waits 15 seconds for it.
pub(crate) const SHORT_LEASE: [&str; 3] = ["--lease-duration=3s", "--renew-deadline=2s", "--retry-period=500ms"];

/// Tests mostly wait during outages. With four control planes they take a third of the time that they take with one.
static CLUSTERS: [Mutex<Option<Cluster>>; 4] = [const { Mutex::const_new(None) }; 4];

/// A namespace, and the control plane that no other test uses at the same time.
pub(crate) struct Outage {
    namespace: TestNamespace,
    cluster: MutexGuard<'static, Option<Cluster>>,
}

impl Outage {
    /// A namespace in which every call succeeds, without an operator. The API server runs and serves the CRD.
    pub(crate) async fn start() -> Self {
        let free = CLUSTERS.iter().map(|cluster| Box::pin(cluster.lock()));
        let (mut guard, _, _) = select_all(free).await;
        if guard.is_none() {
            *guard = Some(Cluster::start(&[]).await);
        }
        let cluster = guard.as_mut().unwrap();
        cluster.restore().await;
        cluster.install_crd().await;
        let namespace = cluster.plan(BINARY).without_operator().start().await;
        Self { namespace, cluster: guard }
    }

    /// The control plane.
    pub(crate) fn cluster(&mut self) -> &mut Cluster {
        self.cluster.as_mut().unwrap()
    }

    /// Applies a resource whose environment has the same name.
    pub(crate) async fn deploy(&self, name: &str) -> Resource<'_> {
        self.deploy_version(name, "2.4.1").await
    }

    /// Does the same with another version of the bot.
    pub(crate) async fn deploy_version(&self, name: &str, version: &str) -> Resource<'_> {
        self.apply(sample_of(name, version, &self.webhook_url())).await
    }
}

impl Deref for Outage {
    type Target = TestNamespace;

    fn deref(&self) -> &TestNamespace {
        &self.namespace
    }
}

/// Parses an object from its manifest.
pub(crate) fn object<K: DeserializeOwned>(manifest: Value) -> K {
    serde_json::from_value(manifest).unwrap()
}

/// A resource whose environment has the same name. Its deadline is later than the end of any outage.
pub(crate) fn sample_of(name: &str, version: &str, webhook: &str) -> Sample {
    sample().named(name).environment(name).version(version).timeout(300).webhook(webhook)
}
