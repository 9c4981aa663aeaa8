//! What the operator keeps of a resource that it watches: the whole of one that there is something to do for, and of
//! one at rest no more than its name and its claim, whatever the size of its snapshot.

use super::context::claimant;
use super::ownership::{Claim, Claimant, Place};
use super::received::Received;
use super::sessions::Source;
use super::{record, snapshot};
use crate::api::CognigyDeployment;
use crate::api::spec::SecretReference;
use crate::api::status::Attempt;
use crate::rollout::facts::Requests;
use crate::rollout::rest::is_at_rest;
use crate::rollout::{Facts, Now, Pace, Settings};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::sync::Arc;

/// A resource as the watch has told of it. Copies share what is in it.
#[derive(Clone, Debug)]
pub enum Watched {
    /// There is something to do for it, or there may be.
    Whole(Arc<CognigyDeployment>),
    /// Nothing is to be done for it until it changes, and then the watch tells of it anew.
    AtRest(Arc<AtRest>),
    /// Its object is not one that this operator understands: it is left alone, and what it claims stays claimed.
    Unreadable(Arc<Unreadable>),
}

/// What is kept of a resource at rest. There may be tens of thousands of them.
#[derive(Clone, Debug)]
pub struct AtRest {
    metadata: ObjectMeta,
    /// The Secret with its credentials, where it names one.
    secret: Option<SecretReference>,
    /// The environment that it claims, where its credentials were ever accepted.
    place: Option<Arc<Place>>,
}

/// What is kept of a resource that cannot be read.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// Which one it is.
    pub metadata: ObjectMeta,
    /// What is wrong with it.
    pub problem: String,
}

impl Watched {
    /// What is worth keeping, by what is known at this moment.
    #[must_use]
    pub fn pruned(self, settings: &Settings, now: Now) -> Self {
        match self {
            Self::Whole(object) if rests(&object, settings, now) => Self::AtRest(Arc::new(AtRest::of(&object))),
            watched => watched,
        }
    }

    /// The resource itself, where it is kept.
    #[must_use]
    pub fn whole(&self) -> Option<&Arc<CognigyDeployment>> {
        match self {
            Self::Whole(object) => Some(object),
            Self::AtRest(_) | Self::Unreadable(_) => None,
        }
    }

    /// Whether nothing is to be done for it.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        matches!(self, Self::AtRest(_))
    }

    /// Where its credentials come from, where that is known.
    #[must_use]
    pub fn source(&self) -> Option<Source> {
        match self {
            Self::Whole(object) => Some(Source::of(object)),
            Self::AtRest(rested) => Some(rested.source()),
            Self::Unreadable(_) => None,
        }
    }

    /// Whether its snapshot is kept in that ConfigMap. What it is then is not known from the resource alone, so that it is
    /// kept whole.
    #[must_use]
    pub fn takes_snapshot_from(&self, namespace: &str, config_map: &str) -> bool {
        let source = self.whole().and_then(|object| object.spec.configuration_snapshot_from.as_ref());
        self.meta().namespace.as_deref() == Some(namespace)
            && source.is_some_and(|source| source.config_map_key_ref.name == config_map)
    }

    /// The environment that it claims by what is recorded, and how strongly.
    #[must_use]
    pub fn recorded_claim(&self) -> Option<(Arc<Place>, Claimant)> {
        match self {
            Self::Whole(object) => {
                let in_flight = attempt(object).is_some_and(Attempt::is_in_flight);
                let claim = if in_flight { Claim::InFlight } else { Claim::Accepted };
                Some((Arc::new(recorded_place(object)?), claimant(object.as_ref(), claim)?))
            }
            Self::AtRest(rested) => Some((Arc::clone(rested.place.as_ref()?), claimant(self, Claim::Accepted)?)),
            Self::Unreadable(_) => None,
        }
    }
}

/// One object that cannot be read must not stop the watch of all others.
impl<'de> Deserialize<'de> for Watched {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (metadata, understood) = Received::deserialize(deserializer)?.understood();
        Ok(match understood {
            Ok((spec, status)) => Self::Whole(Arc::new(CognigyDeployment { metadata, spec, status })),
            Err(error) => {
                Self::Unreadable(Arc::new(Unreadable { metadata: essentials(&metadata), problem: error.to_string() }))
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
            place: recorded_place(object).map(Arc::new),
        }
    }

    fn source(&self) -> Source {
        Source::new(self.metadata.namespace.as_deref().unwrap_or_default(), self.secret.as_ref())
    }
}

/// What tells one resource, and one version of it, from another.
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

/// Whether nothing is to be done for it until it changes. What the environment should run must be known from the object
/// alone: a ConfigMap may change without a word.
fn rests(object: &CognigyDeployment, settings: &Settings, now: Now) -> bool {
    let Some(status) = object.status.as_ref().filter(|_| record::has_finalizer(object)) else { return false };
    // Most that are not at rest are found out without a hash of their snapshot.
    let is_observed = object.metadata.generation == Some(status.observed_generation);
    if attempt(object).is_some_and(Attempt::is_in_flight) || !status.outbox.is_empty() || !is_observed {
        return false;
    }
    let Some(target) = snapshot::written_target(object) else { return false };
    let facts = Facts {
        uid: object.metadata.uid.as_deref().unwrap_or_default(),
        generation: object.metadata.generation.unwrap_or_default(),
        deleted_at: object.metadata.deletion_timestamp.as_ref().map(|time| time.0),
        spec: &object.spec,
        target: Ok(target),
        requests: Requests::from_annotations(object.annotations()),
        settings,
        credentials_origin: None,
        has_default_webhook: false,
        pace: Pace::default(),
        asked: now,
        now,
    };
    is_at_rest(&facts, status)
}

fn recorded_place(object: &CognigyDeployment) -> Option<Place> {
    let origin = attempt(object)?.api_origin.clone()?;
    Some(Place { origin, environment: object.spec.environment_id.clone() })
}

fn attempt(object: &CognigyDeployment) -> Option<&Attempt> {
    object.status.as_ref()?.attempt.as_ref()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::api::{CognigyDeploymentStatus, FINALIZER};
    use crate::controller::received::LAST_APPLIED;
    use crate::rollout::standing;
    use kube::core::{ObjectList, WatchEvent};
    use serde_json::{Value, json};
    use std::time::Duration;

    /// What is tried, and how the object comes to be so.
    type Case = (&'static str, fn(&mut Value));

    /// A resource after a success, as the API server tells of it.
    fn succeeded() -> Value {
        let spec = json!({
            "environmentId": "env",
            "configurationSnapshot": {"botVersion": "2.4.1"},
            "credentialsRef": {"name": "cognigy-api"},
        });
        let at = "2026-01-01T12:00:00Z";
        let mut object = json!({
            "apiVersion": "deploy.cognigy.ai/v1alpha1",
            "kind": "CognigyDeployment",
            "metadata": {
                "name": "bot", "namespace": "bots", "uid": "a-uid", "resourceVersion": "7", "generation": 1,
                "creationTimestamp": at, "finalizers": [FINALIZER], "labels": {"team": "bots"},
                "annotations": {LAST_APPLIED: "{}", "team": "bots"},
                "managedFields": [{"manager": "kubectl", "operation": "Apply"}],
            },
            "spec": spec,
        });
        let typed: CognigyDeployment = serde_json::from_value(object.clone()).unwrap();
        let target = snapshot::written_target(&typed).unwrap();
        let status = json!({
            "attempt": {
                "number": 1, "digest": target.digest, "checksDigest": target.checks_digest, "generation": 1,
                "step": "Settled", "apiOrigin": "https://api", "jobId": "job_1", "startedAt": at, "submittedAt": at,
                "verdict": {"outcome": "Succeeded", "reason": "Succeeded", "at": at},
            },
            "handledRequests": {},
        });
        let mut status: CognigyDeploymentStatus = serde_json::from_value(status).unwrap();
        let (settings, now) = (Settings::default(), now());
        let facts = Facts {
            uid: "a-uid",
            generation: 1,
            deleted_at: None,
            spec: &typed.spec,
            target: Ok(target),
            requests: Requests::default(),
            settings: &settings,
            credentials_origin: None,
            has_default_webhook: false,
            pace: Pace::default(),
            asked: now,
            now,
        };
        standing::refresh(&mut status, &facts, &crate::rollout::Memory::default());
        object["status"] = serde_json::to_value(&status).unwrap();
        object
    }

    fn now() -> Now {
        Now { wall: "2026-01-02T12:00:00Z".parse().unwrap(), uptime: Duration::from_secs(60) }
    }

    fn kept(object: &Value) -> Watched {
        Watched::deserialize(object).unwrap().pruned(&Settings::default(), now())
    }

    #[test]
    fn of_a_resource_at_rest_only_its_identity_and_its_claim_are_kept() {
        let rested = kept(&succeeded());
        assert!(rested.is_at_rest());
        let identity = json!({
            "name": "bot", "namespace": "bots", "uid": "a-uid", "resourceVersion": "7", "generation": 1,
            "creationTimestamp": "2026-01-01T12:00:00Z",
        });
        assert_eq!(serde_json::to_value(rested.meta()).unwrap(), identity);
        assert_eq!(
            rested.source(),
            Some(Source::new("bots", Some(&SecretReference { name: "cognigy-api".to_owned() })))
        );
    }

    #[test]
    fn a_resource_claims_the_same_whether_it_is_at_rest_or_not() {
        let whole = Watched::deserialize(&succeeded()).unwrap();
        let claim = whole.recorded_claim().unwrap();
        assert_eq!((claim.0.environment.as_str(), claim.1.claim), ("env", Claim::Accepted));
        assert_eq!(kept(&succeeded()).recorded_claim(), Some(claim));

        let mut in_flight = succeeded();
        in_flight["status"]["attempt"]["step"] = json!("RollingOut");
        assert_eq!(kept(&in_flight).recorded_claim().unwrap().1.claim, Claim::InFlight);

        let mut unasked = succeeded();
        unasked["status"]["attempt"].as_object_mut().unwrap().remove("apiOrigin");
        assert_eq!(kept(&unasked).recorded_claim(), None, "no credentials were ever accepted");
    }

    #[test]
    fn each_of_these_keeps_a_resource_whole() {
        let table: [Case; 11] = [
            ("no finalizer", |object| object["metadata"]["finalizers"] = json!([])),
            ("its deletion", |object| object["metadata"]["deletionTimestamp"] = json!("2026-01-02T11:00:00Z")),
            ("no status", |object| drop(object.as_object_mut().unwrap().remove("status"))),
            ("a retry", |object| object["metadata"]["annotations"][crate::api::RETRY_ANNOTATION] = json!("1")),
            ("a rollback", |object| object["metadata"]["annotations"][crate::api::ROLLBACK_ANNOTATION] = json!("1")),
            ("another snapshot", |object| object["spec"]["configurationSnapshot"]["botVersion"] = json!("2.5.0")),
            ("a new generation", |object| object["metadata"]["generation"] = json!(2)),
            ("an attempt in flight", |object| object["status"]["attempt"]["step"] = json!("Monitoring")),
            ("a snapshot in a ConfigMap", |object| {
                let reference = json!({"configMapKeyRef": {"name": "bot", "key": "snapshot"}});
                object["spec"]["configurationSnapshotFrom"] = reference;
                object["spec"].as_object_mut().unwrap().remove("configurationSnapshot");
            }),
            ("a snapshot that is too deep", |object| {
                let deep = (0..126).fold(json!(1), |inner, _| json!([inner]));
                object["spec"]["configurationSnapshot"]["flow"] = deep;
            }),
            ("a snapshot that is too large", |object| {
                object["spec"]["configurationSnapshot"]["flow"] = json!("x".repeat(1 << 20));
            }),
        ];
        for (what, change) in table {
            let mut object = succeeded();
            change(&mut object);
            assert!(kept(&object).whole().is_some(), "{what}");
        }
    }

    #[test]
    fn what_others_have_noted_for_themselves_is_not_kept() {
        let watched = Watched::deserialize(&succeeded()).unwrap();
        let object = watched.whole().unwrap();
        assert_eq!(object.metadata.managed_fields, None);
        assert_eq!(object.annotations().keys().collect::<Vec<_>>(), ["team"]);
    }

    #[test]
    fn a_resource_is_known_by_the_config_map_that_it_takes_its_snapshot_from() {
        let mut object = succeeded();
        object["spec"]["configurationSnapshotFrom"] = json!({"configMapKeyRef": {"name": "map", "key": "snapshot"}});
        object["spec"].as_object_mut().unwrap().remove("configurationSnapshot");
        let watched = kept(&object);
        assert!(watched.takes_snapshot_from("bots", "map"));
        assert!(!watched.takes_snapshot_from("bots", "other") && !watched.takes_snapshot_from("other", "map"));
        assert!(!kept(&succeeded()).takes_snapshot_from("bots", "map"));
    }

    #[test]
    fn a_resource_that_cannot_be_read_is_told_by_its_name_and_left_alone() {
        let mut object = succeeded();
        object["spec"]["monitoring"] = json!("often");
        let watched = kept(&object);
        let Watched::Unreadable(unreadable) = &watched else { panic!("{watched:?}") };
        assert_eq!(watched.uid().as_deref(), Some("a-uid"));
        assert!(unreadable.problem.contains("often"), "{}", unreadable.problem);
        assert!(watched.whole().is_none() && !watched.is_at_rest() && watched.recorded_claim().is_none());
    }

    #[test]
    fn a_snapshot_of_any_depth_is_received_alone_in_a_page_and_in_an_event() {
        let deep = |levels: usize| {
            let snapshot = format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
            serde_json::to_string(&succeeded()).unwrap().replace(r#"{"botVersion":"2.4.1"}"#, &snapshot)
        };
        for levels in [125, 200, 9_000, 100_000] {
            let alone: Watched = serde_json::from_str(&deep(levels)).unwrap();
            assert!(alone.whole().is_some(), "{levels}");
            let page = format!(
                r#"{{"apiVersion":"v1","kind":"List","metadata":{{"resourceVersion":"7"}},"items":[{},{}]}}"#,
                deep(levels),
                serde_json::to_string(&succeeded()).unwrap()
            );
            let page: ObjectList<Watched> = serde_json::from_str(&page).unwrap();
            assert_eq!(page.items.iter().filter(|watched| watched.whole().is_some()).count(), 2, "{levels}");
            let event = format!(r#"{{"type":"ADDED","object":{}}}"#, deep(levels));
            assert!(matches!(serde_json::from_str(&event).unwrap(), WatchEvent::Added(Watched::Whole(_))), "{levels}");
        }
    }

    #[test]
    fn an_object_that_is_not_understood_is_received_alone_however_deep_it_is() {
        let deep = format!("{}{}", "[".repeat(9_000), "]".repeat(9_000));
        for field in
            ["\"generation\":1", "\"manager\":\"kubectl\"", "\"environmentId\":\"env\"", "\"handledRequests\":{}"]
        {
            let (key, _) = field.split_once(':').unwrap();
            let text =
                serde_json::to_string(&succeeded()).unwrap().replace(field, &format!("{field},\"other\":{deep}"));
            assert!(text.contains(&deep), "{key}");
            let watched: Watched = serde_json::from_str(&text).unwrap();
            assert!(watched.whole().is_some(), "what is not known is passed over: {key}");
        }
        let text = serde_json::to_string(&succeeded())
            .unwrap()
            .replace("\"handledRequests\":{}", &format!("\"handledRequests\":{deep}"));
        assert!(matches!(serde_json::from_str(&text).unwrap(), Watched::Unreadable(_)));
    }
}
