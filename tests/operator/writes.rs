//! The operator's writes, as the API server stores them: their field manager, and the limits of events.

use crate::rights::{granted, start_with};
use crate::support::*;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams};
use kube::{Resource, ResourceExt};
use std::collections::BTreeSet;

const OPERATOR: &str = "cognigy-operator";

/// The field managers of an object, each with the part that it wrote. The test has its own field manager.
fn writers(object: &impl Resource) -> BTreeSet<(String, String)> {
    let entries = object.managed_fields().iter();
    let writers = entries.map(|entry| {
        let part = entry.subresource.clone().unwrap_or_else(|| "object".to_owned());
        (entry.manager.clone().unwrap_or_default(), part)
    });
    writers.collect()
}

#[tokio::test]
async fn every_write_has_the_operator_as_field_manager() {
    let namespace = plan().await.without_operator().start().await;
    let _operator = start_with(&namespace, &granted().await).await;
    let bot = namespace.resource("bot");
    let object = bot.until_settled(1, Outcome::Succeeded).await;
    let by_operator = |part: &str| (OPERATOR.to_owned(), part.to_owned());
    assert!(
        writers(&object).is_superset(&[by_operator("object"), by_operator("status")].into()),
        "{:?}",
        writers(&object)
    );

    let leases: Api<Lease> = Api::namespaced(namespace.client.clone(), &namespace.name);
    let lease = leases.get("cognigy-operator").await.unwrap();
    assert_eq!(writers(&lease), [by_operator("object")].into());

    let event = bot.until_event("Normal", Reason::Succeeded).await;
    assert_eq!(writers(&event), [by_operator("object")].into());
    let others = writers(&object).into_iter().filter(|(writer, _)| writer != OPERATOR);
    assert_eq!(others.map(|(_, part)| part).collect::<Vec<_>>(), ["object"], "the test's own write");
}

#[tokio::test]
async fn events_are_published_also_for_the_longest_names() {
    let pod = format!("{}-5d8f7c9b4-x2x9k", "p".repeat(184));
    assert_eq!(pod.len(), 200);
    let namespace = plan().await.variable("POD_NAME", &pod).start().await;
    let name = "n".repeat(253);
    let bot = namespace.apply(sample().named(&name)).await;
    bot.until_settled(1, Outcome::Succeeded).await;
    let event = bot.until_event("Normal", Reason::Succeeded).await;
    assert_eq!(event.reporting_controller.as_deref(), Some(OPERATOR));
    let instance = event.reporting_instance.unwrap();
    assert!(instance.len() == 128 && pod.ends_with(&instance), "{instance}");

    let events: Api<Event> = Api::namespaced(namespace.client.clone(), &namespace.name);
    let events = events.list(&ListParams::default()).await.unwrap();
    assert!(events.items.len() > 1, "each step has an event of its own");
    for event in events {
        let regarding = event.regarding.clone().unwrap();
        assert_eq!(regarding.name.as_deref(), Some(name.as_str()));
        assert_eq!(regarding.kind.as_deref(), Some("CognigyDeployment"));
        assert!(event.series.is_none() && event.event_time.is_some() && event.note.is_some());
        assert!(event.name_any().len() <= 253);
    }
}
