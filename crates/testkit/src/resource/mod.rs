//! One CognigyDeployment: how tests change it, and what they wait for.

mod environment;
mod status;

use super::namespace::TestNamespace;
use super::{DEADLINE, Sample};
use api::condition::ConditionStatus;
use api::status::{Outcome, Step};
use api::{CognigyDeployment, ConditionType, Reason};
use futures::StreamExt;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube::runtime::watcher::watch_object;
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::{Value, json};
use std::pin::pin;
use std::time::Duration;
use tokio::time::timeout;

pub use status::StatusExt;

/// The pause before a watch that ended is started again. There is no event for an API server that is back.
const REWATCH_AFTER: Duration = Duration::from_millis(200);

/// A CognigyDeployment of a [`TestNamespace`].
///
/// Every `until_…` method watches the resource. If the condition does not hold in time, the test fails with a report.
#[derive(Clone)]
pub struct Resource<'n> {
    namespace: &'n TestNamespace,
    name: String,
    api: Api<CognigyDeployment>,
}

impl<'n> Resource<'n> {
    pub(crate) fn new(namespace: &'n TestNamespace, name: &str) -> Self {
        Self { namespace, name: name.to_owned(), api: namespace.resources() }
    }

    /// Applies another version of the resource.
    pub async fn edit(&self, sample: &Sample) {
        self.try_edit(sample).await.unwrap();
    }

    /// Does the same, and returns the error if the API server refuses it or cannot be reached.
    pub async fn try_edit(&self, sample: &Sample) -> Result<CognigyDeployment, kube::Error> {
        self.namespace.remember_environment(sample);
        let apply = PatchParams::apply("tests").force();
        self.api.patch(&self.name, &apply, &Patch::Apply(sample.object())).await
    }

    /// Sets an annotation.
    pub async fn annotate(&self, key: &str, value: &str) {
        self.patch(json!({"metadata": {"annotations": {key: value}}})).await;
    }

    /// Applies a merge patch, as `kubectl patch --type=merge` does.
    pub async fn patch(&self, patch: Value) {
        self.try_patch(patch).await.unwrap();
    }

    /// Does the same, and returns the error if the API server refuses it or cannot be reached.
    pub async fn try_patch(&self, patch: Value) -> Result<CognigyDeployment, kube::Error> {
        self.api.patch(&self.name, &PatchParams::default(), &Patch::Merge(patch)).await
    }

    /// Applies a merge patch to the status, as `kubectl patch --subresource=status` does.
    pub async fn patch_status(&self, status: Value) {
        self.try_patch_status(status).await.unwrap();
    }

    /// Does the same, and returns the error if the API server refuses it.
    pub async fn try_patch_status(&self, status: Value) -> Result<(), kube::Error> {
        let patch = Patch::Merge(json!({"status": status}));
        let resources = self.namespace.untyped_resources();
        resources.patch_status(&self.name, &PatchParams::default(), &patch).await.map(drop)
    }

    /// Requests a retry.
    pub async fn request_retry(&self, value: &str) {
        self.annotate(api::RETRY_ANNOTATION, value).await;
    }

    /// Requests a rollback.
    pub async fn request_rollback(&self, value: &str) {
        self.annotate(api::ROLLBACK_ANNOTATION, value).await;
    }

    /// Deletes the resource. `Api::delete` would parse the answer as a JSON tree, which fails for a deep snapshot.
    pub async fn delete(&self) {
        let delete = kube::core::Request::new(self.api.resource_url()).delete(&self.name, &DeleteParams::default());
        self.namespace.client.request_text(delete.unwrap()).await.unwrap();
    }

    /// Deletes the resource, and waits until it is gone.
    pub async fn delete_and_wait(&self) {
        self.delete().await;
        self.until_gone().await;
    }

    /// The resource as it is now.
    pub async fn get(&self) -> CognigyDeployment {
        self.api.get(&self.name).await.unwrap()
    }

    /// The resource as it is stored, also if our types cannot read its status.
    pub async fn get_untyped(&self) -> Value {
        serde_json::to_value(self.namespace.untyped_resources().get(&self.name).await.unwrap()).unwrap()
    }

    /// Waits until a condition holds. `what` describes it in the report.
    pub async fn until(&self, what: &str, holds: impl Fn(&CognigyDeployment) -> bool) -> CognigyDeployment {
        match timeout(DEADLINE, self.first(|object| object.is_some_and(&holds))).await {
            Ok(object) => object.expect("the condition holds for an object"),
            Err(_) => panic!("{}", self.namespace.report(&format!("{}: {what}", self.name)).await),
        }
    }

    /// Waits until the resource is gone.
    pub async fn until_gone(&self) {
        if timeout(DEADLINE, self.first(|object| object.is_none())).await.is_err() {
            panic!("{}", self.namespace.report(&format!("{} is gone", self.name)).await);
        }
    }

    /// Waits until a condition of the current generation has a status.
    pub async fn until_condition(&self, condition_type: ConditionType, status: ConditionStatus) -> CognigyDeployment {
        self.until(&format!("{condition_type} is {status:?}"), |object| {
            object.is_observed() && object.find(condition_type).is_some_and(|condition| condition.status == status)
        })
        .await
    }

    /// Waits until a condition of the current generation has a reason, with any status.
    pub async fn until_reason(&self, condition_type: ConditionType, reason: Reason) -> CognigyDeployment {
        self.until(&format!("the reason of {condition_type} is {reason}"), |object| {
            object.is_observed() && object.find(condition_type).is_some_and(|condition| condition.reason == reason)
        })
        .await
    }

    /// Waits until the current generation is ready.
    pub async fn until_ready(&self) -> CognigyDeployment {
        self.until_condition(ConditionType::Ready, ConditionStatus::True).await
    }

    /// Waits until `Stalled` has this reason.
    pub async fn until_stalled(&self, reason: Reason) -> CognigyDeployment {
        self.until_reason(ConditionType::Stalled, reason).await
    }

    /// Waits until `Ready` has this reason.
    pub async fn until_ready_reason(&self, reason: Reason) -> CognigyDeployment {
        self.until_reason(ConditionType::Ready, reason).await
    }

    /// Waits until the attempt is at a step.
    pub async fn until_step(&self, step: Step) -> CognigyDeployment {
        self.until(&format!("the attempt is at {step:?}"), |object| {
            object.attempt_if_any().is_some_and(|attempt| attempt.step == step)
        })
        .await
    }

    /// Waits until an attempt has this outcome, nothing is left to do for it, and the outbox is empty.
    pub async fn until_settled(&self, number: i64, outcome: Outcome) -> CognigyDeployment {
        self.until(&format!("attempt {number} has ended as {outcome}"), |object| {
            object.attempt_if_any().is_some_and(|attempt| {
                attempt.number == number && attempt.outcome() == Some(outcome) && attempt.step == Step::Settled
            }) && object.recorded().outbox.is_empty()
        })
        .await
    }

    /// Waits until the latest attempt has this outcome, and the outbox is empty.
    pub async fn until_delivered(&self, outcome: Outcome) -> CognigyDeployment {
        self.until(&format!("{outcome} is delivered"), |object| {
            let reached = object.attempt_if_any().and_then(|attempt| attempt.outcome());
            reached == Some(outcome) && object.recorded().outbox.is_empty()
        })
        .await
    }

    /// The events about the resource, the oldest first.
    pub async fn events(&self) -> Vec<Event> {
        let events = self.namespace.api::<Event>().list(&ListParams::default()).await;
        let mut events = events.map(|list| list.items).unwrap_or_default();
        events.retain(|event| self.is_regarded_by(event));
        events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        events
    }

    /// The reasons of the events about the resource so far, of one type (`Normal` or `Warning`).
    pub async fn event_reasons(&self, event_type: &str) -> Vec<String> {
        let of_type = |event: &Event| event.type_.as_deref() == Some(event_type);
        self.events().await.into_iter().filter(of_type).filter_map(|event| event.reason).collect()
    }

    /// Waits for an event of this type with this reason.
    pub async fn until_event(&self, event_type: &str, reason: Reason) -> Event {
        let is_it = |event: &Event| {
            event.type_.as_deref() == Some(event_type)
                && event.reason.as_deref() == Some(reason.as_str())
                && self.is_regarded_by(event)
        };
        let found = async {
            let events = watcher(self.namespace.api::<Event>(), watcher::Config::default());
            let mut events = pin!(events.default_backoff().touched_objects());
            loop {
                match events.next().await {
                    Some(Ok(event)) if is_it(&event) => return event,
                    Some(_) => {}
                    None => panic!("the watch has ended"),
                }
            }
        };
        match timeout(DEADLINE, found).await {
            Ok(event) => event,
            Err(_) => {
                let missing = format!("{}: an event {event_type} {reason}", self.name);
                panic!("{}", self.namespace.report(&missing).await)
            }
        }
    }

    fn is_regarded_by(&self, event: &Event) -> bool {
        event.regarding.as_ref().is_some_and(|object| object.name.as_deref() == Some(self.name.as_str()))
    }

    /// The first state of the resource for which `is_it` holds: the current one or a later one. `None` is a resource
    /// that does not exist. A watch that ends is started again.
    async fn first(&self, is_it: impl Fn(Option<&CognigyDeployment>) -> bool) -> Option<CognigyDeployment> {
        loop {
            let mut states = pin!(watch_object(self.api.clone(), &self.name));
            while let Some(Ok(state)) = states.next().await {
                if is_it(state.as_ref()) {
                    return state;
                }
            }
            tokio::time::sleep(REWATCH_AFTER).await;
        }
    }
}
