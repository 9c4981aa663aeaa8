//! Events: the steps of a rollout that a person wants to see in `kubectl describe`.

use super::cause::cause;
use super::error::CALL_DEADLINE;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use rollout::{EventText, TimedEvent};

/// The name that events give to their publisher.
const CONTROLLER: &str = "cognigy-operator";

/// The action that each event names.
const ACTION: &str = "Rollout";

/// The longest note of an event, in bytes (Kubernetes API, events.k8s.io/v1).
const NOTE_LIMIT: usize = 1000;

/// The longest name of an event, in bytes: it is a DNS subdomain.
const NAME_LIMIT: usize = 253;

/// The longest `reportingInstance` of an event, in bytes.
const INSTANCE_LIMIT: usize = 128;

/// Publishes each event as a new object. kube's `Recorder` is not used for two reasons. First, for some minutes it
/// repeats the note of the first event with the same reason, so that the event of a second attempt would name the job
/// of the first attempt. Second, it builds an event's name from the resource's name without a limit, so that resources
/// with long names would have no events.
#[derive(Clone)]
pub struct EventRecorder {
    kubernetes: kube::Client,
    instance: String,
}

impl EventRecorder {
    /// A recorder that names the operator as the publisher and its pod as the instance.
    #[must_use]
    pub fn new(kubernetes: kube::Client, instance: Option<String>) -> Self {
        let instance = instance.as_deref().map_or(CONTROLLER, instance_within_limit).to_owned();
        Self { kubernetes, instance }
    }

    /// Publishes events about a resource, in order, each with the time at which it happened. If an event cannot be
    /// published, it is only logged, because nothing depends on it.
    pub async fn record(&self, regarding: ObjectReference, mut events: Vec<TimedEvent>) {
        for EventText { warning, reason, note } in events.iter_mut().map(|event| &mut event.event) {
            api::condition::truncate(note, NOTE_LIMIT);
            match warning {
                true => tracing::warn!(%reason, "{note}"),
                false => tracing::info!(%reason, "{note}"),
            }
        }
        let namespace = regarding.namespace.as_deref().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(self.kubernetes.clone(), namespace);
        let publish = async {
            for event in TimedEvent::merged(events, NOTE_LIMIT) {
                let event = kubernetes_event(event, regarding.clone(), &self.instance, Timestamp::now());
                if let Err(error) = api.create(&PostParams::default(), &event).await {
                    let reason = event.reason.unwrap_or_default();
                    tracing::debug!(error = cause(&error), %reason, "an event could not be published");
                }
            }
        };
        if tokio::time::timeout(CALL_DEADLINE, publish).await.is_err() {
            tracing::debug!("the API server did not accept events in time");
        }
    }
}

/// `now` becomes a part of the name, so that events of the same moment have different names.
fn kubernetes_event(timed: TimedEvent, regarding: ObjectReference, instance: &str, now: Timestamp) -> Event {
    let TimedEvent { at, event: EventText { warning, reason, note } } = timed;
    let name = name_within_limit(regarding.name.as_deref().unwrap_or(CONTROLLER), now);
    Event {
        metadata: ObjectMeta { name: Some(name), namespace: regarding.namespace.clone(), ..ObjectMeta::default() },
        event_time: Some(MicroTime(at)),
        type_: Some(if warning { "Warning" } else { "Normal" }.to_owned()),
        reason: Some(reason.to_string()),
        note: Some(note),
        action: Some(ACTION.to_owned()),
        regarding: Some(regarding),
        reporting_controller: Some(CONTROLLER.to_owned()),
        reporting_instance: Some(instance.to_owned()),
        ..Event::default()
    }
}

/// The name of an event: the resource's name, shortened if necessary, and the time, which makes it unique.
fn name_within_limit(resource: &str, now: Timestamp) -> String {
    let time = format!("{:x}", now.as_nanosecond());
    let room = NAME_LIMIT.saturating_sub(".".len() + time.len());
    let begin = &resource[..resource.floor_char_boundary(room)];
    // Each label of a subdomain ends with a letter or a digit.
    let begin = begin.trim_end_matches(['.', '-']);
    format!("{begin}.{time}")
}

/// The last bytes of the pod's name, up to the limit. The end of the name distinguishes the pods of a Deployment.
fn instance_within_limit(pod: &str) -> &str {
    &pod[pod.ceil_char_boundary(pod.len().saturating_sub(INSTANCE_LIMIT))..]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the API server accepts this name as a DNS subdomain.
    fn is_subdomain(name: &str) -> bool {
        let is_label = |label: &str| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        name.len() <= NAME_LIMIT && name.split('.').all(is_label)
    }

    #[test]
    fn the_name_of_an_event_is_valid_for_every_name_of_a_resource() {
        let now = Timestamp::now();
        let long = |letter: &str| letter.repeat(NAME_LIMIT);
        let dashes = format!("{}{}b", "a".repeat(230), "-".repeat(22));
        let dots = format!("{}b", "a.".repeat(126));
        for resource in ["bot", &"a".repeat(236), &"a".repeat(237), &long("a"), &dashes, &dots] {
            let name = name_within_limit(resource, now);
            assert!(is_subdomain(&name), "{name}");
            assert!(resource.len() > 200 || name.starts_with(resource), "{name}");
        }
        let later = Timestamp::from_nanosecond(now.as_nanosecond() + 1).unwrap_or(now);
        assert_ne!(name_within_limit(&long("a"), now), name_within_limit(&long("a"), later));
    }

    #[test]
    fn a_long_name_of_a_pod_keeps_its_end_which_is_unique() {
        assert_eq!(instance_within_limit("cognigy-operator-5d8f7-abcde"), "cognigy-operator-5d8f7-abcde");
        let long = format!("{}-5d8f7-abcde", "x".repeat(188));
        let instance = instance_within_limit(&long);
        assert!(instance.len() == INSTANCE_LIMIT && instance.ends_with("x-5d8f7-abcde"), "{instance}");
        assert_eq!(instance_within_limit(&"ä".repeat(100)).len(), INSTANCE_LIMIT);
    }
}
