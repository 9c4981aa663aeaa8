//! The operator's own webhook, from its flags.

use crate::controller::default_webhook::DefaultWebhook;
use cognigy_deployments::BaseUrl;
use platform::{OfferedNamespaces, WebhookUrl};

/// Namespaces may use the operator's webhook, but the operator has none. The flags are read once at start, so waiting
/// would not help.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "--default-webhook-namespace offers the operator's own webhook to namespaces, but the operator has none; set \
     CI_CD_WEBHOOK_URL, or leave the flag and COGNIGY_DEFAULT_WEBHOOK_NAMESPACES out"
)]
pub struct NoOwnWebhook;

/// The operator's own webhook, for the resources in these namespaces whose rollouts go to that API.
///
/// # Errors
/// [`NoOwnWebhook`] if namespaces are given but no URL.
pub(super) fn own_webhook(
    url: Option<WebhookUrl>,
    namespaces: Vec<String>,
    api: &BaseUrl,
) -> Result<Option<DefaultWebhook>, NoOwnWebhook> {
    let Some(url) = url else {
        return if namespaces.is_empty() { Ok(None) } else { Err(NoOwnWebhook) };
    };
    if namespaces.is_empty() {
        tracing::warn!(
            host = url.host(),
            "CI_CD_WEBHOOK_URL is set, but no namespace may use that webhook, so it receives nothing; name the namespaces \
             with --default-webhook-namespace (* for all)"
        );
    }
    Ok(Some(DefaultWebhook::new(url, OfferedNamespaces::new(namespaces), api.origin())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_without_a_webhook_are_refused_and_a_webhook_without_namespaces_is_not_used() {
        let url = || Some("https://ci.example.com/hooks/T0ken".parse().unwrap());
        let read = |url, namespaces: &[&str]| {
            own_webhook(url, namespaces.iter().map(|name| (*name).to_owned()).collect(), &BaseUrl::public())
        };
        let says = read(None, &["bots"]).unwrap_err().to_string();
        assert!(says.contains("set CI_CD_WEBHOOK_URL, or leave the flag"), "{says}");
        assert!(read(None, &[]).unwrap().is_none());
        let api = api::identifier::ApiOrigin::new("https://api.cognigy.ai");
        for (namespaces, is_served) in [(&[][..], false), (&["bots"], true), (&["*"], true)] {
            let webhook = read(url(), namespaces).unwrap().unwrap();
            assert_eq!(webhook.serving("bots", &api).is_some(), is_served, "{namespaces:?}");
        }
    }
}
