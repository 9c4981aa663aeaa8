//! What the operator keeps of a resource that it watches: the whole of one that there is something to do for, and of
//! one at rest no more than its name and its claim, whatever the size of its snapshot.

use super::fleet::name_of;
use super::ownership::{Claim, Claimant, Place};
use super::queue::Urgency;
use super::received::Received;
use super::remembered::version;
use super::sessions::Source;
use super::unreadable::Unreadable;
use super::{record, snapshot};
use crate::api::condition::ConditionSet;
use crate::api::spec::SecretReference;
use crate::api::status::{Attempt, Step};
use crate::api::{CognigyDeployment, ConditionType};
use crate::rollout::claim;
use crate::rollout::facts::Requests;
use crate::rollout::rest::is_at_rest;
use crate::rollout::{Facts, Now, Pace, Settings};
use jiff::Timestamp;
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
    /// Whether it says that its environment runs what it deployed.
    is_ready: bool,
}

impl Watched {
    /// What is worth keeping, by what is known at this moment, also of another resource that owns its environment.
    #[must_use]
    pub fn pruned(self, settings: &Settings, other_owner: Option<String>, now: Now) -> Self {
        match self {
            Self::Whole(object) if rests(&object, settings, other_owner, now) => {
                Self::AtRest(Arc::new(AtRest::of(&object)))
            }
            watched => watched,
        }
    }

    /// Shares the snapshot of another version of it, if that is the same text. What is in use elsewhere stays as it is.
    pub fn share_snapshot(&mut self, known: &Self) {
        let (Self::Whole(object), Self::Whole(known)) = (self, known) else { return };
        if object.spec.configuration_snapshot == known.spec.configuration_snapshot
            && let Some(object) = Arc::get_mut(object)
        {
            object.spec.configuration_snapshot.clone_from(&known.spec.configuration_snapshot);
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

    /// How urgent its reconcile is.
    #[must_use]
    pub fn urgency(&self) -> Urgency {
        let is_urgent = self.whole().is_some_and(|object| {
            let is_under_way = |attempt: &Attempt| attempt.is_in_flight() || attempt.step == Step::VerifyingRollback;
            object.metadata.deletion_timestamp.is_some()
                || attempt(object).is_some_and(is_under_way)
                || asks_for_rollback(object)
        });
        if is_urgent { Urgency::InFlight } else { Urgency::NotSubmitted }
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

    /// The environment that it claims by what is recorded, and what by. What is kept of a resource at rest no longer tells.
    #[must_use]
    pub fn recorded_claim(&self) -> Option<(Arc<Place>, Claimant)> {
        match self {
            Self::Whole(object) => {
                let (place, claim) = recorded_claim(object)?;
                Some((place, claimant(object.as_ref(), claim)?))
            }
            Self::AtRest(_) => None,
            Self::Unreadable(unreadable) => {
                Some((Arc::clone(unreadable.place.as_ref()?), claimant(self, unreadable.claim)?))
            }
        }
    }

    /// Whether it is at rest, and says that its environment runs what it deployed.
    #[must_use]
    pub fn rests_ready(&self) -> bool {
        matches!(self, Self::AtRest(rested) if rested.is_ready)
    }
}

/// One object that cannot be read must not stop the watch of all others.
impl<'de> Deserialize<'de> for Watched {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Received::deserialize(deserializer)?.understood() {
            Ok(object) => Self::Whole(Arc::new(object)),
            Err(unreadable) => {
                Self::Unreadable(Arc::new(Unreadable { metadata: essentials(&unreadable.metadata), ..unreadable }))
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
            is_ready: object.status.as_ref().is_some_and(|status| status.conditions.is_true(ConditionType::Ready)),
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
fn rests(object: &CognigyDeployment, settings: &Settings, other_owner: Option<String>, now: Now) -> bool {
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
        other_owner,
        settings,
        pace: Pace::default(),
        asked: now,
        now,
    };
    is_at_rest(&facts, status)
}

/// The environment that a resource claims by its status, and what by.
pub(super) fn recorded_claim(object: &CognigyDeployment) -> Option<(Arc<Place>, Claim)> {
    let status = object.status.as_ref()?;
    let recorded = claim::recorded(status)?;
    let place = Place { origin: recorded.api_origin, environment: object.spec.environment_id.clone() };
    let claim = Claim { in_flight: claim::is_in_flight(status), deployed_at: recorded.deployed_at };
    Some((Arc::new(place), claim))
}

/// A resource as a claimant of an environment.
pub(super) fn claimant(object: &impl ResourceExt, claim: Claim) -> Option<Claimant> {
    let created_at = object.creation_timestamp().map_or(Timestamp::MAX, |time| time.0);
    let uid = object.meta().uid.as_deref()?.into();
    Some(Claimant { uid, who: name_of(object), created_at, version: version(object.meta()), claim })
}

/// Whether somebody asks for a rollback that the operator has not seen to yet.
fn asks_for_rollback(object: &CognigyDeployment) -> bool {
    let asked = Requests::from_annotations(object.annotations()).rollback;
    let handled = object.status.as_ref().and_then(|status| status.handled_requests.as_ref());
    asked.is_some() && asked != handled.and_then(|handled| handled.rollback.clone())
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
            other_owner: None,
            settings: &settings,
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
        Watched::deserialize(object).unwrap().pruned(&Settings::default(), None, now())
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
    fn a_resource_claims_what_its_status_records() {
        let submitted: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let claimed: Timestamp = "2026-01-03T12:00:00Z".parse().unwrap();
        let deployed = |in_flight, at| Some(("https://api", Claim { in_flight, deployed_at: Some(at) }));
        type Claimed = Option<(&'static str, Claim)>;
        let table: [(&str, fn(&mut Value), Claimed); 9] = [
            ("a success of a version that recorded no claim", |_| (), deployed(false, submitted)),
            (
                "a recorded claim",
                |status| status["claim"] = json!({"apiOrigin": "https://api", "deployedAt": "2026-01-03T12:00:00Z"}),
                deployed(false, claimed),
            ),
            (
                "the next attempt, not yet submitted",
                |status| {
                    status["claim"] = json!({"apiOrigin": "https://api", "deployedAt": "2026-01-03T12:00:00Z"});
                    let attempt = status["attempt"].as_object_mut().unwrap();
                    attempt.insert("step".to_owned(), json!("Pending"));
                    ["apiOrigin", "jobId", "submittedAt", "verdict"]
                        .iter()
                        .for_each(|field| drop(attempt.remove(*field)));
                },
                deployed(false, claimed),
            ),
            ("a job that runs", |status| status["attempt"]["step"] = json!("RollingOut"), deployed(true, submitted)),
            (
                "an outcome that nobody knows",
                |status| {
                    status["attempt"]["verdict"]["outcome"] = json!("Unknown");
                    status["attempt"].as_object_mut().unwrap().remove("jobId");
                },
                deployed(true, submitted),
            ),
            (
                "a submit that was rejected",
                |status| {
                    status["attempt"]["verdict"] =
                        json!({"outcome": "Failed", "reason": "SubmitRejected", "at": "2026-01-01T12:00:00Z"});
                    status["attempt"].as_object_mut().unwrap().remove("jobId");
                },
                Some(("https://api", Claim::ACCEPTED)),
            ),
            (
                "an accepted validation, and a refused trace",
                |status| {
                    status["claim"] = json!({"apiOrigin": "https://api"});
                    let attempt = status["attempt"].as_object_mut().unwrap();
                    ["apiOrigin", "jobId", "submittedAt"].iter().for_each(|field| drop(attempt.remove(*field)));
                },
                Some(("https://api", Claim::ACCEPTED)),
            ),
            (
                "nothing was ever accepted",
                |status| {
                    let attempt = status["attempt"].as_object_mut().unwrap();
                    ["apiOrigin", "jobId", "submittedAt"].iter().for_each(|field| drop(attempt.remove(*field)));
                },
                None,
            ),
            ("no status", |status| *status = json!(null), None),
        ];
        for (what, change, expected) in table {
            let mut object = succeeded();
            change(&mut object["status"]);
            let claim = Watched::deserialize(&object).unwrap().recorded_claim();
            let claim = claim.as_ref().map(|(place, claimant)| (place.origin.as_str(), claimant.claim));
            assert_eq!(claim, expected, "{what}");
        }
        let (place, claimant) = Watched::deserialize(&succeeded()).unwrap().recorded_claim().unwrap();
        assert_eq!((place.environment.as_str(), &*claimant.uid, claimant.version), ("env", "a-uid", 7));
    }

    #[test]
    fn a_resource_at_rest_tells_whether_it_is_ready() {
        assert!(kept(&succeeded()).rests_ready());
        let mut suspended = succeeded();
        suspended["status"]["conditions"] = json!([]);
        assert!(!kept(&suspended).rests_ready(), "its conditions are still to be written");
        let over = Some("another resource owns the environment".to_owned());
        let watched = Watched::deserialize(&succeeded()).unwrap().pruned(&Settings::default(), over, now());
        assert!(watched.whole().is_some(), "it must say that it is no longer ready");
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
    fn two_versions_of_a_resource_share_a_snapshot_that_is_the_same() {
        let text =
            |watched: &Watched| watched.whole().unwrap().spec.configuration_snapshot.as_ref().unwrap().text().as_ptr();
        let known = Watched::deserialize(&succeeded()).unwrap();
        let mut same = Watched::deserialize(&succeeded()).unwrap();
        assert_ne!(text(&same), text(&known));
        same.share_snapshot(&known);
        assert_eq!(text(&same), text(&known));
        let mut other = succeeded();
        other["spec"]["configurationSnapshot"]["botVersion"] = json!("2.5.0");
        let mut other = Watched::deserialize(&other).unwrap();
        other.share_snapshot(&known);
        assert_ne!(text(&other), text(&known));
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
        assert!(watched.whole().is_none() && !watched.is_at_rest());
        let claim = Watched::deserialize(&succeeded()).unwrap().recorded_claim();
        assert_eq!(watched.recorded_claim(), claim, "what it claims stays claimed");
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
