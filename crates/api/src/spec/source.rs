//! The references of a spec: to ConfigMaps, Secrets and webhooks.

use super::names::{CONFIG_MAP_NAME_MESSAGE, KEY_MESSAGE, KEY_RULE, NAME_RULE, SECRET_NAME_MESSAGE};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the snapshot is.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotSource {
    /// A key of a ConfigMap in the same namespace.
    pub config_map_key_ref: ConfigMapKeyReference,
}

/// A key of a ConfigMap that holds a snapshot as JSON or YAML.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapKeyReference {
    /// The ConfigMap's name. With the label deploy.cognigy.ai/watch: "true", a change is deployed at once. Without the label,
    /// the ConfigMap is read again every five minutes.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(NAME_RULE).message(CONFIG_MAP_NAME_MESSAGE))]
    pub name: String,

    /// The key in the ConfigMap's data.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(KEY_RULE).message(KEY_MESSAGE))]
    pub key: String,

    /// SHA-256 of the key's text, in hexadecimal. If it is set, the operator waits until the ConfigMap contains this text. Use it if
    /// a tool applies the resource and its ConfigMap one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = Rule::new("self.matches('^[0-9a-f]{64}$')")
            .message("sha256 must be the 64 lower-case hexadecimal digits that `sha256sum` prints for the key's text")
    )]
    pub sha256: Option<String>,
}

/// A Secret in the same namespace.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretReference {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(NAME_RULE).message(SECRET_NAME_MESSAGE))]
    pub name: String,
}

/// The webhook that is called when a rollout has ended.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.url) != has(self.urlFrom)")
        .message("write exactly one of webhook.url (the URL itself) and webhook.urlFrom (a Secret key that holds it)")
)]
pub struct Webhook {
    /// The URL to post to. If the URL itself is a secret, use urlFrom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    #[x_kube(
        validation = Rule::new("self.matches('^https?://[^/?#@\\\\s]+([/?][^#\\\\s]*)?$')")
            .message("webhook.url must be an http(s) URL without a user name or fragment, for example https://ci.example.com/hooks/cognigy")
    )]
    pub url: Option<String>,

    /// The Secret key that contains the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_from: Option<WebhookUrlSource>,
}

/// Where the webhook's URL is.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookUrlSource {
    /// A key of a Secret in the same namespace.
    pub secret_key_ref: SecretKeyReference,
}

/// A key of a Secret.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyReference {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(NAME_RULE).message(SECRET_NAME_MESSAGE))]
    pub name: String,

    /// The key in the Secret's data.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(KEY_RULE).message(KEY_MESSAGE))]
    pub key: String,
}
