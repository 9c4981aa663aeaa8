//! During a rollout the API server crashes, loses old versions, reports conflicts, or refuses requests.

use crate::support::{Call, CognigyDeployment, DEADLINE, Outage, Outcome, Signal, StatusExt, client_of, json, object};
use bytes::Bytes;
use futures::{StreamExt, future, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::{Api, DeleteParams, ListParams, Patch, PostParams};
use std::convert::Infallible;
use std::time::Duration;
use testkit::{Cluster, ServiceAccountAccess};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_survives_a_crash_of_the_api_server_and_records_the_outcomes_of_that_time() {
    let mut outage = Outage::start().await;
    outage.keep_jobs_running();
    let operator = outage.run_operator("alone").await;
    for name in ["env-good", "env-bad"] {
        outage.deploy(name).await.until_requests(Call::Job, 1).await;
    }

    outage.cluster().kill_api_server();
    // One rollout succeeds and the other one becomes unhealthy. Neither outcome can be written.
    outage.clear_faults();
    outage.add_fault(
        "{call: health, environment: env-bad, times: forever, fault: {body: {status: unhealthy, errorRate: 0.5}}}",
    );
    outage.resource("env-good").until_requests(Call::Health, 1).await;
    outage.resource("env-bad").until_requests(Call::Health, 2).await;
    outage.cluster().restart_api_server().await;

    let good = outage.resource("env-good");
    good.until_delivered(Outcome::Succeeded).await;
    good.assert_one_job_and_one_delivery_each(true).await;
    let bad = outage.resource("env-bad");
    bad.until_delivered(Outcome::RolledBack).await;
    bad.assert_one_job_and_one_delivery_each(false).await;
    assert_eq!(bad.request_count(Call::Rollback), 1);
    // The log has each audit record once, although its write failed several times, and it has the record that the
    // platform got.
    assert_eq!(operator.log().count("an audit record was written"), 2);
    for (id, record) in [good.audited(), bad.audited()].concat() {
        let timestamp = record["timestamp"].as_str().unwrap();
        assert_eq!((operator.log().count(&id), operator.log().count(timestamp)), (1, 1), "{id} {record}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submit_is_not_sent_before_its_intent_is_written() {
    let mut outage = Outage::start().await;
    outage.add_fault("{call: trace, fault: {delay: {seconds: 2}}}");
    let operator = outage.run_operator("alone").await;
    outage.deploy("env-intent").await.until_requests(Call::Trace, 1).await;

    outage.cluster().kill_api_server();
    operator.until_logged_anywhere("the reconcile failed and is run again").await;
    assert_eq!(outage.resource("env-intent").request_count(Call::Submit), 0);
    outage.cluster().restart_api_server().await;

    let resource = outage.resource("env-intent");
    resource.until_delivered(Outcome::Succeeded).await;
    resource.assert_one_job_and_one_delivery_each(true).await;
}

/// While the operator is paused, the resource changes, and then these versions are lost: the restarted API server has
/// an empty watch cache, and etcd is compacted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_whose_resource_version_is_compacted_is_started_again() {
    let mut outage = Outage::start().await;
    outage.keep_jobs_running();
    let operator = outage.run_operator("alone").await;
    outage.deploy("env-compacted").await.until_requests(Call::Job, 1).await;

    operator.signal(Signal::Pause).await;
    for version in ["2.4.2", "2.4.3", "2.4.4"] {
        outage.deploy_version("env-compacted", version).await;
    }
    let revision = outage.resource("env-compacted").get().await.metadata.resource_version.unwrap();
    outage.cluster().kill_api_server();
    compact(outage.cluster(), &revision).await;
    outage.cluster().restart_api_server().await;
    operator.signal(Signal::Resume).await;
    operator.until_logged_anywhere("no longer has all changes of cognigydeployments").await;

    // After the first rollout, the newest of the three versions is deployed. The ones in between are not.
    outage.clear_faults();
    let resource = outage.resource("env-compacted");
    let newest = resource
        .until("the newest has succeeded", |object| {
            let attempt = object.status.as_ref().and_then(|status| status.attempt.as_ref());
            attempt.is_some_and(|attempt| attempt.number == 2 && attempt.outcome() == Some(Outcome::Succeeded))
        })
        .await;
    assert_eq!(newest.status.unwrap().history.len(), 1);
    let deployed =
        resource.jobs().into_iter().map(|job| job.submission["configuration_snapshot"]["botVersion"].clone());
    assert_eq!(deployed.collect::<Vec<_>>(), ["2.4.1", "2.4.4"]);
}

/// Compacts etcd up to a revision, through the JSON gateway on its socket.
async fn compact(cluster: &Cluster, revision: &str) {
    let mut socket = UnixStream::connect(cluster.folder().join("etcd.sock")).await.unwrap();
    let body = json!({"revision": revision, "physical": true}).to_string();
    let length = body.len();
    let request = format!(
        "POST /v3/kv/compaction HTTP/1.1\r\nhost: etcd\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_client_that_writes_all_the_time_causes_no_second_job_or_delivery() {
    let outage = Outage::start().await;
    let operator = outage.run_operator("alone").await;
    let resource = outage.deploy("env-storm").await;
    let resources = outage.resources();
    let storm = tokio::spawn(async move {
        for number in 0_u64.. {
            // Labels, annotations and a field outside the digest. Each write is a new resource version.
            let patch = json!({
                "metadata": {"labels": {"storm": number.to_string()}, "annotations": {"storm": number.to_string()}},
                "spec": {"monitoring": {"maxErrorRate": if number % 2 == 0 { 0.05 } else { 0.06 }}},
            });
            let _ = resources.patch("env-storm", &Default::default(), &Patch::Merge(patch)).await;
        }
    });
    resource.until_delivered(Outcome::Succeeded).await;
    storm.abort();
    resource.assert_one_job_and_one_delivery_each(true).await;
    let conflicts = operator.log().count("another client has written the resource; the status does not depend on it");
    assert!(conflicts > 0, "there was no conflict");
}

/// A service account with all rights. API priority and fairness applies to it, but not to `system:masters`.
async fn account(outage: &mut Outage) -> (String, ServiceAccountAccess) {
    let name = "operator";
    let account: ServiceAccount = object(json!({"metadata": {"name": name}}));
    outage.api::<ServiceAccount>().create(&PostParams::default(), &account).await.unwrap();
    let user = format!("system:serviceaccount:{}:{name}", outage.name);
    let binding: ClusterRoleBinding = object(json!({
        "metadata": {"name": outage.name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }));
    outage.cluster_api::<ClusterRoleBinding>().create(&PostParams::default(), &binding).await.unwrap();
    let namespace = outage.name.clone();
    (user, outage.cluster().service_account(&namespace, name).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_whose_requests_are_all_answered_429_continues_when_they_are_served_again() {
    let mut outage = Outage::start().await;
    let (user, account) = account(&mut outage).await;
    outage.keep_jobs_running();
    let _operator = outage.run_operator_with("alone", &account.kubeconfig, &[]).await;
    outage.deploy("env-starved").await.until_requests(Call::Job, 1).await;

    // This user has no queue and one seat, which is taken. Every request is answered with 429.
    let name = outage.name.clone();
    let level: PriorityLevelConfiguration = object(json!({
        "metadata": {"name": name},
        "spec": {"type": "Limited", "limited": {
            "nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0,
            "limitResponse": {"type": "Reject"},
        }},
    }));
    let schema: FlowSchema = object(json!({
        "metadata": {"name": name},
        "spec": {
            "priorityLevelConfiguration": {"name": name},
            "matchingPrecedence": 2,
            "rules": [{
                "subjects": [{"kind": "User", "user": {"name": user}}],
                "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"],
                    "clusterScope": true}],
            }],
        },
    }));
    outage.cluster_api::<PriorityLevelConfiguration>().create(&PostParams::default(), &level).await.unwrap();
    outage.cluster_api::<FlowSchema>().create(&PostParams::default(), &schema).await.unwrap();
    let held = until_starved(&mut outage, &account).await;
    let resource = outage.resource("env-starved");
    let refused = refusals(&outage).await;
    outage.clear_faults();
    resource.until_requests(Call::Health, 1).await;
    // The metric of refusals is the only sign of a refusal.
    let counted = async {
        while refusals(&outage).await == refused {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(DEADLINE, counted).await.expect("the operator's write is refused in time");
    let recorded = resource.get().await;
    assert_eq!(recorded.attempt_if_any().and_then(|attempt| attempt.outcome()), None, "the outcome cannot be written");

    drop(held);
    outage.cluster_api::<FlowSchema>().delete(&name, &DeleteParams::default()).await.unwrap();
    resource.until_delivered(Outcome::Succeeded).await;
    resource.assert_one_job_and_one_delivery_each(true).await;
}

/// The number of requests of this test's service account that API priority and fairness has refused.
async fn refusals(outage: &Outage) -> u64 {
    let request = http::Request::get("/metrics").body(Vec::new()).unwrap();
    let metrics = outage.client.request_text(request).await.unwrap();
    let counted = "apiserver_flowcontrol_rejected_requests_total{";
    let of_world = format!("flow_schema=\"{}\"", outage.name);
    let counts = metrics.lines().filter(|line| line.starts_with(counted) && line.contains(&of_world));
    counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// If a list takes longer, it was refused. A list that is served takes milliseconds.
const LONG_ENOUGH: Duration = Duration::from_secs(1);

/// Takes the only seat until the returned set is dropped. There is no event for the moment when the API server applies
/// a flow schema, so this function tries until a list is refused.
async fn until_starved(outage: &mut Outage, account: &ServiceAccountAccess) -> JoinSet<()> {
    let starved = client_of(&account.kubeconfig).await;
    let resources: Api<CognigyDeployment> = Api::namespaced(starved, &outage.name);
    let url = format!("{}/api/v1/namespaces/{}/configmaps", outage.cluster().server(), outage.name);
    let authority = reqwest::Certificate::from_pem(outage.cluster().ca_pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap();
    let starving = async {
        loop {
            let mut held = JoinSet::new();
            held.spawn(keep_connection_open(client.clone(), url.clone(), account.token.clone()));
            // A request that came before the flow schema was applied holds another seat.
            for _ in 0..5 {
                // The client repeats a refused request by itself, for minutes.
                if timeout(LONG_ENOUGH, resources.list(&ListParams::default())).await.is_err() {
                    return held;
                }
            }
        }
    };
    timeout(DEADLINE, starving).await.expect("the API server refuses in time")
}

/// A request whose body never ends takes a seat as long as its connection exists.
async fn keep_connection_open(client: reqwest::Client, url: String, token: String) {
    let beginning = stream::once(future::ready(Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"{")))));
    let body = reqwest::Body::wrap(StreamBody::new(beginning.chain(stream::pending())));
    let request = client.post(url).bearer_auth(token).header("content-type", "application/json").body(body);
    // It ends with the connection, or with the API server's request time-out.
    let _ = request.send().await;
}
