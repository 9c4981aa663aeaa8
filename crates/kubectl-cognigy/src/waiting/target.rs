//! The configuration that a wait is bound to.

use super::report::Ended;
use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use api::status::CognigyDeploymentStatus;
use api::verdict::Finding;
use api::{CognigyDeployment, Digest, RETRY_ANNOTATION, Snapshot};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use kube::{Resource, ResourceExt};
use manifest::plan::snapshot_of;
use manifest::validate::{Held, text_of};
use manifest::{Document, Manifests};
use tokio::time::Instant;

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
    /// The retry that was requested, which the operator must have seen.
    retry: Option<String>,
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
            retry: live.annotations().get(RETRY_ANNOTATION).cloned(),
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
        Ok(Self { digest: Some(digest), problem: None, ..Self::of_spec(live) })
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
            Some(digest) => Self { digest: Some(digest), problem: None, ..of_spec },
            None => Self { digest: None, ..of_spec },
        })
    }

    /// The status, if it describes the generation that asked for the configuration.
    #[must_use]
    pub fn status_of<'o>(&self, object: &'o CognigyDeployment) -> Option<&'o CognigyDeploymentStatus> {
        let is_it = self.uid.is_none() || object.meta().uid == self.uid;
        let status = object.status.as_ref().filter(|status| is_it && status.observed_generation >= self.generation)?;
        let handled = status.handled_requests.as_ref().and_then(|handled| handled.retry.as_ref());
        (self.retry.is_none() || handled == self.retry.as_ref()).then_some(status)
    }

    /// Reads the snapshot from its ConfigMap if it was not read yet.
    pub async fn read_snapshot(&mut self, object: Option<&CognigyDeployment>, connection: &Connection) {
        let (None, Some(object)) = (&self.digest, object) else { return };
        match config_map_snapshot(object, connection)
            .await
            .and_then(|snapshot| Digest::of_deployment(&object.spec, &snapshot).map_err(|problem| problem.to_string()))
        {
            Ok(digest) => (self.digest, self.problem) = (Some(digest), None),
            Err(problem) => self.problem = Some(problem),
        }
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
        let message = "the resource was deleted before it had a verdict".to_owned();
        Ended::new(
            self,
            Exit::Failed,
            Finding::Bad { reason: api::Reason::ResourceDeleted, message },
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

/// The snapshot in a ConfigMap.
async fn config_map_snapshot(object: &CognigyDeployment, connection: &Connection) -> Result<Snapshot, String> {
    let Some(source) = &object.spec.configuration_snapshot_from else {
        return Err("the spec names no snapshot".to_owned());
    };
    let reference = &source.config_map_key_ref;
    let namespace = object.namespace().unwrap_or_default();
    let place = format!("ConfigMap {namespace}/{}", reference.name);
    let maps: Api<ConfigMap> = Api::namespaced(connection.client.clone(), &namespace);
    let map = maps.get(&reference.name).await.map_err(|error| format!("{place} cannot be read: {error}"))?;
    let text = map.data.as_ref().and_then(|data| data.get(&reference.key));
    let Some(text) = text else { return Err(format!("{place} has no key {}", reference.key)) };
    Snapshot::from_text(text)
        .map(|read| read.snapshot)
        .map_err(|problem| format!("{place}, key {}: {problem}", reference.key))
}
