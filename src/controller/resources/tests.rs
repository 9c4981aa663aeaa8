//! The entries of resources: what they keep, and when they are forgotten.

#![allow(clippy::unwrap_used)]

use super::claims::ApiEnvironment;
use super::*;
use crate::metrics::{ResourceCounts, ResourceGauges};
use api::EnvironmentId;
use claims::Claim;
use serde_json::json;

const NOW: Duration = Duration::from_secs(1000);

fn metadata(uid: &str, version: u64, generation: i64) -> ObjectMeta {
    ObjectMeta {
        name: Some("bot".to_owned()),
        namespace: Some("bots".to_owned()),
        uid: Some(uid.to_owned()),
        resource_version: Some(version.to_string()),
        generation: Some(generation),
        ..ObjectMeta::default()
    }
}

fn watched(uid: &str, version: u64, generation: i64) -> Watched {
    let object = json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1",
        "kind": "CognigyDeployment",
        "metadata": metadata(uid, version, generation),
        "spec": {"environmentId": "env_1", "configurationSnapshot": {"botVersion": "1"}, "dependencyLocks": []},
    });
    serde_json::from_value(object).unwrap()
}

fn environment() -> Arc<ApiEnvironment> {
    let (origin, environment) = (api::identifier::ApiOrigin::new("https://api"), EnvironmentId::new("env_1"));
    Arc::new(ApiEnvironment { origin, environment })
}

fn claimant(uid: &str) -> Claimant {
    let resource = ResourceName { namespace: "bots".into(), name: uid.into() };
    let created_at = "2026-01-01T12:00:00Z".parse().unwrap();
    Claimant { uid: uid.into(), resource, created_at, version: 1, claim: Claim::ACCEPTED }
}

#[test]
fn a_change_of_a_resource_cancels_its_own_reconcile_and_no_other() {
    let registry = ResourceRegistry::default();
    let (one, other) =
        (registry.begin("one", &metadata("one", 7, 1)), registry.begin("other", &metadata("other", 7, 1)));
    registry.observe(&Event::Apply(watched("one", 8, 1)));
    assert!(!one.is_cancelled(), "no input of the decision has changed");
    registry.observe(&Event::Apply(watched("one", 9, 2)));
    assert!(one.is_cancelled() && !other.is_cancelled());
    registry.observe(&Event::Delete(watched("other", 8, 1)));
    assert!(other.is_cancelled());
}

#[test]
fn a_decision_about_a_resource_interrupts_its_own_reconcile_and_no_other() {
    let registry = ResourceRegistry::default();
    let (one, other) =
        (registry.begin("one", &metadata("one", 7, 1)), registry.begin("other", &metadata("other", 7, 1)));
    registry.interrupt("one");
    registry.interrupt("gone");
    assert!(one.is_cancelled() && !other.is_cancelled());
}

#[test]
fn the_next_reconcile_gets_a_new_token_unless_the_process_stops() {
    let registry = ResourceRegistry::default();
    let first = registry.begin("uid", &metadata("uid", 7, 1));
    registry.observe(&Event::Apply(watched("uid", 8, 2)));
    registry.finish("uid", ResourceState::default());
    let second = registry.begin("uid", &metadata("uid", 8, 2));
    assert!(first.is_cancelled() && !second.is_cancelled());
    registry.cancel_all();
    assert!(second.is_cancelled() && registry.begin("uid", &metadata("uid", 8, 2)).is_cancelled());
}

#[test]
fn only_the_version_that_this_process_wrote_last_is_nothing_new() {
    let registry = ResourceRegistry::default();
    let at = |version: &str| ObjectMeta { resource_version: Some(version.to_owned()), ..metadata("a-uid", 0, 1) };
    assert!(!registry.has_written(&at("7")));
    registry.wrote(&at("7"));
    assert!(registry.has_written(&at("7")));
    for other in ["6", "8", "", "seven"] {
        assert!(!registry.has_written(&at(other)), "{other}");
    }
    assert!(!registry.has_written(&ObjectMeta { uid: Some("another".to_owned()), ..at("7") }));
    registry.forget_written();
    assert!(!registry.has_written(&at("7")), "a whole list follows");
    registry.wrote(&at("seven"));
    assert!(!registry.has_written(&at("eight")), "versions that are not numbers cannot be compared");
}

#[test]
fn a_resource_at_rest_keeps_its_claim_and_drops_the_data_for_work() {
    let registry = ResourceRegistry::default();
    registry.observe(&Event::Apply(watched("uid", 7, 1)));
    registry.accept_claim(&environment(), claimant("uid"));
    let state = registry.take("uid");
    assert!(registry.is_active("uid"));
    registry.finish("uid", state);
    registry.rest("uid", NOW);
    assert!(!registry.is_active("uid"));
    assert_eq!(registry.request_environment(&environment(), &claimant("younger")), Err(claimant("uid")));
    assert!(
        size_of::<Entry>() <= 56,
        "an entry exists for each resource, so it must be small: {} bytes",
        size_of::<Entry>()
    );
}

#[test]
fn one_call_forgets_everything_about_a_resource_and_requeues_the_waiting_resources() {
    let registry = ResourceRegistry::default();
    registry.observe(&Event::Apply(watched("gone", 7, 1)));
    registry.accept_claim(&environment(), claimant("gone"));
    registry.finish("gone", ResourceState::default());
    let _ = registry.failed("gone", 1);
    registry.wrote(&metadata("gone", 8, 1));
    assert!(registry.request_environment(&environment(), &claimant("waits")).is_err());
    let missing = registry.missing(|uid| uid == "waits");
    assert_eq!(missing.iter().map(|(uid, claim)| (&**uid, claim.is_some())).collect::<Vec<_>>(), [("gone", true)]);
    registry.forget("gone", NOW);
    assert_eq!(registry.take_requeued(), [claimant("waits").resource]);
    assert_eq!(registry.missing(|uid| uid == "waits"), []);
    assert!(!registry.is_active("gone") && !registry.has_written(&metadata("gone", 8, 1)));
    assert_eq!(registry.request_environment(&environment(), &claimant("waits")), Ok(()));
    assert_eq!(registry.counts("2026-01-01T12:00:00Z".parse().unwrap()), ResourceCounts::default());
}

#[test]
fn a_resource_that_is_created_again_shares_nothing_with_the_old_one() {
    let registry = ResourceRegistry::default();
    registry.accept_claim(&environment(), Claimant { resource: claimant("bot").resource, ..claimant("a-first") });
    let _ = registry.failed("a-first", 1);
    let successor = Claimant { resource: claimant("bot").resource, ..claimant("b-second") };
    assert!(!registry.is_active("b-second"));
    assert!(
        registry.request_environment(&environment(), &successor).is_err(),
        "the old resource still owns the environment"
    );
    registry.forget("a-first", NOW);
    assert_eq!(registry.take_requeued(), [claimant("bot").resource]);
    assert_eq!(registry.request_environment(&environment(), &successor), Ok(()));
}

#[test]
fn pauses_after_failures_grow_until_a_reconcile_succeeds() {
    let registry = ResourceRegistry::default();
    let pauses: Vec<_> = (0..12).map(|_| registry.failed("uid", 7)).collect();
    assert!(pauses[0] <= FIRST_PAUSE && pauses[11] >= LONGEST_PAUSE / 2 && pauses[11] <= LONGEST_PAUSE, "{pauses:?}");
    registry.succeeded("uid");
    assert!(registry.failed("uid", 7) <= FIRST_PAUSE);
}
