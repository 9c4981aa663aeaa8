//! The manifest of a run: one CognigyDeployment, and the Secrets and ConfigMaps of its namespace.

use super::record::DEFAULT_NAMESPACE;
use crate::command::manifests::{ManifestArguments, Validated, counted};
use api::CognigyDeployment;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt;
use kube::core::ObjectMeta;
use manifest::Manifests;
use manifest::validate::NoSchema;
use std::collections::BTreeMap;
use std::io::Read;

/// What a manifest holds.
pub(super) struct Documents {
    pub(super) deployment: CognigyDeployment,
    pub(super) secrets: BTreeMap<String, Secret>,
    pub(super) config_maps: BTreeMap<String, ConfigMap>,
    /// The warnings of the validation, and what is not used; a line each.
    pub(super) warnings: Vec<String>,
}

/// A manifest cannot be used. The message says what to change, and quotes no value of a Secret.
#[derive(Debug, thiserror::Error)]
pub enum DocumentsError {
    /// A defect of the build.
    #[error(transparent)]
    Rules(#[from] NoSchema),
    /// It cannot be read, or the API server or the operator would refuse it.
    #[error("the manifest has {}; correct what the lines above name", counted(*errors, "error", "errors"))]
    Invalid {
        /// The problems, a line each, as `cognigy-operator validate` prints them.
        lines: Vec<String>,
        /// How many of them are errors.
        errors: usize,
    },
    /// There is no CognigyDeployment.
    #[error("the manifest has no CognigyDeployment (deploy.cognigy.ai/v1alpha1); add one")]
    None,
    /// There is more than one CognigyDeployment.
    #[error("the manifest has more than one CognigyDeployment; deploy each by a run of its own")]
    Several,
    /// A Secret or a ConfigMap is in another namespace or has the name of another one.
    #[error("{kind} {name} in the manifest {problem}")]
    Misplaced {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// It asks for a gate that only an operator in a cluster can evaluate.
    #[error(
        "{object} sets {gates}, and `cognigy-operator deploy` cannot evaluate that: without a cluster there are no decisions of \
         people and no other CognigyDeployments; let the operator in a cluster deploy it, or remove {gates} from this manifest \
         and {instead} in the pipeline"
    )]
    Gated {
        /// The CognigyDeployment.
        object: String,
        /// The fields.
        gates: String,
        /// What a pipeline can do instead.
        instead: String,
    },
}

/// Reads and validates the manifest, as kubectl and `cognigy-operator validate` do.
///
/// # Errors
/// [`DocumentsError`].
pub(super) fn read_documents(arguments: &ManifestArguments, input: &mut dyn Read) -> Result<Documents, DocumentsError> {
    of(&arguments.validated(input)?)
}

fn of(validated: &Validated) -> Result<Documents, DocumentsError> {
    let manifests = &validated.manifests;
    let mut lines: Vec<String> = validated.lines().collect();
    if manifests.deployments.len() > 1 {
        return Err(DocumentsError::Several);
    }
    let errors = validated.errors();
    if errors > 0 {
        return Err(DocumentsError::Invalid { lines, errors });
    }
    let document = manifests.deployments.first().ok_or(DocumentsError::None)?;
    // The validation has read it already.
    let deployment = document.deployment().map_err(|error| {
        let problem = document.problem(manifest::Severity::Error, "", format!("it cannot be read: {error}"));
        DocumentsError::Invalid { lines: vec![problem.to_string()], errors: 1 }
    })?;
    refuse_gates(&deployment)?;
    let namespace = deployment.namespace().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    lines.extend(ignored(manifests));
    lines.extend(without_effect(&deployment));
    Ok(Documents {
        deployment,
        secrets: secrets(manifests, &namespace)?,
        config_maps: config_maps(manifests, &namespace)?,
        warnings: lines,
    })
}

/// Refuses gates. If they were ignored, the run would submit what people or other deployments must allow first.
fn refuse_gates(deployment: &CognigyDeployment) -> Result<(), DocumentsError> {
    let spec = &deployment.spec;
    let asked = [
        (spec.approval.is_some(), "spec.approval", "ask for the approval"),
        (!spec.requires.is_empty(), "spec.requires", "run the jobs in this order"),
    ];
    let asked: Vec<_> = asked.into_iter().filter(|(is_set, ..)| *is_set).collect();
    if asked.is_empty() {
        return Ok(());
    }
    let joined = |part: fn(&(bool, &'static str, &'static str)) -> &'static str| {
        asked.iter().map(part).collect::<Vec<_>>().join(" and ")
    };
    Err(DocumentsError::Gated {
        object: name_of(deployment),
        gates: joined(|(_, field, _)| field),
        instead: joined(|(.., instead)| instead),
    })
}

/// The settings that change nothing in a run, a line each.
fn without_effect(deployment: &CognigyDeployment) -> Option<String> {
    deployment.spec.monitoring.after_success.map(|_| {
        format!(
            "{} sets spec.monitoring.afterSuccess, which has no effect here: the run ends after the verdict, and nobody \
             watches health afterwards",
            name_of(deployment)
        )
    })
}

fn name_of(deployment: &CognigyDeployment) -> String {
    let namespace = deployment.namespace().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    format!("CognigyDeployment {namespace}/{}", deployment.name_any())
}

/// What is of no use without a cluster, in one line.
fn ignored(manifests: &Manifests) -> Option<String> {
    let kinds: Vec<&str> = manifests.ignored_kinds.iter().map(String::as_str).collect();
    let counted = counted(manifests.ignored, "object", "objects");
    (manifests.ignored > 0).then(|| format!("{counted} of no use without a cluster ignored: {}", kinds.join(", ")))
}

fn secrets(manifests: &Manifests, namespace: &str) -> Result<BTreeMap<String, Secret>, DocumentsError> {
    let mut by_name = BTreeMap::new();
    for document in &manifests.secrets {
        let (metadata, name) = placed("Secret", document.namespace(), document.name(), namespace)?;
        let data = document.data().iter().map(|(key, value)| (key.clone(), ByteString(value.clone()))).collect();
        let secret = Secret { metadata, data: Some(data), ..Secret::default() };
        only("Secret", &name, by_name.insert(name.clone(), secret))?;
    }
    Ok(by_name)
}

fn config_maps(manifests: &Manifests, namespace: &str) -> Result<BTreeMap<String, ConfigMap>, DocumentsError> {
    let mut by_name = BTreeMap::new();
    for ((theirs, name), texts) in &manifests.config_maps {
        let (metadata, name) = placed("ConfigMap", theirs.as_deref(), Some(name), namespace)?;
        let map = ConfigMap { metadata, data: Some(texts.clone()), ..ConfigMap::default() };
        only("ConfigMap", &name, by_name.insert(name.clone(), map))?;
    }
    Ok(by_name)
}

fn placed(
    kind: &'static str,
    theirs: Option<&str>,
    name: Option<&str>,
    namespace: &str,
) -> Result<(ObjectMeta, String), DocumentsError> {
    let name = name.unwrap_or_default().to_owned();
    if theirs.is_some_and(|theirs| theirs != namespace) {
        let problem = format!("is not in the namespace of the CognigyDeployment; set its namespace to {namespace}");
        return Err(DocumentsError::Misplaced { kind, name, problem });
    }
    Ok((ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() }, name))
}

fn only<T>(kind: &'static str, name: &str, before: Option<T>) -> Result<(), DocumentsError> {
    match before {
        None => Ok(()),
        Some(_) => {
            let problem = "is there twice; remove one".to_owned();
            Err(DocumentsError::Misplaced { kind, name: name.to_owned(), problem })
        }
    }
}

/// The documents of a text.
#[cfg(test)]
pub(super) fn documents_of(text: &str) -> Result<Documents, DocumentsError> {
    let input = manifest::read::Input { name: "-".to_owned(), text: text.to_owned() };
    of(&Validated::of(&[input], Vec::new())?)
}

#[cfg(test)]
mod tests;
