//! The proxy from the operator's own flag (`--https-proxy`), and the names that are never sent to it.
//!
//! A proxy resolves names, often with a resolver that also resolves names of the cluster or the company. So the proxy must
//! check the addresses to which a name resolves. The operator refuses names that are never public and does not send them
//! to the proxy.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// The last labels of names that never exist in the public DNS: the special-use names of RFC 6761, 6762 (with its
/// appendix G) and 8375, ICANN's `internal`, and the suffixes that Kubernetes' resolvers add.
const NEVER_PUBLIC: [&str; 14] = [
    "arpa",
    "corp",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "onion",
    "private",
    "svc",
    "test",
];

/// The URL of a proxy: `http` or `https`, optionally with a user name and a password, which are never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(Url);

/// The text is not the URL of a proxy. The person who set the flag must correct it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not the URL of a proxy; write http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT (percent-encoded) if the proxy requires a password"
)]
pub struct ProxyUrlError;

impl ProxyUrl {
    /// The whole URL, with the password. It must not be shown.
    pub(crate) fn expose(&self) -> &Url {
        &self.0
    }

    /// The host.
    pub(crate) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }
}

impl FromStr for ProxyUrl {
    type Err = ProxyUrlError;

    fn from_str(text: &str) -> Result<Self, ProxyUrlError> {
        let url = Url::parse(text.trim()).map_err(|_| ProxyUrlError)?;
        let is_proxy = matches!(url.scheme(), "http" | "https") && url.has_host() && url.path() == "/";
        if is_proxy && url.query().is_none() && url.fragment().is_none() { Ok(Self(url)) } else { Err(ProxyUrlError) }
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ProxyUrl({}, ..)", self.host())
    }
}

/// Whether a name is never in the public DNS: it has only one label, or it ends with a label that is never public.
pub(crate) fn is_never_public(name: &str) -> bool {
    match name.trim_end_matches('.').rsplit_once('.') {
        Some((_, last)) => NEVER_PUBLIC.contains(&last),
        None => true,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn internal_names_are_never_public() {
        for name in [
            "localhost",
            "vault",
            "vault.",
            "metadata.google.internal",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local.",
            "printer.local",
            "wiki.corp",
            "router.home.arpa",
        ] {
            assert!(is_never_public(name), "{name}");
        }
        for name in ["api.cognigy.ai", "api.cognigy.ai.", "hooks.slack.com", "local.example.com", "svc.example"] {
            assert!(!is_never_public(name), "{name}");
        }
    }

    #[test]
    fn the_password_of_a_proxy_url_is_never_shown() {
        let proxy: ProxyUrl = "http://me:s3cr%40t@proxy.example.com:3128".parse().unwrap();
        assert_eq!(format!("{proxy:?}"), "ProxyUrl(proxy.example.com, ..)");
        assert_eq!(proxy.expose().port(), Some(3128));
        for text in [
            "",
            "proxy:3128",
            "me:s3cret@proxy:3128",
            "socks5://proxy:1080",
            "http://proxy/path",
            "http://proxy?s3cret",
        ] {
            let error = text.parse::<ProxyUrl>().unwrap_err().to_string();
            assert!(error.contains("http://HOST:PORT") && !error.contains("s3cret"), "{text}: {error}");
        }
    }
}
