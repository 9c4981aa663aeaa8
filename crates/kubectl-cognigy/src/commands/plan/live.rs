//! What a plan reads of the cluster: the live objects, who owns environments, and ConfigMaps with snapshots.

use crate::commands::{deployments, gate_objects};
use crate::connection::Connection;
use crate::exit::Failure;
use api::CognigyDeployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use manifest::plan::{GateObjects, WindowObject};
use manifest::validate::{Held, text_of};
use manifest::{Document, Manifests};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

/// The cluster, as far as the caller may read it.
pub struct Live<'c> {
    connection: &'c Connection,
    others: Vec<CognigyDeployment>,
    notes: Vec<String>,
    /// What was read of gates, by namespace.
    gates: RefCell<HashMap<String, (GateObjects, Vec<String>)>>,
}

impl<'c> Live<'c> {
    /// Lists the deployments of the cluster, or else those of the namespaces of the manifests.
    ///
    /// # Errors
    /// [`Failure`] if there is no such kind, or the cluster cannot be reached.
    pub async fn read(connection: &'c Connection, manifests: &Manifests) -> Result<Self, Failure> {
        let mut live = Self { connection, others: Vec::new(), notes: Vec::new(), gates: RefCell::default() };
        match deployments::list(connection, true, None).await {
            Ok(listed) => live.take(listed),
            Err(Failure::Forbidden(_)) => {
                let namespaces: BTreeSet<String> =
                    manifests.deployments.iter().map(|document| live.namespace_of(document).to_owned()).collect();
                for namespace in namespaces {
                    let there = connection.in_namespace(&namespace);
                    match deployments::list(&there, false, None).await {
                        Ok(listed) => live.take(listed),
                        Err(Failure::Forbidden(_)) => {
                            live.notes.push(format!("you may not list the CognigyDeployments of namespace {namespace}: whether one of them owns the environment is not known"));
                        }
                        Err(failure) => return Err(failure),
                    }
                }
                live.notes.push("you may not list the CognigyDeployments of all namespaces: whether one of another namespace owns the environment is not known".to_owned());
            }
            Err(failure) => return Err(failure),
        }
        Ok(live)
    }

    fn take(&mut self, listed: Vec<deployments::Listed>) {
        self.others.extend(listed.into_iter().filter_map(|listed| listed.deployment.ok()).map(|object| *object));
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        self.connection
    }

    /// Every deployment that the caller may see.
    pub fn others(&self) -> &[CognigyDeployment] {
        &self.others
    }

    /// What could not be read.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The namespace that kubectl would apply a document to.
    pub fn namespace_of<'d>(&'d self, document: &'d Document) -> &'d str {
        document.namespace().unwrap_or(&self.connection.namespace)
    }

    /// The live object, if there is one. It is read by itself: its snapshot keeps its numbers as they are.
    ///
    /// # Errors
    /// [`Failure`] if it cannot be read.
    pub async fn get(&self, namespace: &str, name: &str) -> Result<Option<CognigyDeployment>, Failure> {
        let api: Api<CognigyDeployment> = Api::namespaced(self.connection.client.clone(), namespace);
        let there = self.connection.in_namespace(namespace);
        api.get_opt(name).await.map_err(|error| deployments::of_get(&there, name, error))
    }

    /// The decisions and change windows that may be about the deployments of a namespace, and notes on what could not be read. They
    /// are read once for each namespace.
    ///
    /// # Errors
    /// [`Failure`] if the cluster cannot be reached.
    pub async fn gates(
        &self,
        namespace: &str,
        operator_namespace: &str,
    ) -> Result<(GateObjects, Vec<String>), Failure> {
        let known = self.gates.borrow().get(namespace).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let read = self.read_gates(namespace, operator_namespace).await?;
        self.gates.borrow_mut().insert(namespace.to_owned(), read.clone());
        Ok(read)
    }

    async fn read_gates(
        &self,
        namespace: &str,
        operator_namespace: &str,
    ) -> Result<(GateObjects, Vec<String>), Failure> {
        let mut known = GateObjects::default();
        let mut notes = Vec::new();
        match gate_objects::windows_for(self.connection, namespace, operator_namespace).await {
            Ok((windows, unread)) => {
                notes.extend(unread);
                known.windows = Some(windows.into_iter().map(window_object).collect());
            }
            Err(Failure::Forbidden(_)) => notes.push(
                "you may not list ChangeWindows: whether one of them holds the rollout back is not known".to_owned(),
            ),
            // An older installation has no such kind.
            Err(Failure::NotFound(_)) => {}
            Err(failure) => return Err(failure),
        }
        match gate_objects::decisions(self.connection, namespace).await {
            Ok(decisions) => known.decisions = Some(decisions),
            Err(Failure::Forbidden(_) | Failure::NotFound(_)) => {}
            Err(failure) => return Err(failure),
        }
        Ok((known, notes))
    }

    /// The text that an object's reference stands for: of the manifests, or else of the cluster. A note says why there is none.
    ///
    /// # Errors
    /// [`Failure`] if the cluster cannot be reached.
    pub async fn text(
        &self,
        object: &CognigyDeployment,
        manifests: Option<&Manifests>,
        notes: &mut Vec<String>,
    ) -> Result<Option<String>, Failure> {
        let Some(source) = &object.spec.configuration_snapshot_from else { return Ok(None) };
        let reference = &source.config_map_key_ref;
        let namespace = object.metadata.namespace.as_deref().unwrap_or(&self.connection.namespace);
        if let Some(manifests) = manifests
            && let Held::Text(text) = text_of(&manifests.config_maps, Some(namespace), reference)
        {
            return Ok(Some(text.to_owned()));
        }
        let place = format!("ConfigMap {namespace}/{}", reference.name);
        let api: Api<ConfigMap> = Api::namespaced(self.connection.client.clone(), namespace);
        let mut note = |problem: String| {
            notes.push(problem);
            Ok(None)
        };
        match api.get_opt(&reference.name).await {
            Ok(Some(map)) => match map.data.and_then(|mut data| data.remove(&reference.key)) {
                Some(text) => Ok(Some(text)),
                None => note(format!("{place} has no key {}", reference.key)),
            },
            Ok(None) => note(format!("{place} is not in the cluster yet")),
            Err(kube::Error::Api(status)) if status.code == 403 => note(format!("you may not get {place}")),
            Err(error) => Err(Failure::of_request(&format!("get {place}"), error)),
        }
    }
}

fn window_object(listed: gate_objects::ListedWindow) -> WindowObject {
    let gate_objects::ListedWindow { namespace, name, window } = listed;
    WindowObject { namespace, name, window: window.ok() }
}
