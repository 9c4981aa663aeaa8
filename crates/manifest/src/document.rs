//! What was read: the deployments, and the objects that they refer to.

use crate::node::{Content, Node};
use crate::problem::{Problem, Severity};
use crate::read::Doubt;
use api::CognigyDeployment;
use std::collections::BTreeMap;

/// The group of the resource.
pub(crate) const GROUP: &str = "deploy.cognigy.ai";

/// The apiVersion of the resource.
pub(crate) const API_VERSION: &str = "deploy.cognigy.ai/v1alpha1";

/// The kind of the resource.
pub(crate) const KIND: &str = "CognigyDeployment";

/// One object of a manifest.
#[derive(Clone, Debug)]
pub struct Document {
    pub(crate) file: String,
    pub(crate) number: usize,
    pub(crate) root: Node,
    pub(crate) doubts: Vec<Doubt>,
    pub(crate) lines_before: usize,
}

impl Document {
    /// The file that holds the object.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The number of the document in its file, from 1. The objects of a list share it.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// The line at which the object begins, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.root.line + self.lines_before
    }

    /// The object as JSON, as kubectl sends it.
    #[must_use]
    pub fn json(&self) -> String {
        self.root.json()
    }

    /// The object's name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.root.get("metadata")?.text("name")
    }

    /// The object's namespace, if it names one.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.root.get("metadata")?.text("namespace")
    }

    /// The object as the operator gets it. The caller validates it first.
    ///
    /// # Errors
    /// If a field has the wrong type. Validation finds the same.
    pub fn deployment(&self) -> Result<CognigyDeployment, serde_json::Error> {
        let mut root = self.root.clone();
        if let Content::Map(entries) = &mut root.content {
            // The API server ignores it, and a manifest that was exported from a cluster has it.
            entries.retain(|(key, _)| key != "status");
        }
        root.remove_nulls();
        serde_json::from_str(&root.json())
    }

    /// The kind, namespace and name, for people.
    #[must_use]
    pub fn label(&self) -> String {
        let kind = self.root.text("kind").unwrap_or("object");
        match (self.namespace(), self.name()) {
            (Some(namespace), Some(name)) => format!("{kind} {namespace}/{name}"),
            (None, Some(name)) => format!("{kind} {name}"),
            (_, None) => format!("{kind} without a name"),
        }
    }

    /// A problem of this object.
    #[must_use]
    pub fn problem(&self, severity: Severity, path: &str, message: impl Into<String>) -> Problem {
        Problem {
            file: self.file.clone(),
            document: Some(self.number),
            line: Some(self.root.line_of(path) + self.lines_before),
            object: self.root.get("kind").map(|_| self.label()),
            path: path.to_owned(),
            severity,
            message: message.into(),
        }
    }
}

/// The ConfigMap keys that a manifest holds. Namespace and name, then key and text.
pub type ConfigMaps = BTreeMap<(Option<String>, String), BTreeMap<String, String>>;

/// Everything that was read.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    /// The CognigyDeployments, in the order in which they were read. They may have problems.
    pub deployments: Vec<Document>,
    /// The texts of ConfigMaps.
    pub config_maps: ConfigMaps,
    /// Namespace and name of each Secret. Its content is never kept.
    pub secrets: Vec<(Option<String>, String)>,
    /// How many objects of other kinds were ignored.
    pub ignored: usize,
    /// How many documents were read.
    pub(crate) documents: usize,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

impl Manifests {
    pub(crate) fn add(&mut self, document: Document, kind: &str) {
        let api_version = document.root.text("apiVersion").unwrap_or_default();
        let is_ours = api_version.split('/').next() == Some(GROUP);
        match (api_version, kind) {
            (API_VERSION, KIND) => self.deployments.push(document),
            (_, KIND) => {
                let message = format!("write apiVersion: {API_VERSION}");
                self.problems.push(document.problem(Severity::Error, "apiVersion", message));
            }
            _ if is_ours => {
                let message = format!("{GROUP} has no such kind: write kind: {KIND}");
                self.problems.push(document.problem(Severity::Error, "kind", message));
            }
            ("v1", "ConfigMap") => self.add_config_map(&document),
            ("v1", "Secret") => {
                let name = document.name().unwrap_or_default().to_owned();
                self.secrets.push((document.namespace().map(str::to_owned), name));
            }
            _ => self.ignored += 1,
        }
    }

    fn add_config_map(&mut self, document: &Document) {
        let name = document.name().unwrap_or_default().to_owned();
        let data = match document.root.get("data") {
            Some(Node { content: Content::Map(entries), .. }) => entries.as_slice(),
            _ => &[],
        };
        let mut texts = BTreeMap::new();
        for (key, value) in data {
            match &value.content {
                Content::Text(text) => drop(texts.insert(key.clone(), text.clone())),
                _ => {
                    let path = crate::node::join("data", key);
                    let message =
                        "a ConfigMap holds texts only: write the value in quotes, or as a block that begins with |";
                    self.problems.push(document.problem(Severity::Error, &path, message));
                }
            }
        }
        self.config_maps.insert((document.namespace().map(str::to_owned), name), texts);
    }
}
