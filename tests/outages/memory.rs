//! How much memory a process takes for the worst resources that an API server stores: one, and fifty at once.
//!
//! `cargo test --profile simulation --test outages memory -- --ignored --nocapture` prints what it measures; docs/security.md
//! tells of it.

use crate::stage::{Operator, World};
use axum::extract::DefaultBodyLimit;
use axum::{Json, Router};
use bytes::Bytes;
use http::Uri;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};
use std::time::Duration;

/// How many resources come at once.
const MANY: usize = 50;
/// The most that one of them may make resident memory grow by, in MiB...
const MOST_FOR_ONE: f64 = 64.0;
/// ... and fifty.
const MOST_FOR_MANY: f64 = 128.0;
/// About how long a snapshot is, in bytes.
const LENGTH: usize = 900_000;

/// A Cognigy.AI that says yes to everything and keeps nothing: the simulator keeps what it is asked, as trees.
async fn forgetful_platform(world: &World) {
    async fn answer(uri: Uri, body: Bytes) -> Json<Value> {
        drop(body);
        Json(match uri.path() {
            path if path.ends_with("/token") => json!({"access_token": "token", "expires_in": 3600}),
            path if path.ends_with("/validate") => json!({"valid": true}),
            path if path.ends_with("/synthetic-trace") => json!({"status": "passed", "dependencyConflicts": []}),
            path if path.ends_with("/deployments") => json!({"jobId": format!("job_{:x}", fastrand::u64(..))}),
            path if path.contains("/jobs/") => json!({"status": "completed"}),
            path if path.ends_with("/health") => json!({"status": "healthy", "errorRate": 0.0}),
            _ => json!({}),
        })
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(answer).layer(DefaultBodyLimit::disable());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    world.put_secret_of(&url, &format!("{url}/oauth/token")).await;
}

/// A snapshot of many parts.
fn list_of(part: &str) -> String {
    format!("{{\"a\":[{}]}}", vec![part; LENGTH / (part.len() + 1)].join(","))
}

fn keys(order: impl Iterator<Item = usize>) -> String {
    let entries: Vec<_> = order.map(|number| format!("\"{number:06x}\":0")).collect();
    format!("{{{}}}", entries.join(","))
}

/// What takes the most memory for its length, in one way or another.
fn worst() -> Vec<(&'static str, String)> {
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    vec![
        ("objects of one key", list_of(r#"{"":0}"#)),
        ("empty objects", list_of("{}")),
        ("empty lists", list_of("[]")),
        ("numbers", list_of("0")),
        ("long numbers", list_of(&"1234567890".repeat(10))),
        ("numbers of which the canonical form is longer", list_of("1e9")),
        ("one text of escapes", format!("{{\"a\":\"{}\"}}", "\\u0001".repeat(LENGTH / 6))),
        ("100,000 keys", keys(0..90_000)),
        ("lists of 120 levels", list_of(&deep(120))),
        ("lists of 9,000 levels", list_of(&deep(9_000))),
    ]
}

/// What a process takes at its peak, and what it keeps, while something is done.
async fn growth(operator: &Operator, what: impl Future<Output = ()>) -> (f64, f64) {
    operator.forget_peak();
    let before = operator.memory("VmRSS");
    what.await;
    // What is freed is given back after a while.
    tokio::time::sleep(Duration::from_secs(3)).await;
    (operator.memory("VmHWM") - before, operator.memory("VmRSS") - before)
}

async fn clear(world: &World) {
    // `Api::delete_collection` would read the answer as a tree, which has a limit of depth.
    let all = kube::core::Request::new(world.resources().resource_url());
    let delete = all.delete_collection(&DeleteParams::default(), &ListParams::default()).unwrap();
    world.client.request_text(delete).await.unwrap();
    while !world.resources().list_metadata(&ListParams::default().limit(1)).await.unwrap().items.is_empty() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Waits until a status was written for each resource of the test.
async fn until_all_are_told(world: &World, count: usize) {
    loop {
        let all = world.resources().list(&ListParams::default()).await.unwrap();
        let is_told = |object: &&cognigy_operator::api::CognigyDeployment| {
            object.status.as_ref().is_some_and(|status| {
                status.conditions.iter().any(|condition| {
                    condition.condition_type == cognigy_operator::api::ConditionType::Stalled
                        || status.attempt.as_ref().is_some_and(|attempt| attempt.verdict.is_some())
                })
            })
        };
        if all.iter().filter(is_told).count() == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn tell(what: &str, many: usize, (peak, kept): (f64, f64)) {
    eprintln!("{what}, {many} at once: {peak:.0} MiB at the peak, {kept:.0} MiB kept");
    let most = if many == 1 { MOST_FOR_ONE } else { MOST_FOR_MANY };
    assert!(peak <= most, "{what}, {many} at once: {peak:.0} MiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures, for minutes"]
async fn memory_for_the_worst_resources_is_bounded_while_they_come() {
    let world = World::start().await;
    forgetful_platform(&world).await;
    for (what, snapshot) in worst() {
        for many in [1, MANY] {
            let operator = world.operator("measured").await;
            let grown = growth(&operator, async {
                for number in 0..many {
                    world.create(&format!("env-{number}"), &snapshot).await;
                }
                until_all_are_told(&world, many).await;
            });
            tell(what, many, grown.await);
            clear(&world).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures, for minutes"]
async fn memory_for_the_worst_resources_is_bounded_when_a_process_finds_them() {
    for flags in [&[][..], &["--feature-gates=WatchList=false"]] {
        let mut world = World::start().await;
        forgetful_platform(&world).await;
        world.cluster().restart_api_server_with(flags).await;
        for (what, snapshot) in [&worst()[0], &worst()[9]].map(Clone::clone) {
            for number in 0..MANY {
                world.create(&format!("env-{number}"), &snapshot).await;
            }
            let operator = world.operator("small").await;
            let at_rest = operator.memory("VmRSS");
            until_all_are_told(&world, MANY).await;
            tokio::time::sleep(Duration::from_secs(3)).await;
            let (peak, kept) = (operator.memory("VmHWM"), operator.memory("VmRSS"));
            eprintln!(
                "{what}, {MANY} found {flags:?}: {at_rest:.0} MiB once it runs, {peak:.0} MiB at the peak, {kept:.0} MiB kept"
            );
            // A process without resources takes about 14 MiB.
            assert!(peak <= MOST_FOR_MANY + 14.0, "{what}: {peak:.0} MiB");
            clear(&world).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures, for minutes"]
async fn memory_for_the_worst_config_maps_and_metadata_is_bounded() {
    let world = World::start().await;
    forgetful_platform(&world).await;
    let aliases = format!("a: &a [{}]\nb: [{}]\n", vec!["{\"\": 0}"; 900].join(", "), vec!["*a"; 130].join(", "));
    let texts = [
        ("keys in reverse order", keys((0..90_000).rev())),
        ("YAML objects of one key", list_of("{\"\": 0}").replacen("{\"a\":", "{a: ", 1)),
        ("YAML keys in reverse order", (0..70_000).rev().map(|number| format!("{number:06x}: 0\n")).collect()),
        ("YAML aliases", aliases),
        (
            "YAML aliases of aliases",
            (1..9).fold("a0: &a0 [x, y]\n".to_owned(), |text, level| {
                let again = vec![format!("*a{}", level - 1); 10].join(", ");
                format!("{text}a{level}: &a{level} [{again}]\n")
            }),
        ),
        ("YAML of one text", format!("a: \"{}\"", "\\x01".repeat(LENGTH / 4))),
    ];
    for (what, text) in texts {
        let map =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "flows"}, "data": {"snapshot": text}});
        world.own::<ConfigMap>().create(&PostParams::default(), &serde_json::from_value(map).unwrap()).await.unwrap();
        let reference = json!({"configurationSnapshot": null, "configurationSnapshotFrom": {"configMapKeyRef": {"name": "flows", "key": "snapshot"}}});
        for many in [1, MANY] {
            let operator = world.operator("measured").await;
            let grown = growth(&operator, async {
                for number in 0..many {
                    world.create_with(&format!("env-{number}"), &reference).await;
                }
                until_all_are_told(&world, many).await;
            });
            tell(what, many, grown.await);
            clear(&world).await;
        }
        world.own::<ConfigMap>().delete("flows", &DeleteParams::default()).await.unwrap();
    }
    // Annotations take 256 KiB at most; who manages which field is as large as anybody likes.
    let fields: String = (0..20_000).map(|number| format!("\"f:{number:06x}\":{{\"f:a\":{{}}}},")).collect();
    let managed = format!("{{\"f:spec\":{{{}\"f:z\":{{}}}}}}", fields);
    let managed: Value = serde_json::from_str(&managed).unwrap();
    let metadata = json!({
        "annotations": (0..12).map(|number| (format!("a{number}"), "x".repeat(20_000))).collect::<std::collections::BTreeMap<_, _>>(),
        "managedFields": [{"manager": "other", "operation": "Update", "apiVersion": "deploy.cognigy.ai/v1alpha1", "fieldsType": "FieldsV1", "fieldsV1": managed}],
    });
    for many in [1, MANY] {
        let operator = world.operator("measured").await;
        let grown = growth(&operator, async {
            for number in 0..many {
                world.create_of(&format!("env-{number}"), &metadata, &json!({"configurationSnapshot": {"a": 1}})).await;
            }
            until_all_are_told(&world, many).await;
        });
        tell("metadata", many, grown.await);
        clear(&world).await;
    }
}
