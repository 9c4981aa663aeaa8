//! What was read: the deployments, and the objects that they refer to.

use crate::node::{Content, Node};
use crate::objects;
use crate::problem::{Problem, Severity};
use crate::read::Doubt;
use api::CognigyDeployment;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

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

/// A Secret. Its values are shown by [`data`](Self::data) only.
#[derive(Clone)]
pub struct SecretDocument {
    /// Kind, namespace and name, without the values.
    place: Document,
    data: BTreeMap<String, Vec<u8>>,
}

impl SecretDocument {
    /// The rest of the document is dropped: an annotation or a doubt may quote a value.
    pub(crate) fn new(document: &Document, data: BTreeMap<String, Vec<u8>>) -> Self {
        let picked = |node: &Node, keys: &[&str]| {
            let entries = keys.iter().filter_map(|key| Some(((*key).to_owned(), node.get(key)?.clone())));
            Node { line: node.line, content: Content::Map(entries.collect()) }
        };
        let mut root = picked(&document.root, &["kind"]);
        if let (Some(metadata), Content::Map(entries)) = (document.root.get("metadata"), &mut root.content) {
            entries.push(("metadata".to_owned(), picked(metadata, &["name", "namespace"])));
        }
        let place = Document { file: document.file.clone(), root, doubts: Vec::new(), ..*document };
        Self { place, data }
    }

    /// The Secret's name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.place.name()
    }

    /// The Secret's namespace, if it names one.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.place.namespace()
    }

    /// The keys with their values, as the API server stores them. They are secret.
    #[must_use]
    pub fn data(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.data
    }
}

/// Shows where the Secret is, and no value.
impl fmt::Debug for SecretDocument {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("SecretDocument").field(&self.place.label()).finish()
    }
}

/// How many kinds of ignored objects are kept, and how many characters of each.
const MOST_KINDS: usize = 10;
const LONGEST_KIND: usize = 60;

/// The ConfigMaps that a manifest holds: namespace and name, then key and text. `binaryData` is left out.
pub type ConfigMaps = BTreeMap<(Option<String>, String), BTreeMap<String, String>>;

/// Everything that was read.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    /// The CognigyDeployments, in the order in which they were read. They may have problems.
    pub deployments: Vec<Document>,
    /// The change windows and decisions, in the order in which they were read, each with its kind. They may have problems.
    pub others: Vec<(OtherKind, Document)>,
    /// The texts of ConfigMaps.
    pub config_maps: ConfigMaps,
    /// The Secrets, in the order in which they were read.
    pub secrets: Vec<SecretDocument>,
    /// How many objects of other kinds were ignored.
    pub ignored: usize,
    /// Some of these kinds.
    pub ignored_kinds: BTreeSet<String>,
    /// How many documents were read.
    pub(crate) documents: usize,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

/// A kind of the group besides `CognigyDeployment`. Such an object is validated, and nothing is planned or deployed by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OtherKind {
    /// `CognigyDecision`.
    Decision,
    /// `ChangeWindow`.
    Window,
}

impl OtherKind {
    fn named(kind: &str) -> Option<Self> {
        match kind {
            "CognigyDecision" => Some(Self::Decision),
            "ChangeWindow" => Some(Self::Window),
            _ => None,
        }
    }
}

impl Manifests {
    pub(crate) fn add(&mut self, document: Document, kind: &str) {
        let api_version = document.root.text("apiVersion").unwrap_or_default();
        let is_ours = api_version.split('/').next() == Some(GROUP);
        match (api_version, kind) {
            (API_VERSION, KIND) => self.deployments.push(document),
            (API_VERSION, _) if let Some(other) = OtherKind::named(kind) => self.others.push((other, document)),
            (_, _) if kind == KIND || (is_ours && OtherKind::named(kind).is_some()) => {
                let message = format!("write apiVersion: {API_VERSION}");
                self.problems.push(document.problem(Severity::Error, "apiVersion", message));
            }
            _ if is_ours => {
                let message = format!("{GROUP} has no such kind: write kind: {KIND}, CognigyDecision or ChangeWindow");
                self.problems.push(document.problem(Severity::Error, "kind", message));
            }
            ("v1", "ConfigMap") => self.add_config_map(&document),
            ("v1", "Secret") => {
                let (secret, problems) = objects::secret(&document);
                self.secrets.push(secret);
                self.problems.extend(problems);
            }
            _ => self.ignore(kind),
        }
    }

    fn ignore(&mut self, kind: &str) {
        self.ignored += 1;
        if self.ignored_kinds.len() < MOST_KINDS {
            self.ignored_kinds.insert(kind.chars().take(LONGEST_KIND).collect());
        }
    }

    fn add_config_map(&mut self, document: &Document) {
        let (texts, problems) = objects::config_map(document);
        self.problems.extend(problems);
        let place = (document.namespace().map(str::to_owned), document.name().unwrap_or_default().to_owned());
        if self.config_maps.insert(place, texts).is_some() {
            let message = "the same ConfigMap is there twice, and kubectl takes the last one: keep one of the two";
            self.problems.push(document.problem(Severity::Error, "metadata.name", message));
        }
    }
}
