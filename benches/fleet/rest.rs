//! Ten thousand resources at rest: the memory and the processor time of a real process, and the time until it is ready.

use crate::Failure;
use crate::process::{Process, sum};
use crate::report::Line;
use crate::report::Target::{self, AtMost};
use crate::stage::Stage;
use crate::time::Time;
use api::status::Step;
use api::{CognigyDeployment, Digest};
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams, PostParams, VersionMatch};
use kube::runtime::wait::await_condition;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use simulator::{RequestFilter, Scenario, Server};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The number of dialogues in a snapshot. Together they are 8 KiB.
const DIALOGUES: usize = 64;
/// How many resources are created at the same time.
const MADE_AT_ONCE: usize = 32;
/// The namespace of all of them.
const NAMESPACE: &str = "default";
/// The pause after a process is ready, before its memory is read.
const SETTLES_WITHIN: Duration = Duration::from_secs(20);
/// How long an idle process is measured.
const IDLE: Duration = Duration::from_secs(120);

/// Measures with this many resources.
///
/// # Errors
/// If the platform, the operator or the API server fails.
pub async fn measure(stage: &Stage, size: usize) -> Result<Vec<Line>, Failure> {
    let client = stage.client(&Time::new()).await?;
    let platform = Server::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Scenario::parse("{}")?, None).await?;
    let model = bring_one_to_rest(stage, &client, &platform.url()).await?;
    let request_count = || platform.handle().with(|world| world.requests(&RequestFilter::default()).count());
    let requests_of_one = request_count();

    let alone = Process::start(stage).await?;
    tokio::time::sleep(SETTLES_WITHIN).await;
    let with_one = alone.resident_kib()?;
    alone.kill().await?;

    multiply(&client, &model, size).await?;
    let_cache_catch_up(&client).await?;
    let before = Requests::of_resources(&client).await?;
    let process = Process::start(stage).await?;
    tokio::time::sleep(SETTLES_WITHIN).await;
    let (with_all, most, used) = (process.resident_kib()?, process.most_resident_kib()?, process.processor()?);
    tokio::time::sleep(IDLE).await;
    let idle = process.processor()? - used;
    let after = Requests::of_resources(&client).await?;

    let an_hour = idle.as_secs_f64() * 1000.0 * 3600.0 / IDLE.as_secs_f64() / size as f64;
    let line = |what, measured, target| Line { what, measured, target };
    Ok(vec![
        line("resident with one resource at rest, MiB", with_one / 1024.0, Target::None),
        line("resident with all, MiB", with_all / 1024.0, Target::None),
        line("most resident with all, MiB", most / 1024.0, Target::None),
        line("growth for a resource, KiB", (with_all - with_one) / size as f64, AtMost(4.0)),
        line("start to ready, s", process.ready_after.as_secs_f64(), Target::None),
        line("processor to start and settle, s", used.as_secs_f64(), Target::None),
        line("processor for a resource, ms an hour", an_hour, AtMost(10.0)),
        line("lists and watches of resources", after.lists - before.lists, Target::None),
        line("reads of single resources", after.gets - before.gets, AtMost(0.0)),
        line("writes of resources", after.writes - before.writes, AtMost(0.0)),
        line("requests to Cognigy.AI", (request_count() - requests_of_one) as f64, AtMost(0.0)),
    ])
}

/// The number of requests to the API server for CognigyDeployments.
struct Requests {
    lists: f64,
    gets: f64,
    writes: f64,
}

impl Requests {
    async fn of_resources(client: &Client) -> Result<Self, Failure> {
        let request = http::Request::get("/metrics").body(Vec::new()).map_err(std::io::Error::other)?;
        let metrics = client.request_text(request).await?;
        let of = |verb: &str| {
            let is_ours = |line: &&str| line.contains("resource=\"cognigydeployments\"");
            let ours: String = metrics.lines().filter(is_ours).map(|line| format!("{line}\n")).collect();
            sum(&ours, "apiserver_request_total", &format!("verb=\"{verb}\""))
        };
        Ok(Self {
            lists: of("LIST") + of("WATCH"),
            gets: of("GET"),
            writes: ["POST", "PUT", "PATCH", "APPLY", "DELETE"].into_iter().map(of).sum(),
        })
    }
}

/// Lets an operator complete the rollout of one resource. All other resources are copies of it.
async fn bring_one_to_rest(stage: &Stage, client: &Client, url: &str) -> Result<CognigyDeployment, Failure> {
    let credentials = json!({
        "clientId": "demo", "clientSecret": "demo-secret",
        "baseUrl": url, "tokenUrl": format!("{url}/oauth/token"),
    });
    let secret: Secret =
        serde_json::from_value(json!({"metadata": {"name": "cognigy-api"}, "stringData": credentials}))?;
    Api::<Secret>::namespaced(client.clone(), NAMESPACE).create(&PostParams::default(), &secret).await?;
    let resources: Api<CognigyDeployment> = Api::namespaced(client.clone(), NAMESPACE);
    resources.create(&PostParams::default(), &serde_json::from_value(manifest())?).await?;
    let process = Process::start(stage).await?;
    let is_at_rest = |object: Option<&CognigyDeployment>| {
        let status = object.and_then(|object| object.status.as_ref());
        status.is_some_and(|status| {
            status.outbox.is_empty() && status.attempt.as_ref().is_some_and(|attempt| attempt.step == Step::Settled)
        })
    };
    let model = await_condition(resources, "bot", is_at_rest).await?.ok_or(Failure::Ended("the model"))?;
    process.kill().await?;
    Ok(model)
}

/// Creates this many copies of it, each for its own environment, as if the rollout of each had completed.
async fn multiply(client: &Client, model: &CognigyDeployment, size: usize) -> Result<(), Failure> {
    let resources: Api<CognigyDeployment> = Api::namespaced(client.clone(), NAMESPACE);
    let mut made = stream::iter((0..size).map(|number| {
        let resources = &resources;
        async move {
            let mut object = model.clone();
            object.metadata = kube::api::ObjectMeta {
                name: Some(format!("bot-{number}")),
                finalizers: model.metadata.finalizers.clone(),
                annotations: model.metadata.annotations.clone(),
                ..Default::default()
            };
            object.spec.environment_id = serde_json::from_value(json!(format!("env-{number}")))?;
            let snapshot = object.spec.configuration_snapshot.clone().ok_or(Failure::Ended("the model"))?;
            let digest = Digest::of_deployment(&object.spec, &snapshot)?;
            let status = object.status.take().map(|mut status| {
                if let Some(attempt) = &mut status.attempt {
                    attempt.digest = digest.clone();
                }
                if let Some(last) = &mut status.last_successful {
                    last.digest = digest;
                }
                status
            });
            let created = resources.create(&PostParams::default(), &object).await?;
            let object = CognigyDeployment { status, ..created };
            resources.replace_status(&object.name_any(), &PostParams::default(), &object).await?;
            Ok::<(), Failure>(())
        }
    }))
    .buffer_unordered(MADE_AT_ONCE);
    while let Some(result) = made.next().await {
        result?;
    }
    Ok(())
}

/// Waits until the API server's watch cache contains every write so far, because a list may come from this cache.
async fn let_cache_catch_up(client: &Client) -> Result<(), Failure> {
    let resources: Api<CognigyDeployment> = Api::namespaced(client.clone(), NAMESPACE);
    let latest = resources.list_metadata(&ListParams::default().limit(1)).await?.metadata.resource_version;
    let latest = latest.ok_or(Failure::Ended("the list"))?;
    let not_older = ListParams::default().limit(1).at(&latest).matching(VersionMatch::NotOlderThan);
    resources.list_metadata(&not_older).await?;
    Ok(())
}

fn manifest() -> Value {
    let dialogue = |number: usize| {
        json!({"name": format!("dialogue-{number:03}"), "intents": ["order_status", "return_parcel", "talk_to_a_person"],
               "version": number, "fallback": "handover", "languages": ["en", "de"]})
    };
    let dialogues: Vec<Value> = (0..DIALOGUES).map(dialogue).collect();
    let spec = json!({
        "environmentId": "env-model",
        "configurationSnapshot": {"botVersion": "2.4.1", "dialogues": dialogues},
        "dependencyLocks": [{"packageName": "cognigy-nlp-core", "version": "3.2.0"}],
        "monitoring": {"intervalSeconds": 1},
        "credentialsRef": {"name": "cognigy-api"},
    });
    let mut manifest = json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1",
        "kind": "CognigyDeployment",
        "metadata": {"name": "bot"},
        "spec": spec,
    });
    // `kubectl apply` also stores the whole manifest in an annotation.
    let applied = manifest.to_string();
    manifest["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": applied});
    manifest
}
