//! `spec.requires`: production starts once staging has proved the release.

use crate::support::*;
use api::condition::Condition;

const STAGING: &str = "env_staging";

fn staging() -> Sample {
    sample().named("staging").environment(STAGING)
}

/// A deployment that requires these, each with its name and other fields.
fn requiring(name: &str, requires: &Value) -> Sample {
    sample().named(name).with(json!({"requires": requires}))
}

fn production() -> Sample {
    requiring("production", &json!([{"name": "staging"}]))
}

/// The number of submits to an environment.
fn submits(namespace: &TestNamespace, environment: &str) -> usize {
    let requests = namespace.requests(Call::Submit);
    requests
        .iter()
        .filter(|request| request.environment_id.as_ref().is_some_and(|id| id.as_str() == environment))
        .count()
}

async fn until_gate(resource: &testkit::Resource<'_>, reason: Reason, text: &str) -> Condition {
    let object = resource
        .until(&format!("GatesOpen is {reason}: {text}"), |object| {
            object
                .find(ConditionType::GatesOpen)
                .is_some_and(|gate| gate.reason == reason && gate.message.contains(text))
        })
        .await;
    object.condition(ConditionType::GatesOpen).clone()
}

#[tokio::test]
async fn production_starts_by_itself_when_staging_has_succeeded() {
    let namespace = new_namespace().await;
    let production = namespace.apply(production()).await;
    let stalled = production.until_stalled(Reason::UpstreamNotFound).await;
    let text = format!("{}/staging in spec.requires does not exist", namespace.name);
    assert!(stalled.condition(ConditionType::Ready).message.contains(&text), "{:?}", stalled.status);
    production.until_event("Warning", Reason::UpstreamNotFound).await;

    let staging = namespace.apply(staging()).await;
    let deployed = production.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(deployed.says(ConditionType::GatesOpen), (True, Reason::GatesOpen));
    let proved_at = staging.get().await.attempt().verdict.clone().unwrap().at;
    assert!(deployed.attempt().intended_at().unwrap() >= proved_at);
}

#[tokio::test]
async fn a_release_that_staging_never_had_waits_until_staging_has_it() {
    let namespace = new_namespace().await;
    let staging_deployment = namespace.apply(staging()).await;
    staging_deployment.until_settled(1, Outcome::Succeeded).await;
    let production = namespace.apply(production().version("2.5.0")).await;
    let waits = production.until_ready_reason(Reason::AwaitingUpstream).await;
    assert!(waits.is_true(ConditionType::Reconciling), "nobody is needed");
    assert!(waits.condition(ConditionType::Ready).message.contains("/staging has not deployed release v1:"));
    assert_eq!(namespace.request_count(Call::Submit), 1);

    staging_deployment.edit(&staging().version("2.5.0")).await;
    production.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(namespace.request_count(Call::Submit), 3);
}

#[tokio::test]
async fn production_never_starts_if_staging_was_rolled_back() {
    let script = format!("environments: {{{STAGING}: {{deploymentsAreUnhealthy: true}}}}");
    let namespace = plan().await.scenario(&script).start().await;
    let production = namespace.apply(production()).await;
    namespace.apply(staging()).await.until_settled(1, Outcome::RolledBack).await;
    let gate = until_gate(&production, Reason::AwaitingUpstream, "ended as RolledBack").await;
    assert!(gate.message.contains("correct the release, or deploy it there again"), "{}", gate.message);
    assert_eq!(submits(&namespace, ENVIRONMENT), 0);
}

#[tokio::test]
async fn production_waits_until_staging_was_healthy_for_long_enough_and_a_restart_changes_nothing() {
    let mut namespace = new_namespace().await;
    namespace.apply(staging()).await.until_settled(1, Outcome::Succeeded).await;
    let proved_at = namespace.resource("staging").get().await.attempt().verdict.clone().unwrap().at;
    namespace.apply(requiring("production", &json!([{"name": "staging", "healthyForSeconds": 8}]))).await;
    let waits = namespace.resource("production").until_ready_reason(Reason::AwaitingUpstream).await;
    let gates = waits.attempt().gates.clone().unwrap();
    let opens_at = gates.closed[0].opens_at.unwrap();
    assert!(opens_at >= proved_at + jiff::SignedDuration::from_secs(8), "{gates:?}");

    namespace.restart_operator().await;
    let deployed = namespace.resource("production").until_settled(1, Outcome::Succeeded).await;
    let intended_at = deployed.attempt().intended_at().unwrap();
    assert!(intended_at >= opens_at, "{intended_at} is before {opens_at}");
    let late = intended_at.duration_since(opens_at);
    assert!(late < jiff::SignedDuration::from_secs(30), "it was requeued when the gate opened, {late} late");
}

#[tokio::test]
async fn another_namespace_must_consent_and_its_names_stay_confidential() {
    let upstream = plan().await.without_operator().start().await;
    let namespace = plan().await.flags(&["--namespace", &upstream.name]).start().await;
    let staging = upstream.apply(staging()).await;
    staging.until_settled(1, Outcome::Succeeded).await;

    let require = |name: &str| requiring("production", &json!([{"name": name, "namespace": upstream.name}]));
    let production = namespace.apply(require("staging")).await;
    production.until_stalled(Reason::UpstreamForbidden).await;
    let exists = until_gate(&production, Reason::UpstreamForbidden, "/staging in").await.message;
    production.edit(&require("missing")).await;
    let missing = until_gate(&production, Reason::UpstreamForbidden, "/missing in").await.message;
    assert_eq!(exists.replace("/staging", "/missing"), missing);
    assert_eq!(namespace.request_count(Call::Submit), 0);

    production.edit(&require("staging")).await;
    until_gate(&production, Reason::UpstreamForbidden, "/staging in").await;
    staging.patch(json!({"spec": {"allowedDownstreamNamespaces": [namespace.name]}})).await;
    production.until_settled(1, Outcome::Succeeded).await;
}

#[tokio::test]
async fn a_namespace_that_the_operator_does_not_watch_is_named_and_not_read() {
    let namespace = new_namespace().await;
    let elsewhere = plan().await.without_operator().without_secret().start().await;
    let required = json!([{"name": "staging", "namespace": elsewhere.name}]);
    let production = namespace.apply(requiring("production", &required)).await;
    let stalled = production.until_stalled(Reason::UpstreamNotFound).await;
    let text = format!("the operator does not watch the namespace {}", elsewhere.name);
    assert!(stalled.condition(ConditionType::Ready).message.contains(&text));
}

#[tokio::test]
async fn deployments_that_require_each_other_are_stalled_until_one_entry_is_removed() {
    let namespace = new_namespace().await;
    let one = |name: &str, required: &str| requiring(name, &json!([{"name": required}])).environment(name);
    let (a, b, c) = (
        namespace.apply(one("a", "b")).await,
        namespace.apply(one("b", "c")).await,
        namespace.apply(one("c", "a")).await,
    );
    for (resource, chain) in [(&a, "abca"), (&b, "bcab"), (&c, "cabc")] {
        let names: Vec<String> = chain.chars().map(|name| format!("{}/{name}", namespace.name)).collect();
        until_gate(resource, Reason::UpstreamCycle, &names.join(" → ")).await;
        resource.until_stalled(Reason::UpstreamCycle).await;
    }
    assert_eq!(namespace.request_count(Call::Submit), 0);

    c.patch(json!({"spec": {"requires": null}})).await;
    for resource in [&c, &b, &a] {
        resource.until_settled(1, Outcome::Succeeded).await;
    }
}

#[tokio::test]
async fn a_deployment_that_requires_itself_is_stalled() {
    let namespace = new_namespace().await;
    let bot = namespace.apply(requiring("bot", &json!([{"name": "bot"}]))).await;
    let stalled = bot.until_stalled(Reason::UpstreamCycle).await;
    let message = &stalled.condition(ConditionType::Ready).message;
    assert!(message.contains("spec.requires names this CognigyDeployment itself"), "{message}");
    bot.patch(json!({"spec": {"requires": null}})).await;
    bot.until_settled(1, Outcome::Succeeded).await;
}

/// The sample of waves, with short times. Returns the names of the deployments.
async fn apply_waves(namespace: &TestNamespace) -> Vec<String> {
    let text = std::fs::read_to_string("deploy/samples/waves.yaml").unwrap();
    let documents: Vec<Value> = text.split("\n---\n").map(|part| serde_saphyr::from_str(part).unwrap()).collect();
    let snapshot = documents[0]["data"]["snapshot"].as_str().unwrap();
    namespace.put_config_map("customer-service-release", snapshot).await;
    let mut names = Vec::new();
    for document in &documents[1..] {
        let name = document["metadata"]["name"].as_str().unwrap();
        let mut spec = document["spec"].clone();
        for requirement in spec["requires"].as_array_mut().into_iter().flatten() {
            if requirement["healthyForSeconds"].is_number() {
                requirement["healthyForSeconds"] = json!(1);
            }
        }
        let of_sample = json!({"configurationSnapshot": null, "dependencyLocks": null});
        namespace.apply(sample().named(name).with(of_sample).with(spec)).await;
        names.push(name.to_owned());
    }
    assert_eq!(names.len(), 10);
    names
}

#[tokio::test]
async fn waves_deploy_everywhere_with_at_most_one_rollout_in_flight_in_each_lane() {
    let namespace = plan().await.scenario("jobDurationSeconds: 1").start().await;
    let mut flights = Vec::new();
    for name in apply_waves(&namespace).await {
        let deployed = namespace.resource(&name).until_settled(1, Outcome::Succeeded).await;
        let attempt = deployed.attempt();
        flights.push((attempt.intended_at().unwrap(), attempt.verdict.clone().unwrap().at));
    }
    let in_flight_with = |(began, _): &(_, _)| flights.iter().filter(|(from, to)| from <= began && began < to).count();
    let most = flights.iter().map(in_flight_with).max().unwrap();
    assert_eq!(most, 2, "two lanes: {flights:?}");
    let (wave_1, wave_2, wave_3) = (&flights[..1], &flights[1..5], &flights[5..]);
    for (earlier, later) in [(wave_1, wave_2), (wave_2, wave_3)] {
        let ended = earlier.iter().map(|(_, ended)| *ended).max().unwrap();
        let began = later.iter().map(|(began, _)| *began).min().unwrap();
        assert!(began.duration_since(ended) >= jiff::SignedDuration::from_secs(1));
    }
}

#[tokio::test]
async fn a_bad_release_stops_after_the_first_wave() {
    let namespace = plan().await.scenario("environments: {env_01: {deploymentsAreUnhealthy: true}}").start().await;
    let names = apply_waves(&namespace).await;
    namespace.resource(&names[0]).until_settled(1, Outcome::RolledBack).await;
    for name in &names[1..3] {
        until_gate(&namespace.resource(name), Reason::AwaitingUpstream, "ended as RolledBack").await;
    }
    for name in &names[3..] {
        until_gate(&namespace.resource(name), Reason::AwaitingUpstream, "has not deployed release").await;
    }
    assert_eq!(namespace.request_count(Call::Submit), 1);
}

#[tokio::test]
async fn a_failure_in_one_lane_stops_that_lane_and_the_next_wave() {
    let namespace = plan().await.scenario("environments: {env_02: {deploymentsAreUnhealthy: true}}").start().await;
    let names = apply_waves(&namespace).await;
    namespace.resource(&names[1]).until_settled(1, Outcome::RolledBack).await;
    for other_lane in [&names[2], &names[4]] {
        namespace.resource(other_lane).until_settled(1, Outcome::Succeeded).await;
    }
    until_gate(&namespace.resource(&names[3]), Reason::AwaitingUpstream, "ended as RolledBack").await;
    for name in &names[5..7] {
        until_gate(&namespace.resource(name), Reason::AwaitingUpstream, "more CognigyDeployment").await;
    }
    assert_eq!(namespace.request_count(Call::Submit), 4, "wave 1, and wave 2 without the rest of one lane");
}
