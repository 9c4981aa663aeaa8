//! Where a resource's webhook is: in its spec, or in a key of a Secret. It is never quoted, for it may be a secret itself.

use super::credentials::SecretName;
use crate::api::reason::Reason;
use crate::cognigy::{EndpointError, WebhookUrl};
use crate::rollout::Obstacle;
use crate::rollout::answer::Retry;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

/// The URL in `spec.webhook.url`.
///
/// # Errors
/// An [`Obstacle`] that says what is wrong with it.
pub(super) fn in_spec(url: &str) -> Result<WebhookUrl, Obstacle> {
    url.parse().map_err(|problem: EndpointError| unusable(format!("spec.webhook.url {problem}")))
}

/// The URL in this key of a Secret.
///
/// # Errors
/// An [`Obstacle`] that names the Secret, what is wrong with its key and what to do.
pub(super) fn in_secret(secret: Option<Secret>, name: SecretName, key: &str) -> Result<WebhookUrl, Obstacle> {
    let Some(secret) = secret else {
        let SecretName { namespace, name } = name;
        return Err(unusable(format!(
            "Secret {namespace}/{name}, which spec.webhook.urlFrom names, does not exist; create it with the key {key} \
             (kubectl -n {namespace} create secret generic {name} --from-literal={key}=https://...)"
        )));
    };
    let Some(ByteString(bytes)) = secret.data.and_then(|mut data| data.remove(key)) else {
        return Err(unusable(name.sentence(&format!("has no key {key} with the webhook's URL"), "add it")));
    };
    let invalid = |problem: &str| {
        unusable(name.sentence(&format!("has a webhook URL in its key {key} that {problem}"), "correct it"))
    };
    let text = String::from_utf8(bytes).map_err(|_| invalid("is not UTF-8 text"))?;
    text.trim().parse().map_err(|problem: EndpointError| invalid(&problem.to_string()))
}

fn unusable(message: String) -> Obstacle {
    Obstacle::lasting(Reason::WebhookUrlNotFound, message, Retry::CredentialsChange)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const NAME: SecretName = SecretName { namespace: "bots", name: "ci" };

    fn holding(value: &[u8]) -> Option<Secret> {
        Some(Secret { data: Some([("url".to_owned(), ByteString(value.to_vec()))].into()), ..Secret::default() })
    }

    #[test]
    fn a_url_that_cannot_be_used_is_told_with_its_place_and_without_itself() {
        for (secret, says) in [
            (None, "Secret bots/ci, which spec.webhook.urlFrom names, does not exist; create it"),
            (Some(Secret::default()), "Secret bots/ci has no key url with the webhook's URL; add it"),
            (holding(b"hooks.example.com/s3cr3t"), "needs a scheme; write https:// before the host; correct it"),
            (holding(b"https://s3cr3t@hooks.example.com"), "must hold no user name"),
            (holding(b"s3cr3t\xff"), "is not UTF-8 text"),
        ] {
            let message = in_secret(secret, NAME, "url").unwrap_err().message;
            assert!(message.contains(says) && message.contains("kubectl -n bots"), "{message}");
            assert!(!message.contains("s3cr3t"), "{message}");
        }
        let message = in_spec("hooks.example.com/s3cr3t").unwrap_err().message;
        assert_eq!(message, "spec.webhook.url needs a scheme; write https:// before the host");
        assert!(in_secret(holding(b"https://hooks.example.com/s3cr3t\n"), NAME, "url").is_ok());
    }
}
