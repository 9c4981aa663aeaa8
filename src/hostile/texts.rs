//! Texts that people write: URLs, rules, durations, and the keys of a Secret.

use clap::{Args, Command, FromArgMatches};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use proptest::prelude::*;
use secrecy::ExposeSecret;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::LazyLock;
use url::Url;

use super::config;
use super::damage::{bytes_like, text_like};
use crate::command::settings::RunArguments;
use cognigy_deployments::{BaseUrl, Credentials, Defaults};
use platform::{EgressPolicy, EgressRule, ProxyUrl, WebhookUrl};

const URLS: [&str; 8] = [
    "https://api.cognigy.ai",
    "https://api.cognigy.ai:8443/gateway/api/v2/",
    "https://hooks.example.com/T0/B0/token?key=value&other=%20",
    "https://[2606:4700::1111]:443/",
    "http://127.0.0.1:8090/oauth/token",
    "https://xn--bcher-kva.example/",
    "https://user:password@example.com/#fragment",
    "https://0x7f.1/",
];
const RULES: [&str; 6] = ["simulator.bots.svc:8080", "10.0.0.0/8", "fd00::/8", "[::1]:80", "::1", "localhost"];
const DURATIONS: [&str; 6] = ["90s", "15m", "24h", "1h 30m", "PT5M", "20 minutes"];
const NUMBERS: [&str; 4] = ["100", "6000", "4294967295", "1"];
const CERTIFICATES: [&str; 2] = ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not a certificate"];

fn arguments(flag: &str, value: &str) -> Result<RunArguments, clap::Error> {
    static COMMAND: LazyLock<Command> = LazyLock::new(|| RunArguments::augment_args(Command::new("run")));
    let matches = COMMAND.clone().try_get_matches_from(["run", &format!("{flag}={value}")])?;
    RunArguments::from_arg_matches(&matches)
}

fn secret(data: BTreeMap<String, Vec<u8>>) -> Secret {
    let data = data.into_iter().map(|(key, value)| (key, ByteString(value))).collect();
    Secret { data: Some(data), ..Secret::default() }
}

fn read(secret: &Secret) -> Result<Credentials, String> {
    Defaults::default().in_secret(secret).map_err(|obstacle| obstacle.message)
}

/// A Secret with the usual keys; each key is valid, damaged or missing.
fn secrets() -> impl Strategy<Value = BTreeMap<String, Vec<u8>>> {
    let maybe = |valid| prop::option::weighted(0.8, bytes_like(valid));
    let values = (maybe(&URLS), maybe(&URLS), maybe(&URLS), maybe(&URLS), maybe(&CERTIFICATES), maybe(&NUMBERS));
    values.prop_map(|(id, secret, base, token, ca, rate)| {
        let keys = ["clientId", "clientSecret", "baseUrl", "tokenUrl", "ca.crt", "requestsPerMinute"];
        let values = [id, secret, base, token, ca, rate];
        keys.into_iter().zip(values).filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    })
}

proptest! {
    #![proptest_config(config())]

    /// The policy checks the same host that the client contacts: both URL parsers find the same host.
    #[test]
    fn an_allowed_url_has_one_public_host(text in text_like(&URLS)) {
        let Ok(url) = text.parse::<WebhookUrl>() else { return Ok(()) };
        prop_assert_eq!(format!("{url:?}"), format!("WebhookUrl({}, ..)", url.host()));
        prop_assert_eq!(&url.expose().parse::<WebhookUrl>().unwrap(), &url, "the written URL parses to the same URL");
        let checked = Url::parse(url.expose()).unwrap();
        if let Ok(uri) = url.expose().parse::<http::Uri>() {
            let asked = Url::parse(&uri.to_string()).unwrap();
            prop_assert_eq!((checked.host(), checked.port()), (asked.host(), asked.port()));
        }
        if EgressPolicy::default().check(&checked).is_ok() {
            prop_assert_eq!(checked.scheme(), "https");
            prop_assert!(checked.username().is_empty() && checked.password().is_none());
            let host = checked.host_str().unwrap().trim_matches(['[', ']']);
            if let Ok(IpAddr::V4(v4)) = host.parse() {
                prop_assert!(!(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified()), "{v4}");
            }
            if let Ok(IpAddr::V6(v6)) = host.parse() {
                prop_assert!(!(v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()), "{v6}");
            }
        }
    }

    #[test]
    fn all_spellings_of_the_url_of_an_api_have_the_same_origin(text in text_like(&URLS)) {
        let Ok(base) = text.parse::<BaseUrl>() else { return Ok(()) };
        let longer = format!("{}/api/v2", base.origin());
        prop_assert!(longer.len() > 2048 || longer.parse::<BaseUrl>() == Ok(base.clone()));
        // A URL that ends in this path lies below another API, and would be parsed as that API's URL.
        let is_below = base.origin().as_str().ends_with("/api/v2");
        prop_assert!(is_below || base.origin().as_str().parse::<BaseUrl>() == Ok(base.clone()));
        prop_assert!(!base.origin().as_str().ends_with('/') && base.to_string().len() <= 2048);
    }

    #[test]
    fn flags_are_read_or_refused_with_a_message(
        url in text_like(&URLS),
        rule in text_like(&RULES),
        duration in text_like(&DURATIONS),
        number in text_like(&NUMBERS),
    ) {
        for (flag, value) in [
            ("--webhook-url", &url),
            ("--https-proxy", &url),
            ("--base-url", &url),
            ("--token-url", &url),
            ("--egress-allow", &rule),
            ("--deletion-grace", &duration),
            ("--submit-key-ttl", &duration),
            ("--lease-duration", &duration),
            ("--requests-per-minute", &number),
            ("--metrics-addr", &url),
        ] {
            match arguments(flag, value) {
                Ok(arguments) => drop(format!("{arguments:?}")),
                Err(error) => prop_assert!(error.to_string().contains(flag), "{error}"),
            }
        }
        if let Ok(rule) = rule.parse::<EgressRule>() {
            prop_assert_eq!(rule.to_string().parse::<EgressRule>().unwrap(), rule);
        }
        if let Ok(proxy) = url.parse::<ProxyUrl>() {
            let shown = format!("{proxy:?}");
            prop_assert!(!shown.contains("password"), "{shown}");
        }
    }

    #[test]
    fn a_secret_is_used_or_refused_with_the_name_of_a_key(data in secrets()) {
        match read(&secret(data.clone())) {
            Ok(credentials) => {
                let text = |key: &str| String::from_utf8(data[key].clone()).unwrap().trim().to_owned();
                prop_assert_eq!(&credentials.client_id, &text("clientId"));
                prop_assert_eq!(credentials.client_secret.expose_secret(), text("clientSecret"));
                prop_assert!(!credentials.client_id.is_empty());
            }
            Err(message) => {
                prop_assert!(message.len() < 640, "{message}");
                prop_assert!(data.keys().chain(&["clientId".to_owned(), "clientSecret".to_owned()]).any(|key| message.contains(key)));
                let secret = ["clientSecret", "ca.crt"].into_iter().filter_map(|key| data.get(key));
                for value in secret.filter_map(|value| std::str::from_utf8(value).ok()) {
                    prop_assert!(value.trim().len() < 16 || !message.contains(value.trim()), "{message} contains {value}");
                }
            }
        }
    }
}
