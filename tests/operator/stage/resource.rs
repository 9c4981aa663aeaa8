//! One resource: what is done to it, and what is read from it.

use super::{ConditionType, DEADLINE, Outcome, Reason, Sample, Step, True, World};
use api::CognigyDeployment;
use api::condition::{Condition, ConditionSet, ConditionStatus};
use api::status::{Attempt, CognigyDeploymentStatus};
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions::is_deleted};
use kube::runtime::watcher;
use serde_json::json;
use tokio::time::timeout;

/// A resource in the namespace of a world.
pub(crate) struct Resource<'w> {
    world: &'w World,
    name: String,
    api: Api<CognigyDeployment>,
}

impl<'w> Resource<'w> {
    pub(super) fn new(world: &'w World, name: &str) -> Self {
        Self { world, name: name.to_owned(), api: world.resources() }
    }

    /// Applies another form of it.
    pub(crate) async fn edit(&self, sample: &Sample) {
        let parameters = PatchParams::apply("tests").force();
        self.api.patch(&self.name, &parameters, &Patch::Apply(sample.object())).await.unwrap();
    }

    pub(crate) async fn annotate(&self, key: &str, value: &str) {
        let patch = json!({"metadata": {"annotations": {key: value}}});
        self.api.patch(&self.name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// A merge patch that may be refused.
    pub(crate) async fn try_patch(&self, patch: serde_json::Value) -> Result<CognigyDeployment, kube::Error> {
        self.api.patch(&self.name, &PatchParams::default(), &Patch::Merge(patch)).await
    }

    /// Asks for a retry.
    pub(crate) async fn ask_for_retry(&self, value: &str) {
        self.annotate(api::RETRY_ANNOTATION, value).await;
    }

    /// Asks for a rollback.
    pub(crate) async fn ask_for_rollback(&self, value: &str) {
        self.annotate(api::ROLLBACK_ANNOTATION, value).await;
    }

    /// Deletes it. `Api::delete` would read the answer as a tree, which has a limit of depth.
    pub(crate) async fn delete(&self) {
        let delete = kube::core::Request::new(self.api.resource_url()).delete(&self.name, &DeleteParams::default());
        self.world.client.request_text(delete.unwrap()).await.unwrap();
    }

    pub(crate) async fn now(&self) -> CognigyDeployment {
        self.api.get(&self.name).await.unwrap()
    }

    /// Watches until it is so; after the deadline the test fails with a report.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&CognigyDeployment) -> bool) -> CognigyDeployment {
        // A watch that a busy API server breaks off goes on.
        let is_it = |object: &CognigyDeployment| object.name_any() == self.name && holds(object);
        // Another resource may be one that the test cannot read.
        let this = watcher::Config::default().fields(&format!("metadata.name={}", self.name));
        match timeout(DEADLINE, super::world::first(self.api.clone(), this, is_it)).await {
            Ok(object) => object,
            Err(_) => panic!("{}", self.world.report(&format!("{}: {what}", self.name)).await),
        }
    }

    /// Until a condition is so, and speaks of the spec as it is now.
    pub(crate) async fn until_condition(
        &self,
        condition_type: ConditionType,
        status: ConditionStatus,
    ) -> CognigyDeployment {
        self.until(&format!("{condition_type} is {status:?}"), |object| {
            object.is_observed() && object.find(condition_type).is_some_and(|condition| condition.status == status)
        })
        .await
    }

    pub(crate) async fn until_ready(&self) -> CognigyDeployment {
        self.until_condition(ConditionType::Ready, True).await
    }

    /// Until a person is needed, for that reason.
    pub(crate) async fn until_stalled(&self, reason: Reason) -> CognigyDeployment {
        self.until(&format!("it is stalled: {reason}"), |object| {
            object.is_observed() && object.find(ConditionType::Stalled).is_some_and(|stalled| stalled.reason == reason)
        })
        .await
    }

    /// Until Ready gives that reason, whatever its status.
    pub(crate) async fn until_ready_says(&self, reason: Reason) -> CognigyDeployment {
        self.until(&format!("Ready says {reason}"), |object| {
            object.is_observed() && object.find(ConditionType::Ready).is_some_and(|ready| ready.reason == reason)
        })
        .await
    }

    pub(crate) async fn until_step(&self, step: Step) -> CognigyDeployment {
        self.until(&format!("it is at {step:?}"), |object| {
            object.attempt_if_any().is_some_and(|attempt| attempt.step == step)
        })
        .await
    }

    /// Until that attempt has ended like this, nothing more is to be done for it, and everybody was told.
    pub(crate) async fn until_settled(&self, number: i64, outcome: Outcome) -> CognigyDeployment {
        self.until(&format!("attempt {number} has ended as {outcome}"), |object| {
            object.attempt_if_any().is_some_and(|attempt| {
                attempt.number == number && attempt.outcome() == Some(outcome) && attempt.step == Step::Settled
            }) && object.recorded().outbox.is_empty()
        })
        .await
    }

    pub(crate) async fn until_gone(&self, uid: &str) {
        if timeout(DEADLINE, await_condition(self.api.clone(), &self.name, is_deleted(uid))).await.is_err() {
            panic!("{}", self.world.report(&format!("{} is gone", self.name)).await);
        }
    }

    /// Deletes it, and waits until it is gone.
    pub(crate) async fn delete_and_wait(&self) {
        let uid = self.now().await.uid().unwrap();
        self.delete().await;
        self.until_gone(&uid).await;
    }

    /// The events about it, the oldest first.
    pub(crate) async fn events(&self) -> Vec<Event> {
        let events: Api<Event> = Api::namespaced(self.world.client.clone(), &self.world.namespace);
        let mut events = events.list(&ListParams::default()).await.map(|list| list.items).unwrap_or_default();
        events.retain(|event| {
            event.regarding.as_ref().is_some_and(|object| object.name.as_deref() == Some(self.name.as_str()))
        });
        events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        events
    }

    /// The reasons of the events about it so far, of that type (`Normal` or `Warning`).
    pub(crate) async fn told(&self, event_type: &str) -> Vec<String> {
        let of_type = |event: &Event| event.type_.as_deref() == Some(event_type);
        self.events().await.into_iter().filter(of_type).filter_map(|event| event.reason).collect()
    }

    /// Waits for an event of that type with that reason.
    pub(crate) async fn until_told(&self, event_type: &str, reason: Reason) -> Event {
        let events: Api<Event> = Api::namespaced(self.world.client.clone(), &self.world.namespace);
        let is_it = |event: &Event| {
            event.type_.as_deref() == Some(event_type)
                && event.reason.as_deref() == Some(reason.as_str())
                && event.regarding.as_ref().is_some_and(|object| object.name.as_deref() == Some(self.name.as_str()))
        };
        match timeout(DEADLINE, super::world::first(events, watcher::Config::default(), is_it)).await {
            Ok(event) => event,
            Err(_) => panic!("{}", self.world.report(&format!("a {event_type} {reason} of {}", self.name)).await),
        }
    }
}

/// What a test reads from a resource.
pub(crate) trait Reading {
    fn recorded(&self) -> CognigyDeploymentStatus;
    fn attempt_if_any(&self) -> Option<&Attempt>;
    /// Whether the status speaks of the spec as it is now.
    fn is_observed(&self) -> bool;
    fn find(&self, condition_type: ConditionType) -> Option<&Condition>;

    fn attempt(&self) -> &Attempt {
        self.attempt_if_any().expect("there is an attempt")
    }

    /// A condition that must be there.
    fn condition(&self, condition_type: ConditionType) -> &Condition {
        self.find(condition_type).unwrap_or_else(|| panic!("there is no {condition_type}"))
    }

    /// A condition's status and reason.
    fn says(&self, condition_type: ConditionType) -> (ConditionStatus, Reason) {
        let condition = self.condition(condition_type);
        (condition.status, condition.reason)
    }

    fn is_true(&self, condition_type: ConditionType) -> bool {
        self.find(condition_type).is_some_and(|condition| condition.status == True)
    }
}

impl Reading for CognigyDeployment {
    fn recorded(&self) -> CognigyDeploymentStatus {
        self.status.clone().unwrap_or_default()
    }

    fn attempt_if_any(&self) -> Option<&Attempt> {
        self.status.as_ref()?.attempt.as_ref()
    }

    fn is_observed(&self) -> bool {
        self.status.as_ref().is_some_and(|status| Some(status.observed_generation) == self.metadata.generation)
    }

    fn find(&self, condition_type: ConditionType) -> Option<&Condition> {
        self.status.as_ref()?.conditions.find(condition_type)
    }
}
