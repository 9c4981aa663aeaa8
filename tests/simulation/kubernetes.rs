//! A Kubernetes API server in memory: plain data in, plain data out.
//!
//! It has the features that the promises depend on: resource versions that only grow, conflicts for stale writes (409),
//! a status subresource, generations, finalizers and deletion timestamps, the changes that a watch delivers, and size
//! limits. Instead of the schema it uses the operator's own types: what they cannot read is refused (422).

use std::collections::BTreeMap;
use std::sync::Arc;

use api::CognigyDeployment;
use bytes::Bytes;
use http::{Method, Request};
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use serde_json::{Value, json};

/// The plural of the resource that the operator owns.
pub const DEPLOYMENTS: &str = "cognigydeployments";

/// The plural of the decisions.
pub const DECISIONS: &str = "cognigydecisions";
/// The plural of the change windows.
pub const WINDOWS: &str = "changewindows";

/// The longest body of a request that an API server reads.
const LONGEST_BODY: usize = 3 * 1024 * 1024;
/// The largest object that etcd stores.
const LARGEST_OBJECT: usize = 1536 * 1024;

/// The name of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName {
    /// The plural of its kind, such as `secrets`.
    pub plural: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ObjectName {
    pub fn new(plural: &'static str, namespace: &str, name: &str) -> Self {
        Self { plural, namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// What an API server answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub body: Arc<Value>,
}

impl Answer {
    fn ok(body: Arc<Value>) -> Self {
        Self { status: 200, body }
    }

    fn failure(status: u16, reason: &str, message: &str) -> Self {
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {},
            "status": "Failure", "message": message, "reason": reason, "code": status,
        });
        Self { status, body: Arc::new(body) }
    }
}

/// One change of an object.
#[derive(Clone, Debug)]
pub struct Change {
    /// The version after the change.
    pub version: u64,
    pub name: ObjectName,
    pub before: Option<Arc<Value>>,
    /// Missing if the object was deleted.
    pub after: Option<Arc<Value>>,
}

/// The API server.
#[derive(Default)]
pub struct Kubernetes {
    version: u64,
    created: u64,
    objects: BTreeMap<ObjectName, Arc<Value>>,
    log: Vec<Change>,
    /// The admission policy for decisions is not installed: anybody may decide under any name.
    pub policy_is_missing: bool,
}

/// A request's target.
struct Target {
    name: ObjectName,
    subresource: Option<String>,
    is_dry_run: bool,
}

impl Kubernetes {
    /// Answers a request of the operator.
    pub fn handle(&mut self, now: Timestamp, request: &Request<Bytes>) -> Answer {
        let Some(target) = target(request) else {
            return Answer::failure(404, "NotFound", &format!("{} is not served here", request.uri()));
        };
        if request.body().len() > LONGEST_BODY {
            return Answer::failure(413, "RequestEntityTooLarge", "the request is too large");
        }
        match *request.method() {
            Method::GET => self.get(&target.name),
            Method::POST if target.is_dry_run => self.try_to_create(&target.name, body(request)),
            Method::POST => self.create(now, target.name, body(request)),
            Method::DELETE => self.remove(now, &target.name, &body(request)),
            Method::PATCH => self.patch(&target, &body(request)),
            Method::PUT => self.replace(&target, &body(request)),
            _ => Answer::failure(405, "MethodNotAllowed", "not here"),
        }
    }

    fn get(&self, name: &ObjectName) -> Answer {
        self.objects.get(name).map_or_else(|| not_found(name), |object| Answer::ok(Arc::clone(object)))
    }

    /// A dry run. The operator tries whether it can create a decision under another user's name.
    fn try_to_create(&self, name: &ObjectName, object: Value) -> Answer {
        match name.plural == DECISIONS && !self.policy_is_missing {
            true => Answer::failure(
                422,
                "Invalid",
                &format!(
                    "{} \"{}\" is forbidden: ValidatingAdmissionPolicy 'decisions.deploy.cognigy.ai' with binding \
                     'decisions.deploy.cognigy.ai' denied request: spec.by must be the user who creates the decision",
                    name.plural, name.name
                ),
            ),
            false => Answer { status: 201, body: Arc::new(object) },
        }
    }

    /// Deletes an object if it has the uid that the request names.
    fn remove(&mut self, now: Timestamp, name: &ObjectName, options: &Value) -> Answer {
        let Some(present) = self.objects.get(name) else { return not_found(name) };
        let uid = &options["preconditions"]["uid"];
        if !uid.is_null() && *uid != present["metadata"]["uid"] {
            return conflict(name);
        }
        self.delete(now, name);
        Answer::ok(Arc::new(json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})))
    }

    /// Creates an object. A CognigyDeployment gets the defaults of the CRD.
    pub fn create(&mut self, now: Timestamp, name: ObjectName, mut object: Value) -> Answer {
        if self.objects.contains_key(&name) {
            return Answer::failure(409, "AlreadyExists", &format!("{} already exists", name.name));
        }
        self.created += 1;
        let created = whole_seconds(now);
        let metadata = &mut object["metadata"];
        metadata["uid"] = json!(format!("uid-{:04}", self.created));
        metadata["namespace"] = json!(name.namespace);
        metadata["name"] = json!(name.name);
        metadata["creationTimestamp"] = json!(created);
        if name.plural == DEPLOYMENTS {
            metadata["generation"] = json!(1);
            if object["status"].is_null() {
                object["status"] = json!({"observedGeneration": -1});
            }
        }
        if let Some(refusal) = refused(&name, &object) {
            return refusal;
        }
        Answer { status: 201, body: self.store(name, Some(object)).unwrap_or_default() }
    }

    fn patch(&mut self, target: &Target, patch: &Value) -> Answer {
        let Some(present) = self.objects.get(&target.name) else { return not_found(&target.name) };
        if is_stale(present, patch) {
            return conflict(&target.name);
        }
        let mut merged = present.as_ref().clone();
        merge(&mut merged, patch);
        self.write(target, merged)
    }

    fn replace(&mut self, target: &Target, object: &Value) -> Answer {
        let Some(present) = self.objects.get(&target.name) else { return not_found(&target.name) };
        if is_stale(present, object) {
            return conflict(&target.name);
        }
        self.write(target, object.clone())
    }

    /// Stores the part of `wanted` that a write to this target may change.
    fn write(&mut self, target: &Target, wanted: Value) -> Answer {
        let Some(present) = self.objects.get(&target.name) else { return not_found(&target.name) };
        let mut next = present.as_ref().clone();
        match target.subresource.as_deref() {
            Some("status") => next["status"] = wanted["status"].clone(),
            Some(_) => return not_found(&target.name),
            None => {
                let (server, status) = (present["metadata"].clone(), present["status"].clone());
                next = wanted;
                for field in ["uid", "generation", "creationTimestamp", "deletionTimestamp", "resourceVersion"] {
                    set(&mut next["metadata"], field, server[field].clone());
                }
                if target.name.plural == DEPLOYMENTS {
                    next["status"] = status;
                    if next["spec"] != present["spec"] {
                        next["metadata"]["generation"] = json!(number(&server["generation"]) + 1);
                    }
                }
            }
        }
        if next == **present {
            return Answer::ok(Arc::clone(present));
        }
        if let Some(refusal) = refused(&target.name, &next) {
            return refusal;
        }
        let is_released = !next["metadata"]["deletionTimestamp"].is_null() && finalizers(&next).is_empty();
        match is_released {
            true => {
                self.store(target.name.clone(), None);
                Answer::ok(Arc::new(next))
            }
            false => Answer::ok(self.store(target.name.clone(), Some(next)).unwrap_or_default()),
        }
    }

    fn store(&mut self, name: ObjectName, after: Option<Value>) -> Option<Arc<Value>> {
        self.version += 1;
        let after = after.map(|mut object| {
            object["metadata"]["resourceVersion"] = json!(self.version.to_string());
            Arc::new(object)
        });
        let before = match &after {
            Some(object) => self.objects.insert(name.clone(), Arc::clone(object)),
            None => self.objects.remove(&name),
        };
        self.log.push(Change { version: self.version, name, before, after: after.clone() });
        after
    }

    /// Changes an object as another client than the operator. Does nothing if the object does not exist.
    pub fn edit(&mut self, name: &ObjectName, edit: impl FnOnce(&mut Value)) {
        let Some(present) = self.objects.get(name) else { return };
        let mut wanted = present.as_ref().clone();
        edit(&mut wanted);
        self.write(&Target { name: name.clone(), subresource: None, is_dry_run: false }, wanted);
    }

    /// Changes the status of an object as another client than the operator.
    pub fn edit_status(&mut self, name: &ObjectName, edit: impl FnOnce(&mut Value)) {
        let Some(present) = self.objects.get(name) else { return };
        let mut wanted = present.as_ref().clone();
        edit(&mut wanted["status"]);
        let subresource = Some("status".to_owned());
        self.write(&Target { name: name.clone(), subresource, is_dry_run: false }, wanted);
    }

    /// Deletes an object: at once, or after its last finalizer is removed.
    pub fn delete(&mut self, now: Timestamp, name: &ObjectName) {
        let Some(present) = self.objects.get(name) else { return };
        if finalizers(present).is_empty() {
            self.store(name.clone(), None);
        } else if present["metadata"]["deletionTimestamp"].is_null() {
            let mut next = present.as_ref().clone();
            next["metadata"]["deletionTimestamp"] = json!(whole_seconds(now));
            next["metadata"]["generation"] = json!(number(&present["metadata"]["generation"]) + 1);
            self.store(name.clone(), Some(next));
        }
    }

    /// An object as it is now.
    pub fn object(&self, name: &ObjectName) -> Option<&Value> {
        self.objects.get(name).map(Arc::as_ref)
    }

    /// The names of all objects of a kind.
    pub fn names(&self, plural: &str) -> Vec<ObjectName> {
        self.objects.keys().filter(|name| name.plural == plural).cloned().collect()
    }

    /// Every object of a kind, as it was at this version.
    pub fn list_at(&self, plural: &str, version: u64) -> Vec<Arc<Value>> {
        let mut listed: BTreeMap<&ObjectName, &Arc<Value>> = BTreeMap::new();
        for change in self.log.iter().filter(|change| change.version <= version && change.name.plural == plural) {
            match &change.after {
                Some(object) => listed.insert(&change.name, object),
                None => listed.remove(&change.name),
            };
        }
        listed.into_values().cloned().collect()
    }

    /// All changes since this version, in order.
    pub fn changes_since(&self, version: u64) -> &[Change] {
        let first = self.log.partition_point(|change| change.version <= version);
        self.log.get(first..).unwrap_or_default()
    }

    /// The version of the last change.
    pub fn version(&self) -> u64 {
        self.version
    }
}

/// Reads a request's path: `/api/v1/...` or `/apis/GROUP/VERSION/...`, then namespace, plural, name and subresource.
fn target(request: &Request<Bytes>) -> Option<Target> {
    let mut parts = request.uri().path().trim_start_matches('/').split('/');
    match parts.next()? {
        "api" => parts.next()?,
        "apis" => {
            parts.next()?;
            parts.next()?
        }
        _ => return None,
    };
    if parts.next()? != "namespaces" {
        return None;
    }
    let namespace = parts.next()?;
    let plural = ["secrets", "configmaps", "events", "leases", DECISIONS, WINDOWS, DEPLOYMENTS];
    let wanted = parts.next()?;
    let plural = plural.into_iter().find(|plural| *plural == wanted)?;
    let name = match parts.next() {
        Some(name) => name.to_owned(),
        None => {
            let metadata = &body(request)["metadata"];
            metadata["name"].as_str().or(metadata["generateName"].as_str())?.to_owned()
        }
    };
    let subresource = parts.next().map(str::to_owned);
    let is_dry_run = request.uri().query().is_some_and(|query| query.contains("dryRun=All"));
    Some(Target { name: ObjectName { plural, namespace: namespace.to_owned(), name }, subresource, is_dry_run })
}

fn body(request: &Request<Bytes>) -> Value {
    serde_json::from_slice(request.body()).unwrap_or_default()
}

/// The reason why an object cannot be stored, if there is one.
fn refused(name: &ObjectName, object: &Value) -> Option<Answer> {
    let text = object.to_string();
    if text.len() > LARGEST_OBJECT {
        return Some(Answer::failure(500, "InternalError", "etcdserver: request is too large"));
    }
    let error = (name.plural == DEPLOYMENTS).then(|| serde_json::from_str::<CognigyDeployment>(&text).err())??;
    Some(Answer::failure(422, "Invalid", &format!("{} \"{}\" is invalid: {error}", name.plural, name.name)))
}

/// A write with a resource version conflicts with every other version, and one with a uid with every other object.
fn is_stale(present: &Value, written: &Value) -> bool {
    ["resourceVersion", "uid"].into_iter().any(|field| {
        let named = &written["metadata"][field];
        !named.is_null() && *named != present["metadata"][field]
    })
}

fn not_found(name: &ObjectName) -> Answer {
    Answer::failure(404, "NotFound", &format!("{} \"{}\" not found", name.plural, name.name))
}

fn conflict(name: &ObjectName) -> Answer {
    let message = format!("Operation cannot be fulfilled on {} \"{}\": it has been modified", name.plural, name.name);
    Answer::failure(409, "Conflict", &message)
}

/// RFC 7386.
fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (field, value) in fields {
        match value {
            Value::Null => {
                into.as_object_mut().map(|object| object.remove(field));
            }
            value => merge(&mut into[field], value),
        }
    }
}

fn set(object: &mut Value, field: &str, value: Value) {
    match value {
        Value::Null => {
            object.as_object_mut().map(|object| object.remove(field));
        }
        value => object[field] = value,
    }
}

/// Times of an API server have no fractions of a second.
fn whole_seconds(now: Timestamp) -> String {
    let cut = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Trunc);
    now.round(cut).unwrap_or(now).to_string()
}

fn finalizers(object: &Value) -> &[Value] {
    object["metadata"]["finalizers"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}
