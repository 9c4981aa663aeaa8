//! The operator's own webhook, for resources without a webhook of their own.
//!
//! The URL belongs to the platform team, and may be a secret. So the rule is the same as for the operator's own
//! credentials: the webhook serves only the namespaces that a flag names, and only rollouts that go to the operator's
//! own API. Another API may belong to a tenant. That tenant would learn the URL, and could make the operator send the
//! outcome of any job to it.

use api::identifier::ApiOrigin;
use platform::{OfferedNamespaces, WebhookUrl};

/// The operator's own webhook, and the resources that it serves.
#[derive(Clone, Debug)]
pub struct DefaultWebhook {
    url: WebhookUrl,
    namespaces: OfferedNamespaces,
    origin: ApiOrigin,
}

impl DefaultWebhook {
    /// The webhook with this URL, for resources in these namespaces whose rollouts go to that API.
    #[must_use]
    pub fn new(url: WebhookUrl, namespaces: OfferedNamespaces, origin: ApiOrigin) -> Self {
        Self { url, namespaces, origin }
    }

    /// The URL, for a resource in that namespace whose rollout goes to that API.
    #[must_use]
    pub fn serving(&self, namespace: &str, api: &ApiOrigin) -> Option<&WebhookUrl> {
        (self.namespaces.includes(namespace) && *api == self.origin).then_some(&self.url)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn it_serves_the_namespaces_that_are_named_and_the_operators_own_api() {
        let webhook = |namespaces: &[&str]| {
            let namespaces = OfferedNamespaces::new(namespaces.iter().map(|name| (*name).to_owned()));
            DefaultWebhook::new(
                "https://ci.example.com/hooks/T0ken".parse().unwrap(),
                namespaces,
                ApiOrigin::new("https://api.example.com"),
            )
        };
        let own_api = ApiOrigin::new("https://api.example.com");
        for (namespaces, namespace, api, is_served) in [
            (&["bots"][..], "bots", own_api.as_str(), true),
            (&["*"], "bots", own_api.as_str(), true),
            (&["bots"], "others", own_api.as_str(), false),
            (&[], "bots", own_api.as_str(), false),
            (&["*"], "bots", "https://fake.example.com", false),
            (&["*"], "bots", "https://api.example.com/gateway", false),
            (&["*"], "bots", "http://api.example.com", false),
        ] {
            let served = webhook(namespaces).serving(namespace, &ApiOrigin::new(api)).is_some();
            assert_eq!(served, is_served, "{namespaces:?} {namespace} {api}");
        }
    }
}
