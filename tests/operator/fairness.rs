//! One tenant's API never answers. This must not delay another tenant's rollouts.

use crate::support::*;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use simulator::RequestFilter;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// An API that accepts every connection and never sends a byte. It ends when it is dropped.
struct SilentApi {
    address: SocketAddr,
    connections: watch::Receiver<usize>,
    _accepting: JoinSet<()>,
}

impl SilentApi {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (count, connections) = watch::channel(0);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut held = Vec::new();
            while let Ok((connection, _)) = listener.accept().await {
                held.push(connection);
                count.send_modify(|count| *count += 1);
            }
        });
        Self { address, connections, _accepting: accepting }
    }

    /// Waits until it has accepted this many connections in total.
    async fn until_connected(&mut self, connections: usize) {
        let connected = self.connections.wait_for(|count| *count >= connections);
        timeout(DEADLINE, connected).await.expect("the operator asks the silent API").unwrap();
    }
}

/// Creates resources in a namespace. Each has its own client, so that no request budget of a client delays any of them.
async fn create_hanging(tenant: &TestNamespace, api: SocketAddr, count: usize) {
    let (secrets, resources) = (tenant.api::<Secret>(), tenant.resources());
    let create = |number: usize| {
        let (secrets, resources) = (secrets.clone(), resources.clone());
        async move {
            let name = format!("hanging-{number}");
            let url = format!("http://{api}");
            let secret = serde_json::from_value(json!({
                "metadata": {"name": name},
                "stringData": {"clientId": name, "clientSecret": "secret", "baseUrl": url, "tokenUrl": format!("{url}/token")},
            }));
            secrets.create(&PostParams::default(), &secret.unwrap()).await.unwrap();
            let resource = json!({
                "apiVersion": "deploy.cognigy.ai/v1alpha1",
                "kind": "CognigyDeployment",
                "metadata": {"name": name},
                "spec": {
                    "environmentId": name,
                    "configurationSnapshot": {"botVersion": "1"},
                    "credentialsRef": {"name": name},
                },
            });
            resources.create(&PostParams::default(), &serde_json::from_value(resource).unwrap()).await.unwrap();
        }
    };
    futures::stream::iter(0..count).map(create).buffer_unordered(16).collect::<()>().await;
}

/// Returns the time from `kubectl apply` to the rollout's first request, and to its rollback.
async fn roll_back(namespace: &TestNamespace, name: &str) -> (Duration, Duration) {
    let began = Instant::now();
    namespace.apply(sample().named(name).environment(name)).await;
    let handle = namespace.platform.handle();
    let asked = async |call| {
        let environment = Some(name.parse().unwrap());
        let filter = RequestFilter { call: Some(call), environment, ..RequestFilter::default() };
        if timeout(DEADLINE, handle.wait_for_requests(&filter, 1)).await.is_err() {
            panic!("{}", namespace.report(&format!("{name}: {call:?}")).await);
        }
        began.elapsed()
    };
    (asked(Call::Validate).await, asked(Call::Rollback).await)
}

async fn check_that_hanging_rollouts_delay_no_rollback(hanging: usize) {
    let tenant = plan().await.without_operator().without_secret().start().await;
    let bad = "environments: {alone: {deploymentsAreUnhealthy: true}, beside: {deploymentsAreUnhealthy: true}}";
    let namespace = plan().await.flags(&["--namespace", &tenant.name]).scenario(bad).start().await;
    let alone = roll_back(&namespace, "alone").await;

    let mut silent = SilentApi::start().await;
    create_hanging(&tenant, silent.address, hanging).await;
    silent.until_connected(32).await;
    let beside = roll_back(&namespace, "beside").await;
    eprintln!(
        "beside {hanging} resources whose API hangs: started after {:?} ({:?} alone), rolled back after {:?} ({:?} alone)",
        beside.0, alone.0, beside.1, alone.1
    );
    assert!(beside.0 < Duration::from_secs(10), "started after {:?}", beside.0);
    assert!(beside.1 < alone.1 + Duration::from_secs(5), "rolled back after {:?}, alone after {:?}", beside.1, alone.1);
}

#[tokio::test]
async fn three_hundred_resources_whose_api_never_answers_do_not_delay_another_tenants_rollback() {
    check_that_hanging_rollouts_delay_no_rollback(300).await;
}

#[tokio::test]
#[ignore = "creates 4,000 objects; run it alone"]
async fn two_thousand_resources_whose_api_never_answers_do_not_delay_another_tenants_rollback() {
    check_that_hanging_rollouts_delay_no_rollback(2000).await;
}
