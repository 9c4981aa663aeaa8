//! The API server is gone, forgets, conflicts or refuses, in the middle of a rollout.

use crate::stage::{
    Call, Cluster, CognigyDeployment, DEADLINE, Outcome, Signal, World, attempt, client_of, from, json,
};
use bytes::Bytes;
use futures::{StreamExt, future, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::{Api, DeleteParams, ListParams, Patch, PostParams};
use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_outlives_the_api_server_and_records_what_happened_meanwhile() {
    let mut world = World::start().await;
    world.jobs_run();
    let operator = world.operator("alone").await;
    for name in ["env-good", "env-bad"] {
        world.apply(name).await.until_asked(Call::Job, 1).await;
    }

    world.cluster().kill_api_server();
    // One completes and is well, the other turns bad, and nobody can write it down.
    world.mend();
    world.fault(
        "{call: health, environment: env-bad, times: forever, fault: {body: {status: unhealthy, errorRate: 0.5}}}",
    );
    world.resource("env-good").until_asked(Call::Health, 1).await;
    world.resource("env-bad").until_asked(Call::Health, 2).await;
    world.cluster().restart_api_server().await;

    let good = world.resource("env-good");
    good.until_told(Outcome::Succeeded).await;
    good.assert_one_job_and_all_told(true).await;
    let bad = world.resource("env-bad");
    bad.until_told(Outcome::RolledBack).await;
    bad.assert_one_job_and_all_told(false).await;
    assert_eq!(bad.count(Call::Rollback), 1);
    // However often each outcome could not be written down, it is in the log once, as the platform has it.
    assert_eq!(operator.log().count("an audit record was written"), 2);
    for (id, record) in [good.audited(), bad.audited()].concat() {
        let timestamp = record["timestamp"].as_str().unwrap();
        assert_eq!((operator.log().count(&id), operator.log().count(timestamp)), (1, 1), "{id} {record}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_intent_is_not_sent_while_it_cannot_be_written() {
    let mut world = World::start().await;
    world.fault("{call: trace, fault: {delay: {seconds: 2}}}");
    let operator = world.operator("alone").await;
    world.apply("env-intent").await.until_asked(Call::Trace, 1).await;

    world.cluster().kill_api_server();
    operator.until_logged_anywhere("the reconcile failed and is run again").await;
    assert_eq!(world.resource("env-intent").count(Call::Submit), 0);
    world.cluster().restart_api_server().await;

    let resource = world.resource("env-intent");
    resource.until_told(Outcome::Succeeded).await;
    resource.assert_one_job_and_all_told(true).await;
}

/// The operator is paused while history goes on without it and is then forgotten: by the API server, whose cache of changes
/// starts anew with each process, and by etcd, which is compacted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_whose_place_in_history_is_compacted_begins_anew() {
    let mut world = World::start().await;
    world.jobs_run();
    let operator = world.operator("alone").await;
    world.apply("env-compacted").await.until_asked(Call::Job, 1).await;

    operator.signal(Signal::Pause).await;
    for version in ["2.4.2", "2.4.3", "2.4.4"] {
        world.apply_version("env-compacted", version).await;
    }
    let revision = world.resource("env-compacted").read().await.metadata.resource_version.unwrap();
    world.cluster().kill_api_server();
    compact(world.cluster(), &revision).await;
    world.cluster().restart_api_server().await;
    operator.signal(Signal::Resume).await;
    operator.until_logged_anywhere("no longer has all changes of cognigydeployments").await;

    // The newest of the three is deployed, once the first has ended; those in between never are.
    world.mend();
    let resource = world.resource("env-compacted");
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

/// Has etcd forget everything before a revision, through the JSON gateway on its socket.
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
async fn a_second_writer_that_never_rests_delays_a_rollout_and_doubles_nothing() {
    let world = World::start().await;
    let operator = world.operator("alone").await;
    let resource = world.apply("env-storm").await;
    let resources = world.resources();
    let storm = tokio::spawn(async move {
        for number in 0_u64.. {
            // Labels, annotations and a field that changes no digest: each a new resource version.
            let patch = json!({
                "metadata": {"labels": {"storm": number.to_string()}, "annotations": {"storm": number.to_string()}},
                "spec": {"monitoring": {"maxErrorRate": if number % 2 == 0 { 0.05 } else { 0.06 }}},
            });
            let _ = resources.patch("env-storm", &Default::default(), &Patch::Merge(patch)).await;
        }
    });
    resource.until_told(Outcome::Succeeded).await;
    storm.abort();
    resource.assert_one_job_and_all_told(true).await;
    let conflicts = operator.log().count("another client has written the resource; the status does not depend on it");
    assert!(conflicts > 0, "there was no conflict");
}

/// An account that priority and fairness applies to, as it does not to `system:masters`.
struct Account {
    user: String,
    token: String,
    kubeconfig: PathBuf,
}

async fn account(world: &mut World) -> Account {
    let name = "operator";
    let created: ServiceAccount = from(json!({"metadata": {"name": name}}));
    let accounts = world.own::<ServiceAccount>();
    accounts.create(&PostParams::default(), &created).await.unwrap();
    let user = format!("system:serviceaccount:{}:{name}", world.namespace);
    let binding: ClusterRoleBinding = from(json!({
        "metadata": {"name": world.namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }));
    world.all::<ClusterRoleBinding>().create(&PostParams::default(), &binding).await.unwrap();
    let request = from(json!({"spec": {"audiences": ["https://kubernetes.default.svc"]}}));
    let issued = accounts.create_token_request(name, &PostParams::default(), &request).await.unwrap();
    let token = issued.status.unwrap().token;
    let cluster = &*world.cluster();
    let kubeconfig = cluster.kubeconfig_with("operator", |text| text.replace(cluster.admin_token(), &token));
    Account { user, token, kubeconfig }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_the_api_server_starves_goes_on_when_it_is_served_again() {
    let mut world = World::start().await;
    let account = account(&mut world).await;
    world.jobs_run();
    let _operator = world.operator_with("alone", &account.kubeconfig, &[]).await;
    world.apply("env-starved").await.until_asked(Call::Job, 1).await;

    // No queue for this user and no seat but one, which is taken: every request is answered with 429.
    let name = world.namespace.clone();
    let level: PriorityLevelConfiguration = from(json!({
        "metadata": {"name": name},
        "spec": {"type": "Limited", "limited": {
            "nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0,
            "limitResponse": {"type": "Reject"},
        }},
    }));
    let schema: FlowSchema = from(json!({
        "metadata": {"name": name},
        "spec": {
            "priorityLevelConfiguration": {"name": name},
            "matchingPrecedence": 2,
            "rules": [{
                "subjects": [{"kind": "User", "user": {"name": account.user}}],
                "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"],
                    "clusterScope": true}],
            }],
        },
    }));
    world.all::<PriorityLevelConfiguration>().create(&PostParams::default(), &level).await.unwrap();
    world.all::<FlowSchema>().create(&PostParams::default(), &schema).await.unwrap();
    let held = until_starved(&mut world, &account).await;
    let resource = world.resource("env-starved");
    let refused = refusals(&world).await;
    world.mend();
    resource.until_asked(Call::Health, 1).await;
    // The API server tells of a refusal by its count only.
    let counted = async {
        while refusals(&world).await == refused {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(DEADLINE, counted).await.expect("the operator's write is refused in time");
    let recorded = resource.read().await;
    assert_eq!(attempt(&recorded).and_then(|attempt| attempt.outcome()), None, "it cannot be written down");

    drop(held);
    world.all::<FlowSchema>().delete(&name, &DeleteParams::default()).await.unwrap();
    resource.until_told(Outcome::Succeeded).await;
    resource.assert_one_job_and_all_told(true).await;
}

/// How many requests priority and fairness has refused to the account of this world's operator, as the API server counts
/// them.
async fn refusals(world: &World) -> u64 {
    let request = http::Request::get("/metrics").body(Vec::new()).unwrap();
    let metrics = world.client.request_text(request).await.unwrap();
    let counted = "apiserver_flowcontrol_rejected_requests_total{";
    let of_world = format!("flow_schema=\"{}\"", world.namespace);
    let counts = metrics.lines().filter(|line| line.starts_with(counted) && line.contains(&of_world));
    counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// A list that is not refused is answered in milliseconds.
const LONG_ENOUGH: Duration = Duration::from_secs(1);

/// Holds the one seat until it is dropped. The API server takes a flow schema up after a moment, and tells of it only by
/// what it does.
async fn until_starved(world: &mut World, account: &Account) -> JoinSet<()> {
    let starved = client_of(&account.kubeconfig).await;
    let resources: Api<CognigyDeployment> = Api::namespaced(starved, &world.namespace);
    let url = format!("{}/api/v1/namespaces/{}/configmaps", world.cluster().server(), world.namespace);
    let authority = reqwest::Certificate::from_pem(world.cluster().ca_pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap();
    let starving = async {
        loop {
            let mut held = JoinSet::new();
            held.spawn(hold_a_seat(client.clone(), url.clone(), account.token.clone()));
            // The holder may have come before the flow schema, and then holds another seat.
            for _ in 0..5 {
                // A client that is refused asks again by itself, for minutes.
                if timeout(LONG_ENOUGH, resources.list(&ListParams::default())).await.is_err() {
                    return held;
                }
            }
        }
    };
    timeout(DEADLINE, starving).await.expect("the API server refuses in time")
}

/// A request whose body never ends is being worked on for as long as its connection is there.
async fn hold_a_seat(client: reqwest::Client, url: String, token: String) {
    let beginning = stream::once(future::ready(Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"{")))));
    let body = reqwest::Body::wrap(StreamBody::new(beginning.chain(stream::pending())));
    let request = client.post(url).bearer_auth(token).header("content-type", "application/json").body(body);
    // It ends with the connection, or with the API server's patience.
    let _ = request.send().await;
}
