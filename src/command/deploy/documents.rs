//! Reads a manifest: one CognigyDeployment, and the Secrets and ConfigMaps that it refers to.

use super::record::DEFAULT_NAMESPACE;
use api::{CognigyDeployment, Snapshot};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// The largest text, in bytes, and the most documents. A document is also limited like a snapshot: 1 MiB, 126 levels.
pub(super) const LARGEST: usize = 4 * 1024 * 1024;
const MOST_DOCUMENTS: usize = 64;

/// What a manifest holds.
pub(super) struct Documents {
    pub(super) deployment: CognigyDeployment,
    pub(super) secrets: BTreeMap<String, Secret>,
    pub(super) config_maps: BTreeMap<String, ConfigMap>,
    /// What is not used, and what YAML reads as another type than it looks like; a sentence each.
    pub(super) warnings: Vec<String>,
}

/// A manifest cannot be used. The message says what to change.
#[derive(Debug, thiserror::Error)]
pub enum DocumentsError {
    /// It is too large.
    #[error("the manifest is larger than {} MiB; it needs one CognigyDeployment and what that refers to", LARGEST / 1024 / 1024)]
    TooLarge,
    /// It has too many documents.
    #[error(
        "the manifest has more than {MOST_DOCUMENTS} documents; leave out what the CognigyDeployment does not refer to"
    )]
    TooMany,
    /// A document cannot be read.
    #[error("document {number} of the manifest {problem}")]
    Unreadable {
        /// Its number, from 1.
        number: usize,
        /// What is wrong.
        problem: String,
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
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    api_version: String,
    kind: String,
}

/// Reads all documents of a manifest.
///
/// # Errors
/// [`DocumentsError`]. Its message quotes no value of a Secret.
pub(super) fn read_documents(text: &str) -> Result<Documents, DocumentsError> {
    if text.len() > LARGEST {
        return Err(DocumentsError::TooLarge);
    }
    let (mut deployment, mut secrets, mut config_maps) = (None, Vec::new(), Vec::new());
    let mut warnings = Vec::new();
    for (index, document) in documents(text).enumerate() {
        let number = index + 1;
        if number > MOST_DOCUMENTS {
            return Err(DocumentsError::TooMany);
        }
        let unreadable = |problem: String| DocumentsError::Unreadable { number, problem };
        // The reader of snapshots limits size and depth, and keeps numbers as they are written.
        let read = Snapshot::from_text(document).map_err(|problem| unreadable(format!("cannot be read: {problem}")))?;
        let json = read.snapshot.text();
        let kind: Kind = serde_json::from_str(json)
            .map_err(|_| unreadable("has no apiVersion and kind; add them, or remove the document".to_owned()))?;
        match (kind.api_version.as_str(), kind.kind.as_str()) {
            ("deploy.cognigy.ai/v1alpha1", "CognigyDeployment") => {
                warnings.extend(read.warnings);
                let read = serde_json::from_str(json)
                    .map_err(|error| unreadable(format!("is no valid CognigyDeployment: {}", without_value(&error))))?;
                if deployment.replace(read).is_some() {
                    return Err(DocumentsError::Several);
                }
            }
            ("v1", "Secret") => secrets.push(with_string_data(parse::<Secret>(json, "Secret", &unreadable)?)),
            ("v1", "ConfigMap") => config_maps.push(parse::<ConfigMap>(json, "ConfigMap", &unreadable)?),
            (version, kind) => warnings
                .push(format!("document {number} is ignored: a {kind} ({version}) is of no use without a cluster")),
        }
    }
    let deployment: CognigyDeployment = deployment.ok_or(DocumentsError::None)?;
    let namespace = deployment.namespace().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    let secrets = by_name("Secret", secrets, &namespace)?;
    let config_maps = by_name("ConfigMap", config_maps, &namespace)?;
    Ok(Documents { deployment, secrets, config_maps, warnings })
}

/// The texts between the lines that begin with `---`, without empty ones. YAML allows such a line nowhere else.
fn documents(text: &str) -> impl Iterator<Item = &str> {
    let is_separator = |line: &str| {
        line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r', '#']))
    };
    let (mut starts, mut at) = (vec![0], 0);
    for line in text.split_inclusive('\n') {
        if is_separator(line) {
            starts.push(at);
        }
        at += line.len();
    }
    starts.push(text.len());
    let documents: Vec<&str> = starts.windows(2).filter_map(|pair| text.get(pair[0]..pair[1])).collect();
    documents
        .into_iter()
        .map(|document| document.strip_prefix("---").unwrap_or(document))
        .filter(|document| document.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')))
}

/// The error without the text that it quotes: it may be the URL of a webhook.
fn without_value(error: &serde_json::Error) -> String {
    let error = error.to_string();
    let quoted = error.split_once("string \"").and_then(|(before, rest)| {
        let (_, after) = rest.rsplit_once("\", expected")?;
        Some(format!("{before}text, expected{after}"))
    });
    quoted.unwrap_or(error)
}

/// The error of serde may quote a value, so the message leaves it out.
fn parse<T: DeserializeOwned>(
    json: &str,
    kind: &str,
    unreadable: &impl Fn(String) -> DocumentsError,
) -> Result<T, DocumentsError> {
    serde_json::from_str(json).map_err(|error| {
        unreadable(format!(
            "is no valid {kind} (near column {} of its JSON); data must hold texts, in a Secret as base64",
            error.column()
        ))
    })
}

/// Texts that are written plainly win over encoded ones, as in the API server.
fn with_string_data(mut secret: Secret) -> Secret {
    let plain = secret.string_data.take().unwrap_or_default();
    let plain = plain.into_iter().map(|(key, text)| (key, ByteString(text.into_bytes())));
    secret.data.get_or_insert_default().extend(plain);
    secret
}

fn by_name<K: ResourceExt>(
    kind: &'static str,
    objects: Vec<K>,
    namespace: &str,
) -> Result<BTreeMap<String, K>, DocumentsError> {
    let mut by_name = BTreeMap::new();
    for object in objects {
        let name = object.name_any();
        let misplaced = |name, problem| Err(DocumentsError::Misplaced { kind, name, problem });
        if object.namespace().is_some_and(|theirs| theirs != namespace) {
            let problem = format!("is not in the namespace of the CognigyDeployment; set its namespace to {namespace}");
            return misplaced(name, problem);
        }
        if by_name.insert(name.clone(), object).is_some() {
            return misplaced(name, "is there twice; remove one".to_owned());
        }
    }
    Ok(by_name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const DEPLOYMENT: &str = "\
apiVersion: deploy.cognigy.ai/v1alpha1
kind: CognigyDeployment
metadata: {name: bot, namespace: bots}
spec:
  environmentId: env
  configurationSnapshot: {botVersion: 2.4.1, weight: 1.50}
";
    const SECRET: &str = "\
apiVersion: v1
kind: Secret
metadata: {name: api}
data: {clientId: ZGVtbw==}
stringData: {clientSecret: s3cr3t}
";

    fn read(parts: &[&str]) -> Result<Documents, String> {
        read_documents(&parts.join("---\n")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_deployment_and_what_it_refers_to_are_read_as_they_are_written() {
        let map = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: flows, namespace: bots}\ndata: {snapshot: '{}'}\n";
        let found = read(&["# nothing\n", DEPLOYMENT, SECRET, map, "\n"]).unwrap();
        let snapshot = found.deployment.spec.configuration_snapshot.unwrap();
        assert_eq!(snapshot.text(), r#"{"botVersion":"2.4.1","weight":1.50}"#);
        let data = found.secrets["api"].data.as_ref().unwrap();
        assert_eq!((data["clientId"].0.as_slice(), data["clientSecret"].0.as_slice()), (&b"demo"[..], &b"s3cr3t"[..]));
        assert_eq!(found.config_maps["flows"].data.as_ref().unwrap()["snapshot"], "{}");
        assert!(found.warnings.is_empty(), "{:?}", found.warnings);
    }

    #[test]
    fn a_separator_may_carry_a_comment_and_ends_no_text_that_is_indented() {
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: flows}\ndata:\n  snapshot: |\n    ---\n    a: 1\n";
        let found = read_documents(&format!("--- # the resource\n{DEPLOYMENT}---\r\n{map}")).unwrap();
        assert_eq!(found.config_maps["flows"].data.as_ref().unwrap()["snapshot"], "---\na: 1\n");
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_what_to_do() {
        let elsewhere = SECRET.replace("{name: api}", "{name: api, namespace: others}");
        let wrong = SECRET.replace("ZGVtbw==", "s3cr3t!");
        let hook = format!("{DEPLOYMENT}  webhook: 'https://ci.example.com/s3cr3t'\n");
        for (parts, says) in [
            (&[SECRET][..], "has no CognigyDeployment"),
            (&[DEPLOYMENT, DEPLOYMENT], "more than one CognigyDeployment"),
            (&[DEPLOYMENT, &elsewhere], "set its namespace to bots"),
            (&[DEPLOYMENT, SECRET, SECRET], "is there twice"),
            (&[DEPLOYMENT, &wrong], "document 2 of the manifest is no valid Secret"),
            (&[&hook], "invalid type: text, expected struct Webhook"),
            (&[DEPLOYMENT, "a: 1\n"], "has no apiVersion and kind"),
            (&["a: [\n"], "document 1 of the manifest cannot be read"),
            (&[&DEPLOYMENT.replace("env\n", "[]\n")], "is no valid CognigyDeployment"),
        ] {
            let refused = read(parts).err().unwrap();
            assert!(refused.contains(says) && !refused.contains("s3cr3t"), "{refused}");
        }
    }

    #[test]
    fn what_is_too_large_is_not_read() {
        assert!(matches!(read_documents(&" ".repeat(LARGEST + 1)), Err(DocumentsError::TooLarge)));
        let many = vec!["a: 1\napiVersion: v1\nkind: Pod\n"; MOST_DOCUMENTS + 1].join("---\n");
        assert!(matches!(read_documents(&many), Err(DocumentsError::TooMany)));
        let deep = format!("a: {}", "[".repeat(200));
        assert!(matches!(read_documents(&deep), Err(DocumentsError::Unreadable { .. })));
    }

    #[test]
    fn what_is_of_no_use_is_ignored_with_a_warning() {
        let found = read(&[DEPLOYMENT, "apiVersion: v1\nkind: Namespace\nmetadata: {name: bots}\n"]).unwrap();
        assert_eq!(found.warnings, ["document 2 is ignored: a Namespace (v1) is of no use without a cluster"]);
    }
}
