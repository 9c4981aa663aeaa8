//! The first list of a watch, with and without streaming lists, and the effect of one object on the others in it.

use crate::support::{CognigyDeployment, Outage, Outcome};
use api::{ConditionType, Reason};
use kube::Resource;
use kube::api::PostParams;
use std::time::{Duration, Instant};

const IN_PAGES: &str = "streaming lists do not work with this API server";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_streaming_lists_a_watch_starts_with_a_list_in_pages() {
    let mut outage = Outage::start().await;
    outage.deploy("env-before").await;
    outage.cluster().restart_api_server_with(&["--feature-gates=WatchList=false"]).await;
    let operator = outage.run_operator("alone").await;
    outage.resource("env-before").until_delivered(Outcome::Succeeded).await;
    outage.deploy("env-after").await.until_delivered(Outcome::Succeeded).await;
    operator.until_logged_times(1, IN_PAGES).await;
    assert_eq!(operator.log().count(IN_PAGES), 1, "it is logged once");
    assert_eq!(operator.log().count("sendInitialEvents"), 1, "the refusal causes no warning");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_streaming_lists_a_watch_starts_with_a_streaming_list() {
    let outage = Outage::start().await;
    let operator = outage.run_operator("alone").await;
    outage.deploy("env-streamed").await.until_delivered(Outcome::Succeeded).await;
    assert!(operator.log().count(IN_PAGES) == 0);
}

/// The number of resources with a snapshot that is too deep.
const DEEP: usize = 20;

/// A snapshot with this many levels. The API server accepts objects of up to 10,000 levels.
fn nested(levels: usize) -> String {
    format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels))
}

/// Creates a resource with a snapshot of any depth, as JSON text.
async fn create(outage: &Outage, name: &str, snapshot: &str) {
    let body = format!(
        r#"{{"apiVersion":"deploy.cognigy.ai/v1alpha1","kind":"CognigyDeployment","metadata":{{"name":"{name}"}},"spec":{{"environmentId":"{name}","configurationSnapshot":{snapshot},"credentialsRef":{{"name":"cognigy-api"}}}}}}"#
    );
    let path = CognigyDeployment::url_path(&(), Some(&outage.name));
    let create = kube::core::Request::new(path).create(&PostParams::default(), body.into_bytes()).unwrap();
    outage.client.request_text(create).await.unwrap();
}

fn is_stalled_for_its_depth(object: &CognigyDeployment) -> bool {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    let mut stalled = conditions.filter(|condition| condition.condition_type == ConditionType::Stalled);
    stalled.any(|stalled| stalled.reason == Reason::SnapshotInvalid && stalled.message.contains("9000 levels deep"))
}

/// How long other resources take until they are ready: without deep resources, beside them, found by a new operator,
/// and applied after its start.
async fn time_others(outage: &Outage, names: [&str; 4]) -> [Duration; 4] {
    let ready = async |name: &str| {
        let began = Instant::now();
        outage.deploy(name).await.until_delivered(Outcome::Succeeded).await;
        began.elapsed()
    };
    let operator = outage.run_operator("first").await;
    let alone = ready(names[0]).await;
    for number in 0..DEEP {
        create(outage, &format!("{}-deep-{number}", names[0]), &nested(9_000)).await;
    }
    let beside = ready(names[1]).await;
    let deep = outage.resource(&format!("{}-deep-0", names[0]));
    deep.until("stalled with the depth", is_stalled_for_its_depth).await;
    drop(operator);
    outage.deploy(names[2]).await;
    let began = Instant::now();
    let operator = outage.run_operator("second").await;
    outage.resource(names[2]).until_delivered(Outcome::Succeeded).await;
    let found = began.elapsed();
    let after = ready(names[3]).await;
    assert!(
        operator.log().count("\"target\":\"cognigy_operator::controller::watch::problem\"") == 0,
        "no watch reports a problem with an object"
    );
    deep.delete_and_wait().await;
    [alone, beside, found, after]
}

fn assert_undisturbed(how: &str, [alone, beside, found, after]: [Duration; 4]) {
    eprintln!(
        "{how}: Ready after {alone:?} alone, {beside:?} beside {DEEP} deep ones, {found:?} from an operator's start, {after:?} after it"
    );
    for took in [beside, found, after] {
        assert!(took < alone + Duration::from_secs(10), "{took:?}, {alone:?} alone");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deep_resources_delay_no_other_resource_with_streaming_lists() {
    let outage = Outage::start().await;
    let took = time_others(&outage, ["env-s0", "env-s1", "env-s2", "env-s3"]).await;
    assert_undisturbed("streaming", took);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deep_resources_delay_no_other_resource_with_lists_in_pages() {
    let mut outage = Outage::start().await;
    outage.cluster().restart_api_server_with(&["--feature-gates=WatchList=false"]).await;
    let took = time_others(&outage, ["env-p0", "env-p1", "env-p2", "env-p3"]).await;
    assert_undisturbed("in pages", took);
}
