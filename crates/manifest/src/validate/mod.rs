//! Validates manifests offline, by the CRD itself: its schema and its CEL rules, with its defaults.
//!
//! What the API server refuses is refused here, at the same path. A test compares the two.

pub(crate) mod metadata;
pub(crate) mod schema;
mod snapshot;

pub use snapshot::{Held, text_of};

use crate::document::{Document, KIND, Manifests, OtherKind};
use crate::node::{Content, Node};
use crate::problem::{Problem, Severity};
use api::CognigyDeployment;
use schema::Mismatch;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The rules of the CRDs, ready to be applied. To make them takes a few milliseconds.
pub struct Rules {
    deployments: CrdRules,
    decisions: CrdRules,
    windows: CrdRules,
    cel: kube_cel::Validator,
}

/// The rules of one CRD.
struct CrdRules {
    spec: Value,
    compiled: kube_cel::CompiledSchema,
    /// The fields that a spec needs at least, for a message.
    least: &'static str,
}

impl CrdRules {
    fn of(spec: Value, least: &'static str) -> Self {
        // Rules of the whole object would see nothing of the metadata. There are none, and a test says so.
        let root = json!({"type": "object", "properties": {"spec": spec}});
        Self { compiled: kube_cel::compile_schema(&root), spec, least }
    }
}

/// The CRD has no schema for the spec. No input can cause this: it is a defect of the build.
#[derive(Debug, thiserror::Error)]
#[error("a CRD of this build has no schema for its spec")]
pub struct NoSchema;

/// The schema of the spec in the generated CRD.
///
/// # Errors
/// [`NoSchema`] in a build that is broken.
pub(crate) fn spec_schema() -> Result<Value, NoSchema> {
    spec_schema_of(&api::crd::definition())
}

fn spec_schema_of(definition: &impl serde::Serialize) -> Result<Value, NoSchema> {
    let definition = serde_json::to_value(definition).map_err(|_| NoSchema)?;
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    schema.is_object().then(|| schema.clone()).ok_or(NoSchema)
}

impl Rules {
    /// The rules of the CRD that this build would install.
    ///
    /// # Errors
    /// [`NoSchema`] in a build that is broken.
    pub fn of_the_crd() -> Result<Self, NoSchema> {
        Ok(Self {
            deployments: CrdRules::of(spec_schema()?, "environmentId and configurationSnapshot"),
            decisions: CrdRules::of(spec_schema_of(&api::crd::decision())?, "deployment, planId and verb"),
            windows: CrdRules::of(
                spec_schema_of(&api::crd::change_window_offline())?,
                "type, timeZone and one of recurring and once",
            ),
            cel: kube_cel::Validator::new(),
        })
    }

    /// Everything that is wrong with one change window or decision.
    #[must_use]
    pub fn check_other(&self, kind: OtherKind, document: &Document) -> Vec<Problem> {
        match kind {
            OtherKind::Decision => self.check_by(&self.decisions, document, None),
            OtherKind::Window => self.check_by(&self.windows, document, None),
        }
    }

    /// Everything that is wrong with one deployment. With the live object, rules about changes hold too.
    #[must_use]
    pub fn check(&self, document: &Document, live: Option<&CognigyDeployment>) -> Vec<Problem> {
        self.check_by(&self.deployments, document, live)
    }

    fn check_by(&self, rules: &CrdRules, document: &Document, live: Option<&CognigyDeployment>) -> Vec<Problem> {
        let mut found = Vec::new();
        top_level(&document.root, &mut found);
        metadata::check(&document.root, &mut found);
        match document.root.get("spec") {
            Some(spec) if spec.content != Content::Null => schema::check(spec, &rules.spec, "spec", &mut found),
            _ => found.push(Mismatch {
                path: "spec".to_owned(),
                message: format!("it is missing; write at least {}", rules.least),
                is_blocking: true,
            }),
        }
        if !found.iter().any(|mismatch| mismatch.is_blocking) {
            self.evaluate(rules, document, live, &mut found);
        }
        found
            .into_iter()
            .map(|Mismatch { path, message, .. }| document.problem(Severity::Error, &path, message))
            .collect()
    }

    /// Evaluates the CEL rules. A field that the schema refuses already is not reported again.
    fn evaluate(
        &self,
        rules: &CrdRules,
        document: &Document,
        live: Option<&CognigyDeployment>,
        found: &mut Vec<Mismatch>,
    ) {
        let Some(spec) = document.root.get("spec") else { return };
        let mut spec = spec.clone();
        spec.remove_nulls();
        let object = json!({"spec": spec.value()});
        let old = live.and_then(|live| serde_json::to_value(&live.spec).ok()).map(|spec| json!({"spec": spec}));
        let Err(errors) = self.cel.validate_compiled(&rules.compiled, &object, old.as_ref()) else { return };
        for error in errors {
            if found.iter().all(|mismatch| mismatch.path != error.field_path) {
                found.push(Mismatch { path: error.field_path, message: error.message, is_blocking: false });
            }
        }
    }
}

fn top_level(root: &Node, found: &mut Vec<Mismatch>) {
    let Content::Map(entries) = &root.content else { return };
    let known = ["apiVersion", "kind", "metadata", "spec"];
    let fields = known.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    for (name, _) in entries {
        if !known.contains(&name.as_str()) && name != "status" {
            let message = schema::unknown(name, &fields);
            found.push(Mismatch { path: crate::node::join("", name), message, is_blocking: false });
        }
    }
}

/// Validates everything that was read. The problems are in the order of files, documents and lines.
#[must_use]
pub fn validate(manifests: &Manifests, rules: &Rules) -> Vec<Problem> {
    let mut problems = manifests.problems.clone();
    for document in &manifests.deployments {
        problems.extend(of_document(document, manifests, rules, None));
    }
    for (kind, document) in &manifests.others {
        problems.extend(rules.check_other(*kind, document));
    }
    problems.extend(twice(manifests));
    problems.sort();
    problems.dedup();
    problems
}

/// Everything that is wrong with one deployment, and what may not mean what its author meant.
#[must_use]
pub fn of_document(
    document: &Document,
    manifests: &Manifests,
    rules: &Rules,
    live: Option<&CognigyDeployment>,
) -> Vec<Problem> {
    let mut problems = rules.check(document, live);
    problems.extend(document.doubts.iter().map(|doubt| {
        let problem = document.problem(Severity::Warning, &doubt.path, &doubt.message);
        Problem { line: Some(doubt.line + document.lines_before), ..problem }
    }));
    if problems.iter().any(Problem::is_error) {
        return problems;
    }
    match document.deployment() {
        Ok(object) => {
            problems.extend(snapshot::check(document, &object, &manifests.config_maps).into_iter().map(|finding| {
                let severity = if finding.is_error { Severity::Error } else { Severity::Warning };
                document.problem(severity, finding.path, finding.message)
            }))
        }
        // The schema has found nothing wrong, so this is a gap in the rules above.
        Err(error) => problems.push(document.problem(Severity::Error, "", format!("it is not a {KIND}: {error}"))),
    }
    problems
}

/// Objects that are there twice, and environments that two objects want.
fn twice(manifests: &Manifests) -> Vec<Problem> {
    let mut problems = Vec::new();
    let (mut names, mut environments) = (BTreeMap::new(), BTreeMap::new());
    for document in &manifests.deployments {
        let place = format!("{}:{}", document.file(), document.line());
        if let Some(name) = document.name()
            && let Some(first) = names.insert((document.namespace(), name), place.clone())
        {
            let message = format!("the same object is in {first}: keep one of the two");
            problems.push(document.problem(Severity::Error, "metadata.name", message));
            continue;
        }
        if let Some(environment) = document.root.get("spec").and_then(|spec| spec.text("environmentId"))
            && let Some(first) = environments.insert(environment, place)
        {
            let message = format!(
                "the object in {first} names the same environment. If both use the same Cognigy.AI, only one of them can own it: keep one of the two"
            );
            problems.push(document.problem(Severity::Warning, "spec.environmentId", message));
        }
    }
    problems
}
