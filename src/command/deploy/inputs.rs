//! What a run works with: the manifest, and the credentials and the webhook that the environment gives.
//!
//! A Secret in the manifest wins over the environment, because the manifest names it.

use super::documents::{Documents, DocumentsError, read_documents};
use super::record::Identity;
use crate::command::manifests::ManifestArguments;
use crate::command::own_client::{self, OwnClientError};
use api::CognigyDeployment;
use api::spec::{SecretKeyReference, Webhook, WebhookUrlSource};
use cognigy_deployments::OwnClient;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use platform::WebhookUrl;
use secrecy::ExposeSecret;
use std::collections::BTreeMap;
use std::io;

/// The Secret with the webhook of the environment, for a manifest that names no webhook. Nobody writes this name by chance.
const WEBHOOK_SECRET: &str = "ci-cd-webhook-url.cognigy-operator-deploy";
const WEBHOOK_KEY: &str = "url";

/// What a run works with.
pub(super) struct Inputs {
    /// The deployment, as the manifest has it.
    pub(super) manifest: CognigyDeployment,
    /// The deployment, as the controller sees it.
    pub(super) deployment: CognigyDeployment,
    pub(super) secrets: BTreeMap<String, Secret>,
    pub(super) config_maps: BTreeMap<String, ConfigMap>,
    /// Credentials for a manifest that names no Secret.
    pub(super) own_client: Option<OwnClient>,
    pub(super) warnings: Vec<String>,
}

/// The inputs cannot be used. The message says what to change.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The manifest cannot be used.
    #[error(transparent)]
    Documents(#[from] DocumentsError),
    /// Only one half of the credentials is in the environment.
    #[error(transparent)]
    OwnClient(#[from] OwnClientError),
    /// There are no credentials.
    #[error(
        "there are no credentials: set COGNIGY_CLIENT_ID and COGNIGY_CLIENT_SECRET, or add {0} to the manifest, with the \
         keys clientId and clientSecret"
    )]
    NoCredentials(String),
    /// The Secret with the webhook's URL is missing.
    #[error("the manifest has no Secret {0}, which spec.webhook.urlFrom names; add it, or set CI_CD_WEBHOOK_URL")]
    NoWebhookUrl(String),
}

impl Inputs {
    /// Reads the manifest, and the credentials from the environment.
    ///
    /// # Errors
    /// [`InputError`]. Its message holds no secret.
    pub(super) fn read(arguments: &ManifestArguments, webhook_url: Option<&WebhookUrl>) -> Result<Self, InputError> {
        let documents = read_documents(arguments, &mut io::stdin().lock())?;
        Self::of(documents, own_client::from_environment(&[])?, webhook_url)
    }

    /// The inputs from documents that were read.
    ///
    /// # Errors
    /// See [`read`](Self::read).
    pub(super) fn of(
        documents: Documents,
        own_client: Option<OwnClient>,
        webhook_url: Option<&WebhookUrl>,
    ) -> Result<Self, InputError> {
        let Documents { deployment: manifest, mut secrets, config_maps, warnings } = documents;
        let mut deployment = manifest.clone();
        // As in the API server, a manifest cannot say that the resource is being deleted, or who owns it. A manifest that was
        // exported from a cluster has such fields.
        deployment.metadata = ObjectMeta {
            name: manifest.metadata.name.clone(),
            namespace: Some(Identity::of(&manifest).namespace),
            labels: manifest.metadata.labels.clone(),
            annotations: manifest.metadata.annotations.clone(),
            ..ObjectMeta::default()
        };
        // A later run that only delivers messages would otherwise poll health, and could roll back a success of days ago.
        deployment.spec.monitoring.after_success = None;
        match (&manifest.spec.credentials_ref, &own_client) {
            (Some(reference), _) if secrets.contains_key(&reference.name) => {}
            (Some(reference), Some(client)) => {
                let data = [("clientId", client.id.as_str()), ("clientSecret", client.secret.expose_secret())];
                put(&mut secrets, &reference.name, &data);
            }
            (None, Some(_)) => {}
            (Some(reference), None) => {
                return Err(InputError::NoCredentials(format!("the Secret {}", reference.name)));
            }
            (None, None) => {
                return Err(InputError::NoCredentials("a Secret and spec.credentialsRef".to_owned()));
            }
        }
        let url_from = manifest.spec.webhook.as_ref().map(|webhook| webhook.url_from.as_ref());
        match (url_from, webhook_url) {
            (Some(None), _) | (None, None) => {}
            (Some(Some(source)), _) if secrets.contains_key(&source.secret_key_ref.name) => {}
            (Some(Some(source)), Some(url)) => {
                let SecretKeyReference { name, key } = &source.secret_key_ref;
                put(&mut secrets, name, &[(key, url.expose())]);
            }
            (Some(Some(source)), None) => return Err(InputError::NoWebhookUrl(source.secret_key_ref.name.clone())),
            (None, Some(url)) => {
                put(&mut secrets, WEBHOOK_SECRET, &[(WEBHOOK_KEY, url.expose())]);
                let (name, key) = (WEBHOOK_SECRET.to_owned(), WEBHOOK_KEY.to_owned());
                let source = WebhookUrlSource { secret_key_ref: SecretKeyReference { name, key } };
                deployment.spec.webhook = Some(Webhook { url: None, url_from: Some(source) });
            }
        }
        Ok(Self { manifest, deployment, secrets, config_maps, own_client, warnings })
    }
}

fn put(secrets: &mut BTreeMap<String, Secret>, name: &str, data: &[(&str, &str)]) {
    let data = data.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()))).collect();
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    secrets.insert(name.to_owned(), Secret { metadata, data: Some(data), ..Secret::default() });
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::command::deploy::documents::documents_of;

    const PLAIN: &str = "apiVersion: deploy.cognigy.ai/v1alpha1\nkind: CognigyDeployment\nmetadata: {name: bot}\n\
                         spec: {environmentId: env, configurationSnapshot: {a: 1}}\n";

    fn read(spec: &str, secrets: &str, has_client: bool, webhook: Option<&str>) -> Result<Inputs, String> {
        let text = PLAIN.replace("a: 1}", &format!("a: 1}}{spec}"));
        let documents = documents_of(&format!("{text}{secrets}")).unwrap();
        let client = has_client.then(|| OwnClient { id: "demo".to_owned(), secret: "s3cr3t".to_owned().into() });
        let webhook = webhook.map(|url| url.parse().unwrap());
        Inputs::of(documents, client, webhook.as_ref()).map_err(|error| error.to_string())
    }

    fn value<'i>(inputs: &'i Inputs, secret: &str, key: &str) -> &'i [u8] {
        &inputs.secrets[secret].data.as_ref().unwrap()[key].0
    }

    #[test]
    fn credentials_come_from_the_manifest_or_else_from_the_environment() {
        let secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: api}\nstringData: {clientId: own}\n";
        let names_one = ", credentialsRef: {name: api}";
        assert_eq!(value(&read(names_one, secret, true, None).unwrap(), "api", "clientId"), b"own");
        assert_eq!(value(&read(names_one, "", true, None).unwrap(), "api", "clientId"), b"demo");
        assert!(read("", "", true, None).unwrap().own_client.is_some());
        for spec in [names_one, ""] {
            let refused = read(spec, "", false, None).err().unwrap();
            assert!(refused.contains("there are no credentials: set COGNIGY_CLIENT_ID"), "{refused}");
        }
    }

    #[test]
    fn the_controller_does_not_see_that_health_is_to_be_watched_after_the_success() {
        let inputs = read(", monitoring: {afterSuccess: {onUnhealthy: Rollback}}", "", true, None).unwrap();
        assert!(inputs.manifest.spec.monitoring.after_success.is_some(), "the journal knows the manifest as it is");
        assert!(inputs.deployment.spec.monitoring.after_success.is_none());
    }

    #[test]
    fn the_webhook_comes_from_the_manifest_or_else_from_the_environment() {
        let hook = Some("https://ci.example.com/h00k");
        let url_from = ", webhook: {urlFrom: {secretKeyRef: {name: ci, key: hook}}}";
        assert_eq!(value(&read(url_from, "", true, hook).unwrap(), "ci", "hook"), b"https://ci.example.com/h00k");
        let refused = read(url_from, "", true, None).err().unwrap();
        assert!(refused.contains("no Secret ci, which spec.webhook.urlFrom names"), "{refused}");
        let own = read(", webhook: {url: 'https://ci.example.com/own'}", "", true, hook).unwrap();
        assert_eq!(own.deployment.spec.webhook.unwrap().url.as_deref(), Some("https://ci.example.com/own"));
        let given = read("", "", true, hook).unwrap();
        assert_eq!(value(&given, WEBHOOK_SECRET, WEBHOOK_KEY), b"https://ci.example.com/h00k");
        assert!(given.manifest.spec.webhook.is_none() && given.deployment.spec.webhook.is_some());
        assert!(read("", "", true, None).unwrap().deployment.spec.webhook.is_none());
    }
}
