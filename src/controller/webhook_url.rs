//! Reads the URL of a resource's webhook from the spec or from a key of a Secret. No message quotes it, because it may
//! be a secret.

use api::spec::{ObjectName, SecretKeyReference, is_key};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use platform::{EndpointError, SecretName, WebhookUrl, not_a_key, not_a_name};
use rollout::answer::Retry;
use rollout::{Cause, Obstacle};

/// The URL in `spec.webhook.url`.
///
/// # Errors
/// An [`Obstacle`] that says what is wrong with it.
pub(super) fn in_spec(url: &str) -> Result<WebhookUrl, Obstacle> {
    url.parse().map_err(|problem: EndpointError| unusable(format!("spec.webhook.url {problem}")))
}

/// The name of the Secret with the URL. It is checked, so that no request is sent with an invalid name.
///
/// # Errors
/// An [`Obstacle`] that names the invalid field.
pub(super) fn checked_name(reference: &SecretKeyReference) -> Result<ObjectName<'_>, Obstacle> {
    let field = |name: &str| format!("spec.webhook.urlFrom.secretKeyRef.{name}");
    if !is_key(&reference.key) {
        return Err(not_a_key(&field("key"), &reference.key, Cause::WebhookUrlNotFound));
    }
    ObjectName::of(&reference.name)
        .ok_or_else(|| not_a_name(&field("name"), &reference.name, Cause::WebhookUrlNotFound))
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
    Obstacle::lasting(Cause::WebhookUrlNotFound, message, Retry::CredentialsChange)
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
    fn the_message_about_a_bad_url_names_its_place_and_does_not_quote_it() {
        for (secret, says) in [
            (None, "Secret bots/ci, which spec.webhook.urlFrom names, does not exist; create it"),
            (Some(Secret::default()), "Secret bots/ci has no key url with the webhook's URL; add it"),
            (holding(b"hooks.example.com/s3cr3t"), "needs a scheme; write https:// before the host; correct it"),
            (holding(b"https://s3cr3t@hooks.example.com"), "must not contain a user name"),
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

    #[test]
    fn an_invalid_name_or_key_is_refused_without_a_request() {
        for (name, key, says) in [
            ("?limit=0", "url", "spec.webhook.urlFrom.secretKeyRef.name is \"?limit=0\", which is not a valid name"),
            ("a b", "url", "secretKeyRef.name is \"a b\""),
            ("ci", "hooks/url", "spec.webhook.urlFrom.secretKeyRef.key is \"hooks/url\", which is not a valid key"),
        ] {
            let reference = SecretKeyReference { name: name.to_owned(), key: key.to_owned() };
            let obstacle = checked_name(&reference).unwrap_err();
            assert!(obstacle.needs_person() && obstacle.message.contains(says), "{}", obstacle.message);
        }
        let reference = SecretKeyReference { name: "ci".to_owned(), key: "url".to_owned() };
        assert_eq!(checked_name(&reference).unwrap().as_str(), "ci");
    }
}
