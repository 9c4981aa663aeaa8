//! The copy of a resource that the operator keeps: the whole object while there is something to do for it, and only its
//! name and version while it is at rest. So a large snapshot costs no memory while its resource is at rest.

use super::admission_slot::is_polled;
use super::gates::{Relations, is_at_gates};
use super::queue::Urgency;
use super::received::Received;
use super::resources::claims::{ApiEnvironment, Claim, Claimant};
use super::resources::name_of;
use super::resources::state::version;
use super::sessions::Source;
use super::unreadable::Unreadable;
use super::{record, snapshot};
use api::CognigyDeployment;
use api::spec::SecretReference;
use api::status::{Attempt, Step};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};
use rollout::claim;
use rollout::facts::Requests;
use rollout::gates::GateFacts;
use rollout::requests::is_new;
use rollout::rest::is_at_rest;
use rollout::{Facts, Now, PollTuning, Settings};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::sync::Arc;

/// A resource as the watch has shown it. Copies share its content.
#[derive(Clone, Debug)]
pub enum Watched {
    /// There may be something to do for it.
    Whole(Arc<CognigyDeployment>),
    /// There is nothing to do for it until it changes. Then the watch shows it again.
    AtRest(Arc<AtRest>),
    /// This operator cannot read the object. It does not act on it, and the resource's claim stays valid.
    Unreadable(Arc<Unreadable>),
}

/// The data that is kept for a resource at rest. There may be tens of thousands of them.
#[derive(Clone, Debug)]
pub struct AtRest {
    metadata: ObjectMeta,
    /// The Secret with its credentials, if the spec names one.
    secret: Option<SecretReference>,
    /// Whether its status says what the environment runs. This is so whenever it is ready.
    says_what_runs: bool,
    /// What it requires and who may require it, if there is any.
    relations: Option<Box<Relations>>,
}

impl Watched {
    /// Removes the parts that are not needed, given the current knowledge and another resource that may own the
    /// environment.
    #[must_use]
    pub fn pruned(self, settings: &Settings, other_owner: Option<String>, now: Now) -> Self {
        match self {
            Self::Whole(object) if rests(&object, settings, other_owner, now) => {
                Self::AtRest(Arc::new(AtRest::of(&object)))
            }
            watched => watched,
        }
    }

    /// Shares the snapshot with another version of the resource, if the text is the same. An object that is in use
    /// elsewhere is not changed.
    pub fn share_snapshot(&mut self, known: &Self) {
        let (Self::Whole(object), Self::Whole(known)) = (self, known) else { return };
        if object.spec.configuration_snapshot == known.spec.configuration_snapshot
            && let Some(object) = Arc::get_mut(object)
        {
            object.spec.configuration_snapshot.clone_from(&known.spec.configuration_snapshot);
        }
    }

    /// The whole object, if it is kept.
    #[must_use]
    pub fn whole(&self) -> Option<&Arc<CognigyDeployment>> {
        match self {
            Self::Whole(object) => Some(object),
            Self::AtRest(_) | Self::Unreadable(_) => None,
        }
    }

    /// How urgent its reconcile is.
    #[must_use]
    pub fn urgency(&self) -> Urgency {
        let is_urgent = self.whole().is_some_and(|object| {
            object.metadata.deletion_timestamp.is_some()
                || attempt(object).is_some_and(is_polled)
                || asks_for_rollback(object)
        });
        match self.whole() {
            _ if is_urgent => Urgency::InFlight,
            Some(object) if is_only_watched(object) => Urgency::Watched,
            Some(_) | None => Urgency::NotSubmitted,
        }
    }

    /// Whether its attempt has passed its checks and is not submitted.
    #[must_use]
    pub fn is_at_gates(&self) -> bool {
        self.whole().is_some_and(|object| attempt(object).is_some_and(is_at_gates))
    }

    /// What it requires and who may require it, if there is any.
    #[must_use]
    pub(super) fn relations(&self) -> Option<Box<Relations>> {
        match self {
            Self::Whole(object) => Relations::of(object),
            Self::AtRest(rested) => rested.relations.clone(),
            Self::Unreadable(_) => None,
        }
    }

    /// The source of its credentials, if it is known.
    #[must_use]
    pub fn source(&self) -> Option<Source> {
        match self {
            Self::Whole(object) => Some(Source::of(object)),
            Self::AtRest(rested) => Some(rested.source()),
            Self::Unreadable(_) => None,
        }
    }

    /// Whether its snapshot is in this ConfigMap. Such a resource is always kept whole, because the object alone does
    /// not contain the configuration.
    #[must_use]
    pub fn takes_snapshot_from(&self, namespace: &str, config_map: &str) -> bool {
        let source = self.whole().and_then(|object| object.spec.configuration_snapshot_from.as_ref());
        self.meta().namespace.as_deref() == Some(namespace)
            && source.is_some_and(|source| source.config_map_key_ref.name == config_map)
    }

    /// The environment that its status claims, and the claim. A resource at rest no longer holds this.
    #[must_use]
    pub fn recorded_claim(&self) -> Option<(Arc<ApiEnvironment>, Claimant)> {
        match self {
            Self::Whole(object) => {
                let (environment, claim) = recorded_claim(object)?;
                Some((environment, claimant(object.as_ref(), claim)?))
            }
            Self::AtRest(_) => None,
            Self::Unreadable(unreadable) => {
                Some((Arc::clone(unreadable.environment.as_ref()?), claimant(self, unreadable.claim)?))
            }
        }
    }

    /// Whether it is at rest, and its status says what the environment runs.
    #[must_use]
    pub fn rests_and_says_what_runs(&self) -> bool {
        matches!(self, Self::AtRest(rested) if rested.says_what_runs)
    }
}

/// One object that cannot be read must not stop the watch of all others.
impl<'de> Deserialize<'de> for Watched {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Received::deserialize(deserializer)?.understood() {
            Ok(object) => Self::Whole(Arc::new(object)),
            Err(unreadable) => {
                Self::Unreadable(Arc::new(Unreadable { metadata: essentials(&unreadable.metadata), ..*unreadable }))
            }
        })
    }
}

impl Resource for Watched {
    type DynamicType = ();
    type Scope = <CognigyDeployment as Resource>::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        CognigyDeployment::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        CognigyDeployment::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        CognigyDeployment::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        CognigyDeployment::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Whole(object) => &object.metadata,
            Self::AtRest(rested) => &rested.metadata,
            Self::Unreadable(unreadable) => &unreadable.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Whole(object) => &mut Arc::make_mut(object).metadata,
            Self::AtRest(rested) => &mut Arc::make_mut(rested).metadata,
            Self::Unreadable(unreadable) => &mut Arc::make_mut(unreadable).metadata,
        }
    }
}

impl AtRest {
    fn of(object: &CognigyDeployment) -> Self {
        Self {
            metadata: essentials(&object.metadata),
            secret: object.spec.credentials_ref.clone(),
            says_what_runs: object.status.as_ref().is_some_and(|status| status.running.is_some()),
            relations: Relations::of(object),
        }
    }

    fn source(&self) -> Source {
        Source::new(self.metadata.namespace.as_deref().unwrap_or_default(), self.secret.as_ref())
    }
}

/// The metadata that identifies a resource and its version.
fn essentials(metadata: &ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        uid: metadata.uid.clone(),
        resource_version: metadata.resource_version.clone(),
        generation: metadata.generation,
        creation_timestamp: metadata.creation_timestamp.clone(),
        ..ObjectMeta::default()
    }
}

/// Whether there is nothing to do for it until it changes. The object alone must contain the desired configuration: a
/// ConfigMap may change without an event.
fn rests(object: &CognigyDeployment, settings: &Settings, other_owner: Option<String>, now: Now) -> bool {
    let Some(status) = object.status.as_ref().filter(|_| record::has_finalizer(object)) else { return false };
    // Recognizes most resources that are not at rest without hashing their snapshot.
    let is_observed = object.metadata.generation == Some(status.observed_generation);
    if attempt(object).is_some_and(Attempt::is_in_flight) || !status.outbox.is_empty() || !is_observed {
        return false;
    }
    let Some(target) = snapshot::written_target(object) else { return false };
    let facts = Facts {
        namespace: object.metadata.namespace.as_deref().unwrap_or_default(),
        name: object.metadata.name.as_deref().unwrap_or_default(),
        created_at: object.metadata.creation_timestamp.as_ref().map(|time| time.0),
        uid: object.metadata.uid.as_deref().unwrap_or_default(),
        generation: object.metadata.generation.unwrap_or_default(),
        deleted_at: object.metadata.deletion_timestamp.as_ref().map(|time| time.0),
        spec: &object.spec,
        target: Ok(target),
        requests: Requests::from_annotations(object.annotations()),
        other_owner,
        gates: GateFacts::default(),
        settings,
        credentials_origin: None,
        has_default_webhook: false,
        polling: PollTuning::default(),
        sent_at: now,
        now,
    };
    is_at_rest(&facts, status)
}

/// The environment that a resource's status claims, and the claim.
pub(super) fn recorded_claim(object: &CognigyDeployment) -> Option<(Arc<ApiEnvironment>, Claim)> {
    let status = object.status.as_ref()?;
    let recorded = claim::recorded(status)?;
    let environment = ApiEnvironment { origin: recorded.api_origin, environment: object.spec.environment_id.clone() };
    let claim = Claim { in_flight: claim::is_in_flight(status), deployed_at: recorded.deployed_at };
    Some((Arc::new(environment), claim))
}

/// A resource as a claimant of an environment.
pub(super) fn claimant(object: &impl ResourceExt, claim: Claim) -> Option<Claimant> {
    let created_at = object.creation_timestamp().map_or(Timestamp::MAX, |time| time.0);
    let uid = object.meta().uid.as_deref()?.into();
    Some(Claimant { uid, resource: name_of(object), created_at, version: version(object.meta()), claim })
}

/// Whether a rollback is requested that the operator has not handled yet.
fn asks_for_rollback(object: &CognigyDeployment) -> bool {
    let asked = Requests::from_annotations(object.annotations()).rollback;
    let handled = object.status.as_ref().and_then(|status| status.handled_requests.as_ref());
    is_new(asked.as_ref(), handled.and_then(|handled| handled.rollback.as_ref()))
}

/// Whether its success is watched, and nothing else is to be done for it. A ConfigMap may change without an event.
fn is_only_watched(object: &CognigyDeployment) -> bool {
    let Some(status) = object.status.as_ref() else { return false };
    let asked = Requests::from_annotations(object.annotations()).retry;
    let handled = status.handled_requests.as_ref().and_then(|handled| handled.retry.as_ref());
    object.spec.monitoring.after_success.is_some()
        && object.spec.configuration_snapshot.is_some()
        && object.metadata.generation == Some(status.observed_generation)
        && status.outbox.is_empty()
        && !is_new(asked.as_ref(), handled)
        && attempt(object).is_some_and(|attempt| attempt.step == Step::Settled && claim::claims_to_run(attempt))
}

fn attempt(object: &CognigyDeployment) -> Option<&Attempt> {
    object.status.as_ref()?.attempt.as_ref()
}

#[cfg(test)]
mod tests;
