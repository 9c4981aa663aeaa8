//! The configuration that a wait is bound to.

use super::report::Ended;
use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use api::status::CognigyDeploymentStatus;
use api::verdict::{Finding, Wait, before_the_start, finding, past_finding};
use api::{CognigyDeployment, Digest, RETRY_ANNOTATION, Reason, Snapshot};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use kube::{Resource, ResourceExt};
use manifest::plan::snapshot_of;
use manifest::validate::{Held, text_of};
use manifest::{Document, Manifests};
use std::time::Duration;
use tokio::time::Instant;

/// How often a ConfigMap is read again, to see whether it still holds the configuration.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// One resource, and the configuration of it that somebody waits for.
#[derive(Debug)]
pub struct Target {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The uid of the object. Another object of the same name is not this target.
    uid: Option<String>,
    /// The generation that asked for the configuration. A status of an older one says nothing.
    generation: i64,
    /// The configuration. `None` while its snapshot cannot be read.
    pub digest: Option<Digest>,
    /// Why the snapshot cannot be read.
    pub problem: Option<String>,
    /// The resource as it was when the target was chosen.
    pub live: Box<CognigyDeployment>,
    /// Whether the resource has asked for this configuration. Another tool may apply it only later.
    was_asked: bool,
    /// When a ConfigMap was last compared with the configuration.
    asked_at: Option<Instant>,
    /// The number of the attempt that deploys the configuration, once it was seen.
    attempt: Option<i64>,
}

/// The resource as the wait sees it.
#[derive(Clone, Copy, Debug)]
pub enum Observed<'o> {
    /// Another object has the name now.
    Replaced,
    /// The operator has not seen the generation that asked for the configuration.
    Unseen,
    /// The operator has not handled a requested retry. The status describes the attempt before it.
    RetryIsDue(&'o CognigyDeploymentStatus),
    /// The same, and the operator handles no retry while the resource is suspended.
    RetryIsHeld(&'o CognigyDeploymentStatus),
    /// The status describes what was asked for.
    Current(&'o CognigyDeploymentStatus),
}

impl<'o> Observed<'o> {
    /// The status, if it describes what was asked for.
    #[must_use]
    pub fn current(self) -> Option<&'o CognigyDeploymentStatus> {
        match self {
            Self::Current(status) => Some(status),
            Self::Replaced | Self::Unseen | Self::RetryIsDue(_) | Self::RetryIsHeld(_) => None,
        }
    }

    /// The status, if the operator has seen the spec.
    #[must_use]
    pub fn status(self) -> Option<&'o CognigyDeploymentStatus> {
        match self {
            Self::Replaced | Self::Unseen => None,
            Self::RetryIsDue(status) | Self::RetryIsHeld(status) | Self::Current(status) => Some(status),
        }
    }
}

impl Target {
    /// The configuration of a spec, which `live` holds.
    #[must_use]
    pub fn of_spec(live: &CognigyDeployment) -> Self {
        let (digest, problem) = match live.spec.configuration_snapshot.as_ref() {
            None => (None, Some("its ConfigMap is not read yet".to_owned())),
            Some(snapshot) => match Digest::of_deployment(&live.spec, snapshot) {
                Ok(digest) => (Some(digest), None),
                Err(problem) => (None, Some(format!("spec.configurationSnapshot: {problem}"))),
            },
        };
        Self {
            namespace: live.namespace().unwrap_or_default(),
            name: live.name_any(),
            uid: live.meta().uid.clone(),
            generation: live.meta().generation.unwrap_or_default(),
            digest,
            problem,
            live: Box::new(live.clone()),
            was_asked: true,
            asked_at: None,
            attempt: None,
        }
    }

    /// A configuration by its digest.
    ///
    /// # Errors
    /// The text is no digest.
    pub fn of_digest(live: &CognigyDeployment, digest: &str) -> Result<Self, Failure> {
        let is_digest = digest.strip_prefix("v1:").is_some_and(|hash| {
            hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        });
        let parsed = serde_json::from_value(serde_json::Value::from(digest)).ok().filter(|_| is_digest);
        let Some(digest) = parsed else {
            return Err(Failure::Usage(format!(
                "--digest {digest} is no digest; it is v1: and 64 hexadecimal digits, as `kubectl cognigy plan` shows it"
            )));
        };
        Ok(Self::of_spec(live).bound_to(digest))
    }

    /// The same resource, bound to a configuration that it may not ask for yet.
    fn bound_to(mut self, digest: Digest) -> Self {
        self.was_asked = self.digest.as_ref() == Some(&digest);
        (self.digest, self.problem) = (Some(digest), None);
        self
    }

    /// The target after its manifest was applied: from then on, another configuration means that it was replaced.
    #[must_use]
    pub fn applied(self) -> Self {
        Self { was_asked: true, ..self }
    }

    /// The configuration in a manifest, which was applied to `live`. If its snapshot is in a ConfigMap that is not among the
    /// manifests, it is read from the cluster later.
    ///
    /// # Errors
    /// The manifest is no deployment that can be read, or its snapshot cannot be deployed.
    pub fn of_manifest(live: &CognigyDeployment, document: &Document, manifests: &Manifests) -> Result<Self, Failure> {
        let wrong = |problem: String| Failure::Usage(format!("{}: {problem}", document.label()));
        let desired = document.deployment().map_err(|error| wrong(error.to_string()))?;
        let namespace = live.namespace().unwrap_or_default();
        let text = desired.spec.configuration_snapshot_from.as_ref().and_then(|source| {
            match text_of(&manifests.config_maps, Some(&namespace), &source.config_map_key_ref) {
                Held::Text(text) => Some(text),
                _ => None,
            }
        });
        let digest = match snapshot_of(&desired.spec, text) {
            None => None,
            Some(snapshot) => {
                let digest = Digest::of_deployment(&desired.spec, &snapshot);
                Some(digest.map_err(|problem| wrong(format!("the snapshot: {problem}")))?)
            }
        };
        let of_spec = Self::of_spec(live);
        Ok(match digest {
            Some(digest) => of_spec.bound_to(digest),
            None => Self { digest: None, ..of_spec },
        })
    }

    /// What the resource says about the configuration, and how far the operator is with it.
    #[must_use]
    pub fn observe<'o>(&self, object: &'o CognigyDeployment) -> Observed<'o> {
        if self.uid.is_some() && object.meta().uid != self.uid {
            return Observed::Replaced;
        }
        let Some(status) = object.status.as_ref().filter(|status| status.observed_generation >= self.generation) else {
            return Observed::Unseen;
        };
        // The value of now, and not of the beginning: a second request replaces the first one, and only it is handled.
        let requested = object.annotations().get(RETRY_ANNOTATION);
        let handled = status.handled_requests.as_ref().and_then(|handled| handled.retry.as_ref());
        let is_in_flight = status.attempt.as_ref().is_some_and(|attempt| attempt.is_in_flight());
        match (requested.is_some() && requested != handled, object.spec.suspend && !is_in_flight) {
            (true, true) => Observed::RetryIsHeld(status),
            (true, false) => Observed::RetryIsDue(status),
            (false, _) => Observed::Current(status),
        }
    }

    /// What is known about the configuration.
    pub fn finding(&mut self, observed: Observed<'_>, wait: Wait) -> Finding {
        let Some(digest) = &self.digest else {
            let problem = self.problem.clone().unwrap_or_else(|| "the resource is being read".to_owned());
            return before_the_start(observed.status(), problem);
        };
        let status = match observed {
            Observed::Replaced | Observed::Unseen => return finding(None, digest, wait),
            Observed::RetryIsDue(status) => {
                return before_the_start(Some(status), "the requested retry has not started yet".to_owned());
            }
            Observed::RetryIsHeld(_) => {
                let message = format!(
                    "spec.suspend is true, so the requested retry does not start; `kubectl cognigy resume {} -n {}` lets it start",
                    self.name, self.namespace
                );
                return Finding::NeedsPerson { reason: Reason::Suspended, message };
            }
            Observed::Current(status) => status,
        };
        let current = status.attempt.as_ref();
        if let Some(current) = current.filter(|current| current.digest == *digest) {
            self.attempt = Some(current.number);
        } else if let Some(past) = status.history.iter().find(|past| Some(past.number) == self.attempt) {
            return past_finding(past, wait);
        }
        finding(Some(status), digest, wait)
    }

    /// The end of a wait for an approval that nobody needs to give. A configuration that the resource has not asked for yet may bring
    /// the need for one along.
    #[must_use]
    pub fn without_approval(&self, object: &CognigyDeployment) -> Option<Finding> {
        let is_asked = self.was_asked && object.meta().generation.unwrap_or_default() >= self.generation;
        (is_asked && object.spec.approval.is_none()).then(|| Finding::Succeeded {
            job_id: None,
            since: Timestamp::now(),
            message: "no approval is needed: spec.approval is not set".to_owned(),
        })
    }

    /// Whether the resource has asked for this configuration, and asks for another one now. An attempt to deploy it that has
    /// started is still followed: the operator says how it ends.
    ///
    /// # Errors
    /// The caller may not read the ConfigMap.
    pub async fn is_replaced(
        &mut self,
        object: &CognigyDeployment,
        connection: &Connection,
    ) -> Result<Option<Finding>, Failure> {
        let status = object.status.as_ref();
        let current = status.and_then(|status| status.attempt.as_ref());
        let (Some(digest), false) =
            (&self.digest, current.is_some_and(|current| Some(&current.digest) == self.digest.as_ref()))
        else {
            return Ok(None);
        };
        let asked = match &object.spec.configuration_snapshot {
            Some(snapshot) => Digest::of_deployment(&object.spec, snapshot).ok(),
            None if self.asked_at.is_some_and(|asked_at| asked_at.elapsed() < ASK_AGAIN) => None,
            None => {
                self.asked_at = Some(Instant::now());
                config_map_digest(object, connection).await?.ok()
            }
        };
        let Some(asked) = asked else { return Ok(None) };
        if asked == *digest {
            self.was_asked = true;
        } else if self.was_asked {
            let message = format!(
                "the resource asks for configuration {} now, and not for {} any more: somebody has replaced it before it was \
                 deployed; `kubectl cognigy status {} -n {}` shows what is deployed instead",
                asked.short(),
                digest.short(),
                self.name,
                self.namespace
            );
            return Ok(Some(Finding::Failed { reason: Reason::Superseded, message }));
        }
        Ok(None)
    }

    /// Reads the snapshot from its ConfigMap if it was not read yet.
    ///
    /// # Errors
    /// The caller may not read the ConfigMap.
    pub async fn read_snapshot(&mut self, object: &CognigyDeployment, connection: &Connection) -> Result<(), Failure> {
        // A spec with a problem of its own stays as it is until it is changed, which is another configuration.
        if self.digest.is_some() || object.spec.configuration_snapshot_from.is_none() {
            return Ok(());
        }
        match config_map_digest(object, connection).await? {
            Ok(digest) => (self.digest, self.problem, self.asked_at) = (Some(digest), None, Some(Instant::now())),
            Err(problem) => self.problem = Some(problem),
        }
        Ok(())
    }

    /// The end of the wait.
    #[must_use]
    pub fn ended(
        &self,
        exit: Exit,
        finding: Finding,
        status: Option<&CognigyDeploymentStatus>,
        began: Instant,
    ) -> Ended {
        Ended::new(self, exit, finding, status, began.elapsed())
    }

    /// The resource was deleted.
    #[must_use]
    pub fn ended_deleted(&self, began: Instant) -> Ended {
        let message =
            "the resource was deleted before it had a verdict; another one of the same name does not count".to_owned();
        Ended::new(
            self,
            Exit::Failed,
            Finding::Failed { reason: Reason::ResourceDeleted, message },
            None,
            began.elapsed(),
        )
    }

    /// The operator does not act.
    #[must_use]
    pub fn ended_silent(&self, lease: String, status: Option<&CognigyDeploymentStatus>, began: Instant) -> Ended {
        let message =
            format!("the operator does not act on this resource ({lease}); look at it with `kubectl cognigy doctor`");
        Ended::new(self, Exit::OperatorNotActing, Finding::Pending { message }, status, began.elapsed())
    }
}

/// The digest of the configuration whose snapshot is in a ConfigMap, or why it is not known yet.
///
/// # Errors
/// The caller may not read the ConfigMap.
async fn config_map_digest(
    object: &CognigyDeployment,
    connection: &Connection,
) -> Result<Result<Digest, String>, Failure> {
    let Some(source) = &object.spec.configuration_snapshot_from else {
        return Ok(Err("the spec names no snapshot".to_owned()));
    };
    let reference = &source.config_map_key_ref;
    let namespace = object.namespace().unwrap_or_default();
    let place = format!("ConfigMap {namespace}/{}", reference.name);
    let maps: Api<ConfigMap> = Api::namespaced(connection.client.clone(), &namespace);
    let map = match maps.get(&reference.name).await {
        Ok(map) => map,
        Err(kube::Error::Api(status)) if matches!(status.code, 401 | 403) => {
            return Err(Failure::Forbidden(format!(
                "the snapshot of {namespace}/{} is in {place}, which you may not get; ask for this right, or name the \
                 configuration with --digest, as `kubectl cognigy plan` shows it",
                object.name_any()
            )));
        }
        Err(error) => return Ok(Err(format!("{place} cannot be read: {error}"))),
    };
    let text = map.data.as_ref().and_then(|data| data.get(&reference.key));
    let Some(text) = text else { return Ok(Err(format!("{place} has no key {}", reference.key))) };
    let digest = Snapshot::from_text(text)
        .map_err(|problem| problem.to_string())
        .and_then(|read| Digest::of_deployment(&object.spec, &read.snapshot).map_err(|problem| problem.to_string()));
    Ok(digest.map_err(|problem| format!("{place}, key {}: {problem}", reference.key)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A deployment with this version in its snapshot, and this status over the usual one.
    fn deployment(version: &str, annotation: Option<&str>, status: Value) -> CognigyDeployment {
        let annotations = annotation.map(|value| json!({RETRY_ANNOTATION: value}));
        serde_json::from_str(
            &json!({
                "apiVersion": "deploy.cognigy.ai/v1alpha1", "kind": "CognigyDeployment",
                "metadata": {"namespace": "bots", "name": "bot", "uid": "u1", "generation": 2, "annotations": annotations},
                "spec": {
                    "environmentId": "env_1", "configurationSnapshot": {"botVersion": version},
                    "rollbackPolicy": {"healthThreshold": 3},
                },
                "status": status,
            })
            .to_string(),
        )
        .unwrap()
    }

    fn attempt(deployment: &CognigyDeployment, number: i64) -> Value {
        let digest = Target::of_spec(deployment).digest.unwrap();
        json!({"number": number, "digest": digest, "generation": 2, "step": "Pending", "startedAt": "2026-01-01T12:00:00Z",
            "checks": {"digest": digest}})
    }

    #[test]
    fn another_object_of_the_same_name_is_not_the_target() {
        let first = deployment("1", None, Value::Null);
        let mut second = first.clone();
        second.metadata.uid = Some("u2".to_owned());
        assert!(matches!(Target::of_spec(&first).observe(&second), Observed::Replaced));
        assert!(matches!(Target::of_spec(&first).observe(&first), Observed::Unseen));
    }

    #[test]
    fn a_second_retry_does_not_leave_the_wait_behind_with_the_first_one() {
        let before = deployment("1", Some("first"), json!({"observedGeneration": 2}));
        let target = Target::of_spec(&before);
        assert!(matches!(target.observe(&before), Observed::RetryIsDue(_)));
        let status = json!({"observedGeneration": 2, "handledRequests": {"retry": "second"}});
        let after = deployment("1", Some("second"), status.clone());
        assert!(matches!(target.observe(&after), Observed::Current(_)), "the operator handles only the last request");
        let removed = deployment("1", None, status);
        assert!(matches!(target.observe(&removed), Observed::Current(_)));
    }

    #[test]
    fn a_retry_of_a_suspended_resource_needs_a_person_and_does_not_blame_the_operator() {
        let mut held = deployment("1", Some("now"), json!({"observedGeneration": 2}));
        held.spec.suspend = true;
        let mut target = Target::of_spec(&held);
        let finding = target.finding(target.observe(&held), Wait::Verdict);
        assert!(matches!(finding, Finding::NeedsPerson { reason: Reason::Suspended, .. }), "{finding:?}");
    }

    #[test]
    fn an_attempt_that_became_history_between_two_looks_still_ends_the_wait() {
        let plain = deployment("1", None, Value::Null);
        let ours = deployment("1", None, json!({"observedGeneration": 2, "attempt": attempt(&plain, 3)}));
        let mut target = Target::of_spec(&ours);
        let look =
            |target: &mut Target, object: &CognigyDeployment| target.finding(target.observe(object), Wait::Verdict);
        assert!(matches!(look(&mut target, &ours), Finding::Pending { .. }));
        let other = deployment("2", None, Value::Null);
        let past = json!({"number": 3, "digest": target.digest, "startedAt": "2026-01-01T12:00:00Z",
            "verdict": {"outcome": "Succeeded", "reason": "Succeeded", "at": "2026-01-01T12:01:00Z"}});
        let status = json!({"observedGeneration": 3, "attempt": attempt(&other, 4), "history": [past]});
        let replaced = deployment("2", None, status);
        assert!(matches!(look(&mut target, &replaced), Finding::Succeeded { .. }));
        // A success of an attempt that this wait has not followed may be an old one.
        assert!(!matches!(look(&mut Target::of_spec(&ours), &replaced), Finding::Succeeded { .. }));
    }

    #[test]
    fn no_approval_is_waited_for_if_the_spec_that_asked_needs_none() {
        let plain = deployment("1", None, Value::Null);
        let target = Target::of_spec(&plain);
        assert!(matches!(target.without_approval(&plain), Some(Finding::Succeeded { .. })));
        let mut guarded = plain.clone();
        guarded.spec.approval = Some(serde_json::from_value(json!({"required": 2})).unwrap());
        assert!(target.without_approval(&guarded).is_none());
        // The configuration of a file that is not applied yet may need one.
        let digest = Target::of_spec(&deployment("2", None, Value::Null)).digest.unwrap().to_string();
        assert!(Target::of_digest(&plain, &digest).unwrap().without_approval(&plain).is_none());
    }

    #[tokio::test]
    async fn a_configuration_that_was_replaced_before_its_attempt_ends_the_wait() {
        rustls::crypto::ring::default_provider().install_default().ok();
        // Nothing is sent: the snapshots are in the specs.
        let client = kube::Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
        let connection = Connection { client: client.clone(), watching: client, namespace: "bots".to_owned() };
        let (ours, other) = (deployment("1", None, Value::Null), deployment("2", None, Value::Null));
        let mut target = Target::of_spec(&ours);
        assert!(target.is_replaced(&ours, &connection).await.unwrap().is_none());
        let replaced = target.is_replaced(&other, &connection).await.unwrap();
        assert!(matches!(replaced, Some(Finding::Failed { reason: Reason::Superseded, .. })), "{replaced:?}");
        let in_progress = deployment("2", None, json!({"observedGeneration": 2, "attempt": attempt(&ours, 3)}));
        assert!(target.is_replaced(&in_progress, &connection).await.unwrap().is_none(), "its attempt says how it ends");
        // Another tool may apply the configuration only later.
        let mut early = Target::of_digest(&other, &target.digest.unwrap().to_string()).unwrap();
        assert!(early.is_replaced(&other, &connection).await.unwrap().is_none());
        assert!(early.applied().is_replaced(&other, &connection).await.unwrap().is_some());
    }
}
