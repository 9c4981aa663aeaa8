//! The egress rules: requests may go to public addresses over `https`, and to the exceptions in the operator's own
//! flags.
//!
//! The author of a resource chooses URLs, and must not be able to use the operator to probe the cluster's network. So this
//! module checks the text of a URL, and the transport checks the addresses to which its name resolves.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use url::{Host, Url};

use super::address;

/// Why a request to a URL is forbidden. To allow it, change the URL or the operator's `--egress-allow` flag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressRefusal {
    /// The scheme is not `https`, and no rule allows `http` for this host.
    #[error("{host} may only be reached with https (the operator's egress rules do not allow plain http to this host)")]
    Scheme {
        /// The host, without path and query.
        host: String,
    },
    /// The URL carries a user name or a password, or has no host.
    #[error("the URL must contain a host, and must not contain a user name or password")]
    Shape,
    /// The address, or every address of the name, is not public, and no rule allows it.
    #[error("{host} has no public address (the operator's egress rules allow no other address for this host)")]
    Address {
        /// The host, without path and query.
        host: String,
    },
}

/// Which addresses are allowed for a URL that passed the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// Public addresses, and addresses of an allowed network.
    Public,
    /// Only addresses of an allowed network. This applies to plain http to a name that no rule lists.
    Network,
    /// Any address, because a rule lists this host and port.
    Listed,
}

/// One exception from the operator's flags: `HOST`, `HOST:PORT`, an address, or a network in CIDR form. For this host
/// (and port), or inside this network, it allows plain http and addresses that are not public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EgressRule {
    /// A name or an address, on one port or on every port.
    Host {
        /// The host, in the normalized form of the URL standard.
        host: Host,
        /// The port; `None` means every port.
        port: Option<u16>,
    },
    /// Every address of a network, on every port.
    Network(IpNet),
}

/// The error for a rule that cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is not an egress rule: write HOST, HOST:PORT or a network such as 10.0.0.0/8 (no scheme, path or wildcard)"
)]
pub struct EgressRuleError {
    text: String,
}

impl FromStr for EgressRule {
    type Err = EgressRuleError;

    fn from_str(text: &str) -> Result<Self, EgressRuleError> {
        parse_rule(text.trim()).ok_or_else(|| EgressRuleError { text: text.to_owned() })
    }
}

fn parse_rule(text: &str) -> Option<EgressRule> {
    if text.contains('/') {
        return text.parse::<IpNet>().ok().map(|network| EgressRule::Network(network.trunc()));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(EgressRule::Host { host: host_of(address), port: None });
    }
    let (name, port) = match text.rsplit_once(':') {
        Some(_) if text.ends_with(']') => (text, None),
        Some((name, port)) => (name, Some(port.parse::<u16>().ok().filter(|&port| port != 0)?)),
        None => (text, None),
    };
    let host = Host::parse(name.trim_end_matches('.')).ok()?;
    let is_valid = match &host {
        Host::Domain(name) => name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)),
        Host::Ipv4(_) | Host::Ipv6(_) => true,
    };
    is_valid.then_some(EgressRule::Host { host, port })
}

impl fmt::Display for EgressRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { host, port: None } => write!(formatter, "{host}"),
            Self::Host { host, port: Some(port) } => write!(formatter, "{host}:{port}"),
            Self::Network(network) => write!(formatter, "{network}"),
        }
    }
}

/// The egress rules. `https` to public addresses is always allowed; a rule adds an exception. The default has no rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressPolicy {
    rules: Vec<EgressRule>,
}

impl EgressPolicy {
    /// The default, with exceptions.
    #[must_use]
    pub fn new(rules: Vec<EgressRule>) -> Self {
        Self { rules }
    }

    /// Checks a URL's text: the scheme, the user info, and the host if it is a literal address.
    ///
    /// # Errors
    /// [`EgressRefusal`], which names the host but no other part of the URL.
    pub fn check(&self, url: &Url) -> Result<(), EgressRefusal> {
        self.route(url).map(|_| ())
    }

    /// Does the same as [`check`](Self::check), and returns which addresses of a name are allowed.
    pub(crate) fn route(&self, url: &Url) -> Result<Route, EgressRefusal> {
        let is_secure = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(EgressRefusal::Scheme { host: shown_host(url) }),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EgressRefusal::Shape);
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(EgressRefusal::Shape);
        };
        if self.lists(&host, port) {
            return Ok(Route::Listed);
        }
        let route = if is_secure { Route::Public } else { Route::Network };
        match literal(&host) {
            Some(address) if self.admits(route, address) => Ok(route),
            Some(_) if is_secure => Err(EgressRefusal::Address { host: shown_host(url) }),
            None if is_secure || self.has_networks() => Ok(route),
            Some(_) | None => Err(EgressRefusal::Scheme { host: shown_host(url) }),
        }
    }

    /// Whether a request on this route may be sent to this address.
    pub(crate) fn admits(&self, route: Route, address: IpAddr) -> bool {
        let in_network = || {
            let address = address::plain(address);
            self.rules.iter().any(|rule| matches!(rule, EgressRule::Network(network) if network.contains(&address)))
        };
        match route {
            Route::Listed => true,
            Route::Network => in_network(),
            Route::Public => address::is_public(address) || in_network(),
        }
    }

    /// Whether any rule names a network.
    pub(crate) fn has_networks(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule, EgressRule::Network(_)))
    }

    /// Whether any rule names a host.
    pub(crate) fn has_hosts(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule, EgressRule::Host { .. }))
    }

    fn lists(&self, wanted: &Host<&str>, wanted_port: u16) -> bool {
        self.rules.iter().any(|rule| match rule {
            EgressRule::Host { host, port } => {
                port.is_none_or(|port| port == wanted_port)
                    && match (host, wanted) {
                        (Host::Domain(host), Host::Domain(wanted)) => host == wanted.trim_end_matches('.'),
                        (Host::Domain(_), _) | (_, Host::Domain(_)) => false,
                        (Host::Ipv4(host), wanted) => literal(wanted) == Some(IpAddr::V4(*host)),
                        (Host::Ipv6(host), wanted) => literal(wanted) == Some(IpAddr::V6(*host)),
                    }
            }
            EgressRule::Network(_) => false,
        })
    }
}

fn host_of(address: IpAddr) -> Host {
    match address {
        IpAddr::V4(v4) => Host::Ipv4(v4),
        IpAddr::V6(v6) => Host::Ipv6(v6),
    }
}

fn literal(host: &Host<&str>) -> Option<IpAddr> {
    match host {
        Host::Domain(_) => None,
        Host::Ipv4(v4) => Some(IpAddr::V4(*v4)),
        Host::Ipv6(v6) => Some(IpAddr::V6(*v6)),
    }
}

fn shown_host(url: &Url) -> String {
    url.host_str().unwrap_or("the URL").to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn policy(rules: &[&str]) -> EgressPolicy {
        EgressPolicy::new(rules.iter().map(|rule| rule.parse().unwrap()).collect())
    }

    fn verdict(policy: &EgressPolicy, url: &str) -> Result<Route, EgressRefusal> {
        policy.route(&Url::parse(url).unwrap())
    }

    #[test]
    fn by_default_only_https_to_public_addresses_is_allowed() {
        let policy = EgressPolicy::default();
        assert_eq!(verdict(&policy, "https://api.cognigy.ai/api/v2"), Ok(Route::Public));
        assert_eq!(verdict(&policy, "https://8.8.8.8/"), Ok(Route::Public));
        assert!(matches!(verdict(&policy, "http://api.cognigy.ai/"), Err(EgressRefusal::Scheme { .. })));
        assert!(matches!(verdict(&policy, "http://8.8.8.8/"), Err(EgressRefusal::Scheme { .. })));
        assert!(matches!(verdict(&policy, "gopher://api.cognigy.ai/"), Err(EgressRefusal::Scheme { .. })));
        assert_eq!(verdict(&policy, "https://me:pw@api.cognigy.ai/"), Err(EgressRefusal::Shape));
    }

    #[test]
    fn every_way_to_write_a_closed_address_is_refused() {
        for url in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://0x7f.0.0x1/",
            "https://127。0。0。1/",
            "https://①②⑦.0.0.1/",
            "https://169.254.169.254./latest/meta-data",
            "https://[::1]/",
            "https://[::ffff:7f00:1]/",
            "https://[64:ff9b::a9fe:a9fe]/",
            "https://[fd00:ec2::254]/",
        ] {
            assert!(matches!(verdict(&EgressPolicy::default(), url), Err(EgressRefusal::Address { .. })), "{url}");
        }
    }

    #[test]
    fn a_host_rule_allows_http_only_on_its_port() {
        let policy = policy(&["Simulator.test.:8080", "127.0.0.1:9000", "[::1]:9001"]);
        assert_eq!(verdict(&policy, "http://simulator.test:8080/x"), Ok(Route::Listed));
        assert_eq!(verdict(&policy, "http://simulator.test.:8080/x"), Ok(Route::Listed));
        assert_eq!(verdict(&policy, "http://0x7f000001:9000/"), Ok(Route::Listed));
        assert_eq!(verdict(&policy, "http://[::1]:9001/"), Ok(Route::Listed));
        for url in
            ["http://simulator.test/", "http://127.0.0.1:9001/", "http://sub.simulator.test:8080/", "http://[::1]/"]
        {
            assert!(verdict(&policy, url).is_err(), "{url}");
        }
        assert_eq!(
            verdict(&policy, "https://simulator.test:8443/"),
            Ok(Route::Public),
            "for https the address is still checked"
        );
    }

    #[test]
    fn a_rule_without_a_port_allows_every_port() {
        let policy = policy(&["simulator.test"]);
        assert_eq!(verdict(&policy, "http://simulator.test:1/"), Ok(Route::Listed));
        assert_eq!(verdict(&policy, "https://simulator.test/"), Ok(Route::Listed));
    }

    #[test]
    fn a_network_rule_allows_its_addresses_however_they_are_reached() {
        let policy = policy(&["10.1.2.3/8"]);
        assert_eq!(verdict(&policy, "http://10.9.9.9/"), Ok(Route::Network));
        assert_eq!(verdict(&policy, "https://[::ffff:10.9.9.9]/"), Ok(Route::Public));
        assert_eq!(
            verdict(&policy, "http://named.test/"),
            Ok(Route::Network),
            "its addresses are checked when it is resolved"
        );
        assert!(verdict(&policy, "http://11.0.0.1/").is_err());
        assert!(policy.admits(Route::Network, "10.0.0.1".parse().unwrap()));
        assert!(!policy.admits(Route::Network, "8.8.8.8".parse().unwrap()), "plain http only inside the network");
        assert!(policy.admits(Route::Public, "8.8.8.8".parse().unwrap()));
        assert!(!policy.admits(Route::Public, "192.168.0.1".parse().unwrap()));
    }

    #[test]
    fn an_invalid_rule_is_refused_with_the_correct_form() {
        for text in
            ["", "http://host", "host/path", "*", "*.svc", "host:0", "host:99999", "host:", "10.0.0.0/33", "a b", ":80"]
        {
            let error = text.parse::<EgressRule>().unwrap_err().to_string();
            assert!(error.contains("HOST:PORT"), "{text}: {error}");
        }
    }

    #[test]
    fn a_rule_is_unchanged_after_a_round_trip_through_text() {
        for text in ["host", "host:80", "10.0.0.0/8", "127.0.0.1", "127.0.0.1:80", "[::1]:80", "fd00::/8"] {
            let rule: EgressRule = text.parse().unwrap();
            assert_eq!(rule.to_string(), text);
            assert_eq!(rule.to_string().parse::<EgressRule>().unwrap(), rule);
        }
        assert_eq!("::1".parse::<EgressRule>().unwrap().to_string(), "[::1]");
    }

    #[test]
    fn a_refusal_contains_only_the_host_of_the_url() {
        let refusal = verdict(&EgressPolicy::default(), "http://hooks.test/T0/B0/token?key=1").unwrap_err().to_string();
        assert!(refusal.contains("hooks.test") && !refusal.contains("token") && !refusal.contains("key"), "{refusal}");
    }
}
